// SPDX-License-Identifier: GPL-2.0-only
/* app: see app.h */
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "app.h"

#define REDIAL_MS	500

static const char *const role_names[] = { "none", "standby", "active", "leaving" };
static const char *const mode_names[] = { "none", "naive", "adopt", "lossless" };
static const char *const gone_names[] = { "peer", "demoted", "gap", "resync", "error" };

void app_event(struct app *app, const char *fmt, ...)
{
	va_list ap;

	(void)app;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

/* ---- connections ---- */

static void watch(struct app *app, int fd, void *ptr)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = ptr };

	if (epoll_ctl(app->epfd, EPOLL_CTL_ADD, fd, &ev) < 0)
		err(1, "epoll_ctl");
}

static void unwatch(struct app *app, int fd)
{
	epoll_ctl(app->epfd, EPOLL_CTL_DEL, fd, NULL);
}

static struct app_conn *conn_new(struct app *app, struct nsr_conn *nsr, int fd)
{
	struct nsr_conn_info info = { .size = sizeof(info) };
	struct app_conn *conn = calloc(1, app->ops->conn_size);

	if (!conn)
		errx(1, "out of memory");
	conn->app = app;
	conn->nsr = nsr;
	conn->fd = fd;
	nsr_conn_get_info(nsr, &info);
	net_format(&info.remote, conn->peer, sizeof(conn->peer));
	nsr_conn_set_data(nsr, conn);
	conn->next = app->conns;
	app->conns = conn;
	app->nconns++;
	watch(app, fd, conn);
	return conn;
}

static void conn_end(struct app_conn *conn, enum nsr_fin how)
{
	if (conn->dead)
		return;
	if (!conn->eof)
		unwatch(conn->app, conn->fd);
	nsr_conn_close(conn->nsr, how);
	conn->dead = true;
	conn->live = false;
	conn->app->nconns--;
}

void app_close(struct app_conn *conn, enum nsr_fin how, const char *why)
{
	if (conn->dead)
		return;
	app_event(conn->app, "closed peer=%s why=%s", conn->peer, why);
	conn_end(conn, how);
	conn->app->ended++;
}

static void bury(struct app *app)
{
	struct app_conn **p = &app->conns, *conn;

	while ((conn = *p)) {
		if (conn->dead) {
			*p = conn->next;
			free(conn);
		} else {
			p = &conn->next;
		}
	}
}

static void born(struct app *app, int fd, const char *how)
{
	struct nsr_conn *nsr;
	struct app_conn *conn;
	int ret = nsr_conn_attach(app->nsr, fd, &nsr);

	if (ret) {
		app_event(app, "attach_failed %s", strerror(-ret));
		close(fd);
		return;
	}
	if (app->gap != NSR_GAP_RULE)
		nsr_conn_set_gap(nsr, app->gap);
	conn = conn_new(app, nsr, fd);
	conn->live = true;
	app_event(app, "%s peer=%s", how, conn->peer);
	app->ops->start(conn);
	app->ops->put(conn);
}

