// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <netlink/errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "announce.h"
#include "config_parse.h"
#include "netif.h"
#include "nsrd.h"
#include "takeover.h"

#define MAC_FMT		"%02x:%02x:%02x:%02x:%02x:%02x"
#define MAC_ARG(m)	(m)[0], (m)[1], (m)[2], (m)[3], (m)[4], (m)[5]
#define MAC_TEXT	18

/* When announcements are repeated, seconds after the one before: a lost frame must not cost a neighbour's
 * cache life-time. */
static const double repeats[] = { 0.1, 0.2, 0.5, 1.0, 2.0 };

struct takeover {
	struct ev_loop *loop;
	const struct cfg_group *cfg;
	char path[300];			/* of the file that remembers MACs */
	struct nl_sock *sk;
	char device[IF_NAMESIZE];	/* that carries the addresses */
	uint32_t parent, ifindex;	/* service interface; device */
	uint8_t own[6];			/* the interface's MAC when it plays no role */
	uint8_t mac[6];			/* the group's */
	bool has_own, has_mac, taken;
	ev_timer repeat;
	unsigned int repeated;
};

uint32_t takeover_ifindex(const struct takeover *t)
{
	/* A macvlan's frames leave through its parent, which exists in either role. */
	return t->parent;
}

const uint8_t *takeover_mac(const struct takeover *t)
{
	return t->has_mac ? t->mac : NULL;
}

/* ---- memory on disk ---- */

static void remember(const struct takeover *t)
{
	char tmp[sizeof(t->path) + 8], text[2 * MAC_TEXT + 16];
	int n = 0, fd;
	bool ok;

	if (t->has_own)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "own " MAC_FMT "\n", MAC_ARG(t->own));
	if (t->has_mac)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "group " MAC_FMT "\n", MAC_ARG(t->mac));
	snprintf(tmp, sizeof(tmp), "%s.new", t->path);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ok = fd >= 0 && write(fd, text, (size_t)n) == n && !fsync(fd);
	if (fd >= 0)
		ok = !close(fd) && ok;
	if (!ok || rename(tmp, t->path))
		log_warn("%s: cannot be written (%s): the group's MAC is forgotten at the next boot", t->path,
			 strerror(errno));
}

static void recall(struct takeover *t)
{
	char key[8], word[MAC_TEXT];
	FILE *f = fopen(t->path, "r");

	if (!f)
		return;
	while (fscanf(f, "%7s %17s", key, word) == 2) {
		if (!strcmp(key, "own"))
			t->has_own = parse_mac(word, t->own);
		else if (!strcmp(key, "group") && !t->has_mac)
			t->has_mac = parse_mac(word, t->mac);
	}
	fclose(f);
}

/* ---- mac replace ---- */

/* What the interface is called by while the other box has the group's MAC. */
static void idle_mac(const struct takeover *t, uint8_t mac[6])
{
	memcpy(mac, t->own, 6);
	if (t->has_mac && !memcmp(t->own, t->mac, 6))
		mac[0] = (uint8_t)((mac[0] | 2) ^ 4);
}

static int prepare_replace(struct takeover *t, const struct netif *dev)
{
	uint8_t idle[6];
	int err;

	if (!dev->has_mac) {
		log_err("group %s: %s has no Ethernet address: use mac = none, and let routing move the address",
			t->cfg->name, t->device);
		return -1;
	}
	/* Setting what is there already tells whether the driver can change it while the interface is up. */
	err = netif_set_mac(t->sk, dev->ifindex, dev->mac);
	if (err) {
		log_err("group %s: the driver of %s cannot change its MAC while it is up (%s): use mac = macvlan",
			t->cfg->name, t->device, netif_error(err));
		return -1;
	}
	if (t->cfg->has_mac_addr) {
		memcpy(t->mac, t->cfg->mac_addr, 6);
		t->has_mac = true;
	}
	recall(t);
	if (t->has_own)
		idle_mac(t, idle);
	if (!t->has_own || (memcmp(dev->mac, t->own, 6) && memcmp(dev->mac, idle, 6) &&
			    !(t->has_mac && !memcmp(dev->mac, t->mac, 6)))) {
		memcpy(t->own, dev->mac, 6);
		t->has_own = true;
		remember(t);
	}
	return 0;
}

