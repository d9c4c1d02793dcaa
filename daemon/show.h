/* SPDX-License-Identifier: GPL-2.0-only */
/* show: what nsrctl shows, as JSON. Each result is the caller's. */
#ifndef NSRD_SHOW_H
#define NSRD_SHOW_H

#include <jansson.h>

struct nsrd;

json_t *show_groups(struct nsrd *n);
json_t *show_conns(struct nsrd *n);
json_t *show_apps(struct nsrd *n);
json_t *show_counters(struct nsrd *n);
json_t *show_digest(struct nsrd *n);

#endif
