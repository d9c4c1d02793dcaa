// SPDX-License-Identifier: GPL-2.0-only
/*
 * roles: two boxes of one group, every interleaving with a few faults (Documentation/roles.md).
 *
 * tests/unit/test_role_sim.c runs the daemon's own machine (daemon/role*.c) under long random faults, with the
 * same rules taken away. What that cannot show is that nothing was missed: this model is the machine once more,
 * small enough to be searched whole. Its rules bear the names of ROLE_RULE_* (daemon/role.h), or of the words
 * in role.h and role_steps.c where there is no such switch.
 *
 * One tick is one heartbeat interval. A daemon that runs does one turn of its loop in each tick, the boxes in
 * any order; one that hangs does none, or any number. A heartbeat overwrites the former one that was not read.
 * Healing, booting and restarting cost nothing and may come at any time; every fault costs one of a budget.
 *
 * Must never be: two that emit (authority none: but for a claim that cannot get through); data taken over as
 * ready that others have gone past; a cold box that displaces a live active; a group that gets no active with a
 * ready standby any more though everything heals.
 *
 * The rules gap, sync and yield are always on: what breaks without them is a longer story than these bounds
 * hold, and the simulation finds it.
 *
 * Not here: clock drift, a clock that a hypervisor stops, what is in the NIC's rings, a disk that forgets.
 */
#include <algorithm>
#include "check.h"

enum power { OFF, UP, PAUSED };
enum daemon { GONE, INIT, SYNC, READY, CLAIM, ACTIVE, LEAVE, HELD };	/* GONE: nsrd is dead */
enum slot { EMPTY, LATE, ARRIVED };
enum authority { NONE, FENCE, EXTERNAL };

/* In ticks. The lease is not longer than claim-after; the ready lease outlasts a whole claim. */
enum { LEASE = 2, CLAIM_AFTER = 2, READY_LEASE = 6, SILENT = 3, TERM_MAX = 9, NO_EPOCH = 3 };

struct box {
	uint64_t power : 2, daemon : 3;
	uint64_t kernel_active : 1, lease : 3;	/* in the kernel: role, and what is left of the lease */
	uint64_t setting : 3;			/* a lease that is on its way into the kernel; 0: none */
	uint64_t ready : 4;			/* what is left of the ready lease */
	uint64_t gates_open : 1;
	uint64_t data : 1, data_term : 5;
	uint64_t newest : 1;			/* ghost: its data hold all that any far end was told */
	uint64_t term : 5, epoch : 2, peer_epoch : 2;
	uint64_t silence : 3;			/* since it heard the peer */
	uint64_t echo : 4, echoed : 1;		/* age of its own newest timestamp that the peer echoed */
	uint64_t cold : 1, claimed : 3;		/* CLAIM: without data; for how long on the wire */
	uint64_t unheard : 1;			/* ghost: its claim could not get through */
	uint64_t fenced : 1, ordered : 1;	/* evidence E2; E5 */
	uint64_t turned : 1, hung : 1;
};

struct heartbeat {
	uint32_t slot : 2, daemon : 3, term : 5, epoch : 2, in_step : 1, warm : 1;
	uint32_t echo : 4, age : 4;
};

struct roles_state {
	box b[2];
	heartbeat in[2];		/* lies before box i */
	uint32_t cut : 4;		/* bit path * 2 + to; path 0 bears the sync link */
	uint32_t manager : 2;		/* the cluster manager's choice + 1 */
	uint32_t last_term : 5;		/* of the last reign, as the manager keeps it */
	uint32_t split : 1;		/* ghost: both reigned, both have data that nobody else has */
	uint32_t faults : 3, switchovers : 2, full : 1;
};

struct roles {
	using state = roles_state;

	authority mode = NONE;
	int faults = 1, switchovers = 0;
	bool from_cold = false, late = false;

	/* ROLE_RULE_* of daemon/role.h */
	bool lease = true, silw = true, announce = true, listen = true, restart = true;
	bool gate = true, rlease = true, echo = true, epoch = true;
	/* without a switch there */
	bool drain = true;	/* sockets before timers */
	bool absolute = true;	/* lease ends are absolute: a late call sets no later one */
	bool generation = true;	/* compare-and-set in the kernel */
	/* not ours, but the cluster manager's */
	bool last_reign = true;	/* it promotes only whose data are of the last reign */
	bool stonith = true;	/* it fences before it promotes */

