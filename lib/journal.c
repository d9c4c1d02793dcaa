// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * journal: the bytes of one connection that were given to nsr_send() and that the far end has not
 * acknowledged. Whatever box holds them can send them again, the very same ones. A pure buffer: who may
 * send what, and when, is conn.c's business.
 *
 * A ring whose index is the position itself: nothing is ever moved but when it grows.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "journal.h"

#define FIRST_SIZE	4096u

void nsr_journal_init(struct journal *j, uint64_t pos)
{
	j->base = pos;
	j->end = pos;
}

void nsr_journal_free(struct journal *j)
{
	free(j->buf);
	j->buf = NULL;
	j->size = 0;
}

size_t nsr_journal_len(const struct journal *j)
{
	return j->end - j->base;
}

size_t nsr_journal_room(const struct journal *j)
{
	return NSR_APP_JOURNAL_MAX - nsr_journal_len(j);
}

const uint8_t *nsr_journal_at(const struct journal *j, uint64_t pos, size_t *n)
{
	size_t at = pos & (j->size - 1);

	*n = j->end - pos;
	if (*n > j->size - at)
		*n = j->size - at;
	return j->buf + at;
}

static void copy_in(struct journal *j, uint64_t pos, const uint8_t *p, size_t n)
{
	size_t at = pos & (j->size - 1), first = j->size - at;

	if (first > n)
		first = n;
	memcpy(j->buf + at, p, first);
	memcpy(j->buf, p + first, n - first);
}

int nsr_journal_reserve(struct journal *j, size_t want)
{
	struct journal big = *j;
	uint64_t pos;
	size_t n;

	big.size = j->size ? j->size : FIRST_SIZE;
	while (big.size < want)
		big.size *= 2;
	if (big.size == j->size)
		return 0;
	big.buf = malloc(big.size);
	if (!big.buf)
		return -ENOMEM;
	for (pos = j->base; pos < j->end; pos += n) {
		const uint8_t *p = nsr_journal_at(j, pos, &n);

		copy_in(&big, pos, p, n);
	}
	free(j->buf);
	*j = big;
	return 0;
}

int nsr_journal_append(struct journal *j, const void *p, size_t n)
{
	if (n > nsr_journal_room(j))
		return -ENOBUFS;
	if (!n)
		return 0;
	if (nsr_journal_reserve(j, nsr_journal_len(j) + n))
		return -ENOMEM;
	copy_in(j, j->end, p, n);
	j->end += n;
	return 0;
}

void nsr_journal_trim(struct journal *j, uint64_t pos)
{
	if (pos > j->end)
		pos = j->end;
	if (pos <= j->base)
		return;
	j->base = pos;
}

void nsr_journal_rest(struct journal *j)
{
	if (j->base == j->end)
		nsr_journal_free(j);
}
