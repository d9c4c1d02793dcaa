// SPDX-License-Identifier: GPL-2.0-only
/*
 * nsrtool: the netlink socket, its requests and their errors.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>

#include "nsrtool.h"

#define BUFFER 65536

static char request[BUFFER], answer[BUFFER];

static int on_groups(const struct nlattr *groups, struct nl *nl)
{
	const struct nlattr *group, *attr;

	mnl_attr_for_each_nested(group, groups) {
		const char *name = NULL;
		uint32_t id = 0;

		mnl_attr_for_each_nested(attr, group) {
			if (mnl_attr_get_type(attr) == CTRL_ATTR_MCAST_GRP_NAME)
				name = mnl_attr_get_str(attr);
			else if (mnl_attr_get_type(attr) == CTRL_ATTR_MCAST_GRP_ID)
				id = mnl_attr_get_u32(attr);
		}
		if (name && !strcmp(name, TCP_NSR_MCGRP_EVENTS))
			nl->mcgrp = id;
	}
	return MNL_CB_OK;
}

static int on_family(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *attr;
	struct nl *nl = arg;

	mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr)) {
		if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID)
			nl->family = mnl_attr_get_u16(attr);
		else if (mnl_attr_get_type(attr) == CTRL_ATTR_MCAST_GROUPS)
			on_groups(attr, nl);
	}
	return MNL_CB_OK;
}

static struct nlmsghdr *start(struct nl *nl, uint16_t type, uint8_t cmd, uint8_t version,
			      uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(request);
	struct genlmsghdr *genl;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = ++nl->seq;
	genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
	genl->cmd = cmd;
	genl->version = version;
	return nlh;
}

struct nl *nl_open(void)
{
	struct nl *nl = calloc(1, sizeof(*nl));
	struct nlmsghdr *nlh;
	int one = 1;

	if (!nl)
		return NULL;
	nl->sock = mnl_socket_open(NETLINK_GENERIC);
	if (!nl->sock || mnl_socket_bind(nl->sock, 0, MNL_SOCKET_AUTOPID) < 0) {
		perror("nsrtool: netlink");
		nl_close(nl);
		return NULL;
	}
	nl->portid = mnl_socket_get_portid(nl->sock);
	mnl_socket_setsockopt(nl->sock, NETLINK_EXT_ACK, &one, sizeof(one));
	mnl_socket_setsockopt(nl->sock, NETLINK_CAP_ACK, &one, sizeof(one));
	nlh = start(nl, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1, NLM_F_ACK);
	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, TCP_NSR_GENL_NAME);
	if (nl_talk(nl, nlh, on_family, nl) < 0 || !nl->family) {
		fprintf(stderr, "nsrtool: no netlink family " TCP_NSR_GENL_NAME
			": is the module loaded?\n");
		nl_close(nl);
		return NULL;
	}
	return nl;
}

void nl_close(struct nl *nl)
{
	if (nl->sock)
		mnl_socket_close(nl->sock);
	free(nl->extack);
	free(nl);
}

struct nlmsghdr *nl_request(struct nl *nl, uint8_t cmd, uint16_t flags)
{
	return start(nl, nl->family, cmd, TCP_NSR_GENL_VERSION,
		     flags & NLM_F_DUMP ? flags : flags | NLM_F_ACK);
}

static void keep_extack(struct nl *nl, const struct nlmsghdr *nlh, size_t skip)
{
	const char *text = NULL;
	const struct nlattr *attr;
	uint32_t offset = 0;

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	mnl_attr_for_each(attr, nlh, skip) {
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG)
			text = mnl_attr_get_str(attr);
		else if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_OFFS)
			offset = mnl_attr_get_u32(attr);
	}
	free(nl->extack);
	nl->extack = NULL;
	if (!text)
		return;
	/* The request is still there to look into. */
	if (offset && strncmp(text, "tcp_nsr", 7) && offset < BUFFER) {
		if (asprintf(&nl->extack, "%s (attribute %u)", text,
			     mnl_attr_get_type((void *)(request + offset))) < 0)
			nl->extack = NULL;
	} else {
		nl->extack = strdup(text);
	}
}

/* 1: more to come; 0 or -errno: over */
static int on_message(struct nl *nl, const struct nlmsghdr *nlh, mnl_cb_t cb, void *arg)
{
	const struct nlmsgerr *err;

	if (nlh->nlmsg_seq != nl->seq)
		return 1;
	if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
		nl->intr = true;
	if (nlh->nlmsg_type == NLMSG_ERROR) {
		err = mnl_nlmsg_get_payload(nlh);
		keep_extack(nl, nlh, sizeof(*err));
		return err->error;
	}
	if (nlh->nlmsg_type == NLMSG_DONE) {
		int status = nlh->nlmsg_len >= NLMSG_LENGTH(sizeof(int)) ?
				     *(const int *)mnl_nlmsg_get_payload(nlh) : 0;

		keep_extack(nl, nlh, sizeof(int));
		return status < 0 ? status : 0;
	}
	if (cb && nlh->nlmsg_type >= NLMSG_MIN_TYPE)
		cb(nlh, arg);
	return 1;
}

int nl_talk(struct nl *nl, struct nlmsghdr *nlh, mnl_cb_t cb, void *arg)
{
	const struct nlmsghdr *msg;
	ssize_t n;
	int len, ret;

	nl->intr = false;
	free(nl->extack);
	nl->extack = NULL;
	if (mnl_socket_sendto(nl->sock, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		n = mnl_socket_recvfrom(nl->sock, answer, sizeof(answer));
		if (n < 0)
			return -errno;
		len = n;
		for (msg = (void *)answer; mnl_nlmsg_ok(msg, len); msg = mnl_nlmsg_next(msg, &len)) {
			ret = on_message(nl, msg, cb, arg);
			if (ret <= 0)
				return ret;
		}
	}
}

int nl_do(struct nl *nl, struct nlmsghdr *nlh, mnl_cb_t cb, void *arg, const char *what)
{
	int err = nl_talk(nl, nlh, cb, arg);

	if (err < 0)
		fprintf(stderr, "nsrtool: %s: %s%s%s\n", what, strerrorname_np(-err) ?: "error",
			nl->extack ? ": " : "", nl->extack ?: "");
	return err < 0 ? 1 : 0;
}

void nl_attrs(const struct nlmsghdr *nlh, const struct nlattr **tb)
{
	const struct nlattr *attr;

	memset(tb, 0, (TCP_NSR_A_MAX + 1) * sizeof(*tb));
	mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(attr) <= TCP_NSR_A_MAX)
			tb[mnl_attr_get_type(attr)] = attr;
}

uint64_t nl_u64(const struct nlattr *attr)
{
	return attr ? mnl_attr_get_u64(attr) : 0;
}
