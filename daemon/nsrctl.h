/* SPDX-License-Identifier: GPL-2.0-only */
/* nsrctl: one file per verb (cmd_*.c), each registers itself in the table of nsrctl.c. */
#ifndef NSRCTL_H
#define NSRCTL_H

#include <jansson.h>
#include <stdbool.h>

enum { EXIT_DONE, EXIT_FAILED, EXIT_USAGE };

/** struct ctl - the connection to nsrd, and what all verbs understand */
struct ctl {
	const char *socket;
	bool json;
	int fd;
	char *buf;
	size_t len, size;
};

/** struct cmd - a verb; @run returns an exit status */
struct cmd {
	const char *name, *args, *help;
	int (*run)(struct ctl *c, int argc, char **argv);
};

extern const struct cmd cmd_show, cmd_events, cmd_switchover, cmd_resync, cmd_flush, cmd_force_active, cmd_clear;

/*
 * Sends one request (taken over) and waits for its answer, the caller's. NULL: nsrd does not answer, or
 * refuses; said on stderr.
 */
json_t *ctl_ask(struct ctl *c, json_t *request);
/* the next line, the caller's; NULL: nsrd closed */
json_t *ctl_next(struct ctl *c);
/* for --json */
void ctl_print_json(const json_t *o);
/* EXIT_USAGE, said on stderr */
int ctl_usage(const struct cmd *cmd, const char *what);
/* for verbs that take [GROUP] and --yes: asks on a terminal; false: the operator does not want it */
bool ctl_confirm(bool yes, const char *what);
/* runs a verb that is one request with an optional group */
int ctl_simple(struct ctl *c, const struct cmd *cmd, const char *question, int argc, char **argv);

#endif
