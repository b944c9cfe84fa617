#!/usr/bin/env bash
# Benches, small: that work per message doesn't grow, and that the bench of the outside runs on us. Sizes of
# the full run, on a quiet machine: GROWTH_MEMBERS=5000 GROWTH_EVENTS=20000 GROWTH_LIMIT=1.3; hsbench: see tests/bench/README.md.
. tests/lib/common.sh
need_command go golang
release_build
test_program growth
check "CPU per send does not grow" env GROWTH_MEMBERS="${GROWTH_MEMBERS:-1000}" GROWTH_EVENTS="${GROWTH_EVENTS:-6000}" \
    GROWTH_SENDS="${GROWTH_SENDS:-1500}" GROWTH_LIMIT="${GROWTH_LIMIT:-2}" "$PROGRAM"

(cd tests/bench && go build -o "$CACHE/hsbench" .)
export LANDBRIDGE=$PWD
rm -f "$WORK/hsbench.jsonl"
"$CACHE/hsbench" --target ours=tests/bench/launchers/landbridge --scale 0.05 --out "$WORK/hsbench.jsonl" \
    >"$WORK/hsbench.log" 2>&1 || true
for scenario in S1 S2 S2i S3 S3ts S4 S4sat S5 S6 S7 S8; do
    check "hsbench $scenario" grep -q "\"$scenario\"" "$WORK/hsbench.jsonl"
done

# Only ours: bridgev2 is not needed to see that nothing gets lost, doubled or out of order.
# Together with the product, so that both have one set of features and nothing is built twice.
cargo build --release --quiet --package landbridge --package landbridge-bench-bridge
bridges() {
    "$CACHE/hsbench" bridges --target ours=tests/bench/launchers/landbridge --ours "$CARGO_TARGET_DIR/release/landbridge-bench-bridge" \
        --chats 10 --people 3 --messages 500 --singles 40 --rounds 1 >"$WORK/bridges.log" 2>&1 || { tail -5 "$WORK/bridges.log"; return 1; }
}
check "hsbench bridges" bridges
