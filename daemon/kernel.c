// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/genetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "genl.h"
#include "kernel.h"
#include "nsrd.h"
#include "store.h"

/* Room that a message needs beside the attribute being added. */
#define BATCH_ROOM	(GENL_MSG_MAX - 64)
#define DUMP_TRIES	8
#define DUMP_NS		100000000ull	/* for so long an interrupted dump is repeated */
#define EVENT_BUFFER	(4 << 20)
/*
 * Events come as fast as anybody opens connections, and turns must go on meanwhile, or the lease lapses: so long
 * they are read at a time, and reading the table anew takes at most this part of the time.
 */
#define DRAIN_NS	20000000ull
#define RESYNC_PART	4
#define RESYNC_GAP_NS	100000000ull

struct kernel {
	struct nsrd *nsrd;
	struct genl req, dump;
	const struct genl *last;	/* of the two: asked last */
	struct mnl_socket *events;
	ev_io watcher;
	ev_timer resync;		/* active: events were lost, the tables are to be read anew */
	uint64_t resync_after;		/* ns; not before */
	uint64_t event_seq;		/* of the last event taken, or that a dump contains */
	int event_buffer;
	struct nlmsghdr *batch;		/* in batch_buf; NULL: empty */
	uint8_t batch_buf[GENL_MSG_MAX] __attribute__((aligned(8)));
	uint8_t event_buf[65536] __attribute__((aligned(8)));
};

const char *kernel_error(const struct kernel *k)
{
	return k->last ? k->last->text : "";
}

static int ask(struct kernel *k, struct genl *genl, struct nlmsghdr *nlh,
	       int (*each)(const struct nlmsghdr *, void *), void *data, bool *interrupted)
{
	k->last = genl;
	return genl_talk(genl, nlh, each, data, interrupted);
}

static struct nlmsghdr *request(struct kernel *k, uint8_t cmd)
{
	return genl_request(&k->req, cmd, TCP_NSR_GENL_VERSION, 0);
}

static struct nlmsghdr *group_request(struct kernel *k, uint8_t cmd, uint32_t group)
{
	struct nlmsghdr *nlh = request(k, cmd);

	mnl_attr_put_u32(nlh, TCP_NSR_A_GROUP_ID, group);
	return nlh;
}

static int talk(struct kernel *k, struct nlmsghdr *nlh)
{
	return ask(k, &k->req, nlh, NULL, NULL, NULL);
}

/* ---- namespace ---- */

static int take_info(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *tb[TCP_NSR_A_MAX + 1];
	struct kernel_info *info = data;

	if (!genl_parse(nlh, tb, TCP_NSR_A_MAX))
		return -EBADMSG;
	info->schema_major = genl_u16(tb[TCP_NSR_A_SCHEMA_MAJOR]);
	info->schema_minor = genl_u16(tb[TCP_NSR_A_SCHEMA_MINOR]);
	info->event_seq = genl_u64(tb[TCP_NSR_A_EVENT_SEQ]);
	info->max_conns = genl_u32(tb[TCP_NSR_A_MAX_CONNS]);
	info->max_shadows = genl_u32(tb[TCP_NSR_A_MAX_SHADOWS]);
	info->nr_conns = genl_u32(tb[TCP_NSR_A_NUM_CONNS]);
	info->nr_shadows = genl_u32(tb[TCP_NSR_A_NUM_SHADOWS]);
	return 0;
}

int kernel_info_get(struct kernel *k, struct kernel_info *info)
{
	memset(info, 0, sizeof(*info));
	return ask(k, &k->req, request(k, TCP_NSR_CMD_INFO_GET), take_info, info, NULL);
}

/* ---- groups and rules ---- */

