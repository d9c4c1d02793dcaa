// SPDX-License-Identifier: GPL-2.0-only
/*
 * Everything that faces libnsr. The lower half puts our tables into transactions; the upper half is
 * the listener: on the standby it fills the same tables from what arrives, and at a takeover it lets
 * the speaker loose on them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "bgp.h"

#define SNAPSHOT_RECORDS	512u	/* per turn of the event loop */
#define RECORD_ROOM		128u	/* what libnsr adds to a record */

static bool done(const char *what, int err)
{
	if (!err || err == -ENOTCONN)	/* gone: there is nothing more to replicate of it */
		return true;
	bgp_log(LOG_LVL_ERROR, "%s: %s", what, strerror(-err));
	return false;
}

static bool put(struct bgp *bgp, struct nsr_conn *conn, enum state_kind kind, const struct prefix *p,
		const uint8_t *val, size_t len)
{
	uint8_t key[STATE_KEY_MAX];
	int err = nsr_put(bgp->nsr, conn, key, state_key(kind, p, key), val, len);

	bgp->uncommitted += len + sizeof(key) + RECORD_ROOM;
	return done("nsr_put", err);
}

static bool del(struct bgp *bgp, struct nsr_conn *conn, enum state_kind kind, const struct prefix *p)
{
	uint8_t key[STATE_KEY_MAX];
	int err = nsr_del(bgp->nsr, conn, key, state_key(kind, p, key));

	return done("nsr_del", err);
}

void replica_commit(struct bgp *bgp)
{
	int err = nsr_commit(bgp->nsr);

	bgp->uncommitted = 0;
	if (err && err != -EAGAIN)
		bgp_log(LOG_LVL_ERROR, "nsr_commit: %s", strerror(-err));
	if (bgp->commit_blocked && !err)
		bgp_kick(bgp);
	bgp->commit_blocked = err == -EAGAIN;
}

void replica_message_done(struct bgp *bgp)
{
	if (bgp->uncommitted > NSR_TXN_MAX / 4)
		replica_commit(bgp);
}

bool replica_put_session(struct session *s)
{
	uint8_t val[STATE_VALUE_MAX];

	return put(s->peer->bgp, s->conn, STATE_SESSION, NULL, val,
		   state_session_encode(&s->params, val));
}

bool replica_put_rest(struct session *s)
{
	uint8_t val[STATE_VALUE_MAX];

	if (!s->rest_len)
		return del(s->peer->bgp, s->conn, STATE_REST, NULL);
	return put(s->peer->bgp, s->conn, STATE_REST, NULL, val,
		   state_rest_encode(s->rest, s->rest_len, val));
}

bool replica_put_route(struct session *s, enum state_kind kind, const struct prefix *p,
		       const struct attrs *a)
{
	uint8_t val[STATE_VALUE_MAX];

	return put(s->peer->bgp, s->conn, kind, p, val, state_attrs_encode(a, val));
}

bool replica_del_route(struct session *s, enum state_kind kind, const struct prefix *p)
{
	return del(s->peer->bgp, s->conn, kind, p);
}

bool replica_put_network(struct bgp *bgp, const struct prefix *p, const struct attrs *a)
{
	uint8_t val[STATE_VALUE_MAX];

	return put(bgp, NULL, STATE_NETWORK, p, val, state_attrs_encode(a, val));
}

bool replica_del_network(struct bgp *bgp, const struct prefix *p)
{
	return del(bgp, NULL, STATE_NETWORK, p);
}

/*
 * The snapshot, a piece per turn. Changes made meanwhile are put as always: whether the walk has
 * been there or not, the last word on each key is right.
 */
static void on_snapshot(void *data)
{
	struct bgp *bgp = data;
	struct session *s;
	struct peer *p;

	for (p = bgp->peers; p; p = p->next)
		for (s = p->sessions; s; s = s->next)
			s->snapshot = SNAP_PARAMS;
	rib_start(&bgp->networks, &bgp->snapshot_walk);
	bgp->snapshot = BGP_SNAP_NETWORKS;
	bgp_kick(bgp);
}

