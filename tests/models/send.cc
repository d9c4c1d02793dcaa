// SPDX-License-Identifier: GPL-2.0-only
/*
 * send: the send direction across a takeover (Documentation/adoption.md, lossless.md).
 *
 * The active sends a short stream and dies; the standby goes on. Each unit that the far end holds knows
 * who wrote it, so a splice of both streams is seen. The network loses, repeats and reorders. Messages are of two
 * units.
 *
 * Must never be: a send position that is not the far end's RCV.NXT (mode adopt); a far end that reads other
 * bytes than the new active believes; an application that thinks something sent which is not, or the reverse,
 * and is not told; a position that the journal does not reach; a stream that stops for ever.
 */
#include <algorithm>
#include "check.h"

enum { MESSAGE = 2, MAX_LENGTH = 6, MAX_OUT = 2, MAX_BACK = 3 };
enum phase : uint8_t { ALIVE, LEAVING, DEAD, TAKEN };
enum author : uint8_t { NOBODY, OLD, NEW };

/* To the far end: data by author and position (JOURNAL: the old stream's, sent by the new active); a probe. */
enum { OLD_DATA = 0, JOURNAL = 8, NEW_DATA = 16, KIND = 24, POS = 7, PROBE = 24 };
/* From the far end: ACK at POS; with a nonce; with SACK blocks beyond it. */
enum { NONCE = 8, HOLES = 16 };

struct send_state {
	uint8_t phase;
	/* the far end */
	uint8_t far_rcv, byte[MAX_LENGTH];
	/* the old active */
	uint8_t written, nxt, una;
	/* the standby: cursors write_seq and snd_una, vouched, journal's end */
	uint8_t cursor, acked, vouched, jend, exact;
	/* the new active. What is below base is the old stream's */
	uint8_t adopted, pos, base, nwritten, nnxt, nuna, told, unsure, reset;
	uint8_t life;			/* one segment life has passed since the takeover */
	/* the network */
	uint8_t out[MAX_OUT], back[MAX_BACK];
};

struct sending {
	using state = send_state;

	enum proof { PROVEN, FIRST, QUIET, FIXED } proof = PROVEN;	/* nonce-decides */
	bool holes = true;	/* holes-reset */
	bool by_vouched = true;	/* vouched-tells-gap */
	bool blind = true;	/* blind-is-uncertain */
	bool age = true;	/* age-after-a-life */
	bool drain = true;	/* drain-before-flip */
	enum heal { TO_THE_END, ONCE, NEVER } heal = TO_THE_END;	/* heal-to-journal-end */
	bool bound = true;	/* journal-reaches-back */
	bool journal_first = true;	/* journal-before-wire */
	/* world */
	bool lossless = false, planned = false, unplanned = true;
	bool sack = true;
	bool in_order = false;	/* the far end keeps nothing out of order */
	bool gap_reset = false;
	uint8_t length = 4, window = 2, room_out = 2, room = 2;

	state init() const
	{
		state s;

		memset(&s, 0, sizeof(s));
		memset(s.out, NO_SEG, sizeof(s.out));
		memset(s.back, NO_SEG, sizeof(s.back));
		return s;
	}

	static uint8_t pos(uint8_t seg) { return seg & POS; }
	static uint8_t kind(uint8_t seg) { return seg & KIND; }

	/* ---- far end ---- */

	const char *verdict(const state &s) const
	{
		if (s.phase != TAKEN || !s.adopted || s.unsure)
			return nullptr;
		for (int q = 0; q < std::min(s.nuna, s.far_rcv); q++)
			if (s.byte[q] != (q < s.base ? OLD : NEW))
				return "silent: the far end reads other bytes";
		return nullptr;
	}

	void take_data(state &n, uint8_t seg) const
	{
		uint8_t q = pos(seg);

		if (q >= n.far_rcv && !n.byte[q] && !(in_order && q > n.far_rcv))
			n.byte[q] = kind(seg) == NEW_DATA ? NEW : OLD;
		while (n.far_rcv < length && n.byte[n.far_rcv])
			n.far_rcv++;
	}

