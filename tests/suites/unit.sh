#!/usr/bin/env bash
# Unit, integration and documentation tests of every crate, on SQLite.
. tests/lib/common.sh
# What they ask and are answered, for the suite `coverage`.
export LANDBRIDGE_TEST_EXCHANGES=$WORK/exchanges.jsonl
rm -f "$LANDBRIDGE_TEST_EXCHANGES"
cargo_tests --workspace --all-features
