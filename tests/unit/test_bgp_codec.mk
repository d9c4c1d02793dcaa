# SPDX-License-Identifier: GPL-2.0-only
test_bgp_codec_SRCS := $(addprefix ../../examples/bgp/,addr.c attr.c attr_parse.c message.c update.c \
	rib.c state.c)
