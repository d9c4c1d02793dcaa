// SPDX-License-Identifier: GPL-2.0-only
/*
 * nsrtool: connection records. A record is a line of words key=value, the same when it is printed and
 * when it is read: "nsrtool conns" on one box is what "nsrtool inject" takes on the other.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/genetlink.h>

#include "nsrtool.h"

enum type { U8, U16, PORT, U32, U64, S64, HEX64, ADDR, OPTS, TEXT };

static const struct field {
	const char *name;
	int attr;
	enum type type;
} fields[] = {
	{ "id", TCP_NSR_A_CONN_ID, HEX64 },
	{ "rule", TCP_NSR_A_CONN_RULE_ID, U32 },
	{ "family", TCP_NSR_A_CONN_FAMILY, U8 },
	{ "laddr", TCP_NSR_A_CONN_LADDR, ADDR },
	{ "raddr", TCP_NSR_A_CONN_RADDR, ADDR },
	{ "lport", TCP_NSR_A_CONN_LPORT, PORT },
	{ "rport", TCP_NSR_A_CONN_RPORT, PORT },
	{ "flags", TCP_NSR_A_CONN_FLAGS, U32 },
	{ "state", TCP_NSR_A_CONN_STATE, U8 },
	{ "mode", TCP_NSR_A_CONN_MODE, U8 },
	{ "gap", TCP_NSR_A_CONN_GAP, U8 },
	{ "cookie", TCP_NSR_A_CONN_COOKIE, U64 },
	{ "iss", TCP_NSR_A_CONN_ISS, U32 },
	{ "irs", TCP_NSR_A_CONN_IRS, U32 },
	{ "snd_wscale", TCP_NSR_A_CONN_SND_WSCALE, U8 },
	{ "rcv_wscale", TCP_NSR_A_CONN_RCV_WSCALE, U8 },
	{ "mss_clamp", TCP_NSR_A_CONN_MSS_CLAMP, U16 },
	{ "advmss", TCP_NSR_A_CONN_ADVMSS, U16 },
	{ "rcv_nxt", TCP_NSR_A_CONN_RCV_NXT, U64 },
	{ "rcv_wup", TCP_NSR_A_CONN_RCV_WUP, U64 },
	{ "copied_seq", TCP_NSR_A_CONN_COPIED_SEQ, U64 },
	{ "right_edge", TCP_NSR_A_CONN_RIGHT_EDGE, U64 },
	{ "snd_una", TCP_NSR_A_CONN_SND_UNA, U64 },
	{ "snd_nxt", TCP_NSR_A_CONN_SND_NXT, U64 },
	{ "write_seq", TCP_NSR_A_CONN_WRITE_SEQ, U64 },
	{ "snd_wnd", TCP_NSR_A_CONN_SND_WND, U32 },
	{ "tsval", TCP_NSR_A_CONN_TSVAL, U32 },
	{ "ts_recent", TCP_NSR_A_CONN_TS_RECENT, U32 },
	{ "sndbuf", TCP_NSR_A_CONN_SNDBUF, U32 },
	{ "rcvbuf", TCP_NSR_A_CONN_RCVBUF, U32 },
	{ "pmtu", TCP_NSR_A_CONN_PMTU, U32 },
	{ "rcv_vouched", TCP_NSR_A_CONN_RCV_VOUCHED, U64 },
	{ "snd_vouched", TCP_NSR_A_CONN_SND_VOUCHED, U64 },
	{ "phase", TCP_NSR_A_CONN_PHASE, U8 },
	{ "adopted_by", TCP_NSR_A_CONN_ADOPTED_BY, U8 },
	{ "cause", TCP_NSR_A_CONN_CLOSE_CAUSE, U8 },
	{ "rcv_missing", TCP_NSR_A_CONN_RCV_MISSING, U64 },
	{ "snd_missing", TCP_NSR_A_CONN_SND_MISSING, S64 },
	{ "rcv_uncertain", TCP_NSR_A_CONN_RCV_UNCERTAIN, U64 },
	{ "snd_uncertain", TCP_NSR_A_CONN_SND_UNCERTAIN, U8 },
	{ "gate", TCP_NSR_A_CONN_GATE, U64 },
	{ "gate_open", TCP_NSR_A_CONN_GATE_OPEN, U8 },
	{ "opts", TCP_NSR_A_CONN_OPTS, OPTS },
	{ "dev", TCP_NSR_A_CONN_DEV_NAME, TEXT },
	{ "dev_role", TCP_NSR_A_CONN_DEV_ROLE, U8 },
	{ "refused", TCP_NSR_A_CONN_REFUSED, U8 },
};

static int put_word(struct nlmsghdr *nlh, const struct field *f, const char *value)
{
	uint8_t addr[16];
	int len;

	switch (f->type) {
	case U8:
		mnl_attr_put_u8(nlh, f->attr, parse_number(value, UINT8_MAX, f->name));
		break;
	case U16:
		mnl_attr_put_u16(nlh, f->attr, parse_number(value, UINT16_MAX, f->name));
		break;
	case PORT:
		mnl_attr_put_u16(nlh, f->attr, htons(parse_number(value, UINT16_MAX, f->name)));
		break;
	case U32:
		mnl_attr_put_u32(nlh, f->attr, parse_number(value, UINT32_MAX, f->name));
		break;
	case HEX64:
		mnl_attr_put_u64(nlh, f->attr, strtoull(value, NULL, 16));
		break;
	case U64:
	case S64:
		mnl_attr_put_u64(nlh, f->attr, parse_number(value, UINT64_MAX, f->name));
		break;
	case ADDR:
		len = parse_addr(value, addr);
		if (!len) {
			fprintf(stderr, "nsrtool: %s: \"%s\" is no address\n", f->name, value);
			return -1;
		}
		mnl_attr_put(nlh, f->attr, len, addr);
		break;
	case OPTS:
		return opts_put(nlh, value);
	case TEXT:
		mnl_attr_put_strz(nlh, f->attr, value);
		break;
	}
	return 0;
}

int conn_put_words(struct nlmsghdr *nlh, char **words, int n)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, TCP_NSR_A_CONN);
	size_t i;
	int w;

	for (w = 0; w < n; w++) {
		const char *eq = strchr(words[w], '=');
		const struct field *f = NULL;

		for (i = 0; eq && i < ARRAY_SIZE(fields); i++)
			if (strlen(fields[i].name) == (size_t)(eq - words[w]) &&
			    !strncmp(fields[i].name, words[w], eq - words[w]))
				f = &fields[i];
		/* a line of "conns" names its group and event too */
		if (!f && eq && (!strncmp(words[w], "group=", 6) || !strncmp(words[w], "seq=", 4)))
			continue;
		if (!f) {
			fprintf(stderr, "nsrtool: \"%s\": expected FIELD=VALUE\n", words[w]);
			return -1;
		}
		if (put_word(nlh, f, eq + 1))
			return -1;
	}
	mnl_attr_nest_end(nlh, nest);
	return 0;
}

