# SPDX-License-Identifier: GPL-2.0-only
test_lib_link_SRCS = $(lib_rig_SRCS)
test_lib_link_LIBS = $(lib_rig_LIBS)
