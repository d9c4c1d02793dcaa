// SPDX-License-Identifier: GPL-2.0-only
/* ORDER, leaving: the far ends acknowledge, LEFT, FROZEN, the tails, DRAINED; then either way. */
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

struct pair {
	int a;
	struct nsr_conn *conn;
};

static struct pair leaving(struct rig *rig, struct nsr_conn **plain)
{
	struct nsr_wire_buf *b;
	struct pair p;
	int fd, a;

	rig_up(rig, NSR_ROLE_ACTIVE, 5);
	rig_tcp(AF_INET, &p.a, &fd);
	p.conn = rig_attach(rig, fd, 9);
	*plain = NULL;
	if (plain) {
		rig_tcp(AF_INET, &a, &fd);
		close(a);
		assert_int_equal(nsr_conn_attach(rig->nsr, fd, plain), 0);
		rig_expect(rig, NSR_APP_ATTACH);
		b = rig_begin(rig, NSR_APP_ATTACHED);
		nsr_wire_put_u32(b, NSR_APP_A_HANDLE, nsr_wire_u32(&rig->w, NSR_APP_A_HANDLE));
		rig_send(rig);
		rig_expect_log(rig, "status:0/0 ");
	}
	assert_int_equal(nsr_left(rig->nsr), -EPERM);
	rig_send_role(rig, NSR_ROLE_LEAVING, 5);
	rig_expect_log(rig, "role:3/5+3000 ");
	return p;
}

/* Up to DRAINED: "ab" consumed of "abcdef", "cd" read, "ef" in the socket. */
static struct pair drained(struct rig *rig, struct nsr_conn **plain)
{
	struct pair p = leaving(rig, plain);
	struct nsr_wire_op op;
	char buf[8];

	assert_int_equal(send(p.a, "abcd", 4, 0), 4);
	wait_readable(nsr_conn_get_fd(p.conn));
	assert_int_equal(nsr_recv(p.conn, buf, 8), 4);
	assert_int_equal(nsr_consume(p.conn, 2), 0);
	assert_int_equal(nsr_send(p.conn, "bye", 3), 3);
	assert_int_equal(nsr_put(rig->nsr, NULL, "k", 1, "v", 1), 0);
	assert_int_equal(nsr_left(rig->nsr), 0);
	assert_int_equal(nsr_left(rig->nsr), 0);
	rig_expect(rig, NSR_APP_TXN);			/* what nsr_left() found uncommitted */
	rig_expect(rig, NSR_APP_LEFT);
	rig_read_all(p.a, buf, 3);

	assert_int_equal(nsr_send(p.conn, "x", 1), -ESHUTDOWN);
	assert_int_equal(nsr_put(rig->nsr, NULL, "k", 1, "v", 1), -ESHUTDOWN);
	assert_int_equal(nsr_del(rig->nsr, NULL, "k", 1), -ESHUTDOWN);
	assert_int_equal(nsr_consume(p.conn, 1), -ESHUTDOWN);
	assert_int_equal(nsr_recv(p.conn, buf, 8), -EAGAIN);
	if (*plain)
		assert_int_equal(nsr_send(*plain, "x", 1), 1);

	assert_int_equal(send(p.a, "ef", 2, 0), 2);
	wait_readable(nsr_conn_get_fd(p.conn));
	rig_send_plain(rig, NSR_APP_FROZEN);
	rig_expect(rig, NSR_APP_TXN);
	assert_true(rig_op(rig, 0, &op));
	assert_int_equal(op.kind, NSR_APP_OP_CONN);
	assert_int_equal(op.rcv_consumed, 2);
	assert_int_equal(op.rcv_tail_end, 6);
	assert_int_equal(op.data_pos, 4);		/* "cd" was shipped by the first */
	assert_int_equal(op.data_len, 2);
	assert_int_equal(op.snd_written, 3);
	rig_expect(rig, NSR_APP_DRAINED);
	assert_int_equal(nsr_commit(rig->nsr), 0);
	assert_true(rig_nothing(rig));
	return p;
}

static void handed_over(void **state)
{
	struct rig *rig = *state;
	struct nsr_conn *plain;
	struct pair p = drained(rig, &plain);
	struct nsr_wire_buf *b;

	b = rig_begin(rig, NSR_APP_CONN_GONE);
	nsr_wire_put_u64(b, NSR_APP_A_CONN_ID, 9);
	nsr_wire_put_u8(b, NSR_APP_A_WHY, NSR_GONE_DEMOTED);
	rig_send(rig);
	rig_send_role(rig, NSR_ROLE_STANDBY, 6);
	rig_expect_log(rig, "gone:1 role:1/6 ");
	nsr_conn_close(plain, NSR_FIN);			/* no rule matched it: it was not taken away */
	close(p.a);
}

