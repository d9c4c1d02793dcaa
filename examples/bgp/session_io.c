// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bytes of one session, in and out, by the order that libnsr asks for: for each whole message
 * nsr_recv(), nsr_consume(), then what it changes (nsr_put(), nsr_send()); nsr_commit() comes once
 * per turn of the loop (speaker.c).
 */
#include <errno.h>
#include <string.h>
#include "bgp.h"

static bool process(struct session *s)
{
	struct bgp_error e;
	size_t at = 0;
	int n;

	while ((n = msg_length(s->in_buf + at, s->in_len - at, &e)) > 0) {
		/* Before what the message changes, in the same transaction: the standby sees the
		 * message taken and acted upon, or still to come. */
		nsr_consume(s->conn, (size_t)n);
		s->received++;
		if (!session_handle(s, s->in_buf + at, (size_t)n))
			return false;
		replica_message_done(s->peer->bgp);
		at += (size_t)n;
	}
	if (n < 0)
		return session_fail(s, &e, NULL);
	s->in_len -= at;
	memmove(s->in_buf, s->in_buf + at, s->in_len);
	return true;
}

bool session_input(struct session *s, unsigned int rounds)
{
	while (rounds--) {
		ssize_t n = nsr_recv(s->conn, s->in_buf + s->in_len, sizeof(s->in_buf) - s->in_len);

		if (n == -EAGAIN || n == -EINTR)
			break;
		if (n <= 0)
			return session_close(s, NSR_FIN, n ? strerror((int)-n) : "closed by the peer");
		s->in_len += (size_t)n;
		if (!process(s))
			return false;
	}
	return true;
}

/*
 * A message is sent whole or not at all, as far as the session is concerned. Where the socket takes
 * a part only, the rest is state: were it kept in this process, a takeover at that moment would
 * leave the peer with half a message that nobody can complete.
 */
static bool keep_rest(struct session *s, const uint8_t *rest, size_t len)
{
	memmove(s->rest, rest, len);
	s->rest_len = len;
	s->blocked = len > 0;
	return replica_put_rest(s);
}

bool session_send(struct session *s, const uint8_t *msg, size_t len)
{
	ssize_t n;

	if (!s->live || s->rest_len)
		return false;
	n = nsr_send(s->conn, msg, len);
	if (n <= 0) {
		s->blocked = true;	/* a dead connection shows when it is read */
		return false;
	}
	s->sent++;
	if ((size_t)n < len)
		keep_rest(s, msg + n, len - (size_t)n);
	return true;
}

void session_send_keepalive(struct session *s)
{
	uint8_t msg[BGP_MSG_MAX];

	s->keepalive_due = !session_send(s, msg, keepalive_encode(msg));
}

void session_writable(struct session *s)
{
	ssize_t n;

	s->blocked = false;
	if (!s->live)
		return;
	if (s->rest_len) {
		n = nsr_send(s->conn, s->rest, s->rest_len);
		if (n <= 0) {
			s->blocked = true;
			return;
		}
		keep_rest(s, s->rest + n, s->rest_len - (size_t)n);
		if (s->rest_len)
			return;
	}
	if (s->keepalive_due)
		session_send_keepalive(s);
	bgp_kick(s->peer->bgp);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	struct session *s = w->data;

	(void)events;
	if (s->live) {
		session_input(s, 16);
		return;
	}
	/* A shadow is quiet. Should the kernel ever report one, it must not spin the loop. */
	peer_log(s->peer, LOG_LVL_DEBUG, "the shadow's descriptor is readable");
	ev_io_stop(loop, w);
}

void session_io_init(struct session *s)
{
	ev_io_init(&s->io, on_readable, s->fd, EV_READ);
	s->io.data = s;
}
