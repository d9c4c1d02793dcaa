// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include "../uapi/tcp_nsr.h"
#include "frame.h"
#include "heartbeat.h"

static void put_term(struct attr_buf *b, uint16_t type, struct nsr_term t)
{
	size_t nest = attr_nest_start(b, type);

	attr_put_u64(b, TCP_NSR_A_TERM, t.number);
	attr_put_u32(b, TCP_NSR_A_TERM_OWNER, t.owner);
	attr_nest_end(b, nest);
}

void nsr_heartbeat_encode(struct attr_buf *b, const struct nsr_heartbeat *hb, const uint8_t mac[6])
{
	attr_put_u32(b, TCP_NSR_A_GROUP_ID, hb->group);
	attr_put_u16(b, TCP_NSR_A_SCHEMA_MAJOR, hb->schema_major);
	attr_put_u16(b, TCP_NSR_A_SCHEMA_MINOR, hb->schema_minor);
	attr_put_u32(b, NSR_SYNC_A_NODE, hb->node);
	attr_put_u64(b, NSR_SYNC_A_INSTANCE, hb->instance);
	attr_put_u64(b, NSR_SYNC_A_BOOTS, hb->boots);
	attr_put_u64(b, NSR_SYNC_A_SEQUENCE, hb->seq);
	attr_put_u8(b, NSR_SYNC_A_STATE, hb->state);
	attr_put_u8(b, NSR_SYNC_A_IN_STEP, hb->in_step);
	attr_put_u8(b, NSR_SYNC_A_WARM, hb->warm);
	attr_put_u8(b, TCP_NSR_A_GATES_OPEN, hb->gates_open);
	attr_put_u16(b, NSR_SYNC_A_REASON, hb->reason);
	attr_put_u32(b, NSR_SYNC_A_PRIORITY, (uint32_t)hb->priority);
	attr_put_u64(b, TCP_NSR_A_TERM, hb->term.number);
	attr_put_u32(b, TCP_NSR_A_TERM_OWNER, hb->term.owner);
	put_term(b, NSR_SYNC_A_DATA_TERM, hb->data_term);
	put_term(b, NSR_SYNC_A_OFFER, hb->offer);
	attr_put_u32(b, TCP_NSR_A_EPOCH, hb->epoch);
	attr_put_u64(b, NSR_SYNC_A_TS, hb->ts);
	attr_put_u64(b, NSR_SYNC_A_ECHO, hb->echo);
	attr_put_u64(b, NSR_SYNC_A_ECHO_INSTANCE, hb->echo_instance);
	if (mac)
		attr_put(b, TCP_NSR_A_MAC, mac, 6);
}

static bool get_term(const struct nlattr *nest, struct nsr_term *t)
{
	const struct nlattr *attr;
	bool ok = attr_seq_ok(attr_data(nest), attr_len(nest));

	if (ok)
		mnl_attr_for_each_nested(attr, nest) {
			if (mnl_attr_get_type(attr) == TCP_NSR_A_TERM)
				ok &= attr_u64(attr, &t->number);
			else if (mnl_attr_get_type(attr) == TCP_NSR_A_TERM_OWNER)
				ok &= attr_u32(attr, &t->owner);
		}
	return ok;
}

static bool get_attr(const struct nlattr *a, struct nsr_heartbeat *hb, uint8_t mac[6], bool *has_mac)
{
	switch (mnl_attr_get_type(a)) {
	case TCP_NSR_A_GROUP_ID:	return attr_u32(a, &hb->group);
	case TCP_NSR_A_SCHEMA_MAJOR:	return attr_u16(a, &hb->schema_major);
	case TCP_NSR_A_SCHEMA_MINOR:	return attr_u16(a, &hb->schema_minor);
	case NSR_SYNC_A_NODE:		return attr_u32(a, &hb->node);
	case NSR_SYNC_A_INSTANCE:	return attr_u64(a, &hb->instance);
	case NSR_SYNC_A_BOOTS:		return attr_u64(a, &hb->boots);
	case NSR_SYNC_A_SEQUENCE:	return attr_u64(a, &hb->seq);
	case NSR_SYNC_A_STATE:		return attr_u8(a, &hb->state) && hb->state < ROLE_STATES;
	case NSR_SYNC_A_IN_STEP:	return attr_u8(a, &hb->in_step);
	case NSR_SYNC_A_WARM:		return attr_u8(a, &hb->warm);
	case TCP_NSR_A_GATES_OPEN:	return attr_u8(a, &hb->gates_open);
	case NSR_SYNC_A_REASON:		return attr_u16(a, &hb->reason);
	case NSR_SYNC_A_PRIORITY:	return attr_get(a, &hb->priority, sizeof(hb->priority));
	case TCP_NSR_A_TERM:		return attr_u64(a, &hb->term.number);
	case TCP_NSR_A_TERM_OWNER:	return attr_u32(a, &hb->term.owner);
	case NSR_SYNC_A_DATA_TERM:	return get_term(a, &hb->data_term);
	case NSR_SYNC_A_OFFER:		return get_term(a, &hb->offer);
	case TCP_NSR_A_EPOCH:		return attr_u32(a, &hb->epoch);
	case NSR_SYNC_A_TS:		return attr_u64(a, &hb->ts);
	case NSR_SYNC_A_ECHO:		return attr_u64(a, &hb->echo);
	case NSR_SYNC_A_ECHO_INSTANCE:	return attr_u64(a, &hb->echo_instance);
	case TCP_NSR_A_MAC:		return *has_mac = attr_get(a, mac, 6);
	}
	return true;
}

int nsr_heartbeat_decode(const void *attrs, size_t len, struct nsr_heartbeat *hb, uint8_t mac[6],
			 bool *has_mac, const char **why)
{
	const struct nlattr *attr;
	bool has_state = false;

	memset(hb, 0, sizeof(*hb));
	hb->epoch = ROLE_EPOCH_NONE;
	*has_mac = false;
	mnl_attr_for_each_payload(attrs, len) {
		has_state |= mnl_attr_get_type(attr) == NSR_SYNC_A_STATE;
		if (!get_attr(attr, hb, mac, has_mac)) {
			*why = "heartbeat: an attribute of a wrong length, or an unknown state";
			return -EBADMSG;
		}
	}
	if (!hb->group || !hb->node || !hb->instance || !hb->seq || !has_state) {
		*why = "heartbeat without group, node, instance, sequence or state";
		return -EBADMSG;
	}
	return 0;
}
