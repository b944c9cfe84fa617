#!/usr/bin/env bash
# The Discord bridge against a Discord of our own; then every request that it made there against Discord's own schema, by Prism.
. tests/lib/common.sh
export LANDBRIDGE_DISCORD_REQUESTS=$WORK/discord-requests.jsonl
rm -f "$LANDBRIDGE_DISCORD_REQUESTS"
cargo_tests -p landbridge-discord

schema=${DISCORD_OPENAPI:-$SHARED/networks/discord/openapi.json}
if [ ! -f "$schema" ]; then
    skip "Discord's OpenAPI data is not at ../shared/networks/discord/openapi.json"
    exit 0
fi
if ! command -v npx >/dev/null; then
    skip "npx is not installed: Prism needs Node"
    exit 0
fi
check "every request is valid to Discord's own schema" \
    python3 tests/spec/discord.py "$schema" "$LANDBRIDGE_DISCORD_REQUESTS"
