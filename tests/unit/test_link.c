// SPDX-License-Identifier: GPL-2.0-only
/* The link: two of them, and one against a peer of raw bytes that does everything wrong. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "hello.h"
#include "sync_box.h"

static struct box a, b;

static int make(void **unused)
{
	(void)unused;
	box_init(&a, 1, ROLE_ACTIVE);
	box_init(&b, 2, ROLE_SYNC);
	return 0;
}

static int drop(void **unused)
{
	(void)unused;
	box_exit(&a);
	box_exit(&b);
	return 0;
}

/* ---- a peer of raw bytes, in the place of box b ---- */

static int raw_dial(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET }, from = to;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons(link_port(a.n.link));
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void frame(struct attr_buf *out, uint16_t type, uint64_t seq, struct attr_buf *attrs)
{
	size_t start = nsr_frame_begin(out, type);

	if (attrs)
		attr_buf_append(out, attrs->data, attrs->len);
	nsr_frame_end(out, start, seq);
	assert_false(out->failed);
}

/* What box b would say of itself. */
static void good_hello(struct attr_buf *out)
{
	struct attr_buf h = { 0 };

	hello_encode(&h, &b.n);
	frame(out, NSR_FRAME_HELLO, 0, &h);
	attr_buf_free(&h);
}

static void record(struct attr_buf *out, uint16_t type, uint64_t seq, uint32_t group)
{
	struct attr_buf r = { 0 };

	attr_put_u32(&r, TCP_NSR_A_GROUP_ID, group);
	attr_put_u32(&r, NSR_SYNC_A_ASK, 1);
	frame(out, type, seq, &r);
	attr_buf_free(&r);
}

static bool closed_by_peer(int fd)
{
	char buf[4096];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	return !n || (n < 0 && errno != EAGAIN);
}

/* Sends the bytes; the link must close, and say why. */
static void expect_closed(struct attr_buf *bytes, const char *word)
{
	int fd = raw_dial();

	assert_int_equal(send(fd, bytes->data, bytes->len, MSG_NOSIGNAL), (ssize_t)bytes->len);
	box_until(closed_by_peer(fd));
	if (!strstr(link_describe(a.n.link), word))
		fail_msg("\"%s\" does not say \"%s\"", link_describe(a.n.link), word);
	assert_false(link_is_up(a.n.link));
	close(fd);
	attr_buf_free(bytes);
}

static void hello_variant(struct attr_buf *out, uint16_t skip, uint16_t major, uint32_t order, uint32_t node,
			  uint32_t group, const char *name)
{
	struct attr_buf h = { 0 };
	size_t nest;

	attr_put_u16(&h, TCP_NSR_A_SCHEMA_MAJOR, major);
	attr_put_u16(&h, TCP_NSR_A_SCHEMA_MINOR, 0);
	attr_put_u32(&h, NSR_SYNC_A_BYTE_ORDER, order);
	attr_put_u32(&h, NSR_SYNC_A_NODE, node);
	if (skip != NSR_SYNC_A_INSTANCE)
		attr_put_u64(&h, NSR_SYNC_A_INSTANCE, 77);
	nest = attr_nest_start(&h, NSR_SYNC_A_GROUP);
	attr_put_u32(&h, TCP_NSR_A_GROUP_ID, group);
	attr_put_str(&h, NSR_SYNC_A_NAME, name);
	attr_nest_end(&h, nest);
	frame(out, NSR_FRAME_HELLO, 0, &h);
	attr_buf_free(&h);
}