	/* ---- words ---- */

	static bool cut_to(const state &s, int to) { return s.cut >> to & 1 && s.cut >> (2 + to) & 1; }
	static bool reigns(const box &b) { return b.daemon == ACTIVE || b.daemon == LEAVE; }
	static bool mute(int d) { return d == INIT || d == SYNC || d == READY || d == HELD; }
	bool lease_runs(const box &b) const { return !lease || b.lease > 0; }
	bool emits(const box &b) const { return b.power == UP && b.kernel_active && lease_runs(b); }

	bool valid(const state &s, const box &b) const
	{
		if (!b.data || (mode == EXTERNAL && last_reign && b.data_term < s.last_term))
			return false;
		return b.gates_open || b.ready > 0 || !rlease;
	}

	/* A term is a number and its owner: box i owns the numbers of its parity. */
	static int next_term(int term, int i) { return term + 1 + ((term + 1) % 2 != i); }

	static bool set_term(state &n, int i, int term)
	{
		n.full |= term > TERM_MAX;	/* the bound of this model: not judged */
		n.b[i].term = std::min<int>(term, TERM_MAX);
		return !n.full;
	}

	/* ---- transitions ---- */

	static void to_sync(box &b)
	{
		b.daemon = SYNC;
		b.kernel_active = b.lease = b.setting = 0;
		b.data = b.newest = b.ready = b.gates_open = 0;
		b.fenced = b.cold = b.unheard = b.claimed = b.ordered = 0;
	}

	static void to_held(box &b)
	{
		b.daemon = HELD;
		b.kernel_active = b.lease = b.setting = 0;
		b.fenced = b.cold = b.unheard = 0;
	}

	static void follow(box &b, const heartbeat &m)
	{
		to_sync(b);
		b.peer_epoch = m.epoch;
	}

	static void claim(state &n, int i, int term, bool cold)
	{
		box &b = n.b[i];

		if (!set_term(n, i, term))
			return;
		b.daemon = CLAIM;
		b.cold = cold;
		b.unheard = cut_to(n, !i);
		b.fenced = b.setting = b.claimed = 0;
	}

	static void open_gates(state &n, int i)
	{
		if (n.b[i].gates_open)
			return;
		n.b[i].gates_open = 1;
		n.b[!i].newest = 0;	/* from here on the far ends are told more than it has */
	}

	/* Return: what is wrong with it, or NULL */
	const char *flip(state &n, int i, int length) const
	{
		box &b = n.b[i], &o = n.b[!i];
		bool alone = b.gates_open || b.cold || b.fenced;
		const char *bad = nullptr;

		if (length <= 0)
			return nullptr;
		if (!b.cold && !b.newest && !n.split)
			bad = "stale data are taken over as ready";
		if (b.cold && o.kernel_active && o.power != OFF && lease_runs(o) && !n.split)
			bad = "a cold box displaces a live active";
		b.daemon = ACTIVE;
		b.kernel_active = 1;
		b.lease = 0;
		b.setting = length;
		b.epoch = (b.epoch + 1) % 3;
		b.peer_epoch = NO_EPOCH;
		b.gates_open = 0;
		b.data = 1;
		b.data_term = b.term;
		b.turned = 1;
		n.last_term = b.term;
		if (b.cold) {
			b.newest = 1;
			o.newest = 0;
		}
		if (alone)
			open_gates(n, i);
		b.fenced = 0;
		return bad;
	}

	/* ---- a heartbeat is read ---- */

	int left_of(int length, const heartbeat &m) const
	{
		return echo ? std::max(0, length - static_cast<int>(m.echo)) : length;
	}

	const char *hear(state &n, int i) const
	{
		box &b = n.b[i];
		heartbeat m = n.in[i];
		bool newer = m.term > b.term;
		int left = left_of(READY_LEASE, m);

		memset(&n.in[i], 0, sizeof(n.in[i]));
		b.silence = 0;
		if (!b.echoed || m.age < b.echo)
			b.echo = m.age;
		b.echoed = 1;
		if (reigns(b) && left > static_cast<int>(b.ready) && !b.gates_open)
			b.ready = left;
		if (newer && reigns(b) && mute(m.daemon)) {
			/* outbid: a mute peer's higher term means nothing */
			if (set_term(n, i, next_term(m.term, i)))
				b.data_term = b.term;
			newer = false;
		} else if (newer) {
			b.term = m.term;
			b.peer_epoch = NO_EPOCH;
		}
		switch (b.daemon) {
		case ACTIVE:
		case LEAVE:
			hear_active(n, i, m, newer);
			return nullptr;
		case CLAIM:
			return hear_claim(n, i, m, newer);
		case READY:
			return hear_ready(n, i, m, newer, left);
		case HELD:
			hear_held(n, i, m, newer);
			return nullptr;
		default:
			if (m.daemon == ACTIVE && m.term >= b.term) {
				b.daemon = SYNC;
				b.peer_epoch = m.epoch;
			} else if (mode != EXTERNAL && i == 0 && (m.daemon == INIT || m.daemon == SYNC)) {
				claim(n, i, next_term(b.term, i), true);
			}
			return nullptr;
		}
	}

