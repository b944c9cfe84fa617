# What the suites share. Sourced by tests/run and by every suite; the working directory is the checkout.
# shellcheck shell=bash
set -euo pipefail

CACHE=${LANDBRIDGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/landbridge}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CACHE/target}
WORK=$PWD/tests/.work
RESULTS=$WORK/results
# For programs in Python: what they share.
export PYTHONPATH=$PWD/tests/lib
export RESULTS MATRIX_SPEC_DATA=${MATRIX_SPEC_DATA:-$PWD/../shared/spec/data}

heading() { printf '\n== %s\n' "$*"; }
pass() { echo "passed ${1:-1}" >>"$RESULTS"; }
fail() { echo "failed ${1:-1}" >>"$RESULTS"; }
skip() { printf '   SKIPPED: %s\n' "$*"; echo "skipped 1" >>"$RESULTS"; }

prepare_work() {
    mkdir -p "$WORK" "$CACHE"
}

# Runs one check; it counts as one test.
check() {
    local what=$1
    shift
    if "$@"; then pass; else printf '   FAILED: %s\n' "$what"; fail; fi
}

# cargo test with these arguments; every test counts.
cargo_tests() {
    local log=$WORK/cargo-test.log status=0
    cargo test --no-fail-fast "$@" >"$log" 2>&1 || status=$?
    local p f
    p=$(awk '/^test result:/ { n += $4 } END { print n + 0 }' "$log")
    f=$(awk '/^test result:/ { n += $6 } END { print n + 0 }' "$log")
    pass "$p"
    if [ "$f" -gt 0 ]; then
        fail "$f"
        sed -n '/^failures:/,/^test result:/p' "$log" | head -200
    elif [ "$status" -ne 0 ]; then
        fail
        grep -E '^(error|warning: unused)' -A12 "$log" | head -100 || tail -50 "$log"
    fi
}

# The tests from end to end of a bridge (slack, discord, telegram) once more, each with a homeserver of its own: ours, then Synapse. What
# takes its time in them is waiting, so four go at once.
end_to_end() {
    local name=$1 before
    need_python synapse matrix-synapse
    export SYNAPSE_PYTHON=$PYTHON
    for homeserver in "our homeserver:$PWD/tests/launch-homeserver" "Synapse:$PWD/tests/bench/launchers/synapse"; do
        before=$(wc -l <"$RESULTS")
        LANDBRIDGE_TEST_HOMESERVER=${homeserver#*:} \
            cargo_tests --workspace --all-features --test "${name}_end_to_end" -- --test-threads=4
        printf '   end to end with %s: %s\n' "${homeserver%%:*}" "$(tail -n "+$((before + 1))" "$RESULTS" |
            awk '{ n[$1] += $2 } END { printf "%d passed, %d failed", n["passed"], n["failed"] }')"
    done
}

# A program of ours for tests, with the features that the unit tests have, so that nothing is built twice.
test_program() {
    cargo build --quiet --workspace --all-features --bin "$1"
    PROGRAM=$CARGO_TARGET_DIR/debug/$1
}

# The release binary, built where it is older than its sources.
release_build() {
    cargo build --release --quiet --package landbridge
    export LANDBRIDGE_BINARY=$CARGO_TARGET_DIR/release/landbridge
}

# Slack's stand-in with what it needs, in the programs' environment.
need_slack() {
    export SLACK_STAND_IN=$WORK/slack
    export SLACK_NODE=$SLACK_STAND_IN/node_modules/node/bin/node
    mkdir -p "$SLACK_STAND_IN"
    cp tests/networks/slack/package.json tests/networks/slack/server.mjs "$SLACK_STAND_IN/"
    [ -d "$SLACK_STAND_IN/node_modules/emulate" ] && return
    need_command npm npm
    # The stand-in needs a newer Node than most systems have.
    (cd "$SLACK_STAND_IN" && npm install --silent --no-audit --no-fund && npm install --silent --no-audit --no-fund --no-save node@24)
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else
        echo "this needs root to install: $*" >&2
        return 1
    fi
}

# Debian packages, installed where a command of theirs is missing: need_command COMMAND PACKAGE...
need_command() {
    local command=$1
    shift
    command -v "$command" >/dev/null && return
    echo "   installing $*"
    as_root apt-get update -qq >/dev/null
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
}

# A Python of our own with these packages: need_python NAME PACKAGE... ; its path is in $PYTHON.
need_python() {
    local name=$1
    shift
    PYTHON=$CACHE/python-$name/bin/python
    export PYTHON
    [ -f "$CACHE/python-$name/.ready" ] && return
    echo "   installing $* from PyPI"
    rm -rf "$CACHE/python-$name"
    python3 -m venv "$CACHE/python-$name"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check "$@"
    touch "$CACHE/python-$name/.ready"
}

# The specification's OpenAPI data, and a Python that reads it. Without the data the suite ends here.
need_spec_data() {
    if [ ! -d "$MATRIX_SPEC_DATA" ]; then
        skip "the Matrix specification's OpenAPI data is not at ../shared/spec/data"
        exit 0
    fi
    need_python spec aiohttp 'jsonschema[format]' pyyaml
}

# A cargo tool, built once: need_cargo_tool COMMAND CRATE
need_cargo_tool() {
    export PATH=$CACHE/tools/bin:$PATH
    command -v "$1" >/dev/null && return
    echo "   building $2"
    # Without optimisation: it runs for a second and compiles in half the time.
    CARGO_TARGET_DIR=$CACHE/tools/target cargo install --quiet --locked --debug --root "$CACHE/tools" "$2"
    rm -rf "$CACHE/tools/target"
}
