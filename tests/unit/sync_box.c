// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <fcntl.h>
#include <unistd.h>
#include "control.h"
#include "gate.h"
#include "kernel.h"
#include "sync_box.h"

struct ev_loop *box_loop;
ev_timer box_tick;

static void on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
}

static struct box *box_of(const struct group *g)
{
	return (struct box *)list_entry((struct group *)g, struct box, g);
}

static void set_addr(struct sockaddr_storage *ss, uint32_t node, uint16_t port)
{
	struct sockaddr_in *in = (void *)ss;

	memset(ss, 0, sizeof(*ss));
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK + node - 1);
	in->sin_port = htons(port);
}

static uint64_t instances = 1000;

void box_init(struct box *b, uint32_t node, enum role_state state)
{
	if (!box_loop) {
		box_loop = ev_loop_new(EVFLAG_AUTO);
		ev_timer_init(&box_tick, on_tick, 0., 0.01);
	}
	memset(b, 0, sizeof(*b));
	b->cfg.node_id = node;
	b->cfg.has_peer = true;
	set_addr(&b->cfg.local, node, 0);
	set_addr(&b->cfg.peer, 3 - node, 1);
	b->cfg.groups = &b->cg;
	b->cfg.nr_groups = 1;
	b->cg.id = 7;
	strcpy(b->cg.name, "edge");
	b->cg.rules = &b->rule;
	b->cg.nr_rules = 1;
	b->rule.id = 1;
	b->rule.gap = TCP_NSR_GAP_RESET;
	b->rule.user = (uid_t)-1;
	list_init(&b->n.groups);
	b->n.loop = box_loop;
	b->n.cfg = &b->cfg;
	b->n.boot_id = node;
	b->n.instance_id = instances++;
	b->g.nsrd = &b->n;
	b->g.cfg = &b->cg;
	b->g.role.state = state;
	b->g.role.gates_open = state == ROLE_ACTIVE;
	b->cg.commit_timeout_ms = 1000;
	b->n.kernel = (struct kernel *)b;
	list_add_tail(&b->g.node, &b->n.groups);
	assert_non_null(sync_group_create(&b->g));
}

void box_listen(struct box *b)
{
	b->n.link = link_create(&b->n);
	assert_non_null(b->n.link);
}

void box_meet(struct box *a, struct box *b)
{
	box_listen(a);
	box_listen(b);
	set_addr(&a->cfg.peer, b->cfg.node_id, link_port(b->n.link));
	set_addr(&b->cfg.peer, a->cfg.node_id, link_port(a->n.link));
}

void box_exit(struct box *b)
{
	link_destroy(b->n.link);
	b->n.link = NULL;
	sync_group_destroy(b->g.sync);
}

void box_restart(struct box *b)
{
	uint16_t port = link_port(b->n.link);
	struct sockaddr_storage local = b->cfg.local;

	link_destroy(b->n.link);
	b->n.link = NULL;
	sync_group_destroy(b->g.sync);
	assert_non_null(sync_group_create(&b->g));
	b->n.instance_id = instances++;
	((struct sockaddr_in *)&b->cfg.local)->sin_port = htons(port);
	box_listen(b);
	b->cfg.local = local;
}

void box_turns(unsigned int n)
{
	while (n--) {
		ev_timer_again(box_loop, &box_tick);
		ev_run(box_loop, EVRUN_ONCE);
	}
}

void box_conn(struct box *b, uint8_t cmd, struct attr_buf rec)
{
	struct attr_buf n = { 0 };

	attr_put(&n, TCP_NSR_A_CONN | NLA_F_NESTED, rec.data, rec.len);
	sync_conn_event(&b->g, cmd, (const struct nlattr *)n.data);
	attr_buf_free(&n);
	attr_buf_free(&rec);
}

int box_txn(struct box *b, const char *app, uint64_t txn, struct attr_buf *ops)
{
	int err = sync_txn(&b->g, app, txn, ops->data, ops->len);

	attr_buf_free(ops);
	return err;
}

/* ---- main.c ---- */

struct group *nsrd_group_find(struct nsrd *n, uint32_t id)
{
	struct group *g;

