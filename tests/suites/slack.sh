#!/usr/bin/env bash
# The Slack bridge against a stand-in (vercel-labs' emulate, with Socket Mode around it): kill -9, broken connections, lost answers, rate
# limits. CI's size; the full one is SLACK_MESSAGES=5000 SLACK_KILLS=30.
. tests/lib/common.sh
stand_in=$WORK/slack
mkdir -p "$stand_in"
cp tests/networks/slack/package.json tests/networks/slack/server.mjs "$stand_in/"
if [ ! -d "$stand_in/node_modules/emulate" ]; then
    need_command npm npm
    # The stand-in needs a newer Node than most systems have.
    (cd "$stand_in" && npm install --silent --no-audit --no-fund && npm install --silent --no-audit --no-fund --no-save node@24)
fi
release_build
test_program crash_slack
check "our homeserver, the Slack bridge, the stand-in" env \
    SLACK_STAND_IN="$stand_in" SLACK_NODE="$stand_in/node_modules/node/bin/node" \
    SLACK_MESSAGES="${SLACK_MESSAGES:-200}" SLACK_KILLS="${SLACK_KILLS:-4}" "$PROGRAM"
