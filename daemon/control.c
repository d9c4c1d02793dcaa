// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE	/* accept4() */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "control.h"
#include "group.h"
#include "nsrd.h"
#include "show.h"

#define REQUEST_MAX	4096		/* bytes of a request */
#define BACKLOG_MAX	(8u << 20)	/* bytes that wait for a caller who does not read */
#define CLIENTS_MAX	32

/**
 * struct client - one caller; @waits: for the end of that group's switchover; @streams: reads events
 *
 * What a caller asks for may be an event that it reads itself, and its connection may end at that. So while a
 * request of its is carried out (@busy) it is only closed (@gone), and on_readable() has the rest.
 */
struct client {
	struct list_head node;
	struct control *control;
	ev_io reader, writer;
	int fd;
	char in[REQUEST_MAX];
	size_t in_len;
	char *out;
	size_t out_len, out_size;
	bool streams, leaving, busy, gone;
	const struct group *waits;
};

struct control {
	struct nsrd *nsrd;
	struct list_head clients;
	unsigned int nr_clients;
	ev_io listener;
	int fd;
	char path[280];
};

static struct control *the_control;	/* control_emit() is called from where no control is at hand */

static void client_destroy(struct client *cl)
{
	ev_io_stop(cl->control->nsrd->loop, &cl->reader);
	ev_io_stop(cl->control->nsrd->loop, &cl->writer);
	close(cl->fd);
	list_del(&cl->node);
	cl->control->nr_clients--;
	free(cl->out);
	cl->out = NULL;
	cl->out_len = cl->out_size = 0;
	cl->gone = true;
	if (!cl->busy)
		free(cl);
}

/* False: the caller is gone, and so is cl. */
static bool client_flush(struct client *cl)
{
	struct ev_loop *loop = cl->control->nsrd->loop;
	ssize_t n;

	while (cl->out_len) {
		n = send(cl->fd, cl->out, cl->out_len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			client_destroy(cl);
			return false;
		}
		cl->out_len -= (size_t)n;
		memmove(cl->out, cl->out + n, cl->out_len);
	}
	if (cl->out_len)
		ev_io_start(loop, &cl->writer);
	else
		ev_io_stop(loop, &cl->writer);
	if (!cl->out_len && cl->leaving) {
		client_destroy(cl);
		return false;
	}
	return true;
}

static bool client_send(struct client *cl, const json_t *o)
{
	char *line, *more;
	size_t n;

	if (cl->gone)
		return false;
	line = json_dumps(o, JSON_COMPACT);
	n = line ? strlen(line) : 0;
	if (!line || cl->out_len + n + 1 > BACKLOG_MAX) {
		free(line);
		client_destroy(cl);
		return false;
	}
	if (cl->out_len + n + 1 > cl->out_size) {
		more = realloc(cl->out, cl->out_len + n + 1);
		if (!more) {
			free(line);
			client_destroy(cl);
			return false;
		}
		cl->out = more;
		cl->out_size = cl->out_len + n + 1;
	}
	memcpy(cl->out + cl->out_len, line, n);
	cl->out[cl->out_len + n] = '\n';
	cl->out_len += n + 1;
	free(line);
	return client_flush(cl);
}

/* Every answer has version and ok; a refusal has error: what, and the remedy. Takes o. */
static bool answer(struct client *cl, bool ok, json_t *o)
{
	bool alive;

	if (!o)
		o = json_object();
	json_object_set_new(o, "version", json_integer(1));
	json_object_set_new(o, "ok", json_boolean(ok));
	alive = client_send(cl, o);
	json_decref(o);
	return alive;
}

static bool refuse(struct client *cl, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool refuse(struct client *cl, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return answer(cl, false, json_pack("{s:s}", "error", text));
}

/* ---- verbs ---- */

static bool do_show(struct client *cl, const json_t *req)
{
	static const struct {
		const char *what;
		json_t *(*get)(struct nsrd *n);
	} kinds[] = {
		{ "groups", show_groups }, { "conns", show_conns }, { "apps", show_apps },
		{ "counters", show_counters }, { "digest", show_digest },
	};
	const char *what = json_string_value(json_object_get(req, "what"));
	json_t *o;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!what || strcmp(what, kinds[i].what))
			continue;
		o = json_object();
		json_object_set_new(o, "node", json_integer(cl->control->nsrd->cfg->node_id));
		json_object_set_new(o, what, kinds[i].get(cl->control->nsrd));
		return answer(cl, true, o);
	}
	return refuse(cl, "show \"%s\" is unknown; expected one of: groups, conns, apps, counters, digest",
		      what ? what : "");
}

