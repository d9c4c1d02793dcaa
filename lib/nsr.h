/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nsr.h: how libnsr's files meet. Not installed.
 *
 *	wire.c     (pure) messages, encoded and decoded with bounds
 *	table.c    (pure) objects by key
 *	stream.c   bytes received and not consumed, positions of a socket
 *	journal.c  (pure) bytes sent and not acknowledged by the far end
 *	conn.c     one connection: attach, receive, what is known of it
 *	out.c      output: journal, what may leave and when, FIN and close behind it
 *	txn.c      the open transaction: put, del, commit, snapshot
 *	link.c     the socket to nsrd: connect, back off, queue, receive
 *	events.c   what nsrd says: role, shadows, state
 *	leave.c    planned switchover, this side
 *	handle.c   open, close, dispatch
 *
 * A handle belongs to one thread; there are no locks. Callbacks run only while nsr->dispatching, and
 * may free any connection, the current one included, and the handle: whoever called back touches
 * nothing afterwards that it has not looked up again, and asks nsr->closing.
 */
#ifndef NSR_INTERNAL_H
#define NSR_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include "journal.h"
#include "libnsr.h"
#include "list.h"
#include "table.h"
#include "wire.h"

/* Bytes that may wait for nsrd. Above it the link is given up: a daemon that takes nothing must not
 * cost the application its memory; the snapshot after the reconnect replaces what was dropped. */
#define NSR_QUEUE_MAX	(256u << 20)
#define NSR_BACKOFF_MIN	50u		/* ms */
#define NSR_BACKOFF_MAX	2000u
#define NSR_LEAVE_POLL	10u		/* ms between two looks at what the far ends have acknowledged */
#define NSR_OUT_POLL	10u		/* ms: the same, while somebody waits for it ... */
#define NSR_OUT_REST	250u		/* ... and while only memory is to be given back */
#define NSR_OUT_TXN	(NSR_TXN_MAX / 2)	/* journalled bytes of one transaction */
#define NSR_OUT_ROOM	(NSR_APP_JOURNAL_MAX / 8)	/* free again before conn_writable */
#define NSR_RELEASES	512u		/* transactions on their way that are told apart, per connection */
#define NSR_RELEASES_FEW 2u		/* ... without memory of their own */

enum link_state {
	LINK_DOWN,		/* no socket; retry_at says when next */
	LINK_HELLO,		/* HELLO sent, no WELCOME yet */
	LINK_UP,
	LINK_REFUSED,		/* for good: nsr->final */
};

enum leave_state {
	LEAVE_NOT,
	LEAVE_WAIT,		/* nsr_left() was called; far ends have not acknowledged all */
	LEAVE_SAID,		/* LEFT sent */
	LEAVE_DRAINED,		/* DRAINED sent: sockets stay unread */
	LEAVE_LOST,		/* the link, or the end of a snapshot, is lacking: no answer, so that it is called off */
};

/** struct stream - bytes received and not consumed, and the positions around them
 *
 * @consumed <= @read <= @end; data[] holds [consumed, end). @shipped: nsrd has the tail up to here.
 */
struct stream {
	uint64_t consumed, read, end, shipped;
	uint8_t *buf;
	size_t head, size;		/* data[] = buf + head */
	bool eof;
};

/** struct acked - newest value of a position that a transaction up to the last acknowledged one had
 *
 * Two slots suffice for a lower bound that never stops growing: the older is kept until it is acknowledged.
 */
struct acked {
	uint64_t value;
	struct {
		uint64_t txn, value;	/* txn 0: empty */
	} older, newer;
};

/** struct release - once txn is acknowledged, all below end may be written */
struct release {
	uint64_t txn, end;
};

#define TODO_GONE	1u
#define TODO_RESUMED	2u
#define TODO_WRITABLE	4u

/** struct nsr_conn - a connection, from attach or CONN_ADDED until nsr_conn_close() */
struct nsr_conn {
	struct nsr *nsr;
	struct list node;		/* nsr->conns */
	struct list dirty;		/* nsr->dirty: positions changed since the last commit */
	struct list todo_node;		/* nsr->todo: callbacks to run */
	unsigned int todo;		/* TODO_* */
	struct table_node by_handle, by_id, by_fd;
	uint32_t handle;		/* never 0 */
	uint64_t id;			/* 0: not known yet */
	int fd;
	void *data;

	bool shadow;			/* CONN_ADDED, not resumed yet */
	bool gone;			/* conn_gone is due or was called */
	bool answered;			/* nsrd has said what it is: mode is meant */
	bool whole;			/* the next transaction names all positions and the whole tail */
	bool want_write;		/* fd is in nsr->epfd for EPOLLOUT */
	bool active_open, is_protected;
	enum nsr_gone why;
	enum nsr_mode mode;
	enum nsr_gap gap;
	uint64_t cookie;
	struct sockaddr_storage local, remote;
	char reason[64];

