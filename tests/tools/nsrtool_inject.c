// SPDX-License-Identifier: GPL-2.0-only
/*
 * nsrtool: makes shadows of fresh sockets, holds their descriptors, and does with them what it is told
 * over a Unix socket (or on its standard input), one command a line:
 *
 *	list			descriptors: number, id, state, readable, writable
 *	send N TEXT		writes TEXT to shadow N (not waiting)
 *	recv N			what there is to read; "EOF"; or the errno's name
 *	info N			TCP_INFO in words
 *	keepalive N		SO_KEEPALIVE with an idle time of 1 s
 *	close N | quit
 *
 * The answer ends with a line "." of its own.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <linux/tcp.h>

#include "nsrtool.h"

#define MAX_WORDS 64

struct shadow {
	int fd;
	uint64_t id;
};

static struct shadow *shadows;
static int nr_shadows, room;

static const char *word_of(char **words, int n, const char *key)
{
	int i, k;

	for (i = 0; i < n; i++) {
		const char *value;

		k = i;
		value = strchr(words[i], '=') ? word_value(n, words, &k, key) : NULL;
		if (value)
			return value;
	}
	return NULL;
}

static int fresh_socket(char **words, int n)
{
	const char *flags = word_of(words, n, "flags"), *family = word_of(words, n, "family");
	bool mapped = flags && strtoul(flags, NULL, 0) & TCP_NSR_CONN_F_V4MAPPED;
	int af = mapped ? AF_INET6 : family ? atoi(family) : AF_INET;

	/* A wrong family is for the kernel to refuse. */
	return socket(af == AF_INET6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
}

static int inject_one(struct nl *nl, const char *group, bool late, char **words, int n)
{
	struct nlmsghdr *nlh = nl_request(nl, TCP_NSR_CMD_CONN_INJECT, 0);
	const char *id = word_of(words, n, "id");
	int fd = fresh_socket(words, n);
	int32_t fd32 = fd;

	if (fd < 0) {
		perror("nsrtool: socket");
		return 1;
	}
	mnl_attr_put_u32(nlh, TCP_NSR_A_GROUP_ID, parse_number(group, UINT32_MAX, "group"));
	mnl_attr_put(nlh, TCP_NSR_A_FD, sizeof(fd32), &fd32);
	if (late)
		mnl_attr_put(nlh, TCP_NSR_A_LATE, 0, NULL);
	if (conn_put_words(nlh, words, n))
		return 2;
	if (nl_do(nl, nlh, NULL, NULL, "inject")) {
		close(fd);
		return 1;
	}
	if (nr_shadows == room) {
		room = room ? room * 2 : 64;
		shadows = realloc(shadows, room * sizeof(*shadows));
		if (!shadows)
			abort();
	}
	shadows[nr_shadows].fd = fd;
	shadows[nr_shadows++].id = id ? strtoull(id, NULL, 16) : 0;
	return 0;
}

static int split(char *line, char **words)
{
	char *save, *word;
	int n = 0;

	for (word = strtok_r(line, " \t\n", &save); word && n < MAX_WORDS;
	     word = strtok_r(NULL, " \t\n", &save))
		words[n++] = word;
	return n;
}

static int inject_lines(struct nl *nl, const char *group, bool late)
{
	char *words[MAX_WORDS], *line = NULL;
	size_t size = 0;
	int n, ret = 0;

	while (getline(&line, &size, stdin) > 0) {
		n = split(line, words);
		if (n)
			ret |= inject_one(nl, group, late, words, n);
	}
	free(line);
	return ret;
}

static void do_list(FILE *out)
{
	int i;

	for (i = 0; i < nr_shadows; i++) {
		struct pollfd p = { .fd = shadows[i].fd, .events = POLLIN | POLLOUT };

		if (p.fd < 0)
			continue;
		poll(&p, 1, 0);
		fprintf(out, "n=%d id=%016" PRIx64 " readable=%d writable=%d hup=%d\n", i,
			shadows[i].id, !!(p.revents & POLLIN), !!(p.revents & POLLOUT),
			!!(p.revents & (POLLHUP | POLLERR)));
	}
}

static void do_recv(FILE *out, int fd)
{
	char buf[65536];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n > 0) {
		fwrite(buf, 1, n, out);
		fputc('\n', out);
	} else {
		fprintf(out, "%s\n", n ? strerrorname_np(errno) : "EOF");
	}
}