	void hear_active(state &n, int i, const heartbeat &m, bool newer) const
	{
		box &b = n.b[i];

		if (m.daemon == ACTIVE && (newer || (m.term == b.term && i == 1))) {
			follow(b, m);
		} else if (newer && m.daemon == CLAIM && !m.warm) {
			if (set_term(n, i, next_term(m.term, i)))
				b.data_term = b.term;
		} else if (newer && m.daemon == CLAIM) {
			to_held(b);
		} else if (m.term == b.term && (m.daemon == INIT || m.daemon == SYNC) &&
			   (m.epoch == b.epoch || !epoch)) {
			open_gates(n, i);
		}
	}

	const char *hear_claim(state &n, int i, const heartbeat &m, bool newer) const
	{
		box &b = n.b[i];
		bool cold = b.cold;

		if (m.daemon == ACTIVE) {
			if (m.term == b.term)
				follow(b, m);
		} else if (newer && m.daemon == CLAIM && !m.warm && !cold) {
			claim(n, i, next_term(m.term, i), false);	/* warm outbids cold */
		} else if (newer && m.daemon == CLAIM) {
			cold ? to_sync(b) : to_held(b);
		} else if (newer && (cold || valid(n, b))) {
			claim(n, i, next_term(m.term, i), cold);
		} else if (newer) {
			to_sync(b);
		} else if (m.term == b.term && m.daemon == CLAIM) {
			if ((m.warm && cold) || (m.warm != cold && i == 1))
				cold ? to_sync(b) : to_held(b);
		} else if (m.term == b.term && mute(m.daemon) && mode != EXTERNAL && (cold || valid(n, b))) {
			if (cold && (m.daemon == READY || m.daemon == HELD))
				to_sync(b);			/* it has data: let it */
			else
				return flip(n, i, left_of(LEASE, m));	/* E1 */
		}
		return nullptr;
	}

	const char *hear_ready(state &n, int i, const heartbeat &m, bool newer, int left) const
	{
		box &b = n.b[i];

		if (m.daemon == ACTIVE) {
			if (m.term < b.term)
				return nullptr;
			if (newer)
				follow(b, m);
			else if (m.in_step && (m.epoch == b.peer_epoch || !epoch))
				b.ready = std::max<int>(b.ready, left);
			else if (m.epoch == b.peer_epoch || m.epoch != (b.peer_epoch + 2) % 3)
				follow(b, m);
			return nullptr;
		}
		if (mode == EXTERNAL || !valid(n, b))
			return nullptr;
		if (m.daemon == HELD && newer && m.term % 2 == static_cast<unsigned int>(i)) {
			claim(n, i, m.term, false);		/* the offer, and E1 with it */
			return n.full ? nullptr : flip(n, i, left_of(LEASE, m));
		}
		if (m.daemon == INIT || m.daemon == SYNC || m.daemon == HELD || (m.daemon == READY && i == 0))
			claim(n, i, next_term(b.term, i), false);
		return nullptr;
	}

	void hear_held(state &n, int i, const heartbeat &m, bool newer) const
	{
		box &b = n.b[i];

		if (m.daemon == ACTIVE) {
			if (m.term >= b.term)
				follow(b, m);
		} else if (m.daemon == CLAIM && newer && echo) {
			if (!b.gates_open)
				b.ready = std::min<int>(b.ready, left_of(READY_LEASE, m));
		} else if (mode != EXTERNAL && valid(n, b) &&
			   (m.daemon == INIT || m.daemon == SYNC || (m.daemon == HELD && i == 0))) {
			claim(n, i, next_term(b.term, i), false);
		}
	}

	/* ---- timers ---- */

