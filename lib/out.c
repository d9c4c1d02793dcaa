// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * out: bytes out. In mode lossless (and until nsrd has said what the mode is) they go through the journal:
 *
 *	nsr_send() -> journal -> transaction -> TXN_ACK -> socket -> the far end's ACK -> trimmed
 *
 * No byte is written that the standby could not send again (rule journal-before-wire). Without nsrd, a
 * connection that was protected when the link broke writes nothing more until it is back: its standby may
 * be taking over at this very moment. Others write at once, and keep the journal all the same (rule
 * journal-kept-always): a standby that comes late needs what is in flight. In the other modes bytes go to
 * the socket at once and only their position is replicated.
 *
 * FIN, and the close, stand behind the journal's last byte, once the far end has acknowledged it.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nsr.h"

#define STATE_CLOSE	7	/* netinet/tcp.h and linux/tcp.h exclude each other */

/* Nothing of it waits for a commit any more. */
static void count_shipped(struct nsr_conn *conn)
{
	conn->nsr->out_bytes -= conn->snd_written - conn->shipped;
	conn->shipped = conn->snd_written;
}

void nsr_out_init(struct nsr_conn *conn, uint64_t pos)
{
	/* What went through the journal before nsrd said that there is none. */
	count_shipped(conn);
	nsr_journal_init(&conn->j, pos);
	conn->snd_written = pos;
	conn->wrote = pos;
	conn->released = pos;
	conn->shipped = pos;
	conn->releases = 0;
}

void nsr_out_free(struct nsr_conn *conn)
{
	count_shipped(conn);
	list_del(&conn->out);
	nsr_journal_free(&conn->j);
	nsr_out_gone(conn);
}

static void forget_releases(struct nsr_conn *conn)
{
	if (conn->release != conn->few)
		free(conn->release);
	conn->release = conn->few;
	conn->release_size = NSR_RELEASES_FEW;
	conn->releases = 0;
}

/* No commit of its will come: its bytes are not to count against the others'. */
void nsr_out_gone(struct nsr_conn *conn)
{
	count_shipped(conn);
	forget_releases(conn);
}

bool nsr_out_journals(const struct nsr_conn *conn)
{
	return conn->mode == NSR_MODE_LOSSLESS || !conn->answered;
}

uint64_t nsr_out_una(const struct nsr_conn *conn)
{
	int unacked = 0;

	if (conn->gone || conn->shadow || ioctl(conn->fd, SIOCOUTQ, &unacked) || unacked < 0)
		return conn->wrote;
	/* SIOCOUTQ counts a FIN that is not acknowledged, which is behind the last byte. */
	if (unacked && conn->shut)
		unacked--;
	return (uint64_t)unacked <= conn->wrote ? conn->wrote - unacked : conn->wrote;
}

static void trim(struct nsr_conn *conn, uint64_t pos)
{
	nsr_journal_trim(&conn->j, pos);
	nsr_journal_rest(&conn->j);
}

/* ---- waiting ---- */

/* Somebody waits for the far end's ACK, of which no event tells. (Of nsrd's, and of room, one does.) */
static bool is_awaited(const struct nsr_conn *conn)
{
	if (conn->wrote == conn->j.base && nsr_journal_len(&conn->j))
		return false;
	return conn->closing || (conn->shut_due && !conn->shut) ||
	       (conn->blocked && nsr_journal_room(&conn->j) < NSR_OUT_ROOM);
}

static void poll_in(struct nsr *nsr, unsigned int ms)
{
	uint64_t at = nsr_now_ms() + ms;

	if (nsr->out_at && nsr->out_at <= at)
		return;
	nsr->out_at = at;
	nsr_timer_arm(nsr);
}

static void watch(struct nsr_conn *conn)
{
	if (list_empty(&conn->out))
		list_add_tail(&conn->nsr->out, &conn->out);
	poll_in(conn->nsr, is_awaited(conn) ? NSR_OUT_POLL : NSR_OUT_REST);
}

static void stop_writable(struct nsr_conn *conn)
{
	if (conn->want_write)
		epoll_ctl(conn->nsr->epfd, EPOLL_CTL_DEL, conn->fd, NULL);
	conn->want_write = false;
}

static void want_writable(struct nsr_conn *conn)
{
	struct epoll_event ev = { .events = EPOLLOUT, .data.u64 = (uint64_t)conn->handle << 8 | 2 };

	if (!conn->want_write && !epoll_ctl(conn->nsr->epfd, EPOLL_CTL_ADD, conn->fd, &ev))
		conn->want_write = true;
}