static void accept_all(struct app *app)
{
	int fd;

	while ((fd = accept4(app->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		net_apply(fd, &app->opts);
		born(app, fd, "accepted");
	}
}

static void dial(struct app *app)
{
	int fd;

	if (!app->connect_at || net_now_ms() < app->connect_at)
		return;
	app->connect_at = 0;
	if (app->nconns || app->ended || app->leaving || app->role != NSR_ROLE_ACTIVE)
		return;
	fd = net_connect(&app->connect_to, &app->bind_to, &app->opts, false);
	if (fd >= 0) {
		born(app, fd, "connected");
		return;
	}
	app_event(app, "connect_failed %s", strerror(-fd));
	app->connect_at = net_now_ms() + REDIAL_MS;
}

/* ---- what libnsr says ---- */

static void on_link(void *data, int up)
{
	app_event(data, "link %s", up ? "up" : "down");
}

/* Connections that arrive while this box is not active stay in the kernel: nobody is to answer them. */
static void want_accept(struct app *app)
{
	bool want = app->listener >= 0 && !app->leaving && app->role != NSR_ROLE_STANDBY;

	if (want && !app->listening)
		watch(app, app->listener, &app->listener);
	else if (!want && app->listening)
		unwatch(app, app->listener);
	app->listening = want;
}

static void on_role(void *data, enum nsr_role role, uint64_t term, unsigned int deadline_ms)
{
	struct app *app = data;

	if (role == NSR_ROLE_LEAVING)
		app_event(app, "role leaving term=%" PRIu64 " deadline=%u", term, deadline_ms);
	else
		app_event(app, "role %s term=%" PRIu64, role_names[role], term);
	app->role = role;
	app->term = term;
	app->leaving = role == NSR_ROLE_LEAVING;
	app->said_left = false;
	if (role == NSR_ROLE_ACTIVE && app->connect_to.len && !app->nconns)
		app->connect_at = net_now_ms() + 1;
	want_accept(app);
}

static void on_snapshot(void *data)
{
	struct app *app = data;
	struct app_conn *conn;

	app_event(app, "snapshot");
	for (conn = app->conns; conn; conn = conn->next)
		if (!conn->dead && conn->live)
			app->ops->put(conn);
	app->ops->put_global(app);
	nsr_commit(app->nsr);
	nsr_snapshot_done(app->nsr);
}

static void on_state(void *data, struct nsr_conn *nsr, const void *key, size_t klen, const void *val, size_t vlen)
{
	struct app *app = data;

	if (app->verbose)
		app_event(app, "state %s%.*s len=%zu%s", nsr ? "conn/" : "", (int)klen, (const char *)key,
			  vlen, val ? "" : " deleted");
	if (nsr)
		app->ops->state(nsr_conn_get_data(nsr), key, klen, val, vlen);
	else
		app->ops->state_global(app, key, klen, val, vlen);
}

static void on_synced(void *data)
{
	app_event(data, "synced");
}

static void on_added(void *data, struct nsr_conn *nsr, int fd, const struct nsr_conn_info *info)
{
	struct app *app = data;
	struct app_conn *conn = conn_new(app, nsr, fd);

	app->ops->start(conn);
	app_event(app, "conn_added peer=%s active_open=%d mode=%s", conn->peer, info->active_open,
		  mode_names[info->mode]);
}

static void on_resumed(void *data, struct nsr_conn *nsr, const struct nsr_resume *r)
{
	struct app_conn *conn = nsr_conn_get_data(nsr);
	struct app *app = data;

	app_event(app, "resumed peer=%s rcv_pos=%" PRIu64 " snd_pos=%" PRIu64 " snd_known=%" PRIu64 " missing=%"
		  PRIu64 " uncertain=%" PRIu64 " snd_uncertain=%d tail=%" PRIu64 " planned=%d", conn->peer,
		  r->rcv_pos, r->snd_pos, r->snd_known, r->rcv_missing, r->rcv_uncertain, r->snd_uncertain,
		  r->tail_len, r->planned);
	conn->live = true;
	app->ops->resume(conn, r);
	if (!conn->dead)
		app->ops->input(conn);
}

static void on_gone(void *data, struct nsr_conn *nsr, enum nsr_gone why)
{
	struct app_conn *conn = nsr_conn_get_data(nsr);
	struct nsr_conn_info info = { .size = sizeof(info) };

	nsr_conn_get_info(nsr, &info);
	app_event(data, "conn_gone peer=%s why=%s reason=%s", conn->peer, gone_names[why], info.reason);
	conn_end(conn, NSR_FIN);
}

static void on_writable(void *data, struct nsr_conn *nsr)
{
	struct app_conn *conn = nsr_conn_get_data(nsr);

	(void)data;
	(void)conn;			/* output runs every turn */
}

static void on_status(void *data, struct nsr_conn *nsr, const struct nsr_conn_info *info)
{
	struct app_conn *conn = nsr_conn_get_data(nsr);

	app_event(data, "status peer=%s mode=%s protected=%d reason=%s", conn->peer, mode_names[info->mode],
		  info->is_protected, info->reason);
}

static const struct nsr_listener listener = {
	.size = sizeof(listener), .link = on_link, .role = on_role, .snapshot = on_snapshot,
	.state = on_state, .synced = on_synced, .conn_added = on_added, .conn_resumed = on_resumed,
	.conn_gone = on_gone, .conn_writable = on_writable, .conn_status = on_status,
};

/* ---- the loop ---- */

static void dump(struct app *app)
{
	struct app_conn *conn;

	printf("dump role=%s term=%" PRIu64 " conns=%u", role_names[app->role], app->term, app->nconns);
	app->ops->dump_global(app, stdout);
	putchar('\n');
	for (conn = app->conns; conn; conn = conn->next) {
		if (conn->dead)
			continue;
		printf("dump conn peer=%s live=%d", conn->peer, conn->live);
		app->ops->dump(conn, stdout);
		putchar('\n');
	}
	printf("dump end\n");
	fflush(stdout);
}

static bool on_signal(struct app *app)
{
	struct signalfd_siginfo si;

	while (read(app->sigfd, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo != SIGUSR1)
			return true;
		dump(app);
	}
	return false;
}

static void leave(struct app *app)
{
	struct app_conn *conn;
	bool ready = true;
	int ret;

	if (!app->leaving || app->said_left)
		return;
	for (conn = app->conns; conn; conn = conn->next)
		if (!conn->dead && conn->live)
			ready = app->ops->finish(conn) && ready;
	if (!ready)
		return;
	nsr_commit(app->nsr);
	ret = nsr_left(app->nsr);
	app->said_left = true;
	app_event(app, "left%s%s", ret ? " error=" : "", ret ? strerror(-ret) : "");
}

/* How long to sleep, in ms; -1: until something happens. */
static int work(struct app *app)
{
	struct app_conn *conn;
	int wait = -1;

	dial(app);
	for (conn = app->conns; conn; conn = conn->next) {
		unsigned int again;

		if (conn->dead || !conn->live || app->leaving)
			continue;
		again = app->ops->output(conn);
		if (again && (wait < 0 || again < (unsigned int)wait))
			wait = again;
	}
	leave(app);
	nsr_commit(app->nsr);
	bury(app);
	if (app->connect_at)
		wait = 50;
	if (app->leaving && !app->said_left)
		wait = 5;
	return wait;
}

static int loop(struct app *app)
{
	struct epoll_event ev[64];
	int n, i, ret;

	for (;;) {
		int wait = work(app);

		if (app->once && app->ended && !app->nconns)
			return 0;
		n = epoll_wait(app->epfd, ev, 64, wait);
		for (i = 0; i < n; i++) {
			struct app_conn *conn = ev[i].data.ptr;

			if (ev[i].data.ptr == &app->sigfd) {
				if (on_signal(app))
					return 0;
			} else if (ev[i].data.ptr == app) {
				ret = nsr_dispatch(app->nsr, 0);
				if (ret < 0 && !app->refused) {
					app_event(app, "refused %d %s", ret, nsr_strerror(app->nsr));
					app->refused = true;
				}
			} else if (ev[i].data.ptr == &app->listener) {
				accept_all(app);
			} else if (!conn->dead && conn->live) {
				app->ops->input(conn);
				if (!conn->dead && conn->eof)
					unwatch(app, conn->fd);
			}
		}
	}
}

/* ---- command line ---- */

enum { O_GROUP = 1, O_APP, O_SOCKET, O_LISTEN, O_CONNECT, O_BIND, O_RCVBUF, O_SNDBUF, O_MSS, O_CLAMP, O_NODELAY,
       O_GAP, O_VERBOSE, O_ONCE, O_TOS, O_CONGESTION, O_MD5, O_DEVICE, O_HELP };

static const struct option common[] = {
	{ "group", 1, NULL, O_GROUP }, { "app", 1, NULL, O_APP }, { "socket", 1, NULL, O_SOCKET },
	{ "listen", 1, NULL, O_LISTEN }, { "connect", 1, NULL, O_CONNECT }, { "bind", 1, NULL, O_BIND },
	{ "rcvbuf", 1, NULL, O_RCVBUF }, { "sndbuf", 1, NULL, O_SNDBUF }, { "mss", 1, NULL, O_MSS },
	{ "window-clamp", 1, NULL, O_CLAMP }, { "nodelay", 0, NULL, O_NODELAY },
	{ "gap", 1, NULL, O_GAP }, { "verbose", 0, NULL, O_VERBOSE }, { "once", 0, NULL, O_ONCE },
	{ "tos", 1, NULL, O_TOS }, { "congestion", 1, NULL, O_CONGESTION }, { "md5", 1, NULL, O_MD5 },
	{ "device", 1, NULL, O_DEVICE }, { "help", 0, NULL, O_HELP },
};
#define NCOMMON	(sizeof(common) / sizeof(common[0]))

static void usage(const struct app_ops *ops)
{
	printf("usage: %s --group NAME [--app NAME] [--socket PATH] --listen ADDR:PORT | --connect ADDR:PORT\n"
	       "  [--bind ADDR[:PORT]] [--gap reset|report] [--rcvbuf N] [--sndbuf N] [--mss N] [--window-clamp N]\n"
	       "  [--nodelay] [--tos N] [--congestion NAME] [--md5 ADDR,KEY]\n"
	       "  [--device NAME] [--once] [--verbose]\n%s", ops->name, ops->usage);
}

static enum nsr_gap parse_gap(const char *arg)
{
	if (!strcmp(arg, "reset"))
		return NSR_GAP_RESET;
	if (!strcmp(arg, "report"))
		return NSR_GAP_REPORT;
	errx(2, "--gap %s: reset or report", arg);
}

static void parse_one(struct app *app, int opt, const char *arg)
{
	switch (opt) {
	case O_GROUP: app->group = arg; break;
	case O_APP: app->name = arg; break;
	case O_SOCKET: app->socket = arg; break;
	case O_LISTEN: net_parse(arg, &app->listen_at); break;
	case O_CONNECT: net_parse(arg, &app->connect_to); break;
	case O_BIND: net_parse(arg, &app->bind_to); break;
	case O_RCVBUF: app->opts.rcvbuf = atoi(arg); break;
	case O_SNDBUF: app->opts.sndbuf = atoi(arg); break;
	case O_MSS: app->opts.mss = atoi(arg); break;
	case O_CLAMP: app->opts.window_clamp = atoi(arg); break;
	case O_NODELAY: app->opts.nodelay = true; break;
	case O_GAP: app->gap = parse_gap(arg); break;
	case O_VERBOSE: app->verbose = true; break;
	case O_ONCE: app->once = true; break;
	case O_TOS: app->opts.tos = atoi(arg); break;
	case O_CONGESTION: app->opts.congestion = arg; break;
	case O_MD5: app->opts.md5 = arg; break;
	case O_DEVICE: app->opts.device = arg; break;
	case O_HELP: usage(app->ops); exit(0);
	}
}

static void parse(struct app *app, int argc, char **argv)
{
	struct option all[NCOMMON + 16] = { { 0 } };
	size_t n = 0;
	int opt;

	memcpy(all, common, sizeof(common));
	while (app->ops->options[n].name && n < 15) {
		all[NCOMMON + n] = app->ops->options[n];
		n++;
	}
	while ((opt = getopt_long(argc, argv, "", all, NULL)) != -1) {
		if (opt == '?')
			exit(2);
		if (opt >= 1000)
			app->ops->option(app, opt, optarg);
		else
			parse_one(app, opt, optarg);
	}
	if (!app->group || (!app->listen_at.len && !app->connect_to.len))
		errx(2, "--group and --listen or --connect are needed; see --help");
}

int app_main(int argc, char **argv, const struct app_ops *ops, struct app *app)
{
	sigset_t set;
	int ret;

	app->ops = ops;
	app->name = ops->name;
	app->listener = -1;
	parse(app, argc, argv);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	app->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	app->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (app->sigfd < 0 || app->epfd < 0)
		err(1, "signalfd, epoll");
	watch(app, app->sigfd, &app->sigfd);
	ret = nsr_open(app->socket, app->group, app->name, &listener, app, &app->nsr);
	if (ret)
		errx(1, "nsr_open: %s", strerror(-ret));
	watch(app, nsr_get_fd(app->nsr), app);
	if (app->listen_at.len)
		app->listener = net_listen(&app->listen_at, &app->opts);
	want_accept(app);
	app_event(app, "ready");
	ret = loop(app);
	while (app->conns) {
		conn_end(app->conns, NSR_FIN);
		bury(app);
	}
	nsr_close(app->nsr);
	return ret;
}
