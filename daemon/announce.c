// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "announce.h"
#include "nsrd.h"

static uint8_t *put(uint8_t *p, const void *bytes, size_t n)
{
	memcpy(p, bytes, n);
	return p + n;
}

static uint8_t *put16(uint8_t *p, uint16_t v)
{
	uint16_t be = htons(v);

	return put(p, &be, 2);
}

size_t announce_build_arp(uint8_t frame[ANNOUNCE_FRAME_MAX], const uint8_t mac[6], const uint8_t addr[4],
			  int reply)
{
	static const uint8_t broadcast[6] = { 255, 255, 255, 255, 255, 255 }, zero[6];
	uint8_t *p = frame;

	p = put(p, broadcast, 6);
	p = put(p, mac, 6);
	p = put16(p, ETHERTYPE_ARP);
	p = put16(p, 1);		/* Ethernet */
	p = put16(p, ETHERTYPE_IP);
	*p++ = 6;
	*p++ = 4;
	p = put16(p, reply ? 2 : 1);
	p = put(p, mac, 6);
	p = put(p, addr, 4);
	/* RFC 5227: the target of a request is zero; of a reply, everybody */
	p = put(p, reply ? broadcast : zero, 6);
	p = put(p, addr, 4);
	return (size_t)(p - frame);
}

static uint32_t sum16(const uint8_t *p, size_t n, uint32_t sum)
{
	for (; n > 1; n -= 2, p += 2)
		sum += (uint32_t)p[0] << 8 | p[1];
	return sum;
}

size_t announce_build_na(uint8_t frame[ANNOUNCE_FRAME_MAX], const uint8_t mac[6], const uint8_t addr[16])
{
	static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };
	static const uint8_t all_nodes_mac[6] = { 0x33, 0x33, 0, 0, 0, 1 };
	static const uint8_t version[4] = { 0x60 }, flags[4] = { 0x20 };	/* O: replaces what is cached */
	uint8_t *p = frame, *icmp;
	uint32_t sum;

	p = put(p, all_nodes_mac, 6);
	p = put(p, mac, 6);
	p = put16(p, ETHERTYPE_IPV6);
	p = put(p, version, 4);
	p = put16(p, 32);
	*p++ = IPPROTO_ICMPV6;
	*p++ = 255;			/* RFC 4861: others are dropped */
	p = put(p, addr, 16);
	p = put(p, all_nodes, 16);
	icmp = p;
	*p++ = 136;			/* neighbour advertisement */
	*p++ = 0;
	p = put16(p, 0);
	p = put(p, flags, 4);
	p = put(p, addr, 16);
	*p++ = 2;			/* target link-layer address */
	*p++ = 1;
	p = put(p, mac, 6);
	sum = sum16(addr, 16, sum16(all_nodes, 16, 32 + IPPROTO_ICMPV6));
	sum = sum16(icmp, 32, sum);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	put16(icmp + 2, (uint16_t)~sum);
	return (size_t)(p - frame);
}

static int send_frame(int fd, uint32_t ifindex, const uint8_t *frame, size_t len)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_ifindex = (int)ifindex,
		.sll_halen = 6,
		.sll_protocol = htons((uint16_t)(frame[12] << 8 | frame[13])),
	};

	memcpy(to.sll_addr, frame, 6);
	if (sendto(fd, frame, len, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return 0;
}

int announce_send(uint32_t ifindex, const uint8_t mac[6], const struct cfg_addr *addrs, size_t n)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);	/* protocol 0: receives nothing */
	uint8_t frame[ANNOUNCE_FRAME_MAX];
	int err = 0;

	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < n; i++) {
		int e;

		if (addrs[i].family == AF_INET) {
			e = send_frame(fd, ifindex, frame, announce_build_arp(frame, mac, addrs[i].addr, 0));
			if (!e)
				e = send_frame(fd, ifindex, frame,
					       announce_build_arp(frame, mac, addrs[i].addr, 1));
		} else {
			e = send_frame(fd, ifindex, frame, announce_build_na(frame, mac, addrs[i].addr));
		}
		if (e && !err)
			err = e;
	}
	close(fd);
	return err;
}
