/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tcp_nsr: what the module's files share.
 *
 * LOCKS, in the order in which they may nest:
 *   rtnl			devices that the fence hangs on: before nsr_net.lock, never inside of it
 *   nsr_net.lock		process context, sleeps: groups, rules, injection (duplicate 4-tuple)
 *   nsr_group.ctl		process context, sleeps: what follows from a role (probes, scan)
 *   socket lock		lock_sock() in process context, bh_lock_sock() in softirq: everything in
 *				struct nsr_conn that can change, and the struct tcp_sock
 *   (the spinlock alone of a socket that a user owns: nsr_conn.gate, gate_open, reads)
 *   nsr_group.role_lock	spinlock, _bh: role, lease, term, generation as one
 *   nsr_net.conn_lock		spinlock, _bh: membership of the tables and lists of connections
 *   nsr_net.event_lock		spinlock, _bh: event_seq with the order of the multicast
 * The handler of the tracepoint inet_sock_set_state runs with the socket lock held, in softirq or
 * task context, preemption off: role_lock, conn_lock and event_lock only, GFP_ATOMIC only.
 * LEASE_SET and MUTE take nothing above role_lock: they never wait for a slow configuration.
 *
 * LIFETIME of a struct nsr_conn: one reference for the table, which also holds the socket (sock_hold)
 * and the group, and the module; it ends with the first close event of the socket, or with CONN_DEL /
 * FLUSH. Shadows and provisional connections also hold the module by their ULP.
 * Readers in softirq find a connection by the socket's icsk_ulp_data (shadow) or the hash (RCU).
 */
#ifndef _TCP_NSR_NSR_H
#define _TCP_NSR_NSR_H

#include <linux/kref.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rhashtable.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <net/genetlink.h>
#include <net/inet_connection_sock.h>
#include <net/inet_hashtables.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "../uapi/tcp_nsr.h"

#define NSR_PROBE_RING	8	/* outstanding probes whose nonce is remembered, per shadow */
#define NSR_HEADS	4	/* segments that may be the head of the far end's queue, per connection */

union nsr_addr {
	__be32 ip;
	struct in6_addr ip6;
};

/**
 * struct nsr_net - the module's state in one network namespace
 * @lock: protects groups, rules, and serialises injection
 * @conn_lock: protects @conns, the hashes' membership, and the counts
 * @event_lock: makes event_seq and the multicast one step
 * @generation: changes with every change of the table of connections; checked by dumps
 */
struct nsr_net {
	struct net *net;
	struct mutex lock;
	struct list_head groups;		/* of struct nsr_group, RCU */
	spinlock_t conn_lock;
	struct list_head conns;			/* of struct nsr_conn, ascending serial */
	u64 next_serial;
	struct rhashtable by_id;
	struct rhashtable by_sk;
	unsigned int nr_conns, nr_shadows, nr_refused;
	u32 max_conns, max_shadows;
	u32 generation;
	spinlock_t event_lock;
	u64 event_seq;
	u32 cursor_interval_ms;
	struct delayed_work cursor_work;	/* replicates the cursors that moved */
	struct work_struct scan_work;		/* picks up connections older than their protection */
	bool scan_again;			/* a socket was busy: cursor_work starts the scan anew */
	spinlock_t quick_lock;			/* ingress_busy */
	bool ingress_busy;			/* some group is not (ACTIVE, settled, not frozen) */
	bool hooked;				/* inet hooks registered; under lock */
	bool shared_addrs;			/* two groups, in different VRFs, have an address in common */
	struct notifier_block netdev_nb;
};

/**
 * struct nsr_rule - which connections a group protects; immutable, replaced whole
 */
struct nsr_rule {
	struct list_head node;			/* group->rules, RCU, ascending id */
	struct rcu_head rcu;
	u32 id;
	u8 family;				/* 0: both */
	u8 mode, gap;
	bool has_laddr;
	u8 raddr_len;
	union nsr_addr laddr, raddr;
	__be16 lport, rport;
	int ifindex;
};