static unsigned int snapshot_session(struct session *s, unsigned int budget)
{
	struct route *r;

	if (s->snapshot == SNAP_PARAMS) {
		if (s->params.state != SESSION_NEW)
			replica_put_session(s);
		if (s->rest_len)
			replica_put_rest(s);
		rib_start(&s->in, &s->snapshot_walk);
		s->snapshot = SNAP_IN;
	}
	while (budget && s->snapshot != SNAP_DONE) {
		struct rib *rib = s->snapshot == SNAP_IN ? &s->in : &s->out;

		r = rib_next(rib, &s->snapshot_walk);
		if (r) {
			replica_put_route(s, rib == &s->in ? STATE_IN : STATE_OUT, &r->prefix, r->attrs);
			budget--;
		} else if (rib == &s->in) {
			rib_start(&s->out, &s->snapshot_walk);
			s->snapshot = SNAP_OUT;
		} else {
			s->snapshot = SNAP_DONE;
		}
	}
	return budget;
}

bool replica_snapshot_step(struct bgp *bgp)
{
	unsigned int budget = SNAPSHOT_RECORDS;
	struct session *s;
	struct route *r;
	struct peer *p;

	if (bgp->snapshot == BGP_SNAP_NETWORKS) {
		while (budget && (r = rib_next(&bgp->networks, &bgp->snapshot_walk))) {
			replica_put_network(bgp, &r->prefix, r->attrs);
			budget--;
		}
		if (budget)
			bgp->snapshot = BGP_SNAP_SESSIONS;
	}
	if (bgp->snapshot == BGP_SNAP_NONE)
		return false;
	for (p = bgp->peers; p; p = p->next)
		for (s = p->sessions; s && budget; s = s->next)
			budget = snapshot_session(s, budget);
	if (!budget)
		return true;
	bgp->snapshot = BGP_SNAP_NONE;
	replica_commit(bgp);
	nsr_snapshot_done(bgp->nsr);
	bgp_log(LOG_LVL_DEBUG, "snapshot given");
	return false;
}

/* Mark and sweep: each `synced` ends a telling of everything that exists. What was not named since the
 * one before, or since nsrd came, is of the past. */
static void unmark(struct bgp *bgp)
{
	struct session *s;
	struct peer *p;

	rib_unmark(&bgp->networks);
	for (p = bgp->peers; p; p = p->next) {
		for (s = p->sessions; s; s = s->next) {
			rib_unmark(&s->in);
			rib_unmark(&s->out);
			s->rest_seen = false;
		}
	}
}

static void on_link(void *data, int up)
{
	struct bgp *bgp = data;

	/* Sessions do not depend on it: with nsrd away there is no standby, and that is all. */
	if (up && !bgp->speaking)
		unmark(bgp);
	bgp_log(LOG_LVL_NOTICE, up ? "nsrd is there" : "nsrd is away; sessions go on without a standby");
}

static void leave(struct bgp *bgp)
{
	struct session *s;
	struct peer *p;
	int err;

	bgp_hush(bgp);
	for (p = bgp->peers; p; p = p->next) {
		for (s = p->sessions; s; s = s->next) {
			/* If the socket still does not take the rest of a message, the rest travels
			 * as state: the position handed over is right in both cases. */
			if (s->rest_len)
				session_writable(s);
			session_suspend(s);
		}
	}
	replica_commit(bgp);
	err = nsr_left(bgp->nsr);
	if (err)
		bgp_log(LOG_LVL_ERROR, "nsr_left: %s", strerror(-err));
}

/* Nothing that we opened by ourselves survives becoming standby, and nothing of it leaves the box. */
static void become_standby(struct bgp *bgp)
{
	struct session *s, *next;
	struct peer *p;

	bgp_hush(bgp);
	for (p = bgp->peers; p; p = p->next) {
		for (s = p->sessions; s; s = next) {
			next = s->next;
			if (s->live)
				session_close(s, NSR_RST, "this box is standby");
		}
	}
	bgp->snapshot = BGP_SNAP_NONE;
	unmark(bgp);		/* what we announced by ourselves is not what is in force now */
}

