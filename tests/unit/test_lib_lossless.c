// SPDX-License-Identifier: GPL-2.0-only
/* Mode lossless in libnsr: the journal, and what leaves when. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../lib/nsr.h"
#include "lib_rig.h"

#define N	600		/* more than NSR_RELEASES */
#define BIG	(NSR_APP_JOURNAL_MAX + 100000)

static uint8_t big[BIG];

static uint8_t byte_at(uint64_t pos)
{
	return pos * 2654435761u >> 13;
}

static int setup(void **state)
{
	size_t i;

	for (i = 0; i < BIG; i++)
		big[i] = byte_at(i);
	if (rig_setup(state))
		return -1;
	((struct rig *)*state)->mode = NSR_MODE_LOSSLESS;
	return 0;
}

/* Nothing is there to be read; the library had time to send. */
static bool silent(struct rig *rig, int fd)
{
	char c;
	int i;

	for (i = 0; i < 5; i++)
		nsr_dispatch(rig->nsr, 5);
	return recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

/* The far end reads [pos, pos + n), and compares. */
static void read_stream(struct rig *rig, int fd, uint64_t pos, size_t n)
{
	static uint8_t buf[65536];
	unsigned int patience = 10000;
	size_t i;

	while (n) {
		ssize_t got = recv(fd, buf, n < sizeof(buf) ? n : sizeof(buf), MSG_DONTWAIT);

		if (got < 0) {
			assert_int_equal(errno, EAGAIN);
			nsr_dispatch(rig->nsr, 1);
			assert_true(patience--);
			continue;
		}
		assert_true(got > 0);
		for (i = 0; i < (size_t)got; i++)
			assert_int_equal(buf[i], byte_at(pos + i));
		pos += got;
		n -= got;
	}
}

/* Everything of the next transaction that is about a journal: [*from, *to), which is compared. */
static uint64_t expect_journal(struct rig *rig, uint64_t *from, uint64_t *to)
{
	static uint8_t buf[NSR_APP_CHUNK_MAX];
	struct nsr_wire_op op;
	uint64_t txn;
	unsigned int i;

	*from = *to = UINT64_MAX;
	do {
		rig_expect(rig, NSR_APP_TXN);
		txn = nsr_wire_u64(&rig->w, NSR_APP_A_TXN);
		for (i = 0; rig_op(rig, i, &op); i++) {
			size_t k;

			if (op.kind != NSR_APP_OP_JOURNAL)
				continue;
			if (*from == UINT64_MAX)
				*from = *to = op.data_pos;
			assert_int_equal(op.data_pos, *to);
			nsr_wire_op_bytes(&op, NSR_APP_A_DATA, buf);
			for (k = 0; k < op.data_len; k++)
				assert_int_equal(buf[k], byte_at(op.data_pos + k));
			*to += op.data_len;
		}
	} while (!nsr_wire_has(&rig->w, NSR_APP_A_LAST));
	return txn;
}

static struct nsr_conn *up(struct rig *rig, int *far)
{
	int fd;

	rig_up(rig, NSR_ROLE_ACTIVE, 1);
	rig_tcp(AF_INET, far, &fd);
	return rig_attach(rig, fd, 7);
}

static uint64_t una(struct nsr_conn *conn)
{
	struct nsr_conn_info info = { .size = sizeof(info) };

	assert_int_equal(nsr_conn_get_info(conn, &info), 0);
	return info.snd_una;
}

/* ---- the buffer ---- */

static void journal_model(void **state)
{
	static uint8_t in[30000];
	struct journal j = { 0 };
	uint64_t pos;
	size_t n, k;
	int i;

	(void)state;
	srand(1);
	nsr_journal_init(&j, 1000);
	for (i = 0; i < 3000; i++) {
		n = rand() % sizeof(in);
		for (k = 0; k < n; k++)
			in[k] = byte_at(j.end + k);
		if (n > nsr_journal_room(&j))
			assert_int_equal(nsr_journal_append(&j, in, n), -ENOBUFS);
		else
			assert_int_equal(nsr_journal_append(&j, in, n), 0);
		for (pos = j.base; pos < j.end; pos += n) {
			const uint8_t *p = nsr_journal_at(&j, pos, &n);

			assert_true(n && pos + n <= j.end);
			assert_int_equal(p[0], byte_at(pos));
			assert_int_equal(p[n - 1], byte_at(pos + n - 1));
		}
		/* sometimes it grows to its bound, sometimes nothing is left */
		if (i % 200 > 150)
			nsr_journal_trim(&j, j.base + rand() % 60000);
		else if (!(i % 200))
			nsr_journal_trim(&j, UINT64_MAX);
	}
	nsr_journal_trim(&j, 5);		/* backwards: nothing */
	nsr_journal_trim(&j, UINT64_MAX);
	assert_int_equal(nsr_journal_len(&j), 0);
	nsr_journal_rest(&j);
	assert_null(j.buf);
}

/* ---- what leaves ---- */

static void waits_for_the_standby(void **state)
{
	struct rig *rig = *state;
	uint64_t from, to, txn;
	struct nsr_wire_op op;
	struct nsr_conn *conn;
	int far;

	conn = up(rig, &far);
	assert_int_equal(nsr_send(conn, big, 1000), 1000);
	assert_true(silent(rig, far));			/* not committed */
	nsr_commit(rig->nsr);
	assert_int_equal(nsr_send(conn, big + 1000, 500), 500);
	nsr_commit(rig->nsr);
	txn = expect_journal(rig, &from, &to);
	assert_int_equal(from, 0);
	assert_int_equal(to, 1000);
	assert_int_equal(expect_journal(rig, &from, &to), txn + 1);
	assert_int_equal(from, 1000);			/* each byte is shipped once */
	assert_int_equal(to, 1500);
	assert_true(silent(rig, far));			/* not acknowledged */
	rig_ack(rig, txn);
	read_stream(rig, far, 0, 1000);
	assert_true(silent(rig, far));			/* the second is not */
	rig_ack(rig, txn + 1);
	read_stream(rig, far, 1000, 500);

	/* what the far end has acknowledged is trimmed, and said */
	while (una(conn) < 1500)
		nsr_dispatch(rig->nsr, 1);
	assert_int_equal(nsr_send(conn, big + 1500, 1), 1);
	nsr_commit(rig->nsr);
	rig_expect(rig, NSR_APP_TXN);
	assert_true(rig_op(rig, 0, &op));
	assert_int_equal(op.kind, NSR_APP_OP_CONN);
	assert_int_equal(op.snd_acked, 1500);
	assert_int_equal(op.snd_written, 1501);
	nsr_conn_close(conn, NSR_RST);
	close(far);
}

/* More transactions on their way than the library tells apart: late is allowed, early is not. */
static void many_on_their_way(void **state)
{
	struct rig *rig = *state;
	struct nsr_conn *conn;
	uint64_t first = 0;
	int far, i;

	conn = up(rig, &far);
	for (i = 0; i < N; i++) {
		assert_int_equal(nsr_send(conn, big + 10 * i, 10), 10);
		nsr_commit(rig->nsr);
		rig_expect(rig, NSR_APP_TXN);
		if (!i)
			first = nsr_wire_u64(&rig->w, NSR_APP_A_TXN);
	}
	rig_ack(rig, first + 2);
	read_stream(rig, far, 0, 30);
	assert_true(silent(rig, far));
	rig_ack(rig, first + N - 2);
	read_stream(rig, far, 30, 10 * (NSR_RELEASES - 4));	/* those told apart */
	assert_true(silent(rig, far));
	rig_ack(rig, first + N - 1);
	read_stream(rig, far, 10 * (NSR_RELEASES - 1), 10 * (N - NSR_RELEASES + 1));
	nsr_conn_close(conn, NSR_RST);
	close(far);
}

/* The control: in mode adopt the same bytes leave at once. */
static void adopt_does_not_wait(void **state)
{
	struct rig *rig = *state;
	struct nsr_conn *conn;
	int far;

	rig->mode = NSR_MODE_ADOPT;
	conn = up(rig, &far);
	assert_int_equal(nsr_send(conn, big, 1000), 1000);
	read_stream(rig, far, 0, 1000);
	nsr_conn_close(conn, NSR_FIN);
	close(far);
}

/* Sent before nsrd said what the connection is: it waits, and leaves without an acknowledgement if nobody needs it. */
static void mode_comes_late(void **state)
{
	struct rig *rig = *state;
	struct nsr_conn *conn;
	uint32_t handle;
	int far, fd;

	rig_up(rig, NSR_ROLE_ACTIVE, 1);
	rig_tcp(AF_INET, &far, &fd);
	assert_int_equal(nsr_conn_attach(rig->nsr, fd, &conn), 0);
	rig_expect(rig, NSR_APP_ATTACH);
	handle = nsr_wire_u32(&rig->w, NSR_APP_A_HANDLE);
	assert_int_equal(nsr_send(conn, big, 100), 100);
	assert_true(silent(rig, far));
	rig->mode = NSR_MODE_ADOPT;
	rig_attached(rig, handle, 7, true);
	read_stream(rig, far, 0, 100);
	assert_int_equal(nsr_send(conn, big + 100, 100), 100);
	read_stream(rig, far, 100, 100);
	nsr_conn_close(conn, NSR_FIN);
	close(far);
}

/* Longer than any buffer; the far end reads slowly; nothing stalls, nothing is sent twice. */
static void back_pressure(void **state)
{
	struct rig *rig = *state;
	uint64_t sent = 0, read = 0, from, to;
	struct nsr_conn *conn;
	ssize_t n;
	int far;

	conn = up(rig, &far);
	/* nobody acknowledges: the journal's bound holds */
	while ((n = nsr_send(conn, big + sent, 100000)) > 0) {
		sent += n;
		nsr_commit(rig->nsr);
	}
	assert_int_equal(n, -EAGAIN);
	assert_int_equal(sent, NSR_APP_JOURNAL_MAX);
	assert_int_equal(nsr_send(conn, big, 1), -EAGAIN);
	/* the far end takes a little at a time */
	for (to = 0; to < sent;) {
		rig_ack(rig, expect_journal(rig, &from, &to));
		read_stream(rig, far, read, (to - read) / 3);
		read += (to - read) / 3;
	}
	read_stream(rig, far, read, sent - read);
	rig_expect_log(rig, "writable ");
	n = nsr_send(conn, big + sent, BIG - sent);
	assert_int_equal(n, BIG - sent);
	nsr_commit(rig->nsr);
	rig_ack(rig, expect_journal(rig, &from, &to));
	read_stream(rig, far, sent, n);
	nsr_conn_close(conn, NSR_RST);
	close(far);
}

/* ---- without nsrd ---- */

static void link_breaks_protected(void **state)
{
	struct rig *rig = *state;
	uint64_t from, to, txn;
	struct nsr_conn *conn;
	int far;

	conn = up(rig, &far);
	assert_int_equal(nsr_send(conn, big, 100), 100);
	nsr_commit(rig->nsr);
	rig_ack(rig, expect_journal(rig, &from, &to));
	assert_int_equal(nsr_send(conn, big + 100, 100), 100);
	nsr_commit(rig->nsr);
	txn = expect_journal(rig, &from, &to);
	read_stream(rig, far, 0, 100);
	rig_unlisten(rig);
	rig_expect_log(rig, "link:0 ");
	assert_int_equal(nsr_send(conn, big + 200, 100), 100);
	nsr_commit(rig->nsr);
	assert_true(silent(rig, far));

	rig_listen(rig);
	rig_accept(rig);
	rig_welcome(rig, NSR_ROLE_ACTIVE, 1);
	rig_expect_log(rig, "link:1 ");
	rig_expect(rig, NSR_APP_ATTACH);
	/* nsrd cannot protect it at the moment: still its word counts, not our guess */
	rig_attached(rig, nsr_wire_u32(&rig->w, NSR_APP_A_HANDLE), 7, false);
	assert_int_equal(nsr_put(rig->nsr, NULL, "k", 1, "v", 1), 0);
	assert_true(silent(rig, far));
	nsr_commit(rig->nsr);
	assert_int_equal(expect_journal(rig, &from, &to), txn + 1);
	assert_int_equal(from, 100);			/* the whole, from the far end's ACK on */
	assert_int_equal(to, 300);
	assert_true(silent(rig, far));
	rig_ack(rig, txn + 1);
	read_stream(rig, far, 100, 200);
	nsr_conn_close(conn, NSR_RST);
	close(far);
}

/* nsrd may never have got what went over the former link: a later transaction's ACK says nothing of it. */
static void old_link_old_promise(void **state)
{
	struct rig *rig = *state;
	uint64_t from, to, txn;
	struct nsr_conn *conn;
	int far;

	conn = up(rig, &far);
	assert_int_equal(nsr_send(conn, big, 100), 100);
	nsr_commit(rig->nsr);
	txn = expect_journal(rig, &from, &to);
	rig_accept(rig);				/* closes the old one */
	rig_welcome(rig, NSR_ROLE_ACTIVE, 1);
	rig_expect_log(rig, "link:0 link:1 ");
	rig_expect(rig, NSR_APP_ATTACH);
	rig_attached(rig, nsr_wire_u32(&rig->w, NSR_APP_A_HANDLE), 7, true);
	rig_ack(rig, txn);
	assert_true(silent(rig, far));
	nsr_commit(rig->nsr);
	rig_ack(rig, expect_journal(rig, &from, &to));
	assert_int_equal(from, 0);
	read_stream(rig, far, 0, 100);
	nsr_conn_close(conn, NSR_RST);
	close(far);
}

static void link_breaks_unprotected(void **state)
{
	struct rig *rig = *state;
	struct nsr_wire_buf *b;
	uint64_t from, to;
	struct nsr_conn *conn;
	int far;

	conn = up(rig, &far);
	b = rig_begin(rig, NSR_APP_CONN_STATUS);
	nsr_wire_put_u64(b, NSR_APP_A_CONN_ID, 7);
	nsr_wire_put_u8(b, NSR_APP_A_PROTECTED, 0);
	nsr_wire_put_u8(b, NSR_APP_A_MODE, 2);
	nsr_wire_put_str(b, NSR_APP_A_TEXT, "no standby");
	rig_send(rig);
	rig_expect_log(rig, "status:3/0 ");
	assert_string_equal(rig->info.reason, "no standby");
	assert_int_equal(nsr_send(conn, big, 100), 100);
	nsr_commit(rig->nsr);
	expect_journal(rig, &from, &to);
	assert_true(silent(rig, far));			/* nsrd is there: it has the say */
	rig_unlisten(rig);
	rig_expect_log(rig, "link:0 ");
	read_stream(rig, far, 0, 100);
	assert_int_equal(nsr_send(conn, big + 100, NSR_APP_JOURNAL_MAX - 100), NSR_APP_JOURNAL_MAX - 100);
	nsr_commit(rig->nsr);
	read_stream(rig, far, 100, 1000);

	/* what is in flight is kept for the standby to come */
	rig_listen(rig);
	rig_accept(rig);
	rig_welcome(rig, NSR_ROLE_ACTIVE, 1);
	rig_expect_log(rig, "link:1 ");
	rig_expect(rig, NSR_APP_ATTACH);
	rig_attached(rig, nsr_wire_u32(&rig->w, NSR_APP_A_HANDLE), 7, false);
	nsr_commit(rig->nsr);
	rig_ack(rig, expect_journal(rig, &from, &to));
	assert_true(from >= 100 && from < to);
	assert_int_equal(to, NSR_APP_JOURNAL_MAX);
	read_stream(rig, far, 1100, NSR_APP_JOURNAL_MAX - 1100);
	nsr_conn_close(conn, NSR_RST);
	close(far);
}

/* nsrd refuses for good: plain sockets, also those that were protected. */
static void refused_for_good(void **state)
{
	struct rig *rig = *state;
	struct nsr_wire_buf *b;
	struct nsr_conn *conn;
	int far;

	conn = up(rig, &far);
	assert_int_equal(nsr_send(conn, big, 100), 100);
	b = rig_begin(rig, NSR_APP_REFUSED);
	nsr_wire_put_u32(b, NSR_APP_A_ERRNO, ENOENT);
	nsr_wire_put_str(b, NSR_APP_A_TEXT, "no group");
	rig_send(rig);
	rig_expect_log(rig, "link:0 ");
	read_stream(rig, far, 0, 100);
	assert_int_equal(nsr_send(conn, big + 100, 100), 100);
	read_stream(rig, far, 100, 100);
	nsr_conn_close(conn, NSR_RST);
	close(far);
}

/* ---- the end ---- */

static void expect_eof(struct rig *rig, int far)
{
	char c;
	int i;

	for (i = 0; i < 1000 && recv(far, &c, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN; i++)
		nsr_dispatch(rig->nsr, 5);
	assert_int_equal(recv(far, &c, 1, MSG_DONTWAIT), 0);
}

/* FIN behind the last byte; the application's part is over at once, and it may go on with others. */
static void close_behind_journal(void **state)
{
	struct rig *rig = *state;
	uint64_t from, to, txn;
	struct nsr_conn *conn;
	int far;

	conn = up(rig, &far);
	assert_int_equal(nsr_send(conn, big, 3000000), 3000000);
	assert_int_equal(nsr_conn_close(conn, NSR_FIN), 0);
	assert_true(silent(rig, far));
	nsr_commit(rig->nsr);				/* what was sent before the close is part of it */
	txn = expect_journal(rig, &from, &to);
	assert_int_equal(to, 3000000);
	assert_true(silent(rig, far));
	rig_ack(rig, txn);
	read_stream(rig, far, 0, 3000000);
	expect_eof(rig, far);
	rig_expect(rig, NSR_APP_DETACH);
	assert_int_equal(nsr_wire_u64(&rig->w, NSR_APP_A_CONN_ID), 7);
	close(far);
}

static void close_kinds(void **state)
{
	struct rig *rig = *state;
	struct nsr_conn *conn;
	uint64_t from, to;
	int far, fd;
	char c;

	conn = up(rig, &far);
	fd = nsr_conn_get_fd(conn);
	assert_int_equal(nsr_send(conn, big, 100), 100);
	/* the descriptor stays the application's: nothing may be left behind in the journal */
	assert_int_equal(nsr_conn_close(conn, NSR_UNPROTECT), -EAGAIN);
	nsr_commit(rig->nsr);
	rig_ack(rig, expect_journal(rig, &from, &to));
	read_stream(rig, far, 0, 100);
	rig_expect_log(rig, "writable ");
	assert_int_equal(nsr_conn_close(conn, NSR_UNPROTECT), 0);
	rig_expect(rig, NSR_APP_DETACH);
	assert_int_equal(send(fd, big + 100, 10, 0), 10);
	read_stream(rig, far, 100, 10);
	close(fd);
	expect_eof(rig, far);
	close(far);

	/* a reset waits for nothing */
	rig_tcp(AF_INET, &far, &fd);
	conn = rig_attach(rig, fd, 8);
	assert_int_equal(nsr_send(conn, big, 100), 100);
	assert_int_equal(nsr_conn_close(conn, NSR_RST), 0);
	assert_int_equal(recv(far, &c, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(far);
}

static void shutdown_behind_journal(void **state)
{
	struct rig *rig = *state;
	struct nsr_conn *conn;
	uint64_t from, to;
	char buf[8];
	int far, i;

	conn = up(rig, &far);
	assert_int_equal(nsr_send(conn, big, 200000), 200000);
	assert_int_equal(nsr_conn_shutdown(conn), 0);
	assert_int_equal(nsr_send(conn, big, 1), -EPIPE);
	nsr_commit(rig->nsr);
	rig_ack(rig, expect_journal(rig, &from, &to));
	read_stream(rig, far, 0, 200000);
	expect_eof(rig, far);
	/* the other direction lives */
	assert_int_equal(send(far, "later", 5, 0), 5);
	for (i = 0; i < 1000 && nsr_recv(conn, buf, sizeof(buf)) == -EAGAIN; i++)
		nsr_dispatch(rig->nsr, 5);
	assert_int_equal(una(conn), 200000);		/* the FIN is not a byte */
	nsr_conn_close(conn, NSR_FIN);
	close(far);
}

/* Closed and then demoted, or the far end gone: nobody is called, nothing is left. */
static void closing_ends_otherwise(void **state)
{
	struct linger abort = { .l_onoff = 1 };
	struct rig *rig = *state;
	struct nsr_conn *conn;
	int far, far2, fd, fd2;

	conn = up(rig, &far);
	rig_tcp(AF_INET, &far2, &fd2);
	fd = nsr_conn_get_fd(conn);
	assert_int_equal(nsr_send(conn, big, 100), 100);
	assert_int_equal(nsr_conn_close(conn, NSR_FIN), 0);
	conn = rig_attach(rig, fd2, 8);
	assert_int_equal(nsr_send(conn, big, 100), 100);
	assert_int_equal(nsr_conn_close(conn, NSR_FIN), 0);
	setsockopt(far2, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
	close(far2);
	nsr_commit(rig->nsr);
	rig_expect(rig, NSR_APP_TXN);
	rig_ack(rig, nsr_wire_u64(&rig->w, NSR_APP_A_TXN));
	rig_expect(rig, NSR_APP_DETACH);		/* one was reset, the other is done with */
	read_stream(rig, far, 0, 100);
	rig_expect(rig, NSR_APP_DETACH);
	assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), -1);

	rig_tcp(AF_INET, &far2, &fd2);
	conn = rig_attach(rig, fd2, 9);
	assert_int_equal(nsr_send(conn, big, 100), 100);
	assert_int_equal(nsr_conn_close(conn, NSR_FIN), 0);
	rig_send_role(rig, NSR_ROLE_STANDBY, 2);
	rig_expect_log(rig, "role:1/2 ");
	assert_int_equal(send(fd2, "x", 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EBADF);
	close(far);
	close(far2);
}

static void reset(int fd)
{
	struct linger abort = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
	close(fd);
}

/* All is in the socket, so no call of ours would find out; and without nsrd nobody else says that it is dead. */
static void closing_socket_dies(void **state)
{
	struct rig *rig = *state;
	struct nsr_conn *conn;
	int far, fd, i;

	conn = up(rig, &far);
	fd = nsr_conn_get_fd(conn);
	rig_attached(rig, 1, 7, false);		/* unprotected: it does not wait for nsrd */
	setsockopt(far, SOL_SOCKET, SO_RCVBUF, &(int){ 4096 }, sizeof(int));
	rig_unlisten(rig);
	rig_expect_log(rig, "link:0 ");
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){ 1 << 20 }, sizeof(int));
	assert_int_equal(nsr_send(conn, big, 150000), 150000);	/* more than the far end takes, less than ours */
	assert_int_equal(conn->wrote, 150000);
	assert_true(una(conn) < 150000);
	assert_int_equal(nsr_conn_close(conn, NSR_FIN), 0);
	reset(far);
	for (i = 0; i < 200 && fcntl(fd, F_GETFD) >= 0; i++)
		nsr_dispatch(rig->nsr, 10);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

/* Likewise where the journal is held for a standby that may be taking over. */
static void held_socket_dies(void **state)
{
	struct rig *rig = *state;
	struct nsr_conn *conn;
	int far, fd, i;

	conn = up(rig, &far);
	fd = nsr_conn_get_fd(conn);
	assert_int_equal(nsr_send(conn, big, 100), 100);
	rig_unlisten(rig);
	rig_expect_log(rig, "link:0 ");
	assert_int_equal(nsr_conn_close(conn, NSR_FIN), 0);
	reset(far);
	for (i = 0; i < 200 && fcntl(fd, F_GETFD) >= 0; i++)
		nsr_dispatch(rig->nsr, 10);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

/* Bytes that wait for a commit count once, and no longer than they wait. */
static void bytes_uncommitted(void **state)
{
	struct rig *rig = *state;
	struct nsr_conn *conn;
	int far, fd;

	rig_up(rig, NSR_ROLE_ACTIVE, 1);
	rig_tcp(AF_INET, &far, &fd);
	assert_int_equal(nsr_conn_attach(rig->nsr, fd, &conn), 0);
	rig_expect(rig, NSR_APP_ATTACH);
	assert_int_equal(nsr_send(conn, big, 100), 100);
	assert_int_equal(rig->nsr->out_bytes, 100);
	rig->mode = NSR_MODE_ADOPT;
	rig_attached(rig, 1, 7, true);
	assert_int_equal(nsr_send(conn, big, 100), 100);
	assert_int_equal(rig->nsr->out_bytes, 0);
	nsr_conn_close(conn, NSR_RST);
	rig_expect(rig, NSR_APP_DETACH);
	close(far);

	/* gone, and the application takes its time to let go of it */
	rig->mode = NSR_MODE_LOSSLESS;
	rig->close_gone = false;
	rig_tcp(AF_INET, &far, &fd);
	conn = rig_attach(rig, fd, 8);
	assert_int_equal(nsr_send(conn, big, 100), 100);
	assert_int_equal(rig->nsr->out_bytes, 100);
	rig_send_role(rig, NSR_ROLE_STANDBY, 2);
	rig_expect_log(rig, "gone:1 role:1/2 ");
	assert_int_equal(rig->nsr->out_bytes, 0);
	nsr_conn_close(conn, NSR_FIN);
	assert_int_equal(rig->nsr->out_bytes, 0);
	close(far);
}

/* The handle goes: what the socket takes is written; what it does not take must not look like an end. */
static void handle_goes(void **state)
{
	struct rig *rig = *state;
	struct nsr_conn *conn;
	int far, fd, far2;
	uint8_t buf[200];
	ssize_t n;

	conn = up(rig, &far);
	assert_int_equal(nsr_send(conn, big, 100), 100);
	assert_int_equal(nsr_conn_close(conn, NSR_FIN), 0);
	rig_tcp(AF_INET, &far2, &fd);
	conn = rig_attach(rig, fd, 8);
	while (nsr_send(conn, big, 100000) > 0)
		;
	nsr_close(rig->nsr);
	assert_int_equal(recv(far, buf, sizeof(buf), 0), 100);
	assert_int_equal(recv(far, buf, sizeof(buf), 0), 0);
	while ((n = recv(far2, buf, sizeof(buf), 0)) > 0)
		;
	assert_int_equal(n, -1);
	assert_int_equal(errno, ECONNRESET);
	close(far);
	close(far2);
	close(fd);
	rig->nsr = NULL;
}

static void leaving_waits(void **state)
{
	struct rig *rig = *state;
	struct nsr_conn *conn;
	uint64_t from, to, txn;
	int far;

	conn = up(rig, &far);
	assert_int_equal(nsr_send(conn, big, 100), 100);
	rig_send_role(rig, NSR_ROLE_LEAVING, 1);
	rig_expect_log(rig, "role:3/1+3000 ");
	assert_int_equal(nsr_left(rig->nsr), 0);
	txn = expect_journal(rig, &from, &to);
	assert_true(rig_nothing(rig));			/* no LEFT: the standby has not got it */
	rig_ack(rig, txn);
	read_stream(rig, far, 0, 100);
	rig_expect(rig, NSR_APP_LEFT);
	nsr_conn_close(conn, NSR_RST);
	close(far);
}

/* ---- takeover ---- */

static void send_journal(struct rig *rig, uint64_t from, uint64_t to)
{
	while (from < to) {
		size_t n = to - from < NSR_APP_CHUNK_MAX ? to - from : NSR_APP_CHUNK_MAX;
		struct nsr_wire_buf *b = rig_begin(rig, NSR_APP_CONN_JOURNAL);

		nsr_wire_put_u64(b, NSR_APP_A_CONN_ID, 7);
		nsr_wire_put_u64(b, NSR_APP_A_DATA_POS, from);
		nsr_wire_put_bytes(b, NSR_APP_A_DATA, big + from, n);
		rig_send(rig);
		from += n;
	}
}

static void resumed(struct rig *rig, uint64_t pos, uint64_t written)
{
	struct nsr_wire_buf *b = rig_begin(rig, NSR_APP_CONN_RESUMED);

	nsr_wire_put_u64(b, NSR_APP_A_CONN_ID, 7);
	nsr_wire_put_u64(b, NSR_APP_A_RCV_CONSUMED, 0);
	nsr_wire_put_u64(b, NSR_APP_A_RCV_TAIL_END, 0);
	nsr_wire_put_u64(b, NSR_APP_A_SND_POS, pos);
	nsr_wire_put_u64(b, NSR_APP_A_SND_WRITTEN, written);
	rig_send(rig);
}

static struct nsr_conn *shadow(struct rig *rig, int *far)
{
	struct nsr_conn *conn;
	int fd;

	rig_up(rig, NSR_ROLE_STANDBY, 1);
	rig_tcp(AF_INET, far, &fd);
	conn = rig_shadow(rig, fd, 7);
	assert_int_equal(rig->info.mode, NSR_MODE_LOSSLESS);
	rig_send_role(rig, NSR_ROLE_ACTIVE, 2);
	rig_expect_log(rig, "role:2/2 ");
	return conn;
}

static void journal_is_sent_first(void **state)
{
	struct rig *rig = *state;
	struct nsr_conn *conn;
	uint64_t from, to;
	int far;

	conn = shadow(rig, &far);
	send_journal(rig, 5000, 105000);
	assert_true(silent(rig, far));
	resumed(rig, 5000, 105000);
	rig_expect_log(rig, "resumed:0/5000 ");
	assert_int_equal(rig->resume.snd_known, 105000);
	assert_int_equal(rig->resume.snd_next, 105000);
	read_stream(rig, far, 5000, 100000);
	/* the application goes on behind it, as ever */
	assert_int_equal(nsr_send(conn, big + 105000, 100), 100);
	nsr_commit(rig->nsr);
	assert_true(silent(rig, far));
	rig_ack(rig, expect_journal(rig, &from, &to));
	assert_int_equal(from, 105000);			/* nsrd has the rest */
	read_stream(rig, far, 105000, 100);
	assert_int_equal(una(conn), 105100);
	nsr_conn_close(conn, NSR_RST);
	close(far);
}

static void nothing_to_resend(void **state)
{
	struct rig *rig = *state;
	struct nsr_conn *conn;
	int far;

	conn = shadow(rig, &far);
	resumed(rig, 300, 300);
	rig_expect_log(rig, "resumed:0/300 ");
	assert_int_equal(rig->resume.snd_next, 300);
	assert_true(silent(rig, far));
	nsr_conn_close(conn, NSR_RST);
	close(far);
}

/* A connection that went by the rules of adopt: the gap is told, and the application goes on where the far end is. */
static void unprotected_gap(void **state)
{
	struct rig *rig = *state;
	struct nsr_conn *conn;
	int far;

	conn = shadow(rig, &far);
	resumed(rig, 300, 500);
	rig_expect_log(rig, "resumed:0/300 ");
	assert_int_equal(rig->resume.snd_known, 500);
	assert_int_equal(rig->resume.snd_next, 300);
	nsr_conn_close(conn, NSR_RST);
	close(far);
}

static void bad_journals(void **state)
{
	struct rig *rig = *state;
	int far;

	/* not what RESUMED speaks of */
	shadow(rig, &far);
	send_journal(rig, 0, 100);
	resumed(rig, 0, 200);
	rig_expect_log(rig, "gone:4 ");
	close(far);

	/* a hole */
	rig_tcp(AF_INET, &far, (int[]){ 0 });
	send_journal(rig, 0, 100);
	close(far);
	rig_unlisten(rig);
	rig_expect_log(rig, "link:0 ");
	rig_listen(rig);
	rig_up(rig, NSR_ROLE_STANDBY, 3);
	rig_tcp(AF_INET, &far, &rig->fd);
	rig_shadow(rig, rig->fd, 7);
	send_journal(rig, 0, 100);
	send_journal(rig, 101, 200);
	rig_expect_log(rig, "link:0 ");
	assert_non_null(strstr(nsr_strerror(rig->nsr), "hole"));
	close(far);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(journal_model), T(waits_for_the_standby), T(many_on_their_way),
		T(adopt_does_not_wait), T(mode_comes_late), T(back_pressure), T(link_breaks_protected),
		T(old_link_old_promise), T(link_breaks_unprotected), T(refused_for_good),
		T(close_behind_journal), T(close_kinds), T(shutdown_behind_journal), T(closing_ends_otherwise),
		T(closing_socket_dies), T(held_socket_dies), T(bytes_uncommitted),
		T(handle_goes), T(leaving_waits), T(journal_is_sent_first), T(nothing_to_resend),
		T(unprotected_gap), T(bad_journals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
