// SPDX-License-Identifier: GPL-2.0-only
/* The state machine of RFC 4271, section 8, from OpenSent on, for one TCP connection. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "bgp.h"

#define OPEN_HOLD	240.	/* RFC 4271: "a large value", until the OPEN names another */

static const char *const state_names[] = { "Idle", "OpenSent", "OpenConfirm", "Established" };

static struct ev_loop *loop_of(const struct session *s)
{
	return s->peer->bgp->loop;
}

static void arm(struct session *s, ev_timer *w, double seconds)
{
	w->repeat = seconds;
	if (seconds > 0)
		ev_timer_again(loop_of(s), w);
	else
		ev_timer_stop(loop_of(s), w);
}

static void heard(struct session *s)
{
	s->heard = true;
	arm(s, &s->hold, s->params.hold);
}

static void on_hold(struct ev_loop *loop, ev_timer *w, int events)
{
	struct session *s = w->data;
	struct bgp_error e;

	(void)loop;
	(void)events;
	if (!s->live) {
		session_close(s, NSR_RST, "not resumed within the hold time");
		return;
	}
	/* A box that was busy for long may have the peer's KEEPALIVE waiting in the socket. */
	s->heard = false;
	if (!session_input(s, 16) || s->heard)
		return;
	bgp_fail(&e, ERR_HOLD, 0, NULL, 0);
	session_fail(s, &e, NULL);
}

static void arm_keepalive(struct session *s)
{
	arm(s, &s->keepalive, jittered(s->params.hold / 3.));
}

static void on_keepalive(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	arm_keepalive(w->data);
	session_send_keepalive(w->data);
}

void session_apply_options(const struct session *s)
{
	int one = 1, ttl = s->peer->cfg.ttl;

	/* None of these fails on a TCP socket of the right family; none is worth a session. */
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (ttl && s->peer->cfg.address.len == 16)
		setsockopt(s->fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &ttl, sizeof(ttl));
	else if (ttl)
		setsockopt(s->fd, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
}

struct session *session_create(struct peer *p, struct nsr_conn *conn, int fd, bool active_open,
			       bool live)
{
	struct session *s = calloc(1, sizeof(*s));
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);

	if (!s)
		return NULL;
	s->peer = p;
	s->conn = conn;
	s->fd = fd;
	s->active_open = active_open;
	s->live = live;
	if (!getsockname(fd, (struct sockaddr *)&ss, &len))
		addr_from_sockaddr(&ss, &s->local);
	session_io_init(s);
	ev_timer_init(&s->hold, on_hold, 0., 0.);
	ev_timer_init(&s->keepalive, on_keepalive, 0., 0.);
	s->hold.data = s->keepalive.data = s;
	s->next = p->sessions;
	p->sessions = s;
	nsr_conn_set_data(conn, s);
	session_apply_options(s);
	ev_io_start(p->bgp->loop, &s->io);
	return s;
}

static struct open_msg our_open(const struct session *s)
{
	const struct config *cfg = s->peer->bgp->cfg;

	return (struct open_msg){
		.as = cfg->local_as, .id = cfg->router_id, .hold = s->peer->cfg.hold,
		.as4 = true, .refresh = true, .mp4 = true, .mp6 = true,
	};
}

static bool enter(struct session *s, enum session_state state)
{
	peer_log(s->peer, LOG_LVL_DEBUG, "%s -> %s", state_names[s->params.state], state_names[state]);
	s->params.state = state;
	return replica_put_session(s) || session_cease(s, CEASE_RESOURCES, "cannot replicate");
}

bool session_start(struct session *s)
{
	struct open_msg open = our_open(s);
	uint8_t msg[BGP_MSG_MAX];

	s->params.local_as = open.as;
	s->params.local_id = open.id;
	if (!session_send(s, msg, open_encode(&open, msg)))
		return session_close(s, NSR_RST, "cannot send OPEN");
	arm(s, &s->hold, OPEN_HOLD);
	return enter(s, SESSION_OPENSENT);
}