	void far_end(const state &s, edges<state> &out) const
	{
		for (int i = 0; i < room_out && s.out[i] != NO_SEG; i++) {
			uint8_t seg = s.out[i], answer;
			state n = s;

			if (i && s.out[i - 1] == seg)
				continue;
			net_take(n.out, room_out, i);
			out.fault(n, "network loses what goes to the far end");
			for (int copy = 0; copy < 2; copy++) {
				bool nonce = seg == PROBE, known;

				if (copy && nonce)
					continue;
				n = s;
				if (!copy)
					net_take(n.out, room_out, i);
				if (!nonce) {
					/* a probe that is no secret looks like a retransmission */
					nonce = proof == FIXED && kind(seg) == OLD_DATA && pos(seg) < s.far_rcv;
					take_data(n, seg);
				}
				answer = n.far_rcv;
				if (nonce && sack) {
					answer |= NONCE;
					for (int q = n.far_rcv; q < length; q++)
						if (n.byte[q])
							answer |= HOLES;
				}
				known = net_has(n.back, room, answer) || net_put(n.back, room, answer);
				out.add(!copy, n, seg == PROBE ? known ? "far end answers the probe: ACK %d" :
					"far end's answer %d is lost" : known ? "far end gets data: ACK %d" :
					"far end gets data; its ACK %d is lost", n.far_rcv, verdict(n));
			}
		}
	}

	/* ---- the old active ---- */

	static void gone(state &n)
	{
		n.phase = DEAD;
		n.written = n.nxt = n.una = 0;
	}

	void application(const state &s, edges<state> &out) const
	{
		bool room_left = s.phase == ALIVE && s.written + MESSAGE <= length;
		state n = s;

		if (!lossless && room_left) {
			n.written += MESSAGE;
			out.step(n, "application sends up to %d", n.written);
		}
		if (!lossless)
			return;
		if (journal_first) {
			if (room_left && s.jend == s.written) {
				n.jend += MESSAGE;
				out.step(n, "standby holds the journal up to %d", n.jend);
			}
			n = s;
			if (s.written < s.jend) {
				n.written = s.jend;
				out.step(n, "released: written up to %d", n.written);
			}
		} else if (room_left && s.jend == s.written) {
			n.written += MESSAGE;
			out.step(n, "written up to %d", n.written);
		} else if (s.jend < s.written) {
			n.jend = s.written;
			out.step(n, "standby holds the journal up to %d", n.jend);
		}
	}

	void active(const state &s, edges<state> &out) const
	{
		state n = s;

		application(s, out);
		n.phase = LEAVING;
		if (planned && s.phase == ALIVE)
			out.step(n, "switchover: applications stop sending");
		n = s;
		if (s.nxt < s.written && !net_has(s.out, room_out, s.nxt) && net_put(n.out, room_out, s.nxt)) {
			n.nxt++;
			out.step(n, "active sends %d", s.nxt);
		}
		n = s;
		if (s.una < s.nxt && !net_has(s.out, room_out, s.una) && net_put(n.out, room_out, s.una))
			out.step(n, "active sends %d again", s.una);
		n = s;
		n.cursor = s.written;
		n.acked = s.una;
		if (proof != FIRST && (n.cursor != s.cursor || n.acked != s.acked))
			out.step(n, "cursors: snd_una %d", s.una);
		n = s;
		n.vouched = s.written;
		if (!lossless && n.vouched != s.vouched)
			out.step(n, "transaction: vouched %d", n.vouched);
		n = s;
		if (s.phase == LEAVING && s.una == s.written && (!lossless || s.jend == s.written)) {
			n.cursor = n.acked = n.vouched = s.written;
			n.exact = 1;
			gone(n);
			out.step(n, "all is acknowledged: last positions, mute");
		}
		n = s;
		gone(n);
		if (unplanned)
			out.fault(n, "ACTIVE DIES");
	}

	/* ---- the new active ---- */

