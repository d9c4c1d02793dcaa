# SPDX-License-Identifier: GPL-2.0-only
test_store_SRCS := sync_rig.c $(STORE_SRCS)
test_store_LIBS := -lmnl -lgnutls
