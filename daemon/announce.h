/* SPDX-License-Identifier: GPL-2.0-only */
/* announce: gratuitous ARP and unsolicited neighbour advertisements. The builders are pure. */
#ifndef NSRD_ANNOUNCE_H
#define NSRD_ANNOUNCE_H

#include <stddef.h>
#include <stdint.h>

#define ANNOUNCE_FRAME_MAX 86	/* Ethernet 14 + IPv6 40 + NA 24 + option 8 */

struct cfg_addr;

/* Bytes written. @reply: ARP reply rather than request: stacks differ in which one they believe. */
size_t announce_build_arp(uint8_t frame[ANNOUNCE_FRAME_MAX], const uint8_t mac[6], const uint8_t addr[4],
			  int reply);
size_t announce_build_na(uint8_t frame[ANNOUNCE_FRAME_MAX], const uint8_t mac[6], const uint8_t addr[16]);

/* Sends each address once, in every form that it has; 0, or the errno of the first failure. */
int announce_send(uint32_t ifindex, const uint8_t mac[6], const struct cfg_addr *addrs, size_t n);

#endif
