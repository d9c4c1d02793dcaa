// SPDX-License-Identifier: GPL-2.0-only
/*
 * A group at run time: feeds the role machine and carries out its actions in their order. The machine
 * takes no input while it has actions left, so inputs that come meanwhile wait in a ring.
 */
#include <errno.h>
#include <linux/genetlink.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "control.h"
#include "gate.h"
#include "group_priv.h"
#include "link.h"
#include "takeover.h"

#include "../lib/libnsr.h"

#define MS		1000000ull

static struct role *role_of(struct group *g)
{
	return &g->role;
}

static void describe_kernel(const struct kernel_group *kg, struct role_kernel *rk)
{
	memset(rk, 0, sizeof(*rk));
	rk->active = kg->active;
	rk->term = kg->term;
	rk->lease_until = kg->lease_until;
	rk->ready_until = kg->ready_until;
	rk->generation = kg->generation;
	rk->epoch = kg->epoch;
	rk->gates_open = kg->gates_open;
}

static void complain(struct group *g, const char *what, int err)
{
	log_err("group %s: %s: %s (%s)", g->cfg->name, what, kernel_error(g->nsrd->kernel), strerror(-err));
}

static int set_kernel_group(struct group *g)
{
	int err = kernel_group_set(g->nsrd->kernel, g->cfg, takeover_ifindex(g->takeover), group_mac(g));

	if (err)
		complain(g, "the kernel refuses the group", err);
	return err;
}

/* ---- MAC ---- */

const uint8_t *group_mac(const struct group *g)
{
	return takeover_mac(g->takeover);
}

void group_peer_mac(struct group *g, const uint8_t mac[6])
{
	struct group_priv *p = group_priv(g);

	memcpy(p->peer_mac, mac, 6);
	p->has_peer_mac = true;
}

/* Only who is active knows: before the first reign both boxes might name their own. */
static void learn_mac(struct group *g, const struct nsr_heartbeat *hb)
{
	struct group_priv *p = group_priv(g);

	if (p->has_peer_mac && (hb->state == ROLE_ACTIVE || hb->state == ROLE_LEAVE) && !group_owns_conns(g) &&
	    takeover_learn_mac(g->takeover, p->peer_mac))
		set_kernel_group(g);
	p->has_peer_mac = false;
}

/* ---- actions ---- */

static void do_disk_write(struct group *g, const struct role_action *a)
{
	int err = term_write(g->nsrd->cfg->state_dir, g->cfg->id, &a->record);

	if (err)
		log_err("group %s: its term cannot be written below %s: %s", g->cfg->name,
			g->nsrd->cfg->state_dir, strerror(-err));
	role_disk_answer(role_of(g), nsrd_now(), err);
}

static void do_kernel_active(struct group *g, const struct role_action *a)
{
	uint32_t generation = a->generation;
	int err = 0;

	/* ORDER: the fence must know the MAC, and the shadows their positions, before the role turns. */
	if (takeover_choose_mac(g->takeover))
		err = set_kernel_group(g);
	shadow_flush(g);
	switchover_thaw(g);
	if (!err)
		err = kernel_role_active(g->nsrd->kernel, g->cfg->id, a->term, a->lease_until, a->generation,
					 &generation);
	if (err)
		complain(g, "the kernel refuses the role", err);
	role_kernel_answer(role_of(g), nsrd_now(), err, err ? 0 : generation);
}

static void do_kernel_lease(struct group *g, const struct role_action *a)
{
	int err = kernel_lease_set(g->nsrd->kernel, g->cfg->id, a->lease_until, a->generation);

	if (err)
		complain(g, "the kernel refuses the lease", err);
	role_kernel_answer(role_of(g), nsrd_now(), err, a->generation);
}

