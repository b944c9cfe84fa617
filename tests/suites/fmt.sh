#!/usr/bin/env bash
# The code is formatted.
. tests/lib/common.sh
check "cargo fmt" cargo fmt --all --check
