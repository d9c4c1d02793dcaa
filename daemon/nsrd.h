/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nsrd: how its files meet. One thread, one libev loop; nothing here blocks for longer than one
 * netlink request to the kernel.
 *
 *	config.c    nsrd.conf -> struct nsrd_config, errors with file:line
 *	kernel.c    the netlink family: requests (blocking, with extack text), events, dumps
 *	group.c     one redundancy group: drives role.c, carries out its actions, owns the shadows
 *	takeover.c  MAC and addresses of the service interface, gratuitous ARP, unsolicited NA
 *	control.c   /run/nsrd/control.sock: nsrctl's requests, JSON
 *	store.c     (pure) what is replicated: connections, application state, tails, vouched positions
 *	frame.c     (pure) frames of the sync link; heartbeat.c: a heartbeat's attributes
 *	transport.c byte stream to the peer: dial, accept, send, receive; becomes TLS
 *	link.c      frames, sequence numbers, cumulative ACKs, HELLO, one connection per pair
 *	gate.c      mode lossless on the active: ACK gates, who is protected, and why not
 *	sync.c      what goes over the link: snapshot, live records, hand-over
 *	app.c       application sockets: attach, transactions, descriptors
 *
 * Direction of calls: kernel, link and app report upwards to group.c / sync.c through the functions
 * below; nobody else keeps another file's state.
 */
#ifndef NSRD_H
#define NSRD_H

#include <ev.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../uapi/nsr_app.h"
#include "../uapi/tcp_nsr.h"
#include "list.h"
#include "log.h"
#include "role.h"
#include "store.h"
#include "term.h"

struct nlattr;
struct nlmsghdr;
struct link;
struct app_server;
struct sync_group;
struct takeover;
struct kernel;

enum cfg_mac { CFG_MAC_NONE, CFG_MAC_REPLACE, CFG_MAC_MACVLAN };

struct cfg_addr {
	uint8_t family;			/* AF_INET, AF_INET6 */
	uint8_t prefix_len;
	uint8_t addr[16];
};

struct cfg_rule {
	uint32_t id;
	uint8_t family;			/* 0: both */
	uint8_t mode, gap;		/* enum tcp_nsr_mode, tcp_nsr_gap */
	bool has_laddr, has_raddr;
	uint8_t laddr[16], raddr[16];
	uint8_t raddr_len;
	uint16_t lport, rport;		/* host order; 0: any */
	char vrf[IF_NAMESIZE];
	char application[NSR_APP_NAME_MAX + 1];	/* empty: any */
	uid_t user;			/* who may attach; (uid_t)-1: root only */
};

#define CFG_MD5_KEY_MAX	80

/** struct cfg_md5 - the key of signed connections (RFC 2385) with these far ends; md5.h */
struct cfg_md5 {
	struct cfg_addr remote;
	uint8_t len;
	uint8_t key[CFG_MD5_KEY_MAX];
};

struct cfg_group {
	uint32_t id;
	char name[NSR_APP_NAME_MAX + 1];
	char interface[IF_NAMESIZE];
	enum cfg_mac mac;
	bool has_mac_addr;		/* configured virtual MAC; else derived / the active's */
	uint8_t mac_addr[6];
	unsigned int priority;
	unsigned int interval_ms, drain_ms, leave_timeout_ms;
	unsigned int settle_ms, segment_life_ms, gap_bound_ms, probe_rate;
	unsigned int commit_timeout_ms;
	bool hold;			/* on-standby-loss hold: no gate opens */
	struct cfg_addr *addrs;
	size_t nr_addrs;
	struct cfg_rule *rules;
	size_t nr_rules;
	struct cfg_md5 *md5;
	size_t nr_md5;
};

struct nsrd_config {
	uint32_t node_id;
	char state_dir[256], run_dir[256];
	bool has_peer;
	struct sockaddr_storage local, peer;	/* sync link; port included */
	bool insecure;
	struct cfg_group *groups;
	size_t nr_groups;
};

/** struct group - one redundancy group at run time (group.c) */
struct group {
	struct list_head node;		/* nsrd.groups */
	struct nsrd *nsrd;
	struct cfg_group *cfg;
	struct role role;		/* role.h */
	struct nsr_store *store;	/* store.h: the replicated state, on either box */
	struct sync_group *sync;	/* sync.c */
	struct takeover *takeover;	/* takeover.c */
	struct gate_group *gates;	/* gate.c */
	void *priv;			/* group.c */
};

