// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include "bgp.h"

enum level log_level = LOG_LVL_NOTICE;

/* One write per line, so that lines of several processes on one terminal do not mix. */
static void say(const char *who, enum level level, const char *fmt, va_list ap)
{
	char line[512];
	int n;

	if (level > log_level)
		return;
	n = snprintf(line, sizeof(line), "nsr-bgpd: %s%s%s", level == LOG_LVL_ERROR ? "error: " : "",
		     who ? who : "", who ? ": " : "");
	vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
	fprintf(stderr, "%s\n", line);
}

void bgp_log(enum level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(NULL, level, fmt, ap);
	va_end(ap);
}

void peer_log(const struct peer *p, enum level level, const char *fmt, ...)
{
	char buf[ADDR_STRLEN];
	va_list ap;

	va_start(ap, fmt);
	say(addr_str(&p->cfg.address, buf), level, fmt, ap);
	va_end(ap);
}
