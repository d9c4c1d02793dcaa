// SPDX-License-Identifier: GPL-2.0-only
/*
 * gate: life of the ACK gate, the journal and readiness (Documentation/lossless.md), of one connection: a
 * standby that comes late, is lost and comes back; nsrd's death; a connection whose transactions lag; two or
 * three takeovers in a row. Both directions, at the level of positions: TCP's segments are recv.cc's and send.cc's.
 *
 * Must never be: a standby that takes the connection over as protected lacks a byte that the far end was told
 * we have, or one that the far end does not have yet.
 */
#include <algorithm>
#include "check.h"

enum standby : uint8_t { NOT_READY, SNAPSHOT, LOADED, READY };
static const int LENGTH = 3;		/* of each stream; messages are of one unit */

struct gate_state {
	/* the active */
	uint8_t rcv, acked, read;	/* received; highest ACK that left; read and committed */
	uint8_t gate;			/* G */
	uint8_t open, conn_open;	/* the group's gates, this connection's: open */
	uint8_t told;			/* the standby's word that it has this connection as unprotected */
	uint8_t written, base, una;	/* to the socket; journal's base; snd_una */
	/* the far end */
	uint8_t far_rcv;
	/* the standby */
	uint8_t ready;			/* enum standby */
	uint8_t vouched, jbase, jend;	/* V; journal [B, E) */
	uint8_t unprotected;		/* the connection's record says so */
	/* the world */
	uint8_t link, nsrd, deaths, over;
};

struct gate {
	using state = gate_state;

	/* rules; each may be taken away */
	bool in_step = true;	/* in-step-before-ready */
	bool close_first = true;/* gates-close-first, the group's and the connection's */
	bool journal = true;	/* journal-kept-always */
	bool lease = true;	/* lease-before-gates-open */
	bool hold = true;	/* nsrd-death-opens-nothing */
	bool forget = true;	/* reborn-drops-store */
	bool tell = true;	/* told-before-open */
	/* world */
	int deaths = 2;
	bool stalled = false;	/* the far end takes and acknowledges nothing: only readiness is asked for */

	state init() const
	{
		state s;

		memset(&s, 0, sizeof(s));
		s.open = 1;
		s.nsrd = 1;
		return s;
	}

	static bool gates_open(const state &s) { return s.open || s.conn_open; }
	static bool live(const state &s) { return s.link && s.nsrd && s.ready >= LOADED; }

	void input(const state &s, edges<state> &out) const
	{
		state n = s;
		int a = gates_open(s) ? s.rcv : std::min(s.rcv, s.gate);

		if (s.rcv < LENGTH) {
			n.rcv++;
			out.add(!stalled, n, "far end's byte %d arrives", s.rcv);
		}
		n = s;
		if (a > s.acked) {
			n.acked = a;
			out.step(n, "ACK %d leaves", a);
		}
		n = s;
		if (s.read < s.rcv) {
			n.read++;
			out.step(n, "application reads and commits %d", n.read);
		}
		n = s;
		if (live(s) && s.vouched < s.read) {
			n.vouched = s.read;
			out.step(n, "standby holds the input up to %d", n.vouched);
		}
		n = s;
		if (live(s) && s.gate < s.vouched) {
			n.gate = s.vouched;
			out.step(n, "its acknowledgement moves the gate to %d", n.gate);
		}
	}

	void output(const state &s, edges<state> &out) const
	{
		state n = s;

		if (s.written < LENGTH && gates_open(s) && !(s.link && s.ready == READY && !s.open)) {
			n.written++;
			if (!journal)
				n.base = n.written;
			out.step(n, "byte %d is sent, unprotected", s.written);
		}
		n = s;
		if (s.written < LENGTH && live(s) && s.jend == s.written) {
			n.jend++;
			out.step(n, "standby holds the journal up to %d", n.jend);
		}
		n = s;
		if (s.jend > s.written && (live(s) || gates_open(s))) {
			n.written++;
			out.step(n, "byte %d is released", s.written);
		}
		n = s;
		if (s.far_rcv < s.written) {
			n.far_rcv++;
			out.add(!stalled, n, "far end gets byte %d", s.far_rcv);
		}
		n = s;
		if (s.una < s.far_rcv) {
			n.una = s.far_rcv;
			out.add(!stalled, n, "far end's ACK %d comes", n.una);
		}
		n = s;
		if (live(s) && s.jbase < s.una) {
			n.jbase = s.una;
			n.jend = std::max(n.jend, n.jbase);
			out.step(n, "both trim the journal to %d", n.jbase);
		}
	}

