// SPDX-License-Identifier: GPL-2.0-only
/* pattern: see pattern.h */
#include "pattern.h"

static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static uint8_t byte_at(const struct pattern *p, uint64_t pos, uint64_t *word, uint64_t *index)
{
	uint32_t in = pos % p->message;

	if (in < 4)
		return (p->message - 4) >> (24 - 8 * in);
	if (*index != pos / 8) {
		*index = pos / 8;
		*word = mix(mix(p->seed) + *index);
	}
	return *word >> (pos % 8 * 8);
}

void pattern_fill(const struct pattern *p, uint64_t pos, void *buf, size_t n)
{
	uint64_t word = 0, index = UINT64_MAX;
	uint8_t *d = buf;
	size_t i;

	for (i = 0; i < n; i++)
		d[i] = byte_at(p, pos + i, &word, &index);
}

size_t pattern_check(const struct pattern *p, uint64_t pos, const void *buf, size_t n)
{
	uint64_t word = 0, index = UINT64_MAX;
	const uint8_t *d = buf;
	size_t i;

	for (i = 0; i < n; i++)
		if (d[i] != byte_at(p, pos + i, &word, &index))
			break;
	return i;
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
