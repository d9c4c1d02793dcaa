// SPDX-License-Identifier: GPL-2.0-only
/* ORDER, active: attach, receive, consume, put, send, commit; what reaches nsrd, and in which pieces. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib_rig.h"

static void wait_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 5000), 1);
}

/* The whole message that arrived, then consumed. */
static size_t take(struct nsr_conn *conn, size_t want)
{
	static char buf[200000];
	size_t got = 0;

	while (got < want) {
		ssize_t n = nsr_recv(conn, buf + got, want - got);

		if (n == -EAGAIN) {
			wait_readable(nsr_conn_get_fd(conn));
			continue;
		}
		assert_true(n > 0);
		got += n;
	}
	return got;
}

static void attach_commit_ack(void **state)
{
	struct rig *rig = *state;
	struct nsr_conn_info info = { .size = sizeof(info) };
	struct nsr_wire_buf *b;
	struct nsr_conn *conn;
	struct nsr_wire_op op;
	char buf[16];
	int a, fd;

	rig_up(rig, NSR_ROLE_ACTIVE, 7);
	rig_tcp(AF_INET, &a, &fd);
	assert_int_equal(send(a, "0123456789", 10, 0), 10);
	wait_readable(fd);
	assert_int_equal(recv(fd, buf, 4, 0), 4);	/* before attach: the application's own affair */

	assert_int_equal(nsr_conn_attach(rig->nsr, fd, &conn), 0);
	rig_expect(rig, NSR_APP_ATTACH);
	assert_int_equal(nsr_wire_u8(&rig->w, NSR_APP_A_FAMILY), AF_INET);
	assert_int_equal(nsr_wire_u64(&rig->w, NSR_APP_A_RCV_CONSUMED), 4);
	assert_int_equal(nsr_wire_u64(&rig->w, NSR_APP_A_SND_WRITTEN), 0);
	assert_int_not_equal(nsr_wire_u64(&rig->w, NSR_APP_A_COOKIE), 0);

	/* Before nsrd has answered: named by HANDLE. Seven bytes read would be the tail, five are consumed. */
	assert_int_equal(take(conn, 6), 6);
	assert_int_equal(nsr_consume(conn, 7), -ERANGE);
	assert_int_equal(nsr_consume(conn, 5), 0);
	assert_int_equal(nsr_put(rig->nsr, conn, "count", 5, "1", 1), 0);
	assert_int_equal(nsr_del(rig->nsr, NULL, "old", 3), 0);
	assert_int_equal(nsr_send(conn, "answer", 6), 6);
	assert_int_equal(nsr_commit(rig->nsr), 0);
	rig_expect(rig, NSR_APP_TXN);
	assert_int_equal(nsr_wire_u64(&rig->w, NSR_APP_A_TXN), 1);
	assert_true(nsr_wire_has(&rig->w, NSR_APP_A_LAST));
	assert_false(nsr_wire_has(&rig->w, NSR_APP_A_SNAPSHOT));
	assert_true(rig_op(rig, 0, &op));
	assert_int_equal(op.kind, NSR_APP_OP_PUT);
	assert_int_not_equal(op.handle, 0);
	assert_true(rig_op(rig, 1, &op));
	assert_int_equal(op.kind, NSR_APP_OP_DEL);
	assert_int_equal(op.handle, 0);
	assert_true(rig_op(rig, 2, &op));
	assert_int_equal(op.kind, NSR_APP_OP_CONN);
	assert_int_equal(op.rcv_consumed, 9);
	assert_int_equal(op.rcv_tail_end, 10);
	assert_int_equal(op.snd_written, 6);
	assert_int_equal(op.data_pos, 9);
	assert_int_equal(op.data_len, 1);
	nsr_wire_op_bytes(&op, NSR_APP_A_DATA, buf);
	assert_int_equal(buf[0], '9');
	/* nsrd has not said what the mode is: the answer waits in the journal */
	assert_true(rig_op(rig, 3, &op));
	assert_int_equal(op.kind, NSR_APP_OP_JOURNAL);
	assert_false(rig_op(rig, 4, &op));
	assert_int_equal(recv(a, buf, 6, MSG_DONTWAIT), -1);

	/* Committed here is not replicated there until it is acknowledged. */
	assert_int_equal(nsr_conn_get_info(conn, &info), 0);
	assert_int_equal(info.rcv_committed, 4);
	b = rig_begin(rig, NSR_APP_TXN_ACK);
	nsr_wire_put_u64(b, NSR_APP_A_TXN, 1);
	rig_send(rig);
	b = rig_begin(rig, NSR_APP_ATTACHED);
	nsr_wire_put_u32(b, NSR_APP_A_HANDLE, 1);
	nsr_wire_put_u64(b, NSR_APP_A_CONN_ID, 55);
	nsr_wire_put_u8(b, NSR_APP_A_MODE, 1);
	nsr_wire_put_u8(b, NSR_APP_A_PROTECTED, 0);
	nsr_wire_put_str(b, NSR_APP_A_TEXT, "no standby");
	rig_send(rig);
	rig_expect_log(rig, "status:2/0 ");
	assert_string_equal(rig->info.reason, "no standby");
	assert_int_equal(rig->info.rcv_committed, 9);
	assert_int_equal(rig->info.snd_written, 6);
	rig_read_all(a, buf, 6);
	assert_memory_equal(buf, "answer", 6);

	/* Nothing changed: nothing is sent. Then by CONN_ID. */
	assert_int_equal(nsr_commit(rig->nsr), 0);
	assert_true(rig_nothing(rig));
	assert_int_equal(nsr_consume(conn, 1), 0);
	assert_int_equal(nsr_commit(rig->nsr), 0);
	rig_expect(rig, NSR_APP_TXN);
	assert_int_equal(nsr_wire_u64(&rig->w, NSR_APP_A_TXN), 2);
	assert_true(rig_op(rig, 0, &op));
	assert_int_equal(op.conn_id, 55);
	assert_int_equal(op.rcv_consumed, 10);
	assert_int_equal(op.data_len, 0);

	assert_int_equal(nsr_conn_close(conn, NSR_FIN), 0);
	rig_expect(rig, NSR_APP_DETACH);
	assert_int_equal(nsr_wire_u64(&rig->w, NSR_APP_A_CONN_ID), 55);
	assert_int_equal(recv(a, buf, 1, 0), 0);
	close(a);
}

