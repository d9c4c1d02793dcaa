/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the speaker replicates, as keys and values for nsr_put(). All integers are big-endian.
 *
 *   key                          value                                                    bound to
 *   'S'                          version, session parameters (struct session_params)      connection
 *   'R'                          version, bytes of a message that are not written yet      connection
 *   'I' afi plen prefix…         version, attributes: a route learned (Adj-RIB-In)        connection
 *   'O' afi plen prefix…         version, attributes: a route announced (Adj-RIB-Out)     connection
 *   'N' afi plen prefix…         version, attributes: a network in force                  –
 *
 * A prefix takes as many bytes as its length needs; attributes are those of attrs_encode(). The
 * standby may run another version of this program, or be handed garbage by a fault somewhere: a
 * decoder believes nothing, and who cannot read a record must not take the session over.
 */
#ifndef BGP_STATE_H
#define BGP_STATE_H
#include "rib.h"

#define STATE_VERSION	1
#define STATE_KEY_MAX	19u
#define STATE_VALUE_MAX	(1 + ATTRS_MAX)

enum state_kind {
	STATE_BAD = 0, STATE_SESSION = 'S', STATE_REST = 'R', STATE_IN = 'I', STATE_OUT = 'O',
	STATE_NETWORK = 'N',
};

enum session_state { SESSION_NEW, SESSION_OPENSENT, SESSION_OPENCONFIRM, SESSION_ESTABLISHED };

/* What was negotiated on one connection, and how far it got. */
struct session_params {
	enum session_state state;
	bool as4, refresh, mp4, mp6;		/* spoken by both sides */
	bool resend4, resend6;			/* the peer's ROUTE-REFRESH is being answered */
	uint32_t local_as, peer_as, local_id, peer_id;
	uint16_t hold;				/* negotiated; 0: none */
	uint64_t since;				/* seconds since 1970 at which it was established */
};

size_t state_key(enum state_kind kind, const struct prefix *p, uint8_t out[static STATE_KEY_MAX]);
/* *p is set for the three kinds that have one. */
enum state_kind state_key_decode(const uint8_t *key, size_t len, struct prefix *p);

size_t state_session_encode(const struct session_params *s, uint8_t out[static STATE_VALUE_MAX]);
bool state_session_decode(const uint8_t *val, size_t len, struct session_params *out);
size_t state_attrs_encode(const struct attrs *a, uint8_t out[static STATE_VALUE_MAX]);
struct attrs *state_attrs_decode(const uint8_t *val, size_t len);
size_t state_rest_encode(const uint8_t *rest, size_t n, uint8_t out[static STATE_VALUE_MAX]);
/* False if it is not 1 to BGP_MSG_MAX - 1 bytes. */
bool state_rest_decode(const uint8_t *val, size_t len, const uint8_t **rest, size_t *n);

#endif
