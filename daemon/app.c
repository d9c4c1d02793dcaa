// SPDX-License-Identifier: GPL-2.0-only
/* The application socket, and the applications of a group as a whole. */
#define _GNU_SOURCE			/* accept4() */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "app_priv.h"

/* ---- who is there ---- */

struct app_server *app_server_of(const struct group *g)
{
	return g->nsrd->apps;
}

struct app_group *app_group_get(struct app_server *s, struct group *g)
{
	struct app_group *ag;

	if (!s)
		return NULL;
	list_for_each(ag, &s->groups, node)
		if (ag->g == g)
			return ag;
	ag = calloc(1, sizeof(*ag));
	if (!ag)
		return NULL;
	ag->g = g;
	list_init(&ag->orphans);
	list_init(&ag->seen);
	list_add_tail(&ag->node, &s->groups);
	return ag;
}

struct app_client *app_client_find(const struct app_group *ag, const char *name)
{
	struct app_client *cl;

	list_for_each(cl, &app_server_of(ag->g)->clients, node)
		if (cl->ag == ag && !cl->dying && !strcmp(cl->name, name))
			return cl;
	return NULL;
}

bool app_is_attached(const struct group *g, const char *app)
{
	struct app_group *ag = app_group_get(app_server_of(g), (struct group *)g);

	return ag && app_client_find(ag, app);
}

void app_each_attached(const struct group *g, void (*tell)(void *data, const char *app), void *data)
{
	struct app_server *as = app_server_of(g);
	struct app_group *ag = app_group_get(as, (struct group *)g);
	struct app_client *c;

	list_for_each(c, &as->clients, node)
		if (ag && c->ag == ag && !c->dying)
			tell(data, c->name);
}

bool app_is_active(const struct app_group *ag)
{
	return ag->role == NSR_ROLE_ACTIVE || ag->role == NSR_ROLE_LEAVING;
}

static struct app_name *seen(const struct app_group *ag, const char *name)
{
	struct app_name *n;

	list_for_each(n, &ag->seen, node)
		if (!strcmp(n->name, name))
			return n;
	return NULL;
}

static struct app_name *mark_seen(struct app_group *ag, const char *name)
{
	struct app_name *n = seen(ag, name);

	if (n)
		return n;
	n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	snprintf(n->name, sizeof(n->name), "%s", name);
	list_add_tail(&n->node, &ag->seen);
	return n;
}

void app_owes(struct app_group *ag, const char *name, bool owes)
{
	struct app_name *n = owes ? mark_seen(ag, name) : seen(ag, name);

	if (n)
		n->owes = owes;
}

/* It left in the middle of its snapshot, and connections of its live on. */
static const char *debtor(const struct app_group *ag)
{
	struct nsr_store_conn *c = NULL;
	struct app_name *n;
	bool any = false;

	list_for_each(n, &ag->seen, node)
		any |= n->owes;
	while (any && (c = nsr_store_conn_next(ag->g->store, c))) {
		n = c->app ? seen(ag, c->app->name) : NULL;
		if (n && n->owes && !app_client_find(ag, n->name))
			return n->name;
	}
	return NULL;
}

static void forget_seen(struct app_group *ag)
{
	struct app_name *n, *tmp;

	list_for_each_safe(n, tmp, &ag->seen, node) {
		list_del(&n->node);
		free(n);
	}
}

/* ---- HELLO ---- */

static bool may_attach(const struct cfg_group *cfg, const char *app, uid_t uid)
{
	if (!uid)
		return true;
	for (size_t i = 0; i < cfg->nr_rules; i++) {
		const struct cfg_rule *r = &cfg->rules[i];

		if (r->user != (uid_t)-1 && r->user == uid &&
		    (!r->application[0] || !strcmp(r->application, app)))
			return true;
	}
	return false;
}

