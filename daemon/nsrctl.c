// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../uapi/nsr_app.h"
#include "nsrctl.h"
#include "text.h"

static const struct cmd *const cmds[] = {
	&cmd_show, &cmd_events, &cmd_switchover, &cmd_resync, &cmd_flush, &cmd_force_active, &cmd_clear,
};

#define NR_CMDS (sizeof(cmds) / sizeof(cmds[0]))

static void usage(FILE *f)
{
	fprintf(f, "usage: nsrctl [-s SOCKET] [--json] VERB [ARGUMENT]...\n\n");
	for (size_t i = 0; i < NR_CMDS; i++)
		fprintf(f, "  %-13s %-34s %s\n", cmds[i]->name, cmds[i]->args, cmds[i]->help);
	fprintf(f, "\n  -j, --json           machine-readable, one object with \"version\": 1\n"
		"  -s, --socket SOCKET  nsrd's control socket (default %s)\n"
		"exit status: 0 done, 1 failed, 2 usage\n", NSR_CONTROL_SOCKET);
}

int ctl_usage(const struct cmd *cmd, const char *what)
{
	fprintf(stderr, "nsrctl %s: \"%s\" is not expected\nusage: nsrctl %s %s\n", cmd->name, what, cmd->name,
		cmd->args);
	return EXIT_USAGE;
}

void ctl_print_json(const json_t *o)
{
	json_dumpf(o, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	putchar('\n');
	fflush(stdout);
}

static bool ctl_connect(struct ctl *c)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (c->fd >= 0)
		return true;
	if (strlen(c->socket) >= sizeof(sun.sun_path)) {
		fprintf(stderr, "nsrctl: %s: the name of a socket has at most %zu bytes: a shorter run-dir in nsrd.conf, "
			"or a relative name with -s SOCKET\n", c->socket, sizeof(sun.sun_path) - 1);
		return false;
	}
	memcpy(sun.sun_path, c->socket, strlen(c->socket) + 1);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd >= 0 && !connect(c->fd, (struct sockaddr *)&sun, sizeof(sun)))
		return true;
	fprintf(stderr, "nsrctl: %s: %s%s\n", c->socket, strerror(errno),
		errno == EACCES || errno == EPERM ? ": only root may ask nsrd: run nsrctl as root" :
		": is nsrd running? another socket: -s SOCKET");
	return false;
}

/* What others have chosen, an application's name for one, does nothing to the terminal. */
static void clean_string(json_t *o)
{
	const char *s = json_string_value(o), *p;
	char *out = NULL;
	size_t len = 0, n;

	for (p = s; *p && !text_is_control(p); p++)
		;
	if (*p)
		out = malloc(strlen(s) * TEXT_ESCAPE + 1);
	if (!out)
		return;
	for (p = s; *p; p++) {
		n = text_is_control(p);
		if (!n)
			out[len++] = *p;
		for (; n; n--, p += n > 0)
			len += (size_t)sprintf(out + len, "\\x%02x", (unsigned char)*p);
	}
	out[len] = '\0';
	json_string_set(o, out);
	free(out);
}

static void clean(json_t *o)
{
	const char *key;
	json_t *v;
	size_t i;

	if (json_is_string(o)) {
		clean_string(o);
	} else if (json_is_array(o)) {
		json_array_foreach(o, i, v)
			clean(v);
	} else if (json_is_object(o)) {
		json_object_foreach(o, key, v)
			clean(v);
	}
}

