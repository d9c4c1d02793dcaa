# SPDX-License-Identifier: GPL-2.0-only
far_stream_SRCS := net.c pattern.c sha256.c
