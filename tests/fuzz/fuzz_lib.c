// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a hostile nsrd may say to libnsr: a sequence of messages, each with a byte of length and one of how the
 * application behaves in its callbacks.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../lib/nsr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct nsr *nsr;
static uint8_t mood;
static volatile size_t sum;

static void use(const void *p, size_t n)
{
	const uint8_t *d = p;

	while (n--)
		sum += *d++;
}

static void on_role(void *data, enum nsr_role role, uint64_t term, unsigned int deadline_ms)
{
	(void)data; (void)role; (void)term; (void)deadline_ms;
	nsr_put(nsr, NULL, "k", 1, "v", 1);
	nsr_commit(nsr);
	if (mood & 1)
		nsr_left(nsr);
}

static void on_snapshot(void *data)
{
	(void)data;
	nsr_commit(nsr);
	if (mood & 2)
		nsr_snapshot_done(nsr);
}

static void on_state(void *data, struct nsr_conn *conn, const void *key, size_t klen, const void *val, size_t vlen)
{
	(void)data;
	use(key, klen);
	if (val)
		use(val, vlen);
	if (conn && mood & 4)
		nsr_conn_close(conn, NSR_FIN);
}

static void on_added(void *data, struct nsr_conn *conn, int fd, const struct nsr_conn_info *info)
{
	(void)data; (void)fd;
	use(info, sizeof(*info));
	if (mood & 8)
		nsr_conn_close(conn, NSR_RST);
}

static void on_resumed(void *data, struct nsr_conn *conn, const struct nsr_resume *r)
{
	uint8_t buf[64];
	ssize_t n;

	(void)data;
	use(r, sizeof(*r));
	while ((n = nsr_recv(conn, buf, sizeof(buf))) > 0)
		nsr_consume(conn, n / 2);
	nsr_send(conn, buf, sizeof(buf));
	if (mood & 128)
		nsr_conn_close(conn, NSR_FIN);
	else if (mood & 16)
		nsr_conn_close(conn, NSR_UNPROTECT);
}

static void on_gone(void *data, struct nsr_conn *conn, enum nsr_gone why)
{
	(void)data; (void)why;
	if (mood & 32)
		nsr_conn_close(conn, NSR_FIN);
}

static const struct nsr_listener listener = {
	.size = sizeof(listener), .role = on_role, .snapshot = on_snapshot, .state = on_state,
	.conn_added = on_added, .conn_resumed = on_resumed, .conn_gone = on_gone,
};

/* Bytes of an attribute that a decoder takes; 0: as many as the value says. */
static const uint8_t width[NSR_APP_A_MAX + 1] = {
	[NSR_APP_A_GROUP_ID] = 4, [NSR_APP_A_ROLE] = 1, [NSR_APP_A_TERM] = 8, [NSR_APP_A_EPOCH] = 4,
	[NSR_APP_A_ERRNO] = 4, [NSR_APP_A_HANDLE] = 4, [NSR_APP_A_CONN_ID] = 8, [NSR_APP_A_FAMILY] = 1,
	[NSR_APP_A_LADDR] = 4, [NSR_APP_A_RADDR] = 4, [NSR_APP_A_LPORT] = 2, [NSR_APP_A_RPORT] = 2,
	[NSR_APP_A_MODE] = 1, [NSR_APP_A_GAP] = 1, [NSR_APP_A_PROTECTED] = 1, [NSR_APP_A_TXN] = 8,
	[NSR_APP_A_OP_KIND] = 1, [NSR_APP_A_DATA_POS] = 8, [NSR_APP_A_RCV_CONSUMED] = 8,
	[NSR_APP_A_RCV_TAIL_END] = 8, [NSR_APP_A_SND_WRITTEN] = 8, [NSR_APP_A_SND_POS] = 8,
	[NSR_APP_A_RCV_MISSING] = 8, [NSR_APP_A_PLANNED] = 1, [NSR_APP_A_WHY] = 1, [NSR_APP_A_SND_ACKED] = 8,
};

