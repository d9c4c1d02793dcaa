// SPDX-License-Identifier: GPL-2.0-only
/*
 * tcp_nsr: makes the tracepoints.
 */
#define CREATE_TRACE_POINTS
#include "trace.h"
