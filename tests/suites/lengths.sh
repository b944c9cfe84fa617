#!/usr/bin/env bash
# No file is longer than one can read, and none holds what isn't finished.
. tests/lib/common.sh

short() {
    local long
    long=$(git ls-files -z '*.rs' | xargs -0 wc -l | awk '$2 != "total" && $1 > 800')
    [ -z "$long" ] || { printf 'over 800 lines, split it by subject:\n%s\n' "$long"; return 1; }
}

finished() {
    ! git grep -nE '\b(todo|unimplemented)!\(|\b(TODO|FIXME|XXX)\b|#\[ignore' -- '*.rs'
}

check "no file over 800 lines" short
check "nothing left undone" finished
