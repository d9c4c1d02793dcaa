// SPDX-License-Identifier: LGPL-2.1-or-later
/* events: what nsrd says, turned into callbacks. The only file that calls the application back, but for
 * link (link.c). */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../uapi/tcp_nsr.h"
#include "nsr.h"

/* ---- one connection ---- */

static struct nsr_conn *conn_of(struct nsr *nsr, const struct nsr_wire *w)
{
	struct nsr_conn *conn = nsr_conn_by_id(nsr, nsr_wire_u64(w, NSR_APP_A_CONN_ID));

	if (!conn && nsr_wire_has(w, NSR_APP_A_HANDLE))
		conn = nsr_conn_by_handle(nsr, nsr_wire_u32(w, NSR_APP_A_HANDLE));
	/* An answer may cross our DETACH, or the end of a connection: not a fault. */
	return conn && !conn->gone ? conn : NULL;
}

static void take_status(struct nsr_conn *conn, const struct nsr_wire *w)
{
	conn->is_protected = nsr_wire_u8(w, NSR_APP_A_PROTECTED);
	snprintf(conn->reason, sizeof(conn->reason), "%s", nsr_wire_str(w, NSR_APP_A_TEXT));
	if (nsr_wire_has(w, NSR_APP_A_MODE))
		conn->mode = NSR_MODE_NAIVE + nsr_wire_u8(w, NSR_APP_A_MODE);
	nsr_out_mode(conn);
}

static void call_status(struct nsr_conn *conn)
{
	struct nsr_conn_info info;

	if (conn->closing)
		return;
	nsr_conn_fill_info(conn, &info);
	nsr_call(conn->nsr, conn_status, conn, &info);
}

static void ev_attached(struct nsr *nsr, const struct nsr_wire *w)
{
	struct nsr_conn *conn = nsr_conn_by_handle(nsr, nsr_wire_u32(w, NSR_APP_A_HANDLE));

	if (!conn || conn->gone)
		return;
	conn->mode = NSR_MODE_NONE;
	conn->answered = true;
	take_status(conn, w);
	if (conn->mode == NSR_MODE_NONE)
		nsr_conn_set_id(conn, 0);
	else if (!nsr_conn_by_id(nsr, nsr_wire_u64(w, NSR_APP_A_CONN_ID)))
		nsr_conn_set_id(conn, nsr_wire_u64(w, NSR_APP_A_CONN_ID));
	call_status(conn);
}

static void ev_status(struct nsr *nsr, const struct nsr_wire *w)
{
	struct nsr_conn *conn = conn_of(nsr, w);

	if (!conn)
		return;
	take_status(conn, w);
	call_status(conn);
}

static void ev_gone(struct nsr *nsr, const struct nsr_wire *w)
{
	struct nsr_conn *conn = conn_of(nsr, w);

	if (!conn)
		return;
	snprintf(conn->reason, sizeof(conn->reason), "%s", nsr_wire_str(w, NSR_APP_A_TEXT));
	nsr_conn_set_gone(conn, nsr_wire_u8(w, NSR_APP_A_WHY));
	nsr_run_todo(nsr);
}

/* ---- shadows ---- */

static void take_addr(struct sockaddr_storage *ss, const struct nsr_wire *w, enum nsr_app_attr addr,
		      enum nsr_app_attr port)
{
	struct sockaddr_in6 *in6 = (void *)ss;
	struct sockaddr_in *in = (void *)ss;

	memset(ss, 0, sizeof(*ss));
	ss->ss_family = nsr_wire_u8(w, NSR_APP_A_FAMILY);
	if (ss->ss_family == AF_INET) {
		in->sin_port = nsr_wire_u16(w, port);
		memcpy(&in->sin_addr, mnl_attr_get_payload(w->a[addr]), 4);
	} else {
		in6->sin6_port = nsr_wire_u16(w, port);
		memcpy(&in6->sin6_addr, mnl_attr_get_payload(w->a[addr]), 16);
	}
}

static void send_claimed(struct nsr *nsr, uint64_t id)
{
	struct nsr_wire_buf b = nsr_link_begin(nsr, NSR_APP_CLAIMED);

	nsr_wire_put_u64(&b, NSR_APP_A_CONN_ID, id);
	nsr_link_send(nsr, &b);
}

