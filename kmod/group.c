// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: redundancy groups, their rules, and which rule a connection matches.
 *
 * Configuration and rules are immutable and replaced whole under RCU, since a frame that leaves and a
 * segment that arrives read them without a lock.
 */
#include <linux/inet.h>
#include <linux/rtnetlink.h>

#include "nsr.h"

#define EXEMPT_MAX	4096

/* A tuple that was reset for a gap: its far end is to learn of it */
struct exempt {
	struct list_head node;
	u8 family;
	union nsr_addr laddr, raddr;
	__be16 lport, rport;
	int ifindex;			/* that the socket was bound to, or 0 */
};

static size_t addr_len(u8 family)
{
	return family == AF_INET ? sizeof(__be32) : sizeof(struct in6_addr);
}

struct nsr_group *nsr_group_find(struct nsr_net *ns, u32 id)
{
	struct nsr_group *g;

	lockdep_assert_held(&ns->lock);
	list_for_each_entry(g, &ns->groups, node)
		if (g->id == id)
			return g;
	return NULL;
}

struct nsr_group *nsr_group_find_rcu(struct nsr_net *ns, u32 id)
{
	struct nsr_group *g;

	list_for_each_entry_rcu(g, &ns->groups, node)
		if (g->id == id)
			return g;
	return NULL;
}

/**
 * nsr_group_find_get() - finds a group without a lock
 * @ns: namespace
 * @id: group id
 *
 * Return: the group with a reference, or NULL.
 */
struct nsr_group *nsr_group_find_get(struct nsr_net *ns, u32 id)
{
	struct nsr_group *g;

	rcu_read_lock();
	g = nsr_group_find_rcu(ns, id);
	if (g && !kref_get_unless_zero(&g->ref))
		g = NULL;
	rcu_read_unlock();
	return g;
}

void nsr_group_get(struct nsr_group *g)
{
	kref_get(&g->ref);
}

static void exempt_clear(struct nsr_group *g)
{
	struct exempt *e, *next;

	spin_lock_bh(&g->exempt_lock);
	list_for_each_entry_safe(e, next, &g->exempt, node)
		kfree(e);
	INIT_LIST_HEAD(&g->exempt);
	g->nr_exempt = 0;
	spin_unlock_bh(&g->exempt_lock);
}

/* The last reader of the lists that the group was in may still look at it. */
static void group_free_rcu(struct rcu_head *head)
{
	struct nsr_group *g = container_of(head, struct nsr_group, rcu);
	struct nsr_rule *rule, *next;

	list_for_each_entry_safe(rule, next, &g->rules, node)
		kfree(rule);
	kfree(rcu_dereference_protected(g->cfg, 1));
	exempt_clear(g);
	mutex_destroy(&g->ctl);
	kfree(g);
}

static void group_release(struct kref *ref)
{
	struct nsr_group *g = container_of(ref, struct nsr_group, ref);

	call_rcu(&g->rcu, group_free_rcu);
}

void nsr_group_put(struct nsr_group *g)
{
	kref_put(&g->ref, group_release);
}

/**
 * nsr_group_recount() - updates what lets the packet path pass quickly
 * @ns: namespace
 *
 * Context: any, no group's role_lock held.
 */
void nsr_group_recount(struct nsr_net *ns)
{
	struct nsr_group *g;
	bool busy = false;

	spin_lock_bh(&ns->quick_lock);
	rcu_read_lock();
	list_for_each_entry_rcu(g, &ns->groups, node)
		busy |= !nsr_group_is_active(g) || !READ_ONCE(g->settled) || READ_ONCE(g->frozen);
	rcu_read_unlock();
	WRITE_ONCE(ns->ingress_busy, busy);
	spin_unlock_bh(&ns->quick_lock);
}

/* Are the links of two groups in one routing domain? */
static bool same_vrf(struct nsr_net *ns, const struct nsr_group_cfg *a, const struct nsr_group_cfg *b)
{
	bool same;

	rcu_read_lock();
	same = nsr_device_vrf(ns->net, a) == nsr_device_vrf(ns->net, b);
	rcu_read_unlock();
	return same;
}

