// SPDX-License-Identifier: GPL-2.0-only
/*
 * nsrtool: groups, roles, leases and rules.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nsrtool.h"

static const char * const stat_names[TCP_NSR_A_STAT_MAX + 1] = {
	[TCP_NSR_A_STAT_CONNS_ADDED] = "conns_added",
	[TCP_NSR_A_STAT_CONNS_CLOSED] = "conns_closed",
	[TCP_NSR_A_STAT_CONNS_REFUSED_CAP] = "conns_refused_cap",
	[TCP_NSR_A_STAT_CONNS_REFUSED_NOMEM] = "conns_refused_nomem",
	[TCP_NSR_A_STAT_CONNS_REFUSED_KIND] = "conns_refused_kind",
	[TCP_NSR_A_STAT_INJECTED] = "injected",
	[TCP_NSR_A_STAT_PROBES] = "probes",
	[TCP_NSR_A_STAT_ADOPTED_DSACK] = "adopted_dsack",
	[TCP_NSR_A_STAT_ADOPTED_TSECR] = "adopted_tsecr",
	[TCP_NSR_A_STAT_ADOPTED_AGE] = "adopted_age",
	[TCP_NSR_A_STAT_ADOPTED_HANDOVER] = "adopted_handover",
	[TCP_NSR_A_STAT_ADOPTED_FIRST] = "adopted_first",
	[TCP_NSR_A_STAT_RESUMED] = "resumed",
	[TCP_NSR_A_STAT_HEALED] = "healed",
	[TCP_NSR_A_STAT_GAPS_RESET] = "gaps_reset",
	[TCP_NSR_A_STAT_GAPS_REPORTED] = "gaps_reported",
	[TCP_NSR_A_STAT_GAP_BYTES] = "gap_bytes",
	[TCP_NSR_A_STAT_UNCERTAIN] = "uncertain",
	[TCP_NSR_A_STAT_BROKEN] = "broken",
	[TCP_NSR_A_STAT_SHADOW_DROPS] = "shadow_drops",
	[TCP_NSR_A_STAT_REJECT_CSUM] = "reject_csum",
	[TCP_NSR_A_STAT_REJECT_ACK] = "reject_ack",
	[TCP_NSR_A_STAT_REJECT_SEQ] = "reject_seq",
	[TCP_NSR_A_STAT_REJECT_TS] = "reject_ts",
	[TCP_NSR_A_STAT_REJECT_NONCE] = "reject_nonce",
	[TCP_NSR_A_STAT_REJECT_FLAGS] = "reject_flags",
	[TCP_NSR_A_STAT_FENCED_FRAMES] = "fenced_frames",
	[TCP_NSR_A_STAT_FENCED_SEGMENTS] = "fenced_segments",
	[TCP_NSR_A_STAT_NO_SOCKET_DROPS] = "no_socket_drops",
	[TCP_NSR_A_STAT_FROZEN_DROPS] = "frozen_drops",
	[TCP_NSR_A_STAT_LEASE_LAPSES] = "lease_lapses",
	[TCP_NSR_A_STAT_ACKS_HELD] = "acks_held",
	[TCP_NSR_A_STAT_ACKS_CLAMPED] = "acks_clamped",
	[TCP_NSR_A_STAT_CONNS_LOST] = "conns_lost",
};

static uint32_t put_group(struct nlmsghdr *nlh, int argc, char **argv)
{
	uint32_t id;

	if (!argc) {
		fprintf(stderr, "nsrtool: the group's id is missing\n");
		exit(2);
	}
	id = parse_number(argv[0], UINT32_MAX, "group");
	mnl_attr_put_u32(nlh, TCP_NSR_A_GROUP_ID, id);
	return id;
}

static void unknown(const char *word)
{
	fprintf(stderr, "nsrtool: unknown word \"%s\"\n", word);
	exit(2);
}

static void put_addr(struct nlmsghdr *nlh, int attr, const char *text)
{
	uint8_t addr[16];
	int len = parse_addr(text, addr);

	if (!len) {
		fprintf(stderr, "nsrtool: \"%s\" is no address\n", text);
		exit(2);
	}
	mnl_attr_put(nlh, attr, len, addr);
}

static void put_device(struct nlmsghdr *nlh, int attr, const char *name)
{
	uint32_t index = if_nametoindex(name);

	mnl_attr_put_u32(nlh, attr, index ? index : parse_number(name, INT32_MAX, "device"));
}

static void put_mac(struct nlmsghdr *nlh, const char *text)
{
	unsigned char mac[6];

	if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3],
		   &mac[4], &mac[5]) != 6) {
		fprintf(stderr, "nsrtool: \"%s\" is no MAC\n", text);
		exit(2);
	}
	mnl_attr_put(nlh, TCP_NSR_A_MAC, sizeof(mac), mac);
}

static bool put_group_number(struct nlmsghdr *nlh, int argc, char **argv, int *i)
{
	static const struct {
		const char *name;
		int attr;
	} numbers[] = {
		{ "settle", TCP_NSR_A_SETTLE_MS },
		{ "life", TCP_NSR_A_SEGMENT_LIFE_MS },
		{ "gap-bound", TCP_NSR_A_GAP_BOUND_MS },
		{ "rate", TCP_NSR_A_PROBE_RATE },
	};
	const char *value;
	size_t n;

	for (n = 0; n < ARRAY_SIZE(numbers); n++) {
		value = word_value(argc, argv, i, numbers[n].name);
		if (!value)
			continue;
		mnl_attr_put_u32(nlh, numbers[n].attr,
				 parse_number(value, UINT32_MAX, numbers[n].name));
		return true;
	}
	return false;
}

int group_cmd_set(struct nl *nl, int argc, char **argv)
{
	struct nlmsghdr *nlh = nl_request(nl, TCP_NSR_CMD_GROUP_SET, 0);
	const char *value, *addrs[256];
	int i, n = 0, k;
	struct nlattr *nest;

	put_group(nlh, argc, argv);
	for (i = 1; i < argc; i++) {
		if ((value = word_value(argc, argv, &i, "dev")))
			put_device(nlh, TCP_NSR_A_IFINDEX, value);
		else if ((value = word_value(argc, argv, &i, "mac")))
			put_mac(nlh, value);
		else if ((value = word_value(argc, argv, &i, "addr")) && n < 256)
			addrs[n++] = value;
		else if ((value = word_value(argc, argv, &i, "on-death")))
			mnl_attr_put_u8(nlh, TCP_NSR_A_ON_DEATH,
					!strcmp(value, "mute") ? TCP_NSR_ON_DEATH_MUTE :
								 TCP_NSR_ON_DEATH_RELEASE);
		else if (!put_group_number(nlh, argc, argv, &i))
			unknown(argv[i]);
	}
	if (n) {
		nest = mnl_attr_nest_start(nlh, TCP_NSR_A_ADDRS);
		for (k = 0; k < n; k++)
			put_addr(nlh, TCP_NSR_A_ADDR, addrs[k]);
		mnl_attr_nest_end(nlh, nest);
	}
	return nl_do(nl, nlh, NULL, NULL, "group-set");
}

int group_cmd_del(struct nl *nl, int argc, char **argv)
{
	struct nlmsghdr *nlh = nl_request(nl, TCP_NSR_CMD_GROUP_DEL, 0);

	put_group(nlh, argc, argv);
	if (argc > 1 && !strcmp(argv[1], "flush"))
		mnl_attr_put(nlh, TCP_NSR_A_FLUSH, 0, NULL);
	return nl_do(nl, nlh, NULL, NULL, "group-del");
}

int group_cmd_flush(struct nl *nl, int argc, char **argv)
{
	struct nlmsghdr *nlh = nl_request(nl, TCP_NSR_CMD_FLUSH, 0);

	if (argc)
		put_group(nlh, argc, argv);
	return nl_do(nl, nlh, NULL, NULL, "flush");
}

static uint32_t u32(const struct nlattr *attr)
{
	return attr ? mnl_attr_get_u32(attr) : 0;
}

static uint8_t u8(const struct nlattr *attr)
{
	return attr ? mnl_attr_get_u8(attr) : 0;
}

static int on_group(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[TCP_NSR_A_MAX + 1], *attr;
	char text[INET6_ADDRSTRLEN];
	bool stats = *(bool *)arg;

	nl_attrs(nlh, tb);
	if (!tb[TCP_NSR_A_GROUP_ID])
		return MNL_CB_OK;
	printf("group=%u ifindex=%u role=%s term=%" PRIu64 " owner=%u lease_until=%" PRIu64
	       " generation=%u ready_until=%" PRIu64 " gates_open=%u epoch=%u frozen=%u settled=%u"
	       " conns=%u shadows=%u refused=%u",
	       u32(tb[TCP_NSR_A_GROUP_ID]), u32(tb[TCP_NSR_A_IFINDEX]),
	       u8(tb[TCP_NSR_A_ROLE]) == TCP_NSR_ROLE_ACTIVE ? "active" : "standby",
	       nl_u64(tb[TCP_NSR_A_TERM]), u32(tb[TCP_NSR_A_TERM_OWNER]),
	       nl_u64(tb[TCP_NSR_A_LEASE_UNTIL]), u32(tb[TCP_NSR_A_GENERATION]),
	       nl_u64(tb[TCP_NSR_A_READY_UNTIL]), u8(tb[TCP_NSR_A_GATES_OPEN]),
	       u32(tb[TCP_NSR_A_EPOCH]), u8(tb[TCP_NSR_A_FROZEN]), u8(tb[TCP_NSR_A_SETTLED]),
	       u32(tb[TCP_NSR_A_NUM_CONNS]), u32(tb[TCP_NSR_A_NUM_SHADOWS]),
	       u32(tb[TCP_NSR_A_NUM_REFUSED]));
	if (tb[TCP_NSR_A_ADDRS])
		mnl_attr_for_each_nested(attr, tb[TCP_NSR_A_ADDRS])
			printf(" addr=%s", inet_ntop(mnl_attr_get_payload_len(attr) == 4 ? AF_INET :
										  AF_INET6,
						     mnl_attr_get_payload(attr), text,
						     sizeof(text)));
	if (stats && tb[TCP_NSR_A_STATS])
		mnl_attr_for_each_nested(attr, tb[TCP_NSR_A_STATS])
			if (mnl_attr_get_type(attr) <= TCP_NSR_A_STAT_MAX &&
			    stat_names[mnl_attr_get_type(attr)])
				printf(" %s=%" PRIu64, stat_names[mnl_attr_get_type(attr)],
				       mnl_attr_get_u64(attr));
	printf("\n");
	return MNL_CB_OK;
}

int group_cmd_show(struct nl *nl, int argc, char **argv)
{
	struct nlmsghdr *nlh = nl_request(nl, TCP_NSR_CMD_GROUP_GET, argc ? 0 : NLM_F_DUMP);
	bool stats = true;

	if (argc)
		put_group(nlh, argc, argv);
	return nl_do(nl, nlh, on_group, &stats, "group");
}

static int on_generation(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[TCP_NSR_A_MAX + 1];

	nl_attrs(nlh, tb);
	if (tb[TCP_NSR_A_GENERATION])
		*(uint32_t *)arg = mnl_attr_get_u32(tb[TCP_NSR_A_GENERATION]);
	return MNL_CB_OK;
}

/* what a request must name, if the user does not */
static uint32_t current_generation(struct nl *nl, uint32_t group)
{
	struct nlmsghdr *nlh = nl_request(nl, TCP_NSR_CMD_GROUP_GET, 0);
	uint32_t generation = 0;

	mnl_attr_put_u32(nlh, TCP_NSR_A_GROUP_ID, group);
	nl_talk(nl, nlh, on_generation, &generation);
	return generation;
}

