// SPDX-License-Identifier: GPL-2.0-only
/*
 * nsrtool: requests of random commands, attributes and lengths: half of the attributes have the size
 * that the kernel expects, so that random values get past the policies. What is found is found by the
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

static void put_nested(struct nlmsghdr *nlh, int type, int max)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, type);
	int n = random() % (max + 1);

	/* Now and then all of them in order, so that required ones are there. */
	if (random() % 2)
		for (int i = 1; i <= max; i++)
			put_random(nlh, i, random_len());
	else
		while (n--)
			put_random(nlh, random() % (max + 3), random_len());
	mnl_attr_nest_end(nlh, nest);
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
	int n, fd, ret;

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
		for (n = random() % 12; n > 0; n--)
			put_any(nlh, fd);
		ret = nl_talk(nl, nlh, NULL, NULL);
		close(fd);
		if (ret == -EAGAIN) {
			fprintf(stderr, "nsrtool: fuzz: no answer to request %u of seed %u\n", i, seed);
			return 1;
		}
		ok += !ret;
	}
	printf("requests=%u accepted=%u\n", count, ok);
	return 0;
}
