/* SPDX-License-Identifier: GPL-2.0-only */
/* netif: what takeover.c asks of route netlink. Each call is one request; text of a failure in netif_error(). */
#ifndef NSRD_NETIF_H
#define NSRD_NETIF_H

#include <stdbool.h>
#include <stdint.h>

struct cfg_addr;
struct nl_sock;

/** struct netif - a device as it is now */
struct netif {
	uint32_t ifindex;
	uint8_t mac[6];
	bool has_mac, up;
};

struct nl_sock *netif_open(void);	/* NULL: logged */
void netif_close(struct nl_sock *sk);
const char *netif_error(int err);	/* words for a negative result below */

/* All return 0 or a negative libnl error. */
int netif_get(struct nl_sock *sk, const char *name, struct netif *out);
int netif_set_mac(struct nl_sock *sk, uint32_t ifindex, const uint8_t mac[6]);
int netif_set_up(struct nl_sock *sk, uint32_t ifindex, bool up);
int netif_add_macvlan(struct nl_sock *sk, const char *name, uint32_t parent, const uint8_t mac[6]);
/* IPv6 without duplicate address detection: the far ends are waiting. Present already: 0. */
int netif_add_addr(struct nl_sock *sk, uint32_t ifindex, const struct cfg_addr *a);
/* not there: 0 */
int netif_del_addr(struct nl_sock *sk, uint32_t ifindex, const struct cfg_addr *a);

/* /proc/sys/net/FAMILY/conf/DEVICE/NAME; false: not written */
bool netif_sysctl(const char *family, const char *device, const char *name, const char *value);
bool netif_sysctl_get(const char *family, const char *device, const char *name, long *value);

#endif
