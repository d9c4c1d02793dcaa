/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * pattern: what flows in the test streams. The byte at a position is a function of seed and position alone,
 * so whoever knows a position knows what must stand there, and where what stands there belongs.
 *
 * Messages of a fixed size: 4 bytes, big-endian: length of the rest; then pseudo-random bytes. At the
 * end of what a server sends stands its trailer: u64 big-endian bytes received, their SHA-256.
 *
 * Echo: request: u32 big-endian length, payload. Answer: u32 16, u64 counter (from 1), u32 CRC-32 of the payload,
 * u32 its length; all big-endian.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include <stddef.h>
#include <stdint.h>

#define PATTERN_TRAILER		40u
#define ECHO_ANSWER		20u	/* bytes of an answer, its length included */
#define ECHO_MAX		65536u	/* bytes of a request's payload */
#define PATTERN_TO_SERVER	1u	/* added to the seed: the two directions differ */
#define PATTERN_TO_FAR		2u

struct pattern {
	uint64_t seed;
	uint32_t message;		/* bytes, 8... */
};

void pattern_fill(const struct pattern *p, uint64_t pos, void *buf, size_t n);
/* Index of the first byte that is not what belongs there; n: none. */
size_t pattern_check(const struct pattern *p, uint64_t pos, const void *buf, size_t n);
uint32_t pattern_crc32(const void *p, size_t n);

void put_be32(uint8_t *p, uint32_t v);
void put_be64(uint8_t *p, uint64_t v);
uint32_t get_be32(const uint8_t *p);
uint64_t get_be64(const uint8_t *p);

#endif
