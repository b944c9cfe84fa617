#!/usr/bin/env bash
# The Discord bridge against a Discord of our own: its own tests from end to end with our homeserver and Synapse, then kill -9, then every
# request that the tests made against Discord's own schema, by Prism. CI's size; the full one is DISCORD_MESSAGES=5000 DISCORD_KILLS=20
# DISCORD_FAULTS=100.
. tests/lib/common.sh
export LANDBRIDGE_DISCORD_REQUESTS=$WORK/discord-requests.jsonl
rm -f "$LANDBRIDGE_DISCORD_REQUESTS"
release_build
end_to_end discord
test_program crash_discord
check "our homeserver, the Discord bridge, and a Discord that misbehaves" env \
    DISCORD_MESSAGES="${DISCORD_MESSAGES:-200}" DISCORD_KILLS="${DISCORD_KILLS:-3}" "$PROGRAM"

check "Synapse, the Discord bridge, and a Discord that misbehaves" env \
    HOMESERVER_LAUNCHER="$PWD/tests/bench/launchers/synapse" \
    DISCORD_MESSAGES="${DISCORD_SYNAPSE_MESSAGES:-100}" DISCORD_KILLS="${DISCORD_SYNAPSE_KILLS:-2}" "$PROGRAM"

schema=${DISCORD_OPENAPI:-$PWD/../shared/networks/discord/openapi.json}
if [ ! -f "$schema" ]; then
    skip "Discord's OpenAPI data is not at ../shared/networks/discord/openapi.json"
    exit 0
fi
need_command npx npm
check "every request is valid to Discord's own schema" \
    python3 tests/spec/discord.py "$schema" "$LANDBRIDGE_DISCORD_REQUESTS"
