#!/usr/bin/env bash
# Every route in the code stands in the spec's OpenAPI data, or in the one list of extensions.
. tests/lib/common.sh
export MATRIX_SPEC_DATA=${MATRIX_SPEC_DATA:-$SHARED/spec/data}
if [ ! -d "$MATRIX_SPEC_DATA" ]; then
    skip "the Matrix specification's OpenAPI data is not at ../shared/spec/data"
    exit 0
fi
need_python spec aiohttp 'jsonschema[format]' pyyaml
test_program routes
"$PROGRAM" >"$WORK/routes.txt"
check "routes stand in the spec" "$PYTHON" tests/spec/routes.py "$WORK/routes.txt" tests/spec/extensions.txt
