/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * BGP-4 on the wire: numbers from RFC 4271 and the documents that extend it, and the accessors for
 * its big-endian fields. Nothing here does any work.
 */
#ifndef BGP_PROTO_H
#define BGP_PROTO_H
#include <stdint.h>
#include <string.h>
#include <arpa/inet.h>

#define BGP_PORT		179
#define BGP_VERSION		4
#define BGP_HEADER_LEN		19
#define BGP_MSG_MAX		4096
#define BGP_AS_TRANS		23456	/* RFC 6793 */

enum bgp_type { BGP_OPEN = 1, BGP_UPDATE, BGP_NOTIFICATION, BGP_KEEPALIVE, BGP_ROUTE_REFRESH };
enum bgp_afi { AFI_IPV4 = 1, AFI_IPV6 = 2 };
#define SAFI_UNICAST		1
#define CAP_MP			1	/* RFC 4760 */
#define CAP_REFRESH		2	/* RFC 2918 */
#define CAP_AS4			65	/* RFC 6793 */
#define OPT_PARAM_CAPS		2
#define OPT_PARAM_EXTENDED	255	/* RFC 9072 */

enum bgp_code { ERR_HEADER = 1, ERR_OPEN, ERR_UPDATE, ERR_HOLD, ERR_FSM, ERR_CEASE };
enum { HDR_NOT_SYNC = 1, HDR_BAD_LENGTH, HDR_BAD_TYPE };
enum { OPEN_VERSION = 1, OPEN_PEER_AS, OPEN_BGP_ID, OPEN_PARAM, OPEN_HOLD_TIME = 6, OPEN_CAPABILITY };
enum {
	UPD_ATTR_LIST = 1, UPD_WELL_KNOWN, UPD_OPTIONAL = 9, UPD_NETWORK,
};
enum { FSM_OPENSENT = 1, FSM_OPENCONFIRM, FSM_ESTABLISHED };	/* RFC 6608 */
enum {
	CEASE_SHUTDOWN = 2, CEASE_DECONFIGURED, CEASE_RESET, CEASE_REJECTED, CEASE_CONFIG,
	CEASE_COLLISION, CEASE_RESOURCES
};

enum attr_type {
	ATTR_ORIGIN = 1, ATTR_AS_PATH, ATTR_NEXT_HOP, ATTR_MED, ATTR_LOCAL_PREF, ATTR_ATOMIC,
	ATTR_AGGREGATOR, ATTR_COMMUNITIES, ATTR_ORIGINATOR, ATTR_CLUSTERS,
	ATTR_MP_REACH = 14, ATTR_MP_UNREACH, ATTR_EXT_COMMUNITIES, ATTR_AS4_PATH, ATTR_AS4_AGGREGATOR,
	ATTR_LARGE_COMMUNITIES = 32,
};
#define ATTR_F_OPTIONAL		0x80
#define ATTR_F_TRANSITIVE	0x40
#define ATTR_F_PARTIAL		0x20
#define ATTR_F_EXTENDED		0x10
enum { AS_SET = 1, AS_SEQUENCE };

/* What a NOTIFICATION says (RFC 4271, section 4.5); data is cut at what fits. */
struct bgp_error {
	uint8_t code, sub;
	uint16_t len;
	uint8_t data[256];
};

static inline uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint8_t *put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static inline uint8_t *put32(uint8_t *p, uint32_t v)
{
	return put16(put16(p, (uint16_t)(v >> 16)), (uint16_t)v);
}

static inline uint8_t *put_bytes(uint8_t *p, const void *src, size_t len)
{
	if (len)
		memcpy(p, src, len);
	return p + len;
}

/* Fills an error; returns -1 so that a decoder can end with it. */
int bgp_fail(struct bgp_error *e, uint8_t code, uint8_t sub, const void *data, size_t len);
/* "UPDATE error: malformed attribute list"; a static string or one in buf. */
const char *bgp_error_name(uint8_t code, uint8_t sub, char *buf, size_t size);

#endif
