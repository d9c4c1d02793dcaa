// SPDX-License-Identifier: GPL-2.0-only
/* ORDER, standby: shadows, state, synced; then the role, the tails, resumed, and on with real sockets. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib_rig.h"

static void put(struct nsr_wire_buf *b, uint64_t id, const char *key, const void *val, size_t len, size_t pos)
{
	nsr_wire_op_begin(b, NSR_APP_OP_PUT, id, 0);
	nsr_wire_put_bytes(b, NSR_APP_A_KEY, key, strlen(key));
	if (pos)
		nsr_wire_put_u64(b, NSR_APP_A_DATA_POS, pos);
	nsr_wire_put_bytes(b, NSR_APP_A_VALUE, val, len);
	nsr_wire_op_end(b);
}

static void send_tail(struct rig *rig, uint64_t id, uint64_t consumed, uint64_t pos, const void *p, size_t len)
{
	struct nsr_wire_buf *b = rig_begin(rig, NSR_APP_CONN_TAIL);

	nsr_wire_put_u64(b, NSR_APP_A_CONN_ID, id);
	nsr_wire_put_u64(b, NSR_APP_A_RCV_CONSUMED, consumed);
	nsr_wire_put_u64(b, NSR_APP_A_DATA_POS, pos);
	nsr_wire_put_bytes(b, NSR_APP_A_DATA, p, len);
	rig_send(rig);
}

static void shadow_to_resumed(void **state)
{
	struct rig *rig = *state;
	struct nsr_conn *conn;
	struct nsr_wire_buf *b;
	struct nsr_wire_op op;
	char buf[64];
	int a, fd;

	rig_up(rig, NSR_ROLE_STANDBY, 7);
	rig_tcp(AF_INET, &a, &fd);
	conn = rig_shadow(rig, fd, 9);
	assert_int_not_equal(rig->fd, fd);
	assert_int_not_equal(fcntl(rig->fd, F_GETFL) & O_NONBLOCK, 0);
	assert_int_not_equal(fcntl(rig->fd, F_GETFD) & FD_CLOEXEC, 0);
	assert_int_equal(rig->info.active_open, 1);
	assert_int_equal(rig->info.mode, NSR_MODE_ADOPT);
	assert_int_equal(((struct sockaddr_in *)&rig->info.local)->sin_port, htons(179));
	assert_int_equal(((struct sockaddr_in *)&rig->info.remote)->sin_addr.s_addr, htonl(0x0a000002));

	b = rig_begin(rig, NSR_APP_TXN);
	put(b, 9, "mine", "1", 1, 0);
	put(b, 0, "free", "2", 1, 0);
	put(b, 1234, "whose", "3", 1, 0);	/* its connection is gone: nobody is told */
	put(b, 0, "empty", "", 0, 0);
	nsr_wire_op_begin(b, NSR_APP_OP_DEL, 9, 0);
	nsr_wire_put_bytes(b, NSR_APP_A_KEY, "mine", 4);
	nsr_wire_op_end(b);
	rig_send(rig);
	rig_send_plain(rig, NSR_APP_SYNCED);
	rig_expect_log(rig, "state:conn/mine=1 state:free=2 state:empty= state:conn/mine=deleted synced ");

	/* A shadow is quiet in both directions, and a standby has nothing to say. */
	assert_int_equal(nsr_recv(conn, buf, sizeof(buf)), -EAGAIN);
	assert_int_equal(nsr_send(conn, "x", 1), -EAGAIN);
	assert_int_equal(nsr_put(rig->nsr, NULL, "k", 1, "v", 1), -EPERM);
	assert_int_equal(nsr_commit(rig->nsr), 0);
	assert_true(rig_nothing(rig));

	/* The takeover: the far end repeats what was not in the tail. */
	assert_int_equal(send(a, "fghij", 5, 0), 5);
	rig_send_role(rig, NSR_ROLE_ACTIVE, 8);
	rig_expect_log(rig, "role:2/8 ");
	assert_int_equal(nsr_recv(conn, buf, sizeof(buf)), -EAGAIN);
	send_tail(rig, 9, 1000, 1000, "abc", 3);
	send_tail(rig, 9, 1000, 1003, "de", 2);
	rig_resumed(rig, 9, 1000, 1005, 777);
	rig_expect_log(rig, "resumed:1000/777 ");
	assert_int_equal(rig->resume.tail_len, 5);
	assert_int_equal(rig->resume.rcv_missing, 0);
	assert_int_equal(nsr_recv(conn, buf, 4), 4);
	assert_int_equal(nsr_recv(conn, buf + 4, 60), 1);	/* the tail first */
	assert_int_equal(nsr_recv(conn, buf + 5, 59), 5);
	assert_memory_equal(buf, "abcdefghij", 10);
	assert_int_equal(nsr_recv(conn, buf, 1), -EAGAIN);

	assert_int_equal(nsr_consume(conn, 7), 0);
	assert_int_equal(nsr_send(conn, "reply", 5), 5);
	assert_int_equal(nsr_commit(rig->nsr), 0);
	rig_expect(rig, NSR_APP_TXN);
	assert_true(rig_op(rig, 0, &op));
	assert_int_equal(op.conn_id, 9);
	assert_int_equal(op.rcv_consumed, 1007);
	assert_int_equal(op.rcv_tail_end, 1010);
	assert_int_equal(op.data_pos, 1007);
	assert_int_equal(op.snd_written, 782);
	rig_read_all(a, buf, 5);

	/* A second RESUMED changes nothing. */
	rig_resumed(rig, 9, 0, 0, 0);
	assert_true(rig_nothing(rig));
	assert_string_equal(rig->log, "");
	nsr_conn_close(conn, NSR_FIN);
	close(a);
}

