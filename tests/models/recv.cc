// SPDX-License-Identifier: GPL-2.0-only
/*
 * recv: the receive direction across a takeover (Documentation/adoption.md, lossless.md).
 *
 * A far end sends a short stream to the active, which dies; the standby goes on. The network loses, repeats
 * and reorders, and a segment may be as old as it likes. A position is what the code calls one. Messages are of
 * two units; what an application has read of an incomplete one is the tail.
 *
 * Must never be: the new application's state and the stream it goes on reading do not fit together, without
 * the application being told (*silent*); a gap in a lossless connection or after a planned switchover; a gap
 * that is called proven though the far end still has the bytes; a stream that stops for ever.
 */
#include <algorithm>
#include "check.h"

enum { MESSAGE = 2, MAX_DATA = 3, MAX_BACK = 2 };
enum phase : uint8_t { ALIVE, LEAVING, DEAD, TAKEN };

/*
 * A segment of the far end: its kind, its position, and whether what is in it proves that it left after the
 * takeover (a nonce, or the echo of a TSval of ours). Data has its own position; the others show SND.NXT.
 */
enum { DATA = 0, PURE_ACK = 8, ANSWER = 16, KIND = 24, POS = 7, FRESH = 32 };
/* To the far end: an ACK of the old or the new active, at POS; a probe. */
enum { OLD_ACK = 0, NEW_ACK = 8, PROBE = 16 };

struct recv_state {
	uint8_t phase;
	/* the far end */
	uint8_t una, nxt, heard;	/* heard: it has had something of the new active */
	/* the active. A position that waits out of order is a bit of ofo */
	uint8_t rcv, ofo, acked, read, gate;
	/* replicated: vouched, the state that is there, the cursor "highest ACK sent"; EXACT */
	uint8_t vouched, accounts, cursor, exact;
	/* the new active */
	uint8_t adopted, nrcv, nofo;
	uint8_t far_nxt;		/* the far end's SND.NXT, as a fresh answer showed it */
	uint8_t resumed, told, reset;
	/* the network */
	uint8_t data[MAX_DATA], back[MAX_BACK];
};

struct recv {
	using state = recv_state;

	enum floor { VOUCHED, FIRST_SEGMENT, COPIED } floor = VOUCHED;	/* floor-from-vouched */
	bool one = true;	/* one-transaction */
	bool thrice = true;	/* head-proves-gap: without it one retransmission is enough */
	bool silence = false;	/* head-proves-gap: silence for a while proves one, too */
	bool bound = true;	/* bound-says-uncertain */
	bool fresh = true;	/* fresh-answer-resumes */
	bool fresh_data = true;	/* fresh-answer-resumes, for F arriving in order */
	bool drain = true;	/* drain-before-flip */
	bool gating = true;	/* ack-gate */
	bool follow = true;	/* gate-follows-reads: without it the gate stands at messages' ends */
	bool fin_counts = true;	/* fin-is-a-position */
	/* world */
	bool lossless = false, planned = false, unplanned = true;
	bool gap_reset = false;
	bool fin = false;	/* the last unit is a FIN */
	bool tlp = true;	/* the far end sends tail loss probes */
	uint8_t length = 4, window = 3, room = 2, room_back = 2;

	static uint8_t kind(uint8_t seg) { return seg & KIND; }
	static uint8_t pos(uint8_t seg) { return seg & POS; }

	state init() const
	{
		state s;

		memset(&s, 0, sizeof(s));
		memset(s.data, NO_SEG, sizeof(s.data));
		memset(s.back, NO_SEG, sizeof(s.back));
		return s;
	}

	void merge(uint8_t &rcv, uint8_t &ofo) const
	{
		for (; rcv < length && ofo >> rcv & 1; rcv++)
			ofo &= ~(1 << rcv);
	}

	/* What a transaction can vouch for once @read bytes are read. */
	uint8_t vouchable(uint8_t read) const
	{
		uint8_t end = fin ? length - 1 : length;

		if (read == length)
			return fin && !fin_counts ? end : length;
		/* with the tail: every read. Without: whole messages */
		return follow ? read : read - read % MESSAGE;
	}

