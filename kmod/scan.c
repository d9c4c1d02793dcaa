// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: walks over all TCP sockets of a namespace: to pick up connections that are older than their
 * protection (established before the rule, the role or the module was there), and to destroy what a
 * demoted group has.
 *
 * The first never waits for a socket that its application has locked, perhaps for long: such a socket
 * has the scan run again, with the next turn of the cursor work.
 */
#include "nsr.h"

#define BATCH	32

static bool protect(struct nsr_net *ns, struct sock *sk, void *unused)
{
	struct nsr_conn *conn;

	if (!sk_fullsock(sk))
		return true;
	local_bh_disable();
	bh_lock_sock(sk);
	if (sock_owned_by_user(sk)) {
		/* One that is in the table may be busy as long as it likes. */
		conn = nsr_conn_find_sk(ns, sk);
		if (conn)
			nsr_conn_put(conn);
		else
			WRITE_ONCE(ns->scan_again, true);
	} else {
		nsr_track_adopt(ns, sk);
	}
	bh_unlock_sock(sk);
	local_bh_enable();
	return true;
}

/* References to sockets of a hash bucket, from number @skip on. */
static unsigned int collect(struct nsr_net *ns, struct inet_hashinfo *hashinfo, unsigned int slot,
			    unsigned int states, unsigned int skip, struct sock **batch)
{
	spinlock_t *lock = inet_ehash_lockp(hashinfo, slot);
	struct hlist_nulls_node *node;
	unsigned int num = 0, n = 0;
	struct sock *sk;

	spin_lock_bh(lock);
	sk_nulls_for_each(sk, node, &hashinfo->ehash[slot].chain) {
		if (!net_eq(sock_net(sk), ns->net) ||
		    !((1 << sk->sk_state) & states))
			continue;
		if (num++ < skip || !refcount_inc_not_zero(&sk->sk_refcnt))
			continue;
		batch[n++] = sk;
		if (n == BATCH)
			break;
	}
	spin_unlock_bh(lock);
	return n;
}

/*
 * Calls @visit, softirqs on, for each socket of the namespace in one of @states. It says whether the
 * socket is still where it was.
 */
static void for_each_socket(struct nsr_net *ns, unsigned int states,
			    bool (*visit)(struct nsr_net *ns, struct sock *sk, void *arg), void *arg)
{
	struct inet_hashinfo *hashinfo = ns->net->ipv4.tcp_death_row.hashinfo;
	unsigned int slot, skip, n, i;
	struct sock *batch[BATCH];

	might_sleep();
	for (slot = 0; slot <= hashinfo->ehash_mask; slot++) {
		if (!(slot & 0xfff))
			cond_resched();
		if (hlist_nulls_empty(&hashinfo->ehash[slot].chain))
			continue;
		skip = 0;
		do {
			n = collect(ns, hashinfo, slot, states, skip, batch);
			for (i = 0; i < n; i++) {
				skip += visit(ns, batch[i], arg);
				sock_gen_put(batch[i]);
			}
			cond_resched();
		} while (n == BATCH);
	}
}

/**
 * nsr_scan_now() - protects every established connection of the namespace that a rule of an active
 * group matches
 * @ns: namespace
 *
 * Context: process.
 */
void nsr_scan_now(struct nsr_net *ns)
{
	for_each_socket(ns, TCPF_ESTABLISHED | TCPF_CLOSE_WAIT, protect, NULL);
}

static bool destroy(struct nsr_net *ns, struct sock *sk, void *group)
{
	struct nsr_conn *conn;
	bool shadow = false;

	if (!nsr_track_belongs(ns, sk, group))
		return true;
	if (!sk_fullsock(sk)) {
		tcp_abort(sk, ECONNABORTED);
		return false;
	}
	conn = nsr_conn_find_sk(ns, sk);
	if (conn) {
		shadow = READ_ONCE(conn->phase) == TCP_NSR_PHASE_SHADOW;
		nsr_conn_put(conn);
	}
	if (shadow)
		return true;
	nsr_silent_destroy(sk, ECONNABORTED);
	return false;
}

/**
 * nsr_scan_destroy() - destroys the group's sockets silently, but for its shadows
 * @g: group, mute
 *
 * Also those that are being closed: an orphan repeats its FIN for minutes, and the group may speak
 * again before. Two ways in, since a rule may be gone whose connections are not.
 *
 * Context: process.
 */
void nsr_scan_destroy(struct nsr_group *g)
{
	struct nsr_net *ns = g->ns;
	struct nsr_conn *conn = NULL;
	u64 serial = 0;

	while ((conn = nsr_conn_next(ns, conn, &serial))) {
		if (conn->group != g || READ_ONCE(conn->phase) == TCP_NSR_PHASE_SHADOW)
			continue;
		conn->close_cause = TCP_NSR_CLOSE_ADMIN;
		if (READ_ONCE(conn->phase) == TCP_NSR_PHASE_PROVISIONAL)
			nsr_shadow_destroy(conn);
		else
			nsr_silent_destroy(conn->sk, ECONNABORTED);
		nsr_conn_end(conn);
	}
	for_each_socket(ns, ~(TCPF_CLOSE | TCPF_LISTEN), destroy, g);
}

static void scan_work(struct work_struct *work)
{
	nsr_scan_now(container_of(work, struct nsr_net, scan_work));
}

void nsr_scan_init(struct nsr_net *ns)
{
	INIT_WORK(&ns->scan_work, scan_work);
}

void nsr_scan_exit(struct nsr_net *ns)
{
	cancel_work_sync(&ns->scan_work);
}

void nsr_scan_start(struct nsr_net *ns)
{
	queue_work(system_unbound_wq, &ns->scan_work);
}
