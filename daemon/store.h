/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * store: what one group replicates, the same on both boxes. Pure: no I/O, no clock, no roles.
 *
 * Connections, by id; application state, by (application, connection or none, key). Everything is an
 * upsert or a delete by key, with absolute positions: any prefix applied twice gives the same store.
 *
 * A record may overtake the connection that it is about: the connection then exists as a *waiting* one
 * (not present: no callback, not found, not counted) until its CONN_ADD comes; what never gets one goes
 * with the next sweep.
 *
 * Input is bounded and checked here, whoever it comes from. Functions return 0 or a negative errno:
 * -EBADMSG (malformed; see nsr_store_error()), -ENOSPC (a cap), -ENOMEM. After an error nothing of the
 * record or transaction has been applied.
 */
#ifndef NSRD_STORE_H
#define NSRD_STORE_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../uapi/nsr_app.h"
#include "../lib/journal.h"
#include "../uapi/tcp_nsr.h"
#include "list.h"

#define NSR_STORE_RECORD_MAX	4096u		/* bytes of one connection's attributes */
#define NSR_STORE_TAIL_MAX	(4u << 20)	/* bytes received and not consumed, per connection */
#define NSR_STORE_DIGEST	32u		/* bytes */

struct nlattr;
struct nsr_store;

/** struct nsr_store_tuple - addresses and ports in network order; unused address bytes are 0 */
struct nsr_store_tuple {
	uint8_t family;			/* AF_INET, AF_INET6 */
	uint8_t laddr[16], raddr[16];
	uint16_t lport, rport;
};

/** struct nsr_store_app - name of an application that owns something in the store */
struct nsr_store_app {
	struct list_head node;
	struct list_head states;	/* nsr_store_state.app_node */
	char name[NSR_APP_NAME_MAX + 1];
	uint32_t sweep;			/* private: see nsr_store_app_sweep_begin() */
};

/**
 * struct nsr_store_conn - a replicated connection
 *
 * Readable for all; written by store.c, but for @priv, @app_priv, @gate.
 *
 * @rec, @rec_len: the connection record: CONN_ADD and what CONN_CHANGE brought since, one attribute of a
 *	type, unknown ones kept. Fit to be the payload of a TCP_NSR_A_CONN.
 * @has: bit n: attribute TCP_NSR_A_CONN_n is in the record. The fields below it are read from there.
 * @app: owner, as its transactions say; NULL: nobody has attached it.
 * @rcv_consumed, @rcv_tail_end: vouched, if @has_rcv. What lies between them is in @tail.
 * @snd_written: vouched, if @has_snd.
 * @journal: what was given to nsr_send() and the far end has not acknowledged, if @has_journal (lossless).
 */
struct nsr_store_conn {
	struct list_head node;		/* nsr_store_first_conn()... order of arrival */
	struct list_head id_node, tuple_node;
	struct list_head states;	/* nsr_store_state.conn_node */
	struct nsr_store *store;
	uint64_t id;
	bool present;			/* false: waiting for its CONN_ADD */
	struct nsr_store_tuple tuple;
	void *rec;
	size_t rec_len, rec_size;

	uint64_t has;
	uint64_t cookie;
	uint32_t rule_id, flags;
	uint8_t state, mode, gap, phase;
	uint8_t adopted_by, snd_uncertain;
	uint8_t dev_role;
	char dev_name[IF_NAMESIZE];	/* empty: bound to no device */
	uint64_t rcv_nxt, rcv_wup, copied_seq, snd_una, snd_nxt, write_seq;
	uint64_t rcv_missing, rcv_uncertain;
	int64_t snd_missing;

	struct nsr_store_app *app;
	bool has_rcv, has_snd;
	bool exact;			/* TCP_NSR_CONN_F_EXACT: a planned switchover's final positions */
	uint64_t rcv_consumed, rcv_tail_end, snd_written;
	uint8_t *tail;			/* rcv_tail_end - rcv_consumed bytes */
	uint8_t *tail_buf;		/* private: where tail lies, and the size of it */
	size_t tail_size;
	bool has_journal;
	struct journal journal;

	void *priv;			/* group.c: what it injected */
	void *app_priv;			/* app.c: who has it */
	struct gate *gate;		/* gate.c: of an own connection */
	uint32_t mark, pos_mark, add_mark;	/* private: sweep */
	struct {			/* private: a transaction being checked */
		uint64_t consumed, end;
		size_t tail;
		bool has, first, touched;
		uint64_t base, top;	/* of the journal */
		size_t journal;
		bool has_journal;
	} plan;
	uint64_t digest[4];
};

#define NSR_STORE_HAS(c, a)	(((c)->has >> TCP_NSR_A_CONN_##a) & 1)

/** struct nsr_store_state - a key and its value; @value NULL in the callback that says: deleted */
struct nsr_store_state {
	struct list_head app_node;	/* order of first arrival */
	struct list_head conn_node;	/* bound: nsr_store_conn.states */
	struct list_head key_node;
	struct nsr_store_app *app;
	struct nsr_store_conn *conn;	/* NULL: not bound to a connection */
	uint8_t *value;
	size_t value_len;
	uint32_t mark, app_mark;
	uint64_t digest[4];
	uint32_t hash;
	uint8_t key_len;
	uint8_t key[];
};