/* A gap that was reported: positions go on behind it, the tail in front is counted from there. */
static void resumed_with_gap(void **state)
{
	struct rig *rig = *state;
	struct nsr_conn *conn;
	struct nsr_wire_buf *b;
	struct nsr_wire_op op;
	char buf[16];
	int a, fd;

	rig_up(rig, NSR_ROLE_STANDBY, 7);
	rig_tcp(AF_INET, &a, &fd);
	conn = rig_shadow(rig, fd, 9);
	rig_send_role(rig, NSR_ROLE_ACTIVE, 8);
	send_tail(rig, 9, 100, 100, "ab", 2);
	b = rig_begin(rig, NSR_APP_CONN_RESUMED);
	nsr_wire_put_u64(b, NSR_APP_A_CONN_ID, 9);
	nsr_wire_put_u64(b, NSR_APP_A_RCV_CONSUMED, 100);
	nsr_wire_put_u64(b, NSR_APP_A_RCV_TAIL_END, 102);
	nsr_wire_put_u64(b, NSR_APP_A_SND_POS, 50);
	nsr_wire_put_u64(b, NSR_APP_A_SND_WRITTEN, 60);
	nsr_wire_put_u64(b, NSR_APP_A_RCV_MISSING, 30);
	nsr_wire_put_u64(b, NSR_APP_A_RCV_UNCERTAIN, 4);
	nsr_wire_put_u8(b, NSR_APP_A_SND_UNCERTAIN, 1);
	rig_send(rig);
	rig_expect_log(rig, "role:2/8 resumed:100/50 ");
	assert_int_equal(rig->resume.rcv_missing, 30);
	assert_int_equal(rig->resume.rcv_uncertain, 4);
	assert_int_equal(rig->resume.snd_known, 60);
	assert_int_equal(rig->resume.snd_uncertain, 1);
	assert_int_equal(rig->resume.planned, 0);
	assert_int_equal(send(a, "cd", 2, 0), 2);
	assert_int_equal(nsr_recv(conn, buf, 16), 2);
	while (nsr_recv(conn, buf + 2, 14) == -EAGAIN)
		;
	assert_memory_equal(buf, "abcd", 4);
	assert_int_equal(nsr_consume(conn, 3), 0);
	nsr_commit(rig->nsr);
	rig_expect(rig, NSR_APP_TXN);
	assert_true(rig_op(rig, 0, &op));
	assert_int_equal(op.rcv_consumed, 133);		/* the socket's byte "d" is at 133 */
	assert_int_equal(op.rcv_tail_end, 134);
	assert_int_equal(op.snd_written, 50);
	nsr_conn_close(conn, NSR_FIN);
	close(a);
}

