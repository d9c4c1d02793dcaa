// SPDX-License-Identifier: GPL-2.0-only
/* The link to nsrd: absent, refusing, restarting, talking nonsense. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib_rig.h"

static void refuse(struct rig *rig, int err, const char *text)
{
	struct nsr_wire_buf *b = rig_begin(rig, NSR_APP_REFUSED);

	nsr_wire_put_u32(b, NSR_APP_A_ERRNO, err);
	nsr_wire_put_str(b, NSR_APP_A_TEXT, text);
	rig_send(rig);
}

/* No nsrd at all: a plain socket library. Then nsrd comes. */
static void without_nsrd(void **state)
{
	struct rig *rig = *state;
	struct nsr_conn *conn;
	struct nsr_conn_info info = { .size = sizeof(info) };
	char buf[8];
	int a, fd, ret;

	rig_unlisten(rig);
	rig_tcp(AF_INET, &a, &fd);
	assert_int_equal(nsr_dispatch(rig->nsr, 20), 0);
	assert_non_null(strstr(nsr_strerror(rig->nsr), "is it running?"));
	assert_int_equal(nsr_conn_attach(rig->nsr, fd, &conn), 0);
	assert_int_equal(send(a, "ping", 4, 0), 4);
	do {
		ret = nsr_recv(conn, buf, 8);
	} while (ret == -EAGAIN);
	assert_int_equal(ret, 4);
	assert_int_equal(nsr_consume(conn, 3), 0);
	assert_int_equal(nsr_put(rig->nsr, conn, "k", 1, "v", 1), 0);
	assert_int_equal(nsr_send(conn, "pong", 4), 4);
	assert_int_equal(nsr_commit(rig->nsr), 0);
	rig_read_all(a, buf, 4);
	assert_int_equal(nsr_conn_get_info(conn, &info), 0);
	assert_int_equal(info.mode, NSR_MODE_NONE);
	assert_int_equal(info.snd_written, 4);
	assert_string_equal(rig->log, "");

	rig_listen(rig);
	rig_up(rig, NSR_ROLE_ACTIVE, 1);
	assert_string_equal(nsr_strerror(rig->nsr), "");
	rig_expect(rig, NSR_APP_ATTACH);
	assert_int_equal(nsr_wire_u64(&rig->w, NSR_APP_A_RCV_CONSUMED), 3);
	assert_int_equal(nsr_wire_u64(&rig->w, NSR_APP_A_SND_WRITTEN), 4);
	nsr_conn_close(conn, NSR_FIN);
	close(a);
}

static void put_all(struct rig *rig)
{
	assert_int_equal(nsr_put(rig->nsr, NULL, "all", 3, "1", 1), 0);
	nsr_commit(rig->nsr);
	nsr_snapshot_done(rig->nsr);
}

/* nsrd restarts under an active: nothing happens to connections; attached anew, snapshot, one descriptor. */
static void restart_active(void **state)
{
	struct rig *rig = *state;
	int a, fd, handle_fd = nsr_get_fd(rig->nsr);
	struct nsr_conn *conn;
	struct nsr_wire_buf *b;
	struct nsr_wire_op op;
	char buf[8];

	rig->on_snapshot = put_all;
	rig_up(rig, NSR_ROLE_ACTIVE, 5);
	rig_tcp(AF_INET, &a, &fd);
	conn = rig_attach(rig, fd, 9);
	assert_int_equal(nsr_conn_set_gap(conn, NSR_GAP_REPORT), 0);
	rig_expect(rig, NSR_APP_SET_GAP);
	rig_unlisten(rig);
	rig_expect_log(rig, "link:0 ");
	/* while it is away */
	assert_int_equal(send(a, "abc", 3, 0), 3);
	while (nsr_recv(conn, buf, 8) == -EAGAIN)
		;
	assert_int_equal(nsr_consume(conn, 1), 0);
	assert_int_equal(nsr_send(conn, "x", 1), 1);
	assert_int_equal(nsr_put(rig->nsr, NULL, "lost", 4, "?", 1), 0);
	assert_int_equal(nsr_commit(rig->nsr), 0);
	assert_int_equal(nsr_consume(conn, 1), 0);	/* not committed */
	rig_listen(rig);
	rig_accept(rig);
	rig_welcome(rig, NSR_ROLE_ACTIVE, 5);
	rig_expect(rig, NSR_APP_ATTACH);
	assert_int_equal(nsr_get_fd(rig->nsr), handle_fd);
	assert_int_equal(nsr_wire_u64(&rig->w, NSR_APP_A_CONN_ID), 9);
	assert_int_equal(nsr_wire_u64(&rig->w, NSR_APP_A_RCV_CONSUMED), 1);
	assert_int_equal(nsr_wire_u64(&rig->w, NSR_APP_A_SND_WRITTEN), 1);
	assert_int_equal(nsr_wire_u8(&rig->w, NSR_APP_A_GAP), NSR_GAP_REPORT);
	b = rig_begin(rig, NSR_APP_SNAPSHOT);
	nsr_wire_put_u32(b, NSR_APP_A_EPOCH, 1);
	rig_send(rig);
	rig_expect(rig, NSR_APP_TXN);
	assert_true(rig_op(rig, 0, &op));
	assert_memory_equal(op.key, "all", 3);
	assert_true(rig_op(rig, 1, &op));
	assert_int_equal(op.rcv_consumed, 2);
	assert_int_equal(op.rcv_tail_end, 3);
	assert_int_equal(op.data_len, 1);
	rig_expect(rig, NSR_APP_SNAPSHOT_DONE);
	rig_expect_log(rig, "link:1 snapshot ");	/* the role stayed as it was */
	nsr_conn_close(conn, NSR_FIN);
	close(a);
}

