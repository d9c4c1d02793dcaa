/* SPDX-License-Identifier: GPL-2.0-only */
/* sha256: FIPS 180-4, with a state that can be stored and gone on with elsewhere. */
#ifndef SHA256_H
#define SHA256_H

#include <stddef.h>
#include <stdint.h>

struct sha256 {
	uint64_t len;			/* bytes so far */
	uint32_t h[8];
	uint8_t block[64];		/* len % 64 bytes wait here */
};

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *p, size_t n);
void sha256_end(const struct sha256 *s, uint8_t out[32]);	/* s may be gone on with */
void sha256_hex(const uint8_t in[32], char out[65]);

#endif