static void print_field(const struct field *f, const struct nlattr *attr, bool json)
{
	const char *quote = json && (f->type == ADDR || f->type == HEX64 || f->type == OPTS ||
				     f->type == TEXT) ? "\"" : "";
	char text[INET6_ADDRSTRLEN] = "?";

	printf(json ? ", \"%s\": %s" : " %s=%s", f->name, quote);
	switch (f->type) {
	case U8:
		printf("%u", mnl_attr_get_u8(attr));
		break;
	case U16:
		printf("%u", mnl_attr_get_u16(attr));
		break;
	case PORT:
		printf("%u", ntohs(mnl_attr_get_u16(attr)));
		break;
	case U32:
		printf("%u", mnl_attr_get_u32(attr));
		break;
	case HEX64:
		printf("%016" PRIx64, mnl_attr_get_u64(attr));
		break;
	case U64:
		printf("%" PRIu64, mnl_attr_get_u64(attr));
		break;
	case S64:
		printf("%" PRId64, (int64_t)mnl_attr_get_u64(attr));
		break;
	case ADDR:
		inet_ntop(mnl_attr_get_payload_len(attr) == 4 ? AF_INET : AF_INET6,
			  mnl_attr_get_payload(attr), text, sizeof(text));
		printf("%s", text);
		break;
	case OPTS:
		opts_print(attr);
		break;
	case TEXT:
		printf("%s", mnl_attr_get_str(attr));
		break;
	}
	printf("%s", quote);
}

