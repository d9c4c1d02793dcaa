// SPDX-License-Identifier: GPL-2.0-only
/* see test_rules.h */
#include "test_rules.h"

#ifdef NSR_TEST
#include <stdlib.h>
#include <string.h>

bool test_rule_is_off(const char *rule)
{
	const char *off = getenv("NSR_TEST_OFF");
	size_t n;

	for (; off && *off; off += n + strspn(off + n, " ")) {
		n = strcspn(off, " ");
		if (n == strlen(rule) && !memcmp(off, rule, n))
			return true;
	}
	return false;
}
#endif