	const char *timers(state &n, int i) const
	{
		box &b = n.b[i];
		bool order;

		if (reigns(b)) {
			if (lease && !b.lease && !b.setting) {
				if (restart) {
					to_held(b);
					b.silence = 0;
				}
			} else if (!b.gates_open && lease_runs(b) && b.echo >= (gate ? READY_LEASE + 1 : 1)) {
				open_gates(n, i);
			}
			return nullptr;
		}
		if (b.daemon == READY || b.daemon == HELD) {
			if (!valid(n, b)) {
				to_sync(b);
				return nullptr;
			}
			if (mode != EXTERNAL && b.silence >= CLAIM_AFTER)
				claim(n, i, next_term(b.term, i), false);
		}
		order = mode == EXTERNAL && b.ordered &&
			(n.manager == static_cast<unsigned int>(i) + 1 || !generation);
		if (order && b.daemon != CLAIM)
			claim(n, i, next_term(b.term, i), !valid(n, b));
		if (b.daemon != CLAIM || n.full)
			return nullptr;
		if (!b.cold && !valid(n, b)) {
			to_sync(b);
			return nullptr;
		}
		b.unheard |= cut_to(n, !i);
		if (mode == NONE && b.silence >= (silw ? SILENT : CLAIM_AFTER) &&
		    (!announce || b.claimed >= LEASE + 1u + listen))
			return flip(n, i, LEASE);		/* E3 */
		if ((mode == FENCE && b.fenced) || order)
			return flip(n, i, LEASE);		/* E2, E5 */
		return nullptr;
	}

	/* ---- a turn of the daemon's loop ---- */

	static void say(state &n, int i, bool full_buffer, bool late_one)
	{
		box &b = n.b[i];
		heartbeat &m = n.in[!i];

		if (b.daemon == CLAIM) {
			if (!b.claimed)
				b.claimed = 1;
			if (full_buffer)
				b.unheard = 1;
		}
		if (cut_to(n, !i) || n.b[!i].power == OFF || n.b[!i].daemon == GONE || full_buffer)
			return;
		memset(&m, 0, sizeof(m));
		m.slot = late_one ? LATE : ARRIVED;
		m.daemon = b.daemon == LEAVE ? +ACTIVE : b.daemon;
		m.term = b.term;
		m.echo = b.echoed ? b.echo : READY_LEASE + 1;
		m.in_step = reigns(b) && !(n.cut & 3) && !b.gates_open;
		m.epoch = reigns(b) ? b.epoch : b.peer_epoch;
		m.warm = !b.cold;
	}

	void renew(state &n, int i) const
	{
		box &b = n.b[i];

		if (!reigns(b) || (mode == EXTERNAL && n.manager != i + 1u && generation))
			return;
		if (!(lease && restart && !b.lease))
			b.setting = LEASE;
	}

	static void set_lease(box &b, int length)
	{
		b.lease = std::max<int>(b.lease, length);
		b.setting = 0;
	}

	void turn(const state &s, int i, edges<state> &out) const
	{
		enum { PROMPT, CALL_LATE, DROPPED, SENT_LATE };
		static const char *const what[] = { "box %d: turn", "box %d: turn, its call into the kernel is slow",
			"box %d: turn, its heartbeat meets a full buffer", "box %d: turn, its heartbeat is late" };
		bool arrived = s.in[i].slot == ARRIVED;

		/* Nothing is done or said while a call into the kernel is under way. */
		if ((s.b[i].setting && s.b[i].kernel_active) || (s.b[i].turned && !s.b[i].hung))
			return;
		for (int deaf = 0; deaf <= (!drain && arrived); deaf++) {
			for (int v = PROMPT; v <= SENT_LATE; v++) {
				const char *bad = nullptr;
				state n = s;
				box &b = n.b[i];

				if ((v == CALL_LATE && !s.faults && !b.hung) || (v == SENT_LATE && !(late && s.faults)) ||
				    (v == DROPPED && !(s.in[!i].slot && s.b[!i].hung)))
					continue;
				if (arrived && !deaf)
					bad = hear(n, i);
				if (!bad && !n.full)
					bad = timers(n, i);
				renew(n, i);
				if (v != CALL_LATE || !b.setting)
					say(n, i, v == DROPPED && n.in[!i].slot, v == SENT_LATE);
				b.turned = 1;
				if (v == CALL_LATE && !b.setting)
					continue;
				if (v != CALL_LATE && b.setting && b.kernel_active)
					set_lease(b, b.setting);
				put(out, v == PROMPT && !deaf, n, what[v], i, bad);
			}
		}
	}

