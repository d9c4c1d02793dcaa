/* SPDX-License-Identifier: GPL-2.0-only */
/* group: one redundancy group: drives the role machine and carries out its actions. See also nsrd.h. */
#ifndef NSRD_GROUP_H
#define NSRD_GROUP_H

#include <stdbool.h>
#include <stdint.h>

struct cfg_group;
struct group;
struct nsrd;

/* NULL: logged, with the remedy. Puts the group on nsrd.groups. */
struct group *group_create(struct nsrd *n, struct cfg_group *cfg);
/* nsrd ends: the kernel keeps role, lease and sockets; nothing is said to anybody. */
void group_destroy(struct group *g);
/* the file was read again: takes over rules and what else may change; @fresh's rules are taken from it */
void group_reload(struct group *g, struct cfg_group *fresh);
/* nsrd stops in good order: a standby resigns */
void group_stop(struct group *g);

/* nsrctl. 0, or a negative errno with the words in *why (valid until the next call). */
int group_switchover(struct group *g, bool force, const char **why);
int group_resync(struct group *g, const char **why);
int group_flush(struct group *g, const char **why);
int group_force(struct group *g, const char **why);
int group_clear(struct group *g, const char **why);
/* what became of the last switchover; NULL: it is still under way */
const char *group_switchover_result(const struct group *g, bool *ok);

#endif