/* Something was left for it by the former active, and no client of its name has been here since. */
static bool has_legacy(const struct app_group *ag, const char *name)
{
	struct nsr_store_app *a = nsr_store_app_find(ag->g->store, name);
	struct app_conn *ac;

	if (seen(ag, name))
		return false;
	list_for_each(ac, &ag->orphans, node)
		if (ac->c->app && !strcmp(ac->c->app->name, name))
			return true;
	return a && !list_empty(&a->states);
}

static void welcome(struct app_client *cl)
{
	struct app_group *ag = cl->ag;
	struct nsr_wire_buf b = app_begin(cl, NSR_APP_WELCOME);
	struct app_conn *ac, *tmp;
	struct list_head orphans;
	bool legacy = app_is_active(ag) && has_legacy(ag, cl->name);

	cl->waiting = false;
	/* What it has committed without us is known to nobody but itself. */
	if (app_is_active(ag) && seen(ag, cl->name))
		sync_app_behind(ag->g, cl->name);

	/* a late one is brought up as a standby is, and then told that it is active */
	cl->role = legacy ? NSR_ROLE_STANDBY : ag->role;
	cl->role_due = legacy;
	cl->complete = legacy;
	nsr_wire_put_u32(&b, NSR_APP_A_GROUP_ID, ag->g->cfg->id);
	nsr_wire_put_u8(&b, NSR_APP_A_ROLE, (uint8_t)cl->role);
	nsr_wire_put_u64(&b, NSR_APP_A_TERM, ag->term);
	app_send(cl, &b, -1);
	if (legacy || (!app_is_active(ag) && sync_has_snapshot(ag->g))) {
		cl->dump = DUMP_RUNNING;
		nsr_store_cursor_start(ag->g->store, &cl->cursor);
	}
	if (app_is_active(ag))
		mark_seen(ag, cl->name);
	/* those that are not for this one go back to the same list */
	list_init(&orphans);
	list_splice_tail(&ag->orphans, &orphans);
	/* ORDER: all that are for it before it is SYNCED */
	cl->advancing = true;
	list_for_each_safe(ac, tmp, &orphans, node) {
		ac->declined = false;
		app_conn_route(ac);
	}
	cl->advancing = false;
	app_client_advance(cl);
}

void app_hello(struct app_client *cl, const struct nsr_wire *w)
{
	const char *group = nsr_wire_str(w, NSR_APP_A_GROUP), *app = nsr_wire_str(w, NSR_APP_A_APP);
	uint16_t major = nsr_wire_u16(w, NSR_APP_A_SCHEMA_MAJOR);
	struct group *g = nsrd_group_find_name(cl->server->nsrd, group);
	struct app_client *other;
	struct app_group *ag;

	if (major != TCP_NSR_SCHEMA_MAJOR) {
		app_client_refuse(cl, -EPROTO, "libnsr speaks schema %u, nsrd %u: install the "
				  "same version", major, TCP_NSR_SCHEMA_MAJOR);
		return;
	}
	if (!nsr_wire_name_ok(app)) {
		app_client_refuse(cl, -EPROTO, "not a name for an application: letters, digits, _ . -");
		return;
	}
	ag = g ? app_group_get(cl->server, g) : NULL;
	if (!ag) {
		app_client_refuse(cl, -ENOENT, "no group \"%s\" in nsrd's configuration", group);
		return;
	}
	if (!may_attach(g->cfg, app, cl->uid)) {
		app_client_refuse(cl, -EACCES, "uid %d may not attach as application \"%s\" of group "
				  "\"%s\": no rule names it (application, user)", (int)cl->uid, app, group);
		return;
	}
	other = app_client_find(ag, app);
	if (other) {
		app_client_refuse(cl, -EBUSY, "application \"%s\" of group \"%s\" is attached "
				  "already, by process %d", app, group, (int)other->pid);
		return;
	}
	ev_timer_stop(cl->server->nsrd->loop, &cl->hello);
	cl->ag = ag;
	snprintf(cl->name, sizeof(cl->name), "%s", app);
	log_info("application %s of group %s attached (pid %d)", app, group, (int)cl->pid);
	/*
	 * nsrd was born again on a box that is mute and keeps its sockets: whether they go on here is not
	 * decided. An application that heard any role now would take them for lost, or for its own to use.
	 */
	cl->waiting = ag->role == NSR_ROLE_NONE;
	if (!cl->waiting)
		welcome(cl);
}