json_t *ctl_next(struct ctl *c)
{
	json_error_t err;
	json_t *o;
	char *end;
	ssize_t n;

	/* Before the first read there is no buffer, and memchr() takes none. */
	while (!c->len || !(end = memchr(c->buf, '\n', c->len))) {
		if (c->size - c->len < 65536) {
			char *more = realloc(c->buf, c->size * 2 + 65536);

			if (!more)
				return NULL;
			c->buf = more;
			c->size = c->size * 2 + 65536;
		}
		n = read(c->fd, c->buf + c->len, c->size - c->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return NULL;
		c->len += (size_t)n;
	}
	o = json_loadb(c->buf, (size_t)(end - c->buf), 0, &err);
	c->len -= (size_t)(end - c->buf) + 1;
	memmove(c->buf, end + 1, c->len);
	if (o && !c->json)
		clean(o);
	return o;
}

/* nsrd may have closed by now: that is an answer, not a signal. */
static bool send_all(int fd, const char *s, size_t n)
{
	ssize_t k;

	for (; n; s += k, n -= (size_t)k) {
		k = send(fd, s, n, MSG_NOSIGNAL);
		if (k < 0 && errno == EINTR)
			k = 0;
		else if (k < 0)
			return false;
	}
	return true;
}

json_t *ctl_ask(struct ctl *c, json_t *request)
{
	char *line = json_dumps(request, JSON_COMPACT);
	const char *why;
	json_t *o = NULL;

	json_decref(request);
	if (line && ctl_connect(c)) {
		if (send_all(c->fd, line, strlen(line)) && send_all(c->fd, "\n", 1))
			o = ctl_next(c);
		if (!o)
			fprintf(stderr, "nsrctl: nsrd has ended, or closed without an answer (32 callers at a time): see its "
				"log, and ask again\n");
	}
	free(line);
	if (o && !json_is_true(json_object_get(o, "ok"))) {
		if (c->json)
			ctl_print_json(o);
		why = json_string_value(json_object_get(o, "error"));
		fprintf(stderr, "nsrctl: %s\n", why ? why : "nsrd refuses, and does not say why: are nsrctl and nsrd of one "
			"version?");
		json_decref(o);
		o = NULL;
	}
	return o;
}

bool ctl_confirm(bool yes, const char *what)
{
	char line[16];

	if (yes || !isatty(0))
		return true;
	fprintf(stderr, "%s Go on? [y/N] ", what);
	if (fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y'))
		return true;
	fprintf(stderr, "nsrctl: nothing was done\n");
	return false;
}

int ctl_simple(struct ctl *c, const struct cmd *cmd, const char *question, int argc, char **argv)
{
	json_t *req = json_pack("{s:s}", "verb", cmd->name), *o;
	const char *group = NULL;
	bool yes = !question;

	for (int i = 1; i < argc; i++) {
		if (question && (!strcmp(argv[i], "--yes") || !strcmp(argv[i], "-y"))) {
			yes = true;
		} else if (argv[i][0] == '-' || group) {
			json_decref(req);
			return ctl_usage(cmd, argv[i]);
		} else {
			group = argv[i];
		}
	}
	if (group)
		json_object_set_new(req, "group", json_string(group));
	if (!ctl_confirm(yes, question)) {
		json_decref(req);
		return EXIT_FAILED;
	}
	o = ctl_ask(c, req);
	if (o && c->json)
		ctl_print_json(o);
	json_decref(o);
	return o ? EXIT_DONE : EXIT_FAILED;
}

static int run(struct ctl *c, int argc, char **argv)
{
	for (size_t i = 0; i < NR_CMDS; i++)
		if (!strcmp(argv[0], cmds[i]->name))
			return cmds[i]->run(c, argc, argv);
	fprintf(stderr, "nsrctl: verb \"%s\" is unknown\n", argv[0]);
	usage(stderr);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "json", no_argument, NULL, 'j' }, { "socket", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 }
	};
	struct ctl c = { .socket = NSR_CONTROL_SOCKET, .fd = -1 };
	int opt, status;

	if (getenv("NSRD_CONTROL"))
		c.socket = getenv("NSRD_CONTROL");
	/* "+": what follows the verb is the verb's; --json may stand there too */
	while ((opt = getopt_long(argc, argv, "+js:h", longopts, NULL)) != -1) {
		switch (opt) {
		case 'j':
			c.json = true;
			break;
		case 's':
			c.socket = optarg;
			break;
		case 'h':
			usage(stdout);
			return EXIT_DONE;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	argc -= optind;
	argv += optind;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json"))
			continue;
		c.json = true;
		memmove(&argv[i], &argv[i + 1], (size_t)(argc - i) * sizeof(*argv));
		argc--;
		i--;
	}
	if (!argc || (argc == 2 && !strcmp(argv[1], "--help"))) {
		usage(argc ? stdout : stderr);
		return argc ? EXIT_DONE : EXIT_USAGE;
	}
	status = run(&c, argc, argv);
	if (c.fd >= 0)
		close(c.fd);
	free(c.buf);
	return status;
}
