# SPDX-License-Identifier: GPL-2.0-only
test_config_SRCS := $(addprefix ../../daemon/,config.c config_parse.c config_reload.c md5.c)
test_config_LIBS := -lconfuse
test_announce_SRCS := ../../daemon/announce.c
