/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * tcp_nsr: generic netlink family of the TCP non-stop routing module.
 *
 * Byte order: addresses and ports in network byte order, every other integer in host order (a sync
 * link between boxes of different byte order is refused at its HELLO).
 *
 * Positions are 64-bit offsets in a byte stream: 0 is the first payload byte (initial sequence number
 * + 1). A FIN counts as one position. Times are CLOCK_BOOTTIME nanoseconds unless a name says
 * otherwise.
 *
 * Rights: every command that sets something, CONN_GET, and the event group need CAP_NET_ADMIN in the
 * network namespace's user namespace; the family works in the initial user namespace only (EPERM). A
 * refusal carries an extended ACK that names the thing and the remedy.
 *
 * Errors of every command, not repeated below: EINVAL: an attribute is missing, unknown or malformed;
 * ERANGE: a number or a length is out of its range; ENOENT: no such group, rule or connection; ENOMEM.
 *
 * A connection record (TCP_NSR_A_CONN, nested) is one set of attributes everywhere: in the events of
 * the active's kernel, on the sync link, in CONN_INJECT on the standby.
 */
#ifndef _UAPI_LINUX_TCP_NSR_H
#define _UAPI_LINUX_TCP_NSR_H

#include <linux/types.h>

#define TCP_NSR_GENL_NAME	"tcp_nsr"
#define TCP_NSR_GENL_VERSION	1
#define TCP_NSR_MCGRP_EVENTS	"events"

/* Version of the attribute schema, also spoken on the sync link. Peers need an equal major number;
 * unknown attributes are skipped. */
#define TCP_NSR_SCHEMA_MAJOR	1
#define TCP_NSR_SCHEMA_MINOR	0

/* Largest number of group addresses, and of rules in a group. */
#define TCP_NSR_MAX_ADDRS	64
#define TCP_NSR_MAX_RULES	256

