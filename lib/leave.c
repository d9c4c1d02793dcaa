// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * leave: planned switchover, the old active's side.
 *
 *	role(LEAVING) -> the application finishes its messages -> nsr_left()
 *	far ends have acknowledged all that was written        -> LEFT
 *	FROZEN: nothing comes in any more                      -> unread bytes into the tails, last
 *	                                                          transaction, DRAINED
 *
 * Then the role changes, either way. In between nothing may be sent, consumed or put: what happened after
 * the last transaction would be known to nobody.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "nsr.h"

#define STATE_ESTABLISHED	1
#define STATE_CLOSE_WAIT	8

/* Everything written has been acknowledged, or the connection is not one that moves. */
static bool quiet(struct nsr_conn *conn)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	int unacked = 0;

	if (!nsr_conn_counts(conn) || conn->shadow)
		return true;
	if (getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return true;
	if (info.tcpi_state != STATE_ESTABLISHED && info.tcpi_state != STATE_CLOSE_WAIT)
		return true;	/* reset, or closing: not carried over */
	if (!nsr_out_quiet(conn))
		return false;
	return ioctl(conn->fd, SIOCOUTQ, &unacked) < 0 || !unacked;
}

static void say(struct nsr *nsr, unsigned int type)
{
	struct nsr_wire_buf b = nsr_link_begin(nsr, type);

	nsr_link_send(nsr, &b);
}

void nsr_leave_poll(struct nsr *nsr)
{
	struct list *i, *n;

	if (nsr->leave != LEAVE_WAIT || nsr->link != LINK_UP)
		return;		/* LEAVE_LOST: never */
	list_for_each(i, n, &nsr->conns) {
		if (quiet(list_of(i, struct nsr_conn, node)))
			continue;
		/* No event says that a send queue has become empty; nsrd holds the deadline. */
		nsr->poll_at = nsr_now_ms() + NSR_LEAVE_POLL;
		nsr_timer_arm(nsr);
		return;
	}
	nsr->leave = LEAVE_SAID;
	say(nsr, NSR_APP_LEFT);
}

int nsr_left(struct nsr *nsr)
{
	if (nsr->role != NSR_ROLE_LEAVING)
		return -EPERM;
	if (nsr->leave != LEAVE_NOT)
		return 0;
	nsr_commit(nsr);
	nsr->leave = LEAVE_WAIT;
	/*
	 * A snapshot half told: nothing can be put any more, and a hand-over without the rest would not be whole. No
	 * answer, so that the switchover is called off, and then the snapshot, from its beginning.
	 */
	if (nsr->snapshot) {
		nsr->snapshot = false;
		nsr->snapshot_due = true;
		nsr->leave = LEAVE_LOST;
	}
	nsr_leave_poll(nsr);
	return 0;
}

/* -ENOBUFS: it does not fit the tail. */
static int drain(struct nsr_conn *conn)
{
	ssize_t n;

	do {
		n = nsr_stream_fill(&conn->rcv, conn->fd, SIZE_MAX);
		if (n > 0)
			nsr_conn_mark(conn);
	} while (n > 0);
	/* A reset or dead connection has nothing left to carry; its end is reported on its own. */
	return n == -ENOBUFS || n == -ENOMEM ? n : 0;
}

void nsr_leave_frozen(struct nsr *nsr)
{
	struct list *i, *n;

	/* Not asked for by us (any more), or an application that has not answered: no answer either. */
	if (nsr->leave != LEAVE_SAID)
		return;
	list_for_each(i, n, &nsr->conns) {
		struct nsr_conn *conn = list_of(i, struct nsr_conn, node);

		if (!nsr_conn_counts(conn) || conn->shadow)
			continue;
		if (drain(conn)) {
			/* No DRAINED: nsrd calls the switchover off when time is up, and nothing is lost. */
			nsr_say(nsr, "more than %u bytes received and not consumed on one connection: "
				"they cannot be handed over; read them first", NSR_TAIL_MAX);
			return;
		}
	}
	nsr_commit(nsr);
	nsr->leave = LEAVE_DRAINED;
	say(nsr, NSR_APP_DRAINED);
}