static void a_wrong_hello_is_refused_by_name(void **unused)
{
	struct attr_buf out = { 0 };

	(void)unused;
	box_listen(&a);
	hello_variant(&out, 0, TCP_NSR_SCHEMA_MAJOR + 1, NSR_SYNC_BYTE_ORDER, 2, 7, "edge");
	expect_closed(&out, "schema 2.0");
	hello_variant(&out, 0, TCP_NSR_SCHEMA_MAJOR, 0x04030201, 2, 7, "edge");
	expect_closed(&out, "byte order");
	hello_variant(&out, 0, TCP_NSR_SCHEMA_MAJOR, NSR_SYNC_BYTE_ORDER, 1, 7, "edge");
	expect_closed(&out, "node id 1 too");
	hello_variant(&out, 0, TCP_NSR_SCHEMA_MAJOR, NSR_SYNC_BYTE_ORDER, 2, 7, "core");
	expect_closed(&out, "group 7 is \"edge\" here");
	hello_variant(&out, 0, TCP_NSR_SCHEMA_MAJOR, NSR_SYNC_BYTE_ORDER, 2, 8, "edge");
	expect_closed(&out, "group 8 is \"edge\" there");
	hello_variant(&out, 0, TCP_NSR_SCHEMA_MAJOR, NSR_SYNC_BYTE_ORDER, 2, 9, "other");
	expect_closed(&out, "no group in common");
	hello_variant(&out, NSR_SYNC_A_INSTANCE, TCP_NSR_SCHEMA_MAJOR, NSR_SYNC_BYTE_ORDER, 2, 7, "edge");
	expect_closed(&out, "without");
	hello_variant(&out, 0, TCP_NSR_SCHEMA_MAJOR, NSR_SYNC_BYTE_ORDER, 2, 7, "no/name");
	expect_closed(&out, "malformed");
	assert_int_equal(a.ups, 0);
}

static void what_breaks_the_rules_closes_the_link(void **unused)
{
	struct attr_buf out = { 0 }, ack = { 0 };
	uint32_t huge[4] = { htonl(NSR_FRAME_MAX + 4), htonl(NSR_FRAME_TXN << 16), 0, htonl(1) };

	(void)unused;
	box_listen(&a);
	record(&out, NSR_FRAME_SNAPSHOT_ASK, 1, 7);
	expect_closed(&out, "before HELLO");
	good_hello(&out);
	good_hello(&out);
	expect_closed(&out, "second HELLO");
	good_hello(&out);
	record(&out, NSR_FRAME_SNAPSHOT_ASK, 2, 7);
	expect_closed(&out, "record 2 after record 0");
	good_hello(&out);
	record(&out, NSR_FRAME_SNAPSHOT_ASK, 1, 7);
	record(&out, NSR_FRAME_SNAPSHOT_ASK, 1, 7);
	expect_closed(&out, "record 1 after record 1");
	good_hello(&out);
	record(&out, NSR_FRAME_SNAPSHOT_ASK, 1, 8);
	expect_closed(&out, "in common");
	good_hello(&out);
	attr_buf_append(&out, huge, sizeof(huge));
	expect_closed(&out, "too long");
	good_hello(&out);
	attr_put_u64(&ack, NSR_SYNC_A_SEQUENCE, 1000);
	frame(&out, NSR_FRAME_ACK, 0, &ack);
	attr_buf_free(&ack);
	expect_closed(&out, "ACK of 1000");
	good_hello(&out);
	attr_put_u32(&ack, TCP_NSR_A_GROUP_ID, 7);
	frame(&out, NSR_FRAME_HEARTBEAT, 0, &ack);
	attr_buf_free(&ack);
	expect_closed(&out, "heartbeat");
	attr_buf_append(&out, "GET / HTTP/1.0\r\n\r\n", 18);
	expect_closed(&out, "too long");
	assert_int_equal(a.ups, a.downs);
	assert_true(a.ups);
}

/* A stream of HELLO and records, cut at each of its bytes: down again, the store as it was. */
static void a_cut_at_any_byte_keeps_the_store(void **unused)
{
	struct attr_buf out = { 0 };
	uint8_t before[NSR_STORE_DIGEST], after[NSR_STORE_DIGEST];

	(void)unused;
	box_listen(&a);
	box_conn(&a, TCP_NSR_CMD_CONN_ADD_NTF, rec_whole(1, 1));
	nsr_store_digest(a.g.store, before);
	good_hello(&out);
	record(&out, NSR_FRAME_SNAPSHOT_ASK, 1, 7);
	for (uint64_t seq = 2; seq < 5; seq++)
		record(&out, NSR_FRAME_CONN_DEL, seq, 7);
	for (size_t cut = 0; cut <= out.len; cut++) {
		int fd = raw_dial();

		assert_int_equal(send(fd, out.data, cut, MSG_NOSIGNAL), (ssize_t)cut);
		shutdown(fd, SHUT_WR);
		box_until(closed_by_peer(fd));
		close(fd);
		assert_false(link_is_up(a.n.link));
	}
	attr_buf_free(&out);
	nsr_store_digest(a.g.store, after);
	assert_memory_equal(before, after, sizeof(before));
	assert_int_equal(a.ups, a.downs);
}