int kernel_group_set(struct kernel *k, const struct cfg_group *cfg, uint32_t ifindex, const uint8_t *mac)
{
	struct nlmsghdr *nlh = group_request(k, TCP_NSR_CMD_GROUP_SET, cfg->id);
	struct nlattr *nest;

	mnl_attr_put_u32(nlh, TCP_NSR_A_IFINDEX, ifindex);
	if (mac)
		mnl_attr_put(nlh, TCP_NSR_A_MAC, 6, mac);
	nest = mnl_attr_nest_start(nlh, TCP_NSR_A_ADDRS);
	for (size_t i = 0; i < cfg->nr_addrs; i++)
		mnl_attr_put(nlh, TCP_NSR_A_ADDR, cfg->addrs[i].family == AF_INET ? 4 : 16, cfg->addrs[i].addr);
	mnl_attr_nest_end(nlh, nest);
	mnl_attr_put_u32(nlh, TCP_NSR_A_SETTLE_MS, cfg->settle_ms);
	mnl_attr_put_u32(nlh, TCP_NSR_A_SEGMENT_LIFE_MS, cfg->segment_life_ms);
	mnl_attr_put_u32(nlh, TCP_NSR_A_GAP_BOUND_MS, cfg->gap_bound_ms);
	mnl_attr_put_u32(nlh, TCP_NSR_A_PROBE_RATE, cfg->probe_rate);
	/* While a standby can go on, a dying application must not say good-bye to the far ends. */
	mnl_attr_put_u8(nlh, TCP_NSR_A_ON_DEATH, TCP_NSR_ON_DEATH_MUTE);
	return talk(k, nlh);
}

static int take_group(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *tb[TCP_NSR_A_MAX + 1], *stats[TCP_NSR_A_STAT_MAX + 1];
	struct kernel_group *g = data;

	if (!genl_parse(nlh, tb, TCP_NSR_A_MAX))
		return -EBADMSG;
	g->active = genl_u8(tb[TCP_NSR_A_ROLE]) == TCP_NSR_ROLE_ACTIVE;
	g->frozen = genl_u8(tb[TCP_NSR_A_FROZEN]);
	g->settled = genl_u8(tb[TCP_NSR_A_SETTLED]);
	g->gates_open = genl_u8(tb[TCP_NSR_A_GATES_OPEN]);
	g->ifindex = genl_u32(tb[TCP_NSR_A_IFINDEX]);
	g->term.number = genl_u64(tb[TCP_NSR_A_TERM]);
	g->term.owner = genl_u32(tb[TCP_NSR_A_TERM_OWNER]);
	g->lease_until = genl_u64(tb[TCP_NSR_A_LEASE_UNTIL]);
	g->ready_until = genl_u64(tb[TCP_NSR_A_READY_UNTIL]);
	g->generation = genl_u32(tb[TCP_NSR_A_GENERATION]);
	g->epoch = genl_u32(tb[TCP_NSR_A_EPOCH]);
	if (tb[TCP_NSR_A_MAC] && mnl_attr_get_payload_len(tb[TCP_NSR_A_MAC]) == 6) {
		g->has_mac = true;
		memcpy(g->mac, mnl_attr_get_payload(tb[TCP_NSR_A_MAC]), 6);
	}
	if (!tb[TCP_NSR_A_STATS])
		return 0;
	if (!genl_parse_nested(tb[TCP_NSR_A_STATS], stats, TCP_NSR_A_STAT_MAX))
		return -EBADMSG;
	for (int i = 0; i <= TCP_NSR_A_STAT_MAX; i++)
		g->stats[i] = genl_u64(stats[i]);
	return 0;
}

int kernel_group_get(struct kernel *k, uint32_t group, struct kernel_group *out)
{
	memset(out, 0, sizeof(*out));
	return ask(k, &k->req, group_request(k, TCP_NSR_CMD_GROUP_GET, group), take_group, out, NULL);
}

int kernel_group_del(struct kernel *k, uint32_t group, bool flush)
{
	struct nlmsghdr *nlh = group_request(k, TCP_NSR_CMD_GROUP_DEL, group);

	if (flush)
		mnl_attr_put(nlh, TCP_NSR_A_FLUSH, 0, NULL);
	return talk(k, nlh);
}

struct groups_list {
	uint32_t *ids;
	size_t nr, room;
};