/* Under a standby: every shadow goes, everything comes anew. */
static void restart_standby(void **state)
{
	struct rig *rig = *state;
	int a, a2, fd;

	rig_up(rig, NSR_ROLE_STANDBY, 5);
	rig_tcp(AF_INET, &a, &fd);
	rig_shadow(rig, fd, 9);
	rig_tcp(AF_INET, &a2, &fd);
	rig_shadow(rig, fd, 10);
	rig_unlisten(rig);
	rig_expect_log(rig, "link:0 ");
	rig_listen(rig);
	rig_accept(rig);
	rig_welcome(rig, NSR_ROLE_STANDBY, 5);
	rig_expect_log(rig, "link:1 gone:3 gone:3 ");
	close(a);
	rig_tcp(AF_INET, &a, &fd);
	rig_shadow(rig, fd, 9);
	close(a);
	close(a2);
}

/* The role changed while nobody told: a standby became active, an active was demoted. */
static void role_changed_meanwhile(void **state)
{
	struct rig *rig = *state;
	struct nsr_conn *conn;
	int a, fd;

	rig_up(rig, NSR_ROLE_STANDBY, 5);
	rig_tcp(AF_INET, &a, &fd);
	conn = rig_shadow(rig, fd, 9);
	rig_unlisten(rig);
	rig_expect_log(rig, "link:0 ");
	rig_listen(rig);
	rig_accept(rig);
	rig_welcome(rig, NSR_ROLE_ACTIVE, 6);
	rig_expect(rig, NSR_APP_ATTACH);
	assert_int_equal(nsr_wire_u64(&rig->w, NSR_APP_A_CONN_ID), 9);
	assert_false(nsr_wire_has(&rig->w, NSR_APP_A_RCV_CONSUMED));
	rig_expect_log(rig, "link:1 role:2/6 ");
	rig_resumed(rig, 9, 4, 4, 2);
	rig_expect_log(rig, "resumed:4/2 ");
	assert_int_equal(nsr_send(conn, "x", 1), 1);

	rig_unlisten(rig);
	rig_expect_log(rig, "link:0 ");
	rig_listen(rig);
	rig_accept(rig);
	rig_welcome(rig, NSR_ROLE_STANDBY, 7);
	rig_expect_log(rig, "link:1 gone:1 role:1/7 ");
	close(a);
}