	list_for_each(g, &n->groups, node)
		if (g->cfg->id == id)
			return g;
	return NULL;
}

struct group *nsrd_group_find_name(struct nsrd *n, const char *name)
{
	struct group *g;

	list_for_each(g, &n->groups, node)
		if (!strcmp(g->cfg->name, name))
			return g;
	return NULL;
}

/* ---- group.c: a role machine of few words ---- */

static void ask(struct box *b)
{
	if (b->g.role.state == ROLE_SYNC || b->g.role.state == ROLE_READY)
		sync_ask_snapshot(&b->g, ++b->ask);
}

void group_link_up(struct group *g)
{
	box_of(g)->ups++;
	ask(box_of(g));
}

void group_link_down(struct group *g, const char *why)
{
	(void)why;
	box_of(g)->downs++;
}

void group_snapshot_asked(struct group *g, uint32_t number)
{
	box_of(g)->asked++;
	if (g->role.state == ROLE_ACTIVE)
		sync_send_snapshot(g, number);
}

void group_snapshot_sent(struct group *g, uint32_t number)
{
	struct nsr_term term = { 5, 1 };

	box_of(g)->sent++;
	if (box_of(g)->hold_end)
		return;
	g->role.gates_open = false;
	sync_end_snapshot(g, term, 3, number);
}

void group_snapshot_end(struct group *g, struct nsr_term term, uint32_t epoch, uint32_t number)
{
	struct box *b = box_of(g);

	assert_int_equal(term.number, 5);
	assert_int_equal(term.owner, 1);
	assert_int_equal(number, b->ask);
	b->last_epoch = epoch;
	b->ends++;
	g->role.state = ROLE_READY;
}

void group_data_lost(struct group *g, const char *why)
{
	struct box *b = box_of(g);

	b->lost++;
	snprintf(b->lost_why, sizeof(b->lost_why), "%s", why);
	ask(b);
}

void group_heartbeat(struct group *g, const struct nsr_heartbeat *hb)
{
	box_of(g)->heartbeats++;
	box_of(g)->hb = *hb;
}

const uint8_t *group_mac(const struct group *g)
{
	(void)g;
	return NULL;
}

void group_peer_mac(struct group *g, const uint8_t mac[6])
{
	(void)g;
	(void)mac;
}

void group_conn_added(struct group *g, struct nsr_store_conn *c)
{
	struct box *b = box_of(g);
	int *fd;

	b->added++;
	if (!b->inject)
		return;
	fd = malloc(sizeof(*fd));
	*fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	c->priv = fd;
	app_conn_added(g, c, *fd);
}

void group_conn_changed(struct group *g, struct nsr_store_conn *c)
{
	(void)c;
	box_of(g)->changed++;
}

static void close_shadow(struct nsr_store_conn *c)
{
	int *fd = c->priv;

	if (!fd)
		return;
	if (*fd >= 0)
		close(*fd);
	free(fd);
	c->priv = NULL;
}

void group_conn_removed(struct group *g, struct nsr_store_conn *c)
{
	box_of(g)->removed++;
	if (c->priv)
		app_conn_gone(g, c->id, NSR_GONE_PEER, "the connection has ended");
	close_shadow(c);
}

void group_handover(struct group *g)
{
	box_of(g)->handovers++;
}

void group_handover_acked(struct group *g)
{
	box_of(g)->handovers_acked++;
}

void group_apps_left(struct group *g)
{
	box_of(g)->left++;
}

void group_apps_drained(struct group *g)
{
	box_of(g)->drained++;
}

void group_conn_claimed(struct group *g, uint64_t id)
{
	struct nsr_store_conn *c = nsr_store_conn_find(g->store, id);
	int *fd = c ? c->priv : NULL;

	box_of(g)->claimed++;
	box_of(g)->last_claimed = id;
	if (fd) {
		close(*fd);
		*fd = -1;
	}
}

void group_conn_released(struct group *g, uint64_t id)
{
	struct nsr_store_conn *c = nsr_store_conn_find(g->store, id);
	int *fd = c ? c->priv : NULL;

	box_of(g)->released++;
	box_of(g)->last_released = id;
	/* an active's resumed connections died with their application */
	if (fd && g->role.state != ROLE_ACTIVE) {
		*fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		app_conn_added(g, c, *fd);
	}
}

