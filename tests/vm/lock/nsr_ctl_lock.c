// SPDX-License-Identifier: GPL-2.0-only
/*
 * Negative control of the VM runner: a module that takes two locks in both
 * orders. Nothing deadlocks, since one thread does both; only lockdep can tell.
 */
#include <linux/module.h>
#include <linux/spinlock.h>

static DEFINE_SPINLOCK(ctl_a);	/* protects nothing */
static DEFINE_SPINLOCK(ctl_b);	/* protects nothing */

static int __init ctl_init(void)
{
	spin_lock(&ctl_a);
	spin_lock(&ctl_b);
	spin_unlock(&ctl_b);
	spin_unlock(&ctl_a);

	spin_lock(&ctl_b);
	spin_lock(&ctl_a);
	spin_unlock(&ctl_a);
	spin_unlock(&ctl_b);
	return 0;
}

static void __exit ctl_exit(void)
{
}

module_init(ctl_init);
module_exit(ctl_exit);
MODULE_DESCRIPTION("negative control: takes locks in both orders");
MODULE_LICENSE("GPL");