/** struct nsr_group_cfg - a group's configuration; immutable, replaced whole under RCU */
struct nsr_group_cfg {
	struct rcu_head rcu;
	int ifindex;
	bool has_mac;
	u8 mac[ETH_ALEN] __aligned(2);		/* ether_addr_equal() reads halves of words */
	bool mute_on_death;
	u32 settle_ms, segment_life_ms, gap_bound_ms, probe_rate;
	unsigned int nr_addrs;
	struct {
		u8 family;
		union nsr_addr addr;
	} addrs[];
};

/**
 * struct nsr_group - a redundancy group
 *
 * Role and lease are read without a lock when a frame leaves or a segment arrives. One store turns
 * the role, whatever the number of shadows.
 */
struct nsr_group {
	struct list_head node;			/* nsr_net.groups */
	struct rcu_head rcu;
	struct kref ref;
	struct nsr_net *ns;
	u32 id;
	struct nsr_group_cfg __rcu *cfg;
	struct list_head rules;
	struct mutex ctl;			/* serialises what follows from a role */
	spinlock_t role_lock;			/* role ... epoch below */
	bool dead;				/* deleted: no new connection, no new role */
	/* written under role_lock, read locklessly */
	u8 role;
	bool frozen;
	u64 lease_until;
	u32 generation;
	u64 term;
	u32 term_owner;
	u64 ready_until;
	bool gates_open;
	u32 epoch;
	bool lapse_reported;
	u64 active_since;			/* boot time of the role flip */
	u64 settle_until;			/* boot time: end of drop-not-reset on an active */
	bool settled;
	atomic_t nr_conns;			/* all phases */
	atomic_t nr_unsettled;			/* shadow and provisional */
	atomic_t nr_refused;
	struct delayed_work probe_work;		/* solicitation, bounds in time; see probe.c */
	u64 probe_serial;			/* where its next turn goes on; that work alone */
	struct delayed_work lapse_work;		/* tells of a lapse; the lapse itself needs no timer */
	struct delayed_work settle_work;	/* end of drop-not-reset */
	struct work_struct role_work;		/* nsr_role_apply() for a role that turned in softirq */
	/* egress fence; under rtnl */
	struct nsr_fence *fence;		/* its hook, while it is on a device */
	struct net_device *egress_dev;		/* not held: the notifier takes the fence off */
	char egress_name[IFNAMSIZ];		/* attached again when a device of this name comes back */
	/* tuples reset for a gap: exempt from drop-not-reset until the far end has answered */
	spinlock_t exempt_lock;
	struct list_head exempt;
	unsigned int nr_exempt;
	atomic64_t stats[TCP_NSR_A_STAT_MAX + 1];
};

/* In the place of the name of a device that is gone. */
#define NSR_DEVICE_GONE	"/"

/** struct nsr_device - the device that a socket is bound to, as enum tcp_nsr_dev_role has it */
struct nsr_device {
	u8 role;
	char name[IFNAMSIZ];			/* empty: bound to no device; filled with 0 */
};

/** struct nsr_record - what never changes after the handshake, and what identifies */
struct nsr_record {
	u64 id;
	u32 rule_id;
	u8 family;				/* of the addresses: AF_INET also when v4-mapped */
	u8 mode, gap;
	u8 snd_wscale, rcv_wscale;
	u16 mss_clamp, advmss;
	u32 flags;				/* TCP_NSR_CONN_F_* */
	union nsr_addr laddr, raddr;
	__be16 lport, rport;
	u32 iss, irs;
	u8 refused;				/* enum tcp_nsr_refused; of a protected one: about to be */
	struct nsr_device dev;			/* of a published one written under conn_lock too */
};

/** struct nsr_opts - socket options that the application set, as getsockopt() tells them; all zero: defaults */
struct nsr_opts {
	u32 priority, mark;
	u32 keepidle, keepintvl;		/* seconds */
	u32 user_timeout;			/* ms */
	u8 tos, ttl, min_ttl;			/* of the connection's own family */
	u8 nodelay, keepalive, keepcnt;
	char congestion[TCP_CA_NAME_MAX];	/* empty: the namespace's default; filled with 0 */
};

