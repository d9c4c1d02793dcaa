/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The running speaker: who owns whom, and what each file offers to the others. A struct bgp has
 * peers (configured neighbours), a peer has sessions (one per TCP connection: two during a
 * collision), a session has what the standby must know of it. There is no global state.
 */
#ifndef BGP_H
#define BGP_H
#include <ev.h>
#include <stdlib.h>
#include "config.h"
#include "libnsr.h"
#include "message.h"
#include "state.h"

struct bgp;
struct peer;

/* RFC 4271, section 10: jitter, so that two speakers neither collide nor keep in step for ever */
static inline double jittered(double seconds)
{
	return seconds * (0.75 + 0.25 * drand48());
}

enum announce_phase { ANNOUNCE_IDLE, ANNOUNCE_NETWORKS, ANNOUNCE_WITHDRAWALS };

struct session {
	struct session *next;
	struct peer *peer;
	struct nsr_conn *conn;
	int fd;
	bool active_open;
	/* True: the connection is this box's to read and write. False: a shadow on the standby, or
	 * one that has not been resumed yet, or one that is being handed over. */
	bool live;
	const char *broken;		/* why this box could not take the session over, or NULL */
	struct addr local;

	/* Replicated. */
	struct session_params params;
	struct rib in, out;
	size_t rest_len;		/* of a message that libnsr has taken in part */
	uint8_t rest[BGP_MSG_MAX];

	/* This box's own. */
	ev_io io;
	ev_timer hold, keepalive;
	bool blocked;			/* until conn_writable */
	bool keepalive_due, heard, rest_seen;
	enum announce_phase phase;
	struct rib_iter walk, snapshot_walk;
	enum { SNAP_DONE, SNAP_PARAMS, SNAP_IN, SNAP_OUT } snapshot;
	uint64_t received, sent;	/* messages */
	size_t in_len;
	uint8_t in_buf[4 * BGP_MSG_MAX];
};

struct peer {
	struct peer *next;
	struct bgp *bgp;
	struct neighbor_config cfg;
	bool configured;		/* false: the other box knows it, our configuration does not */
	struct session *sessions;
	ev_timer retry;
	ev_io dial;			/* its fd is -1 unless a connect() is under way */
	unsigned int established, resumed, lost;
	char last[128];			/* why the last session ended */
};

struct listener {
	struct bgp *bgp;
	ev_io io;
};

struct bgp {
	struct ev_loop *loop;
	const char *config_path;
	struct config *cfg;
	struct nsr *nsr;
	enum nsr_role role;
	bool role_known;
	bool refused;			/* nsrd wants nothing of us: for good */
	size_t uncommitted;		/* bytes put since the last commit */
	bool speaking;			/* accepts, dials, sends: active, or without nsrd */
	bool commit_blocked;
	struct rib networks;		/* in force: from the file, or from the other box */
	struct peer *peers;
	struct listener listeners[LISTEN_MAX];
	size_t listening;
	ev_io nsr_io;
	ev_prepare prepare;
	ev_idle work;
	ev_timer nsrd_wait;
	enum { BGP_SNAP_NONE, BGP_SNAP_NETWORKS, BGP_SNAP_SESSIONS } snapshot;
	struct rib_iter snapshot_walk;
};

/* log.c */
enum level { LOG_LVL_NONE, LOG_LVL_ERROR, LOG_LVL_NOTICE, LOG_LVL_DEBUG };
extern enum level log_level;
void bgp_log(enum level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void peer_log(const struct peer *p, enum level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* speaker.c: a speaker as a whole. Takes cfg over; NULL after saying why. */
struct bgp *bgp_create(struct ev_loop *loop, struct config *cfg, const char *config_path);
void bgp_destroy(struct bgp *bgp);
void bgp_reload(struct bgp *bgp, struct config *cfg);	/* takes cfg over */
void bgp_speak(struct bgp *bgp);	/* listen, dial, send */
void bgp_hush(struct bgp *bgp);		/* stop doing so; sessions stay as they are */
void bgp_shutdown(struct bgp *bgp);	/* says goodbye to every peer */
void bgp_kick(struct bgp *bgp);		/* there is work for the idle watcher */
struct peer *bgp_find_peer(const struct bgp *bgp, const struct addr *a);

/* peer.c */
struct peer *peer_create(struct bgp *bgp, const struct neighbor_config *cfg, bool configured);
void peer_destroy(struct peer *p);	/* its sessions are gone already */
void peer_start(struct peer *p);
void peer_stop(struct peer *p);
void peer_accepted(struct bgp *bgp, int fd, const struct sockaddr_storage *from);
bool peer_collision(struct session *s);	/* false: s lost, and is gone */
void peer_session_gone(struct session *s, const char *why);

/* session.c: the state machine of one connection. A function that returns bool says whether the
 * session still exists. */
struct session *session_create(struct peer *p, struct nsr_conn *conn, int fd, bool active_open,
			       bool live);
bool session_start(struct session *s);
bool session_resume(struct session *s, const struct nsr_resume *r);
void session_suspend(struct session *s);
void session_await_resume(struct session *s);
bool session_handle(struct session *s, const uint8_t *msg, size_t len);
/* NOTIFICATION, then FIN. Always false. */
bool session_fail(struct session *s, const struct bgp_error *e, const char *why);
bool session_cease(struct session *s, uint8_t sub, const char *why);
/* Without a word; how = NSR_RST where the peer cannot be told in its stream. Always false. */
bool session_close(struct session *s, enum nsr_fin how, const char *why);
void session_apply_options(const struct session *s);

/* session_io.c */
bool session_input(struct session *s, unsigned int rounds);
bool session_send(struct session *s, const uint8_t *msg, size_t len);	/* false: not now */
void session_send_keepalive(struct session *s);
void session_writable(struct session *s);
void session_io_init(struct session *s);

/* announce.c */
void announce_start(struct session *s);
void announce_refresh(struct session *s, uint8_t afi);
bool announce_pump(struct session *s);	/* true: more to do now */

/* replica.c: everything that faces libnsr */
int replica_open(struct bgp *bgp);
void replica_close(struct bgp *bgp);
void replica_commit(struct bgp *bgp);
/* After each message, in or out: a transaction may end there, and must not grow without bound. */
void replica_message_done(struct bgp *bgp);
bool replica_put_session(struct session *s);
bool replica_put_rest(struct session *s);
bool replica_put_route(struct session *s, enum state_kind kind, const struct prefix *p,
		       const struct attrs *a);
bool replica_del_route(struct session *s, enum state_kind kind, const struct prefix *p);
bool replica_put_network(struct bgp *bgp, const struct prefix *p, const struct attrs *a);
bool replica_del_network(struct bgp *bgp, const struct prefix *p);
bool replica_snapshot_step(struct bgp *bgp);	/* true: more to do now */

/* ctl.c, show.c */
struct ctl;
struct ctl *ctl_create(struct bgp *bgp, const char *path);
void ctl_destroy(struct ctl *ctl);
int ctl_request(const char *path, const char *words);	/* the client; an exit status */
/* Answers one request line, such as "show rib json"; the caller frees the text. */
char *show_answer(struct bgp *bgp, const char *words, size_t *len);

#endif