static void do_kernel_mute(struct group *g)
{
	uint32_t generation = 0;
	int err = kernel_mute(g->nsrd->kernel, g->cfg->id, false, &generation);

	if (err)
		complain(g, "the kernel refuses to be mute", err);
	else
		switchover_recheck(g);
	role_kernel_answer(role_of(g), nsrd_now(), err, generation);
}

static void do_kernel_ready(struct group *g, const struct role_action *a)
{
	bool open = a->gates_open && !g->cfg->hold;
	int err = kernel_ready_set(g->nsrd->kernel, g->cfg->id, a->ready_until, open, a->epoch);

	if (err)
		complain(g, "the kernel refuses the ready lease", err);
	if (!err && open) {
		gate_opened(g);
		sync_gates_opened(g);
	}
	role_kernel_answer(role_of(g), nsrd_now(), err, role_of(g)->generation);
}

static void do_heartbeat(struct group *g)
{
	struct nsr_heartbeat hb;

	role_fill_heartbeat(role_of(g), nsrd_now(), &hb);
	sync_send_heartbeat(g, &hb);
}

static void tell_gone(struct group *g, unsigned int why, const char *text)
{
	struct nsr_store_conn *c = NULL;

	while ((c = nsr_store_conn_next(g->store, c))) {
		app_conn_gone(g, c->id, why, text);
		shadow_forget(c);
	}
}

static void do_apps_active(struct group *g, const struct role_action *a)
{
	struct nsr_store_conn *c = NULL;

	group_priv(g)->reigned = true;
	if (a->held) {
		switchover_thaw(g);
		conns_resync(g);
	} else {
		shadow_report_missing(g);
	}
	app_role(g, NSR_ROLE_ACTIVE, a->term.number, 0);
	/* Own sockets again: who had been told to leave is told that each of them goes on. */
	while (a->held && group_priv(g)->apps_leaving && (c = nsr_store_conn_next(g->store, c)))
		app_conn_resumed(g, c, true);
	group_priv(g)->apps_leaving = false;
}

/* The mute that destroys raises the generation: the machine has to know it. */
static void do_destroy(struct group *g)
{
	const struct input again = { .kind = INPUT_KERNEL };
	uint32_t generation;
	int err;

	if (group_priv(g)->reigned)
		tell_gone(g, NSR_GONE_DEMOTED, "this box is no longer active");
	group_priv(g)->reigned = false;
	err = kernel_mute(g->nsrd->kernel, g->cfg->id, true, &generation);
	if (err)
		complain(g, "the kernel does not destroy the sockets", err);
	switchover_thaw(g);
	app_role(g, NSR_ROLE_STANDBY, role_of(g)->term.number, 0);
	group_priv(g)->apps_leaving = false;
	group_feed(g, &again);
}

static void do_say(struct group *g, const struct role_action *a)
{
	log_msg(a->act == ROLE_ACT_ALARM ? LOG_WARNING : LOG_INFO, "group %s: %s", g->cfg->name, a->text);
	control_emit(g->nsrd, g, a->act == ROLE_ACT_ALARM ? "alarm" : "log", "%s", a->text);
}