	const char *adopt(state &n, uint8_t a, bool uncertain) const
	{
		n.adopted = 1;
		n.pos = n.nnxt = n.nuna = a;
		if (lossless) {
			n.base = n.nwritten = n.jend;
			if (a < n.acked)
				return "the journal does not reach back so far";
			return a > n.jend ? "the far end has more than the journal" : nullptr;
		}
		n.base = n.nwritten = a;
		n.unsure = uncertain;
		n.told = uncertain || a != (by_vouched ? n.vouched : n.cursor);
		n.reset = n.told && gap_reset;
		if (a != n.far_rcv)
			return "the send position is not the far end's RCV.NXT";
		if (n.exact)
			return n.told ? "a gap after a planned switchover" : nullptr;
		return !n.told && a != n.vouched ? "silent: the application is wrong about what was sent" : nullptr;
	}

	bool believed(const state &s, uint8_t seg) const
	{
		uint8_t a = pos(seg);

		if (a < s.acked && (bound || !lossless))
			return false;
		if (lossless)
			return a <= s.jend || !journal_first;	/* any position within the journal is right */
		switch (proof) {
		case FIRST:
			return true;
		case QUIET:
			if (a == s.cursor && s.cursor == s.acked)
				return true;
			break;
		default:
			break;
		}
		return sack ? seg & NONCE : !age || s.life;
	}

	void on_shadow(const state &s, state n, uint8_t seg, bool fair, edges<state> &out) const
	{
		const char *bad;

		if (holes && !lossless && seg & HOLES && pos(seg) >= s.acked) {
			n.reset = n.told = 1;
			out.add(fair, n, "far end holds pieces beyond %d: reset", pos(seg));
		} else if (believed(s, seg)) {
			bad = adopt(n, pos(seg), blind && !sack && !lossless);
			out.add(fair, n, "adoption at %d", pos(seg), bad);
		} else {
			out.add(fair, n, "ACK %d is not believed", pos(seg));
		}
	}

	void on_adopted(const state &s, state n, uint8_t seg, bool fair, edges<state> &out) const
	{
		uint8_t a = pos(seg);
		const char *what = "ACK %d arrives at the new active";

		if (a > s.nuna && a <= s.nnxt) {
			n.nuna = a;
		} else if (a > s.nnxt && a <= s.jend && lossless && s.nuna < s.jend &&
			   (heal == TO_THE_END || (heal == ONCE && s.nuna == s.pos))) {
			/* The stock stack would drop it: data never sent. It counts as an ACK of all that was. */
			n.nuna = s.nnxt;
			what = "ACK %d heals";
		}
		out.add(fair, n, what, a, verdict(n));
	}

	void arrivals(const state &s, edges<state> &out) const
	{
		for (int i = 0; i < room && s.back[i] != NO_SEG; i++) {
			uint8_t seg = s.back[i];

			if (i && s.back[i - 1] == seg)
				continue;
			for (int copy = 0; copy < 2; copy++) {
				state n = s;

				if (!copy)
					net_take(n.back, room, i);
				if (s.phase == TAKEN) {
					if (s.adopted)
						on_adopted(s, n, seg, !copy, out);
					else
						on_shadow(s, n, seg, !copy, out);
				} else if (!copy) {
					if (s.phase <= LEAVING && pos(seg) > n.una && pos(seg) <= n.nxt)
						n.una = pos(seg);
					out.step(n, s.phase == DEAD ? "nobody hears ACK %d" : "ACK %d arrives", pos(seg));
				}
			}
			state n = s;

			net_take(n.back, room, i);
			out.fault(n, "network loses ACK %d", pos(seg));
		}
	}

	void takeover(const state &s, edges<state> &out) const
	{
		const char *bad = nullptr;
		state n = s;

		n.phase = TAKEN;
		for (int i = room_out; drain && i-- > 0; )
			if (n.out[i] != NO_SEG)
				net_take(n.out, room_out, i);
		if (s.exact)
			bad = adopt(n, s.acked, false);
		out.step(n, s.exact ? "takeover: positions are handed over" : "takeover", 0, bad);
	}

