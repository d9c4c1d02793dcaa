// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "frame.h"

static const char *const names[NSR_FRAME_TYPES] = {
	[NSR_FRAME_HELLO] = "HELLO",
	[NSR_FRAME_HEARTBEAT] = "HEARTBEAT",
	[NSR_FRAME_ACK] = "ACK",
	[NSR_FRAME_SNAPSHOT_ASK] = "SNAPSHOT_ASK",
	[NSR_FRAME_SNAPSHOT_BEGIN] = "SNAPSHOT_BEGIN",
	[NSR_FRAME_SNAPSHOT_END] = "SNAPSHOT_END",
	[NSR_FRAME_CONN_ADD] = "CONN_ADD",
	[NSR_FRAME_CONN_CHANGE] = "CONN_CHANGE",
	[NSR_FRAME_CONN_DEL] = "CONN_DEL",
	[NSR_FRAME_TXN] = "TXN",
	[NSR_FRAME_HANDOVER] = "HANDOVER",
};

/** struct header - on the wire, big-endian */
struct header {
	uint32_t length;
	uint16_t type, flags;
	uint64_t seq;
};

_Static_assert(sizeof(struct header) == NSR_FRAME_HEADER, "no padding");

bool nsr_frame_is_record(uint16_t type)
{
	return type >= NSR_FRAME_SNAPSHOT_ASK && type < NSR_FRAME_TYPES;
}

const char *nsr_frame_name(uint16_t type)
{
	return type < NSR_FRAME_TYPES && names[type] ? names[type] : "unknown";
}

size_t nsr_frame_begin(struct attr_buf *b, uint16_t type)
{
	struct header h = { .type = htobe16(type) };
	size_t start = b->len;

	attr_buf_append(b, &h, sizeof(h));
	return start;
}

void nsr_frame_end(struct attr_buf *b, size_t start, uint64_t seq)
{
	struct header h;
	size_t len = b->len - start;

	if (len > NSR_FRAME_MAX)
		b->failed = true;
	if (b->failed)
		return;
	memcpy(&h, b->data + start, sizeof(h));
	h.length = htobe32((uint32_t)len);
	h.seq = htobe64(seq);
	memcpy(b->data + start, &h, sizeof(h));
}

void nsr_decoder_init(struct nsr_decoder *d, size_t max)
{
	memset(d, 0, sizeof(*d));
	d->max = max;
}

void nsr_decoder_exit(struct nsr_decoder *d)
{
	free(d->buf);
	d->buf = NULL;
	d->head = d->len = d->size = 0;
}

int nsr_decoder_feed(struct nsr_decoder *d, const void *p, size_t n)
{
	if (d->head) {
		memmove(d->buf, d->buf + d->head, d->len - d->head);
		d->len -= d->head;
		d->head = 0;
	}
	if (n > d->size - d->len) {
		size_t size = d->size ? d->size : 4096;
		uint8_t *buf;

		while (size - d->len < n)
			size *= 2;
		buf = realloc(d->buf, size);
		if (!buf)
			return -ENOMEM;
		d->buf = buf;
		d->size = size;
	}
	if (n)
		memcpy(d->buf + d->len, p, n);
	d->len += n;
	return 0;
}

static int bad(struct nsr_decoder *d, const char *what, unsigned long n)
{
	snprintf(d->error, sizeof(d->error), "%s (%lu)", what, n);
	return -EBADMSG;
}

/* Everything that is wrong with a frame by itself; its length is within bounds. */
static int frame_check(struct nsr_decoder *d, const struct nsr_frame *f, uint16_t flags)
{
	if (!f->type || f->type >= NSR_FRAME_TYPES)
		return bad(d, "frame of unknown type", f->type);
	if (flags)
		return bad(d, "frame with unknown flags", flags);
	if (nsr_frame_is_record(f->type) != !!f->seq)
		return bad(d, f->seq ? "sequence number on what is no record" :
			   "record without a sequence number", f->type);
	if (!attr_seq_ok(f->attrs, f->len))
		return bad(d, "attributes do not fill the frame, of type", f->type);
	return 0;
}

int nsr_decoder_next(struct nsr_decoder *d, struct nsr_frame *f)
{
	struct header h;
	size_t len;
	int err;

	if (d->len - d->head < sizeof(h))
		return 0;
	memcpy(&h, d->buf + d->head, sizeof(h));
	len = be32toh(h.length);
	if (len < sizeof(h))
		return bad(d, "frame shorter than its header", len);
	if (len > d->max)
		return bad(d, "frame too long", len);
	if (len % MNL_ATTR_HDRLEN)
		return bad(d, "frame of a length that attributes cannot have", len);
	if (d->len - d->head < len)
		return 0;
	f->type = be16toh(h.type);
	f->seq = be64toh(h.seq);
	f->attrs = d->buf + d->head + sizeof(h);
	f->len = len - sizeof(h);
	err = frame_check(d, f, be16toh(h.flags));
	if (err)
		return err;
	d->head += len;
	return 1;
}