/* What each message cannot be without, so that mutation is spent on what they mean. */
static const uint8_t basis[] = {
	NSR_APP_A_GROUP_ID, NSR_APP_A_ROLE, NSR_APP_A_TERM, NSR_APP_A_EPOCH, NSR_APP_A_HANDLE,
	NSR_APP_A_CONN_ID, NSR_APP_A_FAMILY, NSR_APP_A_LADDR, NSR_APP_A_RADDR, NSR_APP_A_LPORT,
	NSR_APP_A_RPORT, NSR_APP_A_RCV_CONSUMED, NSR_APP_A_RCV_TAIL_END, NSR_APP_A_SND_POS,
	NSR_APP_A_DATA_POS, NSR_APP_A_WHY, NSR_APP_A_TXN, NSR_APP_A_MODE,
};

static void put_value(struct nsr_wire_buf *b, uint8_t type, uint8_t v)
{
	static const uint8_t filler[256];
	uint8_t p[8] = { v };

	if (type == NSR_APP_A_FAMILY)
		p[0] = v & 64 ? v : AF_INET;
	nsr_wire_put_bytes(b, type, width[type] ? p : filler, width[type] ? width[type] : v);
}

static void put_op(struct nsr_wire_buf *b, const uint8_t *p, size_t len)
{
	size_t i;

	nsr_wire_op_begin(b, p[0] % 5, p[0] >> 5, 0);
	for (i = 1; i + 1 < len; i += 2)
		put_value(b, p[i] % (NSR_APP_A_MAX + 1), p[i + 1]);
	nsr_wire_op_end(b);
}

/*
 * One message as nsrd's: valid attributes in random order with small values, or (mood) raw bytes behind a
 * valid header. Its memory has its exact length.
 */
static size_t build(struct nlmsghdr *msg, size_t room, const uint8_t *p, size_t len)
{
	struct nsr_wire_buf b;
	size_t i, ops = 0;

	nsr_wire_begin(&b, msg, room, NSR_APP_HELLO + (len ? p[0] : 0) % (__NSR_APP_MSG_MAX - NSR_APP_HELLO));
	if (mood & 64) {
		memcpy(msg + 1, p, len);
		msg->nlmsg_len = sizeof(*msg) + len;
		return msg->nlmsg_len;
	}
	for (i = 1; i < len && i <= sizeof(basis); i++)
		put_value(&b, basis[i - 1], p[i] >= 200 ? p[i] : p[i] % 12);
	for (; i + 8 < len && ops < 8; i += 8, ops++)
		put_op(&b, p + i, 8);
	for (; i + 1 < len; i += 2)
		put_value(&b, p[i] % (NSR_APP_A_MAX + 1), p[i + 1]);
	return nsr_wire_end(&b, 1);
}

/* With a descriptor when the mood says so. */
static int say(const uint8_t *p, size_t len)
{
	static uint64_t room[8192];
	size_t n = build((void *)room, sizeof(room), p, len);
	const char *why = NULL;
	struct nsr_wire w;
	int fd = -1, err = 0;
	void *msg;

	if (!n)
		return 0;
	msg = malloc(n);
	memcpy(msg, room, n);
	if (mood & 128)
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (!nsr_wire_decode(msg, n, &w, &why))
		err = nsr_event(nsr, &w, &fd, &why);
	if (fd >= 0)
		close(fd);
	free(msg);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t welcome[] = {
		8, 0, NSR_APP_A_GROUP_ID, 0, 1, 0, 0, 0, 5, 0, NSR_APP_A_ROLE, 0, 1, 0, 0, 0,
		12, 0, NSR_APP_A_TERM, 0, 1, 0, 0, 0, 0, 0, 0, 0,
	};
	struct { struct nlmsghdr h; uint8_t a[sizeof(welcome)]; } first = { 0 };
	const char *why;
	struct nsr_wire w;
	int pair[2], fd = -1;

	if (nsr_open("/nonexistent", "g", "a", &listener, NULL, &nsr) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		abort();
	nsr->sock = pair[0];
	nsr->link = LINK_HELLO;
	first.h.nlmsg_len = sizeof(first);
	first.h.nlmsg_type = NSR_APP_WELCOME;
	memcpy(first.a, welcome, sizeof(welcome));
	if (nsr_wire_decode(&first, sizeof(first), &w, &why) || nsr_event(nsr, &w, &fd, &why))
		abort();
	while (size >= 2 && nsr->link == LINK_UP) {
		size_t len = data[0];

		mood = data[1];
		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		say(data, len);
		data += len;
		size -= len;
		nsr_commit(nsr);
		while (recv(pair[1], &first, sizeof(first), 0) > 0)
			;
	}
	mood = 63;
	nsr_close(nsr);
	close(pair[1]);
	return 0;
}