static void final_refusals(void **state)
{
	static const int errs[] = { EACCES, ENOENT, EPROTO };
	struct rig *rig = *state;
	struct pollfd p = { .events = POLLIN };
	struct nsr_conn *conn;
	int a, fd, ret, i, err = errs[random() % 3];

	rig_accept(rig);
	refuse(rig, err, "no group \"edge\" on this box; see nsrctl show groups");
	for (i = 0, ret = 0; i < 1000 && !ret; i++)
		ret = nsr_dispatch(rig->nsr, 5);
	assert_int_equal(ret, -err);
	assert_int_equal(nsr_dispatch(rig->nsr, -1), -err);
	assert_string_equal(nsr_strerror(rig->nsr), "no group \"edge\" on this box; see nsrctl show groups");
	/* and it stays so, quietly; connections work as plain ones */
	p.fd = nsr_get_fd(rig->nsr);
	assert_int_equal(poll(&p, 1, 200), 0);
	assert_int_equal(accept(rig->listener, NULL, NULL), -1);
	rig_tcp(AF_INET, &a, &fd);
	assert_int_equal(nsr_conn_attach(rig->nsr, fd, &conn), 0);
	assert_int_equal(nsr_send(conn, "x", 1), 1);
	assert_int_equal(nsr_commit(rig->nsr), 0);
	nsr_conn_close(conn, NSR_FIN);
	close(a);
}

/* Busy (the former process is not gone yet): tried again. */
static void busy(void **state)
{
	struct rig *rig = *state;

	rig_accept(rig);
	refuse(rig, EBUSY, "application test is attached already");
	rig_up(rig, NSR_ROLE_ACTIVE, 1);
}

/* A refusal while we write: its words are read before the end of the link. */
static void refused_while_writing(void **state)
{
	static uint8_t val[30000];
	struct rig *rig = *state;
	int i, ret = 0;

	rig_up(rig, NSR_ROLE_ACTIVE, 1);
	for (i = 0; i < 40; i++) {
		nsr_put(rig->nsr, NULL, "k", 1, val, sizeof(val));
		nsr_commit(rig->nsr);
	}
	refuse(rig, EPROTO, "malformed");
	rig_unlisten(rig);		/* with messages of ours unread */
	nsr_put(rig->nsr, NULL, "k", 1, val, sizeof(val));
	nsr_commit(rig->nsr);
	for (i = 0; i < 1000 && ret >= 0; i++)
		ret = nsr_dispatch(rig->nsr, 5);
	assert_int_equal(ret, -EPROTO);
	assert_string_equal(nsr_strerror(rig->nsr), "malformed");
	assert_string_equal(rig->log, "link:0 ");
}

/* Nonsense from nsrd: the link goes and is found again; never a crash, never a callback too many. */
static void garbage(void **state)
{
	static const uint32_t torn[] = { 20, NSR_APP_SYNCED, 1, 0, 0xffff0004 };
	struct rig *rig = *state;
	struct nsr_wire_buf *b;
	int i;

	for (i = 0; i < 7; i++) {
		rig_up(rig, NSR_ROLE_ACTIVE, 1 + i);
		switch (i) {
		case 0:
			rig_send_raw(rig, "x", 1);
			break;
		case 1:
			rig_send_raw(rig, torn, sizeof(torn));
			break;
		case 2:		/* a message left out */
			rig->seq_out++;
			rig_send_plain(rig, NSR_APP_SYNCED);
			break;
		case 3:		/* only an application says this */
			rig_send_plain(rig, NSR_APP_DRAINED);
			break;
		case 4:
			rig_welcome(rig, NSR_ROLE_ACTIVE, 1);
			break;
		case 5:		/* never sent */
			b = rig_begin(rig, NSR_APP_TXN_ACK);
			nsr_wire_put_u64(b, NSR_APP_A_TXN, 1);
			rig_send(rig);
			break;
		case 6:		/* an OP that is no state */
			b = rig_begin(rig, NSR_APP_TXN);
			nsr_wire_op_begin(b, NSR_APP_OP_CONN, 1, 0);
			nsr_wire_op_end(b);
			rig_send(rig);
			break;
		}
		rig_expect_log(rig, "link:0 ");
		assert_non_null(strstr(nsr_strerror(rig->nsr), "malformed"));
	}
	rig_accept(rig);
	rig_send_plain(rig, NSR_APP_SYNCED);		/* before WELCOME */
	rig_up(rig, NSR_ROLE_ACTIVE, 100);
}