/* From dispatch, which may be asleep: the timer wakes it. */
static void say_writable(struct nsr_conn *conn)
{
	conn->blocked = false;
	nsr_conn_todo(conn, TODO_WRITABLE);
	poll_in(conn->nsr, 0);
}

static bool txn_is_full(const struct nsr *nsr)
{
	return nsr_txn_wanted(nsr) && nsr->out_bytes >= NSR_OUT_TXN;
}

static void unblock(struct nsr_conn *conn)
{
	if (!nsr_out_journals(conn) && conn->want_write)
		return;
	if (conn->blocked && nsr_journal_room(&conn->j) >= NSR_OUT_ROOM && !txn_is_full(conn->nsr))
		say_writable(conn);
}

/* ---- from the journal into the socket ---- */

void nsr_out_trim(struct nsr_conn *conn)
{
	if (nsr_journal_len(&conn->j) && !conn->shadow && !conn->gone)
		trim(conn, nsr_out_una(conn));
}

/* What may be in the socket. */
static uint64_t bound(const struct nsr_conn *conn)
{
	const struct nsr *nsr = conn->nsr;

	if (!nsr_out_journals(conn) || nsr->final || !nsr_conn_counts(conn))
		return conn->j.end;
	if (nsr_txn_wanted(nsr) || nsr->deaf || conn->held)
		return conn->released;
	return conn->j.end;
}

/* The socket is dead: who sends next is told, and who waits for room is to try. A closing connection has nobody to
 * tell. */
static void fail(struct nsr_conn *conn, int err)
{
	conn->out_err = err;
	stop_writable(conn);
	if (conn->blocked)
		say_writable(conn);
}

