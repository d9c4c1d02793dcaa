// SPDX-License-Identifier: GPL-2.0-only
/*
 * txn: why state, input and output are one record (rule one-transaction).
 *
 * A far end sends requests 1, 2. For each the application changes its state, answers, and says how far it
 * has read. The sync link is ordered, the active dies after any prefix of it, and the new active starts from
 * what the standby holds: it handles again what the far end sends again (everything above the vouched position),
 * and sends again what the journal holds. TCP itself is exact here: that is recv.cc's and send.cc's matter.
 */
#include "check.h"

enum { REQUESTS = 2 };
enum record { STATE, ANSWER, VOUCH };

struct txn_state {
	uint8_t dead;			/* the old active */
	uint8_t handled, step;		/* requests done; records of the present one already on the link */
	uint8_t log[3 * REQUESTS];	/* request << 2 | record */
	uint8_t nlog, held;		/* produced; held by the standby */
	uint8_t released;		/* answers that have left */
	uint8_t seen[2 * REQUESTS + 2], nseen;	/* what the far end's application gets */
	uint8_t next, state, journal;	/* the new active: next request, changes applied, answers to repeat */
};

struct txn {
	using state = txn_state;
	record order[3];
	bool one;		/* the three travel as one record */

	state init() const
	{
		state s;

		memset(&s, 0, sizeof(s));
		return s;
	}

	static bool answer(state &n, uint8_t request)
	{
		bool right = request == n.nseen;

		n.seen[n.nseen++] = request;
		return right;
	}

	static const char *verdict(bool right) { return right ? nullptr : "an answer is repeated or missing"; }

	void active(const state &s, edges<state> &out) const
	{
		state n = s;
		int answers = 0;

		if (s.handled < REQUESTS) {
			do
				n.log[n.nlog++] = s.handled << 2 | order[n.step++];
			while (one && n.step < 3);
			if (n.step == 3) {
				n.step = 0;
				n.handled++;
			}
			out.step(n, one ? "transaction of request %d" : "a record of request %d", s.handled + 1);
		}
		n = s;
		if (s.held < s.nlog) {
			n.held += one ? 3 : 1;
			out.step(n, "standby acknowledges");
		}
		for (int i = 0; i < s.held; i++)
			answers += (s.log[i] & 3) == ANSWER;
		n = s;
		if (s.released < answers) {
			bool right = answer(n, s.released);

			n.released++;
			out.step(n, "answer %d leaves", n.released, verdict(right));
		}
		die(s, out);
	}

	void die(const state &s, edges<state> &out) const
	{
		state n = s;

		n.dead = 1;
		for (int i = 0; i < s.held; i++) {
			uint8_t done = (s.log[i] >> 2) + 1;

			switch (s.log[i] & 3) {
			case STATE:
				n.state = done;
				break;
			case ANSWER:
				n.journal = done;
				break;
			default:
				n.next = done;
			}
		}
		n.handled = n.step = n.nlog = n.held = 0;
		memset(n.log, 0, sizeof(n.log));
		if (n.state > n.next)
			out.fault(n, "active dies", 0, "a request is applied twice");
		out.fault(n, "active dies (applying twice is harmless)");
	}

	void next(const state &s, edges<state> &out) const
	{
		state n = s;
		bool right;

		if (!s.dead) {
			active(s, out);
			return;
		}
		if (s.nseen > 2 * REQUESTS)
			return;
		if (s.released < s.journal) {
			right = answer(n, s.released);
			n.released++;
			out.step(n, "answer %d again, from the journal", n.released, verdict(right));
		} else if (s.next < REQUESTS) {
			right = answer(n, s.next);
			n.next++;
			n.journal = ++n.released;
			out.step(n, "request %d, which the far end repeats", n.next, verdict(right));
		}
	}

	bool goal(const state &s) const { return s.nseen >= REQUESTS; }

	std::string show(const state &s) const
	{
		char text[200];

		snprintf(text, sizeof(text), "%s requests %d records %d held %d answers %d | new: next %d state %d journal %d",
			 s.dead ? "dead" : "alive", s.handled, s.nlog, s.held, s.nseen, s.next, s.state, s.journal);
		return text;
	}
};

int main(int argc, char **argv)
{
	static const char rule[] = "one-transaction";

	return model_main<txn>(argc, argv, {
		{ "one transaction", nullptr, nullptr, { { STATE, ANSWER, VOUCH }, true }, false },
		{ "state, answer, vouch", rule, "a request is applied twice",
		  { { STATE, ANSWER, VOUCH }, false }, false },
		{ "state, answer, vouch; idempotent", rule, "an answer is repeated or missing",
		  { { STATE, ANSWER, VOUCH }, false }, false },
		{ "state, vouch, answer", rule, "an answer is repeated or missing",
		  { { STATE, VOUCH, ANSWER }, false }, false },
		{ "answer, state, vouch", rule, "an answer is repeated or missing",
		  { { ANSWER, STATE, VOUCH }, false }, false },
	});
}