/* Cannot be held here (no descriptor came, no memory): nsrd is to know, and goes on without. */
static void refuse_shadow(struct nsr *nsr, uint64_t id, const char *why)
{
	struct nsr_wire_buf b = nsr_link_begin(nsr, NSR_APP_DETACH);

	nsr_say(nsr, "a shadow could not be taken: %s", why);
	nsr_wire_put_u64(&b, NSR_APP_A_CONN_ID, id);
	nsr_link_send(nsr, &b);
}

static void ev_added(struct nsr *nsr, const struct nsr_wire *w, int *fd)
{
	uint64_t id = nsr_wire_u64(w, NSR_APP_A_CONN_ID);
	struct nsr_conn *conn = nsr_conn_by_id(nsr, id);
	struct nsr_conn_info info;
	struct table_node *stale;
	socklen_t len = sizeof(uint64_t);

	if (conn) {
		/* The same connection again: this one is the living shadow. */
		nsr_conn_set_gone(conn, NSR_GONE_RESYNC);
		nsr_run_todo(nsr);
		if (nsr->closing)
			return;
	}
	if (*fd < 0) {
		refuse_shadow(nsr, id, "no descriptor came with it; is this process at its limit "
			      "(RLIMIT_NOFILE)?");
		return;
	}
	/* A number that the kernel hands out anew was closed behind our back. */
	stale = nsr_table_find(&nsr->by_fd, *fd);
	if (stale)
		nsr_table_del(&nsr->by_fd, stale);
	conn = nsr_conn_create(nsr, *fd);
	if (!conn || nsr_conn_set_id(conn, id)) {
		if (conn)
			nsr_conn_free(conn);
		refuse_shadow(nsr, id, "out of memory");
		return;
	}
	fcntl(*fd, F_SETFL, fcntl(*fd, F_GETFL) | O_NONBLOCK);
	if (getsockopt(*fd, SOL_SOCKET, SO_COOKIE, &conn->cookie, &len) < 0)
		conn->cookie = 0;
	*fd = -1;
	conn->shadow = true;
	conn->answered = true;
	conn->mode = NSR_MODE_ADOPT;
	conn->active_open = nsr_wire_u8(w, NSR_APP_A_ACTIVE_OPEN);
	conn->gap = nsr_wire_u8(w, NSR_APP_A_GAP);
	take_addr(&conn->local, w, NSR_APP_A_LADDR, NSR_APP_A_LPORT);
	take_addr(&conn->remote, w, NSR_APP_A_RADDR, NSR_APP_A_RPORT);
	take_status(conn, w);
	send_claimed(nsr, id);
	nsr_conn_fill_info(conn, &info);
	nsr_call(nsr, conn_added, conn, conn->fd, &info);
}

static int ev_tail(struct nsr *nsr, const struct nsr_wire *w, const char **why)
{
	struct nsr_conn *conn = conn_of(nsr, w);
	uint64_t consumed = nsr_wire_u64(w, NSR_APP_A_RCV_CONSUMED);
	uint64_t pos = nsr_wire_has(w, NSR_APP_A_DATA_POS) ? nsr_wire_u64(w, NSR_APP_A_DATA_POS) : consumed;
	const struct nlattr *attr;

	if (!conn || !conn->shadow)
		return 0;
	if (consumed != conn->rcv.consumed || pos == consumed) {
		nsr_stream_free(&conn->rcv);
		nsr_stream_init(&conn->rcv, consumed);
	}
	*why = "a tail with a hole, or longer than NSR_TAIL_MAX";
	if (pos != conn->rcv.end)
		return -EPROTO;
	nsr_wire_for_each(attr, w) {
		size_t n = mnl_attr_get_payload_len(attr);

		if (mnl_attr_get_type(attr) != NSR_APP_A_DATA)
			continue;
		if (nsr_stream_len(&conn->rcv) + n > NSR_TAIL_MAX || nsr_stream_reserve(&conn->rcv, n))
			return -EPROTO;
		nsr_stream_append(&conn->rcv, mnl_attr_get_payload(attr), n);
	}
	return 0;
}

