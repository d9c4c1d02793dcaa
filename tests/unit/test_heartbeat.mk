# SPDX-License-Identifier: GPL-2.0-only
test_heartbeat_SRCS := sync_rig.c $(addprefix ../../daemon/,attr.c heartbeat.c term.c) ../../lib/wire.c
test_heartbeat_LIBS := -lmnl
