/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * term: the number of a reign, and the record of it on disk.
 *
 * One file per group. A record is written and synced (file, rename, directory) *before* what it says
 * is sent or done; a write that fails means: do neither.
 */
#ifndef NSRD_TERM_H
#define NSRD_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct nsr_term - number of a reign and the box that owns it
 *
 * Compared by number, then by owner: the owner's id keeps two boxes from ever holding one term.
 */
struct nsr_term {
	uint64_t number;	/* 0: no reign yet */
	uint32_t owner;		/* node id */
};

/** struct term_record - what must survive a boot, per group */
struct term_record {
	struct nsr_term term;		/* highest term heard of or claimed */
	struct nsr_term data_term;	/* reign that the data are of */
	uint64_t boots;			/* starts of nsrd, this one included */
	uint8_t was_active;		/* 1: this box was the active last */
	uint8_t peer_unable;		/* 1: and the peer could not take over, by its own word */
};

/* < 0, 0, > 0 as strcmp() */
int nsr_term_cmp(struct nsr_term a, struct nsr_term b);
/* The next reign, owned by node. */
struct nsr_term nsr_term_next(struct nsr_term t, uint32_t owner);

/**
 * term_read() - read a group's record
 * @dir: state directory, such as /var/lib/nsrd
 * @group: group id
 * @rec: filled if 0 is returned; all zero otherwise
 *
 * Return: 0; -ENOENT: no record yet; -EBADMSG: there is one, and it is damaged (wrong size, magic,
 * version or checksum, or of another group): treat as -ENOENT, loudly; or the error of open/read.
 */
int term_read(const char *dir, uint32_t group, struct term_record *rec);

/**
 * term_write() - replace a group's record, durably
 *
 * Temporary file, fsync, rename, fsync of the directory. Creates @dir (one level) if it is missing.
 *
 * Return: 0, or the negative errno of the step that failed; the former record is then still whole.
 */
int term_write(const char *dir, uint32_t group, const struct term_record *rec);

/* Encoded size in bytes, and the coding by itself (for tests and fuzzing). -EBADMSG. */
#define TERM_RECORD_SIZE 64u
void term_encode(uint8_t buf[TERM_RECORD_SIZE], uint32_t group, const struct term_record *rec);
int term_decode(const uint8_t *buf, size_t len, uint32_t group, struct term_record *rec);

#endif /* NSRD_TERM_H */
