# SPDX-License-Identifier: GPL-2.0-only
test_app_SRCS := sync_rig.c sync_box.c ../fuzz/fuzz_app.c $(STORE_SRCS) $(LINK_SRCS) $(SYNC_SRCS) $(APP_SRCS)
test_app_LIBS := -lmnl -lgnutls -lev
# Longer than a busy machine takes to look that nothing has come yet.
test_app_CFLAGS := -fno-strict-aliasing -U_GNU_SOURCE -DAPP_ATTACH_S=3.0