static void execute(struct group *g, const struct role_action *a)
{
	log_debug("group %s: %s", g->cfg->name, role_act_name(a->act));
	switch (a->act) {
	case ROLE_ACT_DISK_WRITE:
		do_disk_write(g, a);
		break;
	case ROLE_ACT_KERNEL_ACTIVE:
		do_kernel_active(g, a);
		break;
	case ROLE_ACT_KERNEL_LEASE:
		do_kernel_lease(g, a);
		break;
	case ROLE_ACT_KERNEL_MUTE:
		do_kernel_mute(g);
		break;
	case ROLE_ACT_KERNEL_READY:
		do_kernel_ready(g, a);
		break;
	case ROLE_ACT_ADDRESSES_TAKE:
		role_addresses_answer(role_of(g), nsrd_now(), takeover_take(g->takeover));
		break;
	case ROLE_ACT_ADDRESSES_RELEASE:
		takeover_release(g->takeover);
		break;
	case ROLE_ACT_HEARTBEAT:
		do_heartbeat(g);
		break;
	case ROLE_ACT_SNAPSHOT_ASK:
		sync_ask_snapshot(g, a->ask);
		break;
	case ROLE_ACT_SNAPSHOT_SEND:
		sync_send_snapshot(g, a->ask);
		break;
	case ROLE_ACT_SNAPSHOT_END:
		sync_end_snapshot(g, a->term, a->epoch, a->ask);
		break;
	case ROLE_ACT_SNAPSHOT_STOP:
		sync_stop_snapshot(g);
		break;
	case ROLE_ACT_APPS_ACTIVE:
		do_apps_active(g, a);
		break;
	case ROLE_ACT_APPS_LEAVING:
		switchover_start(g);
		break;
	case ROLE_ACT_APPS_CALLED_OFF:
		switchover_undo(g);
		break;
	case ROLE_ACT_DESTROY:
		do_destroy(g);
		break;
	case ROLE_ACT_DROP_DATA:
		group_priv(g)->dropping = true;
		sync_drop_data(g);
		group_priv(g)->dropping = false;
		shadow_drop_strays(g);
		break;
	case ROLE_ACT_ALARM:
	case ROLE_ACT_LOG:
		do_say(g, a);
		break;
	case ROLE_ACT_FENCE:	/* authority fence is refused by the configuration */
	case ROLE_ACT_NONE:
	case ROLE_ACTS:
		break;
	}
}

/* ---- inputs ---- */

static int take_kernel(struct group *g)
{
	struct kernel_group kg;
	struct role_kernel rk;

	if (kernel_group_get(g->nsrd->kernel, g->cfg->id, &kg))
		return 0;
	describe_kernel(&kg, &rk);
	return role_kernel_event(role_of(g), nsrd_now(), &rk);
}

static int take_heartbeat(struct group *g, const struct nsr_heartbeat *hb)
{
	int err = role_heartbeat(role_of(g), nsrd_now(), hb);

	if (err == -EINVAL)
		log_warn("group %s: heartbeat refused: %s", g->cfg->name, role_refusal(role_of(g)));
	return err;
}

static int take_input(struct group *g, const struct input *in)
{
	struct role *r = role_of(g);
	uint64_t now = nsrd_now();

	switch (in->kind) {
	case INPUT_HEARTBEAT:
		return take_heartbeat(g, &in->hb);
	case INPUT_LINK:
		return role_link(r, now, in->up);
	case INPUT_SNAP_ASKED:
		return role_snapshot_asked(r, now, in->ask);
	case INPUT_SNAP_SENT:
		return role_snapshot_sent(r, now, in->ask);
	case INPUT_SNAP_END:
		return role_snapshot_end(r, now, in->term, in->epoch, in->ask);
	case INPUT_DATA_LOST:
		return role_data_lost(r, now, in->why);
	case INPUT_KERNEL:
		return take_kernel(g);
	case INPUT_LEFT:
		return role_left(r, now);
	case INPUT_LEAVE_TIMEOUT:
		return role_leave_timeout(r, now);
	case INPUT_APP_DIED:
		return role_app_died(r, now);
	}
	return 0;
}

static void note_state(struct group *g)
{
	struct group_priv *p = group_priv(g);
	struct role *r = role_of(g);

	if (r->state == p->shown)
		return;
	log_notice("group %s: %s -> %s (%s), term %llu of node %u", g->cfg->name, role_state_name(p->shown),
		   role_state_name(r->state), role_reason_name(r->reason), (unsigned long long)r->term.number,
		   r->term.owner);
	control_emit(g->nsrd, g, "role", "%s -> %s: %s", role_state_name(p->shown), role_state_name(r->state),
		     role_reason_name(r->reason));
	p->shown = r->state;
	switchover_end(g);
}