bool takeover_choose_mac(struct takeover *t)
{
	if (t->has_mac || t->cfg->mac != CFG_MAC_REPLACE)
		return false;
	memcpy(t->mac, t->own, 6);
	t->has_mac = true;
	remember(t);
	log_notice("group %s: its MAC is " MAC_FMT ", that of %s here", t->cfg->name, MAC_ARG(t->mac), t->device);
	return true;
}

bool takeover_learn_mac(struct takeover *t, const uint8_t mac[6])
{
	if (t->cfg->mac != CFG_MAC_REPLACE || t->taken || (t->has_mac && !memcmp(t->mac, mac, 6)))
		return false;
	if (t->cfg->has_mac_addr) {
		log_warn("group %s: the peer uses MAC " MAC_FMT ", mac-address says " MAC_FMT ": make both boxes agree",
			 t->cfg->name, MAC_ARG(mac), MAC_ARG(t->mac));
		return false;
	}
	memcpy(t->mac, mac, 6);
	t->has_mac = true;
	remember(t);
	log_notice("group %s: its MAC is " MAC_FMT ", as the peer says", t->cfg->name, MAC_ARG(t->mac));
	takeover_release(t);
	return true;
}

/* ---- mac macvlan ---- */

/* The parent would answer ARP for the group's addresses with its own MAC; it is not ours to change. */
static void check_parent(const struct takeover *t)
{
	long dev = 0, all = 0;

	netif_sysctl_get("ipv4", t->cfg->interface, "arp_ignore", &dev);
	netif_sysctl_get("ipv4", "all", "arp_ignore", &all);
	if (!dev && !all)
		log_warn("group %s: if %s has an IPv4 address of its own, it answers ARP for the group's addresses too: "
			 "sysctl net.ipv4.conf.%s.arp_ignore=1", t->cfg->name, t->cfg->interface,
			 t->cfg->interface);
}

static int prepare_macvlan(struct takeover *t)
{
	static const struct {
		const char *family, *name, *value;
	} ctl[] = {
		{ "ipv4", "arp_ignore", "1" },		/* answer for this device's addresses only */
		{ "ipv4", "arp_announce", "2" },
		{ "ipv4", "rp_filter", "2" },		/* replies may come in on either of the two */
		{ "ipv6", "accept_dad", "0" },
		{ "ipv6", "accept_ra", "0" },
		{ "ipv6", "addr_gen_mode", "1" },	/* no link-local address under the group's MAC */
	};
	static const uint8_t vrrp[5] = { 0x00, 0x00, 0x5e, 0x00, 0x01 };
	struct netif dev;
	int err;

	if (t->cfg->has_mac_addr) {
		memcpy(t->mac, t->cfg->mac_addr, 6);
	} else {
		memcpy(t->mac, vrrp, 5);
		t->mac[5] = (uint8_t)t->cfg->id;
	}
	t->has_mac = true;
	snprintf(t->device, sizeof(t->device), "nsr%u", t->cfg->id);
	if (netif_get(t->sk, t->device, &dev)) {
		err = netif_add_macvlan(t->sk, t->device, t->parent, t->mac);
		if (!err)
			err = netif_get(t->sk, t->device, &dev);
		if (err) {
			log_err("group %s: no macvlan on %s (%s): is the module macvlan there? else use mac = replace",
				t->cfg->name, t->cfg->interface, netif_error(err));
			return -1;
		}
	}
	t->ifindex = dev.ifindex;
	for (size_t i = 0; i < sizeof(ctl) / sizeof(ctl[0]); i++)
		netif_sysctl(ctl[i].family, t->device, ctl[i].name, ctl[i].value);
	check_parent(t);
	return 0;
}

/* ---- life ---- */

static void on_repeat(struct ev_loop *loop, ev_timer *w, int revents);

struct takeover *takeover_create(struct ev_loop *loop, const struct cfg_group *cfg, const char *state_dir)
{
	struct takeover *t = calloc(1, sizeof(*t));
	struct netif dev;
	int err = 0;

