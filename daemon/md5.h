/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keys of TCP MD5 signatures (RFC 2385). Each box has them in its own configuration: they never travel over
 * the link, and no log, event or show has them.
 */
#ifndef NSRD_MD5_H
#define NSRD_MD5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cfg_group;
struct cfg_md5;
struct nsr_store_conn;

#define MD5_MISSING	"it is signed (MD5), and no md5 section of the group has a key for its far end"

/* The key of the longest matching prefix for the far end's address, or NULL. */
const struct cfg_md5 *md5_find(const struct cfg_group *g, uint8_t family, const uint8_t raddr[16]);
/* The connection is signed, and this box has no key for it. */
bool md5_lacks_key(const struct cfg_group *g, const struct nsr_store_conn *c);
/* Gives a fresh socket the key of a signed connection. 0, or -ENOKEY (MD5_MISSING), or another errno. */
int md5_set(const struct cfg_group *g, const struct nsr_store_conn *c, int fd);

/**
 * md5_read_key - the key that a section names
 * @key: the key itself, or NULL
 * @file: file whose first line it is, or NULL
 * @out: set
 * @text, @size: what is wrong, without the place
 *
 * Return: 0 or a negative errno.
 */
int md5_read_key(const char *key, const char *file, struct cfg_md5 *out, char *text, size_t size);
/* Overwrites and frees. */
void md5_free(struct cfg_md5 *keys, size_t n);

#endif
