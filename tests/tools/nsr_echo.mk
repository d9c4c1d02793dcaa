# SPDX-License-Identifier: GPL-2.0-only
nsr_echo_SRCS = $(nsr_app_SRCS)
nsr_echo_LIBS := -lmnl
