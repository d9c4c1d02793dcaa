// SPDX-License-Identifier: GPL-2.0-only
/* A datagram of the application socket, as a hostile application may send it: decoded, its OPs carried out. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "../../lib/wire.h"
#include "attr.h"
#include "store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct nsr_store_caps caps = { .conns = 16, .waiting = 16, .states = 64, .bytes = 1 << 20 };
	struct nsr_store *st = nsr_store_create(&caps, NULL, NULL);
	void *msg = malloc(size ? size : 1);	/* aligned, and of the exact length */
	const char *why = "";
	struct nsr_wire w;

	if (size)
		memcpy(msg, data, size);
	if (!nsr_wire_decode(msg, size, &w, &why)) {
		size_t head = MNL_NLMSG_HDRLEN;

		nsr_wire_u64(&w, NSR_APP_A_CONN_ID);
		nsr_wire_str(&w, NSR_APP_A_GROUP);
		nsr_store_txn(st, "app", (uint8_t *)msg + head, w.len - head);
	}
	free(msg);
	nsr_store_destroy(st);
	return 0;
}
