/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * transport: an ordered byte stream to the peer, and how one comes about. Nothing above it knows what
 * carries the bytes; today that is TCP in the clear.
 *
 * Nothing blocks. Callbacks come from the loop, or from transport_drain(), never from within another call
 * of the owner; the owner may close the transport in any of them.
 */
#ifndef NSRD_TRANSPORT_H
#define NSRD_TRANSPORT_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define TRANSPORT_QUEUE_MAX	(64u << 20)	/* bytes that wait for a peer that does not read */
#define TRANSPORT_QUEUE_LOW	(256u << 10)	/* writable() comes when fewer wait */
#define TRANSPORT_DEAD_MS	5000		/* unacknowledged for so long: closed */

struct transport;
struct transport_listener;

struct transport_ops {
	void (*up)(void *data);		/* dialled: may send from now on */
	void (*receive)(void *data, const void *buf, size_t len);
	void (*writable)(void *data);	/* the queue has fallen below TRANSPORT_QUEUE_LOW */
	void (*closed)(void *data, const char *why);	/* the owner calls transport_close() */
};

/* What stands in front of the words if the other side could not be reached */
#define TRANSPORT_DIAL_FAILED	"connect: "
/* NULL, with the words in why[len]: could not even begin. @local: source address, its port ignored. */
struct transport *transport_dial(struct ev_loop *loop, const struct sockaddr_storage *local,
				 const struct sockaddr_storage *peer, const struct transport_ops *ops,
				 void *data, char *why, size_t len);
/* Takes fd over, a connected stream socket (of a listener, or of a test). NULL: out of memory, fd closed. */
struct transport *transport_adopt(struct ev_loop *loop, int fd, const struct transport_ops *ops, void *data);
/* False: queue bound reached, nothing of it was taken. It leaves with the next flush, or turn of the loop. */
bool transport_send(struct transport *t, const void *buf, size_t len);
void transport_flush(struct transport *t);
size_t transport_queued(const struct transport *t);
/* Reads what has arrived, up to a bound. */
void transport_drain(struct transport *t);
/* Sends what the kernel takes at once, then closes and frees. */
void transport_close(struct transport *t);

/* @accepted: takes the connected socket over; from: the dialler's address */
struct transport_listener *transport_listen(struct ev_loop *loop, const struct sockaddr_storage *local,
					    void (*accepted)(void *data, int fd,
							     const struct sockaddr_storage *from),
					    void *data, char *why, size_t len);
void transport_unlisten(struct transport_listener *l);
uint16_t transport_listener_port(const struct transport_listener *l);	/* host order */

/* "192.0.2.1:4179", "[2001:db8::1]:4179" */
#define TRANSPORT_NAME_MAX	80
const char *transport_name(const struct sockaddr_storage *ss, char buf[TRANSPORT_NAME_MAX]);
/* Same address, whatever the port; IPv4 mapped into IPv6 counts as IPv4. */
bool transport_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b);

#endif
