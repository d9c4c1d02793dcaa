// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: netlink commands of connections and shadows.
 *
 * A record comes from another box, perhaps of a later minor version: attributes that are not known
 * here are skipped; those that are known are checked strictly.
 */
#include <linux/file.h>
#include <linux/net.h>

#include "netlink.h"

/* Flags that the standby is told after the handshake */
#define LATER_FLAGS \
	(TCP_NSR_CONN_F_RCV_FIN | TCP_NSR_CONN_F_EXACT | TCP_NSR_CONN_F_UNPROTECTED)

static const struct nla_policy conn_policy[TCP_NSR_A_CONN_MAX + 1] = {
	[TCP_NSR_A_CONN_ID] = { .type = NLA_U64 },
	[TCP_NSR_A_CONN_RULE_ID] = { .type = NLA_U32 },
	[TCP_NSR_A_CONN_FAMILY] = { .type = NLA_U8 },
	[TCP_NSR_A_CONN_LADDR] = NLA_POLICY_RANGE(NLA_BINARY, 4, 16),
	[TCP_NSR_A_CONN_RADDR] = NLA_POLICY_RANGE(NLA_BINARY, 4, 16),
	[TCP_NSR_A_CONN_LPORT] = { .type = NLA_U16 },
	[TCP_NSR_A_CONN_RPORT] = { .type = NLA_U16 },
	[TCP_NSR_A_CONN_FLAGS] = { .type = NLA_U32 },
	[TCP_NSR_A_CONN_STATE] = { .type = NLA_U8 },
	[TCP_NSR_A_CONN_MODE] = NLA_POLICY_MAX(NLA_U8, TCP_NSR_MODE_LOSSLESS),
	[TCP_NSR_A_CONN_GAP] = NLA_POLICY_MAX(NLA_U8, TCP_NSR_GAP_REPORT),
	[TCP_NSR_A_CONN_ISS] = { .type = NLA_U32 },
	[TCP_NSR_A_CONN_IRS] = { .type = NLA_U32 },
	[TCP_NSR_A_CONN_SND_WSCALE] = NLA_POLICY_MAX(NLA_U8, TCP_MAX_WSCALE),
	[TCP_NSR_A_CONN_RCV_WSCALE] = NLA_POLICY_MAX(NLA_U8, TCP_MAX_WSCALE),
	[TCP_NSR_A_CONN_MSS_CLAMP] = NLA_POLICY_MIN(NLA_U16, TCP_MIN_MSS),
	[TCP_NSR_A_CONN_ADVMSS] = NLA_POLICY_MIN(NLA_U16, TCP_MIN_MSS),
	[TCP_NSR_A_CONN_RCV_NXT] = { .type = NLA_U64 },
	[TCP_NSR_A_CONN_RCV_WUP] = { .type = NLA_U64 },
	[TCP_NSR_A_CONN_COPIED_SEQ] = { .type = NLA_U64 },
	[TCP_NSR_A_CONN_RIGHT_EDGE] = { .type = NLA_U64 },
	[TCP_NSR_A_CONN_SND_UNA] = { .type = NLA_U64 },
	[TCP_NSR_A_CONN_SND_NXT] = { .type = NLA_U64 },
	[TCP_NSR_A_CONN_WRITE_SEQ] = { .type = NLA_U64 },
	[TCP_NSR_A_CONN_SND_WND] = { .type = NLA_U32 },
	[TCP_NSR_A_CONN_TSVAL] = { .type = NLA_U32 },
	[TCP_NSR_A_CONN_TS_RECENT] = { .type = NLA_U32 },
	[TCP_NSR_A_CONN_SNDBUF] = { .type = NLA_U32 },
	[TCP_NSR_A_CONN_RCVBUF] = { .type = NLA_U32 },
	[TCP_NSR_A_CONN_PMTU] = { .type = NLA_U32 },
	[TCP_NSR_A_CONN_RCV_VOUCHED] = { .type = NLA_U64 },
	[TCP_NSR_A_CONN_SND_VOUCHED] = { .type = NLA_U64 },
	[TCP_NSR_A_CONN_GATE] = { .type = NLA_U64 },
	[TCP_NSR_A_CONN_GATE_OPEN] = NLA_POLICY_MAX(NLA_U8, 1),
	[TCP_NSR_A_CONN_OPTS] = { .type = NLA_BINARY },	/* nsr_opts_parse() */
	[TCP_NSR_A_CONN_DEV_NAME] = { .type = NLA_NUL_STRING, .len = IFNAMSIZ - 1 },
	[TCP_NSR_A_CONN_DEV_ROLE] = NLA_POLICY_MAX(NLA_U8, TCP_NSR_DEV_VRF),
};

