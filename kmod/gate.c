// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: the ACK gate of mode lossless: no ACK leaves for a byte that the standby does not hold
 * (rule ack-gate).
 *
 * A protected lossless socket has a copy of its icsk_af_ops with a queue_xmit() of ours: every segment
 * of the connection passes it, complete but for its IP header, with the socket locked. Nobody else
 * pays. There are few sets of operations in the kernel (IPv4, IPv6, v4-mapped): each gets one copy that
 * lives as long as the module, since setsockopt() reads the pointer without a lock.
 *
 * What may be told is C = max(gate, highest ACK that left): to repeat what was said costs nothing, and
 * an ACK far below it would have the far end drop our data. Documentation/lossless.md has the rules.
 *
 * What the stack believes. It has counted a held ACK as sent: the timer of the delayed ACK is off, and
 * rcv_wup and rcv_wnd are as if it had left. So nothing in the stack would send it again, nor the window
 * that it announced: ack_waits stays until a segment has left with all that the stack wanted to say,
 * and every movement of the gate sends an ACK while it is set.
 *
 * CONTEXT: the position of the gate is set by who does not wait for an application that has its socket
 * locked; the owner reads it with READ_ONCE(). What has to be sent then is left to a work item. Whoever
 * closes a gate waits for a grace period: the segments that have seen it open are accounted for then.
 */
#include <linux/rcupdate.h>
#include <linux/skbuff.h>
#include <linux/workqueue.h>
#include <net/ipv6.h>

#include "nsr.h"
#include "trace.h"

#define NR_SETS	4

struct gate_set {
	const struct inet_connection_sock_af_ops *orig;
	struct inet_connection_sock_af_ops ops;
};

static struct gate_set sets[NR_SETS];
static DEFINE_SPINLOCK(sets_lock);		/* filling of sets[] */
static struct workqueue_struct *gate_wq;

static const struct gate_set *set_of(const struct inet_connection_sock_af_ops *ops)
{
	int i;

	for (i = 0; i < NR_SETS; i++)
		if (ops == &sets[i].ops)
			return &sets[i];
	return NULL;
}

/*
 * Which set does the socket go by? Somebody may have put a copy of our copy in its place, with an
 * operation changed that is not ours: then by what tells the kinds apart.
 */
static const struct gate_set *set_of_sock(const struct sock *sk)
{
	const struct inet_connection_sock_af_ops *ops = READ_ONCE(inet_csk(sk)->icsk_af_ops);
	const struct gate_set *set = set_of(ops);
	int i;

	for (i = 0; i < NR_SETS && !set; i++)
		if (smp_load_acquire(&sets[i].orig) &&
		    sets[i].ops.net_header_len == ops->net_header_len &&
		    sets[i].ops.setsockopt == ops->setsockopt)
			set = &sets[i];
	return set;
}

static u64 limit(const struct nsr_conn *conn)
{
	if (READ_ONCE(conn->gate_open) || READ_ONCE(conn->group->gates_open))
		return U64_MAX;
	if (nsr_test_is_off(NSRD_DEATH) &&
	    !genl_has_listeners(&nsr_genl_family, conn->group->ns->net, 0))
		return U64_MAX;
	return max(READ_ONCE(conn->gate), conn->acked);
}

/*
 * Says nothing but its ACK. A SEQ below SND.UNA is a question (keepalive, window probe) which wants an
 * answer, whatever it acknowledges.
 */
static bool is_pure_ack(const struct sock *sk, const struct sk_buff *skb, const struct tcphdr *th)
{
	return skb->len == th->doff * 4 && !th->fin && !th->urg &&
	       !before(ntohl(th->seq), tcp_sk(sk)->snd_una);
}

/*
 * The window field of a segment that tells @told. @edge is where the stack has the right edge; what was
 * told before is not taken back, unless the stack does that itself.
 */