static int take_group_id(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *tb[TCP_NSR_A_MAX + 1];
	struct groups_list *l = data;

	if (!genl_parse(nlh, tb, TCP_NSR_A_MAX) || !tb[TCP_NSR_A_GROUP_ID])
		return -EBADMSG;
	if (l->nr < l->room)
		l->ids[l->nr++] = genl_u32(tb[TCP_NSR_A_GROUP_ID]);
	return 0;
}

int kernel_groups_get(struct kernel *k, uint32_t *ids, size_t room)
{
	struct nlmsghdr *nlh = genl_request(&k->dump, TCP_NSR_CMD_GROUP_GET, TCP_NSR_GENL_VERSION, NLM_F_DUMP);
	struct groups_list l = { .ids = ids, .room = room };
	int err = ask(k, &k->dump, nlh, take_group_id, &l, NULL);

	return err ? err : (int)l.nr;
}

static int take_generation(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *tb[TCP_NSR_A_MAX + 1];
	uint32_t *generation = data;

	if (genl_parse(nlh, tb, TCP_NSR_A_MAX) && tb[TCP_NSR_A_GENERATION])
		*generation = genl_u32(tb[TCP_NSR_A_GENERATION]);
	return 0;
}

int kernel_role_active(struct kernel *k, uint32_t group, struct nsr_term term, uint64_t lease_until,
		       uint32_t generation, uint32_t *fresh)
{
	struct nlmsghdr *nlh = group_request(k, TCP_NSR_CMD_ROLE_SET, group);

	mnl_attr_put_u8(nlh, TCP_NSR_A_ROLE, TCP_NSR_ROLE_ACTIVE);
	mnl_attr_put_u64(nlh, TCP_NSR_A_TERM, term.number);
	mnl_attr_put_u32(nlh, TCP_NSR_A_TERM_OWNER, term.owner);
	mnl_attr_put_u64(nlh, TCP_NSR_A_LEASE_UNTIL, lease_until);
	mnl_attr_put_u32(nlh, TCP_NSR_A_GENERATION, generation);
	*fresh = generation + 1;
	return ask(k, &k->req, nlh, take_generation, fresh, NULL);
}

int kernel_lease_set(struct kernel *k, uint32_t group, uint64_t lease_until, uint32_t generation)
{
	struct nlmsghdr *nlh = group_request(k, TCP_NSR_CMD_LEASE_SET, group);

	mnl_attr_put_u64(nlh, TCP_NSR_A_LEASE_UNTIL, lease_until);
	mnl_attr_put_u32(nlh, TCP_NSR_A_GENERATION, generation);
	return talk(k, nlh);
}

int kernel_mute(struct kernel *k, uint32_t group, bool destroy, uint32_t *fresh)
{
	struct nlmsghdr *nlh = group_request(k, TCP_NSR_CMD_MUTE, group);
	struct kernel_group now;
	int err;

	if (destroy)
		mnl_attr_put(nlh, TCP_NSR_A_DESTROY, 0, NULL);
	err = talk(k, nlh);
	if (err)
		return err;
	/* The answer to MUTE carries no generation: an agent without a daemon has no use for it. */
	err = kernel_group_get(k, group, &now);
	*fresh = now.generation;
	return err;
}

int kernel_ready_set(struct kernel *k, uint32_t group, uint64_t ready_until, bool gates_open, uint32_t epoch)
{
	struct nlmsghdr *nlh = group_request(k, TCP_NSR_CMD_READY_SET, group);

	mnl_attr_put_u64(nlh, TCP_NSR_A_READY_UNTIL, ready_until);
	mnl_attr_put_u8(nlh, TCP_NSR_A_GATES_OPEN, gates_open);
	mnl_attr_put_u32(nlh, TCP_NSR_A_EPOCH, epoch);
	return talk(k, nlh);
}

int kernel_freeze(struct kernel *k, uint32_t group, bool frozen)
{
	struct nlmsghdr *nlh = group_request(k, TCP_NSR_CMD_FREEZE, group);

	mnl_attr_put_u8(nlh, TCP_NSR_A_FROZEN, frozen);
	return talk(k, nlh);
}

