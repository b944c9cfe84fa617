#!/usr/bin/env bash
# The Slack bridge: its own tests from end to end with our homeserver and Synapse; then against a stand-in (vercel-labs' emulate, with Socket
# Mode around it) kill -9, broken connections, lost answers, rate limits. CI's size; the full one is SLACK_MESSAGES=5000 SLACK_KILLS=30.
. tests/lib/common.sh
release_build
end_to_end slack
need_slack
test_program crash_slack
check "our homeserver, the Slack bridge, the stand-in" env \
    SLACK_MESSAGES="${SLACK_MESSAGES:-200}" SLACK_KILLS="${SLACK_KILLS:-4}" "$PROGRAM"

check "Synapse, the Slack bridge, the stand-in" env \
    HOMESERVER_LAUNCHER="$PWD/tests/bench/launchers/synapse" \
    SLACK_MESSAGES="${SLACK_SYNAPSE_MESSAGES:-100}" SLACK_KILLS="${SLACK_SYNAPSE_KILLS:-2}" "$PROGRAM"