/* ---- roles ---- */

/* What the new role means for a client, apart from telling it. */
static void client_role(struct app_client *cl, enum nsr_role old)
{
	struct app_group *ag = cl->ag;

	cl->role_due = true;
	cl->left = cl->drained = false;
	if (!app_is_active(ag)) {
		cl->complete = cl->asked = false;
		cl->dump = DUMP_NONE;
		nsr_store_cursor_stop(&cl->cursor);
		app_txn_discard(cl);
		app_client_read(cl, true);
		return;
	}
	mark_seen(ag, cl->name);
	/* one that has been told everything, or is being told, knows what the store does */
	if (old != NSR_ROLE_ACTIVE && old != NSR_ROLE_LEAVING)
		cl->complete = cl->dump != DUMP_NONE;
}

void app_role(struct group *g, unsigned int nsr_role, uint64_t term, unsigned int deadline_ms)
{
	struct app_server *s = app_server_of(g);
	struct app_group *ag = app_group_get(s, g);
	struct app_client *cl, *tmp;
	enum nsr_role old;

	if (!ag)
		return;
	old = ag->role;
	ag->role = nsr_role;
	ag->term = term;
	ag->deadline_ms = deadline_ms;
	if (!app_is_active(ag))
		forget_seen(ag);
	list_for_each_safe(cl, tmp, &s->clients, node) {
		if (cl->ag != ag || cl->dying)
			continue;
		if (cl->waiting) {
			welcome(cl);
			continue;
		}
		client_role(cl, old);
		app_client_advance(cl);
	}
}

bool app_ask_snapshot(struct group *g, uint32_t epoch)
{
	struct app_server *s = app_server_of(g);
	struct app_client *cl;
	struct app_group *ag;
	const char *name;
	bool wait = false;

	(void)epoch;			/* SNAPSHOTs to applications are numbered by themselves */
	if (s)
		list_for_each(cl, &s->clients, node)
			if (cl->ag && cl->ag->g == g && !cl->dying && !cl->complete) {
				log_info("group %s: the snapshot waits for application %s (pid %d)",
					 g->cfg->name, cl->name, (int)cl->pid);
				app_client_advance(cl);
				wait = true;
			}
	ag = app_group_get(s, g);
	name = ag ? debtor(ag) : NULL;
	if (name)
		log_debug("group %s: the snapshot waits for application %s, which has not come back",
			 g->cfg->name, name);
	return wait || name;
}

void app_check_snapshots(struct app_group *ag)
{
	struct app_client *cl;

	if (!app_is_active(ag))
		return;
	list_for_each(cl, &app_server_of(ag->g)->clients, node)
		if (cl->ag == ag && !cl->dying && !cl->complete)
			return;
	if (!debtor(ag))
		sync_app_snapshots_done(ag->g);
}

void app_synced(struct group *g)
{
	struct app_server *s = app_server_of(g);
	struct app_client *cl, *tmp;

	if (!s)
		return;
	list_for_each_safe(cl, tmp, &s->clients, node)
		if (cl->ag && cl->ag->g == g && !cl->dying && !cl->waiting) {
			nsr_store_cursor_stop(&cl->cursor);
			nsr_store_cursor_start(g->store, &cl->cursor);
			cl->dump = DUMP_RUNNING;
			app_client_advance(cl);
		}
}

/* ---- planned switchover ---- */

static const struct app_client *laggard(const struct app_group *ag, bool drained)
{
	const struct app_client *cl;

	list_for_each(cl, &app_server_of(ag->g)->clients, node)
		if (cl->ag == ag && !cl->dying && !(drained ? cl->drained : cl->left))
			return cl;
	return NULL;
}

