# SPDX-License-Identifier: GPL-2.0-only
nsrtool_SRCS := nsrtool_nl.c nsrtool_conn.c nsrtool_group.c nsrtool_inject.c nsrtool_pump.c nsrtool_fuzz.c nsrtool_gate.c nsrtool_opts.c
nsrtool_LIBS := -lmnl
PARTS += $(patsubst %.c,%,$(nsrtool_SRCS))