/** struct nsr_store_ops - what the store reports; each may be NULL. They must not change the store */
struct nsr_store_ops {
	/* present from now on; what overtook it (positions, state) is in it already */
	void (*conn_added)(void *data, struct nsr_store_conn *c);
	void (*conn_changed)(void *data, struct nsr_store_conn *c);	/* record or positions, while present */
	/* before it is freed; its state goes with it, without a callback of its own */
	void (*conn_removed)(void *data, struct nsr_store_conn *c);
	/* unbound, or bound to a present connection */
	void (*state_changed)(void *data, struct nsr_store_state *s);
};

/** struct nsr_store_caps - bounds; 0 = the default */
struct nsr_store_caps {
	size_t conns;			/* connections; 65536 */
	size_t waiting;			/* of them waiting for their CONN_ADD; 4096 */
	size_t states;			/* 4 Mi */
	size_t bytes;			/* values, keys, tails, journals and records; 2 GiB */
	size_t apps;			/* application names; 64 */
};

struct nsr_store *nsr_store_create(const struct nsr_store_caps *caps, const struct nsr_store_ops *ops,
				   void *data);
void nsr_store_destroy(struct nsr_store *st);	/* without callbacks */
void nsr_store_clear(struct nsr_store *st);	/* conn_removed for each connection; state just goes */
/* Words for the last -EBADMSG, -ENOSPC; never NULL. */
const char *nsr_store_error(const struct nsr_store *st);

/**
 * nsr_store_conn_upsert() - merge a connection record
 * @rec, @len: the payload of a TCP_NSR_A_CONN, ID in it
 * @add: a CONN_ADD: the record is whole (family, addresses, ports), the connection present from now on
 * @out: the connection; may be NULL
 *
 * A record with cursors but without TCP_NSR_CONN_F_EXACT ends a former one's exactness.
 */
int nsr_store_conn_upsert(struct nsr_store *st, const void *rec, size_t len, bool add,
			  struct nsr_store_conn **out);
/* -ENOENT: no such connection (harmless). */
int nsr_store_conn_del(struct nsr_store *st, uint64_t id);
/* Present ones only. By tuple: the one that came last. */
struct nsr_store_conn *nsr_store_conn_find(struct nsr_store *st, uint64_t id);
struct nsr_store_conn *nsr_store_conn_find_tuple(struct nsr_store *st, const struct nsr_store_tuple *t);

/**
 * nsr_store_txn() - apply one whole transaction, or nothing of it
 * @ops, @len: NSR_APP_A_OP attributes in order; connections named by CONN_ID
 *
 * Received bytes behind a hole (DATA_POS above what is held) are not held: rcv_tail_end stops there. A journal
 * has no holes either: what does not join what is held takes its place. Kept for mode lossless only.
 */
int nsr_store_txn(struct nsr_store *st, const char *app, const void *ops, size_t len);

/* Mark and sweep of everything: what was not named between them is dropped, with callbacks. */
void nsr_store_sweep_begin(struct nsr_store *st);
void nsr_store_sweep_end(struct nsr_store *st);
/* The same for the state of one application. _begin: -ENOSPC, -ENOMEM. */
int nsr_store_app_sweep_begin(struct nsr_store *st, const char *app);
void nsr_store_app_sweep_end(struct nsr_store *st, const char *app);

/* Equal on both boxes when in step: identity, state and handshake of each connection, vouched positions,
 * application state. Cursors, and what is a box's own (cookie, adoption), are not in it. */
void nsr_store_digest(const struct nsr_store *st, uint8_t digest[NSR_STORE_DIGEST]);

/**
 * struct nsr_store_cursor - a walk over the whole store, spread over many turns of the loop
 *
 * What comes after the walk's start may or may not be visited; what goes is not. The members are store.c's.
 */
struct nsr_store_cursor {
	struct list_head node;
	struct nsr_store *store;
	struct nsr_store_conn *conn;
	struct nsr_store_app *app;
	struct nsr_store_state *state;
};

void nsr_store_cursor_start(struct nsr_store *st, struct nsr_store_cursor *cur);
struct nsr_store_conn *nsr_store_cursor_conn(struct nsr_store_cursor *cur);	/* next; NULL: no more */
struct nsr_store_state *nsr_store_cursor_state(struct nsr_store_cursor *cur);	/* waiting ones too */
void nsr_store_cursor_stop(struct nsr_store_cursor *cur);

/* Present connections and their caller's iteration; waiting ones are not among them. */
size_t nsr_store_nr_conns(const struct nsr_store *st);
size_t nsr_store_nr_waiting(const struct nsr_store *st);
size_t nsr_store_nr_states(const struct nsr_store *st);
size_t nsr_store_bytes(const struct nsr_store *st);
struct nsr_store_conn *nsr_store_conn_next(struct nsr_store *st, struct nsr_store_conn *c);	/* NULL: first */
struct list_head *nsr_store_apps(struct nsr_store *st);		/* of struct nsr_store_app */

/* Of one application in the store; 0, or NULL. */
struct nsr_store_app *nsr_store_app_find(struct nsr_store *st, const char *name);

#endif