/* Random well-formed messages in random order: whatever nsrd says, the library stands. */
static void random_talk(void **state)
{
	const char *env = getenv("SEED");
	unsigned int seed = env ? strtoul(env, NULL, 0) : (unsigned int)time(NULL);
	static const unsigned int types[] = {
		NSR_APP_ROLE, NSR_APP_SNAPSHOT, NSR_APP_ATTACHED, NSR_APP_TXN_ACK, NSR_APP_SYNCED,
		NSR_APP_CONN_ADDED, NSR_APP_CONN_TAIL, NSR_APP_CONN_RESUMED, NSR_APP_CONN_GONE,
		NSR_APP_CONN_STATUS, NSR_APP_FROZEN, NSR_APP_TXN,
	};
	struct rig *rig = *state;
	struct nsr_wire_buf *b;
	int i, a, fd, on = 0;

	print_message("# seed %u\n", seed);
	srandom(seed);
	rig_up(rig, NSR_ROLE_STANDBY, 1);
	for (i = 0; i < 3000; i++) {
		unsigned int type = types[random() % 12];
		struct nsr_conn *conn;

		rig->close_added = random() % 4 == 0;
		rig->close_resumed = random() % 4 == 0;
		b = rig_begin(rig, type);
		nsr_wire_put_u8(b, NSR_APP_A_ROLE, random() % 4);
		nsr_wire_put_u64(b, NSR_APP_A_TERM, random() % 3);
		nsr_wire_put_u32(b, NSR_APP_A_EPOCH, 1);
		nsr_wire_put_u32(b, NSR_APP_A_HANDLE, random() % 8);
		nsr_wire_put_u64(b, NSR_APP_A_CONN_ID, random() % 8);
		nsr_wire_put_u8(b, NSR_APP_A_MODE, random() % 3);
		nsr_wire_put_u64(b, NSR_APP_A_TXN, random() % 2);
		nsr_wire_put_u8(b, NSR_APP_A_FAMILY, AF_INET);
		nsr_wire_put_bytes(b, NSR_APP_A_LADDR, "abcd", 4);
		nsr_wire_put_bytes(b, NSR_APP_A_RADDR, "efgh", 4);
		nsr_wire_put_u16(b, NSR_APP_A_LPORT, 1);
		nsr_wire_put_u16(b, NSR_APP_A_RPORT, 2);
		nsr_wire_put_u8(b, NSR_APP_A_WHY, random() % 5);
		nsr_wire_put_u64(b, NSR_APP_A_RCV_CONSUMED, random() % 4);
		nsr_wire_put_u64(b, NSR_APP_A_RCV_TAIL_END, random() % 6);
		nsr_wire_put_u64(b, NSR_APP_A_SND_POS, random() % 4);
		nsr_wire_put_u64(b, NSR_APP_A_RCV_MISSING, random() % 2);
		nsr_wire_put_u64(b, NSR_APP_A_DATA_POS, random() % 4);
		nsr_wire_put_bytes(b, NSR_APP_A_DATA, "data", random() % 5);
		if (random() % 2) {
			nsr_wire_op_begin(b, 1 + random() % 2, random() % 8, 0);
			nsr_wire_put_bytes(b, NSR_APP_A_KEY, "key", 3);
			nsr_wire_op_end(b);
		}
		if (type == NSR_APP_CONN_ADDED) {
			rig_tcp(AF_INET, &a, &fd);
			rig_send_fd(rig, &fd, random() % 8 != 0);
			close(fd);
			close(a);
		} else {
			rig_send(rig);
		}
		if (random() % 10 == 0) {
			rig_tcp(AF_INET, &a, &fd);
			if (nsr_conn_attach(rig->nsr, fd, &conn))
				close(fd);
			else if (random() % 2)
				nsr_conn_close(conn, random() % 2);
			close(a);
		}
		if (random() % 10 == 0)
			nsr_put(rig->nsr, NULL, "k", 1, "v", 1);
		if (random() % 10 == 0)
			nsr_left(rig->nsr);
		nsr_commit(rig->nsr);
		assert_true(nsr_dispatch(rig->nsr, 0) >= 0);
		while (recv(rig->sock, rig->rx, sizeof(rig->rx), MSG_DONTWAIT) > 0)
			on++;
		if (strstr(rig->log, "link:0")) {
			rig->log[0] = '\0';
			rig_accept(rig);
			rig_welcome(rig, random() % 4, 1);
		}
		rig->log[0] = '\0';
	}
	assert_true(on > 0);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(without_nsrd), T(restart_active), T(restart_standby), T(role_changed_meanwhile),
		T(final_refusals), T(busy), T(refused_while_writing), T(garbage), T(random_talk),
	};

	srandom(time(NULL));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
