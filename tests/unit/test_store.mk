# SPDX-License-Identifier: GPL-2.0-only
STORE_SRCS := $(addprefix ../../daemon/,attr.c store.c store_conn.c store_txn.c store_digest.c) ../../lib/wire.c
test_store_SRCS := sync_rig.c $(STORE_SRCS)
test_store_LIBS := -lmnl -lgnutls