/** struct nsr_cursor - positions as a socket has them (64 bit), or as they were replicated */
struct nsr_cursor {
	u64 rcv_nxt, rcv_wup, copied_seq, right_edge;
	u64 snd_una, snd_nxt, write_seq;
	u32 snd_wnd;
	u32 tsval, ts_recent;
	u32 sndbuf, rcvbuf, pmtu;
	u8 state;
	struct nsr_opts opts;
	u64 taken_at;				/* boot time of reading (protected) or receipt (shadow) */
};

struct nsr_probe {
	u32 seq;				/* SEG.SEQ of the old byte; its D-SACK is {seq, seq + 1} */
	u32 tsval;				/* of the dataless segment that went before it */
	u32 cand;				/* send position that this probe tests by TSecr */
	bool used, has_cand;
};

/* struct nsr_seg - what a segment says; sequence numbers in host order */
struct nsr_seg {
	const struct tcphdr *th;
	u32 seq, end_seq, ack;
	u16 wnd;				/* as on the wire: not scaled */
	bool has_ts;
	u32 tsval, tsecr;
	u8 nsack;
	struct {
		u32 start, end;
	} sack[4];
};

/* struct nsr_head - a segment that the far end may be sending again and again */
struct nsr_head {
	u32 seq;
	u8 seen;				/* transmissions at growing intervals */
	u64 last, interval;
};

/* struct nsr_floor - where receiving goes on, and what is known to be missing below it */
struct nsr_floor {
	u64 pos;				/* F */
	u64 missing;
	bool fin;				/* lies past the far end's FIN */
	bool exact, broken;
};

/**
 * struct nsr_conn - a protected connection or a shadow
 *
 * All that can change is under the socket lock, unless said otherwise.
 */
struct nsr_conn {
	struct list_head node;			/* nsr_net.conns, conn_lock */
	u64 serial;				/* order of birth here: where a dump goes on */
	struct rhash_head by_id_node, by_sk_node;
	struct rcu_head rcu;
	struct kref ref;
	struct nsr_net *ns;
	struct nsr_group *group;
	struct sock *sk;			/* held */
	bool dead;				/* conn_lock: out of the tables */
	u8 phase;				/* enum tcp_nsr_phase */
	u8 adopted_by;
	u8 close_cause;				/* decided before the socket is closed; 0: find out */
	struct nsr_record rec;
	struct nsr_cursor cur;			/* PROTECTED: last one told; SHADOW: replicated */
	struct nsr_device dev_said;		/* SHADOW: the device as the active said last */
	bool dev_news;				/* the cursor work has a change of rec.dev to tell */
	bool retell;				/* the cursor work may tell an older one after it; atomic */
	/* vouched positions */
	bool has_rcv_vouched, has_snd_vouched;
	u64 rcv_vouched, snd_vouched;
	/* adoption; owned by shadow.c, adopt.c, probe.c */
	const struct inet_connection_sock_af_ops *orig_af_ops;
	bool quiet;				/* not writable, no keepalive; see shadow.c */
	bool silent;				/* closed by order: whatever it emits goes nowhere */
	bool doomed;				/* to be reset by the probe work; close_cause says why */
	u64 doomed_reign;			/* the group's active_since then */
	bool linger_was;			/* SO_LINGER before the shadow */
	unsigned long linger_time;
	struct nsr_probe probes[NSR_PROBE_RING];
	u8 probe_next;
	u8 probe_tries;
	u8 probe_burst;				/* probes sent at once, out of turn */
	u32 probe_gen;				/* group's generation that the probes belong to */
	u64 probe_due;				/* boot time; also read and written without the lock */
	u64 probe_last;
	u32 ts_offset;				/* our TSval = clock + ts_offset, fixed at the first probe */
	u32 ts_first, ts_last;			/* first TSval of this reign, newest one that left */
	bool ts_ready, ts_used;
	bool have_cand;
	u32 cand_ack;				/* SEG.ACK of a first answer: what TSecr will prove */
	bool have_best;
	u32 best_ack;				/* largest answer later than a segment life */
	u64 best_at;
	u64 floor;				/* F: receive position that was adopted; see gap.c */
	u64 snd_pos;				/* A */
	bool floor_exact;
	struct nsr_head heads[NSR_HEADS];	/* segments above rcv_nxt, ascending; see gap.c */
	u8 nr_heads;
	bool floor_fresh;			/* the far end has sent F since the takeover */
	u64 adopted_at;
	u32 far_snd_nxt;			/* SND.NXT as a solicited answer showed it */
	bool have_far_snd_nxt;
	u64 rcv_missing, rcv_uncertain;
	s64 snd_missing;
	bool snd_uncertain;
	/* provisional: what it waits for */
	bool gap_open;				/* something between F and SND.NXT may have been acknowledged */
	bool heals;				/* lossless: the far end may have more of the journal than we sent */
	bool healed;				/* counted */
	bool fin_waits;				/* F lies past a FIN which the stack learns of when all is healed */
	u64 journal_end;			/* E: nothing above ever left */
	/* mode lossless; gate.c */
	const struct inet_connection_sock_af_ops *gate_ops;	/* the socket's, or NULL */
	struct work_struct gate_work;		/* sends what waits, if the socket was busy */
	bool gated;				/* the next three are of use */
	bool ack_waits;				/* the stack has said more than has left */
	bool gate_open;				/* socket's spinlock */
	u64 gate;				/* G; socket's spinlock */
	u64 acked;				/* highest ACK that left */
	u64 told_edge, top_edge;		/* right edge: that stands, that was the highest */
	u64 stack_edge;				/* right edge that the stack believes to have told */
};