static u16 window_for(const struct nsr_conn *conn, u64 told, u64 edge)
{
	const struct sock *sk = conn->sk;
	u8 shift = tcp_sk(sk)->rx_opt.rcv_wscale;
	u64 lowest = edge >= conn->stack_edge ? conn->told_edge : 0;
	u64 wnd = edge > told ? (edge - told) >> shift : 0;
	u32 most = U16_MAX;

	if (!shift && READ_ONCE(sock_net(sk)->ipv4.sysctl_tcp_workaround_signed_windows))
		most = MAX_TCP_WINDOW;
	if (told + (wnd << shift) < lowest)
		wnd = (lowest - told + (1U << shift) - 1) >> shift;
	return min_t(u64, wnd, most);
}

/* SACK blocks show what the ACK hides. Return: where the MD5 signature stands, or NULL. */
static u8 *edit_options(struct tcphdr *th, bool hide_sack)
{
	int left = th->doff * 4 - (int)sizeof(*th);
	u8 *p = (u8 *)(th + 1), *md5 = NULL;

	while (left > 0 && *p != TCPOPT_EOL) {
		int len = *p == TCPOPT_NOP ? 1 : left < 2 ? 0 : p[1];

		if (len < 1 || len > left)
			break;
		if (*p == TCPOPT_SACK && hide_sack)
			memset(p, TCPOPT_NOP, len);
		else if (*p == TCPOPT_MD5SIG && len == TCPOLEN_MD5SIG)
			md5 = p + 2;
		p += len;
		left -= len;
	}
	return md5;
}

static void sign(struct sock *sk, struct sk_buff *skb, u8 *md5)
{
#ifdef CONFIG_TCP_MD5SIG
	const struct tcp_sock_af_ops *af = tcp_sk(sk)->af_specific;
	struct tcp_md5sig_key *key = af->md5_lookup(sk, sk);

	if (key)
		af->calc_md5_hash(md5, key, sk, skb);
#endif
}

/* Return: false without memory. */
static bool rewrite(struct sock *sk, struct sk_buff *skb, u32 ack, u16 window, bool hide_sack)
{
	struct tcphdr *th = tcp_hdr(skb);
	u8 *md5;

	/* As a rule it is: the header of a clone that TCP has made is TCP's own. */
	if (skb_ensure_writable(skb, th->doff * 4))
		return false;
	th = tcp_hdr(skb);
	th->ack_seq = htonl(ack);
	th->window = htons(window);
	md5 = edit_options(th, hide_sack);
	if (md5 && !nsr_test_is_off(GATE_SIGN))
		sign(sk, skb, md5);
	/* The stack leaves the checksum to the device, and its start (the pseudo header) has no ACK. */
	WARN_ON_ONCE(skb->ip_summed != CHECKSUM_PARTIAL);
	return true;
}

static void note(struct nsr_conn *conn, u64 told, u16 window, u64 stack_edge)
{
	u64 edge = told + ((u64)window << tcp_sk(conn->sk)->rx_opt.rcv_wscale);

	if (told > conn->acked)
		WRITE_ONCE(conn->acked, told);
	conn->told_edge = stack_edge < conn->stack_edge ? edge : max(conn->told_edge, edge);
	conn->stack_edge = stack_edge;
	if (edge > conn->top_edge)
		WRITE_ONCE(conn->top_edge, edge);
}

static bool hold(struct nsr_conn *conn, const struct tcphdr *th)
{
	WRITE_ONCE(conn->ack_waits, true);
	nsr_stat_inc(conn->group, TCP_NSR_A_STAT_ACKS_HELD);
	trace_nsr_segment(conn, TCP_NSR_A_STAT_ACKS_HELD, ntohl(th->seq), ntohl(th->ack_seq));
	return false;
}

/**
 * nsr_gate_segment() - a segment is about to leave
 * @conn: connection; socket locked; under RCU
 * @skb: segment; data at its TCP header
 *
 * Return: false: it does not leave; @skb is still the caller's.
 */