struct nsrd {
	struct ev_loop *loop;
	struct nsrd_config *cfg;
	struct list_head groups;
	struct kernel *kernel;
	struct link *link;		/* NULL: no peer configured */
	struct app_server *apps;
	uint64_t boot_id, instance_id;
};

uint64_t nsrd_now(void);		/* CLOCK_BOOTTIME, ns */
struct group *nsrd_group_find(struct nsrd *n, uint32_t id);
/* addresses and ports of a connection, for people; a static buffer */
const char *conn_describe(const struct nsr_store_conn *c);
const char *tuple_describe(const struct nsr_store_tuple *t);
struct group *nsrd_group_find_name(struct nsrd *n, const char *name);

/* ---- group.c: reports from below ---- */
/* kernel.c: one event of this group; attributes of the message, already bounds-checked */
void group_kernel_event(struct group *g, uint8_t cmd, const struct nlattr **attrs, const struct nlmsghdr *nlh);
/* kernel.c: ENOBUFS or a gap in EVENT_SEQ: dump and reconcile */
void group_kernel_resync(struct group *g);
/* sync.c: a heartbeat of the peer for this group, on any path */
void group_heartbeat(struct group *g, const struct nsr_heartbeat *hb);
/* sync.c, standby: the store changed; conn in it is new / has new cursors or positions / is to go */
void group_conn_added(struct group *g, struct nsr_store_conn *c);
void group_conn_changed(struct group *g, struct nsr_store_conn *c);
void group_conn_removed(struct group *g, struct nsr_store_conn *c);	/* before it is freed */
void group_handover(struct group *g);		/* standby: HANDOVER complete in the store */
void group_handover_acked(struct group *g);	/* active: the peer acknowledged HANDOVER */
/* active: SNAPSHOT_ASK number ask came; the last record for it is on the link (END not yet) */
void group_snapshot_asked(struct group *g, uint32_t ask);
void group_snapshot_sent(struct group *g, uint32_t ask);
/* standby: SNAPSHOT_END came, the store is whole and swept */
void group_snapshot_end(struct group *g, struct nsr_term term, uint32_t epoch, uint32_t ask);
/* active: a record could not be queued for the peer, it must be synchronised anew; standby: a record did
 * not fit the store */
void group_data_lost(struct group *g, const char *why);
/* The MAC that the group has on the wire, NULL while nobody knows; sync.c puts it into the heartbeat frame, and
 * reports what the peer's says (before group_heartbeat() of the same frame) */
const uint8_t *group_mac(const struct group *g);
void group_peer_mac(struct group *g, const uint8_t mac[6]);
void group_link_up(struct group *g);
void group_link_down(struct group *g, const char *why);
/* app.c: switchover: every application of the group has said LEFT / DRAINED (or there is none) */
void group_apps_left(struct group *g);
void group_apps_drained(struct group *g);

/* ---- sync.c: what group.c asks for ---- */
struct sync_group *sync_group_create(struct group *g);
void sync_group_destroy(struct sync_group *s);
void sync_send_heartbeat(struct group *g, const struct nsr_heartbeat *hb);
/* standby: SNAPSHOT_ASK with number ask; records are ignored until a SNAPSHOT_BEGIN with that number */
void sync_ask_snapshot(struct group *g, uint32_t ask);
/* active: SNAPSHOT_BEGIN, the store, live records from then on; group_snapshot_sent() once every attached
 * application has done its own snapshot (app_ask_snapshot). One under way for another ask is abandoned. */
void sync_send_snapshot(struct group *g, uint32_t ask);
void sync_end_snapshot(struct group *g, struct nsr_term term, uint32_t epoch, uint32_t ask);	/* SNAPSHOT_END */
/* the gates are open: no transaction waits for a standby any more */
void sync_gates_opened(struct group *g);
void sync_stop_snapshot(struct group *g);	/* abandon it, and live records: nobody listens */
/* standby: store and tails emptied (ROLE_ACT_DROP_DATA); group_conn_removed() for each connection */
void sync_drop_data(struct group *g);
/* active: forward a connection record of the kernel (CONN_ADD / CONN_CHANGE / CONN_DEL), store updated too */
void sync_conn_event(struct group *g, uint8_t cmd, const struct nlattr *conn);
/* active: one whole transaction of an application, pieces already joined: list of NSR_APP_A_OP. app_txn_acked()
 * when the standby has it, or need not have it: at once while the gates are open. Refused (nsr_store_error(g->store) says why): -errno */
