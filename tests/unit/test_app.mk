# SPDX-License-Identifier: GPL-2.0-only
test_app_SRCS := sync_rig.c sync_box.c ../fuzz/fuzz_app.c $(STORE_SRCS) $(LINK_SRCS) $(SYNC_SRCS) $(APP_SRCS)
test_app_LIBS := -lmnl -lgnutls -lev
test_app_CFLAGS := -fno-strict-aliasing -U_GNU_SOURCE