static int parse_conn(struct nlattr **tb, const struct nlattr *nla, struct netlink_ext_ack *extack)
{
	return __nla_parse(tb, TCP_NSR_A_CONN_MAX, nla_data(nla), nla_len(nla), conn_policy,
			   NL_VALIDATE_TRAILING | NL_VALIDATE_STRICT_ATTRS, extack);
}

static struct nsr_conn *find_by_id(struct nsr_net *ns, const struct nlattr *id,
				   struct netlink_ext_ack *extack)
{
	struct nsr_conn *conn = nsr_conn_find_id(ns, nla_get_u64(id));

	if (!conn)
		NL_SET_ERR_MSG_ATTR(extack, id, "tcp_nsr: CONN: no connection with this ID");
	return conn;
}

static size_t addr_len(u8 family)
{
	return family == AF_INET ? sizeof(__be32) : sizeof(struct in6_addr);
}

/* Family, addresses and ports, all of them needed. */
static int parse_tuple(struct nsr_record *rec, struct nlattr **tb, struct netlink_ext_ack *extack)
{
	if (!tb[TCP_NSR_A_CONN_FAMILY] || !tb[TCP_NSR_A_CONN_LADDR] || !tb[TCP_NSR_A_CONN_RADDR] ||
	    !tb[TCP_NSR_A_CONN_LPORT] || !tb[TCP_NSR_A_CONN_RPORT]) {
		nsr_refuse(extack, "CONN: FAMILY, LADDR, RADDR, LPORT and RPORT are needed");
		return -EINVAL;
	}
	rec->family = nla_get_u8(tb[TCP_NSR_A_CONN_FAMILY]);
	if (rec->family != AF_INET && rec->family != AF_INET6) {
		NL_SET_ERR_MSG_ATTR(extack, tb[TCP_NSR_A_CONN_FAMILY],
				    "tcp_nsr: CONN: FAMILY is AF_INET or AF_INET6");
		return -EINVAL;
	}
	if (nla_len(tb[TCP_NSR_A_CONN_LADDR]) != addr_len(rec->family) ||
	    nla_len(tb[TCP_NSR_A_CONN_RADDR]) != addr_len(rec->family)) {
		nsr_refuse(extack, "CONN: LADDR and RADDR are not as long as FAMILY wants them");
		return -EINVAL;
	}
	nla_memcpy(&rec->laddr, tb[TCP_NSR_A_CONN_LADDR], sizeof(rec->laddr));
	nla_memcpy(&rec->raddr, tb[TCP_NSR_A_CONN_RADDR], sizeof(rec->raddr));
	rec->lport = nla_get_be16(tb[TCP_NSR_A_CONN_LPORT]);
	rec->rport = nla_get_be16(tb[TCP_NSR_A_CONN_RPORT]);
	if (!rec->lport || !rec->rport) {
		nsr_refuse(extack, "CONN: LPORT and RPORT must not be 0");
		return -EINVAL;
	}
	return 0;
}

static u32 u32_or(const struct nlattr *nla, u32 otherwise)
{
	return nla ? nla_get_u32(nla) : otherwise;
}

static u64 u64_or(const struct nlattr *nla, u64 otherwise)
{
	return nla ? nla_get_u64(nla) : otherwise;
}

static u8 u8_or(const struct nlattr *nla, u8 otherwise)
{
	return nla ? nla_get_u8(nla) : otherwise;
}

static int check_state(const struct nlattr *nla, struct netlink_ext_ack *extack)
{
	if (!nla || nla_get_u8(nla) == TCP_ESTABLISHED || nla_get_u8(nla) == TCP_CLOSE_WAIT)
		return 0;
	NL_SET_ERR_MSG_ATTR(extack, nla,
			    "tcp_nsr: CONN: only connections in ESTABLISHED and CLOSE_WAIT are carried");
	return -EINVAL;
}

static void parse_device(struct nsr_device *d, struct nlattr **tb)
{
	memset(d, 0, sizeof(*d));
	d->role = u8_or(tb[TCP_NSR_A_CONN_DEV_ROLE], TCP_NSR_DEV_NAMED);
	if (tb[TCP_NSR_A_CONN_DEV_NAME])
		nla_strscpy(d->name, tb[TCP_NSR_A_CONN_DEV_NAME], sizeof(d->name));
}

