// SPDX-License-Identifier: GPL-2.0-only
/* pattern: see pattern.h */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pattern.h"

static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

void pattern_init(struct pattern *p, uint64_t seed, uint32_t message)
{
	uint32_t at = 0, i;

	*p = (struct pattern){ .seed = seed, .message = message };
	for (i = 0; i < PATTERN_CYCLE && !message; i++) {
		uint64_t r = mix(mix(seed) ^ i);
		uint32_t power = r % 17;		/* payload: 1 to 65536 bytes, each power of two as often */

		p->start[i] = at;
		at += 4 + (power == 16 ? 65536 : (1u << power) + (r >> 32) % (1u << power));
	}
	p->start[PATTERN_CYCLE] = at;
}

/* Where in its message pos stands; *len: the message's. */
static uint32_t place(const struct pattern *p, uint64_t pos, uint32_t *len)
{
	uint32_t at, low = 0, high = PATTERN_CYCLE;

	if (p->message) {
		*len = p->message;
		return pos % p->message;
	}
	at = pos % p->start[PATTERN_CYCLE];
	while (high - low > 1) {
		uint32_t mid = (low + high) / 2;

		if (p->start[mid] <= at)
			low = mid;
		else
			high = mid;
	}
	*len = p->start[low + 1] - p->start[low];
	return at - p->start[low];
}

uint32_t pattern_left(const struct pattern *p, uint64_t pos)
{
	uint32_t len, in = place(p, pos, &len);

	return len - in;
}

/* Pseudo-random bytes of positions from pos on. */
static void fill_random(uint64_t key, uint64_t pos, uint8_t *d, size_t n)
{
	while (n) {
		uint64_t word = htole64(mix(key + pos / 8));
		size_t in = pos % 8, part = 8 - in < n ? 8 - in : n;

		memcpy(d, (uint8_t *)&word + in, part);
		pos += part;
		d += part;
		n -= part;
	}
}

void pattern_fill(const struct pattern *p, uint64_t pos, void *buf, size_t n)
{
	uint64_t key = mix(p->seed);
	uint8_t *d = buf;

	while (n) {
		uint32_t len, in = place(p, pos, &len);
		size_t part = len - in < n ? len - in : n, i;

		fill_random(key, pos, d, part);
		for (i = 0; in + i < 4 && i < part; i++)
			d[i] = (len - 4) >> (24 - 8 * (in + i));
		pos += part;
		d += part;
		n -= part;
	}
}

size_t pattern_check(const struct pattern *p, uint64_t pos, const void *buf, size_t n)
{
	const uint8_t *d = buf;
	uint8_t want[4096];
	size_t done, i;

	for (done = 0; done < n; done += i) {
		size_t part = n - done < sizeof(want) ? n - done : sizeof(want);

		pattern_fill(p, pos + done, want, part);
		if (!memcmp(d + done, want, part)) {
			i = part;
			continue;
		}
		for (i = 0; d[done + i] == want[i]; i++)
			;
		return done + i;
	}
	return n;
}

#define SEARCH	(4u << 20)		/* bytes, to either side */

void pattern_diagnose(const struct pattern *p, uint64_t pos, const void *buf, size_t n, char *why, size_t size)
{
	uint64_t from = pos > SEARCH ? pos - SEARCH : 0;
	size_t len = pos - from + SEARCH;
	uint8_t *all = n < 16 ? NULL : malloc(len), *hit = NULL;

	if (all) {
		pattern_fill(p, from, all, len);
		hit = memmem(all, len, buf, n < 64 ? n : 64);
	}
	if (!hit)
		snprintf(why, size, "altered");
	else if (from + (hit - all) > pos)
		snprintf(why, size, "lost_%zu", (size_t)(from + (hit - all) - pos));
	else
		snprintf(why, size, "repeated_%zu", (size_t)(pos - from - (hit - all)));
	free(all);
}

uint32_t pattern_crc32(const void *p, size_t n)
{
	const uint8_t *d = p;
	uint32_t crc = ~0u;
	int i;

	while (n--) {
		crc ^= *d++;
		for (i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

void put_be32(uint8_t *p, uint32_t v)
{
	int i;

	for (i = 0; i < 4; i++)
		p[i] = v >> (24 - 8 * i);
}

void put_be64(uint8_t *p, uint64_t v)
{
	put_be32(p, v >> 32);
	put_be32(p + 4, v);
}

uint32_t get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

uint64_t get_be64(const uint8_t *p)
{
	return (uint64_t)get_be32(p) << 32 | get_be32(p + 4);
}