/* Is the address of number @i of @cfg one of @other's, of the same link or routing domain, or of any? */
static bool addr_clashes(struct nsr_net *ns, const struct nsr_group_cfg *cfg, unsigned int i,
			 const struct nsr_group_cfg *other)
{
	if (!nsr_cfg_has_addr(other, cfg->addrs[i].family, &cfg->addrs[i].addr))
		return false;
	if (nsr_is_link_local(cfg->addrs[i].family, &cfg->addrs[i].addr))
		return cfg->ifindex == other->ifindex;
	return same_vrf(ns, cfg, other);
}

/* Link-local addresses are told apart by their link. */
static void recount_shared(struct nsr_net *ns)
{
	const struct nsr_group_cfg *a, *b;
	struct nsr_group *g, *h;
	bool shared = false;
	unsigned int i;

	list_for_each_entry(g, &ns->groups, node) {
		a = rcu_dereference_protected(g->cfg, lockdep_is_held(&ns->lock));
		list_for_each_entry(h, &ns->groups, node) {
			b = rcu_dereference_protected(h->cfg, lockdep_is_held(&ns->lock));
			for (i = 0; g != h && i < a->nr_addrs; i++)
				shared |= !nsr_is_link_local(a->addrs[i].family, &a->addrs[i].addr) &&
					  nsr_cfg_has_addr(b, a->addrs[i].family, &a->addrs[i].addr);
		}
	}
	WRITE_ONCE(ns->shared_addrs, shared);
}

/**
 * nsr_group_warn_shared() - tells of addresses that two groups have in one routing domain
 * @ns: namespace; @ns->lock held
 *
 * GROUP_SET refuses that, but a device may be enslaved to a VRF, or let go, at any time.
 */
void nsr_group_warn_shared(struct nsr_net *ns)
{
	const struct nsr_group_cfg *a, *b;
	struct nsr_group *g, *h;
	unsigned int i;

	lockdep_assert_held(&ns->lock);
	list_for_each_entry(g, &ns->groups, node) {
		a = rcu_dereference_protected(g->cfg, lockdep_is_held(&ns->lock));
		h = g;
		list_for_each_entry_continue(h, &ns->groups, node) {
			b = rcu_dereference_protected(h->cfg, lockdep_is_held(&ns->lock));
			for (i = 0; i < a->nr_addrs && !addr_clashes(ns, a, i, b); i++)
				;
			if (i == a->nr_addrs)
				continue;
			if (a->addrs[i].family == AF_INET)
				pr_warn_ratelimited("tcp_nsr: groups %u and %u both have %pI4 in one VRF now: connections go to the first\n",
						    g->id, h->id, &a->addrs[i].addr.ip);
			else
				pr_warn_ratelimited("tcp_nsr: groups %u and %u both have %pI6c in one VRF now: connections go to the first\n",
						    g->id, h->id, &a->addrs[i].addr.ip6);
		}
	}
}

/* Does an address or the MAC of @cfg belong to another group than @self? */
static int cfg_check_free(struct nsr_net *ns, const struct nsr_group *self,
			  const struct nsr_group_cfg *cfg, struct netlink_ext_ack *extack)
{
	const struct nsr_group_cfg *other;
	struct nsr_group *g;
	unsigned int i;

	list_for_each_entry(g, &ns->groups, node) {
		if (g == self)
			continue;
		other = rcu_dereference_protected(g->cfg, lockdep_is_held(&ns->lock));
		if (cfg->has_mac && other->has_mac && cfg->ifindex == other->ifindex &&
		    ether_addr_equal(cfg->mac, other->mac)) {
			NSR_SET_ERR_MSG_FMT(extack,
					    "MAC: another group has this MAC on the same interface",
					    "MAC: group %u has this MAC on the same interface",
					    g->id);
			return -EBUSY;
		}
		for (i = 0; i < cfg->nr_addrs; i++) {
			if (!addr_clashes(ns, cfg, i, other))
				continue;
			NSR_SET_ERR_MSG_FMT(extack, "ADDRS: another group has one of these addresses",
					    "ADDRS: group %u has address number %u of this list",
					    g->id, i + 1);
			return -EBUSY;
		}
	}
	return 0;
}

/**
 * nsr_cfg_has_addr() - is this an address of the group?
 * @cfg: configuration
 * @family: AF_INET or AF_INET6
 * @addr: 4 or 16 bytes, any alignment
 */
bool nsr_cfg_has_addr(const struct nsr_group_cfg *cfg, u8 family, const void *addr)
{
	unsigned int i;

	for (i = 0; i < cfg->nr_addrs; i++)
		if (cfg->addrs[i].family == family &&
		    !memcmp(&cfg->addrs[i].addr, addr, addr_len(family)))
			return true;
	return false;
}

