// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "nsrctl.h"

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "-";
}

static long long number(const json_t *o, const char *key)
{
	return (long long)json_integer_value(json_object_get(o, key));
}

static bool truth(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

/* What the operator wants to know first: would the connections survive now? */
static const char *verdict(const json_t *g)
{
	if (!strcmp(text(g, "role"), "active"))
		return truth(g, "protected") ? "protected" : "UNPROTECTED";
	return !strcmp(text(g, "state"), "ready") ? "ready" : "NOT READY";
}

static void print_groups(const json_t *list)
{
	const json_t *g, *peer;
	size_t i;

	printf("%-12s %-8s %-8s %-12s %6s %6s %5s  %s\n", "GROUP", "ROLE", "STATE", "", "TERM", "CONNS", "LAG",
	       "PEER");
	json_array_foreach(list, i, g) {
		peer = json_object_get(g, "peer");
		printf("%-12s %-8s %-8s %-12s %6lld %6lld %5lld  ", text(g, "name"), text(g, "role"),
		       text(g, "state"), verdict(g), number(g, "term"), number(g, "conns"),
		       number(g, "lag_records"));
		if (json_is_object(peer))
			printf("node %lld %s, %s\n", number(peer, "node"), text(peer, "state"), text(peer, "link"));
		else
			printf("none\n");
		if (number(g, "unprotected_conns"))
			printf("%-12s %lld connections are UNPROTECTED: see show conns\n", "",
			       number(g, "unprotected_conns"));
		printf("%-12s since: %s; on %s, MAC %s%s\n", "", text(g, "reason"), text(g, "interface"), text(g, "mac"),
		       !strcmp(text(g, "role"), "active") && !truth(g, "settled") ? "; not settled yet" : "");
	}
}

static void print_conns(const json_t *list)
{
	const json_t *c;
	char end[2][128];
	size_t i;

	printf("%-10s %-28s %-28s %-12s %-11s %-12s %-8s %s\n", "GROUP", "LOCAL", "REMOTE", "TCP", "PHASE",
	       "APPLICATION", "MODE", "GAP");
	json_array_foreach(list, i, c) {
		snprintf(end[0], sizeof(end[0]), strchr(text(c, "local"), ':') ? "[%s]%s%s:%lld" : "%s%s%s:%lld",
			 text(c, "local"), json_object_get(c, "device") ? "%" : "",
			 json_object_get(c, "device") ? text(c, "device") : "", number(c, "local_port"));
		snprintf(end[1], sizeof(end[1]), strchr(text(c, "remote"), ':') ? "[%s]:%lld" : "%s:%lld",
			 text(c, "remote"), number(c, "remote_port"));
		printf("%-10s %-28s %-28s %-12s %-11s %-12s %-8s %s\n", text(c, "group"), end[0], end[1],
		       text(c, "tcp_state"), text(c, "phase"), text(c, "application"), text(c, "mode"),
		       text(c, "gap"));
		if (!truth(c, "protected"))
			printf("%-10s UNPROTECTED: %s\n", "", text(c, "reason"));
	}
}

static void print_apps(const json_t *list)
{
	const json_t *a;
	size_t i;

	printf("%-12s %-16s %-9s %6s %8s\n", "GROUP", "APPLICATION", "ATTACHED", "CONNS", "RECORDS");
	json_array_foreach(list, i, a)
		printf("%-12s %-16s %-9s %6lld %8lld\n", text(a, "group"), text(a, "name"),
		       truth(a, "attached") ? "yes" : "NO", number(a, "conns"), number(a, "state_records"));
}

static void print_counters(const json_t *list)
{
	const char *key;
	json_t *o, *v;
	size_t i;

	json_array_foreach(list, i, o) {
		printf("group %s\n", text(o, "group"));
		json_object_foreach(o, key, v)
			if (json_is_integer(v))
				printf("  %-22s %12lld\n", key, (long long)json_integer_value(v));
	}
}

static void print_digest(const json_t *list)
{
	const json_t *o;
	size_t i;

	json_array_foreach(list, i, o)
		printf("%s %s\n", text(o, "group"), text(o, "digest"));
}

static const struct {
	const char *what;
	void (*print)(const json_t *list);
} kinds[] = {
	{ "groups", print_groups }, { "conns", print_conns }, { "apps", print_apps },
	{ "counters", print_counters }, { "digest", print_digest },
};

#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static int run(struct ctl *c, int argc, char **argv)
{
	size_t kind = 0;
	bool given = false;
	json_t *o;

	for (int i = 1; i < argc; i++) {
		const char *word = !strcmp(argv[i], "--digest") ? "digest" : argv[i];
		size_t k;

		for (k = 0; k < NR_KINDS && strcmp(word, kinds[k].what); k++)
			;
		if (k == NR_KINDS || given)
			return ctl_usage(&cmd_show, argv[i]);
		kind = k;
		given = true;
	}
	o = ctl_ask(c, json_pack("{s:s, s:s}", "verb", "show", "what", kinds[kind].what));
	if (!o)
		return EXIT_FAILED;
	if (c->json)
		ctl_print_json(o);
	else
		kinds[kind].print(json_object_get(o, kinds[kind].what));
	json_decref(o);
	return EXIT_DONE;
}

const struct cmd cmd_show = { "show", "[groups|conns|apps|counters|--digest]", "what there is", run };