	if (!t)
		return NULL;
	t->loop = loop;
	t->cfg = cfg;
	ev_init(&t->repeat, on_repeat);
	t->repeat.data = t;
	snprintf(t->path, sizeof(t->path), "%s/group-%u.mac", state_dir, cfg->id);
	snprintf(t->device, sizeof(t->device), "%s", cfg->interface);
	t->sk = netif_open();
	if (!t->sk)
		goto err;
	err = netif_get(t->sk, cfg->interface, &dev);
	if (err) {
		log_err("group %s: interface \"%s\": %s; name an interface of this box", cfg->name, cfg->interface,
			netif_error(err));
		goto err;
	}
	t->parent = t->ifindex = dev.ifindex;
	if (cfg->mac == CFG_MAC_REPLACE && prepare_replace(t, &dev))
		goto err;
	if (cfg->mac == CFG_MAC_MACVLAN && prepare_macvlan(t))
		goto err;
	return t;
err:
	takeover_destroy(t);
	return NULL;
}

void takeover_destroy(struct takeover *t)
{
	if (!t)
		return;
	ev_timer_stop(t->loop, &t->repeat);
	netif_close(t->sk);
	free(t);
}

static void announce(const struct takeover *t)
{
	struct netif dev;
	const uint8_t *mac = takeover_mac(t);
	int err;

	if (!mac) {
		if (netif_get(t->sk, t->device, &dev) || !dev.has_mac)
			return;
		mac = dev.mac;
	}
	err = announce_send(t->ifindex, mac, t->cfg->addrs, t->cfg->nr_addrs);
	if (err && err != -ENETDOWN)
		log_warn("group %s: announcing on %s: %s", t->cfg->name, t->device, strerror(-err));
}

static void on_repeat(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct takeover *t = w->data;

	(void)revents;
	announce(t);
	if (++t->repeated >= sizeof(repeats) / sizeof(repeats[0]))
		return;
	ev_timer_set(w, repeats[t->repeated], 0.);
	ev_timer_start(loop, w);
}

static int take_mac(struct takeover *t)
{
	struct netif dev;
	int err;

	if (t->cfg->mac == CFG_MAC_MACVLAN)
		return netif_set_up(t->sk, t->ifindex, true);
	if (t->cfg->mac != CFG_MAC_REPLACE)
		return 0;
	err = netif_get(t->sk, t->device, &dev);
	if (!err && memcmp(dev.mac, t->mac, 6))
		err = netif_set_mac(t->sk, t->ifindex, t->mac);
	return err;
}

int takeover_take(struct takeover *t)
{
	int err;

	takeover_choose_mac(t);
	err = take_mac(t);
	if (err) {
		log_err("group %s: %s does not take the group's MAC: %s", t->cfg->name, t->device, netif_error(err));
		return -EIO;
	}
	t->taken = true;
	for (size_t i = 0; i < t->cfg->nr_addrs; i++) {
		err = netif_add_addr(t->sk, t->ifindex, &t->cfg->addrs[i]);
		if (!err)
			continue;
		log_err("group %s: %s does not take address %zu of the group: %s", t->cfg->name, t->device, i + 1,
			netif_error(err));
		return -EIO;
	}
	announce(t);
	t->repeated = 0;
	ev_timer_stop(t->loop, &t->repeat);
	ev_timer_set(&t->repeat, repeats[0], 0.);
	ev_timer_start(t->loop, &t->repeat);
	return 0;
}

void takeover_resume(struct takeover *t)
{
	t->taken = true;
}

void takeover_release(struct takeover *t)
{
	struct netif dev;
	uint8_t idle[6];
	int err;

	ev_timer_stop(t->loop, &t->repeat);
	t->taken = false;
	for (size_t i = 0; i < t->cfg->nr_addrs; i++) {
		err = netif_del_addr(t->sk, t->ifindex, &t->cfg->addrs[i]);
		if (err)
			log_err("group %s: address %zu stays on %s: %s", t->cfg->name, i + 1, t->device,
				netif_error(err));
	}
	if (t->cfg->mac == CFG_MAC_MACVLAN)
		netif_set_up(t->sk, t->ifindex, false);
	if (t->cfg->mac != CFG_MAC_REPLACE || netif_get(t->sk, t->device, &dev))
		return;
	idle_mac(t, idle);
	if (!memcmp(dev.mac, idle, 6))
		return;
	err = netif_set_mac(t->sk, t->ifindex, idle);
	if (err)
		log_err("group %s: %s keeps the group's MAC, and is mute with it: %s", t->cfg->name, t->device,
			netif_error(err));
}