	/* ---- bookkeeping of every edge ---- */

	void put(edges<state> &out, bool fair, state n, const char *what, int arg, const char *bad = nullptr) const
	{
		box &a = n.b[0], &b = n.b[1];

		if (a.kernel_active && b.kernel_active && lease_runs(a) && lease_runs(b)) {
			n.split = 1;
		} else if (n.split && a.data != b.data) {
			a.newest = a.data;
			b.newest = b.data;
			n.split = 0;
		} else if (n.split && !a.data) {
			n.split = 0;
		}
		if (!bad && emits(a) && emits(b)) {
			const box &high = a.term > b.term ? a : b;

			if (mode != NONE || !(a.term == b.term ? a.unheard | b.unheard : high.unheard))
				bad = "two boxes emit";
		}
		if (mode != EXTERNAL)
			n.last_term = 0;
		/* what means nothing is zero, so that equal states are equal */
		for (box &x : n.b) {
			if (!x.data)
				x.data_term = 0;
			if (x.daemon != CLAIM)
				x.claimed = x.fenced = 0;
			if (x.daemon != CLAIM && !x.kernel_active)
				x.unheard = 0;
			if (x.power == OFF)
				x.hung = x.turned = 0;
		}
		out.add(fair, n, what, arg, n.full ? nullptr : bad);
	}

	/* ---- what ends, or is done, beside the daemons' loops ---- */

	static void crash(state &n, int i)
	{
		int term = n.b[i].term;

		memset(&n.b[i], 0, sizeof(n.b[i]));
		memset(&n.in[i], 0, sizeof(n.in[i]));
		n.b[i].term = term;		/* on disk */
		n.b[i].peer_epoch = NO_EPOCH;
		n.b[i].echo = READY_LEASE + 1;
	}

	void restart_daemon(state &n, int i) const
	{
		box &b = n.b[i];

		b.silence = b.echo = b.echoed = b.cold = b.hung = 0;
		b.turned = listen;		/* renews only after an interval of listening */
		if (!b.kernel_active) {
			to_sync(b);
			b.daemon = INIT;
			b.peer_epoch = NO_EPOCH;
		} else if (lease_runs(b) || !restart) {
			b.daemon = ACTIVE;
			if (!restart)
				b.setting = LEASE;
		} else if (valid(n, b)) {
			to_held(b);
		} else {
			to_sync(b);
			b.daemon = INIT;
		}
	}

	void recover(const state &s, int i, edges<state> &out) const
	{
		const box &b = s.b[i];
		state n = s;

		if (b.power == OFF) {
			n.b[i].power = UP;
			n.b[i].daemon = INIT;
			put(out, true, n, "box %d boots", i);
		} else if (b.power == PAUSED) {
			n.b[i].power = UP;
			n.b[i].silence = n.b[i].claimed = 0;	/* its own pause is no silence */
			put(out, true, n, "box %d continues", i);
		} else if (b.daemon == GONE) {
			restart_daemon(n, i);
			put(out, true, n, "box %d: nsrd starts again", i);
		} else if (b.hung) {
			n.b[i].hung = n.b[i].turned = 0;
			put(out, true, n, "box %d: nsrd runs again", i);
		}
	}

	void complete(const state &s, int i, edges<state> &out) const
	{
		const box &b = s.b[i];
		state n = s;

		if (b.power == UP && b.daemon != GONE && b.setting) {
			if (b.kernel_active) {
				set_lease(n.b[i], absolute ? static_cast<int>(b.setting) : static_cast<int>(LEASE));
				say(n, i, false, false);
				put(out, true, n, "box %d: the kernel has taken the lease", i);
			} else {
				n.b[i].setting = 0;
				put(out, true, n, "box %d: the kernel refuses the lease", i);
			}
		}
		n = s;
		if (s.in[i].slot == LATE) {
			n.in[i].slot = ARRIVED;
			if (b.power == OFF || b.daemon == GONE)
				memset(&n.in[i], 0, sizeof(n.in[i]));
			put(out, true, n, "the late heartbeat reaches box %d", i);
			memset(&n.in[i], 0, sizeof(n.in[i]));
			if (mode != NONE || cut_to(s, i))
				put(out, false, n, "the late heartbeat to box %d is lost", i);
		}
		n = s;
		if (b.daemon == LEAVE && b.power == UP) {
			n.b[i].daemon = ACTIVE;
			put(out, true, n, "box %d: switchover called off", i);
			n = s;
			if (set_term(n, i, next_term(b.term, !i))) {
				to_held(n.b[i]);
				n.b[i].silence = 0;
				put(out, true, n, "box %d: mute, and offers", i);
			}
		}
		if (mode == FENCE && b.power == UP && b.daemon == CLAIM && !b.cold && !b.fenced &&
		    b.silence >= CLAIM_AFTER && valid(s, b)) {
			n = s;
			crash(n, !i);
			n.b[i].fenced = 1;
			put(out, true, n, "box %d's fence command: the other is off", i);
		}
	}