int kernel_rule_set(struct kernel *k, uint32_t group, const struct cfg_rule *r)
{
	struct nlmsghdr *nlh = group_request(k, TCP_NSR_CMD_RULE_SET, group);
	struct nlattr *nest = mnl_attr_nest_start(nlh, TCP_NSR_A_RULE);
	size_t len = r->family == AF_INET ? 4 : 16;
	unsigned int ifindex;

	mnl_attr_put_u32(nlh, TCP_NSR_A_RULE_ID, r->id);
	if (r->family)
		mnl_attr_put_u8(nlh, TCP_NSR_A_RULE_FAMILY, r->family);
	if (r->has_laddr)
		mnl_attr_put(nlh, TCP_NSR_A_RULE_LADDR, len, r->laddr);
	if (r->lport)
		mnl_attr_put_u16(nlh, TCP_NSR_A_RULE_LPORT, htons(r->lport));
	if (r->has_raddr) {
		mnl_attr_put(nlh, TCP_NSR_A_RULE_RADDR, len, r->raddr);
		mnl_attr_put_u8(nlh, TCP_NSR_A_RULE_RADDR_LEN, r->raddr_len);
	}
	if (r->rport)
		mnl_attr_put_u16(nlh, TCP_NSR_A_RULE_RPORT, htons(r->rport));
	if (r->vrf[0]) {
		ifindex = if_nametoindex(r->vrf);
		if (!ifindex) {
			k->last = &k->req;
			snprintf(k->req.text, sizeof(k->req.text), "no device \"%s\" on this box: create it, or "
				 "drop vrf from the rule", r->vrf);
			return -ENODEV;
		}
		mnl_attr_put_u32(nlh, TCP_NSR_A_RULE_IFINDEX, ifindex);
	}
	mnl_attr_put_u8(nlh, TCP_NSR_A_RULE_MODE, r->mode);
	mnl_attr_put_u8(nlh, TCP_NSR_A_RULE_GAP, r->gap);
	mnl_attr_nest_end(nlh, nest);
	return talk(k, nlh);
}

int kernel_rule_del(struct kernel *k, uint32_t group, uint32_t rule)
{
	struct nlmsghdr *nlh = group_request(k, TCP_NSR_CMD_RULE_DEL, group);
	struct nlattr *nest = mnl_attr_nest_start(nlh, TCP_NSR_A_RULE);

	mnl_attr_put_u32(nlh, TCP_NSR_A_RULE_ID, rule);
	mnl_attr_nest_end(nlh, nest);
	return talk(k, nlh);
}

struct rules_walk {
	uint32_t group;
	void (*each)(uint32_t rule, void *data);
	void *data;
};

static int take_rule(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *tb[TCP_NSR_A_MAX + 1], *rule[TCP_NSR_A_RULE_MAX + 1];
	struct rules_walk *w = data;

	if (!genl_parse(nlh, tb, TCP_NSR_A_MAX) || !tb[TCP_NSR_A_RULE] ||
	    !genl_parse_nested(tb[TCP_NSR_A_RULE], rule, TCP_NSR_A_RULE_MAX))
		return -EBADMSG;
	if (genl_u32(tb[TCP_NSR_A_GROUP_ID]) == w->group)
		w->each(genl_u32(rule[TCP_NSR_A_RULE_ID]), w->data);
	return 0;
}

int kernel_rules_get(struct kernel *k, uint32_t group, void (*each)(uint32_t rule, void *data), void *data)
{
	struct rules_walk w = { .group = group, .each = each, .data = data };
	struct nlmsghdr *nlh = genl_request(&k->dump, TCP_NSR_CMD_RULE_GET, TCP_NSR_GENL_VERSION, NLM_F_DUMP);

	mnl_attr_put_u32(nlh, TCP_NSR_A_GROUP_ID, group);
	return ask(k, &k->dump, nlh, take_rule, &w, NULL);
}

int kernel_flush(struct kernel *k, uint32_t group)
{
	return talk(k, group_request(k, TCP_NSR_CMD_FLUSH, group));
}

/* ---- connections ---- */