/* A message that comes in pieces: each byte of the tail is shipped once, and all of it in a snapshot. */
static void tail_by_pieces(void **state)
{
	struct rig *rig = *state;
	struct nsr_wire_buf *b;
	struct nsr_conn *conn;
	struct nsr_wire_op op;
	char buf[16];
	int a, fd;

	rig_up(rig, NSR_ROLE_ACTIVE, 1);
	rig_tcp(AF_INET6, &a, &fd);
	conn = rig_attach(rig, fd, 3);
	assert_int_equal(send(a, "abc", 3, 0), 3);
	take(conn, 3);
	nsr_commit(rig->nsr);
	rig_expect(rig, NSR_APP_TXN);
	assert_true(rig_op(rig, 0, &op));
	assert_int_equal(op.rcv_consumed, 0);
	assert_int_equal(op.rcv_tail_end, 3);
	assert_int_equal(op.data_len, 3);
	assert_int_equal(send(a, "de", 2, 0), 2);
	take(conn, 2);
	nsr_commit(rig->nsr);
	rig_expect(rig, NSR_APP_TXN);
	assert_true(rig_op(rig, 0, &op));
	assert_int_equal(op.data_pos, 3);
	assert_int_equal(op.rcv_tail_end, 5);
	assert_int_equal(op.data_len, 2);

	b = rig_begin(rig, NSR_APP_SNAPSHOT);
	nsr_wire_put_u32(b, NSR_APP_A_EPOCH, 4);
	rig_send(rig);
	rig_expect_log(rig, "snapshot ");
	assert_int_equal(nsr_put(rig->nsr, NULL, "k", 1, "v", 1), 0);
	assert_int_equal(nsr_commit(rig->nsr), 0);
	assert_int_equal(nsr_snapshot_done(rig->nsr), 0);
	rig_expect(rig, NSR_APP_TXN);
	assert_true(nsr_wire_has(&rig->w, NSR_APP_A_SNAPSHOT));
	assert_true(rig_op(rig, 0, &op));
	assert_int_equal(op.kind, NSR_APP_OP_PUT);
	assert_true(rig_op(rig, 1, &op));
	assert_int_equal(op.data_pos, 0);
	assert_int_equal(op.data_len, 5);
	nsr_wire_op_bytes(&op, NSR_APP_A_DATA, buf);
	assert_memory_equal(buf, "abcde", 5);
	rig_expect(rig, NSR_APP_SNAPSHOT_DONE);
	assert_int_equal(nsr_wire_u32(&rig->w, NSR_APP_A_EPOCH), 4);
	assert_int_equal(nsr_snapshot_done(rig->nsr), 0);	/* nobody asked */
	assert_true(rig_nothing(rig));
	nsr_conn_close(conn, NSR_RST);
	assert_int_equal(recv(a, buf, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(a);
}

/* More than one message holds: pieces of one number, LAST on the last; values and tails in chunks. */
static void split(void **state)
{
	static uint8_t val[NSR_VALUE_MAX], whole[NSR_VALUE_MAX], tail[150000];
	struct rig *rig = *state;
	struct nsr_conn *conn;
	struct nsr_wire_op op;
	unsigned int pieces = 0, puts = 0, i;
	size_t value = 0, tail_len = 0, n;
	bool last = false;
	char key[8];
	int a, fd;

	rig_up(rig, NSR_ROLE_ACTIVE, 1);
	rig_tcp(AF_INET, &a, &fd);
	conn = rig_attach(rig, fd, 3);
	for (n = 0; n < sizeof(val); n++)
		val[n] = n * 13 >> 2;
	for (n = 0; n < sizeof(tail); n += i) {
		i = sizeof(tail) - n < 50000 ? sizeof(tail) - n : 50000;
		assert_int_equal(send(a, tail, i, 0), i);
		take(conn, i);
	}
	for (i = 0; i < 20; i++) {
		snprintf(key, sizeof(key), "k%u", i);
		assert_int_equal(nsr_put(rig->nsr, NULL, key, strlen(key), val, sizeof(val)), 0);
	}
	assert_int_equal(nsr_put(rig->nsr, NULL, "empty", 5, "", 0), 0);
	assert_int_equal(nsr_put(rig->nsr, NULL, "long", 4, val, sizeof(val) + 1), -EMSGSIZE);
	assert_int_equal(nsr_put(rig->nsr, NULL, val, 256, val, 1), -EMSGSIZE);
	assert_int_equal(nsr_put(rig->nsr, NULL, "", 0, val, 1), -EMSGSIZE);
	nsr_commit(rig->nsr);
	while (!last) {
		rig_expect(rig, NSR_APP_TXN);
		assert_int_equal(nsr_wire_u64(&rig->w, NSR_APP_A_TXN), 1);
		last = nsr_wire_has(&rig->w, NSR_APP_A_LAST);
		pieces++;
		for (i = 0; rig_op(rig, i, &op); i++) {
			if (op.kind == NSR_APP_OP_CONN) {
				assert_int_equal(op.data_pos, tail_len);
				tail_len += op.data_len;
				assert_int_equal(op.rcv_tail_end, tail_len);
				continue;
			}
			if (!op.data_pos) {
				assert_true(!puts || value == sizeof(val));
				value = 0;
				puts++;
			}
			assert_int_equal(op.data_pos, value);
			nsr_wire_op_bytes(&op, NSR_APP_A_VALUE, whole + value);
			value += op.value_len;
			if (value == sizeof(val))
				assert_memory_equal(whole, val, sizeof(val));
		}
	}
	assert_int_equal(puts, 21);
	assert_int_equal(value, 0);
	assert_int_equal(tail_len, sizeof(tail));
	assert_true(pieces > 10);
	nsr_conn_close(conn, NSR_FIN);
	close(a);
}

/* nsrd does not read: commit says so and keeps it; the handle's descriptor says when there is room. */
/* What one transaction may hold is less than nsrd takes, headers included, and that holds for deletions too. */
static void transaction_is_full(void **state)
{
	struct rig *rig = *state;
	size_t bytes = 0, n = 0;
	const struct nlattr *attr;
	char key[12];
	int err;

	rig_up(rig, NSR_ROLE_ACTIVE, 7);
	do {
		size_t klen = (size_t)snprintf(key, sizeof(key), "%zu", n);

		err = n % 2 ? nsr_del(rig->nsr, NULL, key, klen) : nsr_put(rig->nsr, NULL, key, klen, "v", 1);
		n++;
	} while (!err && n < 1000000);
	assert_int_equal(err, -ENOBUFS);
	assert_int_equal(nsr_del(rig->nsr, NULL, "k", 1), -ENOBUFS);
	assert_true(n > 100000);
	err = nsr_commit(rig->nsr);
	assert_true(!err || err == -EAGAIN);
	do {
		rig_expect(rig, NSR_APP_TXN);
		nsr_wire_for_each(attr, &rig->w)
			if (mnl_attr_get_type(attr) == NSR_APP_A_OP)
				bytes += mnl_attr_get_len(attr);
	} while (!nsr_wire_has(&rig->w, NSR_APP_A_LAST));
	assert_true(bytes < NSR_APP_TXN_MAX / 2 + NSR_APP_MSG_MAX);
	assert_int_equal(nsr_put(rig->nsr, NULL, "k", 1, "v", 1), 0);
}

static void back_pressure(void **state)
{
	static uint8_t val[30000];
	struct rig *rig = *state;
	unsigned int i, n = 0, got = 0;
	struct pollfd p = { .events = POLLIN };
	int ret;

	rig_up(rig, NSR_ROLE_ACTIVE, 1);
	do {
		assert_int_equal(nsr_put(rig->nsr, NULL, "k", 1, val, sizeof(val)), 0);
		ret = nsr_commit(rig->nsr);
		n++;
	} while (!ret && n < 10000);
	assert_int_equal(ret, -EAGAIN);
	for (i = 0; i < 50; i++, n++) {
		nsr_put(rig->nsr, NULL, "k", 1, val, sizeof(val));
		assert_int_equal(nsr_commit(rig->nsr), -EAGAIN);
	}
	p.fd = nsr_get_fd(rig->nsr);
	assert_int_equal(poll(&p, 1, 0), 0);	/* no busy loop meanwhile */
	while (got < n) {
		rig_expect(rig, NSR_APP_TXN);
		assert_int_equal(nsr_wire_u64(&rig->w, NSR_APP_A_TXN), ++got);
	}
	assert_int_equal(nsr_commit(rig->nsr), 0);
}

/* The far end does not read: short sends, then writable. */
static void writable(void **state)
{
	static uint8_t buf[1 << 20];
	struct rig *rig = *state;
	struct nsr_conn *conn;
	uint64_t sent = 0, got = 0;
	ssize_t n;
	int a, fd;

	rig_up(rig, NSR_ROLE_ACTIVE, 1);
	rig_tcp(AF_INET, &a, &fd);
	conn = rig_attach(rig, fd, 3);
	while ((n = nsr_send(conn, buf, sizeof(buf))) > 0)
		sent += n;
	assert_int_equal(n, -EAGAIN);
	assert_int_equal(nsr_dispatch(rig->nsr, 0), 0);
	while (got < sent) {
		n = recv(a, buf, sizeof(buf), 0);
		assert_true(n > 0);
		got += n;
	}
	rig_expect_log(rig, "writable ");
	nsr_conn_close(conn, NSR_FIN);
	close(a);
}

/* What attach refuses; what an unprotected connection can do: all. */
static void refusals_and_none(void **state)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT };
	struct rig *rig = *state;
	struct nsr_wire_buf *b;
	struct nsr_conn *conn, *again;
	socklen_t len = sizeof(any);
	struct sockaddr_in v4;
	int a, fd, l, pipefd[2];
	char buf[8];

	rig_up(rig, NSR_ROLE_ACTIVE, 1);
	assert_int_equal(nsr_conn_attach(rig->nsr, -1, &conn), -EBADF);
	assert_int_equal(pipe(pipefd), 0);
	assert_int_equal(nsr_conn_attach(rig->nsr, pipefd[0], &conn), -EBADF);
	close(pipefd[0]);
	close(pipefd[1]);
	l = socket(AF_INET6, SOCK_STREAM, 0);
	assert_int_equal(nsr_conn_attach(rig->nsr, l, &conn), -ENOTCONN);

	/* IPv4 on an IPv6 socket is IPv4 */
	assert_int_equal(bind(l, (void *)&any, sizeof(any)), 0);
	assert_int_equal(listen(l, 1), 0);
	getsockname(l, (void *)&any, &len);
	v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = any.sin6_port,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	a = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(a, (void *)&v4, sizeof(v4)), 0);
	fd = accept(l, NULL, NULL);
	assert_int_equal(nsr_conn_attach(rig->nsr, fd, &conn), 0);
	assert_int_equal(nsr_conn_attach(rig->nsr, fd, &again), -EEXIST);
	rig_expect(rig, NSR_APP_ATTACH);
	assert_int_equal(nsr_wire_u8(&rig->w, NSR_APP_A_FAMILY), AF_INET);
	assert_int_equal(mnl_attr_get_payload_len(rig->w.a[NSR_APP_A_LADDR]), 4);

	b = rig_begin(rig, NSR_APP_ATTACHED);
	nsr_wire_put_u32(b, NSR_APP_A_HANDLE, nsr_wire_u32(&rig->w, NSR_APP_A_HANDLE));
	nsr_wire_put_str(b, NSR_APP_A_TEXT, "no rule of group edge matches");
	rig_send(rig);
	rig_expect_log(rig, "status:0/0 ");
	assert_int_equal(send(a, "ping", 4, 0), 4);
	take(conn, 4);
	assert_int_equal(nsr_consume(conn, 4), 0);
	assert_int_equal(nsr_send(conn, "pong", 4), 4);
	assert_int_equal(nsr_commit(rig->nsr), 0);
	assert_true(rig_nothing(rig));
	rig_read_all(a, buf, 4);

	/* UNPROTECT: the socket lives on */
	assert_int_equal(nsr_conn_close(conn, NSR_UNPROTECT), 0);
	rig_expect(rig, NSR_APP_DETACH);
	assert_true(nsr_wire_has(&rig->w, NSR_APP_A_UNPROTECT));
	assert_int_equal(send(fd, "x", 1, 0), 1);
	rig_read_all(a, buf, 1);
	close(a);
	close(fd);
	close(l);
}

