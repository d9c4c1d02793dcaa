# SPDX-License-Identifier: GPL-2.0-only
# What the tests of libnsr with a scripted nsrd share.
lib_rig_SRCS := lib_rig.c $(wildcard ../../lib/*.c)
lib_rig_LIBS := -lmnl
