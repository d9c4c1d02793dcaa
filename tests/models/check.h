/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * check: a small explicit-state model checker, and the main() that all models share.
 *
 * A model is a class with
 *	state		plain bytes: equal states have equal bytes (start from memset)
 *	init()		the first state
 *	next(s, out)	everything that can happen next
 *	goal(s)		what the far end and the applications wait for has come
 *	show(s)		for the reader of a trace
 *
 * Search is breadth first, so the first trace to a violation is a shortest one. A violation is an edge
 * that the model calls bad, or a *wedge*: a state from which no goal can be reached by fair steps alone
 * (no loss, no duplication, no death). On a finite graph that is the same as: if the network is kind
 * from now on, the goal is not always reached.
 *
 * Each case of a model either holds, or takes one rule away and must break: the control of that rule.
 */
#ifndef MODELS_CHECK_H
#define MODELS_CHECK_H

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#define LIMIT	100000000	/* states; some 6 GB */
#define WEDGE	"wedge: no goal can be reached any more"

/* One thing that can happen. @what is a format for @arg, printed in traces only. */
template <class S> struct edge {
	S to;
	const char *what;
	int arg;
	bool fair;
	const char *bad;
};

template <class S> class edges {
public:
	/* What a kind world does sooner or later. */
	void step(const S &to, const char *what, int arg = 0, const char *bad = nullptr)
	{
		list.push_back({ to, what, arg, true, bad });
	}
	/* What an unkind one may do: loss, duplication, death, an operator's whim. */
	void fault(const S &to, const char *what, int arg = 0, const char *bad = nullptr)
	{
		list.push_back({ to, what, arg, false, bad });
	}
	void add(bool fair, const S &to, const char *what, int arg = 0, const char *bad = nullptr)
	{
		list.push_back({ to, what, arg, fair, bad });
	}
	std::vector<edge<S>> list;
};

template <class M> class checker {
public:
	using S = typename M::state;

	/* @stop_at: a violation that ends the search once it is found; NULL: search everything */
	checker(const M &model, size_t limit, const char *stop_at) :
		model(model), limit(limit), wedges(!stop_at || !strcmp(stop_at, WEDGE))
	{
		bool fresh;

		slots.assign(1 << 16, 0);
		insert(model.init(), 0, fresh);
		for (size_t i = 0; i < states.size() && !truncated; i++) {
			expand(i);
			if (stop_at && found.count(stop_at))
				return;
			truncated = states.size() > limit;
		}
		if (!truncated && wedges)
			look_for_wedges();
	}

	size_t count() const { return states.size(); }

	void trace(const char *bad) const
	{
		const violation &v = found.at(bad);
		std::vector<uint32_t> path;
		char what[96];

		for (uint32_t i = v.from; i; i = parent[i])
			path.push_back(i);
		printf("#     %-52s %s\n", "start", model.show(states[0]).c_str());
		for (size_t k = path.size(); k-- > 0; ) {
			edges<S> out;
			const S &to = states[path[k]];

			model.next(states[parent[path[k]]], out);
			strcpy(what, "?");
			for (const edge<S> &e : out.list)
				if (same(e.to, to) && !e.bad)
					snprintf(what, sizeof(what), e.what, e.arg);
			printf("# %3zu %-52s %s\n", path.size() - k, what, model.show(to).c_str());
		}
		if (v.what) {
			snprintf(what, sizeof(what), v.what, v.arg);
			printf("# %3zu %-52s %s\n", path.size() + 1, what, model.show(v.to).c_str());
		}
	}

	struct violation {
		uint32_t from;
		const char *what;	/* the last edge; NULL: the state itself is bad */
		int arg;
		S to;
		size_t times;
	};
	std::map<std::string, violation> found;
	bool truncated = false;

private:
	const M &model;
	size_t limit;
	bool wedges;			/* they are of interest */
	std::vector<S> states;
	std::vector<uint32_t> parent;
	std::vector<uint8_t> is_goal;
	std::vector<uint64_t> fair;		/* to << 32 | from */
	std::vector<uint32_t> slots;		/* hash table: index + 1 */

	static bool same(const S &a, const S &b) { return !memcmp(&a, &b, sizeof(S)); }

	static uint64_t hash(const S &s)
	{
		const uint8_t *p = reinterpret_cast<const uint8_t *>(&s);
		uint64_t x = 1469598103934665603ull;

		for (size_t i = 0; i < sizeof(S); i++)
			x = (x ^ p[i]) * 1099511628211ull;
		x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9ull;
		return x ^ (x >> 32);
	}

	size_t slot_of(const S &s) const
	{
		size_t k = hash(s) & (slots.size() - 1);

		while (slots[k] && !same(states[slots[k] - 1], s))
			k = (k + 1) & (slots.size() - 1);
		return k;
	}

	uint32_t insert(const S &s, uint32_t from, bool &fresh)
	{
		size_t k = slot_of(s);

		fresh = !slots[k];
		if (!fresh)
			return slots[k] - 1;
		states.push_back(s);
		parent.push_back(from);
		slots[k] = states.size();
		if (states.size() * 10 > slots.size() * 6) {
			slots.assign(slots.size() * 2, 0);
			for (size_t i = 0; i < states.size(); i++)
				slots[slot_of(states[i])] = i + 1;
		}
		return states.size() - 1;
	}

	void expand(uint32_t i)
	{
		const S s = states[i];
		edges<S> out;

		is_goal.push_back(model.goal(s));
		model.next(s, out);
		for (const edge<S> &e : out.list) {
			bool fresh;
			uint32_t to;

			if (e.bad) {
				auto it = found.emplace(e.bad, violation{ i, e.what, e.arg, e.to, 0 });

				it.first->second.times++;
				is_goal[i] = true;	/* said once: it is no wedge besides */
				continue;
			}
			to = insert(e.to, i, fresh);
			if (wedges && e.fair && to != i)
				fair.push_back(static_cast<uint64_t>(to) << 32 | i);
		}
	}

	/* Backwards from the goals along fair edges; what is not reached is wedged. */
	void look_for_wedges()
	{
		std::vector<uint32_t> first(states.size() + 1), from(fair.size()), queue;
		std::vector<uint32_t> fill;
		std::vector<uint8_t> seen(is_goal);

		for (uint64_t f : fair)
			first[(f >> 32) + 1]++;
		for (size_t i = 0; i < states.size(); i++)
			first[i + 1] += first[i];
		fill = first;
		for (uint64_t f : fair)
			from[fill[f >> 32]++] = static_cast<uint32_t>(f);
		for (size_t i = 0; i < states.size(); i++)
			if (seen[i])
				queue.push_back(i);
		for (size_t k = 0; k < queue.size(); k++) {
			for (uint32_t a = first[queue[k]]; a < first[queue[k] + 1]; a++) {
				if (seen[from[a]])
					continue;
				seen[from[a]] = true;
				queue.push_back(from[a]);
			}
		}
		for (size_t i = 0; i < states.size(); i++) {
			if (seen[i])
				continue;
			auto it = found.emplace(WEDGE, violation{ static_cast<uint32_t>(i), nullptr, 0,
								 S(), 0 });
			it.first->second.times++;
		}
	}
};