/** struct nsr_gate_req - CONN_SET with GATE or GATE_OPEN */
struct nsr_gate_req {
	bool has_gate, has_open;
	u64 gate;
	bool open;
	bool closed;				/* answer: a gate was open before; nsr_gate_sync() is due */
};

/**
 * struct nsr_tuple - a connection as a segment or a socket names it
 * @ifindex2: a second device that fits, or 0
 * @vrf: VRF that it is in; 0: in none
 */
struct nsr_tuple {
	u8 family;
	const void *laddr, *raddr;
	__be16 lport, rport;
	int ifindex, ifindex2;
	int vrf;
};

/** struct nsr_role_req - ROLE_SET; @generation is replaced by the new one */
struct nsr_role_req {
	u8 role;
	u64 term;
	u32 term_owner;
	u64 lease_until;
	u32 generation;
};

/*
 * Rules that a test of the module can switch off, to see that it would find out. Only a module that was
 * built with NSR_TEST=1 has the switch.
 */
enum nsr_test {
	NSR_TEST_GATE_SACK,		/* a clamped segment keeps its SACK blocks */
	NSR_TEST_GATE_WINDOW,		/* ... and the window field as it was */
	NSR_TEST_GATE_HOLD,		/* a pure ACK leaves, with what was told before */
	NSR_TEST_GATE_SIGN,		/* a changed segment keeps its signature */
	NSR_TEST_ADDRFORM,		/* the operations may change behind the gate's back */
	NSR_TEST_PROBE_SIGN,		/* probes bear no signature */
	NSR_TEST_HEAL,			/* an ACK above SND.NXT stays one */
	NSR_TEST_NSRD_DEATH,		/* gates are open while no daemon listens */
	NSR_TEST_GATE_ROOM,		/* there is room for another kind of operations */
};

#ifdef NSR_TEST
extern unsigned int nsr_test_off;
#define nsr_test_is_off(what)	(READ_ONCE(nsr_test_off) & BIT(NSR_TEST_ ## what))
#else
#define nsr_test_is_off(what)	false
#endif

extern unsigned int nsr_net_id;
extern struct genl_family nsr_genl_family;