/* nsrd says the role only: each protected connection goes first, all the same. */
static void demoted(void **state)
{
	struct rig *rig = *state;
	struct nsr_conn *plain;
	struct pair p = drained(rig, &plain);

	rig_send_role(rig, NSR_ROLE_STANDBY, 6);
	rig_expect_log(rig, "gone:1 role:1/6 ");
	nsr_conn_close(plain, NSR_FIN);
	close(p.a);
}

static void called_off(void **state)
{
	struct rig *rig = *state;
	struct nsr_conn *plain;
	struct pair p = drained(rig, &plain);
	struct nsr_wire_op op;
	char buf[8];

	assert_int_equal(send(p.a, "gh", 2, 0), 2);
	rig_send_role(rig, NSR_ROLE_ACTIVE, 5);
	rig_expect_log(rig, "role:2/5 resumed:2/3 ");
	assert_int_equal(rig->resume.tail_len, 4);
	assert_int_equal(rig->resume.planned, 1);
	assert_int_equal(nsr_recv(p.conn, buf, 8), 4);
	wait_readable(nsr_conn_get_fd(p.conn));
	assert_int_equal(nsr_recv(p.conn, buf + 4, 4), 2);
	assert_memory_equal(buf, "cdefgh", 6);
	assert_int_equal(nsr_consume(p.conn, 6), 0);
	assert_int_equal(nsr_send(p.conn, "on", 2), 2);
	nsr_commit(rig->nsr);
	rig_expect(rig, NSR_APP_TXN);
	assert_true(rig_op(rig, 0, &op));
	assert_int_equal(op.rcv_consumed, 8);
	assert_int_equal(op.snd_written, 5);
	rig_read_all(p.a, buf, 2);
	nsr_conn_close(p.conn, NSR_FIN);
	nsr_conn_close(plain, NSR_FIN);
	close(p.a);
}

/* LEFT waits for the far end's ACKs: a receiver whose window is full holds it back. */
static void waits_for_acks(void **state)
{
	static char buf[1 << 20];
	struct rig *rig = *state;
	struct nsr_conn *plain;
	struct pair p = leaving(rig, &plain);
	uint64_t sent = 0, got = 0;
	ssize_t n;

	while ((n = nsr_send(p.conn, buf, sizeof(buf))) > 0)
		sent += n;
	assert_int_equal(nsr_left(rig->nsr), 0);
	do {		/* the last transaction */
		rig_expect(rig, NSR_APP_TXN);
	} while (!nsr_wire_has(&rig->w, NSR_APP_A_LAST));
	assert_true(rig_nothing(rig));
	/* FROZEN although we have not said LEFT: no answer */
	rig_send_plain(rig, NSR_APP_FROZEN);
	assert_true(rig_nothing(rig));
	while (got < sent) {
		n = recv(p.a, buf, sizeof(buf), 0);
		assert_true(n > 0);
		got += n;
	}
	rig_expect(rig, NSR_APP_LEFT);
	rig->log[0] = '\0';
	nsr_conn_close(p.conn, NSR_FIN);
	nsr_conn_close(plain, NSR_FIN);
	close(p.a);
}

