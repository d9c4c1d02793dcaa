/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * control: nsrctl's socket. A request is one JSON object on a line, {"verb": ...}; so is each answer.
 * "events" answers with a line per event until the caller leaves.
 */
#ifndef NSRD_CONTROL_H
#define NSRD_CONTROL_H

struct control;
struct group;
struct nsrd;

struct control *control_create(struct nsrd *n);
void control_destroy(struct control *c);

/**
 * control_emit - tell whoever listens to events
 * @g: group, or NULL
 * @event: one word: "role", "alarm", "settled", "conn", "gap", "resync"
 */
void control_emit(struct nsrd *n, const struct group *g, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* a switchover of @g has come to its end: whoever waits for it is answered */
void control_switchover_done(struct group *g);

/* @g leaves the configuration: nobody waits for it any longer */
void control_group_gone(const struct group *g);

#endif
