#!/usr/bin/env bash
# Real processes, kill -9: nothing lost, doubled or reordered; our homeserver, then Synapse, which forgets what it accepted. CI's
# size; the full one is CRASH_MESSAGES=10000 CRASH_KILLS=50.
. tests/lib/common.sh
release_build
test_program crash
check "our homeserver, Playground network, bridge" env \
    CRASH_MESSAGES="${CRASH_MESSAGES:-400}" CRASH_KILLS="${CRASH_KILLS:-6}" "$PROGRAM"

need_python synapse matrix-synapse
check "Synapse, Playground network, bridge" env HOMESERVER_LAUNCHER="$PWD/tests/bench/launchers/synapse" SYNAPSE_PYTHON="$PYTHON" \
    CRASH_MESSAGES="${CRASH_SYNAPSE_MESSAGES:-200}" CRASH_KILLS="${CRASH_SYNAPSE_KILLS:-3}" "$PROGRAM"
