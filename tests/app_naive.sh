#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A planned switchover is exact in each mode: streams in both directions, switched over in their midst, in mode naive.

PAIR_MODE=naive exec bash "$(dirname "$0")/app.sh" streams
