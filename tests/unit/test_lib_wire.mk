# SPDX-License-Identifier: GPL-2.0-only
test_lib_wire_SRCS := ../../lib/wire.c
test_lib_wire_LIBS := -lmnl
