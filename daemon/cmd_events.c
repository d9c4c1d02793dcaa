// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <time.h>

#include "nsrctl.h"

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static void print_event(const json_t *o)
{
	double t = json_number_value(json_object_get(o, "time"));
	time_t sec = (time_t)t;
	struct tm tm;
	char when[16];

	localtime_r(&sec, &tm);
	strftime(when, sizeof(when), "%H:%M:%S", &tm);
	printf("%s.%03d %-10s %-8s %s\n", when, (int)((t - (double)sec) * 1000), text(o, "group"),
	       text(o, "event"), text(o, "text"));
	fflush(stdout);
}

static int run(struct ctl *c, int argc, char **argv)
{
	json_t *o;

	if (argc > 1)
		return ctl_usage(&cmd_events, argv[1]);
	o = ctl_ask(c, json_pack("{s:s}", "verb", "events"));
	if (!o)
		return EXIT_FAILED;
	json_decref(o);
	while ((o = ctl_next(c))) {
		if (c->json) {
			json_dumpf(o, stdout, JSON_COMPACT);
			putchar('\n');
			fflush(stdout);
		} else {
			print_event(o);
		}
		json_decref(o);
	}
	fprintf(stderr, "nsrctl: nsrd has ended\n");
	return EXIT_FAILED;
}

const struct cmd cmd_events = { "events", "", "follow what happens, until interrupted", run };
