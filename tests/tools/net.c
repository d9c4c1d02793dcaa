// SPDX-License-Identifier: GPL-2.0-only
/* net: see net.h */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "net.h"

void net_parse(const char *text, struct net_addr *a)
{
	struct sockaddr_in6 *in6 = (void *)&a->ss;
	struct sockaddr_in *in = (void *)&a->ss;
	char host[64] = "";
	unsigned int port = 0;

	memset(a, 0, sizeof(*a));
	if (text[0] == '[') {
		char *scope;

		if (sscanf(text, "[%63[^]]]:%u", host, &port) < 1 || port > 65535)
			errx(2, "%s: not [IPv6 address]:port", text);
		scope = strchr(host, '%');
		if (scope) {
			*scope++ = '\0';
			in6->sin6_scope_id = if_nametoindex(scope);
		}
		if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1)
			errx(2, "%s: not [IPv6 address%%device]:port", text);
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		a->len = sizeof(*in6);
	} else if (strchr(text, ':') && strchr(text, ':') != strrchr(text, ':')) {
		if (inet_pton(AF_INET6, text, &in6->sin6_addr) != 1)
			errx(2, "%s: not an IPv6 address; with a port: [address]:port", text);
		in6->sin6_family = AF_INET6;
		a->len = sizeof(*in6);
	} else {
		if (sscanf(text, "%63[^:]:%u", host, &port) < 1 || port > 65535 ||
		    inet_pton(AF_INET, host, &in->sin_addr) != 1)
			errx(2, "%s: not IPv4 address:port", text);
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		a->len = sizeof(*in);
	}
}

void net_format(const struct sockaddr_storage *ss, char *text, size_t size)
{
	const struct sockaddr_in6 *in6 = (const void *)ss;
	const struct sockaddr_in *in = (const void *)ss;
	char host[INET6_ADDRSTRLEN];

	if (ss->ss_family == AF_INET)
		snprintf(text, size, "%s:%u", inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host)),
			 ntohs(in->sin_port));
	else
		snprintf(text, size, "[%s]:%u", inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host)),
			 ntohs(in6->sin6_port));
}

static void set(int fd, int level, int name, int value, const char *what)
{
	if (value && setsockopt(fd, level, name, &value, sizeof(value)) < 0)
		err(2, "%s %d", what, value);
}

/* Only a socket of the far end's own family has a use for its key. */
static void set_md5(int fd, const char *text)
{
	const char *comma = strchr(text, ',');
	struct tcp_md5sig sig = { 0 };
	struct net_addr a;
	socklen_t len = sizeof(int);
	int family;
	char addr[64];

	if (!comma || strlen(comma + 1) > sizeof(sig.tcpm_key))
		errx(2, "--md5 %s: expected ADDR,KEY", text);
	snprintf(addr, sizeof(addr), "%.*s", (int)(comma - text), text);
	net_parse(addr, &a);
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) || family != a.ss.ss_family)
		return;
	memcpy(&sig.tcpm_addr, &a.ss, sizeof(sig.tcpm_addr));
	sig.tcpm_keylen = (uint16_t)strlen(comma + 1);
	memcpy(sig.tcpm_key, comma + 1, sig.tcpm_keylen);
	if (setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &sig, sizeof(sig)))
		err(2, "TCP_MD5SIG");
}

void net_apply(int fd, const struct net_opts *o)
{
	set(fd, SOL_SOCKET, SO_RCVBUF, o->rcvbuf, "SO_RCVBUF");
	set(fd, SOL_SOCKET, SO_SNDBUF, o->sndbuf, "SO_SNDBUF");
	set(fd, IPPROTO_TCP, TCP_MAXSEG, o->mss, "TCP_MAXSEG");
	set(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, o->window_clamp, "TCP_WINDOW_CLAMP");
	set(fd, IPPROTO_TCP, TCP_NODELAY, o->nodelay, "TCP_NODELAY");
	set(fd, IPPROTO_IP, IP_TOS, o->tos, "IP_TOS");
	if (o->congestion &&
	    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, o->congestion, (socklen_t)strlen(o->congestion)))
		err(2, "TCP_CONGESTION %s", o->congestion);
	if (o->device && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, o->device, (socklen_t)strlen(o->device)))
		err(2, "SO_BINDTODEVICE %s", o->device);
	if (o->md5)
		set_md5(fd, o->md5);
}

int net_listen(const struct net_addr *a, const struct net_opts *o)
{
	int fd = socket(a->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		err(2, "socket");
	set(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
	/* The service address may be on the other box at this moment. */
	if (a->ss.ss_family == AF_INET) {
		set(fd, IPPROTO_IP, IP_FREEBIND, 1, "IP_FREEBIND");
	} else {
		set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1, "IPV6_FREEBIND");
		set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1, "IPV6_V6ONLY");
	}
	net_apply(fd, o);
	if (bind(fd, (const void *)&a->ss, a->len) < 0)
		err(2, "bind");
	if (listen(fd, 128) < 0)
		err(2, "listen");
	return fd;
}

int net_connect(const struct net_addr *to, const struct net_addr *bound, const struct net_opts *o, bool nonblock)
{
	int fd = socket(to->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), e;

	if (fd < 0)
		return -errno;
	net_apply(fd, o);
	set(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, o->fastopen, "TCP_FASTOPEN_CONNECT");
	set(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
	if (bound->len && bind(fd, (const void *)&bound->ss, bound->len) < 0)
		goto fail;
	if (nonblock)
		fcntl(fd, F_SETFL, O_NONBLOCK);
	if (connect(fd, (const void *)&to->ss, to->len) < 0 && !(nonblock && errno == EINPROGRESS))
		goto fail;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
fail:
	e = -errno;
	close(fd);
	return e;
}

uint64_t net_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Of ten whiles one is idle, the others lie between a hundredth of the rate and all of it; one of forty is a burst. */
static void vary(struct net_rate *r, uint64_t now)
{
	static const unsigned int percent[] = { 0, 1, 3, 10, 20, 30, 50, 70, 100, 100 };
	bool burst = random() % 40 == 0;
	unsigned int pick = random() % 10;

	r->idle = !burst && pick == 0;
	r->rate = burst ? 0 : r->varied * percent[pick] / 100 + 1;
	r->until = now + (burst ? 20 : 200 + random() % 1000);
	r->start = 0;
	r->done = 0;
}

uint64_t net_rate_room(struct net_rate *r)
{
	uint64_t now = net_now_ms(), may, burst;

	if (r->varied && now >= r->until)
		vary(r, now);
	if (r->idle)
		return 0;
	burst = r->rate / 10 + 1;
	if (!r->rate)
		return UINT64_MAX;
	if (!r->start)
		r->start = now;
	may = (now - r->start) * r->rate / 1000 + 1;
	/* Held up for a while: no burst of all that was missed. */
	if (may > r->done + burst) {
		r->start += (may - r->done - burst) * 1000 / r->rate;
		may = r->done + burst;
	}
	if (may <= r->done)
		return 0;
	/* Whoever asks often is not to send a few bytes each time. */
	return r->varied && may - r->done < burst / 4 ? 0 : may - r->done;
}

unsigned int net_rate_wait(const struct net_rate *r)
{
	uint64_t now = net_now_ms();

	if (r->varied && r->idle)
		return r->until > now ? r->until - now : 1;
	if (r->varied)		/* a quarter of a burst */
		return r->rate ? 25 : 1;
	if (!r->rate)
		return 0;
	return r->rate >= 1000 ? 5 : 1000 / r->rate;
}
