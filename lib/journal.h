/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * journal: bytes [base, end) of a stream, for whoever may have to send them again. Pure: no I/O. libnsr
 * and nsrd link the same file.
 */
#ifndef NSR_JOURNAL_H
#define NSR_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

#include "../uapi/nsr_app.h"

/** struct journal - a ring; the byte at a position lies at its index mod size. All zero: empty, at 0 */
struct journal {
	uint64_t base, end;
	uint8_t *buf;
	size_t size;			/* power of two; 0: nothing allocated */
};

void nsr_journal_init(struct journal *j, uint64_t pos);			/* forget what is held; the memory stays */
void nsr_journal_free(struct journal *j);				/* the memory; positions stay */
size_t nsr_journal_len(const struct journal *j);
size_t nsr_journal_room(const struct journal *j);			/* up to NSR_APP_JOURNAL_MAX */
/* The bytes from pos on (base <= pos < end), as many as lie in one piece. */
const uint8_t *nsr_journal_at(const struct journal *j, uint64_t pos, size_t *n);
int nsr_journal_reserve(struct journal *j, size_t len);			/* to hold len bytes; -ENOMEM */
int nsr_journal_append(struct journal *j, const void *p, size_t n);	/* all of it; -ENOBUFS, -ENOMEM */
void nsr_journal_trim(struct journal *j, uint64_t pos);
/* A connection at rest costs no buffer: there may be a hundred thousand. */
void nsr_journal_rest(struct journal *j);

#endif
