#!/usr/bin/env bash
# No warnings.
. tests/lib/common.sh
check "cargo clippy" cargo clippy --quiet --workspace --all-targets --all-features -- -D warnings