	void manager(const state &s, int i, edges<state> &out) const
	{
		const box &b = s.b[i], &o = s.b[!i];
		bool able = b.power == UP && b.daemon != GONE, chosen = s.manager == i + 1u;
		state n = s;

		if (!s.manager && able && (valid(s, b) || !(o.power != OFF && valid(s, o)))) {
			n.manager = i + 1;
			n.b[i].ordered = 1;
			put(out, true, n, "manager promotes box %d", i);
		}
		n = s;
		if (chosen && b.power == UP && (s.switchovers || b.hung || !(b.daemon == ACTIVE || b.ordered) ||
						b.daemon == GONE || s.cut)) {
			box &c = n.b[i];

			if (s.switchovers && !b.hung && b.daemon == ACTIVE && !s.cut)
				n.switchovers--;
			n.manager = 0;
			c.kernel_active = c.lease = 0;
			if (generation) {
				c.ordered = c.setting = 0;
				if (reigns(c) || (c.daemon == CLAIM && !c.cold))
					to_held(c);
				else if (c.daemon == CLAIM)
					to_sync(c);
			}
			put(out, true, n, "manager demotes box %d: mute in the kernel", i);
		}
		n = s;
		if (b.power != OFF && !able && (stonith || chosen)) {
			if (stonith)
				crash(n, i);
			if (chosen)
				n.manager = 0;
			put(out, true, n, stonith ? "manager fences box %d" : "manager gives up on box %d", i);
		}
		n = s;
		if (b.power == OFF && chosen) {
			n.manager = 0;
			put(out, true, n, "manager sees that box %d is off", i);
		}
	}

	/*
	 * Gates close, the snapshot's end goes out and arrives. Epochs are counted modulo 3 here: what is under way
	 * and names an older one names the last from now on. That it is not the new one is all that is asked.
	 */
	void snapshot(const state &s, int i, edges<state> &out) const
	{
		const box &b = s.b[i], &o = s.b[!i];
		state n = s;
		box &act = n.b[i], &sby = n.b[!i];

		if (b.daemon != ACTIVE || !b.kernel_active || b.power != UP || !lease_runs(b) || o.power != UP ||
		    o.daemon != SYNC || o.term != b.term || s.cut & 3 || b.hung || o.hung || b.setting)
			return;
		act.gates_open = 0;
		for (heartbeat &m : n.in)
			if (m.slot && m.term == b.term && m.epoch != NO_EPOCH)
				m.epoch = b.epoch;
		act.epoch = sby.peer_epoch = (b.epoch + 1) % 3;
		act.ready = sby.ready = READY_LEASE;
		act.echo = sby.echo = sby.silence = 0;
		sby.daemon = READY;
		sby.data = 1;
		sby.data_term = b.term;
		sby.newest = b.newest;
		put(out, true, n, "box %d sends the snapshot's end: ready", i);
	}

	void tick(const state &s, edges<state> &out) const
	{
		state n = s;

		for (int i = 0; i < 2; i++) {
			const box &b = s.b[i];

			if (b.power == UP && b.daemon != GONE && !b.turned && !b.hung)
				return;
			if (mode == NONE && s.in[i].slot == LATE && !cut_to(s, i))
				return;
		}
		for (int i = 0; i < 2; i++) {
			box &b = n.b[i];
			heartbeat &m = n.in[i];

			b.turned = 0;
			if (b.power != OFF) {
				b.lease -= b.lease > 0;
				b.setting -= b.setting > 0 && absolute;
				b.ready -= b.ready > 0;
				b.silence += b.silence < SILENT;
				b.echo += b.echo < READY_LEASE + 1;
				b.claimed += b.claimed && b.claimed < 7;
			}
			if (m.slot) {
				m.echo += m.echo < READY_LEASE + 1;
				m.age += m.age < READY_LEASE + 1;
			}
		}
		put(out, true, n, "tick");
	}

