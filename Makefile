# SPDX-License-Identifier: GPL-2.0-only
#
# No logic here: each part has its own Makefile. "make help" says what there is.

PREFIX ?= /usr/local
DESTDIR ?=
# Where built things go; with sanitizers, elsewhere.
B ?= $(CURDIR)/build$(if $(SAN),/san)
export PREFIX DESTDIR B

all: daemon lib examples

# The user-space parts. SAN=1 builds with ASan and UBSan.
daemon lib:
	@$(MAKE) --no-print-directory -C $@

examples:
	@$(MAKE) --no-print-directory -C examples/bgp

tools:
	@$(MAKE) --no-print-directory -C tests/tools

daemon examples tools: lib

# A relative KDIR counts from here.
modules:
	@$(MAKE) --no-print-directory -C kmod modules $(if $(KDIR),KDIR=$(abspath $(KDIR)))

check: deps
	@tests/run

check-models: deps
	@$(MAKE) --no-print-directory -C tests/models check-big

check-debug: deps
	@tests/run -k debug guest

torture: deps
	@tests/torture

bgp-table: deps
	@tests/bgp-table

bench-lossless: deps
	@tests/bench-lossless

demo: deps
	@scripts/demo/run

deps:
	@scripts/deps

install:
	@$(MAKE) --no-print-directory -C lib install
	@$(MAKE) --no-print-directory -C daemon install
	@$(MAKE) --no-print-directory -C examples/bgp install
	@install -D -m 644 uapi/tcp_nsr.h $(DESTDIR)$(PREFIX)/include/linux/tcp_nsr.h
	@install -D -m 644 uapi/nsr_app.h $(DESTDIR)$(PREFIX)/include/linux/nsr_app.h
	@install -D -m 644 Documentation/operations.md $(DESTDIR)$(PREFIX)/share/doc/nsrd/operations.md

modules_install:
	@$(MAKE) --no-print-directory -C kmod install $(if $(KDIR),KDIR=$(abspath $(KDIR)))

clean:
	rm -rf build/modules build/obj build/san build/bin build/tests

distclean:
	rm -rf build

help:
	@sed -n 's/^#: \?//p' Makefile

#: make              the daemon, the library, the examples (SAN=1: with sanitizers)
#: make modules      tcp_nsr.ko for each kernel of the VM runner; W=1 C=2 as in the kernel;
#:                   KDIR=/lib/modules/.../build for any other kernel, then
#: make modules_install
#: make check        install what is missing from Debian, then all tests
#: make check-models the models of the rules with all their bounds: minutes, and some 6 GB
#: make check-debug  the module's tests in the debug kernel: some two hours
#: make torture      kills at random moments while streams flow; KILLS=100 SEED=n KERNEL=6.12
#:                   MODES="lossless adopt naive"
#: make bgp-table   full tables from BIRD and FRR, and back, while boxes die; TABLE=100000 KERNEL=6.12
#: make bench-lossless  what mode lossless costs, as ratios; KERNEL=6.12
#: make demo         install what is missing from Debian, then the demonstration
#: make install      daemon, unit file, library, headers, nsr-bgpd, manual pages, operations.md;
#:                   PREFIX=/usr/local DESTDIR=
#: make clean        what was compiled; "make distclean" also the fetched kernels

.PHONY: all daemon lib examples tools modules check check-models check-debug torture bgp-table bench-lossless demo deps \
	install modules_install clean distclean help