static void long_value(void **state)
{
	static uint8_t val[NSR_VALUE_MAX];
	struct rig *rig = *state;
	struct nsr_wire_buf *b;
	size_t i;

	for (i = 0; i < sizeof(val); i++)
		val[i] = i * 11 >> 3;
	rig_up(rig, NSR_ROLE_STANDBY, 7);
	b = rig_begin(rig, NSR_APP_TXN);
	put(b, 0, "long", val, 40000, 0);
	put(b, 0, "long", val + 40000, 20000, 40000);
	put(b, 0, "long", val + 60000, sizeof(val) - 60000, 60000);
	put(b, 0, "next", "n", 1, 0);
	rig_send(rig);
	rig_expect_log(rig, "state:long=(65536) state:next=n ");
	b = rig_begin(rig, NSR_APP_TXN);
	put(b, 0, "long", val, 40000, 0);
	put(b, 0, "long", val + 40000, sizeof(val) - 40000, 40000);
	rig_send(rig);
	rig_expect_log(rig, "state:long=(65536) ");
	assert_int_equal(rig->value_len, sizeof(val));
	assert_memory_equal(rig->value, val, sizeof(val));
}

/* Descriptors: more than one with a message, one with a message that wants none, none where one is due. */
static void surplus_descriptors(void **state)
{
	struct rig *rig = *state;
	struct nsr_wire_buf *b;
	char buf[1];
	int a, fd, pair[2], fds[3];

	rig_up(rig, NSR_ROLE_STANDBY, 7);
	rig_tcp(AF_INET, &a, &fd);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	rig_begin(rig, NSR_APP_SYNCED);
	rig_send_fd(rig, &pair[1], 1);
	rig_expect_log(rig, "synced ");
	rig_begin(rig, NSR_APP_SYNCED);
	fds[0] = fds[1] = fds[2] = pair[1];
	rig_send_fd(rig, fds, 3);
	rig_expect_log(rig, "synced ");
	close(pair[1]);
	/* every copy is closed: the end of the stream is here */
	assert_int_equal(recv(pair[0], buf, 1, 0), 0);
	close(pair[0]);

	b = rig_begin(rig, NSR_APP_CONN_ADDED);
	nsr_wire_put_u64(b, NSR_APP_A_CONN_ID, 5);
	nsr_wire_put_u8(b, NSR_APP_A_FAMILY, AF_INET);
	nsr_wire_put_bytes(b, NSR_APP_A_LADDR, "\x0a\x00\x00\x01", 4);
	nsr_wire_put_bytes(b, NSR_APP_A_RADDR, "\x0a\x00\x00\x02", 4);
	nsr_wire_put_u16(b, NSR_APP_A_LPORT, 1);
	nsr_wire_put_u16(b, NSR_APP_A_RPORT, 1);
	rig_send(rig);
	rig_expect(rig, NSR_APP_DETACH);
	assert_int_equal(nsr_wire_u64(&rig->w, NSR_APP_A_CONN_ID), 5);
	assert_non_null(strstr(nsr_strerror(rig->nsr), "no descriptor"));
	close(a);
	close(fd);
}