	/* ---- far end ---- */

	void far_sends(const state &s, uint8_t seg, const char *what, edges<state> &out) const
	{
		state n = s;

		if (s.heard)
			seg |= FRESH;
		if (net_has(s.data, room, seg) || !net_put(n.data, room, seg))
			return;
		if (kind(seg) == DATA && pos(seg) == s.nxt)
			n.nxt++;
		out.step(n, what, pos(seg));
	}

	void far_end(const state &s, edges<state> &out) const
	{
		if (s.nxt < length && s.nxt < s.una + window)
			far_sends(s, DATA | s.nxt, "far end sends %d", out);
		if (s.una < s.nxt)
			far_sends(s, DATA | s.una, "far end sends %d again", out);
		if (tlp && s.una + 1 < s.nxt)
			far_sends(s, DATA | (s.nxt - 1), "far end's tail loss probe %d", out);
		if (floor == FIRST_SEGMENT || !fresh)
			far_sends(s, PURE_ACK | s.nxt, "far end's pure ACK shows SND.NXT %d", out);
		for (int i = 0; i < room_back && s.back[i] != NO_SEG; i++) {
			uint8_t seg = s.back[i];
			state n = s;

			if (i && s.back[i - 1] == seg)
				continue;
			net_take(n.back, room_back, i);
			out.fault(n, "network loses what goes to the far end");
			n.heard |= seg != OLD_ACK + pos(seg);
			if (seg == PROBE) {
				uint8_t answer = ANSWER | FRESH | s.nxt;

				if (net_has(s.data, room, answer) || net_put(n.data, room, answer))
					out.step(n, "far end answers the probe, SND.NXT %d", s.nxt);
				continue;
			}
			if (pos(seg) > n.una && pos(seg) <= n.nxt)
				n.una = pos(seg);
			out.step(n, "ACK %d reaches the far end", pos(seg));
		}
	}

	/* ---- the old active ---- */

	void active(const state &s, edges<state> &out) const
	{
		uint8_t limit = lossless && gating ? std::min(s.rcv, s.gate) : s.rcv;
		state n = s;

		if (limit > s.una && !net_has(s.back, room_back, OLD_ACK | limit) &&
		    net_put(n.back, room_back, OLD_ACK | limit)) {
			n.acked = std::max(s.acked, limit);
			out.step(n, "ACK %d leaves", limit);
		}
		n = s;
		if (s.read < s.rcv) {
			n.read++;
			out.step(n, "application has read %d", n.read);
		}
		replicate(s, out);
		if (planned && s.phase == ALIVE && s.una <= s.rcv) {
			n = s;
			n.phase = LEAVING;
			out.step(n, "switchover: inbound stops");
		}
		if (s.phase == LEAVING && s.vouched == s.rcv && s.accounts == s.rcv) {
			n = s;
			n.exact = 1;
			gone(n);
			out.step(n, "last transaction held: mute");
		}
		if (unplanned) {
			n = s;
			gone(n);
			out.fault(n, "ACTIVE DIES");
		}
	}

	static void gone(state &n)
	{
		n.phase = DEAD;
		n.rcv = n.ofo = n.acked = n.read = n.gate = 0;
	}

	void replicate(const state &s, edges<state> &out) const
	{
		uint8_t to = vouchable(s.read);
		state n = s;

		if (one && s.accounts < to) {
			n.accounts = n.vouched = to;
			out.step(n, "transaction: vouched %d", to);
		}
		if (!one && s.accounts < to && s.accounts == s.vouched) {
			n.accounts = to;
			out.step(n, "record: state %d", to);
		}
		if (!one && s.vouched < s.accounts) {
			n = s;
			n.vouched = s.accounts;
			out.step(n, "record: vouched %d", n.vouched);
		}
		n = s;
		if (floor == COPIED && s.vouched < s.read) {
			n.vouched = s.read;
			out.step(n, "cursor copied_seq %d", s.read);
		}
		n = s;
		if (!lossless && s.cursor < s.acked) {
			n.cursor = s.acked;
			out.step(n, "cursor: highest ACK sent %d", s.acked);
		}
		n = s;
		if (lossless && s.gate < s.vouched) {
			n.gate = s.vouched;
			out.step(n, "standby has acknowledged: gate %d", n.gate);
		}
	}