static void on_role(void *data, enum nsr_role role, uint64_t term, unsigned int deadline_ms)
{
	static const char *const names[] = { "none", "standby", "active", "leaving" };
	struct bgp *bgp = data;

	bgp_log(LOG_LVL_NOTICE, "role %s, term %" PRIu64, names[role], term);
	if (role == NSR_ROLE_LEAVING)
		bgp_log(LOG_LVL_DEBUG, "leaving within %u ms", deadline_ms);
	bgp->role = role;
	bgp->role_known = true;
	ev_timer_stop(bgp->loop, &bgp->nsrd_wait);
	if (role == NSR_ROLE_LEAVING)
		leave(bgp);
	else if (role == NSR_ROLE_STANDBY)
		become_standby(bgp);
	else if (!bgp->speaking)
		bgp_speak(bgp);
}

static void on_conn_added(void *data, struct nsr_conn *conn, int fd, const struct nsr_conn_info *info)
{
	struct neighbor_config unknown = { .port = BGP_PORT };
	struct bgp *bgp = data;
	struct session *s;
	struct peer *p;

	addr_from_sockaddr(&info->remote, &unknown.address);
	p = bgp_find_peer(bgp, &unknown.address);
	if (!p)		/* a reload may still name it before it matters */
		p = peer_create(bgp, &unknown, false);
	s = p ? session_create(p, conn, fd, info->active_open, false) : NULL;
	if (!s) {
		bgp_log(LOG_LVL_ERROR, "no memory for a shadow; its connection is not protected");
		nsr_conn_close(conn, NSR_RST);
		return;
	}
	addr_from_sockaddr(&info->local, &s->local);
	peer_log(p, p->configured ? LOG_LVL_DEBUG : LOG_LVL_ERROR, "shadow added%s", p->configured ? "" :
		 ", of a neighbor that is not configured here: add it and send SIGHUP, or the session "
		 "will be reset at takeover");
}

static void on_conn_resumed(void *data, struct nsr_conn *conn, const struct nsr_resume *r)
{
	struct session *s = nsr_conn_get_data(conn);

	(void)data;
	if (s)
		session_resume(s, r);
}

static void on_conn_gone(void *data, struct nsr_conn *conn, enum nsr_gone why)
{
	static const char *const names[] = {
		"the peer has closed", "demoted", "bytes were lost in the takeover", "resynchronizing",
		"connection failed",
	};
	struct session *s = nsr_conn_get_data(conn);

	(void)data;
	if (s && (why == NSR_GONE_RESYNC || why == NSR_GONE_DEMOTED))
		s->params.state = SESSION_NEW;		/* not lost: it goes on elsewhere */
	if (s)
		session_close(s, NSR_RST, names[why]);
	else
		nsr_conn_close(conn, NSR_RST);
}

static void on_conn_writable(void *data, struct nsr_conn *conn)
{
	struct session *s = nsr_conn_get_data(conn);

	(void)data;
	if (s)
		session_writable(s);
}

static void on_conn_status(void *data, struct nsr_conn *conn, const struct nsr_conn_info *info)
{
	struct session *s = nsr_conn_get_data(conn);

	(void)data;
	if (s)
		peer_log(s->peer, LOG_LVL_NOTICE, "%s%s%s", info->is_protected ? "protected" :
			 "not protected", info->reason[0] ? ": " : "", info->reason);
}

/* A record that cannot be read: better no session than one that goes on from half of its state. */
static void broken(struct bgp *bgp, struct session *s)
{
	if (s && !s->broken) {
		s->broken = "its state cannot be read: both boxes must run the same version";
		peer_log(s->peer, LOG_LVL_ERROR, "%s", s->broken);
	} else if (!s) {
		bgp_log(LOG_LVL_ERROR, "a record of the other box cannot be read, and is ignored");
	}
	(void)bgp;
}