static bool on_open(struct session *s, const uint8_t *msg, size_t len)
{
	struct open_msg ours = our_open(s), theirs;
	struct session_params *p = &s->params;
	uint8_t caps[32];
	struct bgp_error e;

	if (open_decode(msg, len, &theirs, &e))
		return session_fail(s, &e, NULL);
	if (theirs.as != s->peer->cfg.remote_as) {
		bgp_fail(&e, ERR_OPEN, OPEN_PEER_AS, NULL, 0);
		peer_log(s->peer, LOG_LVL_ERROR, "says AS %u, the configuration says %u", theirs.as,
			 s->peer->cfg.remote_as);
		return session_fail(s, &e, NULL);
	}
	if (theirs.id == ours.id && theirs.as == ours.as) {
		bgp_fail(&e, ERR_OPEN, OPEN_BGP_ID, NULL, 0);
		return session_fail(s, &e, "its router-id is ours");
	}
	if (!theirs.mp4 && !theirs.mp6) {
		bgp_fail(&e, ERR_OPEN, OPEN_CAPABILITY, caps, caps_encode(&ours, caps));
		return session_fail(s, &e, "no address family in common");
	}
	p->peer_as = theirs.as;
	p->peer_id = theirs.id;
	p->as4 = theirs.as4;
	p->refresh = theirs.refresh;
	p->mp4 = theirs.mp4;
	p->mp6 = theirs.mp6;
	p->hold = theirs.hold < ours.hold ? theirs.hold : ours.hold;
	if (!peer_collision(s))
		return false;
	session_send_keepalive(s);
	heard(s);
	arm_keepalive(s);
	return enter(s, SESSION_OPENCONFIRM);
}

static bool on_established(struct session *s)
{
	heard(s);
	s->params.since = (uint64_t)time(NULL);
	s->peer->established++;
	if (!enter(s, SESSION_ESTABLISHED))
		return false;
	peer_log(s->peer, LOG_LVL_NOTICE, "established, AS %u, hold time %u s,%s%s%s%s",
		 s->params.peer_as, s->params.hold, s->params.mp4 ? " IPv4" : "",
		 s->params.mp6 ? " IPv6" : "", s->params.refresh ? " refresh" : "",
		 s->params.as4 ? " AS4" : "");
	announce_start(s);
	return true;
}

static bool learn(struct session *s, uint8_t afi, const uint8_t *nlri, size_t len,
		  struct attrs *attrs)
{
	struct prefix p;
	size_t n;

	for (; len; nlri += n, len -= n) {
		n = prefix_decode(afi, nlri, len, &p);
		if (rib_set(&s->in, &p, attrs_get(attrs)) < 0 ||
		    !replica_put_route(s, STATE_IN, &p, attrs))
			return session_cease(s, CEASE_RESOURCES, "cannot store a route");
	}
	return true;
}

static bool unlearn(struct session *s, uint8_t afi, const uint8_t *nlri, size_t len)
{
	struct prefix p;
	size_t n;

	for (; len; nlri += n, len -= n) {
		n = prefix_decode(afi, nlri, len, &p);
		if (rib_del(&s->in, &p) && !replica_del_route(s, STATE_IN, &p))
			return session_cease(s, CEASE_RESOURCES, "cannot replicate a withdrawal");
	}
	return true;
}

static bool learn_all(struct session *s, const struct update_msg *u)
{
	const struct parsed *a = &u->attr;
	struct attrs *set;
	bool alive = true;

	if (u->nlri_len) {
		set = attrs_intern(a->next_hop.b, a->next_hop.len, &a->tlvs);
		alive = set ? learn(s, AFI_IPV4, u->nlri, u->nlri_len, set) :
			session_cease(s, CEASE_RESOURCES, "no memory");
		attrs_put(set);
	}
	if (alive && a->reach.len) {
		set = attrs_intern(a->reach.nh, a->reach.nhlen, &a->tlvs);
		alive = set ? learn(s, a->reach.afi, a->reach.nlri, a->reach.len, set) :
			session_cease(s, CEASE_RESOURCES, "no memory");
		attrs_put(set);
	}
	return alive;
}

