// SPDX-License-Identifier: GPL-2.0-only
/* Positions of real sockets, and the buffer of what was received and not consumed; tables. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib_rig.h"
#include "nsr.h"

static void positions(int fd, uint64_t rcv, uint64_t snd)
{
	uint64_t r = ~0ull, s = ~0ull;

	assert_int_equal(nsr_stream_positions(fd, &r, &s), 0);
	assert_int_equal(r, rcv);
	assert_int_equal(s, snd);
}

static void wait_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 5000), 1);
}

/* Both openers, both families: nothing is counted for SYN; unread bytes are not received yet. */
static void positions_open(void **state)
{
	static const int families[] = { AF_INET, AF_INET6 };
	char buf[2000] = { 0 };
	int a, b, i;

	(void)state;
	for (i = 0; i < 2; i++) {
		rig_tcp(families[i], &a, &b);
		positions(a, 0, 0);
		positions(b, 0, 0);
		assert_int_equal(send(a, buf, 1000, 0), 1000);
		wait_readable(b);
		positions(a, 0, 1000);
		positions(b, 0, 0);
		assert_int_equal(recv(b, buf, 300, 0), 300);
		positions(b, 300, 0);
		close(a);
		close(b);
	}
}

/* Full buffers: most of what was written has never been sent, some was sent twice. */
static void positions_stuffed(void **state)
{
	static char buf[100000];
	uint64_t wrote = 0, got = 0;
	ssize_t n;
	int a, b;

	(void)state;
	rig_tcp(AF_INET, &a, &b);
	while ((n = send(a, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		wrote += n;
	positions(a, 0, wrote);
	while (got < wrote) {
		n = recv(b, buf, sizeof(buf), 0);
		assert_true(n > 0);
		got += n;
		if (got % 7 == 0)
			positions(a, 0, wrote);
	}
	positions(a, 0, wrote);
	positions(b, wrote, 0);
	close(a);
	close(b);
}

/* The far end's FIN is one position in the kernel's count and none in ours, read or not. */
static void positions_fin(void **state)
{
	char buf[100] = { 0 };
	uint64_t r, s;
	int a, b;

	(void)state;
	rig_tcp(AF_INET, &a, &b);
	assert_int_equal(send(a, buf, 77, 0), 77);
	shutdown(a, SHUT_WR);
	wait_readable(b);
	/* until the FIN is in: it may come behind the data */
	do {
		struct pollfd p = { .fd = b, .events = POLLRDHUP };

		poll(&p, 1, 5000);
		assert_true(p.revents & POLLRDHUP);
	} while (0);
	positions(b, 0, 0);
	assert_int_equal(recv(b, buf, 70, 0), 70);
	positions(b, 70, 0);
	assert_int_equal(recv(b, buf, 70, 0), 7);
	positions(b, 77, 0);
	assert_int_equal(recv(b, buf, 70, 0), 0);
	positions(b, 77, 0);
	assert_int_equal(send(b, buf, 11, 0), 11);
	positions(b, 77, 11);
	assert_int_equal(nsr_stream_positions(a, &r, &s), -ENOTCONN);
	close(a);
	close(b);
}

/* Random reads, consumes and appends against a plain model. */
static void buffer_model(void **state)
{
	struct stream s = { 0 };
	uint64_t consumed = 1000, end = 1000, rd = 1000;
	uint8_t buf[20000];
	int i;

	(void)state;
	srandom(7);
	nsr_stream_init(&s, 1000);
	for (i = 0; i < 20000; i++) {
		size_t n = random() % (random() % 10 ? 100 : sizeof(buf)), k, want;

		switch (random() % 3) {
		case 0:
			if (end - consumed > 300000)
				break;
			for (k = 0; k < n; k++)
				buf[k] = (end + k) * 31 >> 3;
			assert_int_equal(nsr_stream_reserve(&s, n), 0);
			nsr_stream_append(&s, buf, n);
			end += n;
			break;
		case 1:
			want = n < end - rd ? n : end - rd;
			assert_int_equal(nsr_stream_read(&s, buf, n), want);
			for (k = 0; k < want; k++)
				assert_int_equal(buf[k], (uint8_t)((rd + k) * 31 >> 3));
			rd += want;
			break;
		case 2:
			if (n > rd - consumed) {
				assert_int_equal(nsr_stream_consume(&s, n), -ERANGE);
				break;
			}
			assert_int_equal(nsr_stream_consume(&s, n), 0);
			consumed += n;
			break;
		}
		assert_int_equal(s.consumed, consumed);
		assert_int_equal(s.read, rd);
		assert_int_equal(s.end, end);
	}
	nsr_stream_rewind(&s);
	assert_int_equal(s.read, consumed);
	nsr_stream_free(&s);
}

/* The bound of a tail: NSR_TAIL_MAX bytes, to the byte; the rest stays in the socket. */
static void buffer_bound(void **state)
{
	struct stream s = { 0 };
	static uint8_t chunk[65536];
	ssize_t n;
	int a, b;

	(void)state;
	rig_tcp(AF_INET, &a, &b);
	nsr_stream_init(&s, 0);
	while (nsr_stream_len(&s) < NSR_TAIL_MAX) {
		assert_int_equal(send(a, chunk, sizeof(chunk), 0), sizeof(chunk));
		wait_readable(b);
		while ((n = nsr_stream_fill(&s, b, SIZE_MAX)) > 0)
			;
		assert_true(n == -EAGAIN || n == -ENOBUFS);
	}
	assert_int_equal(nsr_stream_len(&s), NSR_TAIL_MAX);
	assert_int_equal(send(a, "x", 1, 0), 1);
	wait_readable(b);
	assert_int_equal(nsr_stream_fill(&s, b, 1), -ENOBUFS);
	assert_int_equal(recv(b, chunk, 1, 0), 1);
	nsr_stream_free(&s);
	close(a);
	close(b);
}

struct item {
	struct table_node node;
	uint64_t key;
};

static void tables(void **state)
{
	static struct item items[1000];
	struct table t = { 0 };
	int i;

	(void)state;
	assert_null(nsr_table_find(&t, 1));
	for (i = 0; i < 1000; i++) {
		items[i].key = (uint64_t)i << 32 | (i * 64);
		assert_int_equal(nsr_table_add(&t, &items[i].node, items[i].key), 0);
	}
	for (i = 0; i < 1000; i += 2)
		nsr_table_del(&t, &items[i].node);
	nsr_table_del(&t, &items[0].node);	/* twice is harmless */
	for (i = 0; i < 1000; i++)
		assert_ptr_equal(nsr_table_find(&t, items[i].key), i % 2 ? &items[i].node : NULL);
	nsr_table_free(&t);
}

/* A lower bound that never stops growing, however far acknowledgements lag. */
static void acked_bound(void **state)
{
	struct acked a = { 0 };
	uint64_t txn, seen = 0, v;

	(void)state;
	for (txn = 1; txn <= 100; txn++) {
		uint64_t ack = txn > 5 ? txn - 5 : 0;

		nsr_acked_commit(&a, txn, txn * 10, ack);
		v = nsr_acked_value(&a, ack);
		assert_true(v <= ack * 10);
		assert_true(v >= seen);
		seen = v;
	}
	assert_true(seen >= 850);
	assert_int_equal(nsr_acked_value(&a, 100), 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(positions_open), cmocka_unit_test(positions_stuffed),
		cmocka_unit_test(positions_fin), cmocka_unit_test(buffer_model),
		cmocka_unit_test(buffer_bound), cmocka_unit_test(tables), cmocka_unit_test(acked_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
