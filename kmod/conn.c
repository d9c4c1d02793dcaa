// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: the table of protected connections and shadows.
 *
 * A connection is found by its id (netlink) and by its socket (tracepoint, ingress), both by RCU
 * hash, and is walked in order of birth (dumps, cursors): the list's order never changes, so that a
 * walk can drop every lock between two steps and go on.
 *
 * Who may hold a reference: the table; a walk or a command in progress; a shadow's ULP context.
 */
#include "nsr.h"

static const struct rhashtable_params by_id_params = {
	.key_len = sizeof(u64),
	.key_offset = offsetof(struct nsr_conn, rec.id),
	.head_offset = offsetof(struct nsr_conn, by_id_node),
	.automatic_shrinking = true,
};

static const struct rhashtable_params by_sk_params = {
	.key_len = sizeof(struct sock *),
	.key_offset = offsetof(struct nsr_conn, sk),
	.head_offset = offsetof(struct nsr_conn, by_sk_node),
	.automatic_shrinking = true,
};

int nsr_conn_net_init(struct nsr_net *ns)
{
	int err;

	INIT_LIST_HEAD(&ns->conns);
	spin_lock_init(&ns->conn_lock);
	ns->max_conns = 65536;
	ns->max_shadows = 65536;
	/* nl_dump_check_consistent() takes 0 for "not yet known" */
	ns->generation = 1;
	err = rhashtable_init(&ns->by_id, &by_id_params);
	if (err)
		return err;
	err = rhashtable_init(&ns->by_sk, &by_sk_params);
	if (err)
		rhashtable_destroy(&ns->by_id);
	return err;
}

void nsr_conn_net_exit(struct nsr_net *ns)
{
	WARN_ON(!list_empty(&ns->conns));
	rhashtable_destroy(&ns->by_sk);
	rhashtable_destroy(&ns->by_id);
}

/**
 * nsr_conn_create() - makes a connection that is in no table yet
 * @ns: namespace
 * @g: group; a reference is taken
 * @sk: socket; a reference is taken
 * @gfp: GFP_ATOMIC in softirq
 *
 * Return: the connection, with one reference for the caller, or NULL without memory.
 */
struct nsr_conn *nsr_conn_create(struct nsr_net *ns, struct nsr_group *g, struct sock *sk, gfp_t gfp)
{
	struct nsr_conn *conn = kzalloc(sizeof(*conn), gfp);

	if (!conn)
		return NULL;
	INIT_LIST_HEAD(&conn->node);
	kref_init(&conn->ref);
	conn->ns = ns;
	nsr_group_get(g);
	conn->group = g;
	sock_hold(sk);
	conn->sk = sk;
	nsr_gate_conn_init(conn);
	return conn;
}

static void conn_release(struct kref *ref)
{
	struct nsr_conn *conn = container_of(ref, struct nsr_conn, ref);

	sock_put(conn->sk);
	nsr_group_put(conn->group);
	kfree_rcu(conn, rcu);
}

void nsr_conn_get(struct nsr_conn *conn)
{
	kref_get(&conn->ref);
}

void nsr_conn_put(struct nsr_conn *conn)
{
	kref_put(&conn->ref, conn_release);
}

static bool is_shadow(u8 phase)
{
	return phase == TCP_NSR_PHASE_SHADOW || phase == TCP_NSR_PHASE_PROVISIONAL;
}

static void count(struct nsr_conn *conn, int n)
{
	if (is_shadow(conn->phase)) {
		conn->ns->nr_shadows += n;
		atomic_add(n, &conn->group->nr_unsettled);
	} else if (conn->phase == TCP_NSR_PHASE_REFUSED) {
		conn->ns->nr_refused += n;
		atomic_add(n, &conn->group->nr_refused);
	} else {
		conn->ns->nr_conns += n;
	}
}

/* Each kind has the cap for itself: what cannot be protected keeps nobody out that can. */
static bool is_full(const struct nsr_conn *conn)
{
	const struct nsr_net *ns = conn->ns;

	if (is_shadow(conn->phase))
		return ns->nr_shadows >= ns->max_shadows;
	return (conn->phase == TCP_NSR_PHASE_REFUSED ? ns->nr_refused : ns->nr_conns) >= ns->max_conns;
}

