// SPDX-License-Identifier: GPL-2.0-only
#include <linux/if_addr.h>
#include <net/if.h>
#include <netlink/addr.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/macvlan.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "netif.h"
#include "nsrd.h"

struct nl_sock *netif_open(void)
{
	struct nl_sock *sk = nl_socket_alloc();
	int err = sk ? nl_connect(sk, NETLINK_ROUTE) : -NLE_NOMEM;

	if (!err)
		return sk;
	log_err("route netlink: %s", nl_geterror(err));
	netif_close(sk);
	return NULL;
}

void netif_close(struct nl_sock *sk)
{
	if (sk)
		nl_socket_free(sk);
}

const char *netif_error(int err)
{
	return nl_geterror(err);
}

int netif_get(struct nl_sock *sk, const char *name, struct netif *out)
{
	struct rtnl_link *link;
	struct nl_addr *mac;
	int err = rtnl_link_get_kernel(sk, 0, name, &link);

	memset(out, 0, sizeof(*out));
	if (err)
		return err;
	out->ifindex = (uint32_t)rtnl_link_get_ifindex(link);
	out->up = rtnl_link_get_flags(link) & IFF_UP;
	mac = rtnl_link_get_addr(link);
	if (mac && nl_addr_get_len(mac) == 6 && rtnl_link_get_arptype(link) == 1) {
		memcpy(out->mac, nl_addr_get_binary_addr(mac), 6);
		out->has_mac = true;
	}
	rtnl_link_put(link);
	return 0;
}

/* Changes device @ifindex to what @fill sets. */
static int change(struct nl_sock *sk, uint32_t ifindex, void (*fill)(struct rtnl_link *, const void *),
		  const void *arg)
{
	struct rtnl_link *old = rtnl_link_alloc(), *new = rtnl_link_alloc();
	int err = -NLE_NOMEM;

	if (old && new) {
		rtnl_link_set_ifindex(old, (int)ifindex);
		fill(new, arg);
		err = rtnl_link_change(sk, old, new, 0);
	}
	if (old)
		rtnl_link_put(old);
	if (new)
		rtnl_link_put(new);
	return err;
}

static void put_mac(struct rtnl_link *link, const void *mac)
{
	struct nl_addr *a = nl_addr_build(AF_LLC, mac, 6);

	if (!a)
		return;
	rtnl_link_set_addr(link, a);
	nl_addr_put(a);
}

static void fill_mac(struct rtnl_link *link, const void *arg)
{
	put_mac(link, arg);
}

static void fill_up(struct rtnl_link *link, const void *arg)
{
	if (*(const bool *)arg)
		rtnl_link_set_flags(link, IFF_UP);
	else
		rtnl_link_unset_flags(link, IFF_UP);
}

int netif_set_mac(struct nl_sock *sk, uint32_t ifindex, const uint8_t mac[6])
{
	return change(sk, ifindex, fill_mac, mac);
}

int netif_set_up(struct nl_sock *sk, uint32_t ifindex, bool up)
{
	return change(sk, ifindex, fill_up, &up);
}

int netif_add_macvlan(struct nl_sock *sk, const char *name, uint32_t parent, const uint8_t mac[6])
{
	struct rtnl_link *link = rtnl_link_macvlan_alloc();
	int err;

	if (!link)
		return -NLE_NOMEM;
	rtnl_link_set_name(link, name);
	rtnl_link_set_link(link, (int)parent);
	put_mac(link, mac);
	rtnl_link_macvlan_set_mode(link, (uint32_t)rtnl_link_macvlan_str2mode("bridge"));
	err = rtnl_link_add(sk, link, NLM_F_CREATE | NLM_F_EXCL);
	rtnl_link_put(link);
	return err;
}

static struct rtnl_addr *build_addr(uint32_t ifindex, const struct cfg_addr *a)
{
	struct nl_addr *local = nl_addr_build(a->family, a->addr, a->family == AF_INET ? 4 : 16);
	struct rtnl_addr *addr = rtnl_addr_alloc();
	bool ok = local && addr;

	if (ok) {
		nl_addr_set_prefixlen(local, a->prefix_len);
		rtnl_addr_set_ifindex(addr, (int)ifindex);
		ok = !rtnl_addr_set_local(addr, local);
		if (a->family == AF_INET6)
			rtnl_addr_set_flags(addr, IFA_F_NODAD);
	}
	if (local)
		nl_addr_put(local);
	if (ok)
		return addr;
	if (addr)
		rtnl_addr_put(addr);
	return NULL;
}

int netif_add_addr(struct nl_sock *sk, uint32_t ifindex, const struct cfg_addr *a)
{
	struct rtnl_addr *addr = build_addr(ifindex, a);
	int err;

	if (!addr)
		return -NLE_NOMEM;
	err = rtnl_addr_add(sk, addr, NLM_F_CREATE | NLM_F_REPLACE);
	rtnl_addr_put(addr);
	return err == -NLE_EXIST ? 0 : err;
}

int netif_del_addr(struct nl_sock *sk, uint32_t ifindex, const struct cfg_addr *a)
{
	struct rtnl_addr *addr = build_addr(ifindex, a);
	int err;

	if (!addr)
		return -NLE_NOMEM;
	err = rtnl_addr_delete(sk, addr, 0);
	rtnl_addr_put(addr);
	return err == -NLE_NOADDR || err == -NLE_OBJ_NOTFOUND ? 0 : err;
}

static FILE *open_sysctl(const char *family, const char *device, const char *name, const char *mode)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, device, name);
	return fopen(path, mode);
}

bool netif_sysctl(const char *family, const char *device, const char *name, const char *value)
{
	FILE *f = open_sysctl(family, device, name, "w");
	bool ok;

	if (!f)
		return false;
	ok = fputs(value, f) >= 0;
	return !fclose(f) && ok;
}

bool netif_sysctl_get(const char *family, const char *device, const char *name, long *value)
{
	FILE *f = open_sysctl(family, device, name, "r");
	bool ok;

	if (!f)
		return false;
	ok = fscanf(f, "%ld", value) == 1;
	fclose(f);
	return ok;
}