/* What the old active gave to nsr_send(): sent by us, the very same bytes, once the connection has resumed. */
static int ev_journal(struct nsr *nsr, const struct nsr_wire *w, const char **why)
{
	struct nsr_conn *conn = conn_of(nsr, w);
	uint64_t pos = nsr_wire_u64(w, NSR_APP_A_DATA_POS);
	const struct nlattr *attr;

	if (!conn || !conn->shadow)
		return 0;
	if (!nsr_journal_len(&conn->j) || pos == conn->j.base) {
		nsr_journal_free(&conn->j);
		nsr_journal_init(&conn->j, pos);
	}
	*why = "a journal with a hole, or longer than NSR_APP_JOURNAL_MAX";
	if (pos != conn->j.end)
		return -EPROTO;
	nsr_wire_for_each(attr, w)
		if (mnl_attr_get_type(attr) == NSR_APP_A_DATA &&
		    nsr_journal_append(&conn->j, mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr)))
			return -EPROTO;
	return 0;
}

/* The journal has to be what RESUMED speaks of: from the far end's position to the end of what was written. */
static bool journal_fits(const struct nsr_conn *conn, const struct nsr_resume *r)
{
	return !nsr_journal_len(&conn->j) || (conn->j.base == r->snd_pos && conn->j.end == r->snd_known);
}

static void call_resumed(struct nsr_conn *conn, struct nsr_resume *r)
{
	r->size = sizeof(*r);
	nsr_call(conn->nsr, conn_resumed, conn, r);
}

static int ev_resumed(struct nsr *nsr, const struct nsr_wire *w, const char **why)
{
	uint64_t consumed = nsr_wire_u64(w, NSR_APP_A_RCV_CONSUMED);
	uint64_t end = nsr_wire_u64(w, NSR_APP_A_RCV_TAIL_END);
	struct nsr_conn *conn = conn_of(nsr, w);
	struct nsr_resume r = {
		.rcv_pos = consumed,
		.snd_pos = nsr_wire_u64(w, NSR_APP_A_SND_POS),
		.snd_known = nsr_wire_u64(w, NSR_APP_A_SND_POS),
		.rcv_missing = nsr_wire_u64(w, NSR_APP_A_RCV_MISSING),
		.rcv_uncertain = nsr_wire_u64(w, NSR_APP_A_RCV_UNCERTAIN),
		.tail_len = end - consumed,
		.planned = nsr_wire_u8(w, NSR_APP_A_PLANNED),
		.snd_uncertain = nsr_wire_u8(w, NSR_APP_A_SND_UNCERTAIN),
	};

	*why = "RESUMED with an impossible tail";
	if (end < consumed || r.tail_len > NSR_TAIL_MAX)
		return -EPROTO;
	/* Not a shadow: it went on as it was (a switchover called off), and has been told. */
	if (!conn || !conn->shadow)
		return 0;
	if (nsr_wire_has(w, NSR_APP_A_SND_WRITTEN))
		r.snd_known = nsr_wire_u64(w, NSR_APP_A_SND_WRITTEN);
	if (!r.tail_len) {
		nsr_stream_free(&conn->rcv);
		nsr_stream_init(&conn->rcv, consumed);
	}
	if (conn->rcv.consumed != consumed || conn->rcv.end != end || !journal_fits(conn, &r)) {
		snprintf(conn->reason, sizeof(conn->reason), "nsrd did not send the tail or journal it announced");
		nsr_conn_set_gone(conn, NSR_GONE_ERROR);
		nsr_run_todo(nsr);
		return 0;
	}
	/*
	 * Missing bytes lie between the tail and the socket's next byte. No byte of theirs will ever come, so
	 * the tail is counted from behind them: one run of positions from here to the socket's.
	 */
	conn->rcv.shipped = end;
	if (r.rcv_missing)
		nsr_stream_shift(&conn->rcv, r.rcv_missing);
	conn->rcv_committed = conn->rcv.consumed;
	conn->rcv_acked.value = conn->rcv.consumed;
	if (!nsr_journal_len(&conn->j))
		nsr_journal_init(&conn->j, r.snd_pos);
	r.snd_next = conn->j.end;
	conn->snd_committed = conn->j.end;
	conn->shadow = false;
	nsr_out_resume(conn, r.snd_pos);
	if (r.rcv_missing || r.snd_pos != r.snd_known)
		nsr_conn_mark(conn);	/* positions that no transaction has named yet */
	call_resumed(conn, &r);
	return 0;
}