static int parse_record(struct nsr_record *rec, struct nlattr **tb, struct netlink_ext_ack *extack)
{
	int err = parse_tuple(rec, tb, extack) ?: check_state(tb[TCP_NSR_A_CONN_STATE], extack);

	if (err)
		return err;
	if (!tb[TCP_NSR_A_CONN_ID] || !tb[TCP_NSR_A_CONN_ISS] || !tb[TCP_NSR_A_CONN_IRS] ||
	    !tb[TCP_NSR_A_CONN_FLAGS] || !tb[TCP_NSR_A_CONN_MSS_CLAMP] ||
	    !tb[TCP_NSR_A_CONN_ADVMSS] || !tb[TCP_NSR_A_CONN_MODE]) {
		nsr_refuse(extack, "CONN: ID, FLAGS, MODE, ISS, IRS, MSS_CLAMP and ADVMSS are needed");
		return -EINVAL;
	}
	rec->id = nla_get_u64(tb[TCP_NSR_A_CONN_ID]);
	rec->flags = nla_get_u32(tb[TCP_NSR_A_CONN_FLAGS]);
	rec->mode = nla_get_u8(tb[TCP_NSR_A_CONN_MODE]);
	rec->gap = u8_or(tb[TCP_NSR_A_CONN_GAP], TCP_NSR_GAP_RESET) ?: TCP_NSR_GAP_RESET;
	rec->rule_id = u32_or(tb[TCP_NSR_A_CONN_RULE_ID], 0);
	rec->iss = nla_get_u32(tb[TCP_NSR_A_CONN_ISS]);
	rec->irs = nla_get_u32(tb[TCP_NSR_A_CONN_IRS]);
	rec->snd_wscale = u8_or(tb[TCP_NSR_A_CONN_SND_WSCALE], 0);
	rec->rcv_wscale = u8_or(tb[TCP_NSR_A_CONN_RCV_WSCALE], 0);
	rec->mss_clamp = nla_get_u16(tb[TCP_NSR_A_CONN_MSS_CLAMP]);
	rec->advmss = nla_get_u16(tb[TCP_NSR_A_CONN_ADVMSS]);
	parse_device(&rec->dev, tb);
	if (!rec->id) {
		nsr_refuse(extack, "CONN: ID must not be 0");
		return -EINVAL;
	}
	if (rec->family == AF_INET6 && rec->flags & TCP_NSR_CONN_F_V4MAPPED) {
		nsr_refuse(extack, "CONN: a v4-mapped connection is recorded as AF_INET");
		return -EINVAL;
	}
	return 0;
}

/* What is not given stays as it is. */
static int parse_cursor(struct nsr_cursor *cur, struct nlattr **tb, struct netlink_ext_ack *extack)
{
	cur->rcv_nxt = u64_or(tb[TCP_NSR_A_CONN_RCV_NXT], cur->rcv_nxt);
	cur->rcv_wup = u64_or(tb[TCP_NSR_A_CONN_RCV_WUP], cur->rcv_wup);
	cur->copied_seq = u64_or(tb[TCP_NSR_A_CONN_COPIED_SEQ], cur->copied_seq);
	cur->right_edge = u64_or(tb[TCP_NSR_A_CONN_RIGHT_EDGE], cur->right_edge);
	cur->snd_una = u64_or(tb[TCP_NSR_A_CONN_SND_UNA], cur->snd_una);
	cur->snd_nxt = u64_or(tb[TCP_NSR_A_CONN_SND_NXT], cur->snd_nxt);
	cur->write_seq = u64_or(tb[TCP_NSR_A_CONN_WRITE_SEQ], cur->write_seq);
	cur->snd_wnd = u32_or(tb[TCP_NSR_A_CONN_SND_WND], cur->snd_wnd);
	cur->ts_recent = u32_or(tb[TCP_NSR_A_CONN_TS_RECENT], cur->ts_recent);
	cur->sndbuf = u32_or(tb[TCP_NSR_A_CONN_SNDBUF], cur->sndbuf);
	cur->rcvbuf = u32_or(tb[TCP_NSR_A_CONN_RCVBUF], cur->rcvbuf);
	cur->pmtu = u32_or(tb[TCP_NSR_A_CONN_PMTU], cur->pmtu);
	cur->state = u8_or(tb[TCP_NSR_A_CONN_STATE], cur->state);
	/* The far end's clock runs on from the instant at which TSVAL was right. */
	if (tb[TCP_NSR_A_CONN_TSVAL]) {
		cur->tsval = nla_get_u32(tb[TCP_NSR_A_CONN_TSVAL]);
		cur->taken_at = ktime_get_boottime_ns();
	}
	if (!tb[TCP_NSR_A_CONN_OPTS])
		return 0;
	return nsr_opts_parse(&cur->opts, tb[TCP_NSR_A_CONN_OPTS], extack);
}