static void arm_wake(struct group *g)
{
	struct group_priv *p = group_priv(g);
	uint64_t due = role_wakeup(role_of(g)), now = nsrd_now();

	ev_timer_stop(g->nsrd->loop, &p->wake);
	if (!due)
		return;
	ev_timer_set(&p->wake, due > now ? (double)(due - now) / 1e9 : 0., 0.);
	ev_timer_start(g->nsrd->loop, &p->wake);
}

void group_run(struct group *g)
{
	struct group_priv *p = group_priv(g);
	struct role_action act;

	if (p->running)
		return;
	p->running = true;
	for (;;) {
		while (role_next(role_of(g), &act)) {
			execute(g, &act);
			note_state(g);
		}
		note_state(g);
		if (!p->in_len || take_input(g, &p->inputs[p->in_head]) == -EBUSY)
			break;
		p->in_head = (p->in_head + 1) % INPUTS_MAX;
		p->in_len--;
	}
	p->running = false;
	arm_wake(g);
}

void group_feed(struct group *g, const struct input *in)
{
	struct group_priv *p = group_priv(g);

	/* Full only if the kernel or the disk has stalled for long: then silence is what the peer must see. */
	if (p->in_len == INPUTS_MAX) {
		log_err("group %s: too much to do at once, something is not heard", g->cfg->name);
		return;
	}
	p->inputs[(p->in_head + p->in_len++) % INPUTS_MAX] = *in;
	group_run(g);
}

static void on_turn(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct group *g = w->data;

	(void)loop;
	(void)revents;
	/* ORDER: sockets before silence is judged. */
	kernel_drain(g->nsrd->kernel);
	if (g->nsrd->link)
		link_drain(g->nsrd->link);
	group_run(g);
	role_turn(role_of(g), nsrd_now());
	group_run(g);
	group_rules_turn(g, nsrd_now());
	if (group_owns_conns(g))
		gate_turn(g, nsrd_now());
}

static void on_wake(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct group *g = w->data;

	(void)loop;
	(void)revents;
	role_wake(role_of(g), nsrd_now());
	group_run(g);
}

/* What changed in this turn of the loop goes to the kernel in one batch, before the loop sleeps. */
static void on_flush(struct ev_loop *loop, ev_prepare *w, int revents)
{
	struct group *g = w->data;

	(void)loop;
	(void)revents;
	shadow_flush(g);
}

/* ---- reports from below ---- */

void group_heartbeat(struct group *g, const struct nsr_heartbeat *hb)
{
	struct input in = { .kind = INPUT_HEARTBEAT, .hb = *hb };

	learn_mac(g, hb);
	group_feed(g, &in);
}

void group_link_up(struct group *g)
{
	group_feed(g, &(struct input){ .kind = INPUT_LINK, .up = true });
}

void group_link_down(struct group *g, const char *why)
{
	log_debug("group %s: link down: %s", g->cfg->name, why);
	group_feed(g, &(struct input){ .kind = INPUT_LINK, .up = false });
}

void group_snapshot_asked(struct group *g, uint32_t ask)
{
	group_feed(g, &(struct input){ .kind = INPUT_SNAP_ASKED, .ask = ask });
}

void group_snapshot_sent(struct group *g, uint32_t ask)
{
	group_feed(g, &(struct input){ .kind = INPUT_SNAP_SENT, .ask = ask });
}

void group_snapshot_end(struct group *g, struct nsr_term term, uint32_t epoch, uint32_t ask)
{
	/* ORDER: what the snapshot said is in the kernel before this box calls itself ready. */
	shadow_flush(g);
	group_feed(g, &(struct input){ .kind = INPUT_SNAP_END, .term = term, .epoch = epoch, .ask = ask });
}

void group_data_lost(struct group *g, const char *why)
{
	log_warn("group %s: out of step: %s", g->cfg->name, why);
	group_feed(g, &(struct input){ .kind = INPUT_DATA_LOST, .why = ROLE_WHY_OUT_OF_STEP });
}