/* Many connections, one transaction. */
static void all_in_one(void **state)
{
	struct rig *rig = *state;
	struct nsr_conn *conn[20];
	struct nsr_wire_op op;
	int far[20], fd, i;

	rig_up(rig, NSR_ROLE_ACTIVE, 1);
	for (i = 0; i < 20; i++) {
		rig_tcp(AF_INET, &far[i], &fd);
		conn[i] = rig_attach(rig, fd, 100 + i);
		assert_int_equal(nsr_send(conn[i], "hi", 2), 2);
		nsr_conn_set_data(conn[i], &far[i]);
		assert_ptr_equal(nsr_conn_get_data(conn[i]), &far[i]);
	}
	nsr_conn_close(conn[3], NSR_FIN);	/* closed before the commit: named no more */
	rig_expect(rig, NSR_APP_DETACH);
	nsr_commit(rig->nsr);
	rig_expect(rig, NSR_APP_TXN);
	for (i = 0; rig_op(rig, i, &op); i++) {
		assert_int_equal(op.kind, NSR_APP_OP_CONN);
		assert_int_not_equal(op.conn_id, 103);
		assert_int_equal(op.snd_written, 2);
	}
	assert_int_equal(i, 19);
	for (i = 0; i < 20; i++) {
		if (i != 3)
			nsr_conn_close(conn[i], NSR_FIN);
		close(far[i]);
	}
}

#define T(f)	cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(attach_commit_ack), T(tail_by_pieces), T(split), T(transaction_is_full), T(back_pressure), T(writable),
		T(refusals_and_none), T(all_in_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