static inline struct nsr_net *nsr_pernet(const struct net *net)
{
	return net_generic(net, nsr_net_id);
}

static inline void nsr_stat_inc(struct nsr_group *g, int stat)
{
	atomic64_inc(&g->stats[stat]);
}

/* init and exit, in main.c's order; per-namespace parts */
int nsr_conn_net_init(struct nsr_net *ns);
void nsr_conn_net_exit(struct nsr_net *ns);
int nsr_egress_net_init(struct nsr_net *ns);
void nsr_egress_net_exit(struct nsr_net *ns);
void nsr_cursor_init(struct nsr_net *ns);
void nsr_cursor_exit(struct nsr_net *ns);
void nsr_scan_init(struct nsr_net *ns);
void nsr_scan_exit(struct nsr_net *ns);
void nsr_group_destroy_all(struct nsr_net *ns);
int nsr_gate_init(void);
void nsr_gate_exit(void);
int nsr_shadow_init(void);		/* shadow.c: registers the ULP */
void nsr_shadow_exit(void);
int nsr_track_init(void);
void nsr_track_exit(void);
int nsr_netlink_init(void);
void nsr_netlink_exit(void);

/* group.c: groups and rules; role.c: role and lease */
bool nsr_group_may_emit(const struct nsr_group *g);	/* role ACTIVE and boot time < lease_until */
bool nsr_group_is_active(const struct nsr_group *g);
struct nsr_group *nsr_group_find(struct nsr_net *ns, u32 id);		/* under ns->lock */
struct nsr_group *nsr_group_find_rcu(struct nsr_net *ns, u32 id);
struct nsr_group *nsr_group_find_get(struct nsr_net *ns, u32 id);	/* any context, takes a reference */
void nsr_group_get(struct nsr_group *g);
void nsr_group_put(struct nsr_group *g);
const struct nsr_rule *nsr_rule_match_tuple_rcu(struct nsr_net *ns, const struct nsr_tuple *t,
						struct nsr_group **group);
bool nsr_cfg_has_addr(const struct nsr_group_cfg *cfg, u8 family, const void *addr);
int nsr_group_set(struct nsr_net *ns, u32 id, struct nsr_group_cfg *cfg,
		  struct netlink_ext_ack *extack);
int nsr_group_del(struct nsr_net *ns, u32 id, bool flush, struct netlink_ext_ack *extack);
void nsr_group_flush(struct nsr_net *ns, const struct nsr_group *g);
void nsr_group_recount(struct nsr_net *ns);
void nsr_group_warn_shared(struct nsr_net *ns);		/* under ns->lock */
int nsr_rule_set(struct nsr_group *g, struct nsr_rule *rule, struct netlink_ext_ack *extack);
int nsr_rule_del(struct nsr_group *g, u32 id, struct netlink_ext_ack *extack);
bool nsr_group_is_exempt(struct nsr_group *g, const struct nsr_tuple *t);
void nsr_group_exempt_clear(struct nsr_group *g);
void nsr_role_init(struct nsr_group *g);
void nsr_role_exit(struct nsr_group *g);
void nsr_role_apply(struct nsr_group *g);
int nsr_role_set(struct nsr_group *g, struct nsr_role_req *req, struct netlink_ext_ack *extack);
u32 nsr_role_mute(struct nsr_group *g, bool defer);
int nsr_lease_set(struct nsr_group *g, u64 until, u32 generation, struct netlink_ext_ack *extack);
void nsr_role_app_died(struct nsr_group *g);	/* any context */
void nsr_role_freeze(struct nsr_group *g, bool frozen);
/* nr_unsettled went to 0, or settle_until passed: reports once per reign */
void nsr_group_check_settled(struct nsr_group *g);	/* any context */
void nsr_group_exempt_add(struct nsr_group *g, const struct nsr_record *rec, int ifindex);	/* any context */

