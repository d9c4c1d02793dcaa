/* SPDX-License-Identifier: GPL-2.0-only */
/* genl: one generic netlink socket: blocking requests and dumps, with the kernel's own words on refusal. */
#ifndef NSRD_GENL_H
#define NSRD_GENL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <libmnl/libmnl.h>

#define GENL_TEXT_MAX	320	/* bytes of the kernel's words that are kept */
#define GENL_MSG_MAX	32768	/* bytes of one request */

/** struct genl - @text: why the last request was refused */
struct genl {
	struct mnl_socket *nl;
	uint32_t seq, portid;
	uint16_t family;	/* nlmsg_type of our family; 0: not resolved */
	bool unknown;		/* the last request was refused with ENOENT and without a word */
	char text[GENL_TEXT_MAX];
	uint8_t buf[GENL_MSG_MAX] __attribute__((aligned(8)));	/* request under construction */
	uint8_t rcv[65536] __attribute__((aligned(8)));
};

/* what genl_resolve() finds out */
struct genl_family {
	uint16_t id;
	uint32_t mcgrp;		/* 0: no such group */
};

int genl_open(struct genl *g);
void genl_close(struct genl *g);
int genl_resolve(struct genl *g, const char *family, const char *mcgrp, struct genl_family *out);

/* Begins a request in g->buf. */
struct nlmsghdr *genl_request(struct genl *g, uint8_t cmd, uint8_t version, uint16_t flags);

/**
 * genl_talk - send a request, wait for its answer
 * @each: called for each message of the answer (may be NULL); its result < 0 ends the whole with it
 * @interrupted: set if the kernel says that a dump was not of one state (may be NULL)
 *
 * Return: 0, or the negative errno of the refusal, with g->text filled.
 */
int genl_talk(struct genl *g, struct nlmsghdr *nlh, int (*each)(const struct nlmsghdr *, void *), void *data,
	      bool *interrupted);

/*
 * Fills tb[0 … max] with the attributes of a message behind its genlmsghdr; later ones of a kind win.
 * False: the message is malformed.
 */
bool genl_parse(const struct nlmsghdr *nlh, const struct nlattr **tb, unsigned int max);
/* likewise, of @len bytes of attributes, or of a nested one */
bool genl_parse_attrs(const void *attrs, size_t len, const struct nlattr **tb, unsigned int max);
bool genl_parse_nested(const struct nlattr *nest, const struct nlattr **tb, unsigned int max);

/* bounded reads: 0 if the attribute is absent or too short */
uint64_t genl_u64(const struct nlattr *a);
uint32_t genl_u32(const struct nlattr *a);
uint16_t genl_u16(const struct nlattr *a);
uint8_t genl_u8(const struct nlattr *a);

#endif
