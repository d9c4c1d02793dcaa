/* SPDX-License-Identifier: GPL-2.0-only */
/* Addresses and prefixes of both families: parse, print, compare, and their place in an UPDATE. */
#ifndef BGP_ADDR_H
#define BGP_ADDR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define ADDR_STRLEN	46
#define PREFIX_STRLEN	(ADDR_STRLEN + 4)

/* len: 4, 16, or 0 for none. Bytes beyond len are zero, so that memcmp() compares. */
struct addr {
	uint8_t len;
	uint8_t b[16];
};

/* Bits beyond plen are zero. */
struct prefix {
	uint8_t afi, plen;
	uint8_t b[16];
};

bool addr_parse(const char *s, struct addr *out);
const char *addr_str(const struct addr *a, char buf[static ADDR_STRLEN]);
bool addr_equal(const struct addr *a, const struct addr *b);
void addr_from_sockaddr(const struct sockaddr_storage *ss, struct addr *out);
socklen_t addr_to_sockaddr(const struct addr *a, uint16_t port, struct sockaddr_storage *out);

bool prefix_parse(const char *s, struct prefix *out);
const char *prefix_str(const struct prefix *p, char buf[static PREFIX_STRLEN]);
int prefix_cmp(const struct prefix *a, const struct prefix *b);

/* Wire form: length in bits, then as many bytes as that takes. Bytes written, at most 17. */
size_t prefix_encode(const struct prefix *p, uint8_t *out);
/* Bytes read, or 0: cut off, or too long for the family. Bits beyond the length are cleared. */
size_t prefix_decode(uint8_t afi, const uint8_t *in, size_t len, struct prefix *out);

#endif
