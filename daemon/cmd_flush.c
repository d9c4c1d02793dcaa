// SPDX-License-Identifier: GPL-2.0-only
#include "nsrctl.h"

static int run(struct ctl *c, int argc, char **argv)
{
	return ctl_simple(c, &cmd_flush, "The group's connections become ordinary, unprotected ones; shadows are closed.",
			  argc, argv);
}

const struct cmd cmd_flush = {
	"flush", "[GROUP] [--yes]", "release connections and shadows (before unloading the module)", run
};
