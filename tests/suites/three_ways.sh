#!/usr/bin/env bash
# Two networks in one room, Slack and IRC: three ways, without echo. Once with both bridges in our homeserver's process, once with each
# alone beside Synapse. THREE_WAYS_MESSAGES is how much each side says.
. tests/lib/common.sh
export PATH=$PATH:/usr/sbin
need_command ngircd ngircd
need_slack
release_build
test_program three_ways
check "Slack, IRC and Matrix in one room, all in one process" "$PROGRAM"

need_python synapse matrix-synapse
check "Slack, IRC and Matrix in one room of Synapse" env \
    HOMESERVER_LAUNCHER="$PWD/tests/bench/launchers/synapse" SYNAPSE_PYTHON="$PYTHON" "$PROGRAM"
