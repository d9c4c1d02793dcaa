/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Path attributes. What a route carries is one immutable, shared set: the next hop, and the other
 * attributes in a normal form (ascending type; AS numbers always of four octets; AS4_PATH merged in;
 * no MP_REACH, MP_UNREACH). Equal sets are the same pointer.
 */
#ifndef BGP_ATTR_H
#define BGP_ATTR_H
#include <stdbool.h>
#include <stddef.h>
#include "addr.h"
#include "proto.h"

#define TLV_MAX		8448u	/* a full message's worth, AS numbers widened from two octets to four */
#define ATTRS_MAX	(TLV_MAX + 33u)		/* what attrs_encode() may write */

struct attrs {
	struct attrs *hash_next;
	uint32_t refs, hash;
	uint16_t len;
	uint8_t nhlen;			/* 0, 4, 16, or 32: global and link-local */
	uint8_t nh[32];
	uint8_t tlv[];			/* flags, type, length (2), value; repeated */
};

struct tlvs {
	size_t len;
	uint8_t buf[TLV_MAX];
};

/* Keeps the order; false: no room. */
bool tlv_add(struct tlvs *t, uint8_t flags, uint8_t type, const void *data, size_t len);

/* The caller owns one reference of what it gets; NULL: no memory. */
struct attrs *attrs_intern(const uint8_t *nh, size_t nhlen, const struct tlvs *t);
struct attrs *attrs_get(struct attrs *a);
void attrs_put(struct attrs *a);
const uint8_t *attrs_find(const struct attrs *a, uint8_t type, size_t *len);

/* As replicated: length of the next hop, next hop, TLVs. attrs_decode() takes nothing on trust:
 * NULL for anything that attrs_parse() could not have made. */
size_t attrs_encode(const struct attrs *a, uint8_t out[static ATTRS_MAX]);
struct attrs *attrs_decode(const uint8_t *in, size_t len);

/* As in an UPDATE, NEXT_HOP included for IPv4, MP_REACH left to the caller. 0: does not fit. */
size_t attrs_wire(const struct attrs *a, uint8_t afi, bool as4, uint8_t *out, size_t room);

/* What the meaning of a received attribute depends on. */
struct attr_env {
	bool as4, ibgp, mp4, mp6;
};

enum verdict {
	VERDICT_OK,
	VERDICT_WITHDRAW,		/* RFC 7606: the routes named are withdrawn, the session lives */
	VERDICT_RESET,			/* NOTIFICATION */
};

struct mp_routes {
	uint8_t afi;			/* 0: none */
	uint8_t nhlen, nh[32];
	const uint8_t *nlri;
	size_t len;
};

struct parsed {
	enum verdict verdict;
	const char *why;		/* of the first fault, also of one that was merely discarded */
	bool overrun;			/* cut off: an MP_REACH may be hidden in what could not be read */
	struct addr next_hop;
	struct mp_routes reach, unreach;
	struct tlvs tlvs;
};

/* Applies RFC 4271 section 6.3 as amended by RFC 7606. e is set for VERDICT_RESET only. */
void attrs_parse(const uint8_t *in, size_t len, const struct attr_env *env, struct parsed *out,
		 struct bgp_error *e);

/* True if nlri is a run of whole prefixes of that family. */
bool nlri_valid(uint8_t afi, const uint8_t *nlri, size_t len);

/* False: nobody's address. len: 4 or 16. */
bool next_hop_valid(const uint8_t *nh, size_t len);
/* AS numbers of 2 or 4 octets; a set counts as one. -1: malformed. */
int as_path_count(const uint8_t *p, size_t len, size_t width);

#endif
