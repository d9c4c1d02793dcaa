/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * nsr_app.h: messages between libnsr and nsrd (/run/nsrd/app.sock, SOCK_SEQPACKET), and the records of
 * application state, which are the same on the sync link.
 *
 * One datagram is one message: struct nlmsghdr (nlmsg_type = enum nsr_app_msg, nlmsg_seq counts per
 * direction from 1, nlmsg_flags 0, nlmsg_pid 0), then netlink attributes (enum nsr_app_attr). At most
 * NSR_APP_MSG_MAX bytes. Integers in host order: both ends are on one box; addresses and ports in
 * network order. Unknown attributes are skipped; an unknown message, a malformed or oversized one gets
 * NSR_APP_REFUSED with the reason, and the connection is closed. Nothing replicated is lost by that.
 *
 * A connection is named by CONN_ID (tcp_nsr.h), once it has one, and by HANDLE, which the application's
 * library draws (never 0, never used twice on one handle), before.
 */
#ifndef _UAPI_NSR_APP_H
#define _UAPI_NSR_APP_H

#define NSR_APP_SOCKET		"/run/nsrd/app.sock"
#define NSR_CONTROL_SOCKET	"/run/nsrd/control.sock"
#define NSR_APP_MSG_MAX		131072		/* bytes of one message */
#define NSR_APP_CHUNK_MAX	32768		/* bytes of one VALUE, DATA attribute; repeated ones are concatenated */
#define NSR_APP_TXN_MAX		67108864	/* bytes of all OP attributes of one transaction, headers included */
#define NSR_APP_KEY_MAX		255
#define NSR_APP_VALUE_MAX	65536
#define NSR_APP_TAIL_MAX	(4u << 20)	/* bytes received and not consumed, per connection */
#define NSR_APP_JOURNAL_MAX	(4u << 20)	/* bytes sent and not acknowledged by the far end (lossless), per connection */
#define NSR_APP_NAME_MAX	63		/* group and application names: [A-Za-z0-9_.-]+ */

