/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * app: what its files share.
 *
 *	app.c		the socket, HELLO, roles, switchover: a group's applications as a whole
 *	app_client.c	one client: messages in and out, and in which order it is told what it is due
 *	app_conn.c	connections: descriptors offered, attached, resumed, gone
 *	app_txn.c	transactions in, state out
 *
 * What a client is due, in this order (app_client_advance()): descriptors, then state, SYNCED, then its role,
 * then what a role brings (RESUMED, SNAPSHOT). It is produced as the client reads, so that a slow one costs
 * no memory; only what happens meanwhile is queued, up to APP_QUEUE_MAX.
 */
#ifndef NSRD_APP_PRIV_H
#define NSRD_APP_PRIV_H

#include "../lib/libnsr.h"
#include "../lib/wire.h"
#include "attr.h"
#include "nsrd.h"

#define APP_CLIENTS_MAX	256
#define APP_QUEUE_LOW	(256u << 10)	/* bytes: below, more is produced */
#define APP_QUEUE_MAX	(32u << 20)	/* bytes that a client may leave unread */
#define APP_HELLO_S	5.0		/* s: a client that has not said HELLO by then is closed */
/*
 * s: a rule matches, and yet the kernel has no record, and its rules are new: their scan
 * may not have come to it yet. What the application says of other connections waits meanwhile, and is not replicated.
 */
#ifndef APP_ATTACH_S
#define APP_ATTACH_S	0.1
#endif

struct app_server {
	struct nsrd *nsrd;
	ev_io io;
	struct list_head clients, groups;
	size_t nr_clients;
	uint8_t *rx, *tx;		/* one message each, NSR_APP_MSG_MAX */
	bool closing;
	char path[108];
};

/** struct app_group - a group, seen from its applications */
struct app_group {
	struct list_head node;
	struct group *g;
	enum nsr_role role;
	uint64_t term;
	unsigned int deadline_ms;
	uint32_t epoch;			/* counts SNAPSHOTs asked */
	struct list_head orphans;	/* app_conn: no application to offer it to */
	struct list_head seen;		/* app_name: had a client in this reign of this box */
};

/** struct app_name - @owes: its snapshot was cut off, so that the store holds a part of what it has */
struct app_name {
	struct list_head node;
	bool owes;
	char name[NSR_APP_NAME_MAX + 1];
};

/** enum app_dump - telling a standby application everything, once a snapshot has been complete */
enum app_dump { DUMP_NONE, DUMP_RUNNING, DUMP_DONE };

struct app_client {
	struct list_head node;		/* app_server.clients */
	struct app_server *server;
	struct app_group *ag;		/* NULL: no HELLO yet */
	ev_io io;
	ev_timer hello;
	pid_t pid;
	uid_t uid;
	char name[NSR_APP_NAME_MAX + 1];
	bool waiting;			/* WELCOME is due: this box does not know its role yet */
	bool dying;			/* to be destroyed from the loop */
	bool deaf;			/* its process is gone: read to the end, send nothing */
	bool advancing;
	uint32_t seq_in, seq_out;
	struct list_head queue;		/* app_msg */
	size_t queued;
	/* what it was told */
	enum nsr_role role;
	bool role_due;
	enum app_dump dump;
	struct nsr_store_cursor cursor;
	struct list_head todo;		/* app_conn: to be offered */
	struct list_head conns;		/* app_conn: offered, or attached */
	struct list_head resumed;	/* app_conn: RESUMED is due */
	/* what it said */
	struct list_head handles;	/* app_handle, newest first */
	struct list_head pending;	/* app_handle that the kernel has no record for yet */
	bool complete;			/* the store has its whole state */
	bool asked;			/* a SNAPSHOT is under way */
	uint32_t epoch;
	bool left, drained;
	uint64_t txn;			/* number of the transaction whose pieces are in ops */
	struct attr_buf ops;
	bool blocked;			/* whole, but a connection in it is not known yet: nothing is read */
};

enum app_conn_state { CONN_ORPHAN, CONN_TODO, CONN_TOLD };

/** struct app_conn - a connection that an application has, or is to have (nsr_store_conn.app_priv) */
struct app_conn {
	struct list_head node;		/* app_group.orphans, app_client.todo, .conns, as state says */
	struct list_head resumed_node;	/* app_client.resumed */
	struct nsr_store_conn *c;
	struct app_group *ag;
	struct app_client *client;
	enum app_conn_state state;
	int fd;				/* group.c's, until claimed; -1: none */
	bool claimed;
	bool declined;			/* the application did not want it: not offered again to the same one */
	bool resumed, planned;		/* RESUMED is due, or was told */
};

/** struct app_handle - what the application calls a connection until it knows its id */
struct app_handle {
	struct list_head node;
	struct app_client *client;
	uint32_t handle;
	uint64_t conn_id;		/* 0: none, or not yet */
	bool pending;
	ev_timer timer;
	struct nsr_store_tuple tuple;
	uint64_t cookie;
	bool has_pos, has_gap;
	uint64_t consumed, written;
	uint8_t gap;
};

/* app.c */
struct app_group *app_group_get(struct app_server *s, struct group *g);	/* NULL: out of memory */
struct app_client *app_client_find(const struct app_group *ag, const char *name);
struct app_server *app_server_of(const struct group *g);
void app_check_left(struct app_group *ag);
void app_check_snapshots(struct app_group *ag);
void app_hello(struct app_client *cl, const struct nsr_wire *w);
void app_owes(struct app_group *ag, const char *name, bool owes);
bool app_is_active(const struct app_group *ag);

/* app_client.c */
struct app_client *app_client_create(struct app_server *s, int fd);
void app_client_destroy(struct app_client *cl);
/* REFUSED, then the end, from the loop; cl stays valid until then. */
void app_client_refuse(struct app_client *cl, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
struct nsr_wire_buf app_begin(struct app_client *cl, unsigned int type);
void app_send(struct app_client *cl, struct nsr_wire_buf *b, int fd);	/* fd -1: none; stays the caller's */
void app_client_advance(struct app_client *cl);
void app_client_read(struct app_client *cl, bool on);

/* app_conn.c */
void app_conn_route(struct app_conn *ac);		/* to the client that it is for, or among the orphans */
bool app_conn_offer(struct app_client *cl);		/* the next of cl->todo; false: none */
bool app_conn_resume(struct app_client *cl);		/* the next of cl->resumed */
void app_conn_lose_client(struct app_conn *ac);
void app_handle_free(struct app_handle *h);
struct app_handle *app_handle_find(struct app_client *cl, uint32_t handle);
void app_attach(struct app_client *cl, const struct nsr_wire *w);
void app_detach(struct app_client *cl, const struct nsr_wire *w);
void app_set_gap(struct app_client *cl, const struct nsr_wire *w);
void app_claimed(struct app_client *cl, const struct nsr_wire *w);
struct nsr_store_conn *app_conn_named(struct app_client *cl, const struct nsr_wire *w);

/* app_txn.c */
void app_txn(struct app_client *cl, const struct nsr_wire *w);
void app_txn_retry(struct app_client *cl);		/* a handle that it waited for is known now */
void app_txn_discard(struct app_client *cl);
void app_send_conn_states(struct app_client *cl, struct nsr_store_conn *c);
bool app_dump_step(struct app_client *cl);		/* false: nothing left to tell */

#endif
