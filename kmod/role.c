// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: a group's role and lease.
 *
 * The right to emit is (role ACTIVE, boot time before lease_until), read when a frame leaves. Boot
 * time, because it counts through a suspend and jumps forward after a pause: a zombie is mute at its
 * first frame. No timer takes part in it; the lapse work only tells.
 *
 * Each change is one critical section of role_lock and raises the generation, which every request
 * must name: a queued promotion cannot win over a later demotion (rule generation). What follows from a role (probes,
 * scan) is done after, by nsr_role_apply(), which looks at the role that stands then.
 */
#include <linux/ktime.h>

#include "nsr.h"
#include "trace.h"

/* The lapse is told this late at most if the clock jumped while the work slept. */
#define LAPSE_POLL	HZ

bool nsr_group_is_active(const struct nsr_group *g)
{
	return READ_ONCE(g->role) == TCP_NSR_ROLE_ACTIVE;
}

bool nsr_group_may_emit(const struct nsr_group *g)
{
	/* Acquire: the lease that belongs to this role, or a later one. */
	return smp_load_acquire(&g->role) == TCP_NSR_ROLE_ACTIVE &&
	       ktime_get_boottime_ns() < READ_ONCE(g->lease_until);
}

static unsigned long delay_until(u64 until, u64 now)
{
	if (until <= now)
		return 0;
	return min_t(u64, nsecs_to_jiffies64(until - now) + 1, LAPSE_POLL);
}

static bool lapsed(const struct nsr_group *g, u64 now)
{
	return g->role == TCP_NSR_ROLE_ACTIVE && now >= g->lease_until;
}

/* role_lock held */
static void report_lapse(struct nsr_group *g)
{
	lockdep_assert_held(&g->role_lock);
	if (g->lapse_reported)
		return;
	g->lapse_reported = true;
	nsr_stat_inc(g, TCP_NSR_A_STAT_LEASE_LAPSES);
	nsr_event_group(g, TCP_NSR_GROUP_LAPSED);
}

static void lapse_work(struct work_struct *work)
{
	struct nsr_group *g = container_of(work, struct nsr_group, lapse_work.work);
	u64 now = ktime_get_boottime_ns();
	unsigned long delay = 0;

	spin_lock_bh(&g->role_lock);
	if (lapsed(g, now))
		report_lapse(g);
	else if (g->role == TCP_NSR_ROLE_ACTIVE)
		delay = delay_until(g->lease_until, now);
	spin_unlock_bh(&g->role_lock);
	if (delay && !READ_ONCE(g->dead))
		queue_delayed_work(system_power_efficient_wq, &g->lapse_work, delay);
}

/**
 * nsr_group_check_settled() - ends drop-not-reset if every shadow is resumed, closed or reset, or if
 * its time is over
 * @g: group
 *
 * Context: any; no role_lock held. Told once per reign.
 */
void nsr_group_check_settled(struct nsr_group *g)
{
	bool now_settled = false;

	spin_lock_bh(&g->role_lock);
	if (g->role == TCP_NSR_ROLE_ACTIVE && !g->settled &&
	    (!atomic_read(&g->nr_unsettled) || ktime_get_boottime_ns() >= g->settle_until)) {
		WRITE_ONCE(g->settled, true);
		now_settled = true;
		nsr_event_group(g, TCP_NSR_GROUP_SETTLED);
	}
	spin_unlock_bh(&g->role_lock);
	if (now_settled) {
		nsr_group_exempt_clear(g);
		nsr_group_recount(g->ns);
	}
}

static void settle_work(struct work_struct *work)
{
	struct nsr_group *g = container_of(work, struct nsr_group, settle_work.work);
	unsigned long delay = 0;
	u64 now;

	nsr_group_check_settled(g);
	spin_lock_bh(&g->role_lock);
	now = ktime_get_boottime_ns();
	if (g->role == TCP_NSR_ROLE_ACTIVE && !g->settled)
		delay = delay_until(g->settle_until, now) ?: 1;
	spin_unlock_bh(&g->role_lock);
	if (delay && !READ_ONCE(g->dead))
		queue_delayed_work(system_power_efficient_wq, &g->settle_work, delay);
}

/**
 * nsr_role_apply() - does what follows from the role that the group has now
 * @g: group
 *
 * Context: process.
 */