static void strangers_are_few_and_from_the_peer_only(void **unused)
{
	struct sockaddr_in to = { .sin_family = AF_INET }, from = to;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), many[12];

	(void)unused;
	box_listen(&a);
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 77);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons(link_port(a.n.link));
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	box_until(closed_by_peer(fd));
	assert_non_null(strstr(link_describe(a.n.link), "not the configured peer"));
	close(fd);
	/* silent connections are closed at once beyond a handful; the handful later */
	for (int i = 0; i < 12; i++) {
		many[i] = raw_dial();
		box_turns(1);
	}
	box_until(closed_by_peer(many[11]));
	for (int i = 0; i < 12; i++)
		close(many[i]);
}

static void one_of_two_connections_stays(void **unused)
{
	(void)unused;
	for (int round = 0; round < 5; round++) {
		box_meet(&a, &b);
		box_until(link_is_up(a.n.link) && link_is_up(b.n.link));
		box_turns(60);		/* both have dialled by now */
		assert_true(link_is_up(a.n.link) && link_is_up(b.n.link));
		assert_int_equal(link_peer_node(a.n.link), 2);
		assert_int_equal(link_peer_node(b.n.link), 1);
		box_conn(&a, TCP_NSR_CMD_CONN_ADD_NTF, rec_whole((uint64_t)round + 1, 1));
		box_until(nsr_store_nr_conns(b.g.store) == (size_t)round + 1);
		link_destroy(a.n.link);
		link_destroy(b.n.link);
		a.n.link = b.n.link = NULL;
		a.g.sync->joined = b.g.sync->joined = false;
		sync_stop(a.g.sync);
		((struct sockaddr_in *)&a.cfg.peer)->sin_port = htons(1);
		((struct sockaddr_in *)&b.cfg.peer)->sin_port = htons(1);
	}
}

/* Nonsense from the peer's box while the link is up: told, each cause once, and the link does not mind. */
static void nonsense_beside_the_link_is_told_once(void **unused)
{
	char line[200], name[] = "/tmp/test_link.XXXXXX";
	int saved = dup(STDERR_FILENO), file = mkstemp(name);
	unsigned int told = 0;
	FILE *log;

	(void)unused;
	assert_true(saved >= 0 && file >= 0);
	unlink(name);
	box_meet(&a, &b);
	box_until(link_is_up(a.n.link) && link_is_up(b.n.link));
	box_turns(60);			/* both have dialled by now */
	dup2(file, STDERR_FILENO);
	for (int i = 0; i < 5; i++) {
		int fd = raw_dial();

		assert_int_equal(send(fd, "GET / HTTP/1.0\r\n\r\n", 18, MSG_NOSIGNAL), 18);
		box_until(closed_by_peer(fd));
		close(fd);
	}
	dup2(saved, STDERR_FILENO);
	close(saved);
	log = fdopen(file, "r");
	assert_non_null(log);
	rewind(log);
	while (fgets(line, sizeof(line), log))
		told += strstr(line, "sync link 127.0.0.2: ") && strstr(line, "too long");
	fclose(log);
	assert_int_equal(told, 1);
	assert_true(link_is_up(a.n.link) && link_is_up(b.n.link));
}

static void records_are_acknowledged_in_order(void **unused)
{
	(void)unused;
	box_meet(&a, &b);
	box_until(b.ends);
	for (uint64_t i = 1; i <= 1000; i++)
		box_conn(&a, TCP_NSR_CMD_CONN_ADD_NTF, rec_whole(i, 1));
	assert_true(sync_lag_records(&a.g) >= 1000);
	box_until(!sync_lag_records(&a.g));
	assert_int_equal(link_acked(a.n.link), link_sent(a.n.link));
	assert_int_equal(nsr_store_nr_conns(b.g.store), 1000);
}

