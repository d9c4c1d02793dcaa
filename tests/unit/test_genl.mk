# SPDX-License-Identifier: GPL-2.0-only
test_genl_SRCS := ../../daemon/genl.c
test_genl_LIBS := -lmnl