bool nsr_gate_segment(struct nsr_conn *conn, struct sk_buff *skb)
{
	const struct tcphdr *th = tcp_hdr(skb);
	struct sock *sk = conn->sk;
	u64 ack, told, most, edge;
	u16 window;
	u32 seq;

	if (!conn->gated || !th->ack || th->rst || th->syn)
		return true;
	seq = ntohl(th->seq);
	ack = nsr_pos_extend(ntohl(th->ack_seq), conn->rec.irs + 1, conn->acked);
	edge = ack + ((u64)ntohs(th->window) << tcp_sk(sk)->rx_opt.rcv_wscale);
	most = limit(conn);
	told = min(ack, most);
	/* At C once more it would be a duplicate ACK: three of them look like a loss. */
	if (told < ack && most == conn->acked && is_pure_ack(sk, skb, th) && !nsr_test_is_off(GATE_HOLD))
		return hold(conn, th);
	window = nsr_test_is_off(GATE_WINDOW) ? ntohs(th->window) : window_for(conn, told, edge);
	if (told < ack || window != ntohs(th->window)) {
		if (!rewrite(sk, skb, nsr_pos_to_seq(told, conn->rec.irs + 1), window,
			     told < ack && !nsr_test_is_off(GATE_SACK)))
			return hold(conn, th);
	}
	if (told < ack) {
		nsr_stat_inc(conn->group, TCP_NSR_A_STAT_ACKS_CLAMPED);
		trace_nsr_segment(conn, TCP_NSR_A_STAT_ACKS_CLAMPED, seq,
				  nsr_pos_to_seq(ack, conn->rec.irs + 1));
	}
	WRITE_ONCE(conn->ack_waits, told < ack);
	note(conn, told, window, edge);
	return true;
}

static int gate_xmit(struct sock *sk, struct sk_buff *skb, struct flowi *fl)
{
	const struct gate_set *set = set_of_sock(sk);
	struct nsr_conn *conn;
	bool leaves;

	rcu_read_lock();
	conn = nsr_conn_find_sk_rcu(nsr_pernet(sock_net(sk)), sk);
	leaves = !conn || nsr_gate_segment(conn, skb);
	rcu_read_unlock();
	if (leaves)
		return set->orig->queue_xmit(sk, skb, fl);
	consume_skb(skb);
	return 0;
}

/*
 * IPV6_ADDRFORM makes an IPv6 socket with mapped addresses an IPv4 one, with other operations. The gate
 * would be gone without a word. No lock is held, and it sleeps: the connection may be let go meanwhile.
 */
static int gate_setsockopt(struct sock *sk, int level, int optname, sockptr_t optval,
			   unsigned int optlen)
{
	const struct inet_connection_sock_af_ops *ops = READ_ONCE(inet_csk(sk)->icsk_af_ops);
	const struct gate_set *set = set_of(ops);
	int err;

	if (set && level == SOL_IPV6 && optname == IPV6_ADDRFORM && !nsr_test_is_off(ADDRFORM))
		return -EBUSY;
	if (!set && ops->setsockopt == gate_setsockopt)
		set = set_of_sock(sk);
	if (set)
		ops = set->orig;
	if (!try_module_get(THIS_MODULE))
		return -EBUSY;
	err = ops->setsockopt(sk, level, optname, optval, optlen);
	module_put(THIS_MODULE);
	return err;
}

/**
 * nsr_gate_prepare() - makes sure that there is a copy of these operations
 * @orig: operations of a socket that is to get a gate
 * @mapped: they are those of IPv6 sockets with IPv4 addresses
 *
 * Context: any.
 * Return: false: more kinds of sockets than the module has room for; such a one cannot be protected.
 */
bool nsr_gate_prepare(const struct inet_connection_sock_af_ops *orig, bool mapped)
{
	bool found = false;
	int i;

	if (nsr_test_is_off(GATE_ROOM))
		return false;
	spin_lock_bh(&sets_lock);
	for (i = 0; i < NR_SETS && !found; i++) {
		if (!sets[i].orig) {
			sets[i].ops = *orig;
			sets[i].ops.queue_xmit = gate_xmit;
			if (mapped)
				sets[i].ops.setsockopt = gate_setsockopt;
			/* Release: who finds it finds it filled. */
			smp_store_release(&sets[i].orig, orig);
		}
		found = sets[i].orig == orig;
	}
	spin_unlock_bh(&sets_lock);
	return found;
}

/**
 * nsr_gate_orig() - a socket's own operations
 * @ops: its icsk_af_ops, of which a gate may have a copy
 */