	void put(edges<state> &out, bool fair, const state &n, const char *what) const { put(out, fair, n, what, 0); }

	/* ---- faults ---- */

	void cuts(const state &s, edges<state> &out) const
	{
		static const struct { uint8_t mask; const char *cut, *heal; } paths[] = {
			{ 15, "all paths are cut", "all paths heal" },
			{ 3, "the sync path is cut", "the sync path heals" },
			{ 12, "the second path is cut", "the second path heals" },
			{ 5, "nothing reaches box 0", nullptr }, { 10, "nothing reaches box 1", nullptr },
		};

		for (auto &p : paths) {
			state n = s;

			if (p.heal && s.cut & p.mask) {
				n.cut &= ~p.mask;
				put(out, true, n, p.heal);
			}
			n = s;
			if (!s.faults || (s.cut & p.mask) == p.mask)
				continue;
			n.cut |= p.mask;
			n.faults--;
			for (int i = 0; i < 2; i++)
				if (n.b[i].daemon == CLAIM && cut_to(n, !i))
					n.b[i].unheard = 1;
			put(out, false, n, p.cut);
		}
	}

	void fault(const state &s, int i, edges<state> &out) const
	{
		const box &b = s.b[i];
		state less = s, n;

		n = s;
		if (s.switchovers && mode != EXTERNAL && b.daemon == ACTIVE && b.power == UP && s.b[!i].daemon == READY) {
			n.switchovers--;
			n.b[i].daemon = LEAVE;
			put(out, false, n, "box %d: switchover", i);
		}
		if (!s.faults || b.power == OFF)
			return;
		less.faults--;
		n = less;
		crash(n, i);
		put(out, false, n, "box %d dies", i);
		if (b.power != UP)
			return;
		n = less;
		n.b[i].power = PAUSED;
		put(out, false, n, "box %d is paused", i);
		if (b.daemon == GONE)
			return;
		n = less;
		n.b[i].hung = 1;
		if (!b.hung)
			put(out, false, n, "box %d: nsrd hangs", i);
		n = less;
		n.b[i].daemon = GONE;
		n.b[i].setting = n.b[i].hung = n.b[i].fenced = 0;
		memset(&n.in[i], 0, sizeof(n.in[i]));
		put(out, false, n, "box %d: nsrd is killed", i);
		n = less;
		to_sync(n.b[i]);
		if (reigns(b) || b.daemon == READY)
			put(out, false, n, reigns(b) ? "box %d: the application dies" : "box %d loses events", i);
	}

	/* ---- for the checker ---- */

	state init() const
	{
		state s;

		memset(&s, 0, sizeof(s));
		s.faults = faults;
		s.switchovers = switchovers;
		for (box &b : s.b) {
			b.power = UP;
			b.term = 2;
			b.peer_epoch = NO_EPOCH;
			b.daemon = INIT;
			b.echoed = 1;
			b.echo = from_cold ? READY_LEASE + 1 : 0;
		}
		if (from_cold)
			return s;
		for (box &b : s.b) {
			b.data = b.newest = 1;
			b.data_term = 2;
			b.ready = READY_LEASE;
		}
		s.b[0].daemon = ACTIVE;
		s.b[0].kernel_active = 1;
		s.b[0].lease = LEASE;
		s.b[1].daemon = READY;
		s.b[1].peer_epoch = 0;
		if (mode == EXTERNAL) {
			s.manager = s.b[0].ordered = 1;
			s.last_term = 2;
		}
		return s;
	}

	void next(const state &s, edges<state> &out) const
	{
		if (s.full)
			return;
		for (int i = 0; i < 2; i++) {
			if (s.b[i].power == UP && s.b[i].daemon != GONE)
				turn(s, i, out);
			complete(s, i, out);
			recover(s, i, out);
			snapshot(s, i, out);
			if (mode == EXTERNAL)
				manager(s, i, out);
			fault(s, i, out);
		}
		tick(s, out);
		cuts(s, out);
	}

	bool goal(const state &s) const
	{
		int a = emits(s.b[0]) ? 0 : 1;

		return s.full || (emits(s.b[a]) && !emits(s.b[!a]) && s.b[!a].daemon == READY && s.b[!a].ready);
	}

