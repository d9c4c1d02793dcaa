// SPDX-License-Identifier: GPL-2.0-only
/*
 * The way out of a planned switchover, between the machine's APPS_LEAVING and role_left():
 *
 *	applications get LEAVING, finish their message, wait for the far ends' acknowledgements, say LEFT;
 *	inbound is stopped (FREEZE): the far ends repeat what they send from now on;
 *	libnsr takes what is unread into the tails, last transactions: DRAINED;
 *	the final positions go to the peer, and are acknowledged: the machine mutes and offers the term.
 *
 * A connection whose positions are proven complete is marked exact. For one that is not (unacknowledged
 * output, unread input that no application took over) the switchover is like a failover.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "genl.h"
#include "group_priv.h"

#include "../lib/libnsr.h"

static void next_step(struct group *g);

static void set_result(struct group *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void set_result(struct group *g, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(group_priv(g)->leave_text, sizeof(group_priv(g)->leave_text), fmt, ap);
	va_end(ap);
}

static void freeze(struct group *g)
{
	struct group_priv *p = group_priv(g);
	int err = kernel_freeze(g->nsrd->kernel, g->cfg->id, true);

	if (err)
		log_err("group %s: inbound is not stopped: %s", g->cfg->name, kernel_error(g->nsrd->kernel));
	p->frozen = !err;
}

void switchover_thaw(struct group *g)
{
	struct group_priv *p = group_priv(g);

	if (!p->frozen)
		return;
	if (kernel_freeze(g->nsrd->kernel, g->cfg->id, false))
		log_err("group %s: inbound stays stopped: %s", g->cfg->name, kernel_error(g->nsrd->kernel));
	p->frozen = false;
}

/* ---- final positions ---- */

struct final {
	struct group *g;
	struct attr_buf *out;
	size_t exact, other;
};

static void final_begin(void *data)
{
	struct final *f = data;

	f->out->len = 0;
	f->exact = f->other = 0;
}

/*
 * Proven complete: the far end has acknowledged all that was written, everything received is either consumed
 * or in the tail, and the application's state speaks of exactly what was written. Without an application
 * on libnsr only the socket itself can be complete: nothing unread in it.
 */
static bool is_exact(const struct nsr_store_conn *c, const struct nlattr **tb)
{
	uint64_t rcv_nxt = genl_u64(tb[TCP_NSR_A_CONN_RCV_NXT]), write_seq = genl_u64(tb[TCP_NSR_A_CONN_WRITE_SEQ]);

	if (genl_u64(tb[TCP_NSR_A_CONN_SND_UNA]) != write_seq)
		return false;
	if (genl_u32(tb[TCP_NSR_A_CONN_FLAGS]) & TCP_NSR_CONN_F_RCV_FIN)
		rcv_nxt--;
	if (c && c->has_snd && c->snd_written != write_seq)
		return false;
	if (c && c->has_rcv)
		return c->rcv_tail_end == rcv_nxt;
	return genl_u64(tb[TCP_NSR_A_CONN_COPIED_SEQ]) == rcv_nxt;
}