void nsr_role_apply(struct nsr_group *g)
{
	mutex_lock(&g->ctl);
	if (READ_ONCE(g->dead)) {
		mutex_unlock(&g->ctl);
		return;
	}
	if (nsr_group_is_active(g)) {
		nsr_probe_start(g);
		queue_delayed_work(system_power_efficient_wq, &g->lapse_work, 0);
		queue_delayed_work(system_power_efficient_wq, &g->settle_work, 0);
		nsr_scan_start(g->ns);
	} else {
		nsr_probe_stop(g);
	}
	mutex_unlock(&g->ctl);
}

static void role_work(struct work_struct *work)
{
	nsr_role_apply(container_of(work, struct nsr_group, role_work));
}

void nsr_role_init(struct nsr_group *g)
{
	g->role = TCP_NSR_ROLE_STANDBY;
	g->generation = 1;
	INIT_DELAYED_WORK(&g->lapse_work, lapse_work);
	INIT_DELAYED_WORK(&g->settle_work, settle_work);
	INIT_WORK(&g->role_work, role_work);
}

/* The group is dead: nothing queues these any more. */
void nsr_role_exit(struct nsr_group *g)
{
	cancel_work_sync(&g->role_work);
	cancel_delayed_work_sync(&g->lapse_work);
	cancel_delayed_work_sync(&g->settle_work);
	mutex_lock(&g->ctl);	/* a request that looked before the group was dead */
	mutex_unlock(&g->ctl);
	cancel_delayed_work_sync(&g->lapse_work);
	cancel_delayed_work_sync(&g->settle_work);
}

static int check_generation(const struct nsr_group *g, u32 generation,
			    struct netlink_ext_ack *extack)
{
	if (g->generation == generation)
		return 0;
	NSR_SET_ERR_MSG_FMT(extack, "GENERATION: the role has changed since: read it again",
			    "GENERATION is %u, the role has changed since: read it again",
			    g->generation);
	return -ESTALE;
}

static int role_check(const struct nsr_group *g, const struct nsr_role_req *req, u64 now,
		      struct netlink_ext_ack *extack)
{
	int err = check_generation(g, req->generation, extack);

	if (err)
		return err;
	if (req->term < g->term) {
		NSR_SET_ERR_MSG_FMT(extack, "TERM is lower than the group's",
				    "TERM is lower than the group's, %llu", g->term);
		return -EINVAL;
	}
	if (req->role == TCP_NSR_ROLE_ACTIVE && req->lease_until <= now) {
		NL_SET_ERR_MSG(extack, "tcp_nsr: LEASE_UNTIL is past: decide anew");
		return -ETIME;
	}
	return 0;
}

/**
 * nsr_role_set() - compare-and-set of role, term and lease
 * @g: group
 * @req: what is asked; its generation becomes the new one
 * @extack: what is refused, and why
 *
 * Context: process.
 * Return: 0; -ENOENT: deleted meanwhile; -ESTALE: other generation; -ETIME: lease is past; -EINVAL:
 * term lower than the group's.
 */
int nsr_role_set(struct nsr_group *g, struct nsr_role_req *req, struct netlink_ext_ack *extack)
{
	const struct nsr_group_cfg *cfg;
	bool new_reign = false;
	u64 now;
	int err;

	spin_lock_bh(&g->role_lock);
	now = ktime_get_boottime_ns();
	err = READ_ONCE(g->dead) ? -ENOENT : role_check(g, req, now, extack);
	if (err) {
		spin_unlock_bh(&g->role_lock);
		return err;
	}
	g->term = req->term;
	g->term_owner = req->term_owner;
	if (req->role == TCP_NSR_ROLE_ACTIVE) {
		if (g->role != TCP_NSR_ROLE_ACTIVE || lapsed(g, now)) {
			rcu_read_lock();
			cfg = rcu_dereference(g->cfg);
			WRITE_ONCE(g->active_since, now);
			g->settle_until = now + (u64)cfg->settle_ms * NSEC_PER_MSEC;
			rcu_read_unlock();
			WRITE_ONCE(g->settled, false);
			WRITE_ONCE(g->frozen, false);
			g->lapse_reported = false;
			new_reign = true;
		}
		WRITE_ONCE(g->lease_until, req->lease_until);
	} else {
		/* Before the role: its segments must not meet a listener that answers. */
		WRITE_ONCE(g->ns->ingress_busy, true);
	}
	/* Release: who sees the role sees its lease. */
	smp_store_release(&g->role, req->role);
	req->generation = ++g->generation;
	nsr_event_group(g, TCP_NSR_GROUP_ROLE);
	trace_nsr_role(g);
	spin_unlock_bh(&g->role_lock);

	/* Those that were to be reset in an earlier reign are shadows again. */
	if (new_reign)
		nsr_group_exempt_clear(g);
	nsr_group_recount(g->ns);
	nsr_group_check_settled(g);
	nsr_role_apply(g);
	return 0;
}