/* conn.c: the table */
struct nsr_conn *nsr_conn_create(struct nsr_net *ns, struct nsr_group *g, struct sock *sk, gfp_t gfp);
int nsr_conn_publish(struct nsr_conn *conn);		/* into the tables; -EEXIST, -ENOSPC */
bool nsr_conn_unpublish(struct nsr_conn *conn);		/* drops the table's reference; false: was out already */
void nsr_conn_end(struct nsr_conn *conn);		/* unpublish, and CONN_DEL_NTF if it was published */
void nsr_conn_retire(struct nsr_conn *conn);		/* CLOSE_ADMIN: shadow closed, or ordinary again; process context */
struct nsr_conn *nsr_conn_next(struct nsr_net *ns, struct nsr_conn *prev, u64 *serial);
void nsr_conn_get(struct nsr_conn *conn);
void nsr_conn_put(struct nsr_conn *conn);
struct nsr_conn *nsr_conn_find_id(struct nsr_net *ns, u64 id);		/* takes a reference */
struct nsr_conn *nsr_conn_find_sk(struct nsr_net *ns, const struct sock *sk);	/* takes a reference */
struct nsr_conn *nsr_conn_find_sk_rcu(struct nsr_net *ns, const struct sock *sk);
bool nsr_conn_set_phase(struct nsr_conn *conn, u8 phase);	/* keeps the counts; socket locked */
void nsr_conn_refuse(struct nsr_conn *conn, u8 why);		/* protected no more; socket locked */

/*
 * track.c: active side. Reads a socket's record and cursor; socket locked.
 * nsr_record_imprint() is for adoption: makes bytes_acked, bytes_received and the mark of a passive
 * open what nsr_record_capture() derives ISS and IRS from, should the module be loaded anew.
 */
void nsr_record_capture(struct nsr_record *rec, struct sock *sk);
void nsr_record_imprint(const struct nsr_record *rec, struct sock *sk, u64 snd_una, u64 rcv_nxt);
void nsr_cursor_capture(const struct nsr_conn *conn, struct nsr_cursor *cur);

bool nsr_track_adopt(struct nsr_net *ns, struct sock *sk);	/* an established socket, if it matches; socket locked */
bool nsr_track_belongs(struct nsr_net *ns, const struct sock *sk, const struct nsr_group *group);

/* scan.c: connections that are older than their protection; cursor.c; silent.c */
void nsr_scan_start(struct nsr_net *ns);	/* later */
void nsr_scan_now(struct nsr_net *ns);		/* process context */
void nsr_scan_destroy(struct nsr_group *g);	/* all sockets of the group, silently; process context */
void nsr_cursor_kick(struct nsr_net *ns);
bool nsr_cursor_read(const struct nsr_conn *conn, struct nsr_cursor *cur);	/* softirqs off */
void nsr_silent_destroy(struct sock *sk, int err);	/* no segment leaves; process context, takes the socket lock */

/* gate.c: the ACK gate of mode lossless. Socket locked where nothing else is said */
bool nsr_gate_prepare(const struct inet_connection_sock_af_ops *orig, bool mapped);	/* any context */
const struct inet_connection_sock_af_ops *
nsr_gate_orig(const struct inet_connection_sock_af_ops *ops);
void nsr_gate_conn_init(struct nsr_conn *conn);		/* no lock */
void nsr_gate_start(struct nsr_conn *conn, u64 acked, u64 edge, u64 gate);
void nsr_gate_install(struct nsr_conn *conn);
void nsr_gate_stop(struct nsr_conn *conn, bool speak);
bool nsr_gate_intact(const struct nsr_conn *conn);
bool nsr_gate_is_closed(const struct nsr_conn *conn);
bool nsr_gate_segment(struct nsr_conn *conn, struct sk_buff *skb);	/* under RCU */
int nsr_gate_set(struct nsr_conn *conn, struct nsr_gate_req *req,
		 struct netlink_ext_ack *extack);	/* process context, takes the socket's spinlock */
void nsr_gate_sync(void);				/* process context */
void nsr_gate_opened(struct nsr_group *g);		/* process context, takes sockets' spinlocks */

