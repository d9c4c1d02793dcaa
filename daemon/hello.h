/* SPDX-License-Identifier: GPL-2.0-only */
/* hello: the first frame of each side of the sync link. Pure. */
#ifndef NSRD_HELLO_H
#define NSRD_HELLO_H

#include <stdbool.h>
#include "attr.h"
#include "nsrd.h"

#define HELLO_GROUPS_MAX	256

struct hello_group {
	uint32_t id;
	char name[NSR_APP_NAME_MAX + 1];
};

/** struct hello - who is at the other end; all zero is an empty one */
struct hello {
	uint16_t major, minor;
	uint32_t byte_order, node;
	uint64_t boot, instance;
	struct hello_group *groups;
	size_t nr_groups;
};

void hello_encode(struct attr_buf *b, const struct nsrd *n);
/* -EBADMSG, -ENOMEM, with the words in why[]; h is to be freed in any case. */
int hello_decode(const void *attrs, size_t len, struct hello *h, char *why, size_t size);
/* May it be our peer? -EPROTO, with what does not fit, and the remedy. */
int hello_check(const struct hello *h, const struct nsrd *n, char *why, size_t size);
bool hello_has_group(const struct hello *h, uint32_t group);
void hello_free(struct hello *h);

#endif