/* A far end that died meanwhile holds nothing up. */
static void reset_far_end(void **state)
{
	struct linger abort = { .l_onoff = 1 };
	static char buf[1 << 20];
	struct rig *rig = *state;
	struct nsr_conn *plain;
	struct pair p = leaving(rig, &plain);

	while (nsr_send(p.conn, buf, sizeof(buf)) > 0)
		;
	assert_int_equal(nsr_left(rig->nsr), 0);
	rig_expect(rig, NSR_APP_TXN);
	setsockopt(p.a, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
	close(p.a);
	rig_expect(rig, NSR_APP_LEFT);
	rig->log[0] = '\0';
	nsr_conn_close(p.conn, NSR_FIN);
	nsr_conn_close(plain, NSR_FIN);
}

/*
 * The link is lost and found in between. nsrd asks for a snapshot then, which cannot be given any more: no LEFT,
 * so that it is called off; and then the snapshot.
 */
static void link_lost_meanwhile(void **state)
{
	struct rig *rig = *state;
	struct nsr_wire_buf *b;
	struct nsr_conn *plain;
	struct pair p = drained(rig, &plain);

	rig_unlisten(rig);
	rig_expect_log(rig, "link:0 ");
	rig_listen(rig);
	rig_accept(rig);
	rig_welcome(rig, NSR_ROLE_LEAVING, 5);
	rig_expect(rig, NSR_APP_ATTACH);
	rig_expect(rig, NSR_APP_ATTACH);
	b = rig_begin(rig, NSR_APP_SNAPSHOT);
	nsr_wire_put_u32(b, NSR_APP_A_EPOCH, 1);
	rig_send(rig);
	rig_send_plain(rig, NSR_APP_FROZEN);
	rig_expect_log(rig, "link:1 ");
	assert_true(rig_nothing(rig));
	rig_send_role(rig, NSR_ROLE_ACTIVE, 5);
	rig_expect_log(rig, "role:2/5 resumed:2/3 snapshot ");
	assert_int_equal(nsr_snapshot_done(rig->nsr), 0);
	rig_expect(rig, NSR_APP_TXN);
	rig_expect(rig, NSR_APP_SNAPSHOT_DONE);
	nsr_conn_close(p.conn, NSR_FIN);
	nsr_conn_close(plain, NSR_FIN);
	close(p.a);
}

/* A snapshot half told is no hand-over: no answer, and once it is called off the snapshot begins anew, whole. */
static void snapshot_cut_off(void **state)
{
	struct rig *rig = *state;
	struct nsr_wire_buf *b;
	struct pair p;
	int fd;

	rig_up(rig, NSR_ROLE_ACTIVE, 5);
	rig_tcp(AF_INET, &p.a, &fd);
	p.conn = rig_attach(rig, fd, 9);
	b = rig_begin(rig, NSR_APP_SNAPSHOT);
	nsr_wire_put_u32(b, NSR_APP_A_EPOCH, 1);
	rig_send(rig);
	rig_expect_log(rig, "snapshot ");
	assert_int_equal(nsr_put(rig->nsr, NULL, "half", 4, "v", 1), 0);
	assert_int_equal(nsr_commit(rig->nsr), 0);
	rig_expect(rig, NSR_APP_TXN);
	rig_send_role(rig, NSR_ROLE_LEAVING, 5);
	rig_expect_log(rig, "role:3/5+3000 ");
	assert_int_equal(nsr_left(rig->nsr), 0);
	assert_int_equal(nsr_put(rig->nsr, NULL, "rest", 4, "v", 1), -ESHUTDOWN);
	assert_int_equal(nsr_snapshot_done(rig->nsr), 0);
	assert_true(rig_nothing(rig));
	rig_send_role(rig, NSR_ROLE_ACTIVE, 5);
	rig_expect_log(rig, "role:2/5 resumed:0/0 snapshot ");
	assert_int_equal(nsr_snapshot_done(rig->nsr), 0);
	rig_expect(rig, NSR_APP_TXN);
	rig_expect(rig, NSR_APP_SNAPSHOT_DONE);
	nsr_conn_close(p.conn, NSR_FIN);
	close(p.a);
}

/* The next active goes on with the connection: no FIN and no reset of it leaves this box any more. */
static void closed_behind_left(void **state)
{
	struct rig *rig = *state;
	struct nsr_conn *plain;
	struct pair p = drained(rig, &plain);
	int fd = nsr_conn_get_fd(p.conn), i;
	char c;

	assert_int_equal(nsr_conn_shutdown(p.conn), -ESHUTDOWN);
	assert_int_equal(nsr_conn_close(p.conn, NSR_UNPROTECT), -ESHUTDOWN);
	assert_int_equal(nsr_conn_close(p.conn, NSR_RST), 0);
	for (i = 0; i < 10; i++)
		nsr_dispatch(rig->nsr, 5);
	assert_int_equal(recv(p.a, &c, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	assert_true(rig_nothing(rig));
	/* called off: now it is given */
	rig_send_role(rig, NSR_ROLE_ACTIVE, 5);
	rig_expect_log(rig, "role:2/5 ");
	rig_expect(rig, NSR_APP_DETACH);
	assert_int_equal(recv(p.a, &c, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	nsr_conn_close(plain, NSR_FIN);
	close(p.a);
}

/* Closed meanwhile, it does not keep the others from leaving. */
static void closed_while_others_leave(void **state)
{
	struct rig *rig = *state;
	struct pair p = leaving(rig, &(struct nsr_conn *){ NULL });
	int fd = nsr_conn_get_fd(p.conn);

	assert_int_equal(nsr_left(rig->nsr), 0);
	assert_int_equal(nsr_conn_close(p.conn, NSR_FIN), 0);
	rig_expect(rig, NSR_APP_LEFT);
	rig_send_role(rig, NSR_ROLE_STANDBY, 6);
	rig_expect_log(rig, "role:1/6 ");
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	close(p.a);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(handed_over), T(demoted), T(called_off), T(waits_for_acks), T(reset_far_end),
		T(link_lost_meanwhile), T(snapshot_cut_off), T(closed_behind_left), T(closed_while_others_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