const struct inet_connection_sock_af_ops *
nsr_gate_orig(const struct inet_connection_sock_af_ops *ops)
{
	const struct gate_set *set = set_of(ops);

	return set ? set->orig : ops;
}

/**
 * nsr_gate_start() - from here on the gate knows what leaves
 * @conn: protected connection, or one that is being adopted; socket locked
 * @acked: highest ACK that has left
 * @edge: highest right edge that has been told
 * @gate: position of the gate
 */
void nsr_gate_start(struct nsr_conn *conn, u64 acked, u64 edge, u64 gate)
{
	const struct tcp_sock *tp = tcp_sk(conn->sk);

	conn->gate = gate;
	conn->acked = acked;
	conn->told_edge = edge;
	conn->top_edge = edge;
	conn->stack_edge = nsr_pos_extend(tp->rcv_wup + tp->rcv_wnd, conn->rec.irs + 1, acked);
	conn->ack_waits = false;
	/* Pairs with nsr_gate_set(), which does not wait for an owner of the socket. */
	smp_store_release(&conn->gated, true);
}

/**
 * nsr_gate_install() - the connection's segments pass the gate
 * @conn: published connection, nsr_gate_start() done, nsr_gate_prepare() has said true; socket locked
 */
void nsr_gate_install(struct nsr_conn *conn)
{
	struct inet_connection_sock *icsk = inet_csk(conn->sk);
	int i;

	for (i = 0; i < NR_SETS; i++) {
		/* Pairs with the release that makes a set known: its ops are complete. */
		if (smp_load_acquire(&sets[i].orig) != icsk->icsk_af_ops)
			continue;
		conn->gate_ops = &sets[i].ops;
		WRITE_ONCE(icsk->icsk_af_ops, conn->gate_ops);
		return;
	}
	WARN_ON_ONCE(1);
}

/**
 * nsr_gate_intact() - are the operations still those of the gate?
 * @conn: connection; socket locked
 *
 * Others may exchange operations too. A gate that is gone protects nothing.
 */
bool nsr_gate_intact(const struct nsr_conn *conn)
{
	return !conn->gate_ops || READ_ONCE(inet_csk(conn->sk)->icsk_af_ops) == conn->gate_ops;
}

/**
 * nsr_gate_is_closed() - may the far end be told of less than what was received?
 * @conn: connection; socket locked
 */
bool nsr_gate_is_closed(const struct nsr_conn *conn)
{
	return conn->gated && limit(conn) != U64_MAX;
}

static void send_ack(struct nsr_conn *conn)
{
	struct sock *sk = conn->sk;

	nsr_tcp_refresh(tcp_sk(sk));
	nsr_tcp_send_ack(sk, tcp_sk(sk)->rcv_nxt);
}

/* What waits, and may leave now, leaves. Socket locked. */
static void release_waiting(struct nsr_conn *conn)
{
	if (conn->gated && conn->ack_waits && limit(conn) > conn->acked &&
	    ((1 << conn->sk->sk_state) & (TCPF_ESTABLISHED | TCPF_CLOSE_WAIT)))
		send_ack(conn);
}

/**
 * nsr_gate_stop() - the connection has no gate any more
 * @conn: connection; socket locked
 * @speak: an ACK that waits is sent
 *
 * ORDER: before the connection leaves the table, which holds the module.
 */
void nsr_gate_stop(struct nsr_conn *conn, bool speak)
{
	struct inet_connection_sock *icsk = inet_csk(conn->sk);
	bool waits = conn->gated && conn->ack_waits;

	conn->gated = false;
	if (conn->gate_ops && icsk->icsk_af_ops == conn->gate_ops)
		WRITE_ONCE(icsk->icsk_af_ops, set_of(conn->gate_ops)->orig);
	conn->gate_ops = NULL;
	if (waits && speak && ((1 << conn->sk->sk_state) & (TCPF_ESTABLISHED | TCPF_CLOSE_WAIT)))
		send_ack(conn);
}

static void gate_work(struct work_struct *work)
{
	struct nsr_conn *conn = container_of(work, struct nsr_conn, gate_work);

	lock_sock(conn->sk);
	release_waiting(conn);
	release_sock(conn->sk);
	nsr_conn_put(conn);
}