static struct nsr_group *group_alloc(struct nsr_net *ns, u32 id)
{
	struct nsr_group *g = kzalloc(sizeof(*g), GFP_KERNEL);

	if (!g)
		return NULL;
	kref_init(&g->ref);
	g->ns = ns;
	g->id = id;
	INIT_LIST_HEAD(&g->rules);
	mutex_init(&g->ctl);
	spin_lock_init(&g->role_lock);
	spin_lock_init(&g->exempt_lock);
	INIT_LIST_HEAD(&g->exempt);
	INIT_DELAYED_WORK(&g->probe_work, nsr_probe_work);
	nsr_role_init(g);
	return g;
}

/**
 * nsr_group_set() - creates a group, or replaces its configuration
 * @ns: namespace; rtnl and @ns->lock held
 * @id: group id
 * @cfg: new configuration, taken over in case of success
 * @extack: what is refused, and why
 *
 * Return: 0; -EBUSY: address or MAC of another group; -ENODEV; -ENOMEM.
 */
int nsr_group_set(struct nsr_net *ns, u32 id, struct nsr_group_cfg *cfg,
		  struct netlink_ext_ack *extack)
{
	struct nsr_group *g = nsr_group_find(ns, id);
	struct nsr_group_cfg *old;
	bool fresh = !g;
	int err;

	ASSERT_RTNL();
	err = cfg_check_free(ns, g, cfg, extack);
	if (err)
		return err;
	if (fresh) {
		g = group_alloc(ns, id);
		if (!g)
			return -ENOMEM;
		if (list_empty(&ns->groups)) {
			err = nsr_ingress_init(ns);
			if (err) {
				NL_SET_ERR_MSG(extack, "tcp_nsr: cannot register the netfilter hooks");
				goto err_free;
			}
		}
	}
	old = rcu_dereference_protected(g->cfg, lockdep_is_held(&ns->lock));
	rcu_assign_pointer(g->cfg, cfg);
	err = nsr_egress_attach(g);
	if (err) {
		NL_SET_ERR_MSG(extack, "tcp_nsr: IFINDEX: cannot put the egress fence on this device");
		goto err_cfg;
	}
	if (fresh)
		list_add_tail_rcu(&g->node, &ns->groups);
	recount_shared(ns);
	nsr_group_recount(ns);
	if (old)
		kfree_rcu(old, rcu);
	nsr_cursor_kick(ns);
	return 0;

err_cfg:
	/* The old fence is where it was. */
	rcu_assign_pointer(g->cfg, old);
	if (!fresh) {
		synchronize_rcu();
		return err;
	}
	if (list_empty(&ns->groups))
		nsr_ingress_exit(ns);
err_free:
	nsr_group_put(g);
	return err;
}

/**
 * nsr_group_flush() - protected connections become ordinary, shadows are closed silently
 * @ns: namespace
 * @g: group, or NULL for all
 *
 * Context: process; no socket lock held.
 */
void nsr_group_flush(struct nsr_net *ns, const struct nsr_group *g)
{
	struct nsr_conn *conn = NULL;
	u64 serial = 0;

	might_sleep();
	while ((conn = nsr_conn_next(ns, conn, &serial))) {
		if (!g || conn->group == g)
			nsr_conn_retire(conn);
		cond_resched();
	}
}

static void group_destroy(struct nsr_group *g)
{
	struct nsr_net *ns = g->ns;

	lockdep_assert_held(&ns->lock);
	nsr_role_mute(g, false);
	/*
	 * conn_lock: after this, nothing enters the table for the group. role_lock: whoever queues a
	 * work item of the group looks and queues under it, and is seen by what cancels them below.
	 */
	spin_lock_bh(&g->role_lock);
	spin_lock(&ns->conn_lock);
	WRITE_ONCE(g->dead, true);
	spin_unlock(&ns->conn_lock);
	spin_unlock_bh(&g->role_lock);
	list_del_rcu(&g->node);
	recount_shared(ns);
	nsr_group_flush(ns, g);
	/* From here on nothing keeps the group mute: its connections are ordinary again. */
	nsr_egress_detach(g);
	nsr_role_exit(g);
	nsr_probe_stop(g);
	cancel_delayed_work_sync(&g->probe_work);
	nsr_group_put(g);
	nsr_group_recount(ns);
	if (list_empty(&ns->groups))
		nsr_ingress_exit(ns);
}

