// SPDX-License-Identifier: GPL-2.0-only
/* Words that others have chosen do not reach a terminal as they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "text.h"

static const char *escaped(const char *in)
{
	static char out[64];

	text_escape(out, sizeof(out), in, strlen(in));
	return out;
}

static void printable_ones_stay(void **state)
{
	(void)state;
	assert_string_equal(escaped("eth0"), "eth0");
	assert_string_equal(escaped("a name? 100%"), "a name? 100%");
	assert_string_equal(escaped(""), "");
}

/* Two names that differ are shown as two, also one that looks like another one's escape. */
static void others_are_escaped(void **state)
{
	(void)state;
	assert_string_equal(escaped("e\033[2J"), "e\\x1b[2J");
	assert_string_equal(escaped("e\x7f\x9b" "1m"), "e\\x7f\\x9b1m");
	assert_string_equal(escaped("\xc3\xa9t"), "\\xc3\\xa9t");
	assert_string_equal(escaped("e\\x1b"), "e\\x5cx1b");
}

static void room(void **state)
{
	char out[8], name[15 + 1], most[15 * TEXT_ESCAPE + 1];

	(void)state;
	text_escape(out, sizeof(out), "abcd\033\033", 6);
	assert_string_equal(out, "abcd");		/* no half of an escape */
	text_escape(out, 1, "abc", 3);
	assert_string_equal(out, "");
	memset(name, 1, 15);
	name[15] = '\0';
	text_escape(most, sizeof(most), name, sizeof(name));
	assert_int_equal(strlen(most), sizeof(most) - 1);
	text_escape(out, sizeof(out), "abcdef", 3);	/* no NUL at its end */
	assert_string_equal(out, "abc");
}

static void controls(void **state)
{
	(void)state;
	assert_int_equal(text_is_control("\n"), 1);
	assert_int_equal(text_is_control("\x7f"), 1);
	assert_int_equal(text_is_control("\xc2\x9b"), 2);
	assert_int_equal(text_is_control("\xc2\xa7"), 0);
	assert_int_equal(text_is_control("\xc3\x9b"), 0);
	assert_int_equal(text_is_control("a"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(printable_ones_stay), cmocka_unit_test(others_are_escaped),
		cmocka_unit_test(room), cmocka_unit_test(controls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