	static void link_down(state &n)
	{
		n.link = 0;
		if (n.ready != READY)
			n.ready = NOT_READY;
	}

	void world(const state &s, edges<state> &out) const
	{
		state n = s;

		if (s.link) {
			link_down(n);
			out.fault(n, "link breaks");
		} else if (s.nsrd) {
			/* The snapshot says of each connection: unprotected, until it is in step. */
			n.link = 1;
			n.ready = SNAPSHOT;
			n.vouched = n.jbase = n.jend = 0;
			n.unprotected = n.told = 1;
			out.step(n, "link is back, snapshot begins");
		}
		n = s;
		if (!s.link && s.ready == READY && lease) {
			n.ready = NOT_READY;
			out.step(n, "ready lease ends");
		}
		n = s;
		if ((!s.link || !s.nsrd) && !s.open && (!lease || s.ready != READY) && (s.nsrd || lease)) {
			n.open = 1;
			out.step(n, "gates open: the standby is lost");
		}
		n = s;
		if (s.nsrd) {
			n.nsrd = 0;
			link_down(n);
			if (!hold)
				n.open = 1;
			out.fault(n, hold ? "nsrd dies" : "nsrd dies, gates open");
		} else {
			n.nsrd = 1;
			out.step(n, "nsrd is back");
		}
	}

	/* What was written since the copy was made follows it on the link. */
	void live_records(state &n) const
	{
		if (n.jend >= n.written)
			return;
		n.jend = n.written;
		if (!journal)
			n.jbase = n.written;
	}

	void snapshot(const state &s, edges<state> &out) const
	{
		state n = s;

		if (!s.link || !s.nsrd)
			return;
		switch (s.ready) {
		case SNAPSHOT:
			n.vouched = s.read;
			n.jend = s.written;
			n.jbase = std::min(std::max(s.una, s.base), s.written);
			n.ready = LOADED;
			out.step(n, "snapshot: vouched %d, and the journal", n.vouched);
			break;
		case LOADED:
			live_records(n);
			if (s.open && close_first) {
				n.open = 0;
				n.gate = n.vouched;
				out.step(n, "gates close");
			} else {
				n.ready = READY;
				out.step(n, "snapshot's end: ready");
			}
			break;
		case READY:
			if (s.open) {
				n.open = 0;
				n.gate = n.vouched;
				out.step(n, "gates close, late");
			}
			break;
		default:
			break;
		}
	}

	/* One connection that becomes protected, or lags for longer than commit-timeout. */
	void protection(const state &s, edges<state> &out) const
	{
		bool has_all = s.vouched >= s.acked && s.jbase <= s.una && s.jend >= s.written;
		state n = s;

		if (!s.link || !s.nsrd || s.ready != READY)
			return;
		if (s.unprotected && (has_all || !in_step) && !(close_first && gates_open(s))) {
			n.unprotected = n.told = 0;
			out.step(n, in_step ? "in step: protected" : "taken for protected");
		}
		n = s;
		if (!s.conn_open && !s.unprotected && tell) {
			n.unprotected = n.told = 1;
			out.fault(n, "it lags: the standby is told, and has acknowledged");
		}
		n = s;
		if (!s.conn_open && !s.open && (s.told || !tell)) {
			n.conn_open = 1;
			out.fault(n, "it lags: its gate opens");
		}
		n = s;
		if (s.conn_open) {
			n.conn_open = 0;
			n.gate = std::max(s.gate, s.vouched);
			if (s.unprotected || !close_first)
				out.step(n, "its gate closes");
		}
	}

