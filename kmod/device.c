// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: the device that a socket is bound to: by SO_BINDTODEVICE, by a VRF, or since its far end's
 * address is link-local.
 *
 * An interface index means nothing on another box, and the two boxes' service interfaces may have
 * different names. So a record says what the device is to the group, and its name only where it is
 * nothing of the kind; the other box finds its own.
 */
#include <linux/etherdevice.h>
#include <net/l3mdev.h>

#include "netlink.h"

/*
 * The device that the group's addresses are on. With a macvlan of its own that is not the service interface, which
 * the frames leave by, and it may be in another VRF than that. Under RCU.
 */
static const struct net_device *addr_device(struct net *net, const struct nsr_group_cfg *cfg)
{
	struct net_device *dev, *upper;
	struct list_head *iter;

	dev = cfg->ifindex ? dev_get_by_index_rcu(net, cfg->ifindex) : NULL;
	if (!dev || !cfg->has_mac || ether_addr_equal(dev->dev_addr, cfg->mac))
		return dev;
	netdev_for_each_upper_dev_rcu(dev, upper, iter)
		if (netif_is_macvlan(upper) && net_eq(dev_net(upper), net) &&
		    ether_addr_equal(upper->dev_addr, cfg->mac))
			return upper;
	return dev;
}

/**
 * nsr_device_vrf() - the VRF that a group's addresses are in
 * @net: namespace
 * @cfg: the group's configuration
 *
 * Context: under RCU.
 * Return: index of the VRF, or 0: in none, or a group without a service interface.
 */
int nsr_device_vrf(struct net *net, const struct nsr_group_cfg *cfg)
{
	const struct net_device *dev = addr_device(net, cfg);

	return dev ? l3mdev_master_ifindex_rcu(dev) : 0;
}

/**
 * nsr_device_is_link() - is this the link on which a group's link-local addresses are?
 * @net: namespace
 * @cfg: the group's configuration
 * @ifindex: of a device, or 0
 *
 * Context: under RCU.
 */
bool nsr_device_is_link(struct net *net, const struct nsr_group_cfg *cfg, int ifindex)
{
	const struct net_device *dev;

	if (!ifindex || ifindex == cfg->ifindex)
		return ifindex;
	dev = addr_device(net, cfg);
	return dev && dev->ifindex == ifindex;
}

/**
 * nsr_device_domain() - the VRF that a socket is in
 * @sk: socket of any kind
 *
 * That of the device it is bound to: the stack binds the child of a listener for all VRFs (tcp_l3mdev_accept) when
 * its SYN comes. One that is bound to nothing is in none; unless with that switch its way leads into one.
 *
 * Context: under RCU.
 * Return: index of the VRF, or 0: in none.
 */
int nsr_device_domain(const struct sock *sk)
{
	int bound = READ_ONCE(sk->sk_bound_dev_if);

	if (bound)
		return nsr_device_master(sock_net(sk), bound);
#ifdef CONFIG_NET_L3_MASTER_DEV
	if (READ_ONCE(sock_net(sk)->ipv4.sysctl_tcp_l3mdev_accept) && sk_fullsock(sk)) {
		const struct dst_entry *dst = rcu_dereference(sk->sk_dst_cache);

		return dst ? l3mdev_master_ifindex_rcu(READ_ONCE(dst->dev)) : 0;
	}
#endif
	return 0;
}

/**
 * nsr_device_capture() - notes to which device a socket is bound
 * @rec: dev_role and dev_name are set; an empty name: to none
 * @sk: socket, locked
 * @g: group that protects it
 *
 * Context: under RCU.
 */
void nsr_device_capture(struct nsr_record *rec, const struct sock *sk, const struct nsr_group *g)
{
	const struct nsr_group_cfg *cfg = rcu_dereference(g->cfg);
	const struct net_device *dev, *own = addr_device(sock_net(sk), cfg);
	int bound = READ_ONCE(sk->sk_bound_dev_if);

	memset(rec->dev_name, 0, sizeof(rec->dev_name));
	rec->dev_role = TCP_NSR_DEV_NAMED;
	if (!bound)
		return;
	dev = dev_get_by_index_rcu(sock_net(sk), bound);
	/* Bound to what is gone: no segment comes or goes any more, here or there. */
	strscpy(rec->dev_name, dev ? dev->name : "?", sizeof(rec->dev_name));
	if (own && bound == own->ifindex)
		rec->dev_role = TCP_NSR_DEV_SERVICE;
	else if (own && bound == l3mdev_master_ifindex_rcu(own))
		rec->dev_role = TCP_NSR_DEV_VRF;
}