/**
 * enum tcp_nsr_cmd - commands (CMD) and unasked messages (NTF, multicast to group "events")
 *
 * @TCP_NSR_CMD_INFO_GET: do: schema, limits, counts, EVENT_SEQ of the namespace.
 * @TCP_NSR_CMD_NS_SET: do: MAX_CONNS, MAX_SHADOWS, CURSOR_INTERVAL_MS, each optional.
 * @TCP_NSR_CMD_GROUP_SET: do: creates or changes group GROUP_ID: ADDRS (needed), IFINDEX (needed with MAC), MAC,
 *	the *_MS bounds, PROBE_RATE, ON_DEATH; what is absent gets its default. A new group has role STANDBY (mute) and
 *	generation 1. Changing never touches the role. ENODEV: no device IFINDEX; EBUSY: an address in
 *	this VRF, or the MAC on this device, is another group's; EOPNOTSUPP: a kernel without CONFIG_NETFILTER_EGRESS.
 * @TCP_NSR_CMD_GROUP_DEL: do: GROUP_ID. EBUSY, with their number, while it has connections or shadows,
 *	unless FLUSH is given: then protected connections become ordinary, and shadows are closed silently.
 * @TCP_NSR_CMD_GROUP_GET: do with GROUP_ID, dump without. Answers with configuration, role, lease,
 *	NUM_CONNS, NUM_SHADOWS, NUM_REFUSED and STATS, all of the group.
 * @TCP_NSR_CMD_ROLE_SET: do: GROUP_ID, ROLE, TERM, TERM_OWNER, LEASE_UNTIL (role ACTIVE only), GENERATION
 *	expected. One store for the whole group, whatever the number of shadows. The answer carries the
 *	new GENERATION. ESTALE: other generation; ETIME: LEASE_UNTIL is past; EINVAL also: TERM lower than the
 *	group's, or LEASE_UNTIL with role STANDBY.
 * @TCP_NSR_CMD_LEASE_SET: do: GROUP_ID, LEASE_UNTIL, GENERATION. ESTALE: other generation; ETIME: the lease
 *	has lapsed, or LEASE_UNTIL is past; EPERM: the role is mute.
 * @TCP_NSR_CMD_MUTE: do: GROUP_ID. Role becomes STANDBY, generation + 1 (also if it was STANDBY),
 *	effective for the very next frame. The answer carries the new GENERATION. DESTROY given: the group's
 *	connections, but for shadows, are destroyed silently.
 * @TCP_NSR_CMD_READY_SET: do: GROUP_ID, any of READY_UNTIL, GATES_OPEN, EPOCH: kept for a restarted daemon.
 *	GATES_OPEN also opens and closes the gates of the group's lossless connections.
 * @TCP_NSR_CMD_FREEZE: do: GROUP_ID, FROZEN 1 or 0. While frozen, inbound segments of the group's
 *	protected connections are dropped (the far end repeats them): planned switchover. A new reign thaws.
 * @TCP_NSR_CMD_RULE_SET: do: GROUP_ID, RULE (nested): ID, MODE, and LPORT or RPORT are needed. Upsert by ID.
 *	ENOSPC: the group has TCP_NSR_MAX_RULES.
 * @TCP_NSR_CMD_RULE_DEL: do: GROUP_ID, RULE with ID. Connections that it matched stay protected.
 * @TCP_NSR_CMD_RULE_GET: dump, GROUP_ID optional.
 * @TCP_NSR_CMD_CONN_GET: do: CONN with ID, or with the 4-tuple; do with the 4-tuple, dump: GROUP_ID optional. Positions and
 *	cursors are read from the socket at that moment. Dumps are generation-checked (NLM_F_DUMP_INTR),
 *	each message carries EVENT_SEQ: events up to it are in the dump.
 * @TCP_NSR_CMD_CONN_INJECT: do: GROUP_ID, FD, CONN. FD is a fresh (TCP_CLOSE) TCP socket of the record's
 *	family in the caller's namespace; it becomes a shadow. The group must not be ACTIVE, unless LATE is given
 *	(a shadow made after the role flip; it is solicited at once): EBUSY. EEXIST: the 4-tuple or the ID is
 *	taken; EADDRINUSE: another socket has LPORT for itself; ENOSPC: MAX_SHADOWS reached; EBADF, ENOTSOCK: FD is no
 *	socket; EPROTOTYPE: not TCP, or of another family or namespace; EISCONN, EPROTO: not fresh; ENOKEY: FLAGS have
 *	MD5, and the socket has no key; ENODEV: no device here as in DEV_NAME, DEV_ROLE; EOPNOTSUPP: this kernel or this kind of socket cannot carry the record;
 *	ESHUTDOWN: the module is being unloaded.
 * @TCP_NSR_CMD_CONN_SET: do: CONN with ID and any of the cursors, STATE, vouched positions, OPTS, FLAGS (EXACT, RCV_FIN,
 *	UNPROTECTED): what a shadow will adopt by, EALREADY once it is none; GAP at any time; GATE, GATE_OPEN of a
 *	lossless connection, EALREADY while it is a shadow. A message may carry several CONN attributes: all are
 *	tried, the first error is returned.
 * @TCP_NSR_CMD_CONN_DEL: do: CONN with ID. A shadow is closed silently; a protected connection becomes an
 *	ordinary one (RESET given: it is reset towards the far end).
 * @TCP_NSR_CMD_FLUSH: do: GROUP_ID optional: as GROUP_DEL FLUSH, but the group stays.
 * @TCP_NSR_CMD_CONN_ADD_NTF: a connection became protected: EVENT_SEQ, GROUP_ID, CONN (whole record).
 * @TCP_NSR_CMD_CONN_CHANGE_NTF: cursors, options, TCP state, or adoption state changed: EVENT_SEQ, GROUP_ID and one
 *	or more CONN with ID and what changed. Adoption carries PHASE, ADOPTED_BY, the cursors,
 *	*_MISSING, *_UNCERTAIN.
 * @TCP_NSR_CMD_CONN_DEL_NTF: a protected connection or a shadow ended: EVENT_SEQ, GROUP_ID, CONN with ID,
 *	4-tuple, PHASE, CLOSE_CAUSE, and for a gap ADOPTED_BY, *_MISSING, *_UNCERTAIN.
 * @TCP_NSR_CMD_CONN_REFUSED_NTF: a rule matches a connection that cannot be protected: EVENT_SEQ, GROUP_ID, CONN with ID,
 *	4-tuple, RULE_ID, MODE, COOKIE, PHASE (REFUSED) and REFUSED. It works as any other. CONN_GET tells of it,
 *	CONN_DEL_NTF of its end.
 * @TCP_NSR_CMD_GROUP_NTF: role set, lease lapsed, group settled, application died: EVENT_SEQ, GROUP_ID, REASON (enum
 *	tcp_nsr_group_reason), ROLE, TERM, TERM_OWNER, GENERATION, SETTLED.
 */