/**
 * enum nsr_app_msg - C: sent by the library, S: sent by nsrd
 *
 * @NSR_APP_HELLO: C, first: SCHEMA_MAJOR, SCHEMA_MINOR, GROUP, APP. Peer credentials decide whether it may.
 * @NSR_APP_WELCOME: S: GROUP_ID, ROLE, TERM. Then what the role brings. It comes when the box knows its role, which
 *	after a restart of nsrd may take a while: a box that is mute and keeps its sockets.
 * @NSR_APP_REFUSED: S: ERRNO, TEXT. Final: nsrd closes. EACCES (no rule allows this user), ENOENT
 *	(no such group), EBUSY (the name is attached), EPROTO (another version, or a message that breaks a rule), ENOSPC
 *	(the store cannot take a snapshot), ETIMEDOUT (no HELLO).
 * @NSR_APP_ROLE: S: ROLE, TERM, DEADLINE_MS (LEAVING only).
 * @NSR_APP_SNAPSHOT: S to the application of an active: send everything, as TXN with SNAPSHOT set; EPOCH is
 *	to be echoed in SNAPSHOT_DONE.
 * @NSR_APP_SNAPSHOT_DONE: C: EPOCH. What the snapshot did not name is gone.
 * @NSR_APP_ATTACH: C: HANDLE, FAMILY, LADDR, RADDR, LPORT, RPORT, COOKIE (SO_COOKIE), RCV_CONSUMED, RCV_TAIL_END,
 *	SND_WRITTEN (as of the last commit; tail bytes follow in transactions), CONN_ID when it has one (the
 *	link was lost and found), GAP if set. No positions: a shadow that waits for RESUMED (the link was lost
 *	and found while the role changed).
 * @NSR_APP_ATTACHED: S: HANDLE, CONN_ID, MODE, PROTECTED, TEXT (why not). No rule matches: MODE absent.
 * @NSR_APP_DETACH: C: CONN_ID, HANDLE, or both: the application is done with it (its socket is closed or UNPROTECT
 *	given: goes on as an ordinary one). CONN_ID alone refuses a shadow that cannot be taken; with HANDLE (0 for
 *	what was a shadow) it does not mean a shadow that is not claimed yet.
 * @NSR_APP_SET_GAP: C: CONN_ID, GAP (enum tcp_nsr_gap).
 * @NSR_APP_TXN: C on the active: a piece of a transaction: TXN (grows by 1; goes on over reconnects), OPs in order; LAST set on
 *	the piece that ends it. Only with that piece does anything of it count. An OP that names a connection
 *	which is gone by now is dropped, not refused; so is a TXN that crossed a change of role. S on the
 *	standby: whole state as OPs of kind PUT/DEL (no LAST: each stands alone; a value's OPs in one message).
 * @NSR_APP_TXN_ACK: S: TXN: all up to it are held by the standby, or need not be (no standby).
 * @NSR_APP_SYNCED: S on the standby: the snapshot is complete.
 * @NSR_APP_CONN_ADDED: S on the standby, with the shadow's descriptor (SCM_RIGHTS): CONN_ID and what ATTACH
 *	says (addresses, MODE, GAP, ACTIVE_OPEN).
 * @NSR_APP_CLAIMED: C: CONN_ID: descriptor taken; nsrd closes its copy.
 * @NSR_APP_CONN_TAIL: S: CONN_ID, RCV_CONSUMED, DATA: the tail: bytes from RCV_CONSUMED on that the old active
 *	had received and not consumed. DATA_POS, if given, is where DATA begins: a tail may take several messages,
 *	in order, without holes. Sent before RESUMED.
 * @NSR_APP_CONN_JOURNAL: S (lossless): CONN_ID, DATA_POS, DATA: bytes that the old active gave to nsr_send(), from
 *	the adopted send position to SND_WRITTEN, in order, without holes. Sent before RESUMED.
 * @NSR_APP_CONN_RESUMED: S: CONN_ID, RCV_CONSUMED, RCV_TAIL_END, SND_POS, SND_WRITTEN (end of what the old active
 *	is known to have written), RCV_MISSING, RCV_UNCERTAIN, SND_UNCERTAIN, PLANNED.
 * @NSR_APP_CONN_GONE: S: CONN_ID (or HANDLE), WHY (enum nsr_gone of libnsr.h), TEXT.
 * @NSR_APP_CONN_STATUS: S: CONN_ID, PROTECTED, MODE, TEXT.
 * @NSR_APP_LEFT: C: the application has nothing more to say; sent when the far ends have acknowledged all.
 * @NSR_APP_FROZEN: S: inbound is stopped; take what is unread into the tails, last TXN, then DRAINED.
 * @NSR_APP_DRAINED: C: answer to FROZEN.
 */
enum nsr_app_msg {
	NSR_APP_HELLO = 16,		/* below: netlink's own types */
	NSR_APP_WELCOME,
	NSR_APP_REFUSED,
	NSR_APP_ROLE,
	NSR_APP_SNAPSHOT,
	NSR_APP_SNAPSHOT_DONE,
	NSR_APP_ATTACH,
	NSR_APP_ATTACHED,
	NSR_APP_DETACH,
	NSR_APP_SET_GAP,
	NSR_APP_TXN,
	NSR_APP_TXN_ACK,
	NSR_APP_SYNCED,
	NSR_APP_CONN_ADDED,
	NSR_APP_CLAIMED,
	NSR_APP_CONN_TAIL,
	NSR_APP_CONN_RESUMED,
	NSR_APP_CONN_GONE,
	NSR_APP_CONN_STATUS,
	NSR_APP_LEFT,
	NSR_APP_FROZEN,
	NSR_APP_DRAINED,
	NSR_APP_CONN_JOURNAL,

	__NSR_APP_MSG_MAX,
};

/**
 * enum nsr_app_op - kinds of OP, the pieces of a transaction
 *
 * @NSR_APP_OP_PUT: KEY, VALUE (repeated: concatenated), CONN_ID or HANDLE if bound to a connection. An OP is an
 *	attribute, so shorter than 64 KiB: a value that does not fit goes on in the next OP, a PUT of the
 *	same key in the same transaction with DATA_POS, the offset of its VALUE (absent: 0, a new value).
 * @NSR_APP_OP_DEL: KEY, CONN_ID or HANDLE if bound.
 * @NSR_APP_OP_CONN: CONN_ID or HANDLE; RCV_CONSUMED (new position), RCV_TAIL_END, and DATA: the bytes that the
 *	tail grew by, from DATA_POS on (each byte is shipped once); SND_WRITTEN; SND_ACKED (lossless: the journal
 *	is not needed below). All absolute positions: applying one twice changes nothing.
 * @NSR_APP_OP_JOURNAL: CONN_ID or HANDLE; DATA_POS, DATA: bytes given to nsr_send() (lossless). Bytes that are
 *	held already are skipped; behind a hole, or below what is held, the journal begins anew at DATA_POS.
 */
