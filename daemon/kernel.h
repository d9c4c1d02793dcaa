/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kernel: the generic netlink family tcp_nsr, seen from nsrd.
 *
 * Three sockets: requests (one at a time, answered before the call returns), events (multicast), dumps.
 * An event sequence number that is not one above the last, or ENOBUFS, means that events were lost:
 * every group is told to dump and reconcile (group_kernel_resync()).
 *
 * Every function that asks the kernel returns 0 or a negative errno; kernel_error() then holds the
 * kernel's own words (extended ACK), or those of the errno.
 */
#ifndef NSRD_KERNEL_H
#define NSRD_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <libmnl/libmnl.h>

#include "../uapi/tcp_nsr.h"
#include "term.h"

struct nsrd;
struct kernel;
struct cfg_group;
struct cfg_rule;
struct role_kernel;

/* a group as the kernel has it; stats[] is indexed by enum tcp_nsr_a_stat */
struct kernel_group {
	bool active, frozen, settled, has_mac, gates_open;
	uint8_t mac[6];
	uint32_t ifindex;
	struct nsr_term term;
	uint64_t lease_until, ready_until;
	uint32_t generation, epoch;
	uint64_t stats[TCP_NSR_A_STAT_MAX + 1];
};

struct kernel_info {
	uint16_t schema_major, schema_minor;
	uint64_t event_seq;
	uint32_t max_conns, max_shadows, nr_conns, nr_shadows;
};

/**
 * kernel_create - find the family, join its events, start to listen
 *
 * Return: the object; NULL with a logged reason and remedy (module not loaded, no right, other schema).
 */
struct kernel *kernel_create(struct nsrd *n);
void kernel_destroy(struct kernel *k);
const char *kernel_error(const struct kernel *k);

/* Reads events that wait, for a short time at most; called before the timer of a turn. True: there was any. */
bool kernel_drain(struct kernel *k);
/* Reads every event that the kernel has told until now, or could not tell. */
void kernel_catch_up(struct kernel *k);
/* Bytes of the event socket's receive buffer: tests make it small to lose events. */
int kernel_set_event_buffer(struct kernel *k, int bytes);

int kernel_info_get(struct kernel *k, struct kernel_info *info);
/* @mac NULL: no MAC yet */
int kernel_group_set(struct kernel *k, const struct cfg_group *cfg, uint32_t ifindex, const uint8_t *mac);
int kernel_group_get(struct kernel *k, uint32_t group, struct kernel_group *out);	/* -ENOENT */
int kernel_group_del(struct kernel *k, uint32_t group, bool flush);
/* The ids of the groups that the kernel has: at most @room of them; the number, or an error. */
int kernel_groups_get(struct kernel *k, uint32_t *ids, size_t room);
int kernel_role_active(struct kernel *k, uint32_t group, struct nsr_term term, uint64_t lease_until,
		       uint32_t generation, uint32_t *fresh);
int kernel_lease_set(struct kernel *k, uint32_t group, uint64_t lease_until, uint32_t generation);
int kernel_mute(struct kernel *k, uint32_t group, bool destroy, uint32_t *fresh);
int kernel_ready_set(struct kernel *k, uint32_t group, uint64_t ready_until, bool gates_open, uint32_t epoch);
int kernel_freeze(struct kernel *k, uint32_t group, bool frozen);
int kernel_rule_set(struct kernel *k, uint32_t group, const struct cfg_rule *r);
int kernel_rule_del(struct kernel *k, uint32_t group, uint32_t rule);
int kernel_rules_get(struct kernel *k, uint32_t group, void (*each)(uint32_t rule, void *data), void *data);
int kernel_flush(struct kernel *k, uint32_t group);

/* @conn: attributes of a connection record (enum tcp_nsr_a_conn), @len bytes, not nested */
int kernel_conn_inject(struct kernel *k, uint32_t group, int fd, const void *conn, size_t len, bool late);
int kernel_conn_del(struct kernel *k, uint64_t id, bool reset);
/* what becomes of one connection: its record, valid during the call; -ENOENT */
int kernel_conn_get(struct kernel *k, uint64_t id, void (*each)(const struct nlattr *conn, void *data),
		    void *data);

/**
 * kernel_conn_find - the record of the group's connection with this 4-tuple, as the kernel has it now
 *
 * Return: 0, -ENOENT.
 */
struct nsr_store_tuple;
int kernel_conn_find(struct kernel *k, uint32_t group, const struct nsr_store_tuple *t,
		     void (*each)(const struct nlattr *conn, void *data), void *data);

/**
 * kernel_conns_dump - every connection and shadow of a group
 * @begin: called before the first connection; again if the table changed meanwhile and the dump starts anew
 * @each: called for each, with its nested TCP_NSR_A_CONN
 */
int kernel_conns_dump(struct kernel *k, uint32_t group, void (*begin)(void *data),
		      void (*each)(const struct nlattr *conn, void *data), void *data);

/*
 * CONN_SET, many connections to a message: kernel_batch_add() as often as need be, then
 * kernel_batch_send(). The first error is returned; the others of the message were tried all the same.
 */
int kernel_batch_add(struct kernel *k, const void *conn, size_t len);
int kernel_batch_send(struct kernel *k);

#endif
