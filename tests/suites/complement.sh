#!/usr/bin/env bash
# Complement, the field's conformance suite for homeservers, against ours: the Client-Server tests.
# Those in expected.txt may fail; anything else that fails is a failure.
. tests/lib/common.sh
need_command go golang
release_build
export LANDBRIDGE=$PWD COMPLEMENT_BUILD_DIR=$CACHE/complement
out=$WORK/complement
rm -rf "$out"
status=0
tests/complement/run -launcher landbridge -packages csapi -sync-timeout 10s -known tests/complement/lists/leaves.txt \
    -expected tests/complement/expected.txt -out "$out" >"$WORK/complement.log" 2>&1 || status=$?
tail -n 3 "$WORK/complement.log"
pass "$(wc -l <"$out/passed.txt")"
if [ "$status" -ne 0 ]; then
    grep -A30 -i unexpected "$WORK/complement.log" || tail -40 "$WORK/complement.log"
    fail
fi