/* options.c: what the application has set on its socket */
void nsr_opts_capture(struct nsr_opts *opts, const struct sock *sk);	/* as nsr_cursor_capture() */
bool nsr_opts_equal(const struct nsr_opts *a, const struct nsr_opts *b);
int nsr_opts_put(struct sk_buff *skb, const struct nsr_opts *opts);
int nsr_opts_parse(struct nsr_opts *opts, const struct nlattr *nla, struct netlink_ext_ack *extack);
void nsr_opts_apply(struct sock *sk, u8 family, const struct nsr_opts *from,
		    const struct nsr_opts *to);		/* process context, takes the socket lock */

/* device.c: the device that a socket is bound to. Socket locked */
void nsr_device_capture(struct nsr_record *rec, const struct sock *sk, const struct nsr_group *g);	/* under RCU */
int nsr_device_bind(struct nsr_conn *conn, struct netlink_ext_ack *extack);	/* a fresh socket; -ENODEV */
void nsr_device_renew(struct nsr_conn *conn);		/* a shadow, at the role flip */
int nsr_device_master(struct net *net, int ifindex);	/* its VRF, or 0; under RCU, no lock */
int nsr_device_vrf(struct net *net, const struct nsr_group_cfg *cfg);	/* likewise, of a group */
int nsr_device_domain(const struct sock *sk);				/* likewise, of a socket */
bool nsr_device_is_link(struct net *net, const struct nsr_group_cfg *cfg, int ifindex);	/* likewise */
void nsr_device_follow(struct nsr_conn *conn);		/* a protected one: has it changed? */
int nsr_device_set(struct nsr_conn *conn, const struct nsr_device *d,
		   struct netlink_ext_ack *extack);	/* a shadow; -ENODEV */
int nsr_device_put(struct sk_buff *skb, const struct nsr_conn *conn, bool news);

/* event.c: events; any context */
void nsr_event_conn_add(struct nsr_conn *conn);
void nsr_event_conn_change(struct nsr_conn *conn);	/* adoption state */
void nsr_event_conn_state(struct nsr_conn *conn, u8 state);	/* TCP state is about to change */
void nsr_event_conn_refused(struct nsr_conn *conn);
void nsr_event_conn_del(struct nsr_conn *conn);
void nsr_event_group(struct nsr_group *g, u8 reason);

/*
 * shadow.c: makes a fresh socket a shadow, and closes it silently.
 * create: -EEXIST, -EADDRINUSE, -EOPNOTSUPP, -EPROTO, -ENOMEM with extack; the socket is unchanged then.
 * Afterwards the socket has a reference on @conn of its own. ORDER: nsr_conn_publish() follows under the
 * same socket lock; if it fails, nsr_shadow_abandon().
 */
int nsr_shadow_create(struct nsr_conn *conn, struct netlink_ext_ack *extack);	/* socket locked; hashes it */
void nsr_shadow_abandon(struct nsr_conn *conn);		/* process context, takes the socket lock */
void nsr_shadow_destroy(struct nsr_conn *conn);		/* no frame leaves; process context, takes the socket lock */
void nsr_shadow_wake(struct nsr_conn *conn);		/* writable, keepalive as asked for; socket locked */
void nsr_shadow_restore(struct nsr_conn *conn);		/* hook and ULP off: an ordinary socket; socket locked */

/* mapped.c: IPv4 connections of IPv6 sockets */
const struct inet_connection_sock_af_ops *nsr_mapped_ops(struct net *net);	/* NULL: cannot be found */
void nsr_mapped_convert(struct sock *sk);

