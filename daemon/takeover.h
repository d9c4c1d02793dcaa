/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * takeover: MAC and addresses of a group on its service interface. Bounded, blocking route-netlink
 * requests; no roles: who calls knows that the box may emit.
 *
 * mac replace: the service interface itself gets the group's MAC. That is, unless configured, the MAC of
 * the first box that was active for the group; both boxes remember it. The box whose own MAC it was must
 * not have it while the other one speaks: it then uses a locally administered one made from its own.
 * mac macvlan: the group's MAC lives on a device of its own, which is down while the box is standby.
 * mac none: only addresses move.
 */
#ifndef NSRD_TAKEOVER_H
#define NSRD_TAKEOVER_H

#include <stdbool.h>
#include <stdint.h>

struct cfg_group;
struct ev_loop;
struct takeover;

/**
 * takeover_create - look at the service interface
 * @state_dir: where MACs are remembered, of both kinds
 *
 * Return: the object, or NULL, with reason and remedy logged (no such interface, or a driver that cannot
 * change the MAC while the interface is up).
 */
struct takeover *takeover_create(struct ev_loop *loop, const struct cfg_group *cfg, const char *state_dir);
/* Leaves MAC and addresses as they are: nsrd's end must not disturb an active. */
void takeover_destroy(struct takeover *t);

/* the device whose frames are the group's, for the fence */
uint32_t takeover_ifindex(const struct takeover *t);
/* NULL: not known yet, or mac none */
const uint8_t *takeover_mac(const struct takeover *t);
/* no box was active for the group yet: this interface's own MAC becomes the group's; true: it is new */
bool takeover_choose_mac(struct takeover *t);
/* the peer, active, says what the group's MAC is; true: that is news */
bool takeover_learn_mac(struct takeover *t, const uint8_t mac[6]);

/**
 * takeover_take - MAC and addresses onto the interface, then announcements, repeated
 *
 * ORDER: only after the kernel has accepted role and lease; the addresses are what makes this box answer.
 *
 * Return: 0 or a negative errno, the reason logged.
 */
int takeover_take(struct takeover *t);
/* addresses first, then the MAC; behind the mute. A repeat is harmless. */
void takeover_release(struct takeover *t);
/* a restarted nsrd finds its box active: announcements are over, nothing else to do */
void takeover_resume(struct takeover *t);

#endif
