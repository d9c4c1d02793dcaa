# SPDX-License-Identifier: GPL-2.0-only
test_frame_SRCS := sync_rig.c ../fuzz/fuzz_frame.c $(STORE_SRCS) \
	$(addprefix ../../daemon/,frame.c heartbeat.c hello.c)
test_frame_LIBS := -lmnl -lgnutls