enum tcp_nsr_cmd {
	TCP_NSR_CMD_UNSPEC,
	TCP_NSR_CMD_INFO_GET,
	TCP_NSR_CMD_NS_SET,
	TCP_NSR_CMD_GROUP_SET,
	TCP_NSR_CMD_GROUP_DEL,
	TCP_NSR_CMD_GROUP_GET,
	TCP_NSR_CMD_ROLE_SET,
	TCP_NSR_CMD_LEASE_SET,
	TCP_NSR_CMD_MUTE,
	TCP_NSR_CMD_READY_SET,
	TCP_NSR_CMD_FREEZE,
	TCP_NSR_CMD_RULE_SET,
	TCP_NSR_CMD_RULE_DEL,
	TCP_NSR_CMD_RULE_GET,
	TCP_NSR_CMD_CONN_GET,
	TCP_NSR_CMD_CONN_INJECT,
	TCP_NSR_CMD_CONN_SET,
	TCP_NSR_CMD_CONN_DEL,
	TCP_NSR_CMD_FLUSH,
	TCP_NSR_CMD_CONN_ADD_NTF,
	TCP_NSR_CMD_CONN_CHANGE_NTF,
	TCP_NSR_CMD_CONN_DEL_NTF,
	TCP_NSR_CMD_GROUP_NTF,
	TCP_NSR_CMD_CONN_REFUSED_NTF,

	__TCP_NSR_CMD_MAX,
	TCP_NSR_CMD_MAX = __TCP_NSR_CMD_MAX - 1
};

/** enum tcp_nsr_role - a group's role as far as the kernel is concerned; only ACTIVE may emit */
enum tcp_nsr_role {
	TCP_NSR_ROLE_STANDBY,
	TCP_NSR_ROLE_ACTIVE,
};

/** enum tcp_nsr_mode - how a rule's connections are protected */
enum tcp_nsr_mode {
	TCP_NSR_MODE_NAIVE,	/* first segment decides; a control for measurements, unsafe */
	TCP_NSR_MODE_ADOPT,
	TCP_NSR_MODE_LOSSLESS,
};

/** enum tcp_nsr_gap - what happens when bytes are missing at adoption */
enum tcp_nsr_gap {
	TCP_NSR_GAP_RULE,	/* CONN_SET only: back to the rule's policy */
	TCP_NSR_GAP_RESET,
	TCP_NSR_GAP_REPORT,
};

/** enum tcp_nsr_phase - what a connection in the module's table is */
enum tcp_nsr_phase {
	TCP_NSR_PHASE_PROTECTED,	/* an ordinary socket, born on this box */
	TCP_NSR_PHASE_SHADOW,		/* positions not set */
	TCP_NSR_PHASE_PROVISIONAL,	/* positions set, hook still in place */
	TCP_NSR_PHASE_RESUMED,		/* an ordinary socket again; protected like PROTECTED */
	TCP_NSR_PHASE_REFUSED,		/* an ordinary socket that a rule matches, and that cannot be protected: REFUSED */
};

/** enum tcp_nsr_adopted_by - what vouched for the send position */
enum tcp_nsr_adopted_by {
	TCP_NSR_ADOPTED_NONE,
	TCP_NSR_ADOPTED_DSACK,		/* nonce: D-SACK of our probe */
	TCP_NSR_ADOPTED_TSECR,		/* nonce: echo of our TSval */
	TCP_NSR_ADOPTED_AGE,		/* first answers after a segment life */
	TCP_NSR_ADOPTED_HANDOVER,	/* positions of a planned switchover */
	TCP_NSR_ADOPTED_FIRST,		/* mode naive */
};