static void do_info(FILE *out, int fd)
{
	struct tcp_info info = {};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0) {
		fprintf(out, "%s\n", strerrorname_np(errno));
		return;
	}
	fprintf(out, "state=%u acked=%llu received=%llu mss=%u rmss=%u unacked=%u notsent=%u\n",
		info.tcpi_state, (unsigned long long)info.tcpi_bytes_acked,
		(unsigned long long)info.tcpi_bytes_received, info.tcpi_snd_mss, info.tcpi_rcv_mss,
		info.tcpi_unacked, info.tcpi_notsent_bytes);
}

static void do_keepalive(FILE *out, int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &one, sizeof(one));
	fprintf(out, "%s\n", setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)) ?
				     strerrorname_np(errno) : "ok");
}

/* false: quit */
static bool command(FILE *out, char *line)
{
	char verb[32] = "";
	int n = -1, at = 0, fd;
	ssize_t sent;

	if (sscanf(line, "%31s %d %n", verb, &n, &at) < 1)
		return true;
	if (!strcmp(verb, "quit"))
		return false;
	if (!strcmp(verb, "list")) {
		do_list(out);
		return true;
	}
	if (n < 0 || n >= nr_shadows || shadows[n].fd < 0) {
		fprintf(out, "no shadow %d\n", n);
		return true;
	}
	fd = shadows[n].fd;
	if (!strcmp(verb, "recv")) {
		do_recv(out, fd);
	} else if (!strcmp(verb, "info")) {
		do_info(out, fd);
	} else if (!strcmp(verb, "keepalive")) {
		do_keepalive(out, fd);
	} else if (!strcmp(verb, "close")) {
		close(fd);
		shadows[n].fd = -1;
		fprintf(out, "ok\n");
	} else if (!strcmp(verb, "send")) {
		line[strcspn(line, "\n")] = '\0';
		sent = send(fd, line + at, strlen(line + at), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0)
			fprintf(out, "%s\n", strerrorname_np(errno));
		else
			fprintf(out, "sent=%zd\n", sent);
	} else {
		fprintf(out, "unknown command\n");
	}
	return true;
}

/* false: quit */
static bool serve(int fd)
{
	FILE *in = fdopen(dup(fd), "r"), *out = fdopen(fd, "w");
	char *line = NULL;
	size_t size = 0;
	bool go_on = true;

	while (go_on && in && out && getline(&line, &size, in) > 0) {
		go_on = command(out, line);
		fprintf(out, ".\n");
		fflush(out);
	}
	free(line);
	if (in)
		fclose(in);
	if (out)
		fclose(out);
	return go_on;
}

static int unix_socket(const char *path, struct sockaddr_un *addr)
{
	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	snprintf(addr->sun_path, sizeof(addr->sun_path), "%s", path);
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int serve_at(const char *path)
{
	struct sockaddr_un addr;
	int sock = unix_socket(path, &addr), fd;

	unlink(path);
	if (sock < 0 || bind(sock, (void *)&addr, sizeof(addr)) || listen(sock, 8)) {
		perror("nsrtool: ctl");
		return 1;
	}
	do {
		fd = accept(sock, NULL, NULL);
	} while (fd >= 0 && serve(fd));
	unlink(path);
	return 0;
}

int inject_cmd(struct nl *nl, int argc, char **argv)
{
	const char *ctl = NULL, *value;
	bool late = false;
	int i, ret;

	if (argc < 1)
		return 2;
	for (i = 1; i < argc; i++) {
		if ((value = word_value(argc, argv, &i, "ctl")))
			ctl = value;
		else if (!strcmp(argv[i], "late"))
			late = true;
		else
			break;
	}
	ret = i < argc ? inject_one(nl, argv[0], late, argv + i, argc - i) :
			 inject_lines(nl, argv[0], late);
	printf("injected=%d\n", nr_shadows);
	fflush(stdout);
	if (!nr_shadows)
		return ret;
	if (ctl)
		return serve_at(ctl) | ret;
	while (serve(dup(0)) && !feof(stdin))
		break;
	return ret;
}

int ctl_cmd(struct nl *nl, int argc, char **argv)
{
	struct sockaddr_un addr;
	char *line = NULL;
	size_t size = 0;
	int sock, i;
	FILE *f;

	(void)nl;
	if (argc < 2)
		return 2;
	sock = unix_socket(argv[0], &addr);
	if (sock < 0 || connect(sock, (void *)&addr, sizeof(addr))) {
		perror("nsrtool: ctl");
		return 1;
	}
	f = fdopen(sock, "r+");
	if (!f)
		return 1;
	for (i = 1; i < argc; i++)
		fprintf(f, "%s%s", argv[i], i + 1 < argc ? " " : "\n");
	fflush(f);
	while (getline(&line, &size, f) > 0 && strcmp(line, ".\n"))
		fputs(line, stdout);
	free(line);
	fclose(f);
	return 0;
}