/* A switchover that was called off: the bytes are all still here. */
static void resume_as_it_was(struct nsr_conn *conn)
{
	struct nsr_resume r = {
		.rcv_pos = conn->rcv.consumed,
		.snd_pos = conn->snd_written,
		.snd_known = conn->snd_written,
		.snd_next = conn->snd_written,
		.tail_len = nsr_stream_len(&conn->rcv),
		.planned = 1,
	};

	nsr_stream_rewind(&conn->rcv);
	call_resumed(conn, &r);
}

void nsr_run_todo(struct nsr *nsr)
{
	while (!nsr->closing && !list_empty(&nsr->todo)) {
		struct nsr_conn *conn = list_of(nsr->todo.next, struct nsr_conn, todo_node);
		unsigned int todo = conn->todo;

		list_del(&conn->todo_node);
		conn->todo = 0;
		if (conn->closing) {
			if (todo & TODO_GONE)
				nsr_out_finish(conn);
			continue;
		}
		if (todo & TODO_GONE)
			nsr_call(nsr, conn_gone, conn, conn->why);
		else if (todo & TODO_RESUMED)
			resume_as_it_was(conn);
		else if (todo & TODO_WRITABLE)
			nsr_call(nsr, conn_writable, conn);
	}
}

/* ---- state ---- */

/* How many attributes from `attr` on are one value; its length in *len. A long value goes on in PUTs of
 * the same key whose DATA_POS says where. */
static int value_extent(const struct nsr_wire *w, const struct nlattr *attr, const struct nsr_wire_op *first,
			size_t *len, const char **why)
{
	const char *end = mnl_nlmsg_get_payload_tail(w->nlh);
	struct nsr_wire_op op;
	int n = 0;

	*len = first->value_len;
	for (attr = mnl_attr_next(attr); mnl_attr_ok(attr, end - (const char *)attr);
	     attr = mnl_attr_next(attr)) {
		if (mnl_attr_get_type(attr) != NSR_APP_A_OP)
			break;
		if (nsr_wire_op_decode(attr, &op, why))
			return -EPROTO;
		if (op.kind != NSR_APP_OP_PUT || !op.data_pos)
			break;
		*why = "a value does not go on where it stopped";
		if (op.data_pos != *len || op.key_len != first->key_len ||
		    memcmp(op.key, first->key, op.key_len) || op.conn_id != first->conn_id)
			return -EPROTO;
		*len += op.value_len;
		*why = "a value is longer than NSR_VALUE_MAX";
		if (*len > NSR_VALUE_MAX)
			return -EPROTO;
		n++;
	}
	return n;
}

/* The state callback for one PUT or DEL, its continuations included: their number, -EPROTO. */
static int state_op(struct nsr *nsr, const struct nsr_wire *w, const struct nlattr *attr, const char **why)
{
	struct nsr_conn *conn = NULL;
	struct nsr_wire_op op, more;
	uint8_t *val = NULL;
	size_t len = 0, pos;
	int n = 0, i;

	if (nsr_wire_op_decode(attr, &op, why))
		return -EPROTO;
	*why = "an OP that is no state, or a value without its beginning";
	if ((op.kind != NSR_APP_OP_PUT && op.kind != NSR_APP_OP_DEL) || op.data_pos)
		return -EPROTO;
	if (op.kind == NSR_APP_OP_PUT) {
		n = value_extent(w, attr, &op, &len, why);
		if (n < 0)
			return n;
		*why = "out of memory for a value";
		val = malloc(len + 1);		/* never NULL: that would say "deleted" */
		if (!val)
			return -EPROTO;
		nsr_wire_op_bytes(&op, NSR_APP_A_VALUE, val);
		pos = op.value_len;
		for (i = 0; i < n; i++) {
			attr = mnl_attr_next(attr);
			nsr_wire_op_decode(attr, &more, why);
			nsr_wire_op_bytes(&more, NSR_APP_A_VALUE, val + pos);
			pos += more.value_len;
		}
	}
	if (op.conn_id)
		conn = nsr_conn_by_id(nsr, op.conn_id);
	/* Bound to a connection that is gone: it went with it. */
	if (!op.conn_id || conn)
		nsr_call(nsr, state, conn, op.key, op.key_len, val, len);
	free(val);
	return n;
}

