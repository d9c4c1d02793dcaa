// SPDX-License-Identifier: GPL-2.0-only
/*
 * Negative control of the VM runner: a module that forgets what it allocated.
 * kmemleak must find it after the module is gone.
 */
#include <linux/module.h>
#include <linux/slab.h>

static int __init ctl_init(void)
{
	int i;

	/* Several: a stale copy of one pointer in some register or stack slot
	 * must not hide the leak.
	 */
	for (i = 0; i < 8; i++) {
		void *p = kmalloc(1000, GFP_KERNEL);

		if (!p)
			return -ENOMEM;
		pr_info("nsr_ctl_leak: forgetting an object\n");
	}
	return 0;
}

static void __exit ctl_exit(void)
{
}

module_init(ctl_init);
module_exit(ctl_exit);
MODULE_DESCRIPTION("negative control: leaks");
MODULE_LICENSE("GPL");