void nsr_gate_conn_init(struct nsr_conn *conn)
{
	INIT_WORK(&conn->gate_work, gate_work);
}

/* Spinlock of the socket held. The owner of a socket that is busy may just have held an ACK. */
static void moved(struct nsr_conn *conn)
{
	if (!sock_owned_by_user_nocheck(conn->sk)) {
		release_waiting(conn);
		return;
	}
	nsr_conn_get(conn);
	if (!queue_work(gate_wq, &conn->gate_work))
		nsr_conn_put(conn);
}

static int check_gate(const struct nsr_conn *conn, u64 gate, struct netlink_ext_ack *extack)
{
	u64 received = nsr_pos_extend(READ_ONCE(tcp_sk(conn->sk)->rcv_nxt), conn->rec.irs + 1,
				      READ_ONCE(conn->acked));

	if (gate < conn->gate) {
		NSR_SET_ERR_MSG_FMT(extack, "CONN: GATE only grows: read where it is",
				    "CONN: GATE only grows, it is %llu", conn->gate);
		return -EINVAL;
	}
	if (gate > received) {
		NSR_SET_ERR_MSG_FMT(extack, "CONN: GATE is above what was received",
				    "CONN: GATE is above what was received, %llu", received);
		return -EINVAL;
	}
	return 0;
}

/**
 * nsr_gate_set() - moves, opens or closes a connection's gate
 * @conn: connection; no lock held
 * @req: what is asked; .closed is set if who asked must wait for a grace period afterwards
 * @extack: what is refused, and why
 *
 * Waits for no application.
 *
 * Context: process.
 * Return: 0; -EINVAL: not in mode lossless, a position that is not possible; -EALREADY: a shadow.
 */
int nsr_gate_set(struct nsr_conn *conn, struct nsr_gate_req *req, struct netlink_ext_ack *extack)
{
	int err = 0;

	local_bh_disable();
	bh_lock_sock(conn->sk);
	if (conn->rec.mode != TCP_NSR_MODE_LOSSLESS) {
		NL_SET_ERR_MSG(extack, "tcp_nsr: CONN: GATE: not a connection of mode LOSSLESS");
		err = -EINVAL;
	} else if (!smp_load_acquire(&conn->gated)) {
		/* Pairs with nsr_gate_start(). */
		NL_SET_ERR_MSG(extack, "tcp_nsr: CONN: GATE: a shadow has none, nor has a connection that ends");
		err = -EALREADY;
	} else if (req->has_gate) {
		err = check_gate(conn, req->gate, extack);
	}
	if (!err) {
		if (req->has_gate)
			WRITE_ONCE(conn->gate, req->gate);
		if (req->has_open) {
			req->closed |= conn->gate_open && !req->open;
			WRITE_ONCE(conn->gate_open, req->open);
		}
		moved(conn);
	}
	bh_unlock_sock(conn->sk);
	local_bh_enable();
	return err;
}

/**
 * nsr_gate_sync() - segments that have seen a gate open are accounted for
 *
 * Context: process.
 */
void nsr_gate_sync(void)
{
	synchronize_rcu_expedited();
}

/**
 * nsr_gate_opened() - the group's gates are open: every ACK that waits leaves
 * @g: group; gates_open is set
 *
 * Context: process.
 */
void nsr_gate_opened(struct nsr_group *g)
{
	struct nsr_conn *conn = NULL;
	u64 serial = 0;

	might_sleep();
	while ((conn = nsr_conn_next(g->ns, conn, &serial))) {
		if (conn->group == g && READ_ONCE(conn->gated)) {
			local_bh_disable();
			bh_lock_sock(conn->sk);
			moved(conn);
			bh_unlock_sock(conn->sk);
			local_bh_enable();
		}
		cond_resched();
	}
}

int nsr_gate_init(void)
{
	gate_wq = alloc_workqueue("tcp_nsr_gate", WQ_UNBOUND, 0);
	return gate_wq ? 0 : -ENOMEM;
}

/* No request and no connection is left; their work may be. */
void nsr_gate_exit(void)
{
	destroy_workqueue(gate_wq);
}
