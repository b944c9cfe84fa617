#!/usr/bin/env bash
# The framework's promise, by its testing kit, at full size: every message once and in order over 1,000 random
# crash points, both directions, and a homeserver that is down for ten minutes under load.
. tests/lib/common.sh
export LANDBRIDGE_CRASHES=${LANDBRIDGE_CRASHES:-1000}
cargo_tests --workspace --all-features --test guarantee