/* Positions that contradict each other would be adopted as they are. */
static int check_cursor(const struct nsr_cursor *cur, struct netlink_ext_ack *extack)
{
	if (cur->snd_una > cur->snd_nxt || cur->snd_nxt > cur->write_seq) {
		nsr_refuse(extack, "CONN: SND_UNA <= SND_NXT <= WRITE_SEQ does not hold");
		return -EINVAL;
	}
	if (cur->copied_seq > cur->rcv_nxt || cur->rcv_wup > cur->rcv_nxt) {
		nsr_refuse(extack, "CONN: COPIED_SEQ and RCV_WUP must not be above RCV_NXT");
		return -EINVAL;
	}
	return 0;
}

static void parse_vouched(struct nsr_conn *conn, struct nlattr **tb)
{
	if (tb[TCP_NSR_A_CONN_RCV_VOUCHED]) {
		conn->rcv_vouched = nla_get_u64(tb[TCP_NSR_A_CONN_RCV_VOUCHED]);
		conn->has_rcv_vouched = true;
	}
	if (tb[TCP_NSR_A_CONN_SND_VOUCHED]) {
		conn->snd_vouched = nla_get_u64(tb[TCP_NSR_A_CONN_SND_VOUCHED]);
		conn->has_snd_vouched = true;
	}
}

/* The socket of FD, with a reference on its file, if it can become a shadow; ERR_PTR. */
static struct socket *take_socket(struct genl_info *info, const struct nsr_record *rec)
{
	u8 family = rec->flags & TCP_NSR_CONN_F_V4MAPPED ? AF_INET6 : rec->family;
	struct netlink_ext_ack *extack = info->extack;
	struct socket *sock;
	int err;

	sock = sockfd_lookup(nla_get_s32(info->attrs[TCP_NSR_A_FD]), &err);
	if (!sock) {
		NL_SET_ERR_MSG_ATTR(extack, info->attrs[TCP_NSR_A_FD],
				    "tcp_nsr: FD: not a socket of the caller");
		return ERR_PTR(err);
	}
	err = -EPROTOTYPE;
	if (sock->type != SOCK_STREAM || sock->sk->sk_protocol != IPPROTO_TCP)
		nsr_refuse(extack, "FD: not a TCP socket");
	else if (sock->sk->sk_family != family)
		nsr_refuse(extack, "FD: the socket is not of the record's family");
	else if (!net_eq(sock_net(sock->sk), genl_info_net(info)))
		nsr_refuse(extack, "FD: the socket is of another network namespace");
	else
		return sock;
	sockfd_put(sock);
	return ERR_PTR(err);
}

static int check_fresh(const struct socket *sock, struct netlink_ext_ack *extack)
{
	const struct sock *sk = sock->sk;

	if (sk->sk_state != TCP_CLOSE || sock->state != SS_UNCONNECTED) {
		nsr_refuse(extack, "FD: the socket is connected or listens: give a fresh one");
		return -EISCONN;
	}
	if (inet_sk(sk)->inet_num || inet_csk(sk)->icsk_ulp_ops) {
		nsr_refuse(extack, "FD: the socket is bound or has a ULP: give a fresh one");
		return -EISCONN;
	}
	return 0;
}

static int set_fresh_opts(struct socket *sock, const struct nsr_conn *conn, struct netlink_ext_ack *extack)
{
	static const struct nsr_opts defaults;
	int err;

	lock_sock(sock->sk);
	err = check_fresh(sock, extack);
	release_sock(sock->sk);
	if (!err)
		nsr_opts_apply(sock->sk, conn->rec.family, &defaults, &conn->cur.opts);
	return err;
}

/* Before the socket is touched; ns->lock keeps other injections out. */
static int check_room(struct nsr_net *ns, u64 id, struct netlink_ext_ack *extack)
{
	struct nsr_conn *conn = nsr_conn_find_id(ns, id);

	if (conn) {
		nsr_conn_put(conn);
		nsr_refuse(extack, "CONN: a connection with this ID is there: CONN_DEL it first");
		return -EEXIST;
	}
	if (READ_ONCE(ns->nr_shadows) >= READ_ONCE(ns->max_shadows)) {
		NSR_SET_ERR_MSG_FMT(extack, "MAX_SHADOWS reached: raise it by NS_SET",
				    "MAX_SHADOWS reached, %u: raise it by NS_SET", ns->max_shadows);
		return -ENOSPC;
	}
	return 0;
}