static int conn_insert(struct nsr_conn *conn)
{
	struct nsr_net *ns = conn->ns;
	int err;

	lockdep_assert_held(&ns->conn_lock);
	if (READ_ONCE(conn->group->dead))
		return -ENOENT;
	if (is_full(conn))
		return -ENOSPC;
	err = rhashtable_lookup_insert_fast(&ns->by_sk, &conn->by_sk_node, by_sk_params);
	if (err)
		return err;
	err = rhashtable_lookup_insert_fast(&ns->by_id, &conn->by_id_node, by_id_params);
	if (err) {
		rhashtable_remove_fast(&ns->by_sk, &conn->by_sk_node, by_sk_params);
		return err;
	}
	conn->serial = ++ns->next_serial;
	list_add_tail(&conn->node, &ns->conns);
	count(conn, 1);
	atomic_inc(&conn->group->nr_conns);
	WRITE_ONCE(ns->generation, ns->generation + 1 ?: 1);
	return 0;
}

/**
 * nsr_conn_publish() - puts a connection into the tables
 * @conn: filled in: id, phase, record
 *
 * The tables take a reference of their own, and one on the module.
 *
 * Context: any; the socket locked.
 * Return: 0; -EEXIST: the socket or the id is there already; -ENOSPC: cap reached; -ENOENT: the group
 * was deleted; -ENOMEM; -ESHUTDOWN: the module is going.
 */
int nsr_conn_publish(struct nsr_conn *conn)
{
	struct nsr_net *ns = conn->ns;
	int err;

	if (!try_module_get(THIS_MODULE))
		return -ESHUTDOWN;
	nsr_conn_get(conn);
	spin_lock_bh(&ns->conn_lock);
	err = conn_insert(conn);
	spin_unlock_bh(&ns->conn_lock);
	if (err) {
		nsr_conn_put(conn);
		module_put(THIS_MODULE);
		/* The hash refuses to grow without bound (-E2BIG) or at once (-EBUSY): no memory to us. */
		if (err == -E2BIG || err == -EBUSY)
			err = -ENOMEM;
	}
	return err;
}

/**
 * nsr_conn_unpublish() - takes a connection out of the tables
 * @conn: connection; the caller has a reference of its own
 *
 * Context: any.
 * Return: true if this call did it, false if it was out already or never in.
 */
bool nsr_conn_unpublish(struct nsr_conn *conn)
{
	struct nsr_net *ns = conn->ns;
	bool settle;

	spin_lock_bh(&ns->conn_lock);
	if (conn->dead || list_empty(&conn->node)) {
		spin_unlock_bh(&ns->conn_lock);
		return false;
	}
	WARN_ON_ONCE(conn->gate_ops);
	conn->dead = true;
	rhashtable_remove_fast(&ns->by_sk, &conn->by_sk_node, by_sk_params);
	rhashtable_remove_fast(&ns->by_id, &conn->by_id_node, by_id_params);
	list_del(&conn->node);
	settle = is_shadow(conn->phase);
	count(conn, -1);
	atomic_dec(&conn->group->nr_conns);
	WRITE_ONCE(ns->generation, ns->generation + 1 ?: 1);
	spin_unlock_bh(&ns->conn_lock);

	if (settle && !atomic_read(&conn->group->nr_unsettled))
		nsr_group_check_settled(conn->group);
	nsr_conn_put(conn);
	module_put(THIS_MODULE);
	return true;
}

/**
 * nsr_conn_end() - the connection is over, or no longer ours: out of the tables, and told
 * @conn: connection, close_cause decided; the caller has a reference of its own
 */
void nsr_conn_end(struct nsr_conn *conn)
{
	if (!nsr_conn_unpublish(conn))
		return;
	if (conn->phase != TCP_NSR_PHASE_REFUSED)
		nsr_stat_inc(conn->group, TCP_NSR_A_STAT_CONNS_CLOSED);
	nsr_event_conn_del(conn);
}

/**
 * nsr_conn_refuse() - a protected connection cannot be protected any more
 * @conn: protected or resumed connection; socket locked, by its spinlock alone or not
 * @why: enum tcp_nsr_refused
 *
 * It ends as a protected one, with the reason, and stays in the table as one that is refused. What its gate has held
 * back leaves: who has a gate that is closed tells the daemon first, see cursor.c.
 */
