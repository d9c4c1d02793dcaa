// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * stream: the bytes of one connection that were received and not consumed (the tail), and where they
 * lie. What the application was given by nsr_recv() stays here until nsr_consume(): it is what the
 * standby's application must get to see again.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "nsr.h"

#define FIRST_SIZE	4096u
#define FILL_MAX	(256u << 10)	/* bytes asked of the socket in one go */

/* linux/tcp.h and netinet/tcp.h exclude each other; the states are the kernel's, fixed for ever. */
#define STATE_ESTABLISHED	1
#define STATE_CLOSE_WAIT	8

void nsr_stream_init(struct stream *s, uint64_t pos)
{
	s->consumed = pos;
	s->read = pos;
	s->end = pos;
	s->shipped = pos;
	s->head = 0;
	s->eof = false;
}

void nsr_stream_free(struct stream *s)
{
	free(s->buf);
	s->buf = NULL;
	s->size = 0;
	s->head = 0;
}

size_t nsr_stream_len(const struct stream *s)
{
	return s->end - s->consumed;
}

const uint8_t *nsr_stream_at(const struct stream *s, uint64_t pos)
{
	return s->buf + s->head + (pos - s->consumed);
}

int nsr_stream_reserve(struct stream *s, size_t n)
{
	size_t len = nsr_stream_len(s), want = len + n, size = s->size ? s->size : FIRST_SIZE;
	uint8_t *buf;

	if (s->head + want <= s->size)
		return 0;
	/* Moving costs len; only when at least as much was consumed, so that it is paid for. */
	if (want <= s->size && s->head >= len) {
		memmove(s->buf, s->buf + s->head, len);
		s->head = 0;
		return 0;
	}
	while (size < want)
		size *= 2;
	if (size == s->size)
		size *= 2;
	buf = malloc(size);
	if (!buf)
		return -ENOMEM;
	if (len)
		memcpy(buf, s->buf + s->head, len);
	free(s->buf);
	s->buf = buf;
	s->size = size;
	s->head = 0;
	return 0;
}

void nsr_stream_append(struct stream *s, const void *p, size_t n)
{
	if (n)
		memcpy(s->buf + s->head + nsr_stream_len(s), p, n);
	s->end += n;
}

size_t nsr_stream_read(struct stream *s, void *buf, size_t n)
{
	if (n > s->end - s->read)
		n = s->end - s->read;
	if (n)
		memcpy(buf, nsr_stream_at(s, s->read), n);
	s->read += n;
	return n;
}

int nsr_stream_consume(struct stream *s, size_t n)
{
	if (n > s->read - s->consumed)
		return -ERANGE;
	s->consumed += n;
	s->head += n;
	if (s->consumed == s->end) {
		s->head = 0;
		/* A connection at rest costs no buffer: there may be a hundred thousand. */
		if (s->size > FIRST_SIZE)
			nsr_stream_free(s);
	}
	return 0;
}

void nsr_stream_rewind(struct stream *s)
{
	s->read = s->consumed;
}

void nsr_stream_shift(struct stream *s, uint64_t by)
{
	s->consumed += by;
	s->read += by;
	s->end += by;
	s->shipped = s->consumed;
}

ssize_t nsr_stream_fill(struct stream *s, int fd, size_t n)
{
	size_t room = NSR_TAIL_MAX - nsr_stream_len(s);
	ssize_t got;
	int err;

	if (s->eof)
		return 0;
	if (!room)
		return -ENOBUFS;
	if (n > room)
		n = room;
	if (n > FILL_MAX)
		n = FILL_MAX;
	err = nsr_stream_reserve(s, n);
	if (err)
		return err;
	do {
		got = recv(fd, s->buf + s->head + nsr_stream_len(s), n, MSG_DONTWAIT);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	if (!got)
		s->eof = true;
	s->end += got;
	return got;
}

/*
 * What the socket says, measured on Linux 6.1 to 6.18, passive and active opens: tcpi_bytes_received counts
 * payload and the FIN, SIOCINQ payload only; bytes_sent counts retransmissions (taken off again) and
 * nothing for SYN and FIN; notsent is what was written and never sent. (bytes_acked would need to know who
 * opened: it counts the SYN of an active open, and not that of a passive one.)
 */
int nsr_stream_positions(int fd, uint64_t *rcv, uint64_t *snd)
{
	struct tcp_info a, b;
	socklen_t len;
	int unread;

	do {
		/* The far end goes on meanwhile: take SIOCINQ between two equal readings. */
		memset(&a, 0, sizeof(a));
		memset(&b, 0, sizeof(b));
		len = sizeof(a);
		if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &a, &len) < 0)
			return -errno;
		if (ioctl(fd, SIOCINQ, &unread) < 0)
			return -errno;
		len = sizeof(b);
		if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &b, &len) < 0)
			return -errno;
	} while (a.tcpi_bytes_received != b.tcpi_bytes_received || a.tcpi_state != b.tcpi_state);
	if (a.tcpi_state != STATE_ESTABLISHED && a.tcpi_state != STATE_CLOSE_WAIT)
		return -ENOTCONN;
	*rcv = a.tcpi_bytes_received - (a.tcpi_state == STATE_CLOSE_WAIT) - unread;
	*snd = b.tcpi_bytes_sent - b.tcpi_bytes_retrans + b.tcpi_notsent_bytes;
	return 0;
}
