/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nsrtool: drives the generic netlink family of tcp_nsr from a shell.
 */
#ifndef NSRTOOL_H
#define NSRTOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <libmnl/libmnl.h>

#include "tcp_nsr.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* ---- nsrtool_nl.c: the socket ---- */

struct nl {
	struct mnl_socket *sock;
	uint32_t portid, seq;
	uint16_t family;
	uint32_t mcgrp;
	bool intr;			/* the last dump was interrupted by a change */
	char *extack;			/* what the kernel said with the last error, or NULL */
};

struct nl *nl_open(void);
void nl_close(struct nl *nl);
/* a request in a static buffer: one at a time */
struct nlmsghdr *nl_request(struct nl *nl, uint8_t cmd, uint16_t flags);
/* 0 or -errno; cb for each message of the answer */
int nl_talk(struct nl *nl, struct nlmsghdr *nlh, mnl_cb_t cb, void *arg);
/* the same, and says what went wrong on stderr */
int nl_do(struct nl *nl, struct nlmsghdr *nlh, mnl_cb_t cb, void *arg, const char *what);
void nl_attrs(const struct nlmsghdr *nlh, const struct nlattr **tb);
uint64_t nl_u64(const struct nlattr *attr);

/* ---- nsrtool_conn.c: connection records as words key=value ---- */

/* puts one TCP_NSR_A_CONN; -1 and a message if a word is none */
int conn_put_words(struct nlmsghdr *nlh, char **words, int n);
void conn_print(const struct nlattr *conn, bool json);
int conn_cmd_list(struct nl *nl, int argc, char **argv);
int conn_cmd_get(struct nl *nl, int argc, char **argv);
int conn_cmd_set(struct nl *nl, int argc, char **argv);
int conn_cmd_del(struct nl *nl, int argc, char **argv);
int conn_cmd_monitor(struct nl *nl, int argc, char **argv);

/* ---- nsrtool_group.c ---- */

int group_cmd_set(struct nl *nl, int argc, char **argv);
int group_cmd_del(struct nl *nl, int argc, char **argv);
int group_cmd_show(struct nl *nl, int argc, char **argv);
int group_cmd_role(struct nl *nl, int argc, char **argv);
int group_cmd_lease(struct nl *nl, int argc, char **argv);
int group_cmd_mute(struct nl *nl, int argc, char **argv);
int group_cmd_ready(struct nl *nl, int argc, char **argv);
int group_cmd_freeze(struct nl *nl, int argc, char **argv);
int group_cmd_rule_set(struct nl *nl, int argc, char **argv);
int group_cmd_rule_del(struct nl *nl, int argc, char **argv);
int group_cmd_rules(struct nl *nl, int argc, char **argv);
int group_cmd_flush(struct nl *nl, int argc, char **argv);

/* ---- nsrtool_gate.c ---- */

int gate_cmd_follow(struct nl *nl, int argc, char **argv);

/* ---- nsrtool_inject.c, nsrtool_fuzz.c ---- */

int inject_cmd(struct nl *nl, int argc, char **argv);
int hold_cmd(struct nl *nl, int argc, char **argv);
int ctl_cmd(struct nl *nl, int argc, char **argv);
int fuzz_cmd(struct nl *nl, int argc, char **argv);

/* ---- words ---- */

/* the value of word "key=value" or "key value" at argv[*i], else NULL; moves *i on */
const char *word_value(int argc, char **argv, int *i, const char *key);
uint64_t parse_number(const char *text, uint64_t max, const char *what);
/* bytes of an address: 4 or 16; 0 if it is none */
int parse_addr(const char *text, void *addr);
uint64_t boot_ns(void);

/* ---- nsrtool_pump.c: moves bytes between a socket and a file, in a process of its own ---- */

void pump_start(FILE *out, int sock, bool out_of_file, const char *args);

/* socket options: in a record, and of a held socket */
int opts_put(struct nlmsghdr *nlh, const char *text);
void opts_print(const struct nlattr *opts);
void opts_command(FILE *out, int fd, const char *args);

#endif
