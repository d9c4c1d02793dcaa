/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* list: doubly linked ring through a member; a node on no ring points at itself. */
#ifndef NSR_LIST_H
#define NSR_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define list_of(node, type, member)	((type *)((char *)(node) - offsetof(type, member)))
/* Safe against removal of the current node, and of nothing else. */
#define list_for_each(i, n, head) \
	for ((i) = (head)->next, (n) = (i)->next; (i) != (head); (i) = (n), (n) = (i)->next)

static inline void list_init(struct list *l)
{
	l->next = l;
	l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_add_tail(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

/* Twice is harmless. */
static inline void list_del(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#endif /* NSR_LIST_H */
