// SPDX-License-Identifier: GPL-2.0-only
/* The speaker as a whole: its listening sockets, its turn of the event loop, its configuration. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>
#include "bgp.h"

static void on_acceptable(struct ev_loop *loop, ev_io *w, int events)
{
	struct listener *l = w->data;
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	int fd;

	(void)loop;
	(void)events;
	fd = accept4(w->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		peer_accepted(l->bgp, fd, &from);
}

/* The standby listens, too: then a takeover has nothing to open. The address is not there yet. */
static int listen_at(const struct addr *a, uint16_t port)
{
	bool v6 = a->len == 16;
	int one = 1, err, fd;
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(a, port, &ss);

	fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (v6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (!setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_FREEBIND : IP_FREEBIND, &one,
			sizeof(one)) &&
	    !bind(fd, (struct sockaddr *)&ss, len) && !listen(fd, 64))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static bool listeners_open(struct bgp *bgp)
{
	const struct config *cfg = bgp->cfg;
	char buf[ADDR_STRLEN];
	size_t i;

	for (i = 0; i < cfg->listens; i++) {
		struct listener *l = &bgp->listeners[i];
		int fd = listen_at(&cfg->listen[i], cfg->port);

		if (fd < 0) {
			bgp_log(LOG_LVL_ERROR, "cannot listen at %s port %u: %s",
				addr_str(&cfg->listen[i], buf), cfg->port, strerror(-fd));
			return false;
		}
		l->bgp = bgp;
		ev_io_init(&l->io, on_acceptable, fd, EV_READ);
		l->io.data = l;
		bgp->listening++;
	}
	return true;
}

/* Before the loop waits: what this turn consumed, put and sent becomes one transaction. */
static void on_prepare(struct ev_loop *loop, ev_prepare *w, int events)
{
	(void)loop;
	(void)events;
	replica_commit(w->data);
}

/* Work in pieces: announcements and the snapshot. Runs once per turn while there is some. */
static void on_work(struct ev_loop *loop, ev_idle *w, int events)
{
	struct bgp *bgp = w->data;
	struct session *s;
	struct peer *p;
	bool more = false;

	(void)events;
	for (p = bgp->peers; p; p = p->next)
		for (s = p->sessions; s; s = s->next)
			more |= announce_pump(s);
	if (!bgp->commit_blocked)
		more |= replica_snapshot_step(bgp);
	if (!more)
		ev_idle_stop(loop, w);
}

void bgp_kick(struct bgp *bgp)
{
	ev_idle_start(bgp->loop, &bgp->work);
}

/* nsrd has not answered: nobody to be non-stop with. Should it come up later, its role counts. */
static void on_nsrd_wait(struct ev_loop *loop, ev_timer *w, int events)
{
	struct bgp *bgp = w->data;

	(void)loop;
	(void)events;
	if (bgp->role_known)
		return;
	bgp_log(LOG_LVL_NOTICE, "no word from nsrd: running as a plain BGP speaker");
	bgp_speak(bgp);
}

struct bgp *bgp_create(struct ev_loop *loop, struct config *cfg, const char *config_path)
{
	struct bgp *bgp = calloc(1, sizeof(*bgp));
	const struct neighbor_config *n;
	struct route *r;
	int err;

	if (!bgp) {
		config_free(cfg);
		return NULL;
	}
	bgp->loop = loop;
	bgp->cfg = cfg;
	bgp->config_path = config_path;
	ev_prepare_init(&bgp->prepare, on_prepare);
	ev_idle_init(&bgp->work, on_work);
	ev_set_priority(&bgp->work, EV_MAXPRI);	/* else a busy socket would starve it */
	ev_timer_init(&bgp->nsrd_wait, on_nsrd_wait, cfg->nsrd_wait, 0.);
	bgp->prepare.data = bgp->work.data = bgp->nsrd_wait.data = bgp;
	err = replica_open(bgp);
	if (err) {
		bgp_log(LOG_LVL_ERROR, "nsr_open: %s", strerror(-err));
		bgp_destroy(bgp);
		return NULL;
	}
	for (r = cfg->networks.first; r; r = r->next)
		rib_set(&bgp->networks, &r->prefix, attrs_get(r->attrs));
	for (n = cfg->neighbors; n; n = n->next)
		peer_create(bgp, n, true);
	if (!listeners_open(bgp)) {
		bgp_destroy(bgp);
		return NULL;
	}
	ev_prepare_start(loop, &bgp->prepare);
	ev_timer_start(loop, &bgp->nsrd_wait);
	return bgp;
}

void bgp_destroy(struct bgp *bgp)
{
	size_t i;

	bgp->speaking = false;
	for (i = 0; i < bgp->listening; i++) {
		ev_io_stop(bgp->loop, &bgp->listeners[i].io);
		close(bgp->listeners[i].io.fd);
	}
	while (bgp->peers) {
		while (bgp->peers->sessions)
			session_close(bgp->peers->sessions, NSR_FIN, "end of the program");
		peer_destroy(bgp->peers);
	}
	ev_prepare_stop(bgp->loop, &bgp->prepare);
	ev_idle_stop(bgp->loop, &bgp->work);
	ev_timer_stop(bgp->loop, &bgp->nsrd_wait);
	replica_close(bgp);
	rib_clear(&bgp->networks);
	config_free(bgp->cfg);
	free(bgp);
}

struct peer *bgp_find_peer(const struct bgp *bgp, const struct addr *a)
{
	struct peer *p;

	for (p = bgp->peers; p && !addr_equal(&p->cfg.address, a); p = p->next)
		;
	return p;
}

void bgp_speak(struct bgp *bgp)
{
	struct peer *p;
	size_t i;

	bgp->speaking = true;
	for (i = 0; i < bgp->listening; i++)
		ev_io_start(bgp->loop, &bgp->listeners[i].io);
	for (p = bgp->peers; p; p = p->next)
		peer_start(p);
	bgp_kick(bgp);
}

void bgp_hush(struct bgp *bgp)
{
	struct peer *p;
	size_t i;

	bgp->speaking = false;
	for (i = 0; i < bgp->listening; i++)
		ev_io_stop(bgp->loop, &bgp->listeners[i].io);
	for (p = bgp->peers; p; p = p->next)
		peer_stop(p);
}

void bgp_shutdown(struct bgp *bgp)
{
	struct session *s, *next;
	struct peer *p;
	bool active = bgp->speaking;

	bgp_hush(bgp);
	for (p = bgp->peers; p && active; p = p->next) {
		for (s = p->sessions; s; s = next) {
			next = s->next;
			session_cease(s, CEASE_SHUTDOWN, NULL);
		}
	}
	replica_commit(bgp);
}

static void reload_networks(struct bgp *bgp, const struct config *cfg)
{
	struct route *r, *next, *old;

	rib_unmark(&bgp->networks);
	for (r = cfg->networks.first; r; r = r->next) {
		old = rib_find(&bgp->networks, &r->prefix);
		if (!old || old->attrs != r->attrs)
			replica_put_network(bgp, &r->prefix, r->attrs);
		rib_set(&bgp->networks, &r->prefix, attrs_get(r->attrs));
	}
	for (r = bgp->networks.first; r; r = next) {
		next = r->next;
		if (!r->seen) {
			replica_del_network(bgp, &r->prefix);
			rib_del(&bgp->networks, &r->prefix);
		}
	}
}

static bool same_neighbor(const struct neighbor_config *a, const struct neighbor_config *b)
{
	return addr_equal(&a->local, &b->local) && a->remote_as == b->remote_as &&
	       a->passive == b->passive && a->hold == b->hold && a->port == b->port && a->ttl == b->ttl;
}

static void reload_peer(struct peer *p, const struct neighbor_config *n)
{
	struct bgp *bgp = p->bgp;
	bool changed = n && !same_neighbor(n, &p->cfg), was = p->configured;
	struct session *s, *next;

	if (n)
		p->cfg = *n;
	p->configured = n != NULL;
	for (s = p->sessions; s && bgp->speaking && was && (!n || changed); s = next) {
		next = s->next;
		session_cease(s, n ? CEASE_CONFIG : CEASE_DECONFIGURED, NULL);
	}
	if (!n && !p->sessions)
		peer_destroy(p);
	else if (bgp->speaking && (changed || !was))
		peer_start(p);
}

void bgp_reload(struct bgp *bgp, struct config *cfg)
{
	const struct neighbor_config *n;
	struct peer *p, *next;
	struct session *s;

	if (cfg->local_as != bgp->cfg->local_as || cfg->router_id != bgp->cfg->router_id ||
	    cfg->port != bgp->cfg->port || cfg->listens != bgp->cfg->listens ||
	    memcmp(cfg->listen, bgp->cfg->listen, sizeof(cfg->listen))) {
		bgp_log(LOG_LVL_ERROR, "local-as, router-id, listen and port change with a restart only; "
			"nothing is reloaded");
		config_free(cfg);
		return;
	}
	config_free(bgp->cfg);
	bgp->cfg = cfg;
	for (p = bgp->peers; p; p = next) {
		next = p->next;
		reload_peer(p, config_neighbor(cfg, &p->cfg.address));
	}
	for (n = cfg->neighbors; n; n = n->next) {
		if (bgp_find_peer(bgp, &n->address))
			continue;
		p = peer_create(bgp, n, true);
		if (p && bgp->speaking)
			peer_start(p);
	}
	if (!bgp->speaking) {	/* the other box's networks are in force, and come with its role */
		bgp_log(LOG_LVL_NOTICE, "reloaded neighbors; networks count when they are read as active");
		return;
	}
	reload_networks(bgp, cfg);
	for (p = bgp->peers; p; p = p->next)
		for (s = p->sessions; s; s = s->next)
			if (s->params.state == SESSION_ESTABLISHED)
				announce_start(s);
	bgp_log(LOG_LVL_NOTICE, "reloaded: %zu networks", bgp->networks.count);
}