static bool apply_route(struct rib *rib, const struct prefix *p, const void *val, size_t len)
{
	struct attrs *a;

	if (!val) {
		rib_del(rib, p);
		return true;
	}
	a = state_attrs_decode(val, len);
	return a && rib_set(rib, p, a) >= 0;
}

static bool apply_rest(struct session *s, const void *val, size_t len)
{
	const uint8_t *rest;

	s->rest_len = 0;
	if (!val)
		return true;
	if (!state_rest_decode(val, len, &rest, &s->rest_len))
		return false;
	memcpy(s->rest, rest, s->rest_len);
	s->rest_seen = true;
	return true;
}

static void on_state(void *data, struct nsr_conn *conn, const void *key, size_t klen, const void *val,
		     size_t vlen)
{
	struct bgp *bgp = data;
	struct session *s = conn ? nsr_conn_get_data(conn) : NULL;
	struct prefix p;
	bool ok = false;

	if (conn && !s)
		return;
	switch (state_key_decode(key, klen, &p)) {
	case STATE_SESSION:
		ok = s && (!val || state_session_decode(val, vlen, &s->params));
		break;
	case STATE_REST:
		ok = s && apply_rest(s, val, vlen);
		break;
	case STATE_IN:
		ok = s && apply_route(&s->in, &p, val, vlen);
		break;
	case STATE_OUT:
		ok = s && apply_route(&s->out, &p, val, vlen);
		break;
	case STATE_NETWORK:
		ok = !s && apply_route(&bgp->networks, &p, val, vlen);
		break;
	case STATE_BAD:
		break;
	}
	if (!ok)
		broken(bgp, s);
}

static void on_synced(void *data)
{
	struct bgp *bgp = data;
	struct session *s;
	struct peer *p;

	if (bgp->speaking)	/* the tables are ours by now, and the marks mean other things */
		return;
	rib_sweep(&bgp->networks);
	for (p = bgp->peers; p; p = p->next) {
		for (s = p->sessions; s; s = s->next) {
			rib_sweep(&s->in);
			rib_sweep(&s->out);
			if (!s->rest_seen)
				s->rest_len = 0;
		}
	}
	unmark(bgp);
	bgp_log(LOG_LVL_NOTICE, "in step with the active box: %zu networks", bgp->networks.count);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	struct bgp *bgp = w->data;
	int n = nsr_dispatch(bgp->nsr, 0);

	(void)events;
	if (n >= 0 || n == -EAGAIN || n == -EINTR || bgp->refused)
		return;
	/* Final; but dispatch goes on telling when a connection may be written again. */
	bgp->refused = true;
	bgp_log(LOG_LVL_ERROR, "nsrd: %s", nsr_strerror(bgp->nsr));
	if (!bgp->speaking) {
		bgp_log(LOG_LVL_NOTICE, "running as a plain BGP speaker");
		ev_timer_stop(loop, &bgp->nsrd_wait);
		bgp_speak(bgp);
	}
}

static const struct nsr_listener listener = {
	.size = sizeof(listener), .link = on_link, .role = on_role, .snapshot = on_snapshot,
	.state = on_state, .synced = on_synced, .conn_added = on_conn_added,
	.conn_resumed = on_conn_resumed, .conn_gone = on_conn_gone,
	.conn_writable = on_conn_writable, .conn_status = on_conn_status,
};

int replica_open(struct bgp *bgp)
{
	const struct config *cfg = bgp->cfg;
	int err = nsr_open(cfg->nsrd_socket, cfg->group ? cfg->group : "bgp", cfg->application, &listener,
			   bgp, &bgp->nsr);

	if (err)
		return err;
	ev_io_init(&bgp->nsr_io, on_readable, nsr_get_fd(bgp->nsr), EV_READ);
	bgp->nsr_io.data = bgp;
	ev_io_start(bgp->loop, &bgp->nsr_io);
	return 0;
}

void replica_close(struct bgp *bgp)
{
	if (!bgp->nsr)
		return;
	ev_io_stop(bgp->loop, &bgp->nsr_io);
	nsr_close(bgp->nsr);
}
