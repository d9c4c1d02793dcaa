/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A ring of nodes that are embedded in what they link. The head is a node that belongs to nothing; a
 * node that is on no ring points at itself, so that list_del() twice is harmless.
 */
#ifndef NSRD_LIST_H
#define NSRD_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_head {
	struct list_head *next, *prev;
};

#define LIST_INIT(head)		{ &(head), &(head) }

/* The object whose member `member`, at p, is on the ring. */
#define list_entry(p, type, member)	((type *)((char *)(p) - offsetof(type, member)))

static inline void list_init(struct list_head *head)
{
	head->next = head;
	head->prev = head;
}

static inline bool list_empty(const struct list_head *head)
{
	return head->next == head;
}

/* Puts node between head's last node and head: at the end. */
static inline void list_add_tail(struct list_head *node, struct list_head *head)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

static inline void list_add(struct list_head *node, struct list_head *head)
{
	list_add_tail(node, head->next);
}

static inline void list_del(struct list_head *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* Everything on from goes to the end of to; from is empty afterwards. */
static inline void list_splice_tail(struct list_head *from, struct list_head *to)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#define list_first(head, type, member) \
	(list_empty(head) ? NULL : list_entry((head)->next, type, member))

#define list_for_each(pos, head, member)						\
	for (pos = list_entry((head)->next, __typeof__(*pos), member);			\
	     &pos->member != (head);							\
	     pos = list_entry(pos->member.next, __typeof__(*pos), member))

/* pos may be taken off the ring, and freed, in the body; its successor must not. */
#define list_for_each_safe(pos, tmp, head, member)					\
	for (pos = list_entry((head)->next, __typeof__(*pos), member),			\
	     tmp = list_entry(pos->member.next, __typeof__(*pos), member);		\
	     &pos->member != (head);							\
	     pos = tmp, tmp = list_entry(tmp->member.next, __typeof__(*tmp), member))

#endif