	void new_data(const state &s, edges<state> &out) const
	{
		auto seg = [&](uint8_t q) -> uint8_t { return (q < s.base ? JOURNAL : NEW_DATA) | q; };
		state n = s;

		if (s.nwritten < length) {
			n.nwritten = std::min<int>(length, s.nwritten + MESSAGE);
			out.step(n, "new application sends up to %d", n.nwritten);
		}
		n = s;
		if (s.nnxt < s.nwritten && s.nnxt < s.nuna + window && !net_has(s.out, room_out, seg(s.nnxt)) &&
		    net_put(n.out, room_out, seg(s.nnxt))) {
			n.nnxt++;
			out.step(n, s.nnxt < s.base ? "new active sends %d, from the journal" :
				 "new active sends %d", s.nnxt);
		}
		n = s;
		if (s.nuna < s.nnxt && !net_has(s.out, room_out, seg(s.nuna)) && net_put(n.out, room_out, seg(s.nuna)))
			out.step(n, "new active sends %d again", s.nuna);
	}

	void new_active(const state &s, edges<state> &out) const
	{
		state n = s;

		if (!s.adopted && proof != FIRST && !net_has(s.out, room_out, PROBE) && net_put(n.out, room_out, PROBE))
			out.step(n, "new active probes");
		n = s;
		if (!sack && !s.life) {
			n.life = 1;
			memset(n.back, NO_SEG, sizeof(n.back));
			out.step(n, "a segment life passes: what the far end had sent is dead");
		}
		if (s.adopted)
			new_data(s, out);
	}

	/* ---- */

	void next(const state &s, edges<state> &out) const
	{
		if (s.reset)
			return;
		far_end(s, out);
		arrivals(s, out);
		if (s.phase <= LEAVING)
			active(s, out);
		else if (s.phase == DEAD)
			takeover(s, out);
		else
			new_active(s, out);
	}

	/* A reset is loud; so is "uncertain", after which the application decides. */
	bool goal(const state &s) const
	{
		if (s.reset || s.unsure)
			return true;
		if (s.phase < DEAD)
			return s.una == length;
		return s.phase == TAKEN && s.adopted && s.nuna == length && s.far_rcv == length;
	}

	std::string show(const state &s) const
	{
		static const char *const phase[] = { "alive", "leaving", "dead", "taken" };
		char text[400], bytes[MAX_LENGTH + 1] = "";
		int n;

		for (int q = 0; q < length; q++)
			bytes[q] = ".ON"[s.byte[q]];
		n = snprintf(text, sizeof(text), "%-7s far[rcv %d %s] old[written %d nxt %d una %d] standby[write_seq %d "
			     "snd_una %d vouched %d journal %d%s] new[%s pos %d written %d nxt %d una %d%s%s%s]",
			     phase[s.phase], s.far_rcv, bytes, s.written, s.nxt, s.una, s.cursor, s.acked, s.vouched,
			     s.jend, s.exact ? " EXACT" : "", s.adopted ? "adopted" : "shadow", s.pos, s.nwritten,
			     s.nnxt, s.nuna, s.unsure ? " UNSURE" : s.told ? " TOLD" : "", s.reset ? " RESET" : "",
			     s.life ? " life" : "");
		for (int i = 0; i < room_out && s.out[i] != NO_SEG; i++)
			n += snprintf(text + n, sizeof(text) - n, s.out[i] == PROBE ? " probe>" : " %c%d>",
				      "OJN"[kind(s.out[i]) >> 3 & 3], pos(s.out[i]));
		for (int i = 0; i < room && s.back[i] != NO_SEG; i++)
			n += snprintf(text + n, sizeof(text) - n, " <%d%s%s", pos(s.back[i]),
				      s.back[i] & NONCE ? "!" : "", s.back[i] & HOLES ? "+" : "");
		return text;
	}
};

template <class F> static sending with(F change)
{
	sending s;

	change(s);
	return s;
}

static sending large(sending s)
{
	s.length = 6;
	s.room = 3;
	return s;
}