static int ev_state(struct nsr *nsr, const struct nsr_wire *w, const char **why)
{
	const struct nlattr *attr;
	int skip = 0;

	nsr_wire_for_each(attr, w) {
		if (mnl_attr_get_type(attr) != NSR_APP_A_OP)
			continue;
		if (skip) {
			skip--;
			continue;
		}
		skip = state_op(nsr, w, attr, why);
		if (skip < 0)
			return skip;
		if (nsr->closing)
			return 0;
	}
	return 0;
}

/* ---- role ---- */

static void attach_all(struct nsr *nsr, bool all)
{
	struct list *i, *n;

	list_for_each(i, n, &nsr->conns) {
		struct nsr_conn *conn = list_of(i, struct nsr_conn, node);

		if (all || (conn->answered && conn->mode == NSR_MODE_NONE))
			nsr_conn_send_attach(conn);
	}
}

/* What the new role does to the connections. Marks only; callbacks follow. */
static void role_mark(struct nsr *nsr, enum nsr_role role, bool welcome)
{
	bool mute = role == NSR_ROLE_STANDBY || role == NSR_ROLE_NONE;
	struct list *i, *n;

	list_for_each(i, n, &nsr->conns) {
		struct nsr_conn *conn = list_of(i, struct nsr_conn, node);

		if (!nsr_conn_counts(conn))
			continue;
		if (mute && welcome && conn->shadow)
			nsr_conn_set_gone(conn, NSR_GONE_RESYNC);	/* nsrd makes them anew */
		else if (mute && (nsr->role == NSR_ROLE_ACTIVE || nsr->role == NSR_ROLE_LEAVING))
			nsr_conn_set_gone(conn, NSR_GONE_DEMOTED);
		else if (role == NSR_ROLE_ACTIVE && nsr->role == NSR_ROLE_LEAVING && !conn->shadow)
			nsr_conn_todo(conn, TODO_RESUMED);
	}
}

static void snapshot(struct nsr *nsr)
{
	struct list *i, *n;

	nsr->snapshot_due = false;
	nsr->snapshot = true;
	list_for_each(i, n, &nsr->conns) {
		struct nsr_conn *conn = list_of(i, struct nsr_conn, node);

		if (!nsr_conn_counts(conn) || conn->shadow)
			continue;
		conn->whole = true;
		nsr_conn_mark(conn);
	}
	nsr_call0(nsr, snapshot);
}

static void role_set(struct nsr *nsr, const struct nsr_wire *w, bool welcome)
{
	enum nsr_role role = nsr_wire_u8(w, NSR_APP_A_ROLE), old = nsr->role;
	uint64_t term = nsr_wire_u64(w, NSR_APP_A_TERM);
	bool changed = !nsr->role_known || role != old || term != nsr->term;

	role_mark(nsr, role, welcome);
	nsr->role = role;
	nsr->term = term;
	nsr->role_known = true;
	nsr->poll_at = 0;
	/* nsrd wants a snapshot over the new link, which after nsr_left() nobody can give. Not a word, and the
	 * switchover is called off; a hand-over without it would not be whole. */
	if (role != NSR_ROLE_LEAVING)
		nsr->leave = LEAVE_NOT;
	else if (welcome && nsr->leave != LEAVE_NOT)
		nsr->leave = LEAVE_LOST;
	if (role == NSR_ROLE_STANDBY || role == NSR_ROLE_NONE) {
		nsr_txn_discard(nsr);
		nsr->snapshot = false;
		nsr->snapshot_due = false;
	}
	/* Before the callbacks: their transactions may name these connections. */
	if (welcome || (role == NSR_ROLE_ACTIVE && old != NSR_ROLE_LEAVING))
		attach_all(nsr, welcome);
	/* Demoted: first every connection goes, then the role. Active: first the role. */
	if (role != NSR_ROLE_ACTIVE && role != NSR_ROLE_LEAVING)
		nsr_run_todo(nsr);
	if (changed && !nsr->closing)
		nsr_call(nsr, role, role, term, nsr_wire_u32(w, NSR_APP_A_DEADLINE_MS));
	nsr_run_todo(nsr);
	if (nsr->snapshot_due && nsr->leave == LEAVE_NOT && !nsr->closing)
		snapshot(nsr);
}