/*
 * One case: the model with its options.
 * @rule: the rule that is taken away, NULL if none is. The name stands in the documents and in the code.
 * @breaks: what must be found without it; NULL: nothing bad may be found
 * @big: too large for every run: only with -b
 */
template <class M> struct model_case {
	const char *name;
	const char *rule;
	const char *breaks;
	M model;
	bool big;
};

template <class M> bool run_case(const model_case<M> &c, int number, bool trace, size_t limit)
{
	checker<M> check(c.model, limit, c.breaks);
	bool ok = c.breaks ? check.found.count(c.breaks) : check.found.empty() && !check.truncated;

	if (c.rule)
		printf("%s %d - %s: without %s: %s\n", ok ? "ok" : "not ok", number, c.name, c.rule, c.breaks);
	else
		printf("%s %d - %s: holds\n", ok ? "ok" : "not ok", number, c.name);
	printf("# %zu states%s\n", check.count(), check.truncated ? ", and there are more: LIMIT REACHED" : "");
	for (auto &f : check.found)
		if (!c.breaks || f.first != c.breaks)
			printf("# %s (%zu times)\n", f.first.c_str(), f.second.times);
	for (auto &f : check.found)
		if (trace || !c.breaks) {
			printf("# shortest trace to: %s\n", f.first.c_str());
			check.trace(f.first.c_str());
		}
	fflush(stdout);
	return ok;
}

/* [-b] [-t] [-l] [WORD]...: TAP on stdout; status 1 if a case did not do what it should. */
template <class M> int model_main(int argc, char **argv, const std::vector<model_case<M>> &cases)
{
	bool big = false, trace = false, list = false, ok = true;
	std::vector<const model_case<M> *> chosen;
	std::vector<std::string> words;
	int number = 0;

	for (int i = 1; i < argc; i++) {
		std::string a = argv[i];

		if (a == "-b")
			big = true;
		else if (a == "-t")
			trace = true;
		else if (a == "-l")
			list = true;
		else if (a[0] != '-')
			words.push_back(a);
		else {
			fprintf(stderr, "%s: no option %s; usage: %s [-b] [-t] [-l] [WORD]...\n"
				"  -b  the large cases too\n  -t  print the shortest trace to each violation\n"
				"  -l  only list\n  WORD: cases whose name or rule contains it\n",
				argv[0], argv[i], argv[0]);
			return 2;
		}
	}
	for (const model_case<M> &c : cases) {
		bool hit = words.empty();

		for (const std::string &w : words)
			hit |= strstr(c.name, w.c_str()) || (c.rule && strstr(c.rule, w.c_str()));
		if (hit && (big || !c.big))
			chosen.push_back(&c);
	}
	if (chosen.empty()) {
		fprintf(stderr, "%s: no such case; -l lists them, -b -l the large ones too\n", argv[0]);
		return 2;
	}
	printf("TAP version 13\n1..%zu\n", chosen.size());
	for (const model_case<M> *c : chosen) {
		if (list)
			printf("# %s%s%s\n", c->name, c->rule ? ": without " : "", c->rule ? c->rule : "");
		else
			ok &= run_case(*c, ++number, trace, LIMIT);
	}
	return !ok;
}

/* ---- segments under way: a small sorted multiset of bytes, so that order does not matter ---- */

#define NO_SEG	0xff

static inline bool net_put(uint8_t *net, int room, uint8_t seg)
{
	int i = room - 1;

	if (net[i] != NO_SEG)
		return false;
	for (; i > 0 && net[i - 1] > seg; i--)
		net[i] = net[i - 1];
	net[i] = seg;
	return true;
}

static inline void net_take(uint8_t *net, int room, int i)
{
	for (; i < room - 1; i++)
		net[i] = net[i + 1];
	net[room - 1] = NO_SEG;
}

static inline bool net_has(const uint8_t *net, int room, uint8_t seg)
{
	for (int i = 0; i < room; i++)
		if (net[i] == seg)
			return true;
	return false;
}

#endif /* MODELS_CHECK_H */
