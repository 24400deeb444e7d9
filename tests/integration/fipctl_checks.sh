# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# For tests of fipctl: a broker, and what a run of fipctl prints, where, with which exit status.
set -uo pipefail
: "${FIPCD:?}" "${FIPCTL:?}"
unset XDG_RUNTIME_DIR POSIXLY_CORRECT
export LC_ALL=C
# shellcheck source=tests/checks.sh
. "$(dirname "$0")/../checks.sh"

dir=$(mktemp -d)
export FIPC_SOCKET=$dir/sock
broker=
# shellcheck disable=SC2034  # for the tests
scale=${FIPC_TEST_SCALE:-1}

clean_up() {
    [ -z "$broker" ] || kill -9 "$broker" 2>/dev/null
    rm -rf "$dir"
}
trap clean_up EXIT

fail() {
    echo "FAIL: $*"
    sed 's/^/    out: /' "$dir/out" | head -c 1000
    sed 's/^/    err: /' "$dir/err" | head -c 1000
    failures=$((failures + 1))
}

# run ARGUMENT...: fipctl with its output in $dir/out and $dir/err, its exit status in $status.
run() {
    command="fipctl $*"
    "$FIPCTL" "$@" >"$dir/out" 2>"$dir/err"
    status=$?
}

# ends_with STATUS: success says nothing on stderr, anything else exactly one line.
ends_with() {
    [ "$status" -eq "$1" ] || fail "$command: exit status $status, not $1"
    if [ "$1" -eq 0 ]; then
        [ ! -s "$dir/err" ] || fail "$command: writes to stderr"
    elif [ "$(wc -l <"$dir/err")" -ne 1 ] || ! grep -qE '^fipctl: .+: .+; .+' "$dir/err"; then
        fail "$command: not one line 'fipctl: what: why; remedy'"
    fi
}

# says out|err REGEX
says() {
    grep -qE -- "$2" "$dir/$1" || fail "$command: $1 has no '$2'"
}

is_silent() {
    [ ! -s "$dir/out" ] || fail "$command: writes to stdout"
}

# is_json EXPRESSION: stdout is one JSON document d for which the Python expression holds.
is_json() {
    python3 - "$dir/out" "$1" >>"$dir/err" 2>&1 <<'PYTHON' || fail "$command: not JSON with $1"
import base64, json, sys
d = json.load(open(sys.argv[1]))
assert eval(sys.argv[2])
PYTHON
}

start_broker() {
    "$FIPCD" --socket "$FIPC_SOCKET" --log-level error &
    broker=$!
}

# have_slots EXPRESSION: whether it holds for the list d of what is connected
have_slots() {
    "$FIPCTL" --json slots | python3 -c 'import json, sys
d = json.load(sys.stdin)["slots"]
sys.exit(not eval(sys.argv[1]))' "$1"
}

until_slots() {
    wait_until have_slots "$1" || fail "slots: never has $1"
}
