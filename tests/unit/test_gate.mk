# SPDX-License-Identifier: GPL-2.0-only
test_gate_SRCS = sync_rig.c sync_box.c sync_noapp.c $(STORE_SRCS) $(LINK_SRCS) $(SYNC_SRCS)
test_gate_LIBS := -lmnl -lgnutls -lev
test_gate_CFLAGS := -fno-strict-aliasing -U_GNU_SOURCE
