// SPDX-License-Identifier: GPL-2.0-only
/*
 * nsrtool: an application that only moves bytes between a socket and a file, in a process of its own,
 * so that it can be killed at any moment. What it has consumed is what is in the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nsrtool.h"

static void write_all(int fd, const char *buf, ssize_t n)
{
	ssize_t done, at = 0;

	while (at < n) {
		done = write(fd, buf + at, n - at);
		if (done <= 0)
			_exit(1);
		at += done;
	}
}

/* FILE.end tells why it ended: "EOF", or the errno's name. */
static void tell_end(const char *path, const char *why)
{
	char name[4096];
	FILE *f;

	snprintf(name, sizeof(name), "%s.end", path);
	f = fopen(name, "w");
	if (f) {
		fprintf(f, "%s\n", why);
		fclose(f);
	}
	_exit(0);
}

static bool wait_for(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, -1) > 0;
}

static void pull(int sock, const char *path)
{
	static char buf[65536];
	int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
	ssize_t n;

	if (file < 0)
		tell_end(path, strerrorname_np(errno));
	for (;;) {
		wait_for(sock, POLLIN);
		n = recv(sock, buf, sizeof(buf), MSG_DONTWAIT);
		if (n > 0)
			write_all(file, buf, n);
		else if (!n)
			tell_end(path, "EOF");
		else if (errno != EAGAIN && errno != EINTR)
			tell_end(path, strerrorname_np(errno));
	}
}

static void push(int sock, const char *path, off_t offset, bool keep)
{
	static char buf[16384];
	int file = open(path, O_RDONLY);
	ssize_t n, sent, at;

	if (file < 0)
		tell_end(path, strerrorname_np(errno));
	while ((n = pread(file, buf, sizeof(buf), offset)) > 0) {
		for (at = 0; at < n; at += sent) {
			wait_for(sock, POLLOUT);
			sent = send(sock, buf + at, n - at, MSG_DONTWAIT | MSG_NOSIGNAL);
			if (sent >= 0)
				continue;
			if (errno != EAGAIN && errno != EINTR)
				tell_end(path, strerrorname_np(errno));
			sent = 0;
		}
		offset += n;
	}
	if (!keep)
		shutdown(sock, SHUT_WR);
	tell_end(path, "EOF");
}

/* pull PATH | push PATH OFFSET [keep]; prints the pump's process id */
void pump_start(FILE *out, int sock, bool out_of_file, const char *args)
{
	char path[4096], keep[8] = "";
	long long offset = 0;
	pid_t pid;

	if (sscanf(args, "%4095s %lld %7s", path, &offset, keep) < 1) {
		fprintf(out, "which file?\n");
		return;
	}
	fflush(out);
	pid = fork();
	if (!pid) {
		if (out_of_file)
			push(sock, path, offset, !strcmp(keep, "keep"));
		pull(sock, path);
	}
	fprintf(out, "pid=%d\n", pid);
}
