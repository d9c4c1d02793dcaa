// SPDX-License-Identifier: GPL-2.0-only
/* Negative control of the VM runner: a module that warns when it is loaded. */
#include <linux/bug.h>
#include <linux/module.h>

static int __init ctl_init(void)
{
	WARN(1, "nsr_ctl_warn: on purpose\n");
	return 0;
}

static void __exit ctl_exit(void)
{
}

module_init(ctl_init);
module_exit(ctl_exit);
MODULE_DESCRIPTION("negative control: warns");
MODULE_LICENSE("GPL");
