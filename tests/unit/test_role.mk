# SPDX-License-Identifier: GPL-2.0-only
ROLE_SRCS := ../../daemon/role.c ../../daemon/role_table.c ../../daemon/role_steps.c \
	../../daemon/term.c

test_role_SRCS := $(ROLE_SRCS)
test_role_table_SRCS := $(ROLE_SRCS)
# the document must hold the table as it is in the code
test_role_table_CFLAGS := -DROLE_PRINT='"$(OUT)/role_print"' -DROLES_MD='"$(TOP)/Documentation/roles.md"'
test_role_sim_SRCS := role_sim.c $(ROLE_SRCS)
test_role_sim_CFLAGS := -O2
test_term_SRCS := ../../daemon/term.c
role_simrun_SRCS := role_sim.c $(ROLE_SRCS)
role_print_SRCS := $(ROLE_SRCS)
TOOLS += role_simrun role_print