/* verify.c: what a segment says, and whether it can be believed. Socket locked */
bool nsr_seg_parse(struct nsr_seg *seg, struct sk_buff *skb);	/* false: checksum, malformed */
int nsr_seg_check(const struct nsr_conn *conn, const struct nsr_seg *seg);	/* 0, or the TCP_NSR_A_STAT_REJECT_* */
bool nsr_seg_check_seq(const struct nsr_conn *conn, const struct nsr_seg *seg, bool nonce);
u8 nsr_seg_nonce(const struct nsr_conn *conn, const struct nsr_seg *seg);	/* enum tcp_nsr_adopted_by; NONE */
bool nsr_seg_holes(const struct nsr_seg *seg, u8 by);	/* SACK blocks beyond the nonce */
bool nsr_seg_fresh(const struct nsr_conn *conn, const struct nsr_seg *seg);	/* sent after the takeover */

/* position.c: sets the positions of an adopted socket. Socket locked */
void nsr_position_floor(const struct nsr_conn *conn, struct nsr_floor *f);
void nsr_position_set(struct nsr_conn *conn, const struct nsr_seg *seg);	/* conn->floor, conn->snd_pos; seg or NULL */
void nsr_position_skip(struct nsr_conn *conn, u32 to);	/* receive position over a proven gap */

/* adopt.c: decides. Called with the socket locked */
void nsr_adopt_segment(struct nsr_conn *conn, struct sk_buff *skb);	/* the hook */
void nsr_adopt_handover(struct nsr_conn *conn);		/* EXACT: no segment needed; process context */
bool nsr_adopt_is_handover(const struct nsr_conn *conn);
void nsr_adopt_doom(struct nsr_conn *conn, u8 cause);	/* reset, loudly, by the probe work */
void nsr_adopt_resume(struct nsr_conn *conn, struct sk_buff *skb);
bool nsr_adopt_by_age(const struct nsr_conn *conn, u64 now);

/* gap.c: what a provisional connection still waits for */
void nsr_gap_segment(struct nsr_conn *conn, struct sk_buff *skb);
void nsr_gap_tick(struct nsr_conn *conn, u64 now);	/* bounds in time of a provisional connection */

/* probe.c: solicitation; probe_xmit.c: its segments */
void nsr_probe_start(struct nsr_group *g);		/* at the role flip */
void nsr_probe_stop(struct nsr_group *g);
void nsr_probe_soon(struct nsr_conn *conn);		/* late shadow, SYN seen: probe now; any context */
void nsr_probe_at(struct nsr_conn *conn, u64 when);	/* any context */
void nsr_probe_renew(struct nsr_conn *conn);		/* forgets what belongs to an earlier reign; socket locked */
int nsr_probe_send(struct nsr_conn *conn);		/* socket locked */
void nsr_probe_work(struct work_struct *work);		/* initialised by group.c */
void nsr_ts_fix(struct nsr_conn *conn);
u32 nsr_ts_now(const struct nsr_conn *conn);		/* our TSval at this instant */

/* egress.c, ingress.c: fence; drop-not-reset and freeze */
int nsr_egress_attach(struct nsr_group *g);
void nsr_egress_detach(struct nsr_group *g);
int nsr_ingress_init(struct nsr_net *ns);	/* with the first group; under ns->lock */
void nsr_ingress_exit(struct nsr_net *ns);

static inline bool nsr_is_link_local(u8 family, const void *addr)
{
	return family == AF_INET6 && ipv6_addr_type(addr) & IPV6_ADDR_LINKLOCAL;
}

/*
 * position arithmetic: 64-bit position of sequence number @seq, @base is the sequence number of
 * position 0, @near a position within 2^31 of the answer
 */
static inline u64 nsr_pos_extend(u32 seq, u32 base, u64 near)
{
	return near + (s64)(s32)(seq - base - (u32)near);
}

static inline u32 nsr_pos_to_seq(u64 pos, u32 base)
{
	return base + (u32)pos;
}

/* On a shadow: is the promise of mode lossless kept for it? Else it adopts by the rules of mode adopt. */
static inline bool nsr_conn_is_lossless(const struct nsr_conn *conn)
{
	return conn->rec.mode == TCP_NSR_MODE_LOSSLESS &&
	       !(conn->rec.flags & TCP_NSR_CONN_F_UNPROTECTED);
}

#endif /* _TCP_NSR_NSR_H */
