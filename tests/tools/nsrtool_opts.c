// SPDX-License-Identifier: GPL-2.0-only
/*
 * nsrtool: socket options: as part of a record, opts=NAME:VALUE,NAME:VALUE (opts=none if all have their
 * defaults), and of a held socket, "opt N NAME [VALUE]".
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "nsrtool.h"

static const struct option {
	const char *name;
	int attr, size;			/* size 0: a string */
	int level, opt;
	int level6, opt6;		/* of an IPv6 connection, if another one */
} options[] = {
	{ "tos", TCP_NSR_A_OPT_TOS, 1, IPPROTO_IP, IP_TOS, IPPROTO_IPV6, IPV6_TCLASS },
	{ "ttl", TCP_NSR_A_OPT_TTL, 1, IPPROTO_IP, IP_TTL, IPPROTO_IPV6, IPV6_UNICAST_HOPS },
	{ "minttl", TCP_NSR_A_OPT_MIN_TTL, 1, IPPROTO_IP, IP_MINTTL, IPPROTO_IPV6, IPV6_MINHOPCOUNT },
	{ "priority", TCP_NSR_A_OPT_PRIORITY, 4, SOL_SOCKET, SO_PRIORITY, 0, 0 },
	{ "mark", TCP_NSR_A_OPT_MARK, 4, SOL_SOCKET, SO_MARK, 0, 0 },
	{ "nodelay", TCP_NSR_A_OPT_NODELAY, 1, IPPROTO_TCP, TCP_NODELAY, 0, 0 },
	{ "keepalive", TCP_NSR_A_OPT_KEEPALIVE, 1, SOL_SOCKET, SO_KEEPALIVE, 0, 0 },
	{ "keepidle", TCP_NSR_A_OPT_KEEPIDLE, 4, IPPROTO_TCP, TCP_KEEPIDLE, 0, 0 },
	{ "keepintvl", TCP_NSR_A_OPT_KEEPINTVL, 4, IPPROTO_TCP, TCP_KEEPINTVL, 0, 0 },
	{ "keepcnt", TCP_NSR_A_OPT_KEEPCNT, 1, IPPROTO_TCP, TCP_KEEPCNT, 0, 0 },
	{ "usertimeout", TCP_NSR_A_OPT_USER_TIMEOUT, 4, IPPROTO_TCP, TCP_USER_TIMEOUT, 0, 0 },
	{ "congestion", TCP_NSR_A_OPT_CONGESTION, 0, IPPROTO_TCP, TCP_CONGESTION, 0, 0 },
	/* of a held socket alone: not among a record's options */
	{ "device", 0, 0, SOL_SOCKET, SO_BINDTODEVICE, 0, 0 },
};

static const struct option *find(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(options); i++)
		if (strlen(options[i].name) == len && !strncmp(options[i].name, name, len))
			return &options[i];
	return NULL;
}

static int put_one(struct nlmsghdr *nlh, const char *word, size_t len)
{
	const char *colon = memchr(word, ':', len);
	const struct option *o = colon ? find(word, colon - word) : NULL;
	char value[64];

	if (!o || !o->attr) {
		fprintf(stderr, "nsrtool: opts: \"%.*s\": expected NAME:VALUE\n", (int)len, word);
		return -1;
	}
	snprintf(value, sizeof(value), "%.*s", (int)(len - (colon + 1 - word)), colon + 1);
	if (!o->size)
		mnl_attr_put_strz(nlh, o->attr, value);
	else if (o->size == 1)
		mnl_attr_put_u8(nlh, o->attr, parse_number(value, UINT8_MAX, o->name));
	else
		mnl_attr_put_u32(nlh, o->attr, parse_number(value, UINT32_MAX, o->name));
	return 0;
}

int opts_put(struct nlmsghdr *nlh, const char *text)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, TCP_NSR_A_CONN_OPTS);
	size_t len;

	if (!strcmp(text, "none"))
		text = "";
	for (; *text; text += len + (text[len] == ',')) {
		len = strcspn(text, ",");
		if (put_one(nlh, text, len))
			return -1;
	}
	mnl_attr_nest_end(nlh, nest);
	return 0;
}

void opts_print(const struct nlattr *opts)
{
	const struct nlattr *attr;
	const char *between = "";
	size_t i;

	if (!mnl_attr_get_payload_len(opts))
		printf("none");
	mnl_attr_for_each_nested(attr, opts) {
		for (i = 0; i < ARRAY_SIZE(options); i++)
			if (options[i].attr == mnl_attr_get_type(attr))
				break;
		if (i == ARRAY_SIZE(options))
			continue;
		printf("%s%s:", between, options[i].name);
		between = ",";
		if (!options[i].size)
			printf("%s", mnl_attr_get_str(attr));
		else
			printf("%u", options[i].size == 1 ? mnl_attr_get_u8(attr) : mnl_attr_get_u32(attr));
	}
}

static bool is_v6(int fd)
{
	struct sockaddr_in6 to = {};
	socklen_t len = sizeof(to);

	return !getpeername(fd, (void *)&to, &len) && to.sin6_family == AF_INET6 &&
	       !IN6_IS_ADDR_V4MAPPED(&to.sin6_addr);
}

/* opt N NAME [VALUE]: as the socket has it, or sets it */
void opts_command(FILE *out, int fd, const char *args)
{
	char name[32] = "", value[64] = "";
	int n = sscanf(args, "%31s %63s", name, value), number = atoi(value), level, opt;
	const struct option *o = find(name, strlen(name));
	socklen_t len = sizeof(value);

	if (n < 1 || !o) {
		fprintf(out, "unknown option\n");
		return;
	}
	level = o->level6 && is_v6(fd) ? o->level6 : o->level;
	opt = o->level6 && is_v6(fd) ? o->opt6 : o->opt;
	if (n == 2)
		fprintf(out, "%s\n", (o->size ? setsockopt(fd, level, opt, &number, sizeof(number)) :
				      setsockopt(fd, level, opt, value, strlen(value))) ?
				     strerrorname_np(errno) : "ok");
	else if (getsockopt(fd, level, opt, o->size ? (void *)&number : value, &len))
		fprintf(out, "%s\n", strerrorname_np(errno));
	else if (o->size)
		fprintf(out, "%d\n", number);
	else
		fprintf(out, "%s\n", value);
}
