// SPDX-License-Identifier: GPL-2.0-only
/* Gratuitous ARP and unsolicited neighbour advertisement, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "announce.h"

static const uint8_t mac[6] = { 2, 0, 0x5e, 0x10, 0, 1 };

static void arp(void **state)
{
	static const uint8_t addr[4] = { 192, 0, 2, 1 };
	static const uint8_t head[22] = {
		255, 255, 255, 255, 255, 255, 2, 0, 0x5e, 0x10, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1
	};
	uint8_t frame[ANNOUNCE_FRAME_MAX];

	(void)state;
	assert_int_equal(announce_build_arp(frame, mac, addr, 0), 42);
	assert_memory_equal(frame, head, sizeof(head));
	assert_memory_equal(frame + 22, mac, 6);
	assert_memory_equal(frame + 28, addr, 4);
	assert_memory_equal(frame + 38, addr, 4);
	announce_build_arp(frame, mac, addr, 1);
	assert_int_equal(frame[21], 2);
}

static uint16_t sum(const uint8_t *p, size_t n, uint32_t s)
{
	for (; n; n -= 2, p += 2)
		s += (uint32_t)p[0] << 8 | p[1];
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

static void na(void **state)
{
	static const uint8_t addr[16] = { 0x20, 1, 0xd, 0xb8, [15] = 1 };
	uint8_t frame[ANNOUNCE_FRAME_MAX];

	(void)state;
	assert_int_equal(announce_build_na(frame, mac, addr), 86);
	assert_int_equal(frame[0], 0x33);
	assert_int_equal(frame[14] >> 4, 6);
	assert_int_equal(frame[19], 32);	/* payload length */
	assert_int_equal(frame[20], 58);	/* ICMPv6 */
	assert_int_equal(frame[21], 255);	/* or the receiver drops it */
	assert_memory_equal(frame + 22, addr, 16);
	assert_int_equal(frame[54], 136);
	assert_int_equal(frame[58], 0x20);	/* override, not solicited */
	assert_memory_equal(frame + 62, addr, 16);
	assert_int_equal(frame[78], 2);
	assert_memory_equal(frame + 80, mac, 6);
	/* with the checksum in place the sum over pseudo header and message is all ones */
	assert_int_equal(sum(frame + 54, 32, sum(frame + 22, 32, 32 + 58)), 0xffff);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(arp), cmocka_unit_test(na) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
