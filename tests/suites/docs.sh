#!/usr/bin/env bash
# The documentation builds without warnings.
. tests/lib/common.sh
export RUSTDOCFLAGS="-D warnings"
check "cargo doc" cargo doc --quiet --workspace --no-deps --all-features
