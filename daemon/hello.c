// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "frame.h"
#include "hello.h"

void hello_encode(struct attr_buf *b, const struct nsrd *n)
{
	struct group *g;

	attr_put_u16(b, TCP_NSR_A_SCHEMA_MAJOR, TCP_NSR_SCHEMA_MAJOR);
	attr_put_u16(b, TCP_NSR_A_SCHEMA_MINOR, TCP_NSR_SCHEMA_MINOR);
	attr_put_u32(b, NSR_SYNC_A_BYTE_ORDER, NSR_SYNC_BYTE_ORDER);
	attr_put_u32(b, NSR_SYNC_A_NODE, n->cfg->node_id);
	attr_put_u64(b, NSR_SYNC_A_BOOT, n->boot_id);
	attr_put_u64(b, NSR_SYNC_A_INSTANCE, n->instance_id);
	list_for_each(g, &n->groups, node) {
		size_t nest = attr_nest_start(b, NSR_SYNC_A_GROUP);

		attr_put_u32(b, TCP_NSR_A_GROUP_ID, g->cfg->id);
		attr_put_str(b, NSR_SYNC_A_NAME, g->cfg->name);
		attr_nest_end(b, nest);
	}
}

static bool get_group(const struct nlattr *nest, struct hello *h)
{
	struct hello_group *groups, *g;
	const struct nlattr *attr;
	bool ok = true;

	if (h->nr_groups == HELLO_GROUPS_MAX || !attr_seq_ok(attr_data(nest), attr_len(nest)))
		return false;
	groups = realloc(h->groups, (h->nr_groups + 1) * sizeof(*groups));
	if (!groups)
		return false;
	h->groups = groups;
	g = &groups[h->nr_groups++];
	memset(g, 0, sizeof(*g));
	mnl_attr_for_each_nested(attr, nest) {
		if (mnl_attr_get_type(attr) == TCP_NSR_A_GROUP_ID)
			ok &= attr_u32(attr, &g->id);
		else if (mnl_attr_get_type(attr) == NSR_SYNC_A_NAME)
			ok &= attr_name(attr, g->name, sizeof(g->name));
	}
	return ok && g->id && g->name[0];
}

static bool get_attr(const struct nlattr *a, struct hello *h)
{
	switch (mnl_attr_get_type(a)) {
	case TCP_NSR_A_SCHEMA_MAJOR:	return attr_u16(a, &h->major);
	case TCP_NSR_A_SCHEMA_MINOR:	return attr_u16(a, &h->minor);
	case NSR_SYNC_A_BYTE_ORDER:	return attr_u32(a, &h->byte_order);
	case NSR_SYNC_A_NODE:		return attr_u32(a, &h->node);
	case NSR_SYNC_A_BOOT:		return attr_u64(a, &h->boot);
	case NSR_SYNC_A_INSTANCE:	return attr_u64(a, &h->instance);
	case NSR_SYNC_A_GROUP:		return get_group(a, h);
	}
	return true;
}

int hello_decode(const void *attrs, size_t len, struct hello *h, char *why, size_t size)
{
	const struct nlattr *attr;

	mnl_attr_for_each_payload(attrs, len)
		if (!get_attr(attr, h)) {
			snprintf(why, size, "HELLO: attribute %u is malformed",
				 mnl_attr_get_type(attr));
			return -EBADMSG;
		}
	if (!h->node || !h->instance || !h->byte_order) {
		snprintf(why, size, "HELLO without node id, instance id or byte order");
		return -EBADMSG;
	}
	return 0;
}

static int check_groups(const struct hello *h, const struct nsrd *n, char *why, size_t size)
{
	size_t i, common = 0;
	struct group *g;

	for (i = 0; i < h->nr_groups; i++)
		list_for_each(g, &n->groups, node) {
			bool name = !strcmp(g->cfg->name, h->groups[i].name);
			bool id = g->cfg->id == h->groups[i].id;

			common += id && name;
			if (id != name) {
				snprintf(why, size, "group %u is \"%s\" here, and group %u is \"%s\" "
					 "there: give a group the same id and name on both boxes", g->cfg->id,
					 g->cfg->name, h->groups[i].id, h->groups[i].name);
				return -EPROTO;
			}
		}
	if (!common) {
		snprintf(why, size, "no group in common: configure the same group on both boxes");
		return -EPROTO;
	}
	return 0;
}

int hello_check(const struct hello *h, const struct nsrd *n, char *why, size_t size)
{
	if (h->byte_order != NSR_SYNC_BYTE_ORDER)
		snprintf(why, size, "the peer has another byte order: a pair needs boxes of the same");
	else if (h->major != TCP_NSR_SCHEMA_MAJOR)
		snprintf(why, size, "the peer speaks schema %u.%u, this box %u.%u: upgrade the older",
			 h->major, h->minor, TCP_NSR_SCHEMA_MAJOR, TCP_NSR_SCHEMA_MINOR);
	else if (h->node == n->cfg->node_id)
		snprintf(why, size, "the peer has node id %u too: give each box its own", h->node);
	else
		return check_groups(h, n, why, size);
	return -EPROTO;
}

bool hello_has_group(const struct hello *h, uint32_t group)
{
	size_t i;

	for (i = 0; i < h->nr_groups; i++)
		if (h->groups[i].id == group)
			return true;
	return false;
}

void hello_free(struct hello *h)
{
	free(h->groups);
	memset(h, 0, sizeof(*h));
}
