#!/usr/bin/env bash
# The Telegram bridge between our homeserver, then Synapse, and a server that speaks Telegram's protocol: its own tests from end to end; then
# kill -9, broken connections, lost answers, waits. CI's size; the full one is TELEGRAM_MESSAGES=5000 TELEGRAM_KILLS=25.
. tests/lib/common.sh
release_build
end_to_end telegram
test_program crash_telegram
check "our homeserver, the Telegram bridge" env \
    TELEGRAM_MESSAGES="${TELEGRAM_MESSAGES:-300}" TELEGRAM_KILLS="${TELEGRAM_KILLS:-4}" "$PROGRAM"

check "Synapse, the Telegram bridge" env HOMESERVER_LAUNCHER="$PWD/tests/bench/launchers/synapse" \
    TELEGRAM_MESSAGES="${TELEGRAM_SYNAPSE_MESSAGES:-200}" TELEGRAM_KILLS="${TELEGRAM_SYNAPSE_KILLS:-3}" "$PROGRAM"