static bool on_update(struct session *s, const uint8_t *msg, size_t len)
{
	const struct session_params *p = &s->params;
	struct attr_env env = {
		.as4 = p->as4, .ibgp = p->peer_as == p->local_as, .mp4 = p->mp4, .mp6 = p->mp6,
	};
	struct update_msg u;
	struct bgp_error e;

	heard(s);
	if (update_decode(msg, len, &env, &u, &e))
		return session_fail(s, &e, u.attr.why);
	if (!p->mp4)
		u.withdrawn_len = u.nlri_len = 0;
	if (u.attr.why)
		peer_log(s->peer, LOG_LVL_NOTICE, "UPDATE: %s%s", u.attr.why,
			 u.attr.verdict == VERDICT_WITHDRAW ? "; its routes are treated as withdrawn" : "");
	if (!unlearn(s, AFI_IPV4, u.withdrawn, u.withdrawn_len) ||
	    !unlearn(s, u.attr.unreach.afi, u.attr.unreach.nlri, u.attr.unreach.len))
		return false;
	if (u.attr.verdict == VERDICT_OK)
		return learn_all(s, &u);
	return unlearn(s, AFI_IPV4, u.nlri, u.nlri_len) &&
	       unlearn(s, u.attr.reach.afi, u.attr.reach.nlri, u.attr.reach.len);
}

static bool on_notification(struct session *s, const uint8_t *msg, size_t len)
{
	char name[80], why[100];
	struct bgp_error e;

	notification_decode(msg, len, &e);
	snprintf(why, sizeof(why), "peer says %s", bgp_error_name(e.code, e.sub, name, sizeof(name)));
	return session_close(s, NSR_FIN, why);
}

bool session_handle(struct session *s, const uint8_t *msg, size_t len)
{
	enum session_state state = s->params.state;
	uint8_t type = msg[18];
	struct bgp_error e;

	if (type == BGP_NOTIFICATION)
		return on_notification(s, msg, len);
	if (type == BGP_OPEN && state == SESSION_OPENSENT)
		return on_open(s, msg, len);
	if (type == BGP_KEEPALIVE && state == SESSION_OPENCONFIRM)
		return on_established(s);
	if (state == SESSION_ESTABLISHED && type == BGP_KEEPALIVE) {
		heard(s);
		return true;
	}
	if (state == SESSION_ESTABLISHED && type == BGP_UPDATE)
		return on_update(s, msg, len);
	if (state == SESSION_ESTABLISHED && type == BGP_ROUTE_REFRESH) {
		uint8_t afi = refresh_decode(msg, len);

		if (afi)
			announce_refresh(s, afi);
		return true;
	}
	bgp_fail(&e, ERR_FSM, state == SESSION_OPENSENT ? FSM_OPENSENT :
		 state == SESSION_OPENCONFIRM ? FSM_OPENCONFIRM : FSM_ESTABLISHED, NULL, 0);
	return session_fail(s, &e, NULL);
}

/* What forbids this box to go on with a session that the other one held, or NULL. */
static const char *unfit(const struct session *s, const struct nsr_resume *r)
{
	const struct config *cfg = s->peer->bgp->cfg;
	const struct session_params *p = &s->params;

	if (s->broken)
		return s->broken;
	if (!s->peer->configured)
		return "no such neighbor in this box's configuration";
	if (p->state != SESSION_NEW && (p->local_as != cfg->local_as || p->local_id != cfg->router_id))
		return "local-as or router-id differ between the boxes";
	if (p->state >= SESSION_OPENCONFIRM && p->peer_as != s->peer->cfg.remote_as)
		return "remote-as differs between the boxes";
	if (r->rcv_missing)
		return "bytes from the peer are lost";
	/* Lossless: libnsr repeats what the peer lacks, before anything that we send. The next byte counts,
	 * not the mode: a connection that was not protected goes by the rules of mode adopt. */
	if (r->snd_next > r->snd_known)
		return "the peer has bytes that this box knows nothing of";
	if (r->snd_next < r->snd_known)
		return "bytes to the peer are lost";
	if (r->snd_uncertain)
		return "nothing proves which bytes the peer has";
	return NULL;
}