/* All of it has been looked at before: what can still go wrong came in between. */
static void name_race(int err, struct netlink_ext_ack *extack)
{
	switch (err) {
	case -ENOENT:
		NL_SET_ERR_MSG(extack, "tcp_nsr: the group was deleted meanwhile");
		break;
	case -EEXIST:
		NL_SET_ERR_MSG(extack, "tcp_nsr: another connection with this ID, or this socket, came meanwhile");
		break;
	case -ENOSPC:
		NL_SET_ERR_MSG(extack, "tcp_nsr: MAX_SHADOWS reached meanwhile: raise it by NS_SET");
		break;
	case -ESHUTDOWN:
		NL_SET_ERR_MSG(extack, "tcp_nsr: the module is being unloaded");
		break;
	default:
		NL_SET_ERR_MSG(extack, "tcp_nsr: no memory for one more shadow");
		break;
	}
}

static int inject_sock(struct nsr_conn *conn, struct socket *sock, struct netlink_ext_ack *extack)
{
	struct nsr_net *ns = conn->ns;
	bool made = false;
	int err, bound;

	mutex_lock(&ns->lock);
	lock_sock(sock->sk);
	bound = sock->sk->sk_bound_dev_if;
	err = check_fresh(sock, extack) ?: check_room(ns, conn->rec.id, extack) ?:
	      nsr_device_bind(conn, extack) ?: nsr_shadow_create(conn, extack);
	if (!err) {
		made = true;
		err = nsr_conn_publish(conn);
		if (err)
			name_race(err, extack);
	}
	if (!made)
		WRITE_ONCE(sock->sk->sk_bound_dev_if, bound);
	/* The role may have turned since: its probes have begun without this one. */
	if (!err && nsr_group_is_active(conn->group) && conn->phase == TCP_NSR_PHASE_SHADOW)
		nsr_probe_soon(conn);
	release_sock(sock->sk);
	if (err && made)
		nsr_shadow_abandon(conn);
	mutex_unlock(&ns->lock);
	return err;
}

static struct nsr_conn *conn_from_record(struct nsr_net *ns, struct nsr_group *g, struct sock *sk,
					 const struct nsr_record *rec, struct nlattr **tb,
					 struct netlink_ext_ack *extack, int *err)
{
	struct nsr_conn *conn = nsr_conn_create(ns, g, sk, GFP_KERNEL);

	*err = -ENOMEM;
	if (!conn)
		return NULL;
	conn->rec = *rec;
	conn->phase = TCP_NSR_PHASE_SHADOW;
	conn->cur.state = TCP_ESTABLISHED;
	conn->cur.taken_at = ktime_get_boottime_ns();
	*err = parse_cursor(&conn->cur, tb, extack);
	/* A record without all cursors: what can be said from those that are there. */
	if (!tb[TCP_NSR_A_CONN_RCV_WUP])
		conn->cur.rcv_wup = conn->cur.rcv_nxt;
	if (!tb[TCP_NSR_A_CONN_COPIED_SEQ])
		conn->cur.copied_seq = conn->cur.rcv_nxt;
	if (!tb[TCP_NSR_A_CONN_SND_NXT])
		conn->cur.snd_nxt = conn->cur.snd_una;
	if (!tb[TCP_NSR_A_CONN_WRITE_SEQ])
		conn->cur.write_seq = conn->cur.snd_nxt;
	parse_vouched(conn, tb);
	return conn;
}

static int inject(struct nsr_net *ns, struct genl_info *info, struct socket *sock,
		  const struct nsr_record *rec, struct nlattr **tb)
{
	bool late = nla_get_flag(info->attrs[TCP_NSR_A_LATE]);
	struct nsr_conn *conn;
	struct nsr_group *g;
	int err;

	g = nsr_info_group(info, &err);
	if (!g)
		return err;
	if (nsr_group_is_active(g) && !late) {
		nsr_refuse(info->extack, "the group is ACTIVE: a shadow for it must be LATE");
		err = -EBUSY;
		goto out_group;
	}
	conn = conn_from_record(ns, g, sock->sk, rec, tb, info->extack, &err);
	err = err ?: check_cursor(&conn->cur, info->extack);
	if (err)
		goto out_conn;
	/* ORDER: before it can speak: a late shadow's first probe needs its TTL. */
	err = set_fresh_opts(sock, conn, info->extack);
	if (err)
		goto out_conn;

	err = inject_sock(conn, sock, info->extack);
	if (!err)
		nsr_stat_inc(g, TCP_NSR_A_STAT_INJECTED);
out_conn:
	if (conn)
		nsr_conn_put(conn);
out_group:
	nsr_group_put(g);
	return err;
}

