// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "attr.h"
#include "log.h"
#include "nsrd.h"
#include "options.h"

#define CA_NAME_MAX	16	/* with its NUL, as the kernel has it */

static const struct nlattr *find_opts(const struct nsr_store_conn *c)
{
	const struct nlattr *attr;

	mnl_attr_for_each_payload(c->rec, c->rec_len)
		if (mnl_attr_get_type(attr) == TCP_NSR_A_CONN_OPTS)
			return attr;
	return NULL;
}

static bool find_congestion(const struct nsr_store_conn *c, char name[CA_NAME_MAX])
{
	const struct nlattr *opts = find_opts(c), *attr;

	if (!opts || !attr_seq_ok(attr_data(opts), attr_len(opts)))
		return false;
	mnl_attr_for_each_nested(attr, opts)
		if (mnl_attr_get_type(attr) == TCP_NSR_A_OPT_CONGESTION)
			return attr_name(attr, name, CA_NAME_MAX);
	return false;
}

void options_check(const struct group *g, const struct nsr_store_conn *c, int fd)
{
	static char unknown[CA_NAME_MAX];	/* the last one: that it is said once, not by each connection */
	char name[CA_NAME_MAX];

	if (!find_congestion(c, name) || !strcmp(name, unknown))
		return;
	/* What the kernel has as a module it loads for this. */
	if (!setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name)) || errno != ENOENT)
		return;
	log_warn("group %s: this kernel has no congestion control %s: shadows have the default (load the module)",
		 g->cfg->name, name);
	memcpy(unknown, name, sizeof(unknown));
}