static bool do_events(struct client *cl, const json_t *req)
{
	(void)req;
	cl->streams = true;
	return answer(cl, true, NULL);
}

/* The group that a request names; with none named, the only one. */
static struct group *named_group(struct client *cl, const json_t *req, bool *alive)
{
	const char *name = json_string_value(json_object_get(req, "group"));
	struct nsrd *n = cl->control->nsrd;
	struct group *g;

	if (!name && n->cfg->nr_groups == 1)
		return list_first(&n->groups, struct group, node);
	g = name ? nsrd_group_find_name(n, name) : NULL;
	if (!g)
		*alive = refuse(cl, name ? "there is no group \"%s\"; see nsrctl show groups" :
				"which group? there are several%s; see nsrctl show groups", name ? name : "");
	return g;
}

static bool do_order(struct client *cl, const json_t *req, int (*order)(struct group *, const char **))
{
	bool alive = true;
	struct group *g = named_group(cl, req, &alive);
	const char *why;

	if (!g)
		return alive;
	if (order(g, &why))
		return refuse(cl, "group %s: %s", g->cfg->name, why);
	return answer(cl, true, NULL);
}

static bool do_resync(struct client *cl, const json_t *req)
{
	return do_order(cl, req, group_resync);
}

static bool do_flush(struct client *cl, const json_t *req)
{
	return do_order(cl, req, group_flush);
}

static bool do_force_active(struct client *cl, const json_t *req)
{
	return do_order(cl, req, group_force);
}

static bool do_clear(struct client *cl, const json_t *req)
{
	return do_order(cl, req, group_clear);
}

static bool switchover_answer(struct client *cl, const struct group *g)
{
	bool ok;
	const char *text = group_switchover_result(g, &ok);

	cl->waits = NULL;
	if (!ok)
		return refuse(cl, "group %s: switchover: %s", g->cfg->name, text);
	return answer(cl, true, json_pack("{s:s}", "result", text));
}

static bool do_switchover(struct client *cl, const json_t *req)
{
	bool alive = true, ok;
	struct group *g = named_group(cl, req, &alive);
	const char *why;

	if (!g)
		return alive;
	if (group_switchover(g, json_is_true(json_object_get(req, "force")), &why))
		return refuse(cl, "group %s: %s", g->cfg->name, why);
	if (group_switchover_result(g, &ok))
		return switchover_answer(cl, g);
	cl->waits = g;
	return true;
}

static const struct {
	const char *name;
	bool (*run)(struct client *cl, const json_t *req);
} verbs[] = {
	{ "show", do_show }, { "events", do_events }, { "switchover", do_switchover }, { "resync", do_resync },
	{ "flush", do_flush }, { "force-active", do_force_active }, { "clear", do_clear },
};

static void take_line(struct client *cl, const char *line, size_t len)
{
	json_error_t err;
	json_t *req = json_loadb(line, len, 0, &err);
	const char *verb = json_string_value(json_object_get(req, "verb"));

	for (size_t i = 0; verb && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verb, verbs[i].name))
			continue;
		verbs[i].run(cl, req);
		json_decref(req);
		return;
	}
	if (!req)
		refuse(cl, "not a JSON object on one line: %s", err.text);
	else
		refuse(cl, "verb \"%s\" is unknown; expected one of: show, events, switchover, resync, flush, "
		       "force-active, clear", verb ? verb : "");
	json_decref(req);
}