int main(int argc, char **argv)
{
	static const char wrong_pos[] = "the send position is not the far end's RCV.NXT";
	static const char wrong[] = "silent: the far end reads other bytes";
	static const char unaware[] = "silent: the application is wrong about what was sent";
	sending l = with([](sending &s) { s.lossless = true; s.window = 1; });
	sending p = with([](sending &s) { s.planned = true; s.unplanned = false; });
	sending b = with([](sending &s) { s.sack = false; });
	sending reset, l_no_drain = l, l_no_sack = l, lp = l, pb = p, b_reset = b, b_in_order = b;
	auto lossless = [&](auto change) { sending s = l; change(s); return s; };
	auto blind = [&](auto change) { sending s = b_in_order; change(s); return s; };

	reset.gap_reset = true;
	l_no_drain.drain = false;
	l_no_sack.sack = false;
	lp.planned = true;
	lp.unplanned = false;
	pb.sack = false;
	b_reset.gap_reset = true;
	b_in_order.in_order = true;
	return model_main<sending>(argc, argv, {
		{ "adopt, gap report", nullptr, nullptr, sending(), false },
		{ "adopt, gap reset", nullptr, nullptr, reset, false },
		{ "adopt, no SACK, gap report", nullptr, nullptr, b, false },
		{ "adopt, no SACK, gap reset", nullptr, nullptr, b_reset, false },
		{ "adopt, planned", nullptr, nullptr, p, false },
		{ "adopt, planned, no SACK", nullptr, nullptr, pb, false },
		{ "lossless", nullptr, nullptr, l, false },
		{ "lossless, no drain", nullptr, nullptr, l_no_drain, false },
		{ "lossless, no SACK", nullptr, nullptr, l_no_sack, false },
		{ "lossless, planned", nullptr, nullptr, lp, false },
		{ "the first segment decides", "nonce-decides", wrong_pos,
		  with([](sending &s) { s.proof = sending::FIRST; }), false },
		{ "an ACK at cursors that are quiet decides", "nonce-decides", wrong_pos,
		  with([](sending &s) { s.proof = sending::QUIET; }), false },
		{ "a nonce that is no secret", "nonce-decides", wrong_pos,
		  with([](sending &s) { s.proof = sending::FIXED; }), false },
		{ "pieces beyond a hole are ignored", "holes-reset", wrong,
		  with([](sending &s) { s.holes = false; }), false },
		{ "the cursor write_seq tells gaps", "vouched-tells-gap", unaware,
		  with([](sending &s) { s.by_vouched = false; }), false },
		{ "what shows no pieces is taken to have none", "blind-is-uncertain", wrong,
		  with([](sending &s) { s.blind = s.sack = false; }), false },
		{ "any answer, however old", "age-after-a-life", wrong_pos,
		  blind([](sending &s) { s.age = false; }), false },
		{ "the old active's last segment comes late", "drain-before-flip", wrong_pos,
		  with([](sending &s) { s.drain = false; }), false },
		{ "no healing", "heal-to-journal-end", WEDGE,
		  lossless([](sending &s) { s.heal = sending::NEVER; }), false },
		{ "healing until something is acknowledged", "heal-to-journal-end", WEDGE,
		  lossless([](sending &s) { s.heal = sending::ONCE; }), false },
		{ "an ACK below the replicated snd_una", "journal-reaches-back",
		  "the journal does not reach back so far", lossless([](sending &s) { s.bound = false; }), false },
		{ "written before the standby holds it", "journal-before-wire",
		  "the far end has more than the journal", lossless([](sending &s) { s.journal_first = false; }), false },
		{ "adopt, gap report, 6 units", nullptr, nullptr, large(sending()), true },
		{ "adopt, no SACK, 6 units", nullptr, nullptr, large(b), true },
		{ "adopt, planned, 6 units", nullptr, nullptr, large(p), true },
		{ "lossless, 6 units", nullptr, nullptr, large(l), true },
		{ "lossless, no drain, 6 units", nullptr, nullptr, large(l_no_drain), true },
		{ "lossless, planned, 6 units", nullptr, nullptr, large(lp), true },
	});
}