static int write_journal(struct nsr_conn *conn, uint64_t to)
{
	size_t n;

	while (conn->wrote < to && !conn->out_err) {
		const uint8_t *p = nsr_journal_at(&conn->j, conn->wrote, &n);
		ssize_t put;

		if (n > to - conn->wrote)
			n = to - conn->wrote;
		put = send(conn->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return -EAGAIN;
		if (put < 0)
			fail(conn, -errno);
		else
			conn->wrote += put;
	}
	return conn->out_err;
}

/* All that may leave does. FIN, and the end of a closing connection, are the poll's. */
static void pump(struct nsr_conn *conn)
{
	uint64_t to;

	if (conn->gone || conn->shadow || conn->out_err)
		return;
	to = bound(conn);
	if (conn->wrote < to) {
		if (write_journal(conn, to) == -EAGAIN)
			want_writable(conn);
		nsr_out_trim(conn);
	}
	if (conn->released < conn->wrote)
		conn->released = conn->wrote;
	/* Not lossless, as nsrd has said: what had waited is out, and the rest goes to the socket at once. */
	if (!nsr_out_journals(conn) && conn->wrote == conn->j.end)
		trim(conn, conn->j.end);
	unblock(conn);
	if (is_awaited(conn))
		poll_in(conn->nsr, NSR_OUT_POLL);
}

/* ---- the application ---- */

static ssize_t send_at_once(struct nsr_conn *conn, const void *buf, size_t n)
{
	ssize_t put;

	do {
		put = send(conn->fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (put < 0 && errno == EINTR);
	if (put < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
		return -errno;
	if (put < 0 || (size_t)put < n) {
		conn->blocked = true;
		want_writable(conn);
	}
	if (put < 0)
		return -EAGAIN;
	nsr_out_init(conn, conn->snd_written + put);
	if (put)
		nsr_conn_mark(conn);
	return put;
}

static ssize_t send_journal(struct nsr_conn *conn, const void *buf, size_t n)
{
	struct nsr *nsr = conn->nsr;
	size_t room, want = n;

	if (nsr_journal_room(&conn->j) < n)
		nsr_out_trim(conn);
	room = nsr_journal_room(&conn->j);
	if (nsr_txn_wanted(nsr) && room > NSR_OUT_TXN - nsr->out_bytes)
		room = nsr->out_bytes < NSR_OUT_TXN ? NSR_OUT_TXN - nsr->out_bytes : 0;
	if (n > room)
		n = room;
	if (n < want)
		conn->blocked = true;
	if (nsr_journal_append(&conn->j, buf, n))
		return -ENOMEM;
	conn->snd_written += n;
	nsr->out_bytes += n;
	if (n)
		nsr_conn_mark(conn);
	watch(conn);
	pump(conn);
	return n || !want ? (ssize_t)n : -EAGAIN;
}

ssize_t nsr_send(struct nsr_conn *conn, const void *buf, size_t n)
{
	if (conn->gone)
		return -ENOTCONN;
	if (nsr_conn_left(conn))
		return -ESHUTDOWN;
	if (conn->shadow)
		return -EAGAIN;		/* conn_resumed is the word to go on */
	if (conn->out_err)
		return conn->out_err;
	if (conn->shut_due)
		return -EPIPE;
	if (nsr_out_journals(conn))
		return send_journal(conn, buf, n);
	if (nsr_journal_len(&conn->j)) {
		/* what waited for nsrd's word on the mode is not out yet */
		conn->blocked = true;
		return -EAGAIN;
	}
	return send_at_once(conn, buf, n);
}

/* ---- the end ---- */

static void give_fin(struct nsr_conn *conn)
{
	conn->shut = true;
	if (shutdown(conn->fd, SHUT_WR) < 0)
		fail(conn, -errno);
}

int nsr_conn_shutdown(struct nsr_conn *conn)
{
	if (conn->gone || conn->shadow)
		return -ENOTCONN;
	if (nsr_conn_left(conn))
		return -ESHUTDOWN;
	if (conn->out_err)
		return conn->out_err;
	conn->shut_due = true;
	nsr_out_trim(conn);
	if (nsr_journal_len(&conn->j))
		watch(conn);
	else if (!conn->shut)
		give_fin(conn);
	return conn->out_err;
}

static int abort_on_close(const struct nsr_conn *conn)
{
	struct linger abort = { .l_onoff = 1, .l_linger = 0 };

	return setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort)) < 0 ? -errno : 0;
}

void nsr_out_finish(struct nsr_conn *conn)
{
	if (conn->abort && !conn->gone)
		abort_on_close(conn);
	stop_writable(conn);
	close(conn->fd);
	nsr_conn_detached(conn, false);
	nsr_conn_free(conn);
}

static void close_behind_journal(struct nsr_conn *conn)
{
	conn->closing = true;
	conn->data = NULL;
	list_del(&conn->todo_node);
	conn->todo = 0;
	conn->blocked = false;
	watch(conn);
}

int nsr_conn_close(struct nsr_conn *conn, enum nsr_fin how)
{
	bool lives = !conn->gone && !conn->shadow;
	int err = 0;

	/*
	 * Handed over, perhaps: a FIN or a reset now would be of a connection that the next active goes on with. It is
	 * given if the switchover is called off.
	 */
	if (lives && nsr_conn_left(conn)) {
		if (how == NSR_UNPROTECT)
			return -ESHUTDOWN;
		conn->late = true;
		conn->abort = how == NSR_RST;
		close_behind_journal(conn);
		return 0;
	}
	if (lives && !conn->out_err && how != NSR_RST) {
		nsr_out_trim(conn);
		if (how == NSR_FIN && nsr_journal_len(&conn->j)) {
			close_behind_journal(conn);
			return 0;
		}
		if (how == NSR_UNPROTECT && conn->wrote < conn->j.end) {
			conn->blocked = true;
			return -EAGAIN;
		}
	}
	/*
	 * Gone, or a shadow: the kernel closes it without a word, whatever was asked for; and a reset that
	 * a demoted box sends would only be one more frame for the fence to stop.
	 */
	if (how == NSR_RST && lives)
		err = abort_on_close(conn);
	stop_writable(conn);
	if (how != NSR_UNPROTECT || !lives)
		close(conn->fd);
	nsr_conn_detached(conn, how == NSR_UNPROTECT);
	nsr_conn_free(conn);
	return err;
}

/*
 * The handle goes, and with it whoever could wait: all is written that the socket takes. A stream that would
 * end too early must not look as if it were whole: it is reset.
 */
void nsr_out_force(struct nsr_conn *conn)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	if (conn->gone || conn->shadow)
		return;
	if (write_journal(conn, conn->j.end)) {
		if (conn->closing)
			abort_on_close(conn);
		else
			connect(conn->fd, &none, sizeof(none));
	} else if (conn->shut_due && !conn->shut) {
		give_fin(conn);
	}
	conn->wrote = conn->j.end;
	trim(conn, conn->j.end);
}

/* ---- nsrd's word ---- */

void nsr_out_mode(struct nsr_conn *conn)
{
	pump(conn);
}

void nsr_out_resume(struct nsr_conn *conn, uint64_t pos)
{
	conn->snd_written = conn->j.end;
	conn->shipped = conn->j.end;
	conn->released = conn->j.end;
	conn->wrote = pos;
	conn->releases = 0;
	if (nsr_journal_len(&conn->j))
		watch(conn);
	pump(conn);
}

void nsr_out_committed(struct nsr_conn *conn, uint64_t txn)
{
	struct release *more;

	count_shipped(conn);
	if (!txn || !nsr_out_journals(conn) || conn->j.end == conn->released)
		return;
	if (conn->releases == conn->release_size && conn->release_size < NSR_RELEASES) {
		unsigned int size = conn->release_size * 2;

		more = malloc(size * sizeof(*more));
		if (more) {
			memcpy(more, conn->release, conn->releases * sizeof(*more));
			if (conn->release != conn->few)
				free(conn->release);
			conn->release = more;
			conn->release_size = size;
		}
	}
	/* More on their way than are told apart, or no memory: the newest stands for those before it. */
	if (conn->releases == conn->release_size)
		conn->releases--;
	conn->release[conn->releases].txn = txn;
	conn->release[conn->releases++].end = conn->j.end;
}

void nsr_out_unblock(struct nsr *nsr)
{
	struct list *i, *n;

	list_for_each(i, n, &nsr->out)
		unblock(list_of(i, struct nsr_conn, out));
}

static void take_releases(struct nsr_conn *conn)
{
	unsigned int n = 0;

	while (n < conn->releases && conn->release[n].txn <= conn->nsr->txn_acked)
		n++;
	if (!n)
		return;
	if (conn->release[n - 1].end > conn->released)
		conn->released = conn->release[n - 1].end;
	conn->releases -= n;
	memmove(conn->release, conn->release + n, conn->releases * sizeof(conn->release[0]));
	if (!conn->releases)
		forget_releases(conn);
	pump(conn);
}

void nsr_out_acked(struct nsr *nsr)
{
	struct list *i, *n;

	list_for_each(i, n, &nsr->out)
		take_releases(list_of(i, struct nsr_conn, out));
	nsr_run_todo(nsr);
}

void nsr_out_link(struct nsr *nsr, bool up)
{
	struct list *i, *n;

	list_for_each(i, n, &nsr->conns) {
		struct nsr_conn *conn = list_of(i, struct nsr_conn, node);

		if (conn->gone || conn->shadow)
			continue;
		/* An unanswered ATTACH: nsrd may protect it by now. */
		conn->held = !up && (conn->is_protected || !conn->answered);
		/* What nsrd was sent over that link it may not have. A later transaction's ACK says nothing of it. */
		conn->releases = 0;
		if (!up)
			pump(conn);
	}
}

/* ---- events ---- */

void nsr_out_event(struct nsr *nsr, uint32_t handle)
{
	struct nsr_conn *conn = nsr_conn_by_handle(nsr, handle);

	if (!conn || !conn->want_write)
		return;
	stop_writable(conn);
	pump(conn);
	nsr_run_todo(nsr);
}

/*
 * The far end has reset the connection, or did not answer for too long: its ACK, which somebody waits for, will not
 * come. Where nothing is left to be written no call would tell, and without nsrd nobody else does.
 */
static void check_alive(struct nsr_conn *conn)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (!conn->out_err && !getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &len) &&
	    info.tcpi_state == STATE_CLOSE)
		fail(conn, -EPIPE);
}