/* ---- callers ---- */

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct client *cl = w->data;
	ssize_t n = recv(cl->fd, cl->in + cl->in_len, sizeof(cl->in) - cl->in_len, MSG_DONTWAIT);
	char *end;

	(void)loop;
	(void)revents;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_destroy(cl);
		return;
	}
	cl->in_len += (size_t)n;
	while ((end = memchr(cl->in, '\n', cl->in_len))) {
		size_t len = (size_t)(end - cl->in);

		cl->busy = true;
		take_line(cl, cl->in, len);
		cl->busy = false;
		if (cl->gone) {
			free(cl);
			return;
		}
		cl->in_len -= len + 1;
		memmove(cl->in, end + 1, cl->in_len);
	}
	if (cl->in_len < sizeof(cl->in))
		return;
	cl->leaving = true;
	refuse(cl, "the request is longer than %d bytes", REQUEST_MAX);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)loop;
	(void)revents;
	client_flush(w->data);
}

static void on_accept(struct ev_loop *loop, ev_io *w, int revents)
{
	struct control *c = w->data;
	int fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct client *cl;

	(void)revents;
	if (fd < 0)
		return;
	cl = c->nr_clients < CLIENTS_MAX ? calloc(1, sizeof(*cl)) : NULL;
	if (!cl) {
		close(fd);
		return;
	}
	cl->control = c;
	cl->fd = fd;
	ev_io_init(&cl->reader, on_readable, fd, EV_READ);
	ev_io_init(&cl->writer, on_writable, fd, EV_WRITE);
	cl->reader.data = cl->writer.data = cl;
	list_add_tail(&cl->node, &c->clients);
	c->nr_clients++;
	ev_io_start(loop, &cl->reader);
}

void control_emit(struct nsrd *n, const struct group *g, const char *event, const char *fmt, ...)
{
	struct client *cl, *next;
	struct timespec ts;
	char text[512];
	json_t *o;
	va_list ap;

	(void)n;
	if (!the_control || list_empty(&the_control->clients))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	clock_gettime(CLOCK_REALTIME, &ts);
	o = json_pack("{s:i, s:f, s:s, s:s, s:s}", "version", 1, "time",
		      (double)ts.tv_sec + (double)ts.tv_nsec / 1e9, "group", g ? g->cfg->name : "",
		      "event", event, "text", text);
	list_for_each_safe(cl, next, &the_control->clients, node)
		if (o && cl->streams)
			client_send(cl, o);
	json_decref(o);
}

void control_switchover_done(struct group *g)
{
	struct client *cl, *next;

	if (!the_control)
		return;
	list_for_each_safe(cl, next, &the_control->clients, node)
		if (cl->waits == g)
			switchover_answer(cl, g);
}

void control_group_gone(const struct group *g)
{
	struct client *cl, *next;

	if (!the_control)
		return;
	list_for_each_safe(cl, next, &the_control->clients, node) {
		if (cl->waits != g)
			continue;
		cl->waits = NULL;
		refuse(cl, "group %s: switchover: the group was taken out of the configuration", g->cfg->name);
	}
}

/* ---- life ---- */

static int listen_unix(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof(sun.sun_path))
		goto err;
	memcpy(sun.sun_path, path, strlen(path) + 1);
	unlink(path);
	/* root only: who may speak here may move sessions */
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) || chmod(path, 0600) || listen(fd, 16))
		goto err;
	return fd;
err:
	log_err("%s: %s", path, strerror(fd < 0 ? errno : errno ? errno : ENAMETOOLONG));
	if (fd >= 0)
		close(fd);
	return -1;
}

struct control *control_create(struct nsrd *n)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->nsrd = n;
	list_init(&c->clients);
	snprintf(c->path, sizeof(c->path), "%s/control.sock", n->cfg->run_dir);
	c->fd = listen_unix(c->path);
	if (c->fd < 0) {
		free(c);
		return NULL;
	}
	ev_io_init(&c->listener, on_accept, c->fd, EV_READ);
	c->listener.data = c;
	ev_io_start(n->loop, &c->listener);
	the_control = c;
	return c;
}

void control_destroy(struct control *c)
{
	struct client *cl, *next;

	if (!c)
		return;
	the_control = NULL;
	list_for_each_safe(cl, next, &c->clients, node)
		client_destroy(cl);
	ev_io_stop(c->nsrd->loop, &c->listener);
	close(c->fd);
	unlink(c->path);
	free(c);
}
