#!/usr/bin/env bash
# The same tests as `unit` where they use a database, on Postgres.
. tests/lib/common.sh
. tests/lib/postgres.sh
postgres_start
export LANDBRIDGE_TEST_POSTGRES=$POSTGRES_URL
cargo_tests --workspace --all-features --lib --tests