/** enum tcp_nsr_refused - why a connection that a rule matches is not protected */
enum tcp_nsr_refused {
	TCP_NSR_REFUSED_NOT,
	TCP_NSR_REFUSED_MPTCP,		/* a subflow of Multipath TCP */
	TCP_NSR_REFUSED_AO,		/* signed by TCP-AO (RFC 5925) */
	TCP_NSR_REFUSED_FASTOPEN,	/* TCP Fast Open: data came or went with the SYN */
	TCP_NSR_REFUSED_ULP,		/* another protocol sits on the socket: TLS, ... */
	TCP_NSR_REFUSED_GATE,		/* mode lossless: its operations are another subsystem's, no gate fits */
};

/**
 * enum tcp_nsr_dev_role - what the device that a socket is bound to is to the group
 *
 * CONN_INJECT binds FD to this box's own device of that role, whatever its name or index; of NAMED to the one
 * called DEV_NAME. A record without both leaves FD bound as it is.
 */
enum tcp_nsr_dev_role {
	TCP_NSR_DEV_NAMED,
	TCP_NSR_DEV_SERVICE,		/* the service interface (IFINDEX of the group) */
	TCP_NSR_DEV_VRF,		/* the VRF that the service interface belongs to */
};

/** enum tcp_nsr_close_cause - why a connection left the table */
enum tcp_nsr_close_cause {
	TCP_NSR_CLOSE_LOCAL,		/* close(), shutdown() by the application; exit with status 0 */
	TCP_NSR_CLOSE_DEATH,		/* the application died: signal or non-zero exit status */
	TCP_NSR_CLOSE_PEER,		/* RST from the far end, time-out, ICMP */
	TCP_NSR_CLOSE_GAP,		/* reset by gap policy */
	TCP_NSR_CLOSE_BROKEN,		/* a promise was broken (exact floor, and yet a gap): always loud */
	TCP_NSR_CLOSE_ADMIN,		/* CONN_DEL, FLUSH, MUTE with DESTROY, GROUP_DEL */
};

/** enum tcp_nsr_on_death - what the death of an application with a protected connection means */
enum tcp_nsr_on_death {
	TCP_NSR_ON_DEATH_RELEASE,	/* the connection is closed towards the far end, nothing else */
	TCP_NSR_ON_DEATH_MUTE,		/* the group is mute before the FIN or RST; not while GATES_OPEN */
};

/** enum tcp_nsr_group_reason - why a GROUP_NTF was sent */
enum tcp_nsr_group_reason {
	TCP_NSR_GROUP_ROLE,		/* ROLE_SET or MUTE */
	TCP_NSR_GROUP_LAPSED,		/* LEASE_UNTIL passed while ACTIVE */
	TCP_NSR_GROUP_SETTLED,		/* every shadow resumed, closed or reset */
	TCP_NSR_GROUP_DEATH,		/* role is STANDBY now: an application died, see ON_DEATH */
};

/* TCP_NSR_A_CONN_FLAGS */
#define TCP_NSR_CONN_F_ACTIVE_OPEN	(1U << 0)	/* the active called connect() */
#define TCP_NSR_CONN_F_SACK		(1U << 1)
#define TCP_NSR_CONN_F_TSTAMP		(1U << 2)
#define TCP_NSR_CONN_F_WSCALE		(1U << 3)
#define TCP_NSR_CONN_F_ECN		(1U << 4)	/* classic ECN (RFC 3168) */
#define TCP_NSR_CONN_F_USEC_TS		(1U << 5)	/* TSval counts microseconds (Linux 6.7+) */
#define TCP_NSR_CONN_F_RCV_FIN		(1U << 6)	/* RCV_NXT lies past the far end's FIN (CLOSE_WAIT) */
#define TCP_NSR_CONN_F_EXACT		(1U << 7)	/* positions of a planned switchover: proven, complete */
#define TCP_NSR_CONN_F_V4MAPPED		(1U << 8)	/* IPv4 connection of an AF_INET6 socket */
#define TCP_NSR_CONN_F_UNPROTECTED	(1U << 9)	/* mode lossless without its promise: adopt as in mode adopt */
#define TCP_NSR_CONN_F_MD5		(1U << 10)	/* segments are signed (RFC 2385): FD needs the key, by TCP_MD5SIG */

