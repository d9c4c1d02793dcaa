# SPDX-License-Identifier: GPL-2.0-only
# What the tests of nsrd's store, link, sync and application socket share.
STORE_SRCS := $(addprefix ../../daemon/,attr.c store.c store_conn.c store_txn.c store_digest.c) \
	../../lib/wire.c ../../lib/journal.c
LINK_SRCS := $(addprefix ../../daemon/,frame.c hello.c link.c transport.c log.c)
SYNC_SRCS := $(addprefix ../../daemon/,sync.c sync_in.c sync_snapshot.c gate.c genl.c heartbeat.c term.c)
APP_SRCS := $(addprefix ../../daemon/,app.c app_client.c app_conn.c app_txn.c)
