// SPDX-License-Identifier: GPL-2.0-only
/*
 * nsrtool: requests of random commands, attributes and lengths; half of them have what a request needs
 * to get past the checks, with random values. Descriptors are kept for a while, so that shadows live
 * and die in between. What is found is found by the
 * kernel's own checks; here it only counts that an answer comes to every request.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nsrtool.h"

static const uint8_t sizes[] = { 0, 1, 2, 4, 4, 4, 6, 8, 8, 16, 16 };

static void put_random(struct nlmsghdr *nlh, int type, int len)
{
	uint8_t data[64];
	int i, small = random() % 3;

	for (i = 0; i < len; i++)
		data[i] = small ? (i ? 0 : random() % 8) : random();
	mnl_attr_put(nlh, type, len, data);
}

static int random_len(void)
{
	return random() % 2 ? sizes[random() % ARRAY_SIZE(sizes)] : (int)(random() % 40);
}

/* The size that the attribute has by the schema; 0: a flag, or none */
static int right_size(int nest, int type)
{
	static const uint8_t conn[TCP_NSR_A_CONN_MAX + 1] = {
		0, 0, 8, 4, 1, 4, 4, 2, 2, 4, 1, 1, 1, 8, 4, 4, 1, 1, 2, 2, 8, 8, 8, 8, 8, 8, 8,
		4, 4, 4, 4, 4, 4, 8, 8, 1, 1, 1, 8, 8, 8, 1,
		8, 1, 0, 6, 1, 1,
	};
	static const uint8_t rule[TCP_NSR_A_RULE_MAX + 1] = { 0, 4, 1, 4, 2, 4, 1, 2, 4, 1, 1 };

	if (nest == TCP_NSR_A_CONN && type <= TCP_NSR_A_CONN_MAX)
		return conn[type];
	if (nest == TCP_NSR_A_RULE && type <= TCP_NSR_A_RULE_MAX)
		return rule[type];
	return nest == TCP_NSR_A_ADDRS ? (random() % 2 ? 4 : 16) : 0;
}

/* What a request must say to get anywhere, more often than chance would have it */
static void put_likely(struct nlmsghdr *nlh, int nest)
{
	if (nest == TCP_NSR_A_RULE) {
		mnl_attr_put_u32(nlh, TCP_NSR_A_RULE_ID, 1 + random() % 3);
		mnl_attr_put_u8(nlh, TCP_NSR_A_RULE_MODE, random() % 2);
		mnl_attr_put_u16(nlh, TCP_NSR_A_RULE_LPORT, 1 + random() % 100);
	} else if (nest == TCP_NSR_A_CONN) {
		uint32_t loopback = 0x0100007f;

		mnl_attr_put_u64(nlh, TCP_NSR_A_CONN_ID, 1 + random() % 8);
		mnl_attr_put_u8(nlh, TCP_NSR_A_CONN_FAMILY, AF_INET);
		mnl_attr_put_u32(nlh, TCP_NSR_A_CONN_LADDR, loopback);
		mnl_attr_put_u32(nlh, TCP_NSR_A_CONN_RADDR, loopback + random());
		mnl_attr_put_u16(nlh, TCP_NSR_A_CONN_LPORT, 1 + random() % 4);
		mnl_attr_put_u16(nlh, TCP_NSR_A_CONN_RPORT, 1 + random() % 4);
		mnl_attr_put_u32(nlh, TCP_NSR_A_CONN_FLAGS, random() % 128);
		mnl_attr_put_u8(nlh, TCP_NSR_A_CONN_MODE, random() % 2);
		mnl_attr_put_u8(nlh, TCP_NSR_A_CONN_STATE, random() % 2 ? 1 : 8);
		mnl_attr_put_u32(nlh, TCP_NSR_A_CONN_ISS, random());
		mnl_attr_put_u32(nlh, TCP_NSR_A_CONN_IRS, random());
		mnl_attr_put_u16(nlh, TCP_NSR_A_CONN_MSS_CLAMP, 88 + random() % 2000);
		mnl_attr_put_u16(nlh, TCP_NSR_A_CONN_ADVMSS, 88 + random() % 2000);
	}
}