/* It has said HELLO, asked for everything, and reads nothing: bounded, then reset; the store is ours. */
static void a_peer_that_does_not_read_costs_no_memory(void **unused)
{
	static uint8_t value[60000];
	struct attr_buf out = { 0 }, ack = { 0 }, alive = { 0 };
	int fd, small = 4096;

	(void)unused;
	box_listen(&a);
	fd = raw_dial();
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	good_hello(&out);
	record(&out, NSR_FRAME_SNAPSHOT_ASK, 1, 7);
	assert_int_equal(send(fd, out.data, out.len, MSG_NOSIGNAL), (ssize_t)out.len);
	attr_buf_free(&out);
	box_until(a.sent);
	for (int i = 0; i < 3000 && link_is_up(a.n.link); i++) {
		struct attr_buf ops = { 0 };
		char key[16];

		snprintf(key, sizeof(key), "k%d", i % 100);
		op_put(&ops, 0, key, value, sizeof(value));
		value[i % sizeof(value)]++;
		assert_int_equal(box_txn(&a, "app", (uint64_t)i + 1, &ops), 0);
		assert_true(link_queued(a.n.link) <= 64u << 20);
		if (i % 50)
			continue;
		/* It speaks, however long this takes: silence is another cause. */
		attr_put_u64(&ack, NSR_SYNC_A_SEQUENCE, 0);
		frame(&alive, NSR_FRAME_ACK, 0, &ack);
		attr_buf_free(&ack);
		if (send(fd, alive.data, alive.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
		attr_buf_free(&alive);
		box_turns(1);
	}
	attr_buf_free(&alive);
	box_until(!link_is_up(a.n.link));
	assert_non_null(strstr(link_describe(a.n.link), "does not read"));
	assert_int_equal(nsr_store_nr_states(a.g.store), 100);
	close(fd);
}

static void garbage_after_hello_is_survived(void **unused)
{
	(void)unused;
	rnd_seed(8);
	box_listen(&a);
	a.g.role.state = ROLE_SYNC;
	for (int round = 0; round < 150; round++) {
		struct attr_buf out = { 0 }, rec = rec_whole(1, 1), body = { 0 };
		uint8_t junk[600];
		size_t hello;
		int fd = raw_dial();

		good_hello(&out);
		hello = out.len;
		record(&out, NSR_FRAME_SNAPSHOT_BEGIN, 1, 7);
		attr_put_u32(&body, TCP_NSR_A_GROUP_ID, 7);
		attr_put(&body, TCP_NSR_A_CONN | NLA_F_NESTED, rec.data, rec.len);
		frame(&out, NSR_FRAME_CONN_ADD, 2, &body);
		if (round % 3)
			for (int k = 0; k < 4; k++)
				out.data[hello + rnd((uint32_t)(out.len - hello))] = (uint8_t)rnd(256);
		for (size_t i = 0; i < sizeof(junk); i++)
			junk[i] = (uint8_t)rnd(256);
		attr_buf_append(&out, junk, sizeof(junk));
		(void)!send(fd, out.data, out.len, MSG_NOSIGNAL);
		shutdown(fd, SHUT_WR);
		box_until(closed_by_peer(fd));
		close(fd);
		attr_buf_free(&out);
		attr_buf_free(&rec);
		attr_buf_free(&body);
	}
	assert_false(link_is_up(a.n.link));
}

int main(void)
{
	#define T(f) cmocka_unit_test_setup_teardown(f, make, drop)
	const struct CMUnitTest tests[] = {
		T(a_wrong_hello_is_refused_by_name),
		T(what_breaks_the_rules_closes_the_link),
		T(a_cut_at_any_byte_keeps_the_store),
		T(strangers_are_few_and_from_the_peer_only),
		T(one_of_two_connections_stays),
		T(nonsense_beside_the_link_is_told_once),
		T(records_are_acknowledged_in_order),
		T(a_peer_that_does_not_read_costs_no_memory),
		T(garbage_after_hello_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