/**
 * enum tcp_nsr_a_conn - the connection record, inside TCP_NSR_A_CONN
 *
 * ID is drawn at random by the kernel of the box where the connection is born and stays the same on
 * every box for the connection's life.
 */
enum tcp_nsr_a_conn {
	TCP_NSR_A_CONN_UNSPEC,
	TCP_NSR_A_CONN_PAD,
	TCP_NSR_A_CONN_ID,		/* u64 */
	TCP_NSR_A_CONN_RULE_ID,		/* u32 */
	TCP_NSR_A_CONN_FAMILY,		/* u8: AF_INET, AF_INET6 */
	TCP_NSR_A_CONN_LADDR,		/* 4 or 16 bytes */
	TCP_NSR_A_CONN_RADDR,		/* 4 or 16 bytes */
	TCP_NSR_A_CONN_LPORT,		/* be16 */
	TCP_NSR_A_CONN_RPORT,		/* be16 */
	TCP_NSR_A_CONN_FLAGS,		/* u32: TCP_NSR_CONN_F_* */
	TCP_NSR_A_CONN_STATE,		/* u8: TCP_ESTABLISHED, TCP_CLOSE_WAIT, … */
	TCP_NSR_A_CONN_MODE,		/* u8: enum tcp_nsr_mode */
	TCP_NSR_A_CONN_GAP,		/* u8: enum tcp_nsr_gap */
	TCP_NSR_A_CONN_COOKIE,		/* u64: SO_COOKIE on the box that reports */
	/* fixed at the handshake */
	TCP_NSR_A_CONN_ISS,		/* u32: our initial sequence number */
	TCP_NSR_A_CONN_IRS,		/* u32: the far end's */
	TCP_NSR_A_CONN_SND_WSCALE,	/* u8: shift of windows that we receive */
	TCP_NSR_A_CONN_RCV_WSCALE,	/* u8: shift of windows that we send */
	TCP_NSR_A_CONN_MSS_CLAMP,	/* u16: MSS option received, bytes */
	TCP_NSR_A_CONN_ADVMSS,		/* u16: MSS option sent, bytes */
	/* cursors: positions as the socket has them, replicated now and then */
	TCP_NSR_A_CONN_RCV_NXT,		/* u64 */
	TCP_NSR_A_CONN_RCV_WUP,		/* u64: highest ACK sent */
	TCP_NSR_A_CONN_COPIED_SEQ,	/* u64: read by the application */
	TCP_NSR_A_CONN_RIGHT_EDGE,	/* u64: highest right edge advertised */
	TCP_NSR_A_CONN_SND_UNA,		/* u64 */
	TCP_NSR_A_CONN_SND_NXT,		/* u64 */
	TCP_NSR_A_CONN_WRITE_SEQ,	/* u64: written by the application */
	TCP_NSR_A_CONN_SND_WND,		/* u32: far end's window, bytes, scaled */
	TCP_NSR_A_CONN_TSVAL,		/* u32: our timestamp clock at the instant of the cursor */
	TCP_NSR_A_CONN_TS_RECENT,	/* u32: newest TSval of the far end */
	TCP_NSR_A_CONN_SNDBUF,		/* u32 bytes, as getsockopt() tells */
	TCP_NSR_A_CONN_RCVBUF,		/* u32 bytes */
	TCP_NSR_A_CONN_PMTU,		/* u32 bytes */
	/* vouched by the application's transactions */
	TCP_NSR_A_CONN_RCV_VOUCHED,	/* u64: consumed + tail: where receiving goes on */
	TCP_NSR_A_CONN_SND_VOUCHED,	/* u64: end of what the state says was sent */
	/* adoption */
	TCP_NSR_A_CONN_PHASE,		/* u8: enum tcp_nsr_phase */
	TCP_NSR_A_CONN_ADOPTED_BY,	/* u8: enum tcp_nsr_adopted_by */
	TCP_NSR_A_CONN_CLOSE_CAUSE,	/* u8: enum tcp_nsr_close_cause */
	TCP_NSR_A_CONN_RCV_MISSING,	/* u64 bytes: acknowledged by the old active, exist nowhere */
	TCP_NSR_A_CONN_SND_MISSING,	/* s64 bytes: SND_VOUCHED - adopted; > 0: the far end lacks them, < 0: it has unknown ones */
	TCP_NSR_A_CONN_RCV_UNCERTAIN,	/* u64 bytes: perhaps acknowledged, perhaps read, never consumed */
	TCP_NSR_A_CONN_SND_UNCERTAIN,	/* u8: 1: nothing proves the send position */
	/* mode lossless, on the active: CONN_SET; told by CONN_GET */
	TCP_NSR_A_CONN_GATE,		/* u64: the far end may be told that we have all below; only grows */
	TCP_NSR_A_CONN_GATE_OPEN,	/* u8: 1: this connection's gate is open, whatever the group's */
	/* what the application has set on its socket, read with the cursors */
	TCP_NSR_A_CONN_OPTS,		/* nested: enum tcp_nsr_a_opt; replaced as a whole */
	/* the device that the socket is bound to when the connection becomes protected; absent: to none */
	TCP_NSR_A_CONN_DEV_NAME,	/* string, as the box that tells calls it */
	TCP_NSR_A_CONN_DEV_ROLE,	/* u8: enum tcp_nsr_dev_role; absent: NAMED */
	TCP_NSR_A_CONN_REFUSED,		/* u8: enum tcp_nsr_refused; with PHASE_REFUSED */