/* role GROUP active|standby [lease MS | until NS] [term N] [owner N] [gen N] */
int group_cmd_role(struct nl *nl, int argc, char **argv)
{
	uint64_t term = 1, until = 0, lease_ms = 10000;
	uint32_t owner = 1, gen = 0, group;
	struct nlmsghdr *nlh;
	const char *value;
	bool active, has_gen = false;
	int i, ret;

	if (argc < 2)
		return 2;
	group = parse_number(argv[0], UINT32_MAX, "group");
	active = !strcmp(argv[1], "active");
	if (!active && strcmp(argv[1], "standby"))
		unknown(argv[1]);
	for (i = 2; i < argc; i++) {
		if ((value = word_value(argc, argv, &i, "lease")))
			lease_ms = parse_number(value, UINT32_MAX, "lease");
		else if ((value = word_value(argc, argv, &i, "until")))
			until = parse_number(value, UINT64_MAX, "until");
		else if ((value = word_value(argc, argv, &i, "term")))
			term = parse_number(value, UINT64_MAX, "term");
		else if ((value = word_value(argc, argv, &i, "owner")))
			owner = parse_number(value, UINT32_MAX, "owner");
		else if ((value = word_value(argc, argv, &i, "gen"))) {
			gen = parse_number(value, UINT32_MAX, "gen");
			has_gen = true;
		} else
			unknown(argv[i]);
	}
	if (!has_gen)
		gen = current_generation(nl, group);
	nlh = nl_request(nl, TCP_NSR_CMD_ROLE_SET, 0);
	mnl_attr_put_u32(nlh, TCP_NSR_A_GROUP_ID, group);
	mnl_attr_put_u8(nlh, TCP_NSR_A_ROLE, active ? TCP_NSR_ROLE_ACTIVE : TCP_NSR_ROLE_STANDBY);
	mnl_attr_put_u64(nlh, TCP_NSR_A_TERM, term);
	mnl_attr_put_u32(nlh, TCP_NSR_A_TERM_OWNER, owner);
	mnl_attr_put_u32(nlh, TCP_NSR_A_GENERATION, gen);
	if (active)
		mnl_attr_put_u64(nlh, TCP_NSR_A_LEASE_UNTIL,
				 until ? until : boot_ns() + lease_ms * 1000000);
	ret = nl_do(nl, nlh, on_generation, &gen, "role");
	if (!ret)
		printf("generation=%u\n", gen);
	return ret;
}

