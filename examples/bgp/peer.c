// SPDX-License-Identifier: GPL-2.0-only
/* A neighbour: dialling, accepting, connection collision (RFC 4271, sections 6.8 and 8). */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "bgp.h"

#define SESSIONS_MAX	4	/* per peer; two are a collision, more are a fault over there */

static void dial_stop(struct peer *p)
{
	ev_io_stop(p->bgp->loop, &p->dial);
	if (p->dial.fd >= 0)
		close(p->dial.fd);
	ev_io_set(&p->dial, -1, EV_WRITE);
}

static void retry_in(struct peer *p, double seconds)
{
	ev_timer_stop(p->bgp->loop, &p->retry);
	ev_timer_set(&p->retry, jittered(seconds), 0.);
	if (p->configured && !p->cfg.passive && p->bgp->speaking)
		ev_timer_start(p->bgp->loop, &p->retry);
}

static bool attach(struct peer *p, int fd, bool active_open)
{
	struct nsr_conn *conn;
	struct session *s;
	int err = nsr_conn_attach(p->bgp->nsr, fd, &conn);

	if (err) {
		peer_log(p, LOG_LVL_NOTICE, "connection given up: nsr_conn_attach: %s", strerror(-err));
		close(fd);
		if (active_open)
			retry_in(p, p->bgp->cfg->connect_retry);
		return false;
	}
	s = session_create(p, conn, fd, active_open, true);
	if (!s) {
		nsr_conn_close(conn, NSR_RST);
		return false;
	}
	return session_start(s);
}

static void on_dialled(struct ev_loop *loop, ev_io *w, int events)
{
	struct peer *p = w->data;
	int fd = w->fd, err = 0;
	socklen_t len = sizeof(err);

	(void)events;
	ev_io_stop(loop, w);
	ev_io_set(w, -1, EV_WRITE);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) || err) {
		peer_log(p, LOG_LVL_DEBUG, "connect: %s", strerror(err));
		close(fd);
		retry_in(p, p->bgp->cfg->connect_retry);
		return;
	}
	attach(p, fd, true);
}

static void dial(struct peer *p)
{
	int fd, one = 1, ttl = p->cfg.ttl;
	bool v6 = p->cfg.address.len == 16;
	struct sockaddr_storage ss;
	socklen_t len;

	fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		goto later;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* Before the SYN: an external neighbour may check it (RFC 5082). */
	setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_UNICAST_HOPS : IP_TTL, &ttl,
		   sizeof(ttl));
	/* From the service address, which moves with the role. Where it is not present the bind
	 * fails, as it should: no IP_FREEBIND here. */
	len = addr_to_sockaddr(&p->cfg.local, 0, &ss);
	if (p->cfg.local.len && bind(fd, (struct sockaddr *)&ss, len))
		goto later;
	len = addr_to_sockaddr(&p->cfg.address, p->cfg.port, &ss);
	if (connect(fd, (struct sockaddr *)&ss, len) && errno != EINPROGRESS)
		goto later;
	ev_io_set(&p->dial, fd, EV_WRITE);
	ev_io_start(p->bgp->loop, &p->dial);
	/* Should nobody answer: connect-retry ends the attempt. */
	retry_in(p, p->bgp->cfg->connect_retry + 1.);
	return;
later:
	peer_log(p, LOG_LVL_DEBUG, "cannot dial: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	retry_in(p, p->bgp->cfg->connect_retry + 1.);
}

static void on_retry(struct ev_loop *loop, ev_timer *w, int events)
{
	struct peer *p = w->data;

	(void)loop;
	(void)events;
	dial_stop(p);
	if (!p->sessions && p->bgp->speaking)
		dial(p);
}

struct peer *peer_create(struct bgp *bgp, const struct neighbor_config *cfg, bool configured)
{
	struct peer *p = calloc(1, sizeof(*p)), **at = &bgp->peers;

	if (!p)
		return NULL;
	p->bgp = bgp;
	p->cfg = *cfg;
	p->cfg.next = NULL;
	p->configured = configured;
	ev_timer_init(&p->retry, on_retry, 0., 0.);
	ev_io_init(&p->dial, on_dialled, -1, EV_WRITE);
	p->retry.data = p->dial.data = p;
	while (*at)
		at = &(*at)->next;
	*at = p;
	return p;
}

void peer_destroy(struct peer *p)
{
	struct peer **at = &p->bgp->peers;

	peer_stop(p);
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	free(p);
}

void peer_start(struct peer *p)
{
	struct session *s;

	for (s = p->sessions; s; s = s->next)
		session_await_resume(s);
	if (!p->sessions)
		retry_in(p, 0.2);
}

void peer_stop(struct peer *p)
{
	ev_timer_stop(p->bgp->loop, &p->retry);
	dial_stop(p);
}

void peer_accepted(struct bgp *bgp, int fd, const struct sockaddr_storage *from)
{
	char buf[ADDR_STRLEN];
	struct session *s;
	struct addr a;
	struct peer *p;
	int n = 0;

	addr_from_sockaddr(from, &a);
	p = bgp_find_peer(bgp, &a);
	for (s = p ? p->sessions : NULL; s; s = s->next)
		n++;
	if (!p || !p->configured || n >= SESSIONS_MAX) {
		bgp_log(LOG_LVL_NOTICE, "connection from %s refused: %s", addr_str(&a, buf),
			n ? "too many at once" : "no such neighbor in the configuration");
		close(fd);
		return;
	}
	attach(p, fd, false);
}

/* RFC 4271, section 6.8: of two that got as far as the OPEN, the one stays that was opened by the
 * speaker with the higher identifier (RFC 6286: with equal ones, the higher AS). */
static bool new_one_stays(const struct session *s, const struct session *old)
{
	const struct session_params *p = &s->params;
	bool we_win = p->local_id != p->peer_id ? p->local_id > p->peer_id : p->local_as > p->peer_as;

	if (!old->live)		/* a shadow: who opens a second connection has given up the first */
		return true;
	if (old->params.state == SESSION_ESTABLISHED)
		return false;
	if (old->active_open == s->active_open)
		return true;
	return s->active_open == we_win;
}

bool peer_collision(struct session *s)
{
	struct session *old, *next;

	for (old = s->peer->sessions; old; old = next) {
		next = old->next;
		if (old == s || (old->live && old->params.state < SESSION_OPENCONFIRM))
			continue;
		if (!new_one_stays(s, old))
			return session_cease(s, CEASE_COLLISION, NULL);
		if (old->live)
			session_cease(old, CEASE_COLLISION, NULL);
		else
			session_close(old, NSR_RST, "the peer has opened a new connection");
	}
	return true;
}

void peer_session_gone(struct session *s, const char *why)
{
	struct session **at = &s->peer->sessions;
	struct peer *p = s->peer;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	snprintf(p->last, sizeof(p->last), "%s", why);
	if (s->params.state == SESSION_ESTABLISHED && p->bgp->speaking) {
		p->lost++;
		peer_log(p, LOG_LVL_NOTICE, "session lost: %s", why);
	} else {
		peer_log(p, p->bgp->speaking ? LOG_LVL_NOTICE : LOG_LVL_DEBUG, "connection ended: %s",
			 why);
	}
	if (!p->sessions && p->bgp->speaking)
		retry_in(p, p->bgp->cfg->connect_retry);
}
