#!/usr/bin/env bash
# Every route in the code stands in the spec's OpenAPI data, or in the one list of extensions.
. tests/lib/common.sh
need_spec_data
test_program routes
"$PROGRAM" >"$WORK/routes.txt"
check "routes stand in the spec" "$PYTHON" tests/spec/routes.py "$WORK/routes.txt" tests/spec/extensions.txt