/* lease GROUP MS [gen N] [keep MS]: keep renews until it is refused, or killed */
int group_cmd_lease(struct nl *nl, int argc, char **argv)
{
	uint32_t group, gen = 0;
	uint64_t ms, keep = 0;
	struct nlmsghdr *nlh;
	const char *value;
	int i, ret;

	if (argc < 2)
		return 2;
	group = parse_number(argv[0], UINT32_MAX, "group");
	ms = parse_number(argv[1], UINT32_MAX, "lease");
	gen = current_generation(nl, group);
	for (i = 2; i < argc; i++) {
		if ((value = word_value(argc, argv, &i, "gen")))
			gen = parse_number(value, UINT32_MAX, "gen");
		else if ((value = word_value(argc, argv, &i, "keep")))
			keep = parse_number(value, INT32_MAX, "keep");
		else
			unknown(argv[i]);
	}
	do {
		nlh = nl_request(nl, TCP_NSR_CMD_LEASE_SET, 0);
		mnl_attr_put_u32(nlh, TCP_NSR_A_GROUP_ID, group);
		mnl_attr_put_u64(nlh, TCP_NSR_A_LEASE_UNTIL, boot_ns() + ms * 1000000);
		mnl_attr_put_u32(nlh, TCP_NSR_A_GENERATION, gen);
		ret = nl_do(nl, nlh, NULL, NULL, "lease");
	} while (keep && !ret && poll(NULL, 0, keep) == 0);
	return ret;
}