static int find_service(const struct nsr_conn *conn, bool vrf, struct netlink_ext_ack *extack)
{
	const struct net_device *dev;
	int ifindex = 0;

	rcu_read_lock();
	dev = addr_device(conn->ns->net, rcu_dereference(conn->group->cfg));
	if (dev)
		ifindex = vrf ? l3mdev_master_ifindex_rcu(dev) : dev->ifindex;
	rcu_read_unlock();
	if (ifindex)
		return ifindex;
	if (vrf)
		nsr_refuse(extack, "DEV_ROLE: the service interface is in no VRF here: enslave it, as on the peer");
	else
		nsr_refuse(extack, "DEV_ROLE: the group has no service interface here");
	return -ENODEV;
}

static int find_named(const struct nsr_conn *conn, struct netlink_ext_ack *extack)
{
	const struct net_device *dev;
	int ifindex = 0;

	if (!conn->rec.dev_name[0])
		return 0;
	rcu_read_lock();
	dev = dev_get_by_name_rcu(conn->ns->net, conn->rec.dev_name);
	if (dev)
		ifindex = dev->ifindex;
	rcu_read_unlock();
	if (ifindex)
		return ifindex;
	NSR_SET_ERR_MSG_FMT(extack, "DEV_NAME: it is bound to a device that is not here: create it",
			    "DEV_NAME: it is bound to device %s: create it here", conn->rec.dev_name);
	return -ENODEV;
}

/* Return: this box's index of the record's device, 0 for none, or -ENODEV. */
static int find_device(const struct nsr_conn *conn, struct netlink_ext_ack *extack)
{
	if (conn->rec.dev_role == TCP_NSR_DEV_NAMED)
		return find_named(conn, extack);
	return find_service(conn, conn->rec.dev_role == TCP_NSR_DEV_VRF, extack);
}

/* From here on the name is this box's, for whoever becomes its standby. */
static void bind_to(struct nsr_conn *conn, int ifindex)
{
	const struct net_device *dev;
	struct sock *sk = conn->sk;

	rcu_read_lock();
	dev = dev_get_by_index_rcu(sock_net(sk), ifindex);
	if (dev)
		strscpy(conn->rec.dev_name, dev->name, sizeof(conn->rec.dev_name));
	rcu_read_unlock();
	if (sk->sk_bound_dev_if == ifindex)
		return;
	WRITE_ONCE(sk->sk_bound_dev_if, ifindex);
	sk_dst_reset(sk);
}

/**
 * nsr_device_bind() - binds a fresh socket to the record's device
 * @conn: shadow to be; socket locked
 * @extack: what is refused, and why
 *
 * A record without a device leaves the socket's own binding, if it has one.
 *
 * Return: 0 or -ENODEV.
 */
int nsr_device_bind(struct nsr_conn *conn, struct netlink_ext_ack *extack)
{
	int ifindex = find_device(conn, extack);

	if (ifindex > 0)
		bind_to(conn, ifindex);
	return min(ifindex, 0);
}

/**
 * nsr_device_renew() - the device may have gone and come back, under another index
 * @conn: shadow; socket locked
 *
 * Neither hash has the device in it, so that nothing has to move.
 */
void nsr_device_renew(struct nsr_conn *conn)
{
	struct netlink_ext_ack ignored = {};
	int ifindex = find_device(conn, &ignored);

	if (ifindex > 0)
		bind_to(conn, ifindex);
}

/**
 * nsr_device_master() - the VRF that a device belongs to
 * @net: namespace
 * @ifindex: of the device, or 0
 *
 * Context: under RCU.
 * Return: index of the VRF (of the device itself if it is one), or 0.
 */
int nsr_device_master(struct net *net, int ifindex)
{
	return ifindex ? l3mdev_master_ifindex_by_index(net, ifindex) : 0;
}

/**
 * nsr_device_put() - attributes of the device, none if it is bound to none
 * @skb: message
 * @rec: record
 *
 * Return: 0 or -EMSGSIZE.
 */
int nsr_device_put(struct sk_buff *skb, const struct nsr_record *rec)
{
	int err = 0;

	if (rec->dev_name[0])
		err = nla_put_string(skb, TCP_NSR_A_CONN_DEV_NAME, rec->dev_name);
	if (!err && rec->dev_role != TCP_NSR_DEV_NAMED)
		err = nla_put_u8(skb, TCP_NSR_A_CONN_DEV_ROLE, rec->dev_role);
	return err;
}
