# SPDX-License-Identifier: GPL-2.0-only
test_bgp_session_SRCS := fake_nsr.c $(filter-out %/main.c,$(wildcard ../../examples/bgp/*.c))
test_bgp_session_CFLAGS := -fno-strict-aliasing
test_bgp_session_LIBS := -lev -lconfuse -ljansson
