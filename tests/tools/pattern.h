/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * pattern: what flows in the test streams. The byte at a position is a function of seed and position alone,
 * so whoever knows a position knows what must stand there, and where what stands there belongs.
 *
 * Messages of a fixed size, or of sizes from 5 bytes to 64 KiB and 4 that the seed gives, as many small ones as large
 * ones: 4 bytes, big-endian: length of the rest; then pseudo-random bytes. At the end of what a server sends stands its
 * trailer (unless the stream is endless): u64 big-endian bytes received, their SHA-256.
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
#define PATTERN_BY_PORT		4u	/* times the far end's port, added too: each connection differs */

#define PATTERN_CYCLE		64u	/* messages, then their sizes come again */

struct pattern {
	uint64_t seed;
	uint32_t message;		/* bytes, 8...; 0: all sizes */
	uint32_t start[PATTERN_CYCLE + 1];	/* of message 0: where in the cycle each begins; the last: its length */
};

void pattern_init(struct pattern *p, uint64_t seed, uint32_t message);
/* Bytes from pos to the end of the message in which pos lies. */
uint32_t pattern_left(const struct pattern *p, uint64_t pos);
void pattern_fill(const struct pattern *p, uint64_t pos, void *buf, size_t n);
/* Index of the first byte that is not what belongs there; n: none. */
size_t pattern_check(const struct pattern *p, uint64_t pos, const void *buf, size_t n);
/*
 * What is wrong with buf, which ought to be what belongs at pos: "lost N" or "repeated N" if it stands N bytes further
 * on or back (less than 4 MiB), else "altered". n: 16 bytes at least, or it is "altered".
 */
void pattern_diagnose(const struct pattern *p, uint64_t pos, const void *buf, size_t n, char *why, size_t size);
uint32_t pattern_crc32(const void *p, size_t n);

void put_be32(uint8_t *p, uint32_t v);
void put_be64(uint8_t *p, uint64_t v);
uint32_t get_be32(const uint8_t *p);
uint64_t get_be64(const uint8_t *p);

#endif