int sync_txn(struct group *g, const char *app, uint64_t txn, const void *ops, size_t len);
/* the application's client is gone: nobody waits for its acknowledgements */
void sync_app_gone(struct group *g, const char *app);
/* active: what the application does not name between these two is deleted, here and at the peer */
/* Active: from here on what the application says is not whole until its snapshot is: no standby is ready */
void sync_app_behind(struct group *g, const char *app);
int sync_app_snapshot_begin(struct group *g, const char *app);
void sync_app_snapshot_end(struct group *g, const char *app);
/* active, frozen: HANDOVER with the final positions, a sequence of TCP_NSR_A_CONN (TCP_NSR_CONN_F_EXACT where
 * proven), put into the store too; group_handover_acked() when the peer has it */
void sync_handover(struct group *g, const void *conns, size_t len);
/* what is in the store is whole: this box is active, or has seen a snapshot's end and lost nothing since */
bool sync_has_snapshot(const struct group *g);
/* app.c, active: the last attached application has done the snapshot that it was asked for */
void sync_app_snapshots_done(struct group *g);
bool sync_in_step(const struct group *g);	/* the peer has acknowledged all but what is on its way */
uint64_t sync_lag_records(const struct group *g);

/* ---- link.c ---- */
struct link *link_create(struct nsrd *n);
void link_destroy(struct link *l);
bool link_is_up(const struct link *l);
const char *link_describe(const struct link *l);	/* for show: peer, state, reason of the last close */

/* ---- app.c: what group.c asks for ---- */
struct app_server *app_server_create(struct nsrd *n);
void app_server_destroy(struct app_server *s);
void app_role(struct group *g, unsigned int nsr_role, uint64_t term, unsigned int deadline_ms);
/* active: every application that has not sent its whole state since it attached is asked to (app.c asks by
 * itself when one attaches to an active). False: nothing to wait for; else sync_app_snapshots_done() later */
bool app_ask_snapshot(struct group *g, uint32_t epoch);
/* sync.c: a connection is new in the store (active), has changed (standby): whoever waits for it is answered */
void app_conn_known(struct group *g, struct nsr_store_conn *c);
/* sync.c: the connection leaves the store; after group_conn_removed() */
void app_conn_forget(struct group *g, const struct nsr_store_conn *c);
void app_synced(struct group *g);
/* standby: hand a shadow over; fd stays the caller's until app_conn_claimed() is called back */
void app_conn_added(struct group *g, struct nsr_store_conn *c, int fd);
void app_conn_gone(struct group *g, uint64_t conn_id, unsigned int why, const char *text);
void app_conn_resumed(struct group *g, struct nsr_store_conn *c, bool planned);
void app_conn_status(struct group *g, uint64_t conn_id);	/* 0: of every connection */
void app_state_changed(struct group *g, struct nsr_store_state *s);	/* standby: put or deleted */
void app_freeze(struct group *g);
void app_txn_acked(struct group *g, const char *app, uint64_t txn);
bool app_group_left(const struct group *g);
bool app_is_attached(const struct group *g, const char *app);	/* nsrctl show */
void app_each_attached(const struct group *g, void (*tell)(void *data, const char *app), void *data);
const char *app_group_laggard(const struct group *g);	/* name of one that has not answered */
/* app.c tells group.c: the application took the descriptor / died or detached */
void group_conn_claimed(struct group *g, uint64_t conn_id);
void group_conn_released(struct group *g, uint64_t conn_id);
/* app.c, active: from now on an ordinary connection */
void group_conn_unprotect(struct group *g, uint64_t conn_id);
/* app.c, active: the application's wish (RULE: the rule's own), for the kernel; app.c tells store and peer */
void group_conn_set_gap(struct group *g, uint64_t conn_id, uint8_t gap);
/* app.c asks group.c: which protected connection is this? NULL and why in *text: final; NULL and *text NULL:
 * a rule matches, and its event has not come yet (asked again at app_conn_known()) */
struct nsr_store_conn *group_conn_lookup(struct group *g, const struct nsr_store_tuple *t, uint64_t cookie,
					 const char **text);

#endif
