// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "genl.h"
#include "text.h"

int genl_open(struct genl *g)
{
	int on = 1;

	memset(g, 0, sizeof(*g));
	g->nl = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	if (!g->nl || mnl_socket_bind(g->nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		int err = -errno;

		genl_close(g);
		return err;
	}
	g->portid = mnl_socket_get_portid(g->nl);
	/* Both are there since Linux 4.12; without them only the words are lost. */
	mnl_socket_setsockopt(g->nl, NETLINK_EXT_ACK, &on, sizeof(on));
	mnl_socket_setsockopt(g->nl, NETLINK_CAP_ACK, &on, sizeof(on));
	return 0;
}

void genl_close(struct genl *g)
{
	if (g->nl)
		mnl_socket_close(g->nl);
	g->nl = NULL;
}

struct nlmsghdr *genl_request(struct genl *g, uint8_t cmd, uint8_t version, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(g->buf);
	struct genlmsghdr *gh;

	nlh->nlmsg_type = g->family;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = ++g->seq;
	gh = mnl_nlmsg_put_extra_header(nlh, sizeof(*gh));
	gh->cmd = cmd;
	gh->version = version;
	return nlh;
}

/*
 * The extended ACK's words, capped and made printable: they go to the operator verbatim. A dump that is
 * refused in its midst has them in its NLMSG_DONE.
 */
static void take_words(struct genl *g, const struct nlmsghdr *nlh, int err)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
	bool done = nlh->nlmsg_type == NLMSG_DONE;
	size_t off = done ? sizeof(int) : sizeof(*e);
	const struct nlattr *a;

	snprintf(g->text, sizeof(g->text), "%s", strerror(-err));
	g->unknown = err == -ENOENT;
	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!done && !(nlh->nlmsg_flags & NLM_F_CAPPED))
		off += e->msg.nlmsg_len - sizeof(e->msg);
	if (NLMSG_HDRLEN + MNL_ALIGN(off) > nlh->nlmsg_len)
		return;
	mnl_attr_for_each(a, nlh, MNL_ALIGN(off)) {
		if (mnl_attr_get_type(a) != NLMSGERR_ATTR_MSG)
			continue;
		/* It may name a device, as the other box calls it. */
		text_escape(g->text, sizeof(g->text), mnl_attr_get_payload(a), mnl_attr_get_payload_len(a));
		g->unknown = false;
		return;
	}
}

/* One message of an answer. 1: go on, 0: the end, < 0: refused. */
static int take_message(struct genl *g, const struct nlmsghdr *nlh,
			int (*each)(const struct nlmsghdr *, void *), void *data, bool *interrupted)
{
	const struct nlmsgerr *e;
	int err;

	if (interrupted && (nlh->nlmsg_flags & NLM_F_DUMP_INTR))
		*interrupted = true;
	switch (nlh->nlmsg_type) {
	case NLMSG_NOOP:
		return 1;
	case NLMSG_DONE:
		err = mnl_nlmsg_get_payload_len(nlh) >= sizeof(int) ? *(int *)mnl_nlmsg_get_payload(nlh) : 0;
		if (err < 0)
			take_words(g, nlh, err);
		return err < 0 ? err : 0;
	case NLMSG_ERROR:
		if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*e))
			return -EBADMSG;
		e = mnl_nlmsg_get_payload(nlh);
		if (!e->error)
			return 0;
		take_words(g, nlh, e->error);
		return e->error;
	case NLMSG_OVERRUN:
		return -ENOBUFS;
	}
	if (nlh->nlmsg_len < NLMSG_HDRLEN + GENL_HDRLEN)
		return -EBADMSG;
	err = each ? each(nlh, data) : 0;
	return err < 0 ? err : 1;
}

