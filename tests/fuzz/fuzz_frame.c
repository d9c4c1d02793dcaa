// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bytes of the sync link, as a hostile peer may send them: cut into frames, each given to what reads its
 * kind. For libFuzzer, and for the garbage loops of the unit tests.
 */
#include <stddef.h>
#include <stdint.h>
#include "frame.h"
#include "heartbeat.h"
#include "hello.h"
#include "store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_hello(const struct nsr_frame *f)
{
	struct hello h = { 0 };
	char why[160];

	hello_decode(f->attrs, f->len, &h, why, sizeof(why));
	hello_has_group(&h, 1);
	hello_free(&h);
}

static void take_heartbeat(const struct nsr_frame *f)
{
	struct nsr_heartbeat hb;
	const char *why;
	uint8_t mac[6];
	bool has_mac;

	nsr_heartbeat_decode(f->attrs, f->len, &hb, mac, &has_mac, &why);
}

static void take_conns(struct nsr_store *st, const struct nsr_frame *f)
{
	const struct nlattr *attr;

	mnl_attr_for_each_payload(f->attrs, f->len)
		if (mnl_attr_get_type(attr) == TCP_NSR_A_CONN)
			nsr_store_conn_upsert(st, attr_data(attr), attr_len(attr),
					      f->type == NSR_FRAME_CONN_ADD, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct nsr_store_caps caps = { .conns = 16, .waiting = 16, .states = 64, .bytes = 1 << 20 };
	struct nsr_store *st = nsr_store_create(&caps, NULL, NULL);
	struct nsr_decoder d;
	struct nsr_frame f;
	size_t chunk = size ? data[0] % 64 + 1 : 1, at = 0;
	int got = 0;

	nsr_decoder_init(&d, NSR_FRAME_MAX);
	while (at < size && got >= 0) {
		size_t n = size - at < chunk ? size - at : chunk;

		if (nsr_decoder_feed(&d, data + at, n))
			break;
		at += n;
		while ((got = nsr_decoder_next(&d, &f)) > 0) {
			if (f.type == NSR_FRAME_HELLO)
				take_hello(&f);
			else if (f.type == NSR_FRAME_HEARTBEAT)
				take_heartbeat(&f);
			else if (f.type == NSR_FRAME_TXN)
				nsr_store_txn(st, "app", f.attrs, f.len);
			else
				take_conns(st, &f);
		}
	}
	nsr_decoder_exit(&d);
	nsr_store_destroy(st);
	return 0;
}
