// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "nsrctl.h"

static int run(struct ctl *c, int argc, char **argv)
{
	json_t *req = json_pack("{s:s}", "verb", "switchover"), *o;
	bool yes = false, group = false;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--force")) {
			json_object_set_new(req, "force", json_true());
		} else if (!strcmp(argv[i], "--yes") || !strcmp(argv[i], "-y")) {
			yes = true;
		} else if (argv[i][0] == '-' || group) {
			json_decref(req);
			return ctl_usage(&cmd_switchover, argv[i]);
		} else {
			json_object_set_new(req, "group", json_string(argv[i]));
			group = true;
		}
	}
	if (!ctl_confirm(yes, "The other box becomes active.")) {
		json_decref(req);
		return EXIT_FAILED;
	}
	o = ctl_ask(c, req);
	if (!o)
		return EXIT_FAILED;
	if (c->json)
		ctl_print_json(o);
	else
		printf("done: %s\n", json_string_value(json_object_get(o, "result")));
	json_decref(o);
	return EXIT_DONE;
}

const struct cmd cmd_switchover = {
	"switchover", "[GROUP] [--force] [--yes]", "the standby becomes active; waits for the result", run
};