static void final_each(const struct nlattr *conn, void *data)
{
	const struct nlattr *tb[TCP_NSR_A_CONN_MAX + 1], *a;
	struct final *f = data;
	struct nsr_store_conn *c;
	uint32_t flags;
	bool exact;
	size_t nest;

	if (!genl_parse_nested(conn, tb, TCP_NSR_A_CONN_MAX) || !tb[TCP_NSR_A_CONN_ID] ||
	    genl_u8(tb[TCP_NSR_A_CONN_PHASE]) == TCP_NSR_PHASE_REFUSED)
		return;
	c = nsr_store_conn_find(f->g->store, genl_u64(tb[TCP_NSR_A_CONN_ID]));
	exact = is_exact(c, tb);
	if (exact)
		f->exact++;
	else
		f->other++;
	nest = attr_nest_start(f->out, TCP_NSR_A_CONN);
	mnl_attr_for_each_nested(a, conn)
		if (mnl_attr_get_type(a) != TCP_NSR_A_CONN_FLAGS && mnl_attr_get_type(a) != TCP_NSR_A_CONN_GATE &&
		    mnl_attr_get_type(a) != TCP_NSR_A_CONN_GATE_OPEN)
			attr_put(f->out, (uint16_t)mnl_attr_get_type(a), attr_data(a), attr_len(a));
	flags = genl_u32(tb[TCP_NSR_A_CONN_FLAGS]) & ~(TCP_NSR_CONN_F_EXACT | TCP_NSR_CONN_F_UNPROTECTED);
	/* What is proven complete needs no other promise. */
	if (exact)
		flags |= TCP_NSR_CONN_F_EXACT;
	else if (c)
		flags |= c->flags & TCP_NSR_CONN_F_UNPROTECTED;
	attr_put_u32(f->out, TCP_NSR_A_CONN_FLAGS, flags);
	attr_nest_end(f->out, nest);
}

static int read_final(struct group *g, struct attr_buf *out, struct final *f)
{
	*f = (struct final){ .g = g, .out = out };
	return kernel_conns_dump(g->nsrd->kernel, g->cfg->id, final_begin, final_each, f);
}

static void hand_over(struct group *g)
{
	struct group_priv *p = group_priv(g);
	struct final f;
	int err = read_final(g, &p->handed, &f);

	if (err || p->handed.failed) {
		set_result(g, "the final positions cannot be read: %s",
			   err ? kernel_error(g->nsrd->kernel) : "out of memory");
		group_feed(g, &(struct input){ .kind = INPUT_LEAVE_TIMEOUT });
		return;
	}
	log_info("group %s: hands over %zu connections, %zu of them exact", g->cfg->name, f.exact + f.other, f.exact);
	sync_handover(g, p->handed.data, p->handed.len);
}

/*
 * An application that writes to the descriptor by itself may have done so between the reading and the
 * mute: nothing of that may be called exact. The correction is ahead of the offer on the link.
 */
void switchover_recheck(struct group *g)
{
	struct group_priv *p = group_priv(g);
	struct attr_buf now = { 0 };
	struct final f;

	if (p->leave_step != LEAVE_LEFT)
		return;
	if (!read_final(g, &now, &f) && !now.failed &&
	    (now.len != p->handed.len || f.other || memcmp(now.data, p->handed.data, now.len)))
		sync_handover(g, now.data, now.len);
	attr_buf_free(&now);
}

/* ---- steps ---- */

static void begin_leave(struct group *g)
{
	struct group_priv *p = group_priv(g);

	p->leave_step = LEAVE_APPS;
	p->apps_leaving = true;
	p->leave_text[0] = '\0';
	ev_timer_stop(g->nsrd->loop, &p->leave);
	ev_timer_set(&p->leave, g->cfg->leave_timeout_ms / 1000., 0.);
	ev_timer_start(g->nsrd->loop, &p->leave);
}

void switchover_start(struct group *g)
{
	begin_leave(g);
	app_role(g, NSR_ROLE_LEAVING, g->role.term.number, g->cfg->leave_timeout_ms);
	if (app_group_left(g))
		group_apps_left(g);
}

static void next_step(struct group *g)
{
	struct group_priv *p = group_priv(g);

	switch (p->leave_step) {
	case LEAVE_APPS:
		p->leave_step = LEAVE_DRAIN;
		freeze(g);
		app_freeze(g);
		break;
	case LEAVE_DRAIN:
		p->leave_step = LEAVE_HANDOVER;
		/* what the kernel said before the freeze comes before the final word */
		kernel_catch_up(g->nsrd->kernel);
		hand_over(g);
		break;
	case LEAVE_HANDOVER:
		p->leave_step = LEAVE_LEFT;
		ev_timer_stop(g->nsrd->loop, &p->leave);
		group_feed(g, &(struct input){ .kind = INPUT_LEFT });
		break;
	case LEAVE_NONE:
	case LEAVE_LEFT:
		break;
	}
}