void conn_print(const struct nlattr *conn, bool json)
{
	const struct nlattr *attr, *tb[TCP_NSR_A_CONN_MAX + 1] = {};
	size_t i;

	mnl_attr_for_each_nested(attr, conn)
		if (mnl_attr_get_type(attr) <= TCP_NSR_A_CONN_MAX)
			tb[mnl_attr_get_type(attr)] = attr;
	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (tb[fields[i].attr])
			print_field(&fields[i], tb[fields[i].attr], json);
}

struct listing {
	bool json;
	unsigned int n;
};

static int on_conn(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[TCP_NSR_A_MAX + 1];
	struct listing *list = arg;

	nl_attrs(nlh, tb);
	if (!tb[TCP_NSR_A_CONN])
		return MNL_CB_OK;
	if (list->json)
		printf("%s\n{\"group\": %u, \"seq\": %" PRIu64, list->n ? "," : "",
		       mnl_attr_get_u32(tb[TCP_NSR_A_GROUP_ID]), nl_u64(tb[TCP_NSR_A_EVENT_SEQ]));
	else
		printf("group=%u seq=%" PRIu64, mnl_attr_get_u32(tb[TCP_NSR_A_GROUP_ID]),
		       nl_u64(tb[TCP_NSR_A_EVENT_SEQ]));
	conn_print(tb[TCP_NSR_A_CONN], list->json);
	printf(list->json ? "}" : "\n");
	list->n++;
	return MNL_CB_OK;
}

int conn_cmd_list(struct nl *nl, int argc, char **argv)
{
	struct nlmsghdr *nlh = nl_request(nl, TCP_NSR_CMD_CONN_GET, NLM_F_DUMP);
	struct listing list = {};
	int i, ret;

	for (i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			list.json = true;
		else
			mnl_attr_put_u32(nlh, TCP_NSR_A_GROUP_ID,
					 parse_number(argv[i], UINT32_MAX, "group"));
	}
	if (list.json)
		printf("[");
	ret = nl_do(nl, nlh, on_conn, &list, "conns");
	if (list.json)
		printf("\n]\n");
	if (nl->intr)
		fprintf(stderr, "nsrtool: conns: interrupted by a change\n");
	return ret;
}

int conn_cmd_get(struct nl *nl, int argc, char **argv)
{
	struct nlmsghdr *nlh = nl_request(nl, TCP_NSR_CMD_CONN_GET, 0);
	struct listing list = {};

	if (conn_put_words(nlh, argv, argc))
		return 2;
	return nl_do(nl, nlh, on_conn, &list, "conn");
}

/* several records may be given, separated by a word "," */
int conn_cmd_set(struct nl *nl, int argc, char **argv)
{
	struct nlmsghdr *nlh = nl_request(nl, TCP_NSR_CMD_CONN_SET, 0);
	int from = 0, i;

	for (i = 0; i <= argc; i++) {
		if (i < argc && strcmp(argv[i], ","))
			continue;
		if (conn_put_words(nlh, argv + from, i - from))
			return 2;
		from = i + 1;
	}
	return nl_do(nl, nlh, NULL, NULL, "conn-set");
}

int conn_cmd_del(struct nl *nl, int argc, char **argv)
{
	struct nlmsghdr *nlh = nl_request(nl, TCP_NSR_CMD_CONN_DEL, 0);

	if (argc && !strcmp(argv[argc - 1], "reset")) {
		mnl_attr_put(nlh, TCP_NSR_A_RESET, 0, NULL);
		argc--;
	}
	if (conn_put_words(nlh, argv, argc))
		return 2;
	return nl_do(nl, nlh, NULL, NULL, "conn-del");
}

