// SPDX-License-Identifier: GPL-2.0-only
/* The control socket: one request line, one answer, end of file. Both ends of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>
#include "bgp.h"

#define CLIENTS_MAX	16

struct client {
	struct ctl *ctl;
	ev_io io;
	char line[128], *answer;
	size_t have, len, at;
};

struct ctl {
	struct bgp *bgp;
	ev_io io;
	char *path;
	struct client clients[CLIENTS_MAX];
};

static void client_end(struct client *c)
{
	ev_io_stop(c->ctl->bgp->loop, &c->io);
	close(c->io.fd);
	free(c->answer);
	memset(c, 0, sizeof(*c));
}

static void on_client(struct ev_loop *loop, ev_io *w, int events)
{
	struct client *c = w->data;
	ssize_t n;
	char *end;

	(void)events;
	if (c->answer) {
		n = send(w->fd, c->answer + c->at, c->len - c->at, MSG_NOSIGNAL);
		if (n > 0)
			c->at += (size_t)n;
		if ((n < 0 && errno != EAGAIN && errno != EINTR) || c->at == c->len)
			client_end(c);
		return;
	}
	n = recv(w->fd, c->line + c->have, sizeof(c->line) - c->have, 0);
	if (n <= 0) {
		if (!n || (errno != EAGAIN && errno != EINTR))
			client_end(c);
		return;
	}
	c->have += (size_t)n;
	end = memchr(c->line, '\n', c->have);
	if (!end && c->have < sizeof(c->line))
		return;
	if (end) {
		*end = '\0';
		c->answer = show_answer(c->ctl->bgp, c->line, &c->len);
	}
	if (!c->answer) {
		client_end(c);
		return;
	}
	ev_io_stop(loop, w);
	ev_io_set(w, w->fd, EV_WRITE);
	ev_io_start(loop, w);
}

static void on_acceptable(struct ev_loop *loop, ev_io *w, int events)
{
	struct ctl *ctl = w->data;
	int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct client *c = ctl->clients;

	(void)events;
	while (c < ctl->clients + CLIENTS_MAX && c->ctl)
		c++;
	if (fd < 0)
		return;
	if (c == ctl->clients + CLIENTS_MAX) {
		close(fd);
		return;
	}
	c->ctl = ctl;
	ev_io_init(&c->io, on_client, fd, EV_READ);
	c->io.data = c;
	ev_io_start(loop, &c->io);
}

static int unix_socket(const char *path, struct sockaddr_un *sun, int flags)
{
	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(sun->sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(sun->sun_path, path);
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
}

struct ctl *ctl_create(struct bgp *bgp, const char *path)
{
	struct ctl *ctl = calloc(1, sizeof(*ctl));
	struct sockaddr_un sun;
	int fd = unix_socket(path, &sun, SOCK_NONBLOCK);

	if (!ctl || fd < 0)
		goto err;
	/* One that nobody answers on is left over from a process that was killed. */
	if (!connect(fd, (struct sockaddr *)&sun, sizeof(sun))) {
		errno = EADDRINUSE;
		goto err;
	}
	if (errno == ECONNREFUSED)
		unlink(path);
	if (bind(fd, (struct sockaddr *)&sun, sizeof(sun)) || listen(fd, 8))
		goto err;
	ctl->bgp = bgp;
	ctl->path = strdup(path);
	ev_io_init(&ctl->io, on_acceptable, fd, EV_READ);
	ctl->io.data = ctl;
	ev_io_start(bgp->loop, &ctl->io);
	return ctl;
err:
	bgp_log(LOG_LVL_ERROR, "control socket %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	free(ctl);
	return NULL;
}

void ctl_destroy(struct ctl *ctl)
{
	struct client *c;

	for (c = ctl->clients; c < ctl->clients + CLIENTS_MAX; c++)
		if (c->ctl)
			client_end(c);
	ev_io_stop(ctl->bgp->loop, &ctl->io);
	close(ctl->io.fd);
	if (ctl->path)
		unlink(ctl->path);
	free(ctl->path);
	free(ctl);
}

int ctl_request(const char *path, const char *words)
{
	static const char refused[] = "error: ";
	struct sockaddr_un sun;
	int fd = unix_socket(path, &sun, 0), status = 1;
	char buf[65536];
	bool first = true;
	ssize_t n;

	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) ||
	    dprintf(fd, "%s\n", words) < 0) {
		fprintf(stderr, "nsr-bgpd: %s: %s; is a speaker running with this control-socket?\n",
			path, strerror(errno));
		goto out;
	}
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		if (first)
			status = (size_t)n >= sizeof(refused) - 1 &&
				 !memcmp(buf, refused, sizeof(refused) - 1);
		first = false;
		fwrite(buf, 1, (size_t)n, status ? stderr : stdout);
	}
out:
	if (fd >= 0)
		close(fd);
	return status;
}
