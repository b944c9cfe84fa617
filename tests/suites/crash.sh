#!/usr/bin/env bash
# Real processes, kill -9: nothing lost, doubled or reordered. CI's size; the full one is
# CRASH_MESSAGES=10000 CRASH_KILLS=50.
. tests/lib/common.sh
release_build
test_program crash
check "our homeserver, Playground network, bridge" env \
    CRASH_MESSAGES="${CRASH_MESSAGES:-400}" CRASH_KILLS="${CRASH_KILLS:-6}" "$PROGRAM"