	/* ---- the new active ---- */

	/* Return: what is wrong with it, or NULL */
	const char *adopt(state &n, uint8_t first) const
	{
		uint8_t f = floor == FIRST_SEGMENT ? first : n.vouched;

		if (floor != FIRST_SEGMENT && n.cursor > f) {
			f = n.cursor;		/* acknowledged, not vouched: missing, and known to be */
			n.told = 1;
			n.reset |= gap_reset;
		}
		n.adopted = 1;
		n.nrcv = f;
		if (n.told)
			return n.exact ? "a gap after a planned switchover" : nullptr;
		if (f > n.accounts)
			return "silent: bytes are skipped";
		return f < n.accounts ? "silent: bytes are read twice" : nullptr;
	}

	/* A gap up to @to is concluded. */
	void gap(const state &s, state n, uint8_t to, bool fair, const char *why, edges<state> &out) const
	{
		const char *bad = nullptr;

		if (lossless || s.exact)
			bad = "a gap where there can be none";
		else if (s.una < to)
			bad = "a false gap: the far end has the bytes";
		n.told = n.resumed = 1;
		if (gap_reset) {
			n.reset = 1;
		} else {
			n.nrcv = std::max(n.nrcv, to);
			n.nofo &= ~((1 << n.nrcv) - 1);
			merge(n.nrcv, n.nofo);
		}
		out.add(fair, n, why, to, bad);
	}

	void on_new_active(const state &s, state n, uint8_t seg, bool fair, edges<state> &out) const
	{
		uint8_t p = pos(seg);
		bool again, resumes;

		if (!s.adopted) {
			const char *bad = adopt(n, p);

			if (bad || n.reset) {
				out.add(fair, n, "adoption at the segment %d", p, bad);
				return;
			}
		}
		/* Behind everything that a fresh answer shows there is nothing that was acknowledged. */
		if (kind(seg) != DATA) {
			if (seg & FRESH)
				n.far_nxt = std::max(n.far_nxt, p);
			resumes = p == n.nrcv && (seg & FRESH || !fresh);
			n.resumed |= resumes;
			out.add(fair, n, resumes ? "SND.NXT is at F (%d): resumed" : "SND.NXT is %d", p);
			return;
		}
		/* An old copy that lies below the head does not hide it: it does not come again. */
		again = p > n.nrcv && n.nofo >> p & 1;
		if (p == n.nrcv) {
			/* F arrives in order, and it is no copy from before the takeover */
			n.resumed |= seg & FRESH || !fresh_data;
			n.nrcv++;
			merge(n.nrcv, n.nofo);
		} else if (p > n.nrcv) {
			n.nofo |= 1 << p;
		}
		out.add(fair, n, "%d arrives at the new active", p);
		/* Thrice at growing intervals: that is the head of the far end's queue. Else it may be any. */
		if (again && !n.resumed && n.far_nxt > n.nrcv && (!thrice || p == s.una))
			gap(s, n, p, fair, thrice ? "head of the far end's queue is %d: gap" : "%d came again: gap", out);
	}

	void new_active(const state &s, edges<state> &out) const
	{
		state n = s;

		if (floor != FIRST_SEGMENT && !net_has(s.back, room_back, PROBE) &&
		    net_put(n.back, room_back, PROBE))
			out.step(n, "new active probes");
		n = s;
		if (s.adopted && !net_has(s.back, room_back, NEW_ACK | s.nrcv) &&
		    net_put(n.back, room_back, NEW_ACK | s.nrcv))
			out.step(n, "new active's ACK %d", s.nrcv);
		if (!s.adopted || s.resumed || s.far_nxt <= s.nrcv)
			return;
		n = s;
		if (silence) {
			gap(s, n, s.far_nxt, false, "the bound: gap to %d", out);
		} else if (bound && floor != FIRST_SEGMENT && !lossless && !s.exact) {
			/* In a kind world it is over by then, unless what is missing will never come. */
			n.told = n.resumed = 1;
			out.add(s.una > s.nrcv, n, "the bound: uncertain up to %d, and said so", s.far_nxt);
		}
	}