	__TCP_NSR_A_CONN_MAX,
	TCP_NSR_A_CONN_MAX = __TCP_NSR_A_CONN_MAX - 1
};

/**
 * enum tcp_nsr_a_opt - socket options, inside TCP_NSR_A_CONN_OPTS
 *
 * One that is absent has its default. Of an IPv6 connection TOS, TTL and MIN_TTL are IPV6_TCLASS,
 * IPV6_UNICAST_HOPS and IPV6_MINHOPCOUNT.
 */
enum tcp_nsr_a_opt {
	TCP_NSR_A_OPT_UNSPEC,
	TCP_NSR_A_OPT_TOS,		/* u8: without the ECN bits */
	TCP_NSR_A_OPT_TTL,		/* u8: 1...255 */
	TCP_NSR_A_OPT_MIN_TTL,		/* u8 */
	TCP_NSR_A_OPT_PRIORITY,		/* u32 */
	TCP_NSR_A_OPT_MARK,		/* u32 */
	TCP_NSR_A_OPT_NODELAY,		/* u8: 1 */
	TCP_NSR_A_OPT_KEEPALIVE,	/* u8: 1: SO_KEEPALIVE is on */
	TCP_NSR_A_OPT_KEEPIDLE,		/* u32: s, 1...32767 */
	TCP_NSR_A_OPT_KEEPINTVL,	/* u32: s, 1...32767 */
	TCP_NSR_A_OPT_KEEPCNT,		/* u8: 1...127 */
	TCP_NSR_A_OPT_USER_TIMEOUT,	/* u32: ms */
	TCP_NSR_A_OPT_CONGESTION,	/* string: name of the algorithm; one that is unknown here: default */

	__TCP_NSR_A_OPT_MAX,
	TCP_NSR_A_OPT_MAX = __TCP_NSR_A_OPT_MAX - 1
};

/** enum tcp_nsr_a_rule - inside TCP_NSR_A_RULE: which connections a group protects */
enum tcp_nsr_a_rule {
	TCP_NSR_A_RULE_UNSPEC,
	TCP_NSR_A_RULE_ID,		/* u32, not 0; the lowest matching one wins */
	TCP_NSR_A_RULE_FAMILY,		/* u8: AF_INET, AF_INET6; absent: both */
	TCP_NSR_A_RULE_LADDR,		/* 4 or 16 bytes; absent: any address of the group */
	TCP_NSR_A_RULE_LPORT,		/* be16; absent or 0: any. LPORT or RPORT is needed */
	TCP_NSR_A_RULE_RADDR,		/* 4 or 16 bytes, prefix with RADDR_LEN; absent: any */
	TCP_NSR_A_RULE_RADDR_LEN,	/* u8: prefix length in bits; absent: all of RADDR */
	TCP_NSR_A_RULE_RPORT,		/* be16; absent or 0: any */
	TCP_NSR_A_RULE_IFINDEX,		/* u32: device that the socket is bound to, or its VRF; absent: any */
	TCP_NSR_A_RULE_MODE,		/* u8: enum tcp_nsr_mode; needed */
	TCP_NSR_A_RULE_GAP,		/* u8: enum tcp_nsr_gap, RESET or REPORT; absent: RESET */

