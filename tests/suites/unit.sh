#!/usr/bin/env bash
# Unit, integration and documentation tests of every crate, on SQLite.
. tests/lib/common.sh
cargo_tests --workspace --all-features