	/* ---- */

	void arrivals(const state &s, edges<state> &out) const
	{
		for (int i = 0; i < room && s.data[i] != NO_SEG; i++) {
			uint8_t seg = s.data[i];

			if (i && s.data[i - 1] == seg)
				continue;
			for (int copy = 0; copy < 2; copy++) {
				state n = s;

				if (!copy)
					net_take(n.data, room, i);
				if (s.phase == TAKEN) {
					on_new_active(s, n, seg, !copy, out);
				} else if (s.phase != ALIVE) {
					if (!copy)
						out.step(n, "nobody listens to %d", pos(seg));
				} else {
					if (kind(seg) == DATA && pos(seg) == n.rcv) {
						n.rcv++;
						merge(n.rcv, n.ofo);
					} else if (kind(seg) == DATA && pos(seg) > n.rcv) {
						n.ofo |= 1 << pos(seg);
					}
					out.add(!copy, n, copy ? "%d arrives, and will again" : "%d arrives", pos(seg));
				}
			}
			state n = s;

			net_take(n.data, room, i);
			out.fault(n, "network loses %d", pos(seg));
		}
	}

	void next(const state &s, edges<state> &out) const
	{
		if (s.reset)
			return;
		far_end(s, out);
		arrivals(s, out);
		if (s.phase <= LEAVING)
			active(s, out);
		if (s.phase == DEAD) {
			state n = s;

			n.phase = TAKEN;
			for (int i = room_back; drain && i-- > 0; )
				if (n.back[i] != NO_SEG)
					net_take(n.back, room_back, i);
			out.step(n, drain ? "takeover; what the old active sent has arrived or died" : "takeover");
		}
		if (s.phase == TAKEN)
			new_active(s, out);
	}

	/* A reset is loud; so is "uncertain", after which the application decides. */
	bool goal(const state &s) const
	{
		if (s.reset || (s.resumed && s.told))
			return true;
		return s.una == length && (s.phase == ALIVE ? s.rcv == length : s.phase == TAKEN && s.nrcv == length);
	}

	std::string show(const state &s) const
	{
		static const char *const phase[] = { "alive", "leaving", "dead", "taken" };
		char text[400];
		int n;

		n = snprintf(text, sizeof(text), "%-7s far[una %d nxt %d] old[rcv %d read %d acked %d gate %d] "
			     "standby[V %d accounts %d cursor %d%s] new[%s rcv %d ofo %x far %d%s%s%s]",
			     phase[s.phase], s.una, s.nxt, s.rcv, s.read, s.acked, s.gate, s.vouched, s.accounts,
			     s.cursor, s.exact ? " EXACT" : "", s.adopted ? "adopted" : "shadow", s.nrcv, s.nofo,
			     s.far_nxt, s.resumed ? " resumed" : "", s.told ? " TOLD" : "", s.reset ? " RESET" : "");
		for (int i = 0; i < room && s.data[i] != NO_SEG; i++)
			n += snprintf(text + n, sizeof(text) - n, " %s%d%s>", kind(s.data[i]) == DATA ? "" :
				      kind(s.data[i]) == ANSWER ? "answer" : "ack", pos(s.data[i]),
				      s.data[i] & FRESH ? "'" : "");
		for (int i = 0; i < room_back && s.back[i] != NO_SEG; i++)
			n += snprintf(text + n, sizeof(text) - n, s.back[i] == PROBE ? " <probe" : " <ack%d",
				      pos(s.back[i]));
		return text;
	}
};