	__TCP_NSR_A_RULE_MAX,
	TCP_NSR_A_RULE_MAX = __TCP_NSR_A_RULE_MAX - 1
};

/** enum tcp_nsr_a_stat - counters, u64 each, inside TCP_NSR_A_STATS (group; the whole life of the group) */
enum tcp_nsr_a_stat {
	TCP_NSR_A_STAT_UNSPEC,
	TCP_NSR_A_STAT_PAD,
	TCP_NSR_A_STAT_CONNS_ADDED,
	TCP_NSR_A_STAT_CONNS_CLOSED,
	TCP_NSR_A_STAT_CONNS_REFUSED_CAP,	/* MAX_CONNS reached */
	TCP_NSR_A_STAT_CONNS_REFUSED_NOMEM,
	TCP_NSR_A_STAT_CONNS_REFUSED_KIND,	/* cannot be protected: enum tcp_nsr_refused */
	TCP_NSR_A_STAT_INJECTED,
	TCP_NSR_A_STAT_PROBES,			/* solicitation segments sent */
	TCP_NSR_A_STAT_ADOPTED_DSACK,
	TCP_NSR_A_STAT_ADOPTED_TSECR,
	TCP_NSR_A_STAT_ADOPTED_AGE,
	TCP_NSR_A_STAT_ADOPTED_HANDOVER,
	TCP_NSR_A_STAT_ADOPTED_FIRST,
	TCP_NSR_A_STAT_RESUMED,
	TCP_NSR_A_STAT_HEALED,
	TCP_NSR_A_STAT_GAPS_RESET,
	TCP_NSR_A_STAT_GAPS_REPORTED,
	TCP_NSR_A_STAT_GAP_BYTES,		/* bytes of all gaps, both directions */
	TCP_NSR_A_STAT_UNCERTAIN,		/* adoptions with an uncertain position */
	TCP_NSR_A_STAT_BROKEN,			/* broken promises: must be 0 */
	TCP_NSR_A_STAT_SHADOW_DROPS,		/* segments dropped on a shadow before the role flip */
	TCP_NSR_A_STAT_REJECT_CSUM,		/* rejected on a shadow: checksum */
	TCP_NSR_A_STAT_REJECT_ACK,		/* SEG.ACK outside of what the old active can have sent */
	TCP_NSR_A_STAT_REJECT_SEQ,		/* SEG.SEQ */
	TCP_NSR_A_STAT_REJECT_TS,		/* TSval older than the replicated one */
	TCP_NSR_A_STAT_REJECT_NONCE,		/* no nonce of ours */
	TCP_NSR_A_STAT_REJECT_FLAGS,		/* SYN, or RST at an inexact SEG.SEQ */
	TCP_NSR_A_STAT_FENCED_FRAMES,		/* egress frames of the group dropped: mute */
	TCP_NSR_A_STAT_FENCED_SEGMENTS,		/* segments of a shadow dropped at the socket */
	TCP_NSR_A_STAT_NO_SOCKET_DROPS,		/* drop-not-reset */
	TCP_NSR_A_STAT_FROZEN_DROPS,
	TCP_NSR_A_STAT_LEASE_LAPSES,
	TCP_NSR_A_STAT_ACKS_HELD,		/* mode lossless: ACKs that waited at a gate */
	TCP_NSR_A_STAT_ACKS_CLAMPED,		/* segments that left with the gate's ACK */
	TCP_NSR_A_STAT_CONNS_LOST,		/* were protected, and cannot be any more: enum tcp_nsr_refused */

