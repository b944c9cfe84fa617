#!/usr/bin/env bash
# The documentation builds without warnings. Heads of modules may point to private neighbours: they are for us.
. tests/lib/common.sh
export RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links"
check "cargo doc" cargo doc --quiet --workspace --no-deps --all-features