int group_cmd_mute(struct nl *nl, int argc, char **argv)
{
	struct nlmsghdr *nlh = nl_request(nl, TCP_NSR_CMD_MUTE, 0);
	uint32_t gen = 0;
	int ret;

	put_group(nlh, argc, argv);
	if (argc > 1 && !strcmp(argv[1], "destroy"))
		mnl_attr_put(nlh, TCP_NSR_A_DESTROY, 0, NULL);
	ret = nl_do(nl, nlh, on_generation, &gen, "mute");
	if (!ret)
		printf("generation=%u\n", gen);
	return ret;
}

int group_cmd_ready(struct nl *nl, int argc, char **argv)
{
	struct nlmsghdr *nlh = nl_request(nl, TCP_NSR_CMD_READY_SET, 0);
	const char *value;
	int i;

	put_group(nlh, argc, argv);
	for (i = 1; i < argc; i++) {
		if ((value = word_value(argc, argv, &i, "until")))
			mnl_attr_put_u64(nlh, TCP_NSR_A_READY_UNTIL,
					 parse_number(value, UINT64_MAX, "until"));
		else if ((value = word_value(argc, argv, &i, "gates")))
			mnl_attr_put_u8(nlh, TCP_NSR_A_GATES_OPEN,
					parse_number(value, 255, "gates"));
		else if ((value = word_value(argc, argv, &i, "epoch")))
			mnl_attr_put_u32(nlh, TCP_NSR_A_EPOCH,
					 parse_number(value, UINT32_MAX, "epoch"));
		else
			unknown(argv[i]);
	}
	return nl_do(nl, nlh, NULL, NULL, "ready");
}

