// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: destroys a socket without a segment.
 *
 * tcp_abort() sends a reset. The fence would stop it, but the role may turn back at that moment. So
 * the socket gets operations first whose output goes nowhere. There are few sets of operations in the
 * kernel (IPv4, IPv6, v4-mapped): each gets one copy that lives as long as the module, since lockless
 * readers of the pointer may still look at it after the socket has its own back.
 */
#include "nsr.h"

#define NR_SETS	4

static struct {
	const struct inet_connection_sock_af_ops *orig;
	struct inet_connection_sock_af_ops ops;
} sets[NR_SETS];
static DEFINE_SPINLOCK(sets_lock);

static int drop_xmit(struct sock *sk, struct sk_buff *skb, struct flowi *fl)
{
	kfree_skb(skb);
	return 0;
}

static const struct inet_connection_sock_af_ops *
silent_ops(const struct inet_connection_sock_af_ops *orig)
{
	const struct inet_connection_sock_af_ops *ops = NULL;
	int i;

	spin_lock_bh(&sets_lock);
	for (i = 0; i < NR_SETS && !ops; i++) {
		if (sets[i].orig && sets[i].orig != orig)
			continue;
		if (!sets[i].orig) {
			sets[i].ops = *orig;
			sets[i].ops.queue_xmit = drop_xmit;
			sets[i].orig = orig;
		}
		ops = &sets[i].ops;
	}
	spin_unlock_bh(&sets_lock);
	return ops;
}

/**
 * nsr_silent_destroy() - ends a connection, tells its application, and no one else
 * @sk: socket; the caller has a reference
 * @err: what the application reads from it
 *
 * Context: process; no socket lock held.
 */
void nsr_silent_destroy(struct sock *sk, int err)
{
	struct inet_connection_sock *icsk = inet_csk(sk);
	const struct inet_connection_sock_af_ops *orig, *silent;

	might_sleep();
	lock_sock(sk);
	orig = nsr_gate_orig(icsk->icsk_af_ops);
	silent = silent_ops(orig);
	if (silent)
		WRITE_ONCE(icsk->icsk_af_ops, silent);
	release_sock(sk);

	tcp_abort(sk, err);

	lock_sock(sk);
#ifdef NSR_HAVE_TCP_DONE
	/* Older kernels leave a socket that its application has closed already as it is. */
	if (sk->sk_state != TCP_CLOSE && sock_flag(sk, SOCK_DEAD)) {
		local_bh_disable();
		bh_lock_sock(sk);
		tcp_done(sk);
		bh_unlock_sock(sk);
		local_bh_enable();
	}
#endif
	if (silent && icsk->icsk_af_ops == silent)
		WRITE_ONCE(icsk->icsk_af_ops, orig);
	release_sock(sk);
}