/* Leaves what follows from a role to a work item; role_lock held, so that group_destroy() cancels it. */
static void apply_later(struct nsr_group *g)
{
	lockdep_assert_held(&g->role_lock);
	if (!READ_ONCE(g->dead))
		schedule_work(&g->role_work);
}

static u32 turn_mute(struct nsr_group *g, u8 reason)
{
	lockdep_assert_held(&g->role_lock);
	/* Before the role: its segments must not meet a listener that answers. */
	WRITE_ONCE(g->ns->ingress_busy, true);
	smp_store_release(&g->role, TCP_NSR_ROLE_STANDBY);
	g->generation++;
	nsr_event_group(g, reason);
	trace_nsr_role(g);
	return g->generation;
}

/**
 * nsr_role_app_died() - an application died with a protected connection
 * @g: group
 *
 * If the group is to be mute then, it is from this instant on: the FIN or RST of the dead socket is
 * not sent, and the standby takes over. Not while the gates are open: nobody could.
 */
void nsr_role_app_died(struct nsr_group *g)
{
	const struct nsr_group_cfg *cfg;
	bool muted = false;

	rcu_read_lock();
	cfg = rcu_dereference(g->cfg);
	spin_lock_bh(&g->role_lock);
	if (cfg->mute_on_death && g->role == TCP_NSR_ROLE_ACTIVE && !g->gates_open) {
		turn_mute(g, TCP_NSR_GROUP_DEATH);
		apply_later(g);
		muted = true;
	}
	spin_unlock_bh(&g->role_lock);
	rcu_read_unlock();
	if (muted)
		nsr_group_recount(g->ns);
}

/**
 * nsr_role_mute() - the group is mute from the very next frame on
 * @g: group
 * @defer: called from softirq or with a lock held: what follows is left to a work item
 *
 * Return: the new generation.
 */
u32 nsr_role_mute(struct nsr_group *g, bool defer)
{
	u32 generation;

	spin_lock_bh(&g->role_lock);
	generation = turn_mute(g, TCP_NSR_GROUP_ROLE);
	if (defer)
		apply_later(g);
	spin_unlock_bh(&g->role_lock);

	nsr_group_recount(g->ns);
	if (!defer)
		nsr_role_apply(g);
	return generation;
}

/**
 * nsr_lease_set() - renews the lease
 * @g: group
 * @until: its new end, boot time in ns
 * @generation: as last answered
 * @extack: what is refused, and why
 *
 * Return: 0; -ESTALE: other generation; -EPERM: mute; -ETIME: the lease has lapsed, or @until is past.
 */
int nsr_lease_set(struct nsr_group *g, u64 until, u32 generation, struct netlink_ext_ack *extack)
{
	u64 now;
	int err;

	spin_lock_bh(&g->role_lock);
	now = ktime_get_boottime_ns();
	err = check_generation(g, generation, extack);
	if (err)
		goto out;
	if (g->role != TCP_NSR_ROLE_ACTIVE) {
		NL_SET_ERR_MSG(extack, "tcp_nsr: the role is mute: a lease belongs to ROLE_SET");
		err = -EPERM;
	} else if (lapsed(g, now)) {
		NL_SET_ERR_MSG(extack, "tcp_nsr: the lease has lapsed: take the role anew");
		report_lapse(g);
		err = -ETIME;
	} else if (until <= now) {
		NL_SET_ERR_MSG(extack, "tcp_nsr: LEASE_UNTIL is past: decide anew");
		err = -ETIME;
	} else {
		WRITE_ONCE(g->lease_until, until);
	}
out:
	spin_unlock_bh(&g->role_lock);
	return err;
}

/**
 * nsr_role_freeze() - stops or lets in the inbound segments of protected connections
 * @g: group
 * @frozen: stop them
 */
void nsr_role_freeze(struct nsr_group *g, bool frozen)
{
	spin_lock_bh(&g->role_lock);
	WRITE_ONCE(g->frozen, frozen);
	if (frozen)
		WRITE_ONCE(g->ns->ingress_busy, true);
	spin_unlock_bh(&g->role_lock);
	nsr_group_recount(g->ns);
}