	__TCP_NSR_A_STAT_MAX,
	TCP_NSR_A_STAT_MAX = __TCP_NSR_A_STAT_MAX - 1
};

/** enum tcp_nsr_attr - top-level attributes */
enum tcp_nsr_attr {
	TCP_NSR_A_UNSPEC,
	TCP_NSR_A_PAD,
	TCP_NSR_A_SCHEMA_MAJOR,		/* u16 */
	TCP_NSR_A_SCHEMA_MINOR,		/* u16 */
	TCP_NSR_A_EVENT_SEQ,		/* u64: per namespace; the first event has 1 */
	/* namespace */
	TCP_NSR_A_MAX_CONNS,		/* u32: cap on protected connections; default 65536 */
	TCP_NSR_A_MAX_SHADOWS,		/* u32: cap on shadows; default 65536 */
	TCP_NSR_A_CURSOR_INTERVAL_MS,	/* u32: 10…10000; default 100 */
	TCP_NSR_A_NUM_CONNS,		/* u32: PHASE_PROTECTED and PHASE_RESUMED */
	TCP_NSR_A_NUM_SHADOWS,		/* u32: PHASE_SHADOW and PHASE_PROVISIONAL */
	/* group */
	TCP_NSR_A_GROUP_ID,		/* u32, not 0 */
	TCP_NSR_A_IFINDEX,		/* u32: service interface (device that emits the group's frames) */
	TCP_NSR_A_MAC,			/* 6 bytes; absent: lease checked by address on every device */
	TCP_NSR_A_ADDRS,		/* nested list of TCP_NSR_A_ADDR; replaces the former */
	TCP_NSR_A_ADDR,			/* 4 or 16 bytes */
	TCP_NSR_A_SETTLE_MS,		/* u32: longest drop-not-reset on an active; 1…3600000, default 60000 */
	TCP_NSR_A_SEGMENT_LIFE_MS,	/* u32: longest life of a segment in this network; 1…600000, default 5000 */
	TCP_NSR_A_GAP_BOUND_MS,		/* u32: silence after which a receive position is uncertain; 1…3600000, default 120000 */
	TCP_NSR_A_PROBE_RATE,		/* u32: solicitations per second over the group; 1…10000000, default 20000 */
	TCP_NSR_A_ROLE,			/* u8: enum tcp_nsr_role */
	TCP_NSR_A_TERM,			/* u64 */
	TCP_NSR_A_TERM_OWNER,		/* u32: node id */
	TCP_NSR_A_LEASE_UNTIL,		/* u64: ns, CLOCK_BOOTTIME */
	TCP_NSR_A_GENERATION,		/* u32: grows with every change of role */
	TCP_NSR_A_READY_UNTIL,		/* u64: ns, CLOCK_BOOTTIME */
	TCP_NSR_A_GATES_OPEN,		/* u8 */
	TCP_NSR_A_EPOCH,		/* u32 */
	TCP_NSR_A_FROZEN,		/* u8 */
	TCP_NSR_A_SETTLED,		/* u8 */
	TCP_NSR_A_REASON,		/* u8: enum tcp_nsr_group_reason */
	TCP_NSR_A_STATS,		/* nested: enum tcp_nsr_a_stat */
	/* rule, connection */
	TCP_NSR_A_RULE,			/* nested: enum tcp_nsr_a_rule */
	TCP_NSR_A_CONN,			/* nested: enum tcp_nsr_a_conn; may be repeated where said */
	TCP_NSR_A_FD,			/* s32: descriptor in the caller's table */
	TCP_NSR_A_LATE,			/* flag */
	TCP_NSR_A_FLUSH,		/* flag */
	TCP_NSR_A_DESTROY,		/* flag */
	TCP_NSR_A_RESET,		/* flag */
	TCP_NSR_A_ON_DEATH,		/* u8: enum tcp_nsr_on_death, of the group; absent: RELEASE */
	TCP_NSR_A_NUM_REFUSED,		/* u32: PHASE_REFUSED; at most MAX_CONNS are listed */

	__TCP_NSR_A_MAX,
	TCP_NSR_A_MAX = __TCP_NSR_A_MAX - 1
};

#endif /* _UAPI_LINUX_TCP_NSR_H */