static void print_event(const struct nlmsghdr *nlh)
{
	const struct genlmsghdr *genl = mnl_nlmsg_get_payload(nlh);
	static const char * const names[] = {
		[TCP_NSR_CMD_CONN_ADD_NTF] = "add",
		[TCP_NSR_CMD_CONN_CHANGE_NTF] = "change",
		[TCP_NSR_CMD_CONN_DEL_NTF] = "del",
		[TCP_NSR_CMD_CONN_REFUSED_NTF] = "refused",
		[TCP_NSR_CMD_GROUP_NTF] = "group",
	};
	const struct nlattr *tb[TCP_NSR_A_MAX + 1], *attr;
	const char *name = genl->cmd < ARRAY_SIZE(names) ? names[genl->cmd] : NULL;

	nl_attrs(nlh, tb);
	if (!name || !tb[TCP_NSR_A_GROUP_ID])
		return;
	if (genl->cmd == TCP_NSR_CMD_GROUP_NTF) {
		printf("event=group seq=%" PRIu64 " group=%u reason=%u role=%u generation=%u settled=%u\n",
		       nl_u64(tb[TCP_NSR_A_EVENT_SEQ]), mnl_attr_get_u32(tb[TCP_NSR_A_GROUP_ID]),
		       mnl_attr_get_u8(tb[TCP_NSR_A_REASON]), mnl_attr_get_u8(tb[TCP_NSR_A_ROLE]),
		       mnl_attr_get_u32(tb[TCP_NSR_A_GENERATION]),
		       mnl_attr_get_u8(tb[TCP_NSR_A_SETTLED]));
		return;
	}
	mnl_attr_for_each(attr, nlh, sizeof(*genl)) {
		if (mnl_attr_get_type(attr) != TCP_NSR_A_CONN)
			continue;
		printf("event=%s seq=%" PRIu64 " group=%u", name, nl_u64(tb[TCP_NSR_A_EVENT_SEQ]),
		       mnl_attr_get_u32(tb[TCP_NSR_A_GROUP_ID]));
		conn_print(attr, false);
		printf("\n");
	}
}

/*
 * monitor [rcvbuf=BYTES] [wait=FILE]: prints events until killed. With wait, reads nothing until FILE
 * exists, so that a small buffer overflows. Gaps and overflows are lines of their own.
 */
int conn_cmd_monitor(struct nl *nl, int argc, char **argv)
{
	static char buf[65536];
	uint64_t last = 0;
	const char *value, *wait = NULL;
	int i, len, size;
	ssize_t n;

	for (i = 0; i < argc; i++) {
		if ((value = word_value(argc, argv, &i, "rcvbuf"))) {
			size = parse_number(value, INT32_MAX, "rcvbuf");
			setsockopt(mnl_socket_get_fd(nl->sock), SOL_SOCKET, SO_RCVBUF, &size,
				   sizeof(size));
		} else if ((value = word_value(argc, argv, &i, "wait"))) {
			wait = value;
		}
	}
	if (mnl_socket_setsockopt(nl->sock, NETLINK_ADD_MEMBERSHIP, &nl->mcgrp,
				  sizeof(nl->mcgrp)) < 0) {
		fprintf(stderr, "nsrtool: monitor: %s\n", strerrorname_np(errno));
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("monitoring\n");
	while (wait) {
		FILE *f = fopen(wait, "r");

		if (f) {
			fclose(f);
			break;
		}
		poll(NULL, 0, 20);
	}
	for (;;) {
		const struct nlmsghdr *nlh;

		n = mnl_socket_recvfrom(nl->sock, buf, sizeof(buf));
		if (n < 0 && errno == ENOBUFS) {
			printf("event=overflow\n");
			continue;
		}
		if (n < 0)
			return 1;
		len = n;
		for (nlh = (void *)buf; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len)) {
			const struct nlattr *tb[TCP_NSR_A_MAX + 1];
			uint64_t seq;

			if (nlh->nlmsg_type != nl->family)
				continue;
			nl_attrs(nlh, tb);
			seq = nl_u64(tb[TCP_NSR_A_EVENT_SEQ]);
			if (last && seq != last + 1)
				printf("event=gap from=%" PRIu64 " to=%" PRIu64 "\n", last, seq);
			last = seq;
			print_event(nlh);
		}
	}
}
