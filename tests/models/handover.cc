// SPDX-License-Identifier: GPL-2.0-only
/*
 * handover: a planned switchover between the daemons, and when the old active may speak again (rule
 * offer-is-final): never because its peer is silent, only with evidence that the peer is mute and stays so.
 *
 * Here the peer's evidence is its mute answer to a claim of a higher term (E1 in roles.md): it then has
 * adopted that term, and an offer of the former one means nothing to it any more. Roles in full: roles.cc.
 */
#include "check.h"

enum old_box : uint8_t { ACTIVE, LEAVING, HELD, DEAD };
enum new_box : uint8_t { STANDBY, REIGNS, OUTBID };	/* OUTBID: knows a higher term than the offer's */
enum way_back { NONE, PATIENCE, EVIDENCE };

struct handover_state {
	uint8_t a, b;
	uint8_t offer, mute;	/* under way: the offer; the mute answer to a higher claim */
	uint8_t link, breaks;
};

struct handover {
	using state = handover_state;
	way_back back;

	state init() const
	{
		state s;

		memset(&s, 0, sizeof(s));
		s.link = 1;
		return s;
	}

	static const char *two(const state &s)
	{
		return s.a < HELD && s.b == REIGNS ? "two boxes emit" : nullptr;
	}

	void link(const state &s, edges<state> &out) const
	{
		state n = s;

		if (!s.link) {
			n.link = 1;
			out.step(n, "link is back");
			return;
		}
		if (s.breaks == 2)
			return;
		n.link = 0;
		n.breaks++;
		n.mute = 0;
		out.fault(n, "link breaks; an offer lies in the peer's buffer");
		n.offer = 0;
		out.fault(n, "link breaks, and with it goes what was under way");
	}

	void back_again(const state &s, edges<state> &out) const
	{
		state n = s;

		if (s.a != HELD)
			return;
		if (back == PATIENCE) {
			n.a = ACTIVE;
			out.step(n, "old active has waited long enough, and speaks", 0, two(n));
		}
		if (back != EVIDENCE || !s.link)
			return;
		n = s;
		if (s.b == STANDBY && !s.offer) {
			n.b = OUTBID;
			n.mute = 1;
			out.step(n, "old active claims a higher term; peer is mute, and says so");
		} else if (s.b == OUTBID && !s.mute) {
			n.mute = 1;
			out.step(n, "peer says again that it is mute");
		}
	}

	void next(const state &s, edges<state> &out) const
	{
		state n = s;

		if (s.a == ACTIVE && s.b != REIGNS && s.link) {
			n.a = LEAVING;
			n.b = STANDBY;
			out.fault(n, "switchover");
		}
		n = s;
		if (s.a == LEAVING) {
			n.a = ACTIVE;
			out.step(n, "called off", 0, two(n));
			if (s.link) {
				n.a = HELD;
				n.offer = 1;
				out.step(n, "mute; then the offer");
			}
		}
		n = s;
		if (s.offer) {
			n.offer = 0;
			if (s.b == STANDBY)
				n.b = REIGNS;
			out.step(n, "peer gets the offer", 0, two(n));
		}
		n = s;
		if (s.mute && s.link) {
			n.mute = 0;
			if (s.a == HELD)
				n.a = ACTIVE;
			out.step(n, "old active gets the mute answer", 0, two(n));
		}
		link(s, out);
		back_again(s, out);
		n = s;
		if (s.a != DEAD) {
			n.a = DEAD;
			out.fault(n, "old active dies");
		} else if (s.b != REIGNS) {
			n.b = REIGNS;
			out.step(n, "failover");
		}
	}

	bool goal(const state &s) const { return s.a == ACTIVE || s.b == REIGNS; }

	std::string show(const state &s) const
	{
		static const char *const a[] = { "active", "leaving", "held", "dead" };
		static const char *const b[] = { "standby", "REIGNS", "outbid" };

		return std::string("old ") + a[s.a] + ", peer " + b[s.b] + (s.offer ? ", offer" : "") +
		       (s.mute ? ", mute answer" : "") + (s.link ? "" : ", link down");
	}
};

int main(int argc, char **argv)
{
	return model_main<handover>(argc, argv, {
		{ "back with evidence", nullptr, nullptr, { EVIDENCE }, false },
		{ "back when patience ends", "offer-is-final", "two boxes emit", { PATIENCE }, false },
		{ "no way back at all", "offer-is-final", WEDGE, { NONE }, false },
	});
}
