// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

static const char *const level_names[] = {
	[LOG_ERR] = "err", [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
	[LOG_INFO] = "info", [LOG_DEBUG] = "debug",
};

static struct {
	const char *ident;
	bool to_syslog;
	bool journal;		/* stderr is read by systemd: prefixes instead of a time stamp */
	int level;
} out = { .ident = "nsrd", .level = LOG_INFO };

void log_open(const char *ident, bool use_syslog, int level)
{
	out.ident = ident;
	out.to_syslog = use_syslog;
	out.journal = getenv("JOURNAL_STREAM") != NULL;
	out.level = level;
	if (use_syslog)
		openlog(ident, LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

int log_level_parse(const char *word)
{
	for (int i = LOG_ERR; i <= LOG_DEBUG; i++)
		if (!strcmp(word, level_names[i]))
			return i;
	return -1;
}

bool log_enabled(int priority)
{
	return priority <= out.level;
}

static void write_stderr(int priority, const char *text)
{
	struct timespec ts;
	struct tm tm;
	char when[16];

	if (out.journal) {
		fprintf(stderr, "<%d>%s\n", priority, text);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &ts);
	localtime_r(&ts.tv_sec, &tm);
	strftime(when, sizeof(when), "%H:%M:%S", &tm);
	fprintf(stderr, "%s.%03ld %s[%d] %s: %s\n", when, ts.tv_nsec / 1000000, out.ident,
		(int)getpid(), level_names[priority], text);
}

void log_vmsg(int priority, const char *fmt, va_list ap)
{
	char text[1024];
	int saved = errno;

	if (!log_enabled(priority))
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	/* Words that came from the peer or an application must not forge lines. */
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
	if (out.to_syslog)
		syslog(priority, "%s", text);
	else
		write_stderr(priority, text);
	errno = saved;
}

void log_msg(int priority, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vmsg(priority, fmt, ap);
	va_end(ap);
}