static void ev_welcome(struct nsr *nsr, const struct nsr_wire *w)
{
	nsr->link = LINK_UP;
	nsr->backoff = NSR_BACKOFF_MIN;
	nsr->text[0] = '\0';
	nsr->told_up = true;
	nsr_out_link(nsr, true);
	nsr_call(nsr, link, 1);
	if (!nsr->closing)
		role_set(nsr, w, true);
}

static void ev_refused(struct nsr *nsr, const struct nsr_wire *w)
{
	uint32_t err = nsr_wire_u32(w, NSR_APP_A_ERRNO);

	/* The rest may change by itself: EBUSY, the former process of this application is not gone yet. */
	if (err == EACCES || err == ENOENT || err == EPROTO)
		nsr->final = -(int)err;
	nsr_link_lost(nsr, nsr_wire_str(w, NSR_APP_A_TEXT));
}

static void ev_snapshot(struct nsr *nsr, const struct nsr_wire *w)
{
	if (nsr->role != NSR_ROLE_ACTIVE && nsr->role != NSR_ROLE_LEAVING)
		return;
	nsr->epoch = nsr_wire_u32(w, NSR_APP_A_EPOCH);
	nsr->snapshot_due = true;
	if (nsr->leave == LEAVE_NOT)
		snapshot(nsr);
	else
		nsr->leave = LEAVE_LOST;	/* it cannot be given any more: see nsr_left() */
}

int nsr_event(struct nsr *nsr, const struct nsr_wire *w, int *fd, const char **why)
{
	switch (w->type) {
	case NSR_APP_WELCOME:
		*why = "a second WELCOME";
		if (nsr->link != LINK_HELLO)
			return -EPROTO;
		ev_welcome(nsr, w);
		return 0;
	case NSR_APP_REFUSED:
		ev_refused(nsr, w);
		return 0;
	case NSR_APP_ROLE:
		role_set(nsr, w, false);
		return 0;
	case NSR_APP_SNAPSHOT:
		ev_snapshot(nsr, w);
		return 0;
	case NSR_APP_ATTACHED:
		ev_attached(nsr, w);
		return 0;
	case NSR_APP_TXN_ACK:
		*why = "an acknowledgement of what was never sent";
		if (nsr_wire_u64(w, NSR_APP_A_TXN) > nsr->txn)
			return -EPROTO;
		if (nsr_wire_u64(w, NSR_APP_A_TXN) > nsr->txn_acked) {
			nsr->txn_acked = nsr_wire_u64(w, NSR_APP_A_TXN);
			nsr_out_acked(nsr);
		}
		return 0;
	case NSR_APP_TXN:
		return ev_state(nsr, w, why);
	case NSR_APP_SYNCED:
		nsr_call0(nsr, synced);
		return 0;
	case NSR_APP_CONN_ADDED:
		ev_added(nsr, w, fd);
		return 0;
	case NSR_APP_CONN_TAIL:
		return ev_tail(nsr, w, why);
	case NSR_APP_CONN_JOURNAL:
		return ev_journal(nsr, w, why);
	case NSR_APP_CONN_RESUMED:
		return ev_resumed(nsr, w, why);
	case NSR_APP_CONN_GONE:
		ev_gone(nsr, w);
		return 0;
	case NSR_APP_CONN_STATUS:
		ev_status(nsr, w);
		return 0;
	case NSR_APP_FROZEN:
		nsr_leave_frozen(nsr);
		return 0;
	default:
		*why = "a message that only an application sends";
		return -EPROTO;
	}
}