int kernel_conn_inject(struct kernel *k, uint32_t group, int fd, const void *conn, size_t len, bool late)
{
	struct nlmsghdr *nlh = group_request(k, TCP_NSR_CMD_CONN_INJECT, group);

	if (len > BATCH_ROOM - 64)
		return -EMSGSIZE;
	mnl_attr_put_u32(nlh, TCP_NSR_A_FD, (uint32_t)fd);
	mnl_attr_put(nlh, TCP_NSR_A_CONN | NLA_F_NESTED, len, conn);
	if (late)
		mnl_attr_put(nlh, TCP_NSR_A_LATE, 0, NULL);
	return talk(k, nlh);
}

static struct nlmsghdr *conn_request(struct kernel *k, uint8_t cmd, uint64_t id)
{
	struct nlmsghdr *nlh = request(k, cmd);
	struct nlattr *nest = mnl_attr_nest_start(nlh, TCP_NSR_A_CONN);

	mnl_attr_put_u64(nlh, TCP_NSR_A_CONN_ID, id);
	mnl_attr_nest_end(nlh, nest);
	return nlh;
}

int kernel_conn_del(struct kernel *k, uint64_t id, bool reset)
{
	struct nlmsghdr *nlh = conn_request(k, TCP_NSR_CMD_CONN_DEL, id);

	if (reset)
		mnl_attr_put(nlh, TCP_NSR_A_RESET, 0, NULL);
	return talk(k, nlh);
}

struct conns_walk {
	void (*each)(const struct nlattr *conn, void *data);
	void *data;
};

static int take_conns(const struct nlmsghdr *nlh, void *data)
{
	struct conns_walk *w = data;
	const struct nlattr *a;

	mnl_attr_for_each(a, nlh, GENL_HDRLEN)
		if (mnl_attr_get_type(a) == TCP_NSR_A_CONN && w->each)
			w->each(a, w->data);
	return 0;
}

int kernel_conn_get(struct kernel *k, uint64_t id, void (*each)(const struct nlattr *conn, void *data),
		    void *data)
{
	struct conns_walk w = { .each = each, .data = data };

	return ask(k, &k->req, conn_request(k, TCP_NSR_CMD_CONN_GET, id), take_conns, &w, NULL);
}

int kernel_conn_find(struct kernel *k, uint32_t group, const struct nsr_store_tuple *t,
		     void (*each)(const struct nlattr *conn, void *data), void *data)
{
	struct conns_walk w = { .each = each, .data = data };
	struct nlmsghdr *nlh = group_request(k, TCP_NSR_CMD_CONN_GET, group);
	struct nlattr *nest = mnl_attr_nest_start(nlh, TCP_NSR_A_CONN);
	size_t len = t->family == AF_INET ? 4 : 16;

	mnl_attr_put_u8(nlh, TCP_NSR_A_CONN_FAMILY, t->family);
	mnl_attr_put(nlh, TCP_NSR_A_CONN_LADDR, len, t->laddr);
	mnl_attr_put(nlh, TCP_NSR_A_CONN_RADDR, len, t->raddr);
	mnl_attr_put_u16(nlh, TCP_NSR_A_CONN_LPORT, t->lport);
	mnl_attr_put_u16(nlh, TCP_NSR_A_CONN_RPORT, t->rport);
	mnl_attr_nest_end(nlh, nest);
	return ask(k, &k->req, nlh, take_conns, &w, NULL);
}

int kernel_conns_dump(struct kernel *k, uint32_t group, void (*begin)(void *data),
		      void (*each)(const struct nlattr *conn, void *data), void *data)
{
	struct conns_walk w = { .each = each, .data = data };
	uint64_t until = nsrd_now() + DUMP_NS;

	for (int tries = 0; tries < DUMP_TRIES && (tries < 2 || nsrd_now() < until); tries++) {
		struct nlmsghdr *nlh = genl_request(&k->dump, TCP_NSR_CMD_CONN_GET, TCP_NSR_GENL_VERSION,
						    NLM_F_DUMP);
		bool interrupted = false;
		int err;

		mnl_attr_put_u32(nlh, TCP_NSR_A_GROUP_ID, group);
		begin(data);
		err = ask(k, &k->dump, nlh, take_conns, &w, &interrupted);
		if (err == -EINTR || (!err && interrupted))
			continue;
		return err;
	}
	/*
	 * A table that changes all the time is never dumped in one state. What changed meanwhile also came,
	 * or will come, as an event: taking the last try is safe as long as events are not skipped for it, and
	 * what it does not name is not taken for gone.
	 */
	return 0;
}

