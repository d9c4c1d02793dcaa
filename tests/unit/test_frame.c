// SPDX-License-Identifier: GPL-2.0-only
/* Frames of the sync link: any chunking, any cut, everything malformed; seeded garbage. */
#include <endian.h>
#include <errno.h>
#include "frame.h"
#include "sync_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A stream of n frames with sequence numbers from 1. */
static struct attr_buf stream(unsigned int n)
{
	struct attr_buf b = { 0 };

	for (unsigned int i = 1; i <= n; i++) {
		struct attr_buf rec = rec_whole(i, 1);
		size_t start = nsr_frame_begin(&b, i % 2 ? NSR_FRAME_CONN_ADD : NSR_FRAME_TXN);

		if (i % 2)
			attr_put(&b, TCP_NSR_A_CONN | NLA_F_NESTED, rec.data, rec.len);
		else
			op_put(&b, i, "key", rec.data, rec.len % (i + 1));
		nsr_frame_end(&b, start, i);
		attr_buf_free(&rec);
	}
	assert_false(b.failed);
	return b;
}

static void any_chunking_gives_the_same_frames(void **unused)
{
	struct attr_buf s = stream(20);

	(void)unused;
	rnd_seed(5);
	for (int round = 0; round < 200; round++) {
		struct nsr_decoder d;
		struct nsr_frame f;
		uint64_t seq = 0;
		size_t at = 0;
		int got;

		nsr_decoder_init(&d, NSR_FRAME_MAX);
		while (at < s.len) {
			size_t n = round ? 1 + rnd((uint32_t)round * 4) : 1;

			n = n < s.len - at ? n : s.len - at;
			assert_int_equal(nsr_decoder_feed(&d, s.data + at, n), 0);
			at += n;
			while ((got = nsr_decoder_next(&d, &f)) > 0) {
				assert_int_equal(f.seq, ++seq);
				assert_int_equal(f.type, seq % 2 ? NSR_FRAME_CONN_ADD : NSR_FRAME_TXN);
				assert_true(attr_seq_ok(f.attrs, f.len));
				assert_int_equal((uintptr_t)f.attrs % 4, 0);
			}
			assert_int_equal(got, 0);
		}
		assert_int_equal(seq, 20);
		nsr_decoder_exit(&d);
	}
	attr_buf_free(&s);
}

static void a_cut_at_any_byte_gives_whole_frames_only(void **unused)
{
	struct attr_buf s = stream(4);

	(void)unused;
	for (size_t cut = 0; cut <= s.len; cut++) {
		struct nsr_decoder d;
		struct nsr_frame f;
		size_t used = 0;

		nsr_decoder_init(&d, NSR_FRAME_MAX);
		assert_int_equal(nsr_decoder_feed(&d, s.data, cut), 0);
		while (nsr_decoder_next(&d, &f) > 0)
			used += f.len + NSR_FRAME_HEADER;
		assert_true(used <= cut);
		nsr_decoder_exit(&d);
	}
	attr_buf_free(&s);
}

static void expect_bad(const void *p, size_t n, size_t max, const char *word)
{
	struct nsr_decoder d;
	struct nsr_frame f;

	nsr_decoder_init(&d, max);
	assert_int_equal(nsr_decoder_feed(&d, p, n), 0);
	assert_int_equal(nsr_decoder_next(&d, &f), -EBADMSG);
	if (!strstr(d.error, word))
		fail_msg("\"%s\" does not say \"%s\"", d.error, word);
	nsr_decoder_exit(&d);
}

static void malformed_frames_are_refused_by_name(void **unused)
{
	struct attr_buf s = stream(1);
	uint8_t *p = s.data;
	uint32_t len = (uint32_t)s.len;

	(void)unused;
	*(uint32_t *)p = htobe32(15);
	expect_bad(p, len, NSR_FRAME_MAX, "shorter");
	*(uint32_t *)p = htobe32(NSR_FRAME_MAX + 4);
	expect_bad(p, 16, NSR_FRAME_MAX, "too long");	/* said before a byte of it has come */
	*(uint32_t *)p = htobe32(NSR_FRAME_HELLO_MAX + 4);
	expect_bad(p, 16, NSR_FRAME_HELLO_MAX, "too long");
	*(uint32_t *)p = htobe32(len - 1);
	expect_bad(p, len, NSR_FRAME_MAX, "length");
	*(uint32_t *)p = htobe32(len);
	*(uint16_t *)(p + 4) = htobe16(999);
	expect_bad(p, len, NSR_FRAME_MAX, "unknown type");
	*(uint16_t *)(p + 4) = htobe16(NSR_FRAME_HEARTBEAT);
	expect_bad(p, len, NSR_FRAME_MAX, "no record");
	*(uint16_t *)(p + 4) = htobe16(NSR_FRAME_CONN_ADD);
	*(uint16_t *)(p + 6) = htobe16(1);
	expect_bad(p, len, NSR_FRAME_MAX, "flags");
	*(uint16_t *)(p + 6) = 0;
	*(uint64_t *)(p + 8) = 0;
	expect_bad(p, len, NSR_FRAME_MAX, "sequence");
	*(uint64_t *)(p + 8) = htobe64(1);
	*(uint16_t *)(p + 16) = 60000;			/* an attribute longer than its frame */
	expect_bad(p, len, NSR_FRAME_MAX, "attributes");
	attr_buf_free(&s);
}

static void too_long_a_frame_is_not_made(void **unused)
{
	struct attr_buf b = { 0 };
	static uint8_t filler[60000];
	size_t start = nsr_frame_begin(&b, NSR_FRAME_TXN);

	(void)unused;
	while (b.len < NSR_FRAME_MAX)
		attr_put(&b, 1, filler, sizeof(filler));
	nsr_frame_end(&b, start, 1);
	assert_true(b.failed);
	attr_buf_free(&b);
}

/* Pure garbage, and good streams with a few bytes changed: nothing may crash, or leak. */
static void garbage_is_survived(void **unused)
{
	static uint8_t junk[4096];
	struct attr_buf s = stream(6);

	(void)unused;
	rnd_seed(2024);
	for (int round = 0; round < 3000; round++) {
		size_t n = rnd(sizeof(junk));

		if (round % 4) {
			n = s.len < sizeof(junk) ? s.len : sizeof(junk);
			memcpy(junk, s.data, n);
			for (uint32_t k = 1 + rnd(6); k; k--)
				junk[rnd((uint32_t)n)] = (uint8_t)rnd(256);
			n -= rnd(3) ? 0 : rnd((uint32_t)n);
		} else {
			for (size_t i = 0; i < n; i++)
				junk[i] = (uint8_t)rnd(256);
			memset(junk, 0, n < 3 ? n : 3);	/* or no length would be believed */
		}
		LLVMFuzzerTestOneInput(junk, n);
	}
	attr_buf_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_chunking_gives_the_same_frames),
		cmocka_unit_test(a_cut_at_any_byte_gives_whole_frames_only),
		cmocka_unit_test(malformed_frames_are_refused_by_name),
		cmocka_unit_test(too_long_a_frame_is_not_made),
		cmocka_unit_test(garbage_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