void group_kernel_resync(struct group *g)
{
	struct input in = { .kind = INPUT_KERNEL };

	control_emit(g->nsrd, g, "resync", "kernel events were lost: the table was read anew");
	conns_resync(g);
	group_feed(g, &in);
}

void group_kernel_event(struct group *g, uint8_t cmd, const struct nlattr **attrs, const struct nlmsghdr *nlh)
{
	const struct nlattr *a;

	if (cmd == TCP_NSR_CMD_GROUP_NTF) {
		if (mnl_attr_get_u8(attrs[TCP_NSR_A_REASON]) == TCP_NSR_GROUP_SETTLED) {
			log_notice("group %s: settled: every connection is resumed, closed or reset", g->cfg->name);
			control_emit(g->nsrd, g, "settled", "every connection is resumed, closed or reset");
			return;
		}
		group_feed(g, &(struct input){ .kind = INPUT_KERNEL });
		return;
	}
	mnl_attr_for_each(a, nlh, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(a) == TCP_NSR_A_CONN)
			conns_event(g, cmd, a);
}

/* ---- operator ---- */

static int order(struct group *g, int err, const char **why)
{
	*why = err ? role_refusal(role_of(g)) : "";
	if (err == -EBUSY)
		*why = "the kernel or the disk has not answered: try again";
	group_run(g);
	return err;
}

int group_resync(struct group *g, const char **why)
{
	return order(g, role_data_lost(role_of(g), nsrd_now(), ROLE_WHY_OPERATOR), why);
}

int group_force(struct group *g, const char **why)
{
	return order(g, role_force(role_of(g), nsrd_now()), why);
}

int group_clear(struct group *g, const char **why)
{
	return order(g, role_clear(role_of(g), nsrd_now()), why);
}

int group_flush(struct group *g, const char **why)
{
	int err = kernel_flush(g->nsrd->kernel, g->cfg->id);

	*why = err ? kernel_error(g->nsrd->kernel) : "";
	if (!err)
		log_notice("group %s: flushed by the operator: its connections are ordinary ones now", g->cfg->name);
	return err;
}

/* ---- life ---- */

void group_reload(struct group *g, struct cfg_group *fresh)
{
	struct cfg_group *c = g->cfg;
	struct cfg_rule *rules = c->rules;
	struct cfg_md5 *md5 = c->md5;
	size_t nr = c->nr_rules, nr_md5 = c->nr_md5;

	c->rules = fresh->rules;
	c->nr_rules = fresh->nr_rules;
	c->md5 = fresh->md5;
	c->nr_md5 = fresh->nr_md5;
	fresh->rules = rules;
	fresh->nr_rules = nr;
	fresh->md5 = md5;
	fresh->nr_md5 = nr_md5;
	c->leave_timeout_ms = fresh->leave_timeout_ms;
	c->settle_ms = fresh->settle_ms;
	c->segment_life_ms = fresh->segment_life_ms;
	c->gap_bound_ms = fresh->gap_bound_ms;
	c->probe_rate = fresh->probe_rate;
	c->commit_timeout_ms = fresh->commit_timeout_ms;
	set_kernel_group(g);
	group_rules_set(g);
	shadow_retry(g);
}

static void configure_role(const struct group *g, struct role_cfg *rc)
{
	role_cfg_default(rc, g->cfg->interval_ms * MS);
	rc->group = g->cfg->id;
	rc->node = g->nsrd->cfg->node_id;
	rc->alone = !g->nsrd->cfg->has_peer;
	rc->priority = (int32_t)g->cfg->priority;
	rc->drain = g->cfg->drain_ms * MS;
	/*
	 * Counted from an echo that is an interval old when the peer falls silent, it has to outlast the
	 * silence, the claim and two turns that come late: nine intervals if all goes well. The price of more is
	 * that an active notices a dead standby that much later.
	 */
	rc->ready_lease = 15 * rc->interval;
}