/**
 * nsr_group_del() - deletes a group
 * @ns: namespace; rtnl and @ns->lock held
 * @id: group id
 * @flush: also if it has connections or shadows
 * @extack: what is refused, and why
 *
 * Return: 0; -ENOENT; -EBUSY: it has connections and @flush is false.
 */
int nsr_group_del(struct nsr_net *ns, u32 id, bool flush, struct netlink_ext_ack *extack)
{
	struct nsr_group *g = nsr_group_find(ns, id);
	int n;

	if (!g) {
		NL_SET_ERR_MSG(extack, "tcp_nsr: GROUP_ID: no such group");
		return -ENOENT;
	}
	n = atomic_read(&g->nr_conns);
	if (n && !flush) {
		NSR_SET_ERR_MSG_FMT(extack, "the group has connections or shadows: give FLUSH",
				    "the group has %d connections or shadows: give FLUSH", n);
		return -EBUSY;
	}
	group_destroy(g);
	return 0;
}

void nsr_group_destroy_all(struct nsr_net *ns)
{
	struct nsr_group *g, *next;

	rtnl_lock();
	mutex_lock(&ns->lock);
	list_for_each_entry_safe(g, next, &ns->groups, node)
		group_destroy(g);
	mutex_unlock(&ns->lock);
	rtnl_unlock();
}

/**
 * nsr_rule_set() - adds a rule, or replaces the one with its id
 * @g: group; ns->lock held
 * @rule: taken over in case of success
 * @extack: what is refused, and why
 *
 * Return: 0, or -ENOSPC.
 */
int nsr_rule_set(struct nsr_group *g, struct nsr_rule *rule, struct netlink_ext_ack *extack)
{
	struct nsr_rule *pos;
	unsigned int n = 0;

	lockdep_assert_held(&g->ns->lock);
	list_for_each_entry(pos, &g->rules, node) {
		if (pos->id == rule->id) {
			list_replace_rcu(&pos->node, &rule->node);
			kfree_rcu(pos, rcu);
			return 0;
		}
		n++;
	}
	if (n >= TCP_NSR_MAX_RULES) {
		NSR_SET_ERR_MSG_FMT(extack, "the group has as many rules as it can have",
				    "the group has %u rules already, the most it can have", n);
		return -ENOSPC;
	}
	list_for_each_entry(pos, &g->rules, node)
		if (pos->id > rule->id)
			break;
	list_add_tail_rcu(&rule->node, &pos->node);
	return 0;
}

int nsr_rule_del(struct nsr_group *g, u32 id, struct netlink_ext_ack *extack)
{
	struct nsr_rule *rule;

	lockdep_assert_held(&g->ns->lock);
	list_for_each_entry(rule, &g->rules, node) {
		if (rule->id != id)
			continue;
		list_del_rcu(&rule->node);
		kfree_rcu(rule, rcu);
		return 0;
	}
	NL_SET_ERR_MSG(extack, "tcp_nsr: RULE_ID: the group has no such rule");
	return -ENOENT;
}

static bool prefix_equal(u8 family, const void *a, const void *b, unsigned int bits)
{
	const u8 *p = a, *q = b;
	unsigned int whole = min_t(unsigned int, bits, addr_len(family) * 8) / 8;

	if (memcmp(p, q, whole))
		return false;
	bits = min_t(unsigned int, bits, addr_len(family) * 8) % 8;
	return !bits || !((p[whole] ^ q[whole]) >> (8 - bits));
}

/* A link-local address is another one on every link: the group's is that of its service interface. */
static bool on_link(struct net *net, const struct nsr_group_cfg *cfg, const struct nsr_tuple *t)
{
	return !nsr_is_link_local(t->family, t->laddr) || !cfg->ifindex ||
	       nsr_device_is_link(net, cfg, t->ifindex) || nsr_device_is_link(net, cfg, t->ifindex2);
}

/* The same address in another VRF is another one. A group without an interface has it wherever it is routed to. */
static bool in_domain(struct net *net, const struct nsr_group_cfg *cfg, const struct nsr_tuple *t)
{
	return !cfg->ifindex || nsr_device_vrf(net, cfg) == t->vrf;
}