enum nsr_app_op {
	NSR_APP_OP_PUT = 1,
	NSR_APP_OP_DEL,
	NSR_APP_OP_CONN,
	NSR_APP_OP_JOURNAL,
};

enum nsr_app_attr {
	NSR_APP_A_UNSPEC,
	NSR_APP_A_SCHEMA_MAJOR,		/* u16: TCP_NSR_SCHEMA_MAJOR */
	NSR_APP_A_SCHEMA_MINOR,		/* u16 */
	NSR_APP_A_GROUP,		/* string */
	NSR_APP_A_APP,			/* string */
	NSR_APP_A_GROUP_ID,		/* u32 */
	NSR_APP_A_ROLE,			/* u8: enum nsr_role of libnsr.h */
	NSR_APP_A_TERM,			/* u64 */
	NSR_APP_A_DEADLINE_MS,		/* u32 */
	NSR_APP_A_EPOCH,		/* u32 */
	NSR_APP_A_ERRNO,		/* u32: positive */
	NSR_APP_A_TEXT,			/* string: what, and the remedy */
	NSR_APP_A_HANDLE,		/* u32 */
	NSR_APP_A_CONN_ID,		/* u64 */
	NSR_APP_A_FAMILY,		/* u8: AF_INET (also v4-mapped), AF_INET6 */
	NSR_APP_A_LADDR,		/* 4 or 16 bytes */
	NSR_APP_A_RADDR,		/* 4 or 16 bytes */
	NSR_APP_A_LPORT,		/* be16 */
	NSR_APP_A_RPORT,		/* be16 */
	NSR_APP_A_COOKIE,		/* u64 */
	NSR_APP_A_ACTIVE_OPEN,		/* u8 */
	NSR_APP_A_MODE,			/* u8: enum tcp_nsr_mode */
	NSR_APP_A_GAP,			/* u8: enum tcp_nsr_gap */
	NSR_APP_A_PROTECTED,		/* u8 */
	NSR_APP_A_TXN,			/* u64 */
	NSR_APP_A_LAST,			/* flag */
	NSR_APP_A_SNAPSHOT,		/* flag */
	NSR_APP_A_OP,			/* nested: OP_KIND first, repeated, in order */
	NSR_APP_A_OP_KIND,		/* u8: enum nsr_app_op */
	NSR_APP_A_KEY,			/* 1…255 bytes */
	NSR_APP_A_VALUE,		/* 0…NSR_APP_CHUNK_MAX bytes */
	NSR_APP_A_DATA,			/* 0…NSR_APP_CHUNK_MAX bytes */
	NSR_APP_A_DATA_POS,		/* u64: position of DATA's first byte */
	NSR_APP_A_RCV_CONSUMED,		/* u64 position */
	NSR_APP_A_RCV_TAIL_END,		/* u64 position */
	NSR_APP_A_SND_WRITTEN,		/* u64 position */
	NSR_APP_A_SND_POS,		/* u64 position */
	NSR_APP_A_RCV_MISSING,		/* u64 bytes */
	NSR_APP_A_RCV_UNCERTAIN,	/* u64 bytes */
	NSR_APP_A_SND_UNCERTAIN,	/* u8 */
	NSR_APP_A_PLANNED,		/* u8 */
	NSR_APP_A_WHY,			/* u8: enum nsr_gone of libnsr.h */
	NSR_APP_A_UNPROTECT,		/* flag */
	NSR_APP_A_SND_ACKED,		/* u64 position */

	__NSR_APP_A_MAX,
	NSR_APP_A_MAX = __NSR_APP_A_MAX - 1
};

#endif /* _UAPI_NSR_APP_H */
