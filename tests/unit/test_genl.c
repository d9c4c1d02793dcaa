// SPDX-License-Identifier: GPL-2.0-only
/* Requests of generic netlink: what the operator reads when the kernel has nothing to say. Changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <string.h>

#include "genl.h"

static struct genl g;

/* The module was unloaded under a running nsrd: the family's number means nothing any more. */
static void a_family_that_has_gone(void **state)
{
	(void)state;
	assert_int_equal(genl_open(&g), 0);
	g.family = 0x7fff;
	assert_int_equal(genl_talk(&g, genl_request(&g, 1, 1, 0), NULL, NULL, NULL), -ENOENT);
	assert_non_null(strstr(g.text, "modprobe tcp_nsr"));
	assert_non_null(strstr(g.text, "restart nsrd"));
	genl_close(&g);
}

/* Control: a family that is there and refuses is not taken for one that has gone. */
static void a_family_that_is_there(void **state)
{
	struct genl_family fam;
	struct nlmsghdr *nlh;

	(void)state;
	assert_int_equal(genl_open(&g), 0);
	assert_int_equal(genl_resolve(&g, "nlctrl", "notify", &fam), 0);
	assert_int_equal(fam.id, GENL_ID_CTRL);
	assert_true(fam.mcgrp != 0);
	nlh = genl_request(&g, 200, 1, 0);
	assert_true(genl_talk(&g, nlh, NULL, NULL, NULL) < 0);
	assert_true(g.text[0] != '\0');
	assert_null(strstr(g.text, "modprobe"));
	/* Nor is a search for a family that nobody has: its caller knows better. */
	assert_int_equal(genl_resolve(&g, "no_such_family", "notify", &fam), -ENOENT);
	assert_null(strstr(g.text, "restart"));
	genl_close(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_family_that_has_gone), cmocka_unit_test(a_family_that_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
