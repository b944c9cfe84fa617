#!/usr/bin/env bash
# Complement, the field's conformance suite for homeservers, against ours: the Client-Server tests, then those of MSCs.
# Those in expected.txt may fail; anything else that fails is a failure.
#
#   COMPLEMENT_DATABASE=postgres   the servers' databases are on a Postgres of the suite's own
#   COMPLEMENT_SPEC=0              without holding each answer against the specification's OpenAPI data (tests/spec/exchanges.py)
. tests/lib/common.sh
need_command go golang
release_build
export LANDBRIDGE=$PWD COMPLEMENT_BUILD_DIR=$CACHE/complement

if [ "${COMPLEMENT_DATABASE:-sqlite}" = postgres ]; then
    . tests/lib/postgres.sh
    postgres_start
    export POSTGRES_URL
fi

launcher=landbridge
export RECORDED_TO=$WORK/complement.jsonl
rm -f "$RECORDED_TO"
if [ "${COMPLEMENT_SPEC:-1}" = 0 ]; then
    :
elif [ -d "$MATRIX_SPEC_DATA" ]; then
    need_spec_data
    export RECORDED_PYTHON=$PYTHON
    launcher=recorded
else
    skip "answers are not held against the specification: its OpenAPI data is not at ../shared/spec/data"
fi

# complement NAME PACKAGES: a run of these packages; every leaf that passes counts.
complement() {
    local out=$WORK/$1 log=$WORK/$1.log status=0
    rm -rf "$out"
    tests/complement/run -launcher "$launcher" -packages "$2" -sync-timeout 10s -known tests/complement/lists/leaves.txt \
        -expected tests/complement/expected.txt -out "$out" >"$log" 2>&1 || status=$?
    tail -n 3 "$log"
    pass "$(wc -l <"$out/passed.txt")"
    if [ "$status" -ne 0 ]; then
        grep -A30 -i unexpected "$log" || tail -40 "$log"
        fail
    fi
}

complement complement csapi
complement complement-msc msc3391,msc3757,msc3874,msc3890,msc3930,msc3967,msc4140,msc4155,msc4222,msc4306
if [ "$launcher" = recorded ]; then
    check "answers have the specification's shapes" "$PYTHON" tests/spec/exchanges.py judge "$RECORDED_TO"
fi
