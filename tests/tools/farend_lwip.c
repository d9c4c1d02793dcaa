// SPDX-License-Identifier: GPL-2.0-only
/*
 * farend_lwip: a far end whose TCP is lwIP. It relays one local byte stream through lwIP, so that every
 * far-end tool that speaks plain sockets can be tried over a stack that is not Linux:
 *
 *	far-end tool --(127.0.0.1:PORT)--> farend_lwip --(lwIP on a TAP device)--> service address
 *
 * As Debian builds it lwIP negotiates a window scale of 1, no SACK and no timestamps: a far end that can
 * give no nonce.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
/* lwIP has a default segment size of its own under this name. */
#undef TCP_MSS
#include <sys/socket.h>

#include <lwip/init.h>
#include <lwip/ip_addr.h>
#include <lwip/netif.h>
#include <lwip/sockets.h>
#include <lwip/tcpip.h>
#include <netif/tapif.h>

struct relay {
	int local;		/* kernel socket */
	int far;		/* lwIP socket */
};

static struct netif netif;

static void fatal(const char *what)
{
	fprintf(stderr, "farend_lwip: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void usage(FILE *f)
{
	fprintf(f,
		"usage: farend_lwip -t TAP -a ADDR/LEN -p LOCALPORT -c SERVICE:PORT\n"
		"  -t TAP           TAP device that exists and is up\n"
		"  -a ADDR/LEN      IPv4 address of the lwIP stack\n"
		"  -p LOCALPORT     accept one connection on 127.0.0.1:LOCALPORT and relay it\n"
		"  -c SERVICE:PORT  IPv4 address and port to connect to through lwIP\n");
}

static bool parse_addr_port(char *s, ip4_addr_t *addr, uint16_t *port, char sep)
{
	char *p = strrchr(s, sep);
	char *end;
	unsigned long v;

	if (!p)
		return false;
	*p++ = '\0';
	v = strtoul(p, &end, 10);
	if (*end || v > 65535 || inet_pton(AF_INET, s, addr) != 1)
		return false;
	*port = (uint16_t)v;
	return true;
}

static void stack_up(void)
{
	/*
	 * Debian's lwIP takes a frame from the TAP device into one buffer of its pool (592 bytes)
	 * without looking at its length: what the far end is told as MSS follows from this.
	 */
	netif.mtu = 576;
	netif_set_default(&netif);
	netif_set_link_up(&netif);
	netif_set_up(&netif);
}

/* One direction each: a blocking copy is all that a relay of one connection needs. */
static void *local_to_far(void *arg)
{
	struct relay *r = arg;
	char buf[16384];
	ssize_t n;

	while ((n = read(r->local, buf, sizeof(buf))) > 0) {
		ssize_t off = 0;

		while (off < n) {
			ssize_t w = lwip_write(r->far, buf + off, (size_t)(n - off));

			if (w <= 0) {
				fprintf(stderr, "farend_lwip: far end: write: errno %d\n", errno);
				shutdown(r->local, SHUT_RDWR);
				return NULL;
			}
			off += w;
		}
	}
	lwip_shutdown(r->far, SHUT_WR);
	return NULL;
}

static int far_to_local(struct relay *r)
{
	char buf[16384];
	ssize_t n;

	while ((n = lwip_read(r->far, buf, sizeof(buf))) > 0) {
		ssize_t off = 0;

		while (off < n) {
			ssize_t w = write(r->local, buf + off, (size_t)(n - off));

			if (w <= 0)
				return 0;
			off += w;
		}
	}
	if (n < 0) {
		struct linger lg = { .l_onoff = 1 };

		/* the tool sees what happened to its connection: a reset */
		fprintf(stderr, "farend_lwip: connection lost: errno %d\n", errno);
		setsockopt(r->local, SOL_SOCKET, SO_LINGER, &lg, sizeof(lg));
		close(r->local);
		return 1;
	}
	shutdown(r->local, SHUT_WR);
	return 0;
}

static int local_accept(uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1, fd, ls = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (ls < 0)
		fatal("socket");
	setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(ls, (struct sockaddr *)&sin, sizeof(sin)) || listen(ls, 1))
		fatal("listen on the local port");
	printf("ready\n");
	fflush(stdout);
	fd = accept(ls, NULL, NULL);
	if (fd < 0)
		fatal("accept");
	close(ls);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static int far_connect(const ip4_addr_t *addr, uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port),
				   .sin_addr.s_addr = addr->addr };
	int fd = lwip_socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		fatal("lwip_socket");
	if (lwip_connect(fd, (struct sockaddr *)&sin, sizeof(sin)))
		fatal("lwip_connect to the service");
	return fd;
}

int main(int argc, char **argv)
{
	const char *tap = NULL;
	ip4_addr_t addr = { 0 }, mask = { 0 }, gw = { 0 }, dst = { 0 };
	uint16_t len = 0, local_port = 0, dport = 0;
	struct relay r;
	pthread_t t;
	bool ok = true;
	int c, ret;

	while ((c = getopt(argc, argv, "t:a:p:c:h")) != -1) {
		switch (c) {
		case 't': tap = optarg; break;
		case 'a': ok = ok && parse_addr_port(optarg, &addr, &len, '/') && len <= 32; break;
		case 'p': local_port = (uint16_t)atoi(optarg); break;
		case 'c': ok = ok && parse_addr_port(optarg, &dst, &dport, ':'); break;
		case 'h': usage(stdout); return 0;
		default: ok = false;
		}
	}
	if (!ok || !tap || !addr.addr || !local_port || !dport) {
		usage(stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	mask.addr = htonl(len ? ~0U << (32 - len) : 0);
	/* tells lwIP's TAP driver to use this device as it is, and run no ifconfig */
	setenv("PRECONFIGURED_TAPIF", tap, 1);
	tcpip_init(NULL, NULL);
	LOCK_TCPIP_CORE();
	if (!netif_add(&netif, &addr, &mask, &gw, NULL, tapif_init, tcpip_input)) {
		fprintf(stderr, "farend_lwip: %s: cannot use this TAP device\n", tap);
		return 1;
	}
	stack_up();
	UNLOCK_TCPIP_CORE();
	r.local = local_accept(local_port);
	r.far = far_connect(&dst, dport);
	printf("connected\n");
	fflush(stdout);
	if (pthread_create(&t, NULL, local_to_far, &r))
		fatal("pthread_create");
	ret = far_to_local(&r);
	if (!ret)
		pthread_join(t, NULL);
	return ret;
}