	void death(const state &s, edges<state> &out) const
	{
		const char *bad = nullptr;
		state n = s;

		if (s.ready != READY || s.unprotected) {
			n.over = 1;
			out.fault(n, "active dies; the standby knows what it lacks, and says so");
			return;
		}
		if (s.vouched < s.acked)
			bad = "the standby lacks bytes that were acknowledged";
		else if (s.jbase > s.far_rcv || s.jend < s.written)
			bad = "the journal lacks bytes that the far end does not have";
		n.deaths++;
		n.rcv = n.read = n.gate = s.vouched;
		n.acked = s.acked;
		n.written = s.jend;
		n.una = s.far_rcv;
		n.base = s.jbase;
		n.open = n.nsrd = 1;
		n.conn_open = n.told = n.link = 0;
		if (forget) {
			n.ready = NOT_READY;
			n.vouched = n.jbase = n.jend = n.unprotected = 0;
		}
		n.over = n.deaths >= deaths;
		out.fault(n, "active dies, the standby takes over", 0, bad);
	}

	void next(const state &s, edges<state> &out) const
	{
		if (s.over)
			return;
		input(s, out);
		output(s, out);
		world(s, out);
		snapshot(s, out);
		protection(s, out);
		death(s, out);
	}

	bool goal(const state &s) const
	{
		if (stalled)
			return s.over || (s.ready == READY && !s.unprotected);
		return s.over || (s.acked == LENGTH && s.far_rcv == LENGTH);
	}

	std::string show(const state &s) const
	{
		static const char *const ready[] = { "not ready", "snapshot", "loaded", "READY" };
		char text[300];

		snprintf(text, sizeof(text),
			 "active[rcv %d acked %d read %d gate %d%s%s; written %d base %d una %d] far %d "
			 "standby[%s V %d journal %d..%d%s]%s%s%s", s.rcv, s.acked, s.read, s.gate,
			 s.open ? " OPEN" : "", s.conn_open ? " CONN-OPEN" : "", s.written, s.base, s.una,
			 s.far_rcv, ready[s.ready], s.vouched, s.jbase, s.jend,
			 s.unprotected ? " UNPROTECTED" : "", s.link ? "" : " no link", s.nsrd ? "" : " no nsrd",
			 s.over ? " (end)" : "");
		return text;
	}
};

template <class F> static gate with(F change)
{
	gate g;

	change(g);
	return g;
}

int main(int argc, char **argv)
{
	static const char acked[] = "the standby lacks bytes that were acknowledged";
	static const char sent[] = "the journal lacks bytes that the far end does not have";

	return model_main<gate>(argc, argv, {
		{ "two takeovers", nullptr, nullptr, gate(), false },
		{ "three takeovers", nullptr, nullptr, with([](gate &g) { g.deaths = 3; }), true },
		{ "a far end that stalls", nullptr, nullptr, with([](gate &g) { g.stalled = true; }), false },
		{ "ready at the snapshot's end", "in-step-before-ready", acked,
		  with([](gate &g) { g.in_step = false; }), false },
		{ "protected while a gate is open", "gates-close-first", acked,
		  with([](gate &g) { g.close_first = false; }), false },
		{ "journal only while protected", "journal-kept-always", WEDGE,
		  with([](gate &g) { g.journal = false; g.stalled = true; }), false },
		{ "journal only while protected, and nobody looks", "journal-kept-always", sent,
		  with([](gate &g) { g.journal = g.in_step = false; }), false },
		{ "gates open when the link breaks", "lease-before-gates-open", acked,
		  with([](gate &g) { g.lease = false; }), false },
		{ "gates open when nsrd dies", "nsrd-death-opens-nothing", acked,
		  with([](gate &g) { g.hold = false; }), false },
		{ "a reborn box keeps its store", "reborn-drops-store", acked,
		  with([](gate &g) { g.forget = false; }), false },
		{ "gate opens before the standby is told", "told-before-open", acked,
		  with([](gate &g) { g.tell = false; }), false },
	});
}