int group_cmd_freeze(struct nl *nl, int argc, char **argv)
{
	struct nlmsghdr *nlh = nl_request(nl, TCP_NSR_CMD_FREEZE, 0);

	put_group(nlh, argc, argv);
	if (argc > 1)
		mnl_attr_put_u8(nlh, TCP_NSR_A_FROZEN, parse_number(argv[1], 255, "frozen"));
	return nl_do(nl, nlh, NULL, NULL, "freeze");
}

static void put_prefix(struct nlmsghdr *nlh, const char *value)
{
	char text[128], *slash;

	snprintf(text, sizeof(text), "%s", value);
	slash = strchr(text, '/');
	if (slash) {
		*slash++ = '\0';
		mnl_attr_put_u8(nlh, TCP_NSR_A_RULE_RADDR_LEN, parse_number(slash, 255, "prefix"));
	}
	put_addr(nlh, TCP_NSR_A_RULE_RADDR, text);
}

/* rule-set GROUP ID [mode M] [gap G] [family 4|6] [laddr A] [lport P] [raddr A[/N]] [rport P] [dev D] */
int group_cmd_rule_set(struct nl *nl, int argc, char **argv)
{
	static const char * const modes[] = { "naive", "adopt", "lossless" };
	struct nlmsghdr *nlh = nl_request(nl, TCP_NSR_CMD_RULE_SET, 0);
	uint8_t mode = TCP_NSR_MODE_ADOPT, m;
	struct nlattr *nest;
	const char *value;
	int i;

	if (argc < 2)
		return 2;
	put_group(nlh, argc, argv);
	nest = mnl_attr_nest_start(nlh, TCP_NSR_A_RULE);
	mnl_attr_put_u32(nlh, TCP_NSR_A_RULE_ID, parse_number(argv[1], UINT32_MAX, "rule"));
	for (i = 2; i < argc; i++) {
		if ((value = word_value(argc, argv, &i, "mode"))) {
			for (m = 0; m < 3 && strcmp(value, modes[m]); m++)
				;
			mode = m;
		} else if ((value = word_value(argc, argv, &i, "gap")))
			mnl_attr_put_u8(nlh, TCP_NSR_A_RULE_GAP,
					!strcmp(value, "report") ? TCP_NSR_GAP_REPORT :
								   TCP_NSR_GAP_RESET);
		else if ((value = word_value(argc, argv, &i, "family")))
			mnl_attr_put_u8(nlh, TCP_NSR_A_RULE_FAMILY,
					!strcmp(value, "6") ? AF_INET6 :
					!strcmp(value, "4") ? AF_INET : 255);
		else if ((value = word_value(argc, argv, &i, "laddr")))
			put_addr(nlh, TCP_NSR_A_RULE_LADDR, value);
		else if ((value = word_value(argc, argv, &i, "lport")))
			mnl_attr_put_u16(nlh, TCP_NSR_A_RULE_LPORT,
					 htons(parse_number(value, UINT16_MAX, "lport")));
		else if ((value = word_value(argc, argv, &i, "raddr")))
			put_prefix(nlh, value);
		else if ((value = word_value(argc, argv, &i, "rport")))
			mnl_attr_put_u16(nlh, TCP_NSR_A_RULE_RPORT,
					 htons(parse_number(value, UINT16_MAX, "rport")));
		else if ((value = word_value(argc, argv, &i, "dev")))
			put_device(nlh, TCP_NSR_A_RULE_IFINDEX, value);
		else
			unknown(argv[i]);
	}
	mnl_attr_put_u8(nlh, TCP_NSR_A_RULE_MODE, mode);
	mnl_attr_nest_end(nlh, nest);
	return nl_do(nl, nlh, NULL, NULL, "rule-set");
}