int kernel_batch_send(struct kernel *k)
{
	struct nlmsghdr *nlh = k->batch;

	if (!nlh)
		return 0;
	k->batch = NULL;
	nlh->nlmsg_seq = ++k->req.seq;
	return talk(k, nlh);
}

int kernel_batch_add(struct kernel *k, const void *conn, size_t len)
{
	struct genlmsghdr *gh;
	int err = 0;

	if (len > BATCH_ROOM - 64)
		return -EMSGSIZE;
	if (k->batch && k->batch->nlmsg_len + len + 64 > BATCH_ROOM)
		err = kernel_batch_send(k);
	if (!k->batch) {
		k->batch = mnl_nlmsg_put_header(k->batch_buf);
		k->batch->nlmsg_type = k->req.family;
		k->batch->nlmsg_flags = NLM_F_REQUEST;
		gh = mnl_nlmsg_put_extra_header(k->batch, sizeof(*gh));
		gh->cmd = TCP_NSR_CMD_CONN_SET;
		gh->version = TCP_NSR_GENL_VERSION;
	}
	mnl_attr_put(k->batch, TCP_NSR_A_CONN | NLA_F_NESTED, len, conn);
	return err;
}

/* ---- events ---- */

/* Events up to the number that INFO_GET answers are in a dump that begins now, and are skipped. */
static void on_resync(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct kernel *k = w->data;
	uint64_t begun = nsrd_now(), took;
	struct kernel_info info;
	struct group *g;

	(void)revents;
	ev_timer_stop(loop, w);
	if (!kernel_info_get(k, &info))
		k->event_seq = info.event_seq;
	list_for_each(g, &k->nsrd->groups, node)
		group_kernel_resync(g);
	took = nsrd_now() - begun;
	k->resync_after = begun + took + RESYNC_PART * took + RESYNC_GAP_NS;
}

/* Not at once: events that wait are read first, and turns come in between. */
static void lost_events(struct kernel *k, const char *why)
{
	uint64_t now = nsrd_now();

	if (ev_is_active(&k->resync))
		return;
	log_warn("kernel events were lost (%s): reading the table of connections anew", why);
	ev_timer_set(&k->resync, now < k->resync_after ? (double)(k->resync_after - now) / 1e9 : 0., 0.);
	ev_timer_start(k->nsrd->loop, &k->resync);
}

static void grow_event_buffer(struct kernel *k)
{
	if (k->event_buffer >= 64 << 20)
		return;
	kernel_set_event_buffer(k, k->event_buffer * 2);
	log_info("receive buffer for kernel events: now %d bytes", k->event_buffer);
}

int kernel_set_event_buffer(struct kernel *k, int bytes)
{
	int fd = mnl_socket_get_fd(k->events);

	k->event_buffer = bytes;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)))
		return -errno;
	return 0;
}

static void take_event(struct kernel *k, const struct nlmsghdr *nlh)
{
	const struct genlmsghdr *gh = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[TCP_NSR_A_MAX + 1];
	struct group *g;
	uint64_t seq;

	if (nlh->nlmsg_type != k->req.family || !genl_parse(nlh, tb, TCP_NSR_A_MAX))
		return;
	seq = genl_u64(tb[TCP_NSR_A_EVENT_SEQ]);
	if (seq <= k->event_seq)
		return;
	if (seq != k->event_seq + 1)
		lost_events(k, "gap in the sequence");
	k->event_seq = seq;
	g = nsrd_group_find(k->nsrd, genl_u32(tb[TCP_NSR_A_GROUP_ID]));
	if (g)
		group_kernel_event(g, gh->cmd, tb, nlh);
}