/*
 * The connection is ours now: after a takeover, or again, after a switchover that was called off.
 * First everything that has arrived is read, then the timers start, then we speak: the rest of a
 * message cut in two, a KEEPALIVE, and whatever the peer should have and has not.
 */
bool session_resume(struct session *s, const struct nsr_resume *r)
{
	const char *why = unfit(s, r);
	struct route *r_out;

	if (why)	/* the stream is not at a message's edge: there is no place for a NOTIFICATION */
		return session_close(s, NSR_RST, why);
	peer_log(s->peer, LOG_LVL_NOTICE, "resumed in %s%s%s", state_names[s->params.state],
		 r->planned ? ", planned" : "", r->rcv_uncertain ? ", with bytes uncertain" : "");
	s->live = true;
	s->blocked = false;
	s->in_len = 0;			/* what was not consumed comes again, tail first */
	s->peer->resumed++;
	s->received = s->sent = 0;
	session_apply_options(s);
	for (r_out = s->out.first; r_out; r_out = r_out->next)	/* said, unless asked for again */
		r_out->seen = r_out->prefix.afi == AFI_IPV4 ? !s->params.resend4 : !s->params.resend6;
	ev_io_start(loop_of(s), &s->io);
	arm(s, &s->hold, 0);
	if (s->params.state == SESSION_NEW)
		return session_start(s);
	if (!session_input(s, 1024))
		return false;
	arm(s, &s->hold, s->params.state == SESSION_OPENSENT ? OPEN_HOLD : s->params.hold);
	arm_keepalive(s);
	s->keepalive_due = s->params.state >= SESSION_OPENCONFIRM;
	session_writable(s);
	if (s->params.state == SESSION_ESTABLISHED)
		announce_start(s);
	return true;
}

void session_suspend(struct session *s)
{
	s->live = false;
	arm(s, &s->hold, 0);
	arm(s, &s->keepalive, 0);
	ev_io_stop(loop_of(s), &s->io);
}

/* This box has the role, the connection is not back yet: it gets the time that the peer gives it. */
void session_await_resume(struct session *s)
{
	if (!s->live)
		arm(s, &s->hold, s->params.hold ? s->params.hold : OPEN_HOLD);
}

bool session_fail(struct session *s, const struct bgp_error *e, const char *why)
{
	char name[80], text[128];
	uint8_t msg[BGP_MSG_MAX];

	bgp_error_name(e->code, e->sub, name, sizeof(name));
	snprintf(text, sizeof(text), "%s%s%s", name, why ? ": " : "", why ? why : "");
	session_send(s, msg, notification_encode(e, msg));
	return session_close(s, NSR_FIN, text);
}

bool session_cease(struct session *s, uint8_t sub, const char *why)
{
	struct bgp_error e;

	bgp_fail(&e, ERR_CEASE, sub, NULL, 0);
	return session_fail(s, &e, why);
}

bool session_close(struct session *s, enum nsr_fin how, const char *why)
{
	struct ev_loop *loop = loop_of(s);
	struct bgp *bgp = s->peer->bgp;

	ev_io_stop(loop, &s->io);
	ev_timer_stop(loop, &s->hold);
	ev_timer_stop(loop, &s->keepalive);
	rib_stop(&bgp->networks, &s->walk);
	nsr_conn_close(s->conn, how);	/* what is bound to the connection vanishes on the standby */
	peer_session_gone(s, why);
	rib_clear(&s->in);
	rib_clear(&s->out);
	free(s);
	return false;
}
