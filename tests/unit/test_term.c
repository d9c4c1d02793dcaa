// SPDX-License-Identifier: GPL-2.0-only
/* The record of a term on disk: written whole or not at all, and refused when damaged */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "term.h"

static char dir[64];

static const struct term_record sample = {
	.term = { .number = 0x1122334455667788ull, .owner = 7 },
	.data_term = { .number = 41, .owner = 9 },
	.boots = 12, .was_active = 1, .peer_unable = 1,
};

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/nsr-test-term.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char cmd[128];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

static void path_of(char *path, size_t len)
{
	snprintf(path, len, "%s/group-7.term", dir);
}

static void assert_record(const struct term_record *a, const struct term_record *b)
{
	assert_int_equal(nsr_term_cmp(a->term, b->term), 0);
	assert_int_equal(nsr_term_cmp(a->data_term, b->data_term), 0);
	assert_int_equal(a->boots, b->boots);
	assert_int_equal(a->was_active, b->was_active);
	assert_int_equal(a->peer_unable, b->peer_unable);
}

static void missing_is_enoent_and_all_zero(void **state)
{
	struct term_record rec = sample, zero = { 0 };

	(void)state;
	assert_int_equal(term_read(dir, 7, &rec), -ENOENT);
	assert_record(&rec, &zero);
}

static void written_is_read_back(void **state)
{
	struct term_record rec, other = sample;

	(void)state;
	assert_int_equal(term_write(dir, 7, &sample), 0);
	assert_int_equal(term_read(dir, 7, &rec), 0);
	assert_record(&rec, &sample);
	other.term.number++;
	assert_int_equal(term_write(dir, 7, &other), 0);
	assert_int_equal(term_read(dir, 7, &rec), 0);
	assert_record(&rec, &other);
	assert_int_equal(term_read(dir, 8, &rec), -ENOENT);
}

static void directory_is_created(void **state)
{
	char sub[128];
	struct term_record rec;

	(void)state;
	snprintf(sub, sizeof(sub), "%s/state", dir);
	assert_int_equal(term_write(sub, 7, &sample), 0);
	assert_int_equal(term_read(sub, 7, &rec), 0);
}

static void every_flipped_bit_is_noticed(void **state)
{
	uint8_t buf[TERM_RECORD_SIZE];
	struct term_record rec;
	unsigned int i;

	(void)state;
	term_encode(buf, 7, &sample);
	assert_int_equal(term_decode(buf, sizeof(buf), 7, &rec), 0);
	for (i = 0; i < sizeof(buf) * 8; i++) {
		buf[i / 8] ^= 1u << (i % 8);
		assert_int_equal(term_decode(buf, sizeof(buf), 7, &rec), -EBADMSG);
		assert_int_equal(rec.term.number, 0);
		buf[i / 8] ^= 1u << (i % 8);
	}
}

static void every_wrong_length_is_noticed(void **state)
{
	uint8_t buf[TERM_RECORD_SIZE + 8] = { 0 };
	struct term_record rec;
	char path[128];
	size_t len;
	int fd;

	(void)state;
	term_encode(buf, 7, &sample);
	path_of(path, sizeof(path));
	for (len = 0; len <= sizeof(buf); len++) {
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, buf, len), (ssize_t)len);
		close(fd);
		assert_int_equal(term_read(dir, 7, &rec), len == TERM_RECORD_SIZE ? 0 : -EBADMSG);
	}
}

static void record_of_another_group_is_refused(void **state)
{
	uint8_t buf[TERM_RECORD_SIZE];
	struct term_record rec;

	(void)state;
	term_encode(buf, 8, &sample);
	assert_int_equal(term_decode(buf, sizeof(buf), 7, &rec), -EBADMSG);
}

/* A half-written new record, as after a power cut, harms nothing. */
static void leftover_of_a_torn_write_is_harmless(void **state)
{
	struct term_record rec;
	char path[160];
	int fd;

	(void)state;
	assert_int_equal(term_write(dir, 7, &sample), 0);
	snprintf(path, sizeof(path), "%s/group-7.term.new", dir);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "torn", 4), 4);
	close(fd);
	assert_int_equal(term_read(dir, 7, &rec), 0);
	assert_record(&rec, &sample);
	assert_int_equal(term_write(dir, 7, &sample), 0);
	assert_int_not_equal(access(path, F_OK), 0);
}

static void failed_write_keeps_the_former(void **state)
{
	struct term_record rec, other = sample;
	char path[160];

	(void)state;
	assert_int_equal(term_write(dir, 7, &sample), 0);
	snprintf(path, sizeof(path), "%s/group-7.term.new", dir);
	assert_int_equal(mkdir(path, 0700), 0);	/* the new record cannot be opened */
	other.term.number++;
	assert_int_equal(term_write(dir, 7, &other), -EISDIR);
	assert_int_equal(term_read(dir, 7, &rec), 0);
	assert_record(&rec, &sample);
	assert_int_equal(term_write("/proc/no/such", 7, &other), -ENOENT);
}

static void record_is_not_a_symbolic_link(void **state)
{
	struct term_record rec;
	char path[128];

	(void)state;
	path_of(path, sizeof(path));
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(term_read(dir, 7, &rec), -ELOOP);
}

static void terms_are_ordered_by_number_then_owner(void **state)
{
	struct nsr_term a = { 5, 9 }, b = { 6, 1 }, c = { 6, 2 };

	(void)state;
	assert_true(nsr_term_cmp(a, b) < 0);
	assert_true(nsr_term_cmp(c, b) > 0);
	assert_int_equal(nsr_term_cmp(c, c), 0);
	assert_int_equal(nsr_term_next(a, 3).number, 6);
	assert_int_equal(nsr_term_next(a, 3).owner, 3);
}

int main(void)
{
#define U(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		U(missing_is_enoent_and_all_zero), U(written_is_read_back), U(directory_is_created),
		U(every_flipped_bit_is_noticed), U(every_wrong_length_is_noticed),
		U(record_of_another_group_is_refused), U(leftover_of_a_torn_write_is_harmless),
		U(failed_write_keeps_the_former), U(record_is_not_a_symbolic_link),
		U(terms_are_ordered_by_number_then_owner),
	};

	return cmocka_run_group_tests_name("term", tests, NULL, NULL);
}