int genl_talk(struct genl *g, struct nlmsghdr *nlh, int (*each)(const struct nlmsghdr *, void *), void *data,
	      bool *interrupted)
{
	int more = 1, result = 0;

	g->text[0] = '\0';
	g->unknown = false;
	if (!(nlh->nlmsg_flags & NLM_F_DUMP))
		nlh->nlmsg_flags |= NLM_F_ACK;
	if (mnl_socket_sendto(g->nl, nlh, nlh->nlmsg_len) < 0)
		goto err;
	while (more > 0) {
		ssize_t n = mnl_socket_recvfrom(g->nl, g->rcv, sizeof(g->rcv));
		const struct nlmsghdr *h = (const struct nlmsghdr *)g->rcv;
		int len = (int)n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			goto err;
		for (; more > 0 && mnl_nlmsg_ok(h, len); h = mnl_nlmsg_next(h, &len)) {
			/* what is left of an answer that was given up */
			if (h->nlmsg_seq != g->seq)
				continue;
			more = take_message(g, h, each, data, interrupted);
		}
		if (more < 0)
			result = more;
	}
	/*
	 * A family that is there says what it does not find; only generic netlink itself has no words. That
	 * genl_resolve() finds nothing is for its caller to say.
	 */
	if (g->unknown && g->family != GENL_ID_CTRL)
		snprintf(g->text, sizeof(g->text), "the kernel's netlink family has gone (%s): load the module, modprobe "
			 "tcp_nsr, and restart nsrd", strerror(ENOENT));
	if (result && !g->text[0])
		snprintf(g->text, sizeof(g->text), "%s", strerror(-result));
	return result;
err:
	result = -errno;
	snprintf(g->text, sizeof(g->text), "netlink: %s", strerror(errno));
	return result;
}

bool genl_parse_attrs(const void *attrs, size_t len, const struct nlattr **tb, unsigned int max)
{
	const struct nlattr *a = attrs;
	int left = (int)len;

	memset(tb, 0, (max + 1) * sizeof(*tb));
	while (mnl_attr_ok(a, left)) {
		if (mnl_attr_get_type(a) <= max)
			tb[mnl_attr_get_type(a)] = a;
		left -= (int)MNL_ALIGN(a->nla_len);
		a = mnl_attr_next(a);
	}
	return left <= 0;
}

bool genl_parse_nested(const struct nlattr *nest, const struct nlattr **tb, unsigned int max)
{
	return genl_parse_attrs(mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest), tb, max);
}

bool genl_parse(const struct nlmsghdr *nlh, const struct nlattr **tb, unsigned int max)
{
	if (nlh->nlmsg_len < NLMSG_HDRLEN + GENL_HDRLEN)
		return false;
	return genl_parse_attrs((const uint8_t *)nlh + NLMSG_HDRLEN + GENL_HDRLEN,
				nlh->nlmsg_len - NLMSG_HDRLEN - GENL_HDRLEN, tb, max);
}

#define GENL_GET(type, name)							\
type genl_##name(const struct nlattr *a)					\
{										\
	type v = 0;								\
										\
	if (a && mnl_attr_get_payload_len(a) >= sizeof(v))			\
		memcpy(&v, mnl_attr_get_payload(a), sizeof(v));			\
	return v;								\
}

GENL_GET(uint64_t, u64)
GENL_GET(uint32_t, u32)
GENL_GET(uint16_t, u16)
GENL_GET(uint8_t, u8)

struct resolve {
	const char *mcgrp;
	struct genl_family *out;
};

static int take_family(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *tb[CTRL_ATTR_MAX + 1], *grp[CTRL_ATTR_MCAST_GRP_MAX + 1], *a;
	struct resolve *r = data;

	if (!genl_parse(nlh, tb, CTRL_ATTR_MAX))
		return -EBADMSG;
	r->out->id = genl_u16(tb[CTRL_ATTR_FAMILY_ID]);
	if (!tb[CTRL_ATTR_MCAST_GROUPS])
		return 0;
	mnl_attr_for_each_nested(a, tb[CTRL_ATTR_MCAST_GROUPS]) {
		if (!genl_parse_nested(a, grp, CTRL_ATTR_MCAST_GRP_MAX) || !grp[CTRL_ATTR_MCAST_GRP_NAME])
			continue;
		if (!strncmp(mnl_attr_get_payload(grp[CTRL_ATTR_MCAST_GRP_NAME]), r->mcgrp,
			     mnl_attr_get_payload_len(grp[CTRL_ATTR_MCAST_GRP_NAME])))
			r->out->mcgrp = genl_u32(grp[CTRL_ATTR_MCAST_GRP_ID]);
	}
	return 0;
}

int genl_resolve(struct genl *g, const char *family, const char *mcgrp, struct genl_family *out)
{
	struct resolve r = { .mcgrp = mcgrp, .out = out };
	struct nlmsghdr *nlh;
	int err;

	memset(out, 0, sizeof(*out));
	g->family = GENL_ID_CTRL;
	nlh = genl_request(g, CTRL_CMD_GETFAMILY, 1, 0);
	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, family);
	err = genl_talk(g, nlh, take_family, &r, NULL);
	g->family = out->id;
	return err;
}