template <class F> static recv with(F change)
{
	recv r;

	change(r);
	return r;
}

static recv large(recv r)
{
	r.length = 6;
	return r;
}

int main(int argc, char **argv)
{
	static const char skipped[] = "silent: bytes are skipped", twice[] = "silent: bytes are read twice";
	static const char false_gap[] = "a false gap: the far end has the bytes";
	static const char no_gap[] = "a gap where there can be none";
	auto lossless = [](recv &r) { r.lossless = true; };
	auto planned = [](recv &r) { r.planned = true; r.unplanned = false; };
	recv l = with(lossless), p = with(planned), lp = p, reset, no_tlp = l, fin = l, no_drain = l;

	lp.lossless = true;
	reset.gap_reset = true;
	no_tlp.tlp = false;
	fin.fin = true;
	no_drain.drain = false;		/* harmless here: what is acknowledged is held */
	return model_main<recv>(argc, argv, {
		{ "adopt, gap report", nullptr, nullptr, recv(), false },
		{ "adopt, gap reset", nullptr, nullptr, reset, false },
		{ "adopt, planned", nullptr, nullptr, p, false },
		{ "lossless", nullptr, nullptr, l, false },
		{ "lossless, no tail loss probes", nullptr, nullptr, no_tlp, false },
		{ "lossless, no drain", nullptr, nullptr, no_drain, false },
		{ "lossless, FIN", nullptr, nullptr, fin, false },
		{ "lossless, planned", nullptr, nullptr, lp, false },
		{ "first segment decides", "floor-from-vouched", skipped,
		  with([](recv &r) { r.floor = recv::FIRST_SEGMENT; }), false },
		{ "the socket's copied_seq decides", "floor-from-vouched", skipped,
		  with([](recv &r) { r.floor = recv::COPIED; }), false },
		{ "state and position in two records", "one-transaction", twice,
		  with([](recv &r) { r.one = false; }), false },
		{ "state and position in two records, lossless", "one-transaction", twice,
		  with([](recv &r) { r.one = false; r.lossless = true; }), false },
		{ "one retransmission is enough", "head-proves-gap", false_gap,
		  with([](recv &r) { r.thrice = false; }), false },
		{ "one retransmission is enough, lossless", "head-proves-gap", no_gap,
		  with([](recv &r) { r.thrice = false; r.lossless = true; }), false },
		{ "silence proves a gap", "head-proves-gap", false_gap,
		  with([](recv &r) { r.silence = true; }), false },
		{ "nothing is said when nothing is proven", "bound-says-uncertain", WEDGE,
		  with([](recv &r) { r.bound = false; }), false },
		{ "an old copy of F ends the watch", "fresh-answer-resumes", WEDGE,
		  with([](recv &r) { r.fresh_data = false; }), false },
		{ "an old segment ends the watch", "fresh-answer-resumes", WEDGE,
		  with([](recv &r) { r.fresh = false; }), false },
		{ "the old active's last ACK comes late", "drain-before-flip", WEDGE,
		  with([](recv &r) { r.drain = false; }), false },
		{ "ACKs pass", "ack-gate", WEDGE, with([](recv &r) { r.gating = false; r.lossless = true; }), false },
		{ "the gate stands at messages' ends", "gate-follows-reads", WEDGE,
		  with([](recv &r) { r.follow = false; r.lossless = true; }), false },
		{ "a FIN is not vouched for", "fin-is-a-position", WEDGE,
		  with([](recv &r) { r.fin_counts = false; r.fin = r.lossless = true; }), false },
		{ "adopt, gap report, 6 units", nullptr, nullptr, large(recv()), true },
		{ "adopt, gap reset, 6 units", nullptr, nullptr, large(reset), true },
		{ "adopt, planned, 6 units", nullptr, nullptr, large(p), true },
		{ "lossless, 6 units", nullptr, nullptr, large(l), true },
		{ "lossless, FIN, 6 units", nullptr, nullptr, large(fin), true },
		{ "lossless, planned, 6 units", nullptr, nullptr, large(lp), true },
	});
}
