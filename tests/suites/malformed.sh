#!/usr/bin/env bash
# Requests that no client makes, out of the specification's OpenAPI data: no 5xx, no panic, an errcode each, memory flat.
# CI's size; the full one is MALFORMED_REQUESTS=50000. MALFORMED_SEED makes others; MALFORMED_DATABASE=postgres.
. tests/lib/common.sh
need_spec_data
# The binary of the unit tests: it is there, and it panics where numbers overflow.
test_program landbridge

folder=$(mktemp -d /tmp/landbridge-malformed.XXXXXX)
server=
trap 'kill "$server" 2>/dev/null && wait "$server" || true; [ -z "${POSTGRES_PID:-}" ] || postgres_stop; rm -rf "$folder"' EXIT
if [ "${MALFORMED_DATABASE:-sqlite}" = postgres ]; then
    . tests/lib/postgres.sh
    cleanup=$(trap -p EXIT)
    postgres_start
    eval "$cleanup"
    export DATABASE=postgres DATABASE_URL=$POSTGRES_URL
fi
mkdir "$folder/appservices"
cat >"$folder/appservices/one.yaml" <<'YAML'
id: one
url: null
as_token: token-of-one
hs_token: token-for-one
sender_localpart: one
rate_limited: false
namespaces:
  users: [{exclusive: true, regex: "@one_.*"}]
  aliases: []
  rooms: []
YAML
port=$(python3 tests/lib/free_port.py)
SERVER_NAME=malformed.test DATA_DIR=$folder/data CLIENT_PORT=$port REGISTRATION_SHARED_SECRET=shared LANDBRIDGE_BINARY=${MALFORMED_BINARY:-$PROGRAM} \
    APPSERVICES_DIR=$folder/appservices tests/launch-homeserver >"$WORK/malformed.log" 2>&1 &
server=$!
for _ in $(seq 300); do
    curl -fs "http://127.0.0.1:$port/_matrix/client/versions" >/dev/null && break
    sleep 0.1
done
check "malformed requests are refused, and that is all" env PYTHONPATH="$PYTHONPATH:tests/spec" "$PYTHON" -m malformed \
    --hs "http://127.0.0.1:$port" --pid "$server" --log "$WORK/malformed.log" --exchanges "$WORK/malformed.jsonl" \
    --application token-of-one --extensions tests/spec/extensions.txt \
    --count "${MALFORMED_REQUESTS:-3000}" --seed "${MALFORMED_SEED:-1}"
check "what was done all the same was answered in the specification's shapes" \
    "$PYTHON" tests/spec/exchanges.py judge "$WORK/malformed.jsonl"
