// SPDX-License-Identifier: GPL-2.0-only
#include "nsrctl.h"

static int run(struct ctl *c, int argc, char **argv)
{
	return ctl_simple(c, &cmd_resync, NULL, argc, argv);
}

const struct cmd cmd_resync = { "resync", "[GROUP]", "the standby gets a whole snapshot anew", run };
