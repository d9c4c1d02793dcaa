/* SPDX-License-Identifier: GPL-2.0-only */
/* net: addresses, socket options and rates, as the test programs take them from their command lines. */
#ifndef NET_H
#define NET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct net_addr {
	struct sockaddr_storage ss;
	socklen_t len;			/* 0: not given */
};

/* Options of a TCP socket; 0: as the system has it. */
struct net_opts {
	int rcvbuf, sndbuf, mss, window_clamp;
	bool nodelay;
	int tos;
	const char *congestion;
	const char *device;		/* SO_BINDTODEVICE: an interface, or a VRF */
	bool fastopen;			/* connect(): the first data goes with the SYN */
	const char *md5;		/* "ADDR,KEY": RFC 2385, for this far end */
};

/* "10.0.0.1:179", "[2001:db8::1]:179", "10.0.0.1" (port 0). Exits 2 with words on stderr. */
void net_parse(const char *text, struct net_addr *a);
void net_format(const struct sockaddr_storage *ss, char *text, size_t size);	/* the same form */
/* Before listen() or connect(), so that the handshake knows. Exits 2. */
void net_apply(int fd, const struct net_opts *o);
int net_listen(const struct net_addr *a, const struct net_opts *o);	/* IP_FREEBIND; exits 2 */
/* A socket that connects; bind.len 0: not bound. Negative errno. nonblock: -EINPROGRESS is not an error. */
int net_connect(const struct net_addr *to, const struct net_addr *bind, const struct net_opts *o, bool nonblock);

/* A token bucket: how many bytes may go now. rate 0: any number. */
struct net_rate {
	uint64_t rate;			/* bytes per second */
	uint64_t start, done;		/* ms; bytes */
	/* Another rate every while, from none at all to this one, and now and then for a moment any. 0: always rate. */
	uint64_t varied;
	uint64_t until;			/* ms */
	bool idle;
};
uint64_t net_now_ms(void);
uint64_t net_rate_room(struct net_rate *r);
unsigned int net_rate_wait(const struct net_rate *r);	/* ms until there is room for a little */

#endif
