// SPDX-License-Identifier: GPL-2.0-only
#include "nsrctl.h"

static int run(struct ctl *c, int argc, char **argv)
{
	return ctl_simple(c, &cmd_clear, NULL, argc, argv);
}

const struct cmd cmd_clear = { "clear", "[GROUP]", "let a box claim again that was barred for its lapses", run };