int nsr_nl_conn_inject(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *tb[TCP_NSR_A_CONN_MAX + 1];
	struct nsr_record rec = {};
	struct socket *sock;
	int err;

	if (!nsr_need(info, GROUP_ID) || !nsr_need(info, FD) || !nsr_need(info, CONN))
		return -EINVAL;
	err = parse_conn(tb, info->attrs[TCP_NSR_A_CONN], info->extack) ?:
	      parse_record(&rec, tb, info->extack);
	if (err)
		return err;
	sock = take_socket(info, &rec);
	if (IS_ERR(sock))
		return PTR_ERR(sock);
	err = inject(nsr_info_ns(info), info, sock, &rec, tb);
	sockfd_put(sock);
	return err;
}

static bool says_device(struct nlattr **tb)
{
	return tb[TCP_NSR_A_CONN_DEV_NAME] || tb[TCP_NSR_A_CONN_DEV_ROLE];
}

static bool says_positions(struct nlattr **tb)
{
	int i;

	for (i = TCP_NSR_A_CONN_RCV_NXT; i <= TCP_NSR_A_CONN_SND_VOUCHED; i++)
		if (tb[i])
			return true;
	return tb[TCP_NSR_A_CONN_FLAGS] || tb[TCP_NSR_A_CONN_STATE] || tb[TCP_NSR_A_CONN_OPTS] ||
	       says_device(tb);
}

/* Socket locked. @was: options before. */
static int set_shadow(struct nsr_conn *conn, struct nlattr **tb, struct nsr_opts *was,
		      struct netlink_ext_ack *extack)
{
	struct nsr_cursor cur = conn->cur;
	struct nsr_device d;
	int err;

	*was = cur.opts;
	if (conn->phase != TCP_NSR_PHASE_SHADOW) {
		nsr_refuse(extack, "CONN: it is no shadow any more: its positions are its own");
		return -EALREADY;
	}
	err = parse_cursor(&cur, tb, extack) ?: check_state(tb[TCP_NSR_A_CONN_STATE], extack) ?:
	      check_cursor(&cur, extack);
	if (err)
		return err;
	/* The spinlock too: nsr_cursor_read() does not wait for an owner. */
	spin_lock_bh(&conn->sk->sk_lock.slock);
	conn->cur = cur;
	spin_unlock_bh(&conn->sk->sk_lock.slock);
	parse_vouched(conn, tb);
	if (tb[TCP_NSR_A_CONN_FLAGS])
		conn->rec.flags = (conn->rec.flags & ~LATER_FLAGS) |
				  (nla_get_u32(tb[TCP_NSR_A_CONN_FLAGS]) & LATER_FLAGS);
	/* What else was said counts, whether there is such a device here or not. */
	if (says_device(tb)) {
		parse_device(&d, tb);
		err = nsr_device_set(conn, &d, extack);
	}
	/* In mode naive only this says that there is something to look at. */
	if (nsr_group_is_active(conn->group))
		nsr_probe_soon(conn);
	return err;
}

/* The policy of the rule that it came by; without one the safe policy. */
static u8 gap_of_rule(struct nsr_conn *conn)
{
	const struct nsr_rule *rule;
	u8 gap = TCP_NSR_GAP_RESET;

	rcu_read_lock();
	list_for_each_entry_rcu(rule, &conn->group->rules, node)
		if (rule->id == conn->rec.rule_id)
			gap = rule->gap;
	rcu_read_unlock();
	return gap;
}

/* What belongs under the socket lock. */
static int set_locked(struct nsr_conn *conn, struct nlattr **tb, struct netlink_ext_ack *extack)
{
	bool positions = says_positions(tb);
	struct nsr_opts was, opts;
	int err = 0;

	lock_sock(conn->sk);
	if (positions)
		err = set_shadow(conn, tb, &was, extack);
	opts = conn->cur.opts;
	/* -ENODEV: all but the device was taken. */
	if ((!err || err == -ENODEV) && tb[TCP_NSR_A_CONN_GAP])
		conn->rec.gap = nla_get_u8(tb[TCP_NSR_A_CONN_GAP]) ?: gap_of_rule(conn);
	release_sock(conn->sk);
	/* What its own application has set meanwhile stays, until the active's sets another value. */
	if (positions && (!err || err == -ENODEV))
		nsr_opts_apply(conn->sk, conn->rec.family, &was, &opts);
	return err;
}

/* Gates move with every read of an application: that waits for no other one's socket. */
static int set_gate(struct nsr_conn *conn, struct nlattr **tb, bool *closed,
		    struct netlink_ext_ack *extack)
{
	struct nsr_gate_req req = {
		.has_gate = tb[TCP_NSR_A_CONN_GATE],
		.has_open = tb[TCP_NSR_A_CONN_GATE_OPEN],
	};
	int err;