	std::string show(const state &s) const
	{
		static const char *const name[] = { "no nsrd", "INIT", "SYNC", "READY", "CLAIM", "ACTIVE", "LEAVE", "HELD" };
		static const char *const power[] = { "off", "", "paused " };
		std::string text;
		char t[200];

		for (int i = 0; i < 2; i++) {
			const box &b = s.b[i];

			snprintf(t, sizeof(t), "%d[%s%s%s term %d%s%s%s%s lease %d%s ready %d silence %d echo %d epoch %d/%d]",
				 i, power[b.power], b.hung ? "hung " : "", name[b.daemon], b.term, emits(b) ? " EMITS" : "",
				 b.gates_open ? " gates-open" : "", b.data ? b.newest ? " data" : " stale" : "",
				 b.cold ? " cold" : "", b.lease, b.setting ? "+" : "", b.ready, b.silence, b.echo,
				 b.epoch, b.peer_epoch);
			text += t;
			if (s.in[i].slot) {
				snprintf(t, sizeof(t), "<%s %d echo %d> ", name[s.in[i].daemon], s.in[i].term, s.in[i].echo);
				text += t;
			}
		}
		snprintf(t, sizeof(t), "%s%x", s.cut ? " cut " : "", s.cut);
		return s.cut ? text + t : text;
	}
};

template <class F> static roles with(authority mode, int faults, F change)
{
	roles r;

	r.mode = mode;
	r.faults = faults;
	change(r);
	return r;
}

int main(int argc, char **argv)
{
	static const char two[] = "two boxes emit", stale[] = "stale data are taken over as ready";
	auto all = [](roles &) {};
	auto leave = [](roles &r) { r.switchovers = 1; };
	auto cold = [](roles &r) { r.from_cold = true; };

	return model_main<roles>(argc, argv, {
		{ "none, a switchover, no fault", nullptr, nullptr, with(NONE, 0, leave), false },
		{ "none, one fault", nullptr, nullptr, with(NONE, 1, all), false },
		{ "none, one fault, cold start", nullptr, nullptr, with(NONE, 1, cold), false },
		{ "none, one fault", "lease", two, with(NONE, 1, [](roles &r) { r.lease = false; }), false },
		{ "none, one fault", "absolute", two, with(NONE, 1, [](roles &r) { r.absolute = false; }), false },
		{ "none, one fault", "drain", two, with(NONE, 1, [](roles &r) { r.drain = false; }), false },
		{ "none, one fault", "announce", two, with(NONE, 1, [](roles &r) { r.announce = false; }), false },
		{ "none, one fault", "silw and announce", two,
		  with(NONE, 1, [](roles &r) { r.silw = r.announce = false; }), false },
		{ "none, two faults", "listen", two, with(NONE, 2, [](roles &r) { r.listen = false; }), false },
		{ "none, two faults", "restart", two, with(NONE, 2, [](roles &r) { r.restart = false; }), false },
		{ "fence, two faults", "gate", stale, with(FENCE, 2, [](roles &r) { r.gate = false; }), false },
		{ "fence, two faults, late heartbeats, a switchover", "epoch", stale,
		  with(FENCE, 2, [](roles &r) { r.epoch = false; r.late = true; r.switchovers = 1; }), false },
		{ "external, one fault, a switchover", "generation", two,
		  with(EXTERNAL, 1, [](roles &r) { r.generation = false; r.switchovers = 1; }), false },
		{ "external, one fault, a manager that does not fence", "lease", two,
		  with(EXTERNAL, 1, [](roles &r) { r.stonith = r.lease = false; }), false },
		{ "external, two faults", "last-reign", stale,
		  with(EXTERNAL, 2, [](roles &r) { r.last_reign = false; }), true },
		{ "none, one fault, a switchover", nullptr, nullptr, with(NONE, 1, leave), true },
		{ "fence, one fault, a switchover", nullptr, nullptr, with(FENCE, 1, leave), true },
		{ "external, one fault, a switchover", nullptr, nullptr, with(EXTERNAL, 1, leave), true },
		{ "fence, two faults", "rlease", stale, with(FENCE, 2, [](roles &r) { r.rlease = false; }), false },
		{ "fence, two faults", "echo", stale, with(FENCE, 2, [](roles &r) { r.echo = false; }), false },
	});
}