int group_cmd_rule_del(struct nl *nl, int argc, char **argv)
{
	struct nlmsghdr *nlh = nl_request(nl, TCP_NSR_CMD_RULE_DEL, 0);

	put_group(nlh, argc, argv);
	if (argc > 1) {		/* "-": a rule without an ID */
		struct nlattr *nest = mnl_attr_nest_start(nlh, TCP_NSR_A_RULE);

		if (strcmp(argv[1], "-"))
			mnl_attr_put_u32(nlh, TCP_NSR_A_RULE_ID, parse_number(argv[1], UINT32_MAX, "rule"));
		mnl_attr_nest_end(nlh, nest);
	}
	return nl_do(nl, nlh, NULL, NULL, "rule-del");
}

static int on_rule(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[TCP_NSR_A_MAX + 1], *attr;
	char text[INET6_ADDRSTRLEN];

	(void)arg;
	nl_attrs(nlh, tb);
	if (!tb[TCP_NSR_A_RULE])
		return MNL_CB_OK;
	printf("group=%u", u32(tb[TCP_NSR_A_GROUP_ID]));
	mnl_attr_for_each_nested(attr, tb[TCP_NSR_A_RULE]) {
		switch (mnl_attr_get_type(attr)) {
		case TCP_NSR_A_RULE_ID:
			printf(" rule=%u", mnl_attr_get_u32(attr));
			break;
		case TCP_NSR_A_RULE_MODE:
			printf(" mode=%u", mnl_attr_get_u8(attr));
			break;
		case TCP_NSR_A_RULE_GAP:
			printf(" gap=%u", mnl_attr_get_u8(attr));
			break;
		case TCP_NSR_A_RULE_LADDR:
		case TCP_NSR_A_RULE_RADDR:
			printf(" %s=%s",
			       mnl_attr_get_type(attr) == TCP_NSR_A_RULE_LADDR ? "laddr" : "raddr",
			       inet_ntop(mnl_attr_get_payload_len(attr) == 4 ? AF_INET : AF_INET6,
					 mnl_attr_get_payload(attr), text, sizeof(text)));
			break;
		case TCP_NSR_A_RULE_RADDR_LEN:
			printf("/%u", mnl_attr_get_u8(attr));
			break;
		case TCP_NSR_A_RULE_LPORT:
			printf(" lport=%u", ntohs(mnl_attr_get_u16(attr)));
			break;
		case TCP_NSR_A_RULE_RPORT:
			printf(" rport=%u", ntohs(mnl_attr_get_u16(attr)));
			break;
		}
	}
	printf("\n");
	return MNL_CB_OK;
}

int group_cmd_rules(struct nl *nl, int argc, char **argv)
{
	struct nlmsghdr *nlh = nl_request(nl, TCP_NSR_CMD_RULE_GET, NLM_F_DUMP);

	if (argc)
		put_group(nlh, argc, argv);
	return nl_do(nl, nlh, on_rule, NULL, "rules");
}
