# SPDX-License-Identifier: GPL-2.0-only
farend_lwip_CFLAGS := $(shell pkg-config --cflags lwip 2>/dev/null)
farend_lwip_LIBS := $(shell pkg-config --libs lwip 2>/dev/null || echo -llwip) -lpthread
