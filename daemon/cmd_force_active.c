// SPDX-License-Identifier: GPL-2.0-only
#include "nsrctl.h"

static int run(struct ctl *c, int argc, char **argv)
{
	return ctl_simple(c, &cmd_force_active, "This box becomes active without data: connections of the old active are "
			  "lost, and if the other box is active still, both are.", argc, argv);
}

const struct cmd cmd_force_active = {
	"force-active", "[GROUP] [--yes]", "become active without data (nobody else is)", run
};
