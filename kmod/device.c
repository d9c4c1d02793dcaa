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

/* What a socket is bound to now, for its group; under RCU. Return: false: to a device that is gone. */
static bool read_binding(struct nsr_device *d, const struct sock *sk, const struct nsr_group *g)
{
	const struct net_device *dev, *own = addr_device(sock_net(sk), rcu_dereference(g->cfg));
	int bound = READ_ONCE(sk->sk_bound_dev_if);

	memset(d, 0, sizeof(*d));
	d->role = TCP_NSR_DEV_NAMED;
	if (!bound)
		return true;
	dev = dev_get_by_index_rcu(sock_net(sk), bound);
	if (!dev)
		return false;
	/* Half renamed at this instant: the next look has it. */
	strscpy(d->name, dev->name, sizeof(d->name));
	if (own && bound == own->ifindex)
		d->role = TCP_NSR_DEV_SERVICE;
	else if (own && bound == l3mdev_master_ifindex_rcu(own))
		d->role = TCP_NSR_DEV_VRF;
	return true;
}

static bool equal(const struct nsr_device *a, const struct nsr_device *b)
{
	return a->role == b->role && !strncmp(a->name, b->name, sizeof(a->name));
}

/* Whoever puts it into a message has no lock of the socket. */
static void note(struct nsr_conn *conn, const struct nsr_device *d)
{
	spin_lock_bh(&conn->ns->conn_lock);
	conn->rec.dev = *d;
	spin_unlock_bh(&conn->ns->conn_lock);
}

/**
 * nsr_device_capture() - notes to which device a socket is bound
 * @rec: dev is set; an empty name: to none
 * @sk: socket, locked
 * @g: group that protects it
 *
 * Context: under RCU.
 */
void nsr_device_capture(struct nsr_record *rec, const struct sock *sk, const struct nsr_group *g)
{
	/* Of what is gone no segment comes or goes any more; no device has such a name. */
	if (!read_binding(&rec->dev, sk, g))
		strscpy(rec->dev.name, NSR_DEVICE_GONE, sizeof(rec->dev.name));
}

/**
 * nsr_device_follow() - the socket may be bound to another device by now, or that have another name or role
 * @conn: protected connection; socket's spinlock held, nobody owns it
 *
 * Of a device that is gone what was told stands: what it was to the group is still to be had on the other box.
 *
 * What there is to be told then is in conn->dev_news.
 */
void nsr_device_follow(struct nsr_conn *conn)
{
	struct nsr_device now;
	bool there;

	rcu_read_lock();
	there = read_binding(&now, conn->sk, conn->group);
	rcu_read_unlock();
	if (there && !equal(&now, &conn->rec.dev)) {
		note(conn, &now);
		conn->dev_news = true;
	}
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

	if (!conn->rec.dev.name[0])
		return 0;
	rcu_read_lock();
	dev = dev_get_by_name_rcu(conn->ns->net, conn->rec.dev.name);
	if (dev)
		ifindex = dev->ifindex;
	rcu_read_unlock();
	if (ifindex)
		return ifindex;
	if (!strcmp(conn->rec.dev.name, NSR_DEVICE_GONE))
		nsr_refuse(extack, "DEV_NAME: it is bound to a device that is gone on the active");
	else
		NSR_SET_ERR_MSG_FMT(extack, "DEV_NAME: it is bound to a device that is not here: create it",
				    "DEV_NAME: it is bound to device %s: create it here",
				    conn->rec.dev.name);
	return -ENODEV;
}

/* Return: this box's index of the record's device, 0 for none, or -ENODEV. */
static int find_device(const struct nsr_conn *conn, struct netlink_ext_ack *extack)
{
	if (conn->rec.dev.role == TCP_NSR_DEV_NAMED)
		return find_named(conn, extack);
	return find_service(conn, conn->rec.dev.role == TCP_NSR_DEV_VRF, extack);
}

/* From here on the name is this box's, for whoever becomes its standby. @ifindex 0: to none */
static void bind_to(struct nsr_conn *conn, int ifindex)
{
	struct nsr_device d = { .role = conn->rec.dev.role };
	const struct net_device *dev;
	struct sock *sk = conn->sk;

	rcu_read_lock();
	dev = dev_get_by_index_rcu(sock_net(sk), ifindex);
	if (dev)
		strscpy(d.name, dev->name, sizeof(d.name));
	rcu_read_unlock();
	if (dev)
		note(conn, &d);
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

	conn->dev_said = conn->rec.dev;
	if (ifindex > 0)
		bind_to(conn, ifindex);
	return min(ifindex, 0);
}

/**
 * nsr_device_set() - the active's socket is bound to another device by now
 * @conn: shadow; socket locked
 * @d: as the active says, also if nothing has changed
 * @extack: what is refused, and why
 *
 * Return: 0; -ENODEV: there is no such device here, said once. It is looked for again at the role flip.
 */
int nsr_device_set(struct nsr_conn *conn, const struct nsr_device *d, struct netlink_ext_ack *extack)
{
	int ifindex;

	if (equal(d, &conn->dev_said))
		return 0;
	conn->dev_said = *d;
	note(conn, d);
	ifindex = find_device(conn, extack);
	if (ifindex < 0)
		return ifindex;
	bind_to(conn, ifindex);
	return 0;
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
 * @conn: connection
 * @news: say also that it is bound to none: it may have been bound before
 *
 * Context: any, but conn_lock not held.
 * Return: 0 or -EMSGSIZE.
 */
int nsr_device_put(struct sk_buff *skb, const struct nsr_conn *conn, bool news)
{
	struct nsr_device d;
	int err = 0;

	spin_lock_bh(&conn->ns->conn_lock);
	d = conn->rec.dev;
	spin_unlock_bh(&conn->ns->conn_lock);
	if (d.name[0] || news)
		err = nla_put_string(skb, TCP_NSR_A_CONN_DEV_NAME, d.name);
	if (!err && (d.role != TCP_NSR_DEV_NAMED || news))
		err = nla_put_u8(skb, TCP_NSR_A_CONN_DEV_ROLE, d.role);
	return err;
}