static void create_watchers(struct group *g)
{
	struct group_priv *p = group_priv(g);
	double interval = g->cfg->interval_ms / 1000.;

	ev_timer_init(&p->turn, on_turn, interval, interval);
	ev_init(&p->wake, on_wake);
	ev_init(&p->leave, switchover_on_timeout);
	ev_prepare_init(&p->flush, on_flush);
	p->turn.data = p->wake.data = p->leave.data = p->flush.data = g;
	/* ORDER: within one iteration libev runs what has a higher priority first: sockets, then turns. */
	ev_set_priority(&p->turn, EV_MINPRI);
	ev_set_priority(&p->wake, EV_MINPRI);
}

static int start(struct group *g)
{
	struct term_record rec;
	struct kernel_group kg;
	struct role_kernel rk;
	struct role_cfg rc;
	int err;

	/* The kernel may hold the group since before: its role and sockets stay as they are. */
	err = set_kernel_group(g);
	if (err)
		return err;
	group_rules_set(g);
	err = kernel_group_get(g->nsrd->kernel, g->cfg->id, &kg);
	if (err) {
		complain(g, "the kernel does not tell of the group", err);
		return err;
	}
	configure_role(g, &rc);
	err = role_init(role_of(g), &rc);
	if (err) {
		log_err("group %s: %s", g->cfg->name, err == -EINVAL ? role_refusal(role_of(g)) : "out of memory");
		return err;
	}
	err = term_read(g->nsrd->cfg->state_dir, g->cfg->id, &rec);
	if (err && err != -ENOENT)
		log_err("group %s: the record of its term below %s is damaged or unreadable (%s): starting without it",
			g->cfg->name, g->nsrd->cfg->state_dir, strerror(-err));
	if (kg.active)
		takeover_resume(g->takeover);
	describe_kernel(&kg, &rk);
	return role_start(role_of(g), nsrd_now(), err ? NULL : &rec, &rk, g->nsrd->instance_id);
}

struct group *group_create(struct nsrd *n, struct cfg_group *cfg)
{
	struct group *g = calloc(1, sizeof(*g));
	struct group_priv *p = calloc(1, sizeof(*p));

	if (!g || !p) {
		free(g);
		free(p);
		return NULL;
	}
	g->nsrd = n;
	g->cfg = cfg;
	g->priv = p;
	p->g = g;
	p->shown = ROLE_INIT;
	list_init(&p->dirty);
	refused_init(&p->refused);
	list_add_tail(&g->node, &n->groups);
	create_watchers(g);
	g->takeover = takeover_create(n->loop, cfg, n->cfg->state_dir);
	if (g->takeover)
		g->sync = sync_group_create(g);
	if (!g->sync || start(g)) {
		group_destroy(g);
		return NULL;
	}
	ev_timer_start(n->loop, &p->turn);
	ev_prepare_start(n->loop, &p->flush);
	group_run(g);
	return g;
}

void group_stop(struct group *g)
{
	role_stop(role_of(g), nsrd_now());
	group_run(g);
}

void group_destroy(struct group *g)
{
	struct group_priv *p = group_priv(g);
	struct ev_loop *loop = g->nsrd->loop;
	struct nsr_store_conn *c = NULL;

	control_group_gone(g);
	ev_timer_stop(loop, &p->turn);
	ev_timer_stop(loop, &p->wake);
	ev_timer_stop(loop, &p->leave);
	ev_prepare_stop(loop, &p->flush);
	while (g->store && (c = nsr_store_conn_next(g->store, c)))
		shadow_forget(c);
	if (g->sync)
		sync_group_destroy(g->sync);
	takeover_destroy(g->takeover);
	role_exit(role_of(g));
	list_del(&g->node);
	refused_free(&p->refused);
	free(p);
	free(g);
}