void nsr_conn_refuse(struct nsr_conn *conn, u8 why)
{
	if (READ_ONCE(conn->dead))
		return;
	nsr_stat_inc(conn->group, TCP_NSR_A_STAT_CONNS_LOST);
	conn->rec.refused = why;
	conn->close_cause = TCP_NSR_CLOSE_ADMIN;
	/* ORDER: told before anything leaves that the standby does not have. */
	nsr_event_conn_del(conn);
	nsr_gate_stop(conn, true);
	conn->close_cause = 0;
	if (nsr_conn_set_phase(conn, TCP_NSR_PHASE_REFUSED))
		nsr_event_conn_refused(conn);
}

/**
 * nsr_conn_set_phase() - changes a connection's phase, in the tables or not
 * @conn: connection; socket locked
 * @phase: enum tcp_nsr_phase
 *
 * Return: whether it is in the tables.
 */
bool nsr_conn_set_phase(struct nsr_conn *conn, u8 phase)
{
	struct nsr_net *ns = conn->ns;
	bool listed, settle = false;

	spin_lock_bh(&ns->conn_lock);
	listed = !conn->dead && !list_empty(&conn->node);
	if (listed)
		count(conn, -1);
	settle = listed && is_shadow(conn->phase) && !is_shadow(phase);
	WRITE_ONCE(conn->phase, phase);
	if (listed)
		count(conn, 1);
	spin_unlock_bh(&ns->conn_lock);

	if (settle && !atomic_read(&conn->group->nr_unsettled))
		nsr_group_check_settled(conn->group);
	return listed;
}

static struct nsr_conn *get_unless_gone(struct nsr_conn *conn)
{
	return conn && kref_get_unless_zero(&conn->ref) ? conn : NULL;
}

struct nsr_conn *nsr_conn_find_id(struct nsr_net *ns, u64 id)
{
	struct nsr_conn *conn;

	rcu_read_lock();
	conn = get_unless_gone(rhashtable_lookup(&ns->by_id, &id, by_id_params));
	rcu_read_unlock();
	return conn;
}

struct nsr_conn *nsr_conn_find_sk_rcu(struct nsr_net *ns, const struct sock *sk)
{
	return rhashtable_lookup(&ns->by_sk, &sk, by_sk_params);
}

struct nsr_conn *nsr_conn_find_sk(struct nsr_net *ns, const struct sock *sk)
{
	struct nsr_conn *conn;

	rcu_read_lock();
	conn = get_unless_gone(nsr_conn_find_sk_rcu(ns, sk));
	rcu_read_unlock();
	return conn;
}

/**
 * nsr_conn_next() - one step of a walk over all connections, in order of birth
 * @ns: namespace
 * @prev: where the walk stands, NULL at its start; its reference is taken over
 * @serial: the walk's place, 0 at its start: what is left of it if @prev leaves the table meanwhile
 *
 * Context: any; no lock is held between two steps.
 * Return: the next connection, with a reference for the caller, or NULL at the end.
 */
struct nsr_conn *nsr_conn_next(struct nsr_net *ns, struct nsr_conn *prev, u64 *serial)
{
	struct nsr_conn *conn = NULL;
	struct list_head *pos;

	spin_lock_bh(&ns->conn_lock);
	if (prev && !prev->dead) {
		pos = prev->node.next;
	} else {
		pos = ns->conns.next;
		while (pos != &ns->conns &&
		       list_entry(pos, struct nsr_conn, node)->serial <= *serial)
			pos = pos->next;
	}
	if (pos != &ns->conns) {
		conn = list_entry(pos, struct nsr_conn, node);
		nsr_conn_get(conn);
		*serial = conn->serial;
	}
	spin_unlock_bh(&ns->conn_lock);
	if (prev)
		nsr_conn_put(prev);
	return conn;
}

/**
 * nsr_conn_retire() - lets go of a connection by order: a shadow is closed silently, a protected one
 * becomes ordinary
 * @conn: connection; the caller has a reference of its own
 *
 * Context: process; no socket lock held.
 */
void nsr_conn_retire(struct nsr_conn *conn)
{
	might_sleep();
	conn->close_cause = TCP_NSR_CLOSE_ADMIN;
	if (is_shadow(READ_ONCE(conn->phase))) {
		nsr_shadow_destroy(conn);
	} else if (conn->rec.mode == TCP_NSR_MODE_LOSSLESS && conn->phase != TCP_NSR_PHASE_REFUSED) {
		lock_sock(conn->sk);
		nsr_gate_stop(conn, true);
		release_sock(conn->sk);
	}
	nsr_conn_end(conn);
}