	struct stream rcv;
	uint64_t rcv_committed;		/* of the last commit */
	struct acked rcv_acked;
	uint64_t snd_written, snd_committed;

	/*
	 * out.c: j.base <= wrote <= released <= j.end == snd_written. Without a journal (adopt, none) they are
	 * all the same.
	 */
	struct list out;		/* nsr->out: something of the journal is left, or a FIN waits */
	struct journal j;
	uint64_t wrote, released, shipped;	/* in the socket; may be written; nsrd has it */
	struct release *release;	/* of transactions on their way, in order; few[], or allocated */
	struct release few[NSR_RELEASES_FEW];
	unsigned int releases, release_size;
	bool held;			/* protected when the link broke: nothing leaves without nsrd's word */
	bool blocked;			/* conn_writable is due once there is room */
	bool shut_due, shut;		/* FIN is to follow the journal; was given */
	bool closing;			/* nsr_conn_close() was called: it is the library's alone */
	bool late, abort;		/* ... behind nsr_left(): waits for the role; with a reset */
	int out_err;			/* the socket takes no more: negative errno */
};

/** struct msg - a message that waits for room in the socket */
struct msg {
	struct list node;
	size_t len;
	uint8_t data[];
};

struct nsr {
	struct nsr_listener cb;		/* what the application gave, the rest NULL */
	void *data;
	char group[NSR_APP_NAME_MAX + 1], app[NSR_APP_NAME_MAX + 1];
	struct sockaddr_un addr;

	/* link.c */
	enum link_state link;
	int sock;			/* -1: none */
	bool told_up;			/* what the link callback said last */
	bool deaf;			/* writing failed: read what is left, then it is over */
	bool want_room;			/* sock is in epfd for EPOLLOUT */
	uint32_t seq_out, seq_in;
	unsigned int backoff;		/* ms */
	struct list queue;		/* struct msg */
	size_t queued;			/* bytes in queue */
	uint64_t *rx, *tx;		/* NSR_APP_MSG_MAX bytes each */
	int final;			/* negative errno: refused for good */
	char text[NSR_WIRE_TEXT_MAX + 1];

	/* handle.c */
	int epfd, timerfd;
	uint64_t retry_at, poll_at, out_at;	/* CLOCK_MONOTONIC ms; 0: not armed */
	bool dispatching, closing;
	unsigned int calls;		/* callbacks run by this dispatch */

	/* events.c */
	enum nsr_role role;
	uint64_t term;
	bool role_known;		/* the role callback has been called */
	struct list conns, dirty, todo, out;
	struct table by_handle, by_id, by_fd;
	uint32_t next_handle;

	/* txn.c */
	uint64_t *piece;		/* NSR_APP_MSG_MAX bytes: the piece under construction */
	struct nsr_wire_buf ops;	/* in piece */
	bool open;			/* a transaction has begun: its number is txn */
	bool begun;			/* a piece of it has left */
	uint64_t txn, txn_acked;	/* number of the last begun, acknowledged */
	size_t txn_bytes;		/* shipped in the open transaction */
	size_t out_bytes;		/* journalled and not committed, over all connections */
	bool snapshot;			/* between SNAPSHOT and nsr_snapshot_done() */
	bool snapshot_due;		/* asked while leaving: told once it is called off */
	uint32_t epoch;

	/* leave.c */
	enum leave_state leave;
};

/* Runs a callback of the listener, if there is one. */
#define nsr_call(nsr, what, ...) \
	do { \
		if ((nsr)->cb.what) { \
			(nsr)->calls++; \
			(nsr)->cb.what((nsr)->data, __VA_ARGS__); \
		} \
	} while (0)
#define nsr_call0(nsr, what) \
	do { \
		if ((nsr)->cb.what) { \
			(nsr)->calls++; \
			(nsr)->cb.what((nsr)->data); \
		} \
	} while (0)

/* ---- stream.c ---- */
void nsr_stream_init(struct stream *s, uint64_t pos);
void nsr_stream_free(struct stream *s);
size_t nsr_stream_len(const struct stream *s);			/* bytes held */
const uint8_t *nsr_stream_at(const struct stream *s, uint64_t pos);
int nsr_stream_reserve(struct stream *s, size_t n);		/* -ENOMEM */
void nsr_stream_append(struct stream *s, const void *p, size_t n);	/* after reserve */
size_t nsr_stream_read(struct stream *s, void *buf, size_t n);	/* moves read */
int nsr_stream_consume(struct stream *s, size_t n);		/* -ERANGE */
void nsr_stream_rewind(struct stream *s);			/* read := consumed */
void nsr_stream_shift(struct stream *s, uint64_t by);
/* From the socket into the stream, at most NSR_TAIL_MAX held. Bytes, 0 at FIN, negative errno;
 * -ENOBUFS: the stream is full. */
