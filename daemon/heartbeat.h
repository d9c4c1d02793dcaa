/* SPDX-License-Identifier: GPL-2.0-only */
/* heartbeat: struct nsr_heartbeat (role.h) <-> the attributes of a HEARTBEAT frame. Pure. */
#ifndef NSRD_HEARTBEAT_H
#define NSRD_HEARTBEAT_H

#include <stdbool.h>
#include "attr.h"
#include "role.h"

/* mac: what the group has on the wire; NULL: not known to the sender */
void nsr_heartbeat_encode(struct attr_buf *b, const struct nsr_heartbeat *hb, const uint8_t mac[6]);

/**
 * nsr_heartbeat_decode() - read a HEARTBEAT's attributes
 * @attrs, @len: attr_seq_ok()
 * @mac, @has_mac: the group's MAC, if it is there
 *
 * Absent: the value that says nothing (no term, no epoch, no echo). Group, node, instance, sequence and
 * state are needed.
 *
 * Return: 0; -EBADMSG, with the words in *why.
 */
int nsr_heartbeat_decode(const void *attrs, size_t len, struct nsr_heartbeat *hb, uint8_t mac[6],
			 bool *has_mac, const char **why);

#endif