	if (req.has_gate)
		req.gate = nla_get_u64(tb[TCP_NSR_A_CONN_GATE]);
	if (req.has_open)
		req.open = nla_get_u8(tb[TCP_NSR_A_CONN_GATE_OPEN]);
	err = nsr_gate_set(conn, &req, extack);
	*closed |= req.closed;
	return err;
}

static int set_one(struct nsr_net *ns, const struct nlattr *nla, bool *closed,
		   struct netlink_ext_ack *extack)
{
	struct nlattr *tb[TCP_NSR_A_CONN_MAX + 1];
	struct nsr_conn *conn;
	int err;

	err = parse_conn(tb, nla, extack);
	if (err)
		return err;
	if (!tb[TCP_NSR_A_CONN_ID]) {
		nsr_refuse(extack, "CONN: ID is missing");
		return -EINVAL;
	}
	conn = find_by_id(ns, tb[TCP_NSR_A_CONN_ID], extack);
	if (!conn)
		return -ENOENT;
	if (says_positions(tb) || tb[TCP_NSR_A_CONN_GAP])
		err = set_locked(conn, tb, extack);
	if (!err && (tb[TCP_NSR_A_CONN_GATE] || tb[TCP_NSR_A_CONN_GATE_OPEN]))
		err = set_gate(conn, tb, closed, extack);
	nsr_conn_put(conn);
	return err;
}

int nsr_nl_conn_set(struct sk_buff *skb, struct genl_info *info)
{
	struct netlink_ext_ack ignored = {};
	const struct nlattr *nla;
	int rem, err, first = 0;
	bool any = false, closed = false;

	nlmsg_for_each_attr(nla, info->nlhdr, GENL_HDRLEN, rem) {
		if (nla_type(nla) != TCP_NSR_A_CONN)
			continue;
		any = true;
		err = set_one(nsr_info_ns(info), nla, &closed, first ? &ignored : info->extack);
		if (!first)
			first = err;
		cond_resched();
	}
	if (!any) {
		nsr_refuse(info->extack, "CONN is missing");
		return -EINVAL;
	}
	if (closed)
		nsr_gate_sync();
	return first;
}

int nsr_nl_conn_del(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *tb[TCP_NSR_A_CONN_MAX + 1];
	struct nsr_conn *conn;
	int err;

	if (!nsr_need(info, CONN))
		return -EINVAL;
	err = parse_conn(tb, info->attrs[TCP_NSR_A_CONN], info->extack);
	if (err)
		return err;
	if (!tb[TCP_NSR_A_CONN_ID]) {
		nsr_refuse(info->extack, "CONN: ID is missing");
		return -EINVAL;
	}
	conn = find_by_id(nsr_info_ns(info), tb[TCP_NSR_A_CONN_ID], info->extack);
	if (!conn)
		return -ENOENT;
	if (nla_get_flag(info->attrs[TCP_NSR_A_RESET]) &&
	    READ_ONCE(conn->phase) != TCP_NSR_PHASE_SHADOW) {
		conn->close_cause = TCP_NSR_CLOSE_ADMIN;
		tcp_abort(conn->sk, ECONNABORTED);
		nsr_conn_end(conn);
	} else {
		nsr_conn_retire(conn);
	}
	nsr_conn_put(conn);
	return 0;
}

/* Everything about a connection, as one message's attributes. */
static int put_conn(struct sk_buff *skb, struct nsr_conn *conn)
{
	struct nsr_cursor cur = conn->cur;
	unsigned int what = NSR_FILL_TUPLE | NSR_FILL_RECORD | NSR_FILL_CURSOR | NSR_FILL_VOUCHED |
			    NSR_FILL_OPTS;

	/* First the number: what happens from here on is in a later event. */
	if (nsr_put_u64(skb, TCP_NSR_A_EVENT_SEQ, READ_ONCE(conn->ns->event_seq)) ||
	    nla_put_u32(skb, TCP_NSR_A_GROUP_ID, conn->group->id))
		return -EMSGSIZE;
	if (READ_ONCE(conn->phase) == TCP_NSR_PHASE_REFUSED)
		return nsr_conn_fill(skb, conn, &cur, NSR_FILL_TUPLE | NSR_FILL_REFUSED);
	local_bh_disable();
	nsr_cursor_read(conn, &cur);
	local_bh_enable();
	if (READ_ONCE(conn->phase) != TCP_NSR_PHASE_PROTECTED)
		what |= NSR_FILL_ADOPTED | NSR_FILL_GAPS;
	if (READ_ONCE(conn->gated))
		what |= NSR_FILL_GATE;
	return nsr_conn_fill(skb, conn, &cur, what);
}