void group_conn_unprotect(struct group *g, uint64_t id)
{
	(void)id;
	box_of(g)->unprotected++;
}

void group_conn_set_gap(struct group *g, uint64_t id, uint8_t gap)
{
	(void)id;
	(void)gap;
	box_of(g)->gaps++;
}

/* Port 9 is the one that no rule matches. */
struct nsr_store_conn *group_conn_lookup(struct group *g, const struct nsr_store_tuple *t, uint64_t cookie,
					 const char **text)
{
	struct nsr_store_conn *c = nsr_store_conn_find_tuple(g->store, t);

	(void)cookie;
	*text = !c && t->lport == htons(9) ? "no rule of the group matches it" : NULL;
	return c;
}

/* ---- the kernel: what it was told about gates, and what it is asked ---- */

struct box_gate *box_gate(struct box *b, uint64_t id)
{
	size_t i;

	for (i = 0; b->gates[i].id && b->gates[i].id != id; i++)
		assert_true(i + 1 < sizeof(b->gates) / sizeof(b->gates[0]));
	b->gates[i].id = id;
	return &b->gates[i];
}

void box_gates(struct box *b, bool open)
{
	b->g.role.gates_open = open;
	if (open && !b->cg.hold) {
		gate_opened(&b->g);
		sync_gates_opened(&b->g);
	}
}

int kernel_batch_add(struct kernel *k, const void *conn, size_t len)
{
	struct box *b = (struct box *)k;
	const struct nlattr *attr;
	struct box_gate *gate = NULL;
	uint64_t id, pos;
	uint8_t open;

	if (b->batch_fails)
		return 0;
	mnl_attr_for_each_payload(conn, len) {
		if (mnl_attr_get_type(attr) == TCP_NSR_A_CONN_ID && attr_u64(attr, &id))
			gate = box_gate(b, id);
		else if (mnl_attr_get_type(attr) == TCP_NSR_A_CONN_GATE && attr_u64(attr, &pos) && pos > gate->gate)
			gate->gate = pos;
		else if (mnl_attr_get_type(attr) == TCP_NSR_A_CONN_GATE_OPEN && attr_u8(attr, &open))
			gate->open = open;
	}
	return 0;
}

int kernel_batch_send(struct kernel *k)
{
	((struct box *)k)->batches++;
	return -((struct box *)k)->batch_fails;
}

const char *kernel_error(const struct kernel *k)
{
	(void)k;
	return "";
}

int kernel_conn_get(struct kernel *k, uint64_t id, void (*each)(const struct nlattr *conn, void *data), void *data)
{
	struct box_gate *gate = box_gate((struct box *)k, id);
	struct attr_buf b = { 0 };
	size_t nest = attr_nest_start(&b, TCP_NSR_A_CONN);

	attr_put_u64(&b, TCP_NSR_A_CONN_ID, id);
	attr_put_u64(&b, TCP_NSR_A_CONN_RCV_WUP, gate->wup);
	attr_put_u64(&b, TCP_NSR_A_CONN_SND_UNA, gate->una);
	attr_put_u64(&b, TCP_NSR_A_CONN_WRITE_SEQ, gate->seq);
	attr_nest_end(&b, nest);
	each((const struct nlattr *)b.data, data);
	attr_buf_free(&b);
	return 0;
}

int kernel_conns_dump(struct kernel *k, uint32_t group, void (*begin)(void *data),
		      void (*each)(const struct nlattr *conn, void *data), void *data)
{
	struct box *b = (struct box *)k;

	(void)group;
	begin(data);
	for (size_t i = 0; i < sizeof(b->gates) / sizeof(b->gates[0]) && b->gates[i].id; i++)
		kernel_conn_get(k, b->gates[i].id, each, data);
	return 0;
}

void control_emit(struct nsrd *n, const struct group *g, const char *event, const char *fmt, ...)
{
	(void)n;
	(void)g;
	(void)event;
	(void)fmt;
}

const char *conn_describe(const struct nsr_store_conn *c)
{
	(void)c;
	return "a connection";
}