/* Reads what waits: until @until (ns), if that is not 0, and until event @seq has been, if that is not 0. */
static bool drain(struct kernel *k, uint64_t until, uint64_t seq)
{
	bool any = false;

	do {
		ssize_t n = recv(mnl_socket_get_fd(k->events), k->event_buf, sizeof(k->event_buf),
				 MSG_DONTWAIT);
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)k->event_buf;
		int len = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOBUFS) {
			grow_event_buffer(k);
			lost_events(k, "ENOBUFS");
			continue;
		}
		if (n <= 0)
			return any;
		any = true;
		for (; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len))
			take_event(k, nlh);
	} while ((!until || nsrd_now() < until) && (!seq || k->event_seq < seq));
	return any;
}

bool kernel_drain(struct kernel *k)
{
	return drain(k, nsrd_now() + DRAIN_NS, 0);
}

void kernel_catch_up(struct kernel *k)
{
	struct kernel_info info;

	if (!kernel_info_get(k, &info) && info.event_seq > k->event_seq)
		drain(k, 0, info.event_seq);
	if (ev_is_active(&k->resync))
		on_resync(k->nsrd->loop, &k->resync, 0);
}

static void on_events(struct ev_loop *loop, ev_io *w, int revents)
{
	struct kernel *k = w->data;

	(void)loop;
	(void)revents;
	kernel_drain(k);
}

static int open_events(struct kernel *k, uint32_t mcgrp)
{
	k->events = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!k->events || mnl_socket_bind(k->events, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	kernel_set_event_buffer(k, EVENT_BUFFER);
	if (mnl_socket_setsockopt(k->events, NETLINK_ADD_MEMBERSHIP, &mcgrp, sizeof(mcgrp)) < 0)
		return -errno;
	return 0;
}

static int open_all(struct kernel *k)
{
	struct genl_family fam;
	struct kernel_info info;
	int err = genl_open(&k->req);

	if (!err)
		err = genl_open(&k->dump);
	if (err) {
		log_err("netlink socket: %s", strerror(-err));
		return err;
	}
	err = genl_resolve(&k->req, TCP_NSR_GENL_NAME, TCP_NSR_MCGRP_EVENTS, &fam);
	if (err) {
		log_err("the kernel has no netlink family \"%s\" (%s): load the module, modprobe tcp_nsr",
			TCP_NSR_GENL_NAME, k->req.text);
		return err;
	}
	k->dump.family = fam.id;
	err = kernel_info_get(k, &info);
	if (err) {
		log_err("tcp_nsr in the kernel refuses: %s", kernel_error(k));
		return err;
	}
	if (info.schema_major != TCP_NSR_SCHEMA_MAJOR) {
		log_err("tcp_nsr in the kernel speaks schema %u.%u, nsrd %u.%u: install module and nsrd of one version",
			info.schema_major, info.schema_minor, TCP_NSR_SCHEMA_MAJOR, TCP_NSR_SCHEMA_MINOR);
		return -EPROTO;
	}
	err = open_events(k, fam.mcgrp);
	if (err) {
		log_err("kernel events: %s: nsrd needs CAP_NET_ADMIN", strerror(-err));
		return err;
	}
	/* Joined first, number read afterwards: nothing falls in between. */
	err = kernel_info_get(k, &info);
	k->event_seq = info.event_seq;
	return err;
}

struct kernel *kernel_create(struct nsrd *n)
{
	struct kernel *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->nsrd = n;
	ev_timer_init(&k->resync, on_resync, 0., 0.);
	k->resync.data = k;
	if (open_all(k)) {
		kernel_destroy(k);
		return NULL;
	}
	ev_io_init(&k->watcher, on_events, mnl_socket_get_fd(k->events), EV_READ);
	k->watcher.data = k;
	ev_io_start(n->loop, &k->watcher);
	return k;
}

void kernel_destroy(struct kernel *k)
{
	if (!k)
		return;
	if (k->watcher.data)
		ev_io_stop(k->nsrd->loop, &k->watcher);
	ev_timer_stop(k->nsrd->loop, &k->resync);
	if (k->events)
		mnl_socket_close(k->events);
	genl_close(&k->req);
	genl_close(&k->dump);
	free(k);
}
