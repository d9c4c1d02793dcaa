// SPDX-License-Identifier: GPL-2.0-only
/*
 * nsrtool: drives the generic netlink family of tcp_nsr from a shell. Words are "key value" or
 * "key=value"; what it prints are lines of key=value.
 *
 *	info | ns-set [max-conns N] [max-shadows N] [interval MS]
 *	group-set GROUP [dev DEV] [mac MAC] [addr A]... [settle MS] [life MS] [gap-bound MS] [rate N]
 *		[on-death mute|release]
 *	group-del GROUP [flush] | group [GROUP] | flush [GROUP]
 *	role GROUP active|standby [lease MS | until NS] [term N] [owner N] [gen N]
 *	lease GROUP MS [gen N] [keep MS] | mute GROUP [destroy] | freeze GROUP 0|1
 *	ready GROUP [until NS] [gates 0|1] [epoch N]
 *	rule-set GROUP ID [mode naive|adopt|lossless] [gap reset|report] [family 4|6] [laddr A]
 *		[lport P] [raddr A[/N]] [rport P] [dev DEV]
 *	rule-del GROUP ID | rules [GROUP]
 *	conns [GROUP] [--json] | conn FIELD=VALUE... | conn-set FIELD=VALUE... [, FIELD=VALUE...]...
 *	conn-del id=ID [reset]
 *	follow id=ID FILE LOG [lag MS] [step BYTES] [fin]	keeps a connection's gate at the size of FILE
 *	inject GROUP [late] [ctl PATH] [md5 ADDR KEY] [FIELD=VALUE...]	records on stdin if none is given
 *	hold PATH [md5 ADDR KEY] [dev DEV]		ordinary sockets, told by ctl what to do
 *	ctl PATH COMMAND...				to a running inject or hold
 *	monitor [rcvbuf BYTES] [wait FILE]
 *	fuzz SEED COUNT
 *	batch				commands on stdin, one a line
 *
 * Exit status: 0 done, 1 refused, 2 usage.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nsrtool.h"

const char *word_value(int argc, char **argv, int *i, const char *key)
{
	size_t len = strlen(key);

	if (!strncmp(argv[*i], key, len) && argv[*i][len] == '=')
		return argv[*i] + len + 1;
	if (!strcmp(argv[*i], key) && *i + 1 < argc)
		return argv[++*i];
	return NULL;
}

uint64_t parse_number(const char *text, uint64_t max, const char *what)
{
	char *end;
	uint64_t value = strtoull(text, &end, 0);

	if (end == text || *end || (*text != '-' && value > max)) {
		fprintf(stderr, "nsrtool: %s: \"%s\" is not a number up to %" PRIu64 "\n", what, text,
			max);
		exit(2);
	}
	return value;
}

int parse_addr(const char *text, void *addr)
{
	if (inet_pton(AF_INET, text, addr) == 1)
		return 4;
	return inet_pton(AF_INET6, text, addr) == 1 ? 16 : 0;
}

uint64_t boot_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static int on_info(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[TCP_NSR_A_MAX + 1];

	(void)arg;
	nl_attrs(nlh, tb);
	if (!tb[TCP_NSR_A_EVENT_SEQ])
		return MNL_CB_OK;
	printf("schema=%u.%u seq=%" PRIu64 " max_conns=%u max_shadows=%u interval=%u conns=%u shadows=%u\n",
	       mnl_attr_get_u16(tb[TCP_NSR_A_SCHEMA_MAJOR]),
	       mnl_attr_get_u16(tb[TCP_NSR_A_SCHEMA_MINOR]), nl_u64(tb[TCP_NSR_A_EVENT_SEQ]),
	       mnl_attr_get_u32(tb[TCP_NSR_A_MAX_CONNS]),
	       mnl_attr_get_u32(tb[TCP_NSR_A_MAX_SHADOWS]),
	       mnl_attr_get_u32(tb[TCP_NSR_A_CURSOR_INTERVAL_MS]),
	       mnl_attr_get_u32(tb[TCP_NSR_A_NUM_CONNS]),
	       mnl_attr_get_u32(tb[TCP_NSR_A_NUM_SHADOWS]));
	return MNL_CB_OK;
}

static int cmd_info(struct nl *nl, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return nl_do(nl, nl_request(nl, TCP_NSR_CMD_INFO_GET, 0), on_info, NULL, "info");
}

static int cmd_ns_set(struct nl *nl, int argc, char **argv)
{
	static const struct {
		const char *name;
		int attr;
	} words[] = {
		{ "max-conns", TCP_NSR_A_MAX_CONNS },
		{ "max-shadows", TCP_NSR_A_MAX_SHADOWS },
		{ "interval", TCP_NSR_A_CURSOR_INTERVAL_MS },
	};
	struct nlmsghdr *nlh = nl_request(nl, TCP_NSR_CMD_NS_SET, 0);
	const char *value;
	size_t w;
	int i;

	for (i = 0; i < argc; i++)
		for (w = 0; w < ARRAY_SIZE(words); w++)
			if ((value = word_value(argc, argv, &i, words[w].name))) {
				mnl_attr_put_u32(nlh, words[w].attr,
						 parse_number(value, UINT32_MAX, words[w].name));
				break;
			}
	return nl_do(nl, nlh, NULL, NULL, "ns-set");
}

static const struct {
	const char *name;
	int (*run)(struct nl *nl, int argc, char **argv);
} commands[] = {
	{ "info", cmd_info },
	{ "ns-set", cmd_ns_set },
	{ "group-set", group_cmd_set },
	{ "group-del", group_cmd_del },
	{ "group", group_cmd_show },
	{ "flush", group_cmd_flush },
	{ "role", group_cmd_role },
	{ "lease", group_cmd_lease },
	{ "mute", group_cmd_mute },
	{ "freeze", group_cmd_freeze },
	{ "ready", group_cmd_ready },
	{ "rule-set", group_cmd_rule_set },
	{ "rule-del", group_cmd_rule_del },
	{ "rules", group_cmd_rules },
	{ "conns", conn_cmd_list },
	{ "conn", conn_cmd_get },
	{ "conn-set", conn_cmd_set },
	{ "conn-del", conn_cmd_del },
	{ "follow", gate_cmd_follow },
	{ "inject", inject_cmd },
	{ "monitor", conn_cmd_monitor },
	{ "fuzz", fuzz_cmd },
};

static int run(struct nl *nl, int argc, char **argv);

/* Commands on the standard input, one a line, until one is refused. */
static int cmd_batch(struct nl *nl, int argc, char **argv)
{
	char *words[64], *line = NULL, *save, *word;
	size_t size = 0;
	int n, ret = 0;

	(void)argc;
	(void)argv;
	while (!ret && getline(&line, &size, stdin) > 0) {
		n = 0;
		for (word = strtok_r(line, " \n", &save); word && n < 64;
		     word = strtok_r(NULL, " \n", &save))
			words[n++] = word;
		if (n)
			ret = run(nl, n, words);
	}
	free(line);
	return ret;
}

/* -1: no such command */
static int run(struct nl *nl, int argc, char **argv)
{
	size_t i;

	if (!strcmp(argv[0], "batch"))
		return cmd_batch(nl, argc - 1, argv + 1);
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[0], commands[i].name))
			return commands[i].run(nl, argc - 1, argv + 1);
	return -1;
}

int main(int argc, char **argv)
{
	struct nl *nl;
	int ret = -1;

	if (argc > 2 && !strcmp(argv[1], "ctl"))
		return ctl_cmd(NULL, argc - 2, argv + 2);
	if (argc > 2 && !strcmp(argv[1], "hold"))
		return hold_cmd(NULL, argc - 2, argv + 2);
	if (argc > 1) {
		nl = nl_open();
		if (!nl)
			return 1;
		ret = run(nl, argc - 1, argv + 1);
		nl_close(nl);
	}
	if (ret >= 0)
		return ret;
	fprintf(stderr, "usage: nsrtool COMMAND...; the commands stand at the top of nsrtool.c\n");
	return 2;
}
