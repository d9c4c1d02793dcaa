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
 *	nodelay N		TCP_NODELAY
 *	opt N NAME [VALUE]	a socket option, see nsrtool_opts.c
 *	addrform N		makes an IPv6 socket with mapped addresses an IPv4 one
 *	listen ADDR PORT	a listening socket, held like the others
 *	accept N [COUNT]	waits for connections on it
 *	connect ADDR PORT [COUNT [LADDR]]
 *	shutdown N		no more to send
 *	pull N FILE		appends what comes to FILE, in a process of its own
 *	push N FILE OFFSET [keep]	sends FILE from OFFSET on and shuts down (unless keep), likewise
 *	close N | close all | exit STATUS | quit
 *
 * The answer ends with a line "." of its own.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
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

/* RFC 2385: the key of all sockets with one far end */
static const char *md5_addr, *md5_key;

/* The device to which every held socket is bound. */
static const char *device;

static socklen_t make_addr(const char *addr, int port, struct sockaddr_storage *to);

static void use_device(int fd)
{
	if (device && fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, strlen(device)))
		perror("nsrtool: SO_BINDTODEVICE");
}

static void use_key(int fd)
{
	struct tcp_md5sig sig = {};

	if (!md5_key || fd < 0)
		return;
	make_addr(md5_addr, 0, (struct sockaddr_storage *)&sig.tcpm_addr);
	sig.tcpm_keylen = strlen(md5_key);
	memcpy(sig.tcpm_key, md5_key, sig.tcpm_keylen);
	if (setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &sig, sizeof(sig)))
		perror("nsrtool: TCP_MD5SIG");
}

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
	int fd = socket(af == AF_INET6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);

	use_key(fd);
	return fd;
}

static void hold(int fd, uint64_t id)
{
	if (nr_shadows == room) {
		room = room ? room * 2 : 64;
		shadows = realloc(shadows, room * sizeof(*shadows));
		if (!shadows)
			abort();
	}
	shadows[nr_shadows].fd = fd;
	shadows[nr_shadows++].id = id;
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
	hold(fd, id ? strtoull(id, NULL, 16) : 0);
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

static void do_addrform(FILE *out, int fd)
{
	int family = AF_INET;

	fprintf(out, "%s\n", setsockopt(fd, IPPROTO_IPV6, IPV6_ADDRFORM, &family, sizeof(family)) ?
				     strerrorname_np(errno) : "ok");
}

static socklen_t make_addr(const char *addr, int port, struct sockaddr_storage *to)
{
	struct sockaddr_in6 *in6 = (void *)to;
	struct sockaddr_in *in = (void *)to;
	const char *scope = strchr(addr, '%');
	char text[INET6_ADDRSTRLEN];

	memset(to, 0, sizeof(*to));
	if (inet_pton(AF_INET, addr, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		return sizeof(*in);
	}
	/* fe80::1%eth0 */
	snprintf(text, sizeof(text), "%.*s", (int)strcspn(addr, "%"), addr);
	inet_pton(AF_INET6, text, &in6->sin6_addr);
	in6->sin6_scope_id = scope ? if_nametoindex(scope + 1) : 0;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	return sizeof(*in6);
}

static int do_listen(FILE *out, const char *addr, int port)
{
	struct sockaddr_storage ss;
	socklen_t len = make_addr(addr, port, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	use_key(fd);
	use_device(fd);
	if (fd < 0 || bind(fd, (void *)&ss, len) || listen(fd, 65535)) {
		fprintf(out, "%s\n", strerrorname_np(errno));
		close(fd);
		return -1;
	}
	hold(fd, 0);
	fprintf(out, "n=%d\n", nr_shadows - 1);
	return 0;
}

static void do_connect(FILE *out, const char *addr, int port, int count, const char *laddr)
{
	struct sockaddr_storage to, from;
	socklen_t len = make_addr(addr, port, &to), llen = 0;
	int fd, i, done = 0, one = 1;

	if (*laddr)
		llen = make_addr(laddr, 0, &from);
	for (i = 0; i < count; i++) {
		fd = socket(to.ss_family, SOCK_STREAM, 0);
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
		use_key(fd);
		use_device(fd);
		if (fd < 0 || (llen && bind(fd, (void *)&from, llen)) ||
		    connect(fd, (void *)&to, len)) {
			fprintf(out, "%s\n", strerrorname_np(errno));
			close(fd);
			break;
		}
		hold(fd, 0);
		done++;
	}
	fprintf(out, "connected=%d n=%d\n", done, nr_shadows - 1);
}

static void do_accept(FILE *out, int listener, int count)
{
	int fd, done;

	for (done = 0; done < count; done++) {
		fd = accept(listener, NULL, NULL);
		if (fd < 0)
			break;
		hold(fd, 0);
	}
	fprintf(out, "accepted=%d n=%d\n", done, nr_shadows - 1);
}

static void close_all(FILE *out)
{
	int i;

	for (i = 0; i < nr_shadows; i++) {
		if (shadows[i].fd >= 0)
			close(shadows[i].fd);
		shadows[i].fd = -1;
	}
	fprintf(out, "ok\n");
}

/* Commands that make descriptors, or end all; false: not one of these. */
static bool command_on_none(FILE *out, const char *line)
{
	char verb[32] = "", addr[64] = "", laddr[64] = "";
	int port = 0, count = 1;

	if (sscanf(line, "%31s %63s %d %d %63s", verb, addr, &port, &count, laddr) < 2)
		return false;
	if (!strcmp(verb, "listen"))
		do_listen(out, addr, port);
	else if (!strcmp(verb, "connect"))
		do_connect(out, addr, port, count, laddr);
	else if (!strcmp(verb, "close") && !strcmp(addr, "all"))
		close_all(out);
	else if (!strcmp(verb, "exit"))
		exit(atoi(addr));
	else
		return false;
	return true;
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
	if (command_on_none(out, line))
		return true;
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
	} else if (!strcmp(verb, "nodelay")) {
		fprintf(out, "%s\n", setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)) ?
					     strerrorname_np(errno) : "ok");
	} else if (!strcmp(verb, "opt")) {
		opts_command(out, fd, at ? line + at : "");
	} else if (!strcmp(verb, "addrform")) {
		do_addrform(out, fd);
	} else if (!strcmp(verb, "accept")) {
		do_accept(out, fd, at && line[at] ? atoi(line + at) : 1);
	} else if (!strcmp(verb, "pull") || !strcmp(verb, "push")) {
		pump_start(out, fd, !strcmp(verb, "push"), at ? line + at : "");
	} else if (!strcmp(verb, "shutdown")) {
		fprintf(out, "%s\n", shutdown(fd, SHUT_WR) ? strerrorname_np(errno) : "ok");
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

/* md5 ADDR KEY */
static bool take_key(int argc, char **argv, int *i)
{
	if (strcmp(argv[*i], "md5") || *i + 2 >= argc)
		return false;
	md5_addr = argv[*i + 1];
	md5_key = argv[*i + 2];
	*i += 2;
	return true;
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
		else if (take_key(argc, argv, &i))
			continue;
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

/* hold PATH [md5 ADDR KEY] [dev NAME]: no shadows, ordinary sockets under the same commands */
int hold_cmd(struct nl *nl, int argc, char **argv)
{
	const char *value;
	int i;

	(void)nl;
	if (argc < 1)
		return 2;
	for (i = 1; i < argc; i++) {
		if ((value = word_value(argc, argv, &i, "dev")))
			device = value;
		else if (!take_key(argc, argv, &i))
			return 2;
	}
	return serve_at(argv[0]);
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
