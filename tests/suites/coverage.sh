#!/usr/bin/env bash
# Every endpoint has a test that it answers, docs/spec-coverage.md names it, and what it answered has the shape that the
# specification says. Reads what the suite `unit` wrote down: run that first. COVERAGE_WRITE=1 writes the document anew.
. tests/lib/common.sh
exchanges=$WORK/exchanges.jsonl
if [ ! -s "$exchanges" ]; then
    echo "   $exchanges is missing: tests/run unit coverage"
    fail
    exit 0
fi
test_program routes
"$PROGRAM" >"$WORK/routes.txt"
check "docs/spec-coverage.md is true, and every endpoint is tested" \
    python3 tests/spec/coverage.py "$WORK/routes.txt" "$exchanges" docs/spec-coverage.md ${COVERAGE_WRITE:+--write}

need_spec_data
check "answers have the specification's shapes" \
    "$PYTHON" tests/spec/exchanges.py judge --at-least 150 --every "$WORK/routes.txt" "$exchanges"
