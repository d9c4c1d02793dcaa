/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages to the operator: stderr (with the <N> prefixes that the journal understands when started by
 * systemd) or syslog. Whoever decides, logs, once. A line says what happened, to what, and why.
 */
#ifndef NSRD_LOG_H
#define NSRD_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <syslog.h>

/**
 * log_open - choose where messages go
 * @ident: the program's name
 * @use_syslog: syslog(3) rather than stderr
 * @level: least urgent priority (LOG_ERR … LOG_DEBUG) that is still written
 */
void log_open(const char *ident, bool use_syslog, int level);

/* "err", "warning", "notice", "info", "debug" -> priority; -1: no such level */
int log_level_parse(const char *word);

bool log_enabled(int priority);

void log_msg(int priority, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_vmsg(int priority, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

#define log_err(...)	log_msg(LOG_ERR, __VA_ARGS__)
#define log_warn(...)	log_msg(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)	log_msg(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)	log_msg(LOG_INFO, __VA_ARGS__)
#define log_debug(...)	do { if (log_enabled(LOG_DEBUG)) log_msg(LOG_DEBUG, __VA_ARGS__); } while (0)

#endif