void group_apps_left(struct group *g)
{
	if (group_priv(g)->leave_step == LEAVE_APPS)
		next_step(g);
}

void group_apps_drained(struct group *g)
{
	if (group_priv(g)->leave_step == LEAVE_DRAIN)
		next_step(g);
}

void group_handover_acked(struct group *g)
{
	if (group_priv(g)->leave_step == LEAVE_HANDOVER)
		next_step(g);
}

void switchover_on_timeout(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct group *g = w->data;
	struct group_priv *p = group_priv(g);
	const char *laggard = app_group_laggard(g);

	(void)loop;
	(void)revents;
	if (p->leave_step == LEAVE_NONE || p->leave_step == LEAVE_LEFT)
		return;
	if (p->leave_step == LEAVE_HANDOVER || !p->leave_force) {
		if (p->leave_step == LEAVE_HANDOVER)
			set_result(g, "the peer does not acknowledge the hand-over");
		else
			set_result(g, "application %s has not answered within %u ms (--force goes on without it)",
				   laggard ? laggard : "?", g->cfg->leave_timeout_ms);
		group_feed(g, &(struct input){ .kind = INPUT_LEAVE_TIMEOUT });
		return;
	}
	log_warn("group %s: going on without application %s, which has not answered", g->cfg->name,
		 laggard ? laggard : "?");
	ev_timer_set(w, g->cfg->leave_timeout_ms / 1000., 0.);
	ev_timer_start(g->nsrd->loop, w);
	next_step(g);
}

void switchover_undo(struct group *g)
{
	struct group_priv *p = group_priv(g);
	struct nsr_store_conn *c = NULL;

	ev_timer_stop(g->nsrd->loop, &p->leave);
	p->leave_step = LEAVE_NONE;
	p->apps_leaving = false;
	switchover_thaw(g);
	app_role(g, NSR_ROLE_ACTIVE, g->role.term.number, 0);
	while ((c = nsr_store_conn_next(g->store, c)))
		app_conn_resumed(g, c, true);
}

/* Called at each change of state: is the switchover over, and how did it end? */
void switchover_end(struct group *g)
{
	struct group_priv *p = group_priv(g);
	enum role_state s = g->role.state;

	if (s == ROLE_LEAVE || s == ROLE_HELD)
		return;
	p->leave_step = LEAVE_NONE;
	p->leave_force = false;
	attr_buf_free(&p->handed);
	ev_timer_stop(g->nsrd->loop, &p->leave);
	if (!p->switching)
		return;
	p->switching = false;
	p->switched = s == ROLE_SYNC || s == ROLE_READY;
	if (p->switched)
		set_result(g, "node %u is active, term %llu", g->role.peer.node,
			   (unsigned long long)g->role.term.number);
	else if (!p->leave_text[0])
		set_result(g, "called off: %s", role_reason_name(g->role.reason));
	control_switchover_done(g);
}

const char *group_switchover_result(const struct group *g, bool *ok)
{
	const struct group_priv *p = group_priv(g);

	*ok = p->switched;
	return p->switching ? NULL : p->leave_text;
}

int group_switchover(struct group *g, bool force, const char **why)
{
	struct group_priv *p = group_priv(g);
	int err = p->switching ? -EALREADY : role_switchover(&g->role, nsrd_now());

	if (!err) {
		p->switching = true;
		p->switched = false;
		p->leave_force = force;
		group_run(g);
	}
	*why = err == -EALREADY ? "a switchover of this group is under way" :
	       err == -EBUSY ? "the kernel or the disk has not answered: try again" :
	       err ? role_refusal(&g->role) : "";
	return err;
}
