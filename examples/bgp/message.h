/* SPDX-License-Identifier: GPL-2.0-only */
/* BGP messages, encoded and decoded. No I/O, no state: the input is a whole message in a buffer. */
#ifndef BGP_MESSAGE_H
#define BGP_MESSAGE_H
#include "attr.h"

/* Length of the message that starts here; 0: not all of it is there yet; -1: e says why. */
int msg_length(const uint8_t *buf, size_t have, struct bgp_error *e);

struct open_msg {
	uint32_t as, id;		/* as: the four-octet one, if announced */
	uint16_t hold;
	bool as4, refresh, mp4, mp6;
};

size_t open_encode(const struct open_msg *o, uint8_t out[static BGP_MSG_MAX]);
int open_decode(const uint8_t *msg, size_t len, struct open_msg *out, struct bgp_error *e);
/* The capabilities alone, as an OPEN or a NOTIFICATION (2, 7) carries them. At most 24 bytes. */
size_t caps_encode(const struct open_msg *o, uint8_t *out);

size_t keepalive_encode(uint8_t out[static BGP_MSG_MAX]);
size_t notification_encode(const struct bgp_error *e, uint8_t out[static BGP_MSG_MAX]);
void notification_decode(const uint8_t *msg, size_t len, struct bgp_error *out);
size_t refresh_encode(uint8_t afi, uint8_t out[static BGP_MSG_MAX]);
/* The family asked for, or 0 if it is none that we know. */
uint8_t refresh_decode(const uint8_t *msg, size_t len);

struct update_msg {
	const uint8_t *withdrawn, *nlri;	/* IPv4, in the message's own fields */
	size_t withdrawn_len, nlri_len;
	struct parsed attr;
};

/* -1: e is what to send before closing; 0: attr.verdict says OK or WITHDRAW, attr.why if not clean. */
int update_decode(const uint8_t *msg, size_t len, const struct attr_env *env, struct update_msg *out,
		  struct bgp_error *e);

/* An UPDATE under construction: one family, one set of attributes (or none: withdrawals). */
struct update_builder {
	const struct attrs *attrs;
	uint8_t afi;
	size_t attr_len, nlri_len, room;
	uint8_t attr[BGP_MSG_MAX], nlri[BGP_MSG_MAX];
};

/* False: the attributes alone do not fit. */
bool update_begin(struct update_builder *b, const struct attrs *attrs, uint8_t afi, bool as4);
bool update_add(struct update_builder *b, const struct prefix *p);	/* false: full */
size_t update_end(const struct update_builder *b, uint8_t out[static BGP_MSG_MAX]);

#endif
