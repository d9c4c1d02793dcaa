// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "rib.h"

static size_t slot(const struct rib *rib, const struct prefix *p)
{
	uint32_t h = 2166136261u ^ p->plen;
	unsigned int i;

	for (i = 0; i < 16; i++)
		h = (h ^ p->b[i]) * 16777619u;
	h ^= h >> 15;
	return h & (rib->size - 1);
}

static bool grow(struct rib *rib)
{
	size_t size = rib->size ? rib->size * 2 : 64;
	struct route **bucket = calloc(size, sizeof(struct route *)), *r;

	if (!bucket)
		return false;
	free(rib->bucket);
	rib->bucket = bucket;
	rib->size = size;
	for (r = rib->first; r; r = r->next) {
		size_t i = slot(rib, &r->prefix);

		r->hash_next = bucket[i];
		bucket[i] = r;
	}
	return true;
}

struct route *rib_find(const struct rib *rib, const struct prefix *p)
{
	struct route *r = rib->size ? rib->bucket[slot(rib, p)] : NULL;

	while (r && prefix_cmp(&r->prefix, p))
		r = r->hash_next;
	return r;
}

int rib_set(struct rib *rib, const struct prefix *p, struct attrs *attrs)
{
	struct route *r = rib_find(rib, p);
	size_t i;

	if (r) {
		attrs_put(r->attrs);
		r->attrs = attrs;
		r->seen = true;
		return 0;
	}
	r = calloc(1, sizeof(*r));
	if (!r || (rib->count >= rib->size && !grow(rib) && !rib->size)) {
		free(r);
		attrs_put(attrs);
		return -ENOMEM;
	}
	r->prefix = *p;
	r->attrs = attrs;
	r->seen = true;
	i = slot(rib, p);
	r->hash_next = rib->bucket[i];
	rib->bucket[i] = r;
	r->prev = rib->last;
	*(rib->last ? &rib->last->next : &rib->first) = r;
	rib->last = r;
	rib->count++;
	return 1;
}

static void drop(struct rib *rib, struct route *r)
{
	struct route **at = &rib->bucket[slot(rib, &r->prefix)];
	struct rib_iter *it;

	for (it = rib->iters; it; it = it->link)
		if (it->at == r)
			it->at = r->next;
	while (*at != r)
		at = &(*at)->hash_next;
	*at = r->hash_next;
	*(r->prev ? &r->prev->next : &rib->first) = r->next;
	*(r->next ? &r->next->prev : &rib->last) = r->prev;
	rib->count--;
	attrs_put(r->attrs);
	free(r);
}

bool rib_del(struct rib *rib, const struct prefix *p)
{
	struct route *r = rib_find(rib, p);

	if (r)
		drop(rib, r);
	return r != NULL;
}

void rib_clear(struct rib *rib)
{
	while (rib->first)
		drop(rib, rib->first);
	free(rib->bucket);
	rib->bucket = NULL;
	rib->size = 0;
}

void rib_unmark(struct rib *rib)
{
	struct route *r;

	for (r = rib->first; r; r = r->next)
		r->seen = false;
}

void rib_sweep(struct rib *rib)
{
	struct route *r, *next;

	for (r = rib->first; r; r = next) {
		next = r->next;
		if (!r->seen)
			drop(rib, r);
	}
}

void rib_start(struct rib *rib, struct rib_iter *it)
{
	rib_stop(rib, it);
	it->at = rib->first;
	it->link = rib->iters;
	rib->iters = it;
}

struct route *rib_next(struct rib *rib, struct rib_iter *it)
{
	struct route *r = it->at;

	if (r)
		it->at = r->next;
	else
		rib_stop(rib, it);
	return r;
}

void rib_stop(struct rib *rib, struct rib_iter *it)
{
	struct rib_iter **at;

	for (at = &rib->iters; *at; at = &(*at)->link) {
		if (*at == it) {
			*at = it->link;
			break;
		}
	}
	it->at = NULL;
}

static int by_prefix(const void *a, const void *b)
{
	return prefix_cmp(&(*(struct route *const *)a)->prefix, &(*(struct route *const *)b)->prefix);
}

struct route **rib_sorted(const struct rib *rib)
{
	struct route **all = rib->count ? calloc(rib->count, sizeof(struct route *)) : NULL, *r;
	size_t n = 0;

	if (!all)
		return NULL;
	for (r = rib->first; r; r = r->next)
		all[n++] = r;
	qsort(all, n, sizeof(all[0]), by_prefix);
	return all;
}
