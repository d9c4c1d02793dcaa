# SPDX-License-Identifier: GPL-2.0-only
# Shared by the stream and echo programs.
PARTS += sha256 pattern net app
nsr_app_SRCS := app.c net.c pattern.c sha256.c $(wildcard ../../lib/*.c)