static bool same_tuple(const struct nsr_record *a, const struct nsr_record *b)
{
	return a->family == b->family && a->lport == b->lport && a->rport == b->rport &&
	       !memcmp(&a->laddr, &b->laddr, addr_len(a->family)) &&
	       !memcmp(&a->raddr, &b->raddr, addr_len(a->family));
}

/* @group: 0: of any. The same tuple may be there in several VRFs. */
static struct nsr_conn *find_by_tuple(struct nsr_net *ns, u32 group, struct nlattr **tb,
				      struct netlink_ext_ack *extack, int *err)
{
	struct nsr_record rec = {};
	struct nsr_conn *conn = NULL;
	u64 serial = 0;

	*err = parse_tuple(&rec, tb, extack);
	if (*err)
		return NULL;
	while ((conn = nsr_conn_next(ns, conn, &serial)))
		if ((!group || conn->group->id == group) && same_tuple(&conn->rec, &rec))
			return conn;
	*err = -ENOENT;
	nsr_refuse(extack, "CONN: no connection with this 4-tuple");
	return NULL;
}

int nsr_nl_conn_get(struct sk_buff *skb, struct genl_info *info)
{
	struct nsr_net *ns = nsr_info_ns(info);
	struct nlattr *tb[TCP_NSR_A_CONN_MAX + 1];
	struct nsr_conn *conn;
	struct nsr_reply reply;
	int err;

	if (!nsr_need(info, CONN))
		return -EINVAL;
	err = parse_conn(tb, info->attrs[TCP_NSR_A_CONN], info->extack);
	if (err)
		return err;
	if (tb[TCP_NSR_A_CONN_ID]) {
		conn = find_by_id(ns, tb[TCP_NSR_A_CONN_ID], info->extack);
		err = -ENOENT;
	} else {
		conn = find_by_tuple(ns, u32_or(info->attrs[TCP_NSR_A_GROUP_ID], 0), tb, info->extack,
				     &err);
	}
	if (!conn)
		return err;
	err = nsr_reply_start(&reply, info, TCP_NSR_CMD_CONN_GET);
	if (!err)
		err = nsr_reply_send(&reply, info, put_conn(reply.skb, conn));
	nsr_conn_put(conn);
	return err;
}

/* Where a dump stands between two messages */
struct conn_dump {
	struct nsr_conn *next;		/* did not fit; with a reference */
	u64 serial;
	u32 group;
	bool done;
};

static struct conn_dump *dump_state(struct netlink_callback *cb)
{
	BUILD_BUG_ON(sizeof(struct conn_dump) > sizeof(cb->ctx));
	return (struct conn_dump *)cb->ctx;
}

int nsr_nl_conn_dump_start(struct netlink_callback *cb)
{
	struct conn_dump *dump = dump_state(cb);

	memset(dump, 0, sizeof(*dump));
	dump->group = u32_or(nsr_dump_attrs(cb)[TCP_NSR_A_GROUP_ID], 0);
	return 0;
}

static int dump_one(struct sk_buff *skb, struct netlink_callback *cb, struct nsr_conn *conn)
{
	void *hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
				&nsr_genl_family, NLM_F_MULTI, TCP_NSR_CMD_CONN_GET);

	if (!hdr)
		return -EMSGSIZE;
	genl_dump_check_consistent(cb, hdr);
	if (put_conn(skb, conn)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

int nsr_nl_conn_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct nsr_net *ns = nsr_pernet(sock_net(skb->sk));
	struct conn_dump *dump = dump_state(cb);
	struct nsr_conn *conn = dump->next;
	int err = nsr_nl_dump_check(cb);

	if (err)
		return err;
	if (dump->done)
		return 0;
	cb->seq = READ_ONCE(ns->generation);
	if (!conn)
		conn = nsr_conn_next(ns, NULL, &dump->serial);
	while (conn) {
		if ((!dump->group || conn->group->id == dump->group) && !READ_ONCE(conn->dead) &&
		    dump_one(skb, cb, conn))
			break;
		conn = nsr_conn_next(ns, conn, &dump->serial);
	}
	dump->next = conn;
	dump->done = !conn;
	return skb->len;
}

int nsr_nl_conn_dump_done(struct netlink_callback *cb)
{
	struct conn_dump *dump = dump_state(cb);

	if (dump->next)
		nsr_conn_put(dump->next);
	dump->next = NULL;
	return 0;
}