/* False: it is done with. */
static bool look_after(struct nsr_conn *conn)
{
	if (conn->gone)
		return false;
	check_alive(conn);
	/* Closed behind nsr_left(): whether it goes on here, or over there, is not decided. */
	if (conn->late && nsr_conn_left(conn))
		return true;
	if (conn->closing && (conn->out_err || conn->abort)) {
		nsr_out_finish(conn);
		return true;		/* freed: it has left the list by itself */
	}
	if (conn->out_err)
		return false;		/* nothing of it leaves any more; nsr_send() says so */
	pump(conn);
	nsr_out_trim(conn);
	unblock(conn);
	if (nsr_journal_len(&conn->j) || conn->blocked)
		return true;
	if (conn->closing) {
		nsr_out_finish(conn);
		return true;		/* likewise */
	}
	if (conn->shut_due && !conn->shut)
		give_fin(conn);
	return false;
}

void nsr_out_poll(struct nsr *nsr)
{
	bool awaited = false;
	struct list *i, *n;

	list_for_each(i, n, &nsr->out)
		if (!look_after(list_of(i, struct nsr_conn, out)))
			list_del(i);
	list_for_each(i, n, &nsr->out)
		awaited |= is_awaited(list_of(i, struct nsr_conn, out));
	if (!list_empty(&nsr->out))
		poll_in(nsr, awaited ? NSR_OUT_POLL : NSR_OUT_REST);
	nsr_run_todo(nsr);
}

bool nsr_out_quiet(struct nsr_conn *conn)
{
	nsr_out_trim(conn);
	return !nsr_journal_len(&conn->j) && (!conn->closing || conn->late) && !(conn->shut_due && !conn->shut);
}