/* Connections freed in the very callback that names them; the handle as well. */
static void freed_in_callbacks(void **state)
{
	struct rig *rig = *state;
	struct nsr_wire_buf *b;
	int a[3], fd, i;

	rig_up(rig, NSR_ROLE_STANDBY, 7);
	for (i = 0; i < 3; i++) {
		rig_tcp(AF_INET, &a[i], &fd);
		rig->close_added = i == 0;
		rig_shadow(rig, fd, 10 + i);
		if (i == 0)
			rig_expect(rig, NSR_APP_DETACH);
	}
	rig->close_resumed = true;
	rig_send_role(rig, NSR_ROLE_ACTIVE, 8);
	rig_resumed(rig, 11, 0, 0, 0);
	rig_resumed(rig, 11, 0, 0, 0);		/* it is gone: nothing */
	rig_expect_log(rig, "role:2/8 resumed:0/0 ");
	b = rig_begin(rig, NSR_APP_CONN_GONE);
	nsr_wire_put_u64(b, NSR_APP_A_CONN_ID, 12);
	nsr_wire_put_u8(b, NSR_APP_A_WHY, NSR_GONE_GAP);
	nsr_wire_put_str(b, NSR_APP_A_TEXT, "12 bytes missing");
	rig_send(rig);
	rig_expect_log(rig, "gone:2 ");
	for (i = 0; i < 3; i++)
		close(a[i]);
}

static void close_handle(struct rig *rig, enum nsr_role role)
{
	(void)role;
	nsr_close(rig->nsr);
}

static void handle_freed_in_callback(void **state)
{
	struct rig *rig = *state;

	rig_accept(rig);
	rig->on_role = close_handle;
	rig_welcome(rig, NSR_ROLE_ACTIVE, 1);
	assert_int_equal(nsr_dispatch(rig->nsr, -1), 2);	/* link, role; freed with its return */
	rig->on_role = NULL;
	rig_unlisten(rig);
	rig_listen(rig);
	{
		static const struct nsr_listener none = { .size = sizeof(none) };

		assert_int_equal(nsr_open(rig->path, "edge", "test", &none, rig, &rig->nsr), -EINVAL);
		rig->nsr = NULL;
	}
}

/* The same connection again: the old shadow goes first. A tail with a hole, or none where one is due. */
static void contradictions(void **state)
{
	struct rig *rig = *state;
	struct nsr_wire_buf *b;
	int a, a2, a3, fd, fd2, fd3;

	rig_up(rig, NSR_ROLE_STANDBY, 7);
	rig_tcp(AF_INET, &a, &fd);
	rig_tcp(AF_INET, &a2, &fd2);
	rig_tcp(AF_INET, &a3, &fd3);
	rig_shadow(rig, fd, 9);
	b = rig_begin(rig, NSR_APP_CONN_ADDED);
	nsr_wire_put_u64(b, NSR_APP_A_CONN_ID, 9);
	nsr_wire_put_u8(b, NSR_APP_A_FAMILY, AF_INET);
	nsr_wire_put_bytes(b, NSR_APP_A_LADDR, "\x0a\x00\x00\x01", 4);
	nsr_wire_put_bytes(b, NSR_APP_A_RADDR, "\x0a\x00\x00\x02", 4);
	nsr_wire_put_u16(b, NSR_APP_A_LPORT, htons(179));
	nsr_wire_put_u16(b, NSR_APP_A_RPORT, htons(40000));
	rig_send_fd(rig, &fd2, 1);
	close(fd2);
	rig_expect_log(rig, "gone:3 added ");
	rig_expect(rig, NSR_APP_CLAIMED);
	rig_shadow(rig, fd3, 10);
	rig_send_role(rig, NSR_ROLE_ACTIVE, 8);
	rig_resumed(rig, 10, 5, 9, 1);			/* four bytes that never came */
	rig_expect_log(rig, "role:2/8 gone:4 ");
	send_tail(rig, 9, 0, 0, "ab", 2);
	send_tail(rig, 9, 0, 3, "d", 1);		/* "c" is missing: the link goes, nothing else */
	rig_expect_log(rig, "link:0 ");
	assert_non_null(strstr(nsr_strerror(rig->nsr), "hole"));
	close(a);
	close(a2);
	close(a3);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(shadow_to_resumed), T(resumed_with_gap), T(long_value), T(surplus_descriptors),
		T(freed_in_callbacks), T(handle_freed_in_callback), T(contradictions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
