# SPDX-License-Identifier: GPL-2.0-only
test_lib_lossless_SRCS = $(lib_rig_SRCS)
test_lib_lossless_LIBS = $(lib_rig_LIBS)
