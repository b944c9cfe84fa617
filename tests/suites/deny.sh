#!/usr/bin/env bash
# Licences, sources and duplicates of what we depend on.
. tests/lib/common.sh
need_cargo_tool cargo-deny cargo-deny
check "cargo deny" cargo deny --log-level error check bans licenses sources
