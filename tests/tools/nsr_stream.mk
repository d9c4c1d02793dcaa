# SPDX-License-Identifier: GPL-2.0-only
nsr_stream_SRCS = $(nsr_app_SRCS)
nsr_stream_LIBS := -lmnl
