/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rules that a test can switch off, to see that it would find out: those that NSR_TEST_OFF in the environment names,
 * with spaces. Only an nsrd that was built with NSR_TEST=1 has the switch.
 */
#ifndef TEST_RULES_H
#define TEST_RULES_H

#include <stdbool.h>

#ifdef NSR_TEST
bool test_rule_is_off(const char *rule);
#else
#define test_rule_is_off(rule)	false
#endif

#endif