static bool rule_matches(const struct nsr_rule *rule, const struct nsr_group_cfg *cfg,
			 const struct nsr_tuple *t)
{
	if (rule->family && rule->family != t->family)
		return false;
	if (rule->lport && rule->lport != t->lport)
		return false;
	if (rule->rport && rule->rport != t->rport)
		return false;
	if (rule->ifindex && rule->ifindex != t->ifindex && rule->ifindex != t->ifindex2)
		return false;
	if (rule->has_laddr ? memcmp(&rule->laddr, t->laddr, addr_len(t->family)) :
			      !nsr_cfg_has_addr(cfg, t->family, t->laddr))
		return false;
	return prefix_equal(t->family, &rule->raddr, t->raddr, rule->raddr_len);
}

static const struct nsr_rule *first_match(struct nsr_group *g, const struct nsr_group_cfg *cfg,
					  const struct nsr_tuple *t)
{
	const struct nsr_rule *rule;

	list_for_each_entry_rcu(rule, &g->rules, node)
		if (rule_matches(rule, cfg, t))
			return rule;
	return NULL;
}

/**
 * nsr_rule_match_tuple_rcu() - which rule protects this connection?
 * @ns: namespace
 * @t: the connection
 * @group: set to the group of the answer
 *
 * Groups whose service interface is in the connection's VRF (in none, if it is in none) are asked, and if none of them
 * has the address, those without an interface. The lowest rule id of the group wins. Under RCU.
 */
const struct nsr_rule *nsr_rule_match_tuple_rcu(struct nsr_net *ns, const struct nsr_tuple *t,
						struct nsr_group **group)
{
	const struct nsr_rule *rule, *found = NULL;
	const struct nsr_group_cfg *cfg;
	struct nsr_group *g;
	bool owned = false;

	list_for_each_entry_rcu(g, &ns->groups, node) {
		cfg = rcu_dereference(g->cfg);
		if (!in_domain(ns->net, cfg, t) || !on_link(ns->net, cfg, t))
			continue;
		owned |= cfg->ifindex && nsr_cfg_has_addr(cfg, t->family, t->laddr);
		rule = first_match(g, cfg, t);
		if (rule && cfg->ifindex) {
			*group = g;
			return rule;
		}
		if (rule && !found) {
			*group = g;
			found = rule;
		}
	}
	return owned ? NULL : found;
}

/**
 * nsr_group_exempt_add() - lets the far end of a connection that was reset for a gap learn of it
 * @g: group
 * @rec: the connection
 * @ifindex: device that its socket is bound to, or 0: the same addresses behind another one are another connection
 *
 * Its segments find no socket and are answered with a reset, drop-not-reset or not, until the group
 * is settled. Best effort: without memory the far end learns later.
 */
void nsr_group_exempt_add(struct nsr_group *g, const struct nsr_record *rec, int ifindex)
{
	struct exempt *e = kmalloc(sizeof(*e), GFP_ATOMIC);

	if (!e)
		return;
	e->family = rec->family;
	e->laddr = rec->laddr;
	e->raddr = rec->raddr;
	e->lport = rec->lport;
	e->rport = rec->rport;
	e->ifindex = ifindex;
	spin_lock_bh(&g->exempt_lock);
	if (g->nr_exempt < EXEMPT_MAX) {
		list_add(&e->node, &g->exempt);
		g->nr_exempt++;
		e = NULL;
	}
	spin_unlock_bh(&g->exempt_lock);
	kfree(e);
}

bool nsr_group_is_exempt(struct nsr_group *g, const struct nsr_tuple *t)
{
	bool found = false;
	struct exempt *e;

	if (!READ_ONCE(g->nr_exempt))
		return false;
	spin_lock_bh(&g->exempt_lock);
	list_for_each_entry(e, &g->exempt, node) {
		if (e->family != t->family || e->lport != t->lport || e->rport != t->rport ||
		    (e->ifindex && e->ifindex != t->ifindex && e->ifindex != t->ifindex2) ||
		    memcmp(&e->laddr, t->laddr, addr_len(t->family)) ||
		    memcmp(&e->raddr, t->raddr, addr_len(t->family)))
			continue;
		found = true;
		break;
	}
	spin_unlock_bh(&g->exempt_lock);
	return found;
}

void nsr_group_exempt_clear(struct nsr_group *g)
{
	if (READ_ONCE(g->nr_exempt))
		exempt_clear(g);
}