ssize_t nsr_stream_fill(struct stream *s, int fd, size_t n);
/* Positions of an established socket as of now. -ENOTCONN, -errno. */
int nsr_stream_positions(int fd, uint64_t *rcv, uint64_t *snd);

/* ---- conn.c ---- */
struct nsr_conn *nsr_conn_create(struct nsr *nsr, int fd);	/* NULL: ENOMEM */
void nsr_conn_free(struct nsr_conn *conn);			/* does not touch fd */
int nsr_conn_set_id(struct nsr_conn *conn, uint64_t id);
struct nsr_conn *nsr_conn_by_id(struct nsr *nsr, uint64_t id);
struct nsr_conn *nsr_conn_by_handle(struct nsr *nsr, uint32_t handle);
bool nsr_conn_counts(const struct nsr_conn *conn);	/* its group's role is its own */
void nsr_conn_send_attach(struct nsr_conn *conn);
void nsr_conn_mark(struct nsr_conn *conn);		/* positions changed */
void nsr_conn_todo(struct nsr_conn *conn, unsigned int what);
void nsr_conn_set_gone(struct nsr_conn *conn, enum nsr_gone why);
void nsr_conn_fill_info(const struct nsr_conn *conn, struct nsr_conn_info *info);
void nsr_conn_detached(struct nsr_conn *conn, bool unprotect);	/* DETACH to nsrd */
bool nsr_conn_left(const struct nsr_conn *conn);	/* planned switchover: nothing more may be said */
uint64_t nsr_acked_value(struct acked *a, uint64_t txn_acked);
void nsr_acked_commit(struct acked *a, uint64_t txn, uint64_t value, uint64_t txn_acked);

/* ---- out.c ---- */
void nsr_out_init(struct nsr_conn *conn, uint64_t pos);	/* nothing is in the journal; positions begin at pos */
void nsr_out_free(struct nsr_conn *conn);
void nsr_out_gone(struct nsr_conn *conn);		/* nothing of it counts any more */
bool nsr_out_journals(const struct nsr_conn *conn);	/* lossless, or may turn out to be */
uint64_t nsr_out_una(const struct nsr_conn *conn);	/* the far end has acknowledged all below */
void nsr_out_trim(struct nsr_conn *conn);
void nsr_out_mode(struct nsr_conn *conn);		/* nsrd has said what the connection is */
void nsr_out_resume(struct nsr_conn *conn, uint64_t pos);	/* the journal as it came; the socket stands at pos */
void nsr_out_committed(struct nsr_conn *conn, uint64_t txn);	/* 0: shipped to nobody */
void nsr_out_unblock(struct nsr *nsr);			/* a transaction has room again */
void nsr_out_acked(struct nsr *nsr);			/* txn_acked has grown */
void nsr_out_link(struct nsr *nsr, bool up);
void nsr_out_event(struct nsr *nsr, uint32_t handle);	/* epoll: may write again */
void nsr_out_poll(struct nsr *nsr);			/* timer: what have the far ends acknowledged? */
bool nsr_out_quiet(struct nsr_conn *conn);		/* all has been written and acknowledged */
void nsr_out_finish(struct nsr_conn *conn);		/* a closing one: fd and memory go */
void nsr_out_force(struct nsr_conn *conn);		/* the handle goes: all that the socket takes, or a reset */

/* ---- txn.c ---- */
void nsr_txn_discard(struct nsr *nsr);
bool nsr_txn_wanted(const struct nsr *nsr);	/* there is somebody to ship it to */

/* ---- link.c ---- */
/* A message in nsr->tx; then nsr_link_send(). Sent at once, or queued. */
struct nsr_wire_buf nsr_link_begin(struct nsr *nsr, unsigned int type);
void nsr_link_send(struct nsr *nsr, struct nsr_wire_buf *b);
bool nsr_link_flush(struct nsr *nsr);			/* true: nothing waits */
void nsr_link_connect(struct nsr *nsr);
void nsr_link_event(struct nsr *nsr, uint32_t events);
void nsr_link_close(struct nsr *nsr);			/* socket and queue only, no callback */
/* The link is given up, and dialled again later; callback link(0) if it was up. Dispatch only. */
void nsr_link_lost(struct nsr *nsr, const char *why);

/* ---- events.c ---- */
/* -EPROTO: the link is to be given up, for *why. */
int nsr_event(struct nsr *nsr, const struct nsr_wire *w, int *fd, const char **why);
void nsr_run_todo(struct nsr *nsr);

/* ---- leave.c ---- */
void nsr_leave_poll(struct nsr *nsr);			/* timer */
void nsr_leave_frozen(struct nsr *nsr);

/* ---- handle.c ---- */
uint64_t nsr_now_ms(void);
void nsr_timer_arm(struct nsr *nsr);
void nsr_say(struct nsr *nsr, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif /* NSR_INTERNAL_H */