bool app_group_left(const struct group *g)
{
	struct app_group *ag = app_group_get(app_server_of(g), (struct group *)g);

	return !ag || !laggard(ag, false);
}

const char *app_group_laggard(const struct group *g)
{
	struct app_group *ag = app_group_get(app_server_of(g), (struct group *)g);
	const struct app_client *cl = ag ? laggard(ag, false) : NULL;

	if (ag && !cl)
		cl = laggard(ag, true);
	return cl ? cl->name : NULL;
}

/* group.c knows which of the two it waits for, and takes no notice of the other. */
void app_check_left(struct app_group *ag)
{
	if (ag->role != NSR_ROLE_LEAVING)
		return;
	if (!laggard(ag, true))
		group_apps_drained(ag->g);
	if (!laggard(ag, false))
		group_apps_left(ag->g);
}

void app_freeze(struct group *g)
{
	struct app_server *s = app_server_of(g);
	struct app_group *ag = app_group_get(s, g);
	struct app_client *cl;

	if (ag)
		list_for_each(cl, &s->clients, node)
			if (cl->ag == ag && !cl->dying) {
				struct nsr_wire_buf b = app_begin(cl, NSR_APP_FROZEN);

				app_send(cl, &b, -1);
			}
	if (!ag || !laggard(ag, true))
		group_apps_drained(g);
}

/* ---- the server ---- */

static void accept_cb(struct ev_loop *loop, ev_io *w, int revents)
{
	struct app_server *s = w->data;
	int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)loop;
	(void)revents;
	if (fd < 0)
		return;
	if (s->nr_clients >= APP_CLIENTS_MAX) {
		log_warn("application socket: %zu clients already, one more is refused", s->nr_clients);
		close(fd);
		return;
	}
	app_client_create(s, fd);
}

static int listen_at(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	unlink(path);
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) || chmod(path, 0666) || listen(fd, 64)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

struct app_server *app_server_create(struct nsrd *n)
{
	struct app_server *s = calloc(1, sizeof(*s));
	int fd;

	if (!s)
		return NULL;
	s->nsrd = n;
	list_init(&s->clients);
	list_init(&s->groups);
	s->rx = malloc(NSR_APP_MSG_MAX);
	s->tx = malloc(NSR_APP_MSG_MAX);
	if ((size_t)snprintf(s->path, sizeof(s->path), "%s/app.sock", n->cfg->run_dir) >= sizeof(s->path)) {
		log_err("application socket: run directory %s: the path is too long", n->cfg->run_dir);
		goto err;
	}
	if (!s->rx || !s->tx)
		goto err;
	fd = listen_at(s->path);
	if (fd < 0) {
		log_err("application socket %s: %s: does the directory exist, and is it nsrd's?",
			s->path, strerror(-fd));
		goto err;
	}
	ev_io_init(&s->io, accept_cb, fd, EV_READ);
	s->io.data = s;
	ev_io_start(n->loop, &s->io);
	return s;
err:
	free(s->rx);
	free(s->tx);
	free(s);
	return NULL;
}

static void group_free(struct app_group *ag)
{
	struct app_conn *ac, *tmp;

	list_for_each_safe(ac, tmp, &ag->orphans, node) {
		ac->c->app_priv = NULL;
		free(ac);
	}
	forget_seen(ag);
	list_del(&ag->node);
	free(ag);
}

void app_server_destroy(struct app_server *s)
{
	struct app_client *cl, *tc;
	struct app_group *ag, *tg;

	if (!s)
		return;
	/* nsrd ends: descriptors and roles stay as they are, nobody is told anything */
	s->closing = true;
	list_for_each_safe(cl, tc, &s->clients, node)
		app_client_destroy(cl);
	list_for_each_safe(ag, tg, &s->groups, node)
		group_free(ag);
	ev_io_stop(s->nsrd->loop, &s->io);
	close(s->io.fd);
	unlink(s->path);
	free(s->rx);
	free(s->tx);
	free(s);
}
