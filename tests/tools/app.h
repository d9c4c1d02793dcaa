/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * app: what the test applications on libnsr share: command line, event loop, role, the table of
 * connections, and an event log on stdout, one line for each callback, for shells to read:
 *
 *	link up | link down
 *	role active term=3 | role standby term=4 | role leaving term=3 deadline=3000
 *	accepted peer=192.0.2.1:40000 | connected peer=... | conn_added peer=... active_open=0
 *	resumed peer=... rcv_pos=1 snd_pos=2 snd_known=2 missing=0 uncertain=0 snd_uncertain=0 tail=0 planned=1
 *	status peer=... mode=adopt protected=1 reason=...
 *	conn_gone peer=... why=demoted
 *	closed peer=... why=...		(by this application)
 *	snapshot | synced | left
 *	refused -2 nsrd's words
 * SIGUSR1: "dump role=... term=... conns=N ..." and one "dump conn peer=..." for each connection, "dump end".
 * SIGTERM, SIGINT: exit 0, which closes the connections.
 */
#ifndef APP_H
#define APP_H

#include <getopt.h>
#include <libnsr.h>
#include <stdbool.h>
#include <stdio.h>

#include "net.h"

struct app;
struct app_conn {
	struct app_conn *next;
	struct nsr_conn *nsr;
	int fd;
	char peer[64];
	bool live;			/* attached here, or resumed: may be read and written */
	bool dead;			/* freed at the end of the turn */
	bool eof;
	struct app *app;
};

/** struct app_ops - what an application is. conn points at a struct that begins with struct app_conn */
struct app_ops {
	const char *name;
	size_t conn_size;
	void (*start)(struct app_conn *conn);		/* born here: nothing is known of it */
	void (*resume)(struct app_conn *conn, const struct nsr_resume *r);
	void (*input)(struct app_conn *conn);		/* readable: nsr_recv() until -EAGAIN */
	/* Runs every turn: may write. The return value says in how many ms again (0: not by itself). */
	unsigned int (*output)(struct app_conn *conn);
	bool (*finish)(struct app_conn *conn);		/* leaving: no message is half sent */
	void (*put)(struct app_conn *conn);		/* all its state, nsr_put() */
	void (*state)(struct app_conn *conn, const void *key, size_t klen, const void *val, size_t vlen);
	void (*put_global)(struct app *app);
	void (*state_global)(struct app *app, const void *key, size_t klen, const void *val, size_t vlen);
	void (*dump)(struct app_conn *conn, FILE *f);
	void (*dump_global)(struct app *app, FILE *f);
	/* Options of its own, terminated by a zero entry; values from 1000 on. */
	const struct option *options;
	void (*option)(struct app *app, int opt, const char *arg);
	const char *usage;
};

struct app {
	const struct app_ops *ops;
	struct nsr *nsr;
	enum nsr_role role;
	uint64_t term;
	bool leaving, said_left, verbose, once, refused;
	unsigned int ended;		/* connections that this application has closed */
	int epfd, listener, sigfd;
	bool listening;			/* listener is in epfd */
	const char *group, *name, *socket;
	struct net_addr listen_at, connect_to, bind_to;
	struct net_opts opts;
	enum nsr_gap gap;
	uint64_t connect_at;		/* ms: when to dial (again); 0: not */
	struct app_conn *conns;
	unsigned int nconns;
};

int app_main(int argc, char **argv, const struct app_ops *ops, struct app *app);
void app_event(struct app *app, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Ends a connection; why goes into the event. conn stays valid until the end of the turn. */
void app_close(struct app_conn *conn, enum nsr_fin how, const char *why);

#endif