static void put_nested(struct nlmsghdr *nlh, int type, int max)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, type);
	int n = random() % (max + 1), sub;
	bool likely = random() % 2;

	if (likely) {
		put_likely(nlh, type);
		n %= 4;
	}
	while (n--) {
		sub = random() % (max + 3);
		put_random(nlh, sub, random() % 4 ? right_size(type, sub) : random_len());
	}
	mnl_attr_nest_end(nlh, nest);
}

static void put_request(struct nlmsghdr *nlh, int fd)
{
	int32_t fd32 = fd;

	mnl_attr_put_u32(nlh, TCP_NSR_A_GROUP_ID, 1 + random() % 3);
	mnl_attr_put_u8(nlh, TCP_NSR_A_ROLE, random() % 2);
	mnl_attr_put_u64(nlh, TCP_NSR_A_TERM, 1 + random() % 3);
	mnl_attr_put_u32(nlh, TCP_NSR_A_TERM_OWNER, 1);
	mnl_attr_put_u32(nlh, TCP_NSR_A_GENERATION, 1 + random() % 30);
	mnl_attr_put_u8(nlh, TCP_NSR_A_FROZEN, random() % 2);
	mnl_attr_put(nlh, TCP_NSR_A_FD, sizeof(fd32), &fd32);
	if (random() % 2)
		mnl_attr_put_u64(nlh, TCP_NSR_A_LEASE_UNTIL, boot_ns() + random() % 1000000000);
	put_nested(nlh, TCP_NSR_A_CONN, TCP_NSR_A_CONN_MAX);
	put_nested(nlh, TCP_NSR_A_RULE, TCP_NSR_A_RULE_MAX);
	put_nested(nlh, TCP_NSR_A_ADDRS, TCP_NSR_A_ADDR);
}

static void put_any(struct nlmsghdr *nlh, int spare_fd)
{
	int type = random() % (TCP_NSR_A_MAX + 3);
	int32_t fd = random() % 4 ? spare_fd : (int)random() % 8;

	switch (type) {
	case TCP_NSR_A_CONN:
		put_nested(nlh, type, TCP_NSR_A_CONN_MAX);
		break;
	case TCP_NSR_A_RULE:
		put_nested(nlh, type, TCP_NSR_A_RULE_MAX);
		break;
	case TCP_NSR_A_ADDRS:
		put_nested(nlh, type, TCP_NSR_A_ADDR);
		break;
	case TCP_NSR_A_FD:
		mnl_attr_put(nlh, type, sizeof(fd), &fd);
		break;
	case TCP_NSR_A_GROUP_ID:
	case TCP_NSR_A_IFINDEX:
		mnl_attr_put_u32(nlh, type, random() % 4);
		break;
	default:
		put_random(nlh, type, random_len());
	}
}

/* fuzz SEED COUNT: 0 if every request was answered */
int fuzz_cmd(struct nl *nl, int argc, char **argv)
{
	struct timeval patience = { .tv_sec = 60 };
	unsigned int seed, count, ok = 0, i;
	int n, fd, ret, kept[16];

	if (argc < 2)
		return 2;
	seed = parse_number(argv[0], UINT32_MAX, "seed");
	count = parse_number(argv[1], UINT32_MAX, "count");
	srandom(seed);
	setsockopt(mnl_socket_get_fd(nl->sock), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	for (i = 0; i < count; i++) {
		uint16_t flags = random() % 4 ? 0 : NLM_F_DUMP;
		struct nlmsghdr *nlh = nl_request(nl, random() % (TCP_NSR_CMD_MAX + 2), flags);

		fd = socket(random() % 2 ? AF_INET : AF_INET6, SOCK_STREAM, 0);
		if (random() % 2)
			put_request(nlh, fd);
		for (n = random() % 6; n > 0; n--)
			put_any(nlh, fd);
		ret = nl_talk(nl, nlh, NULL, NULL);
		if (i >= ARRAY_SIZE(kept))
			close(kept[i % ARRAY_SIZE(kept)]);
		kept[i % ARRAY_SIZE(kept)] = fd;
		if (ret == -EAGAIN) {
			fprintf(stderr, "nsrtool: fuzz: no answer to request %u of seed %u\n", i, seed);
			return 1;
		}
		ok += !ret;
	}
	printf("requests=%u accepted=%u\n", count, ok);
	return 0;
}
