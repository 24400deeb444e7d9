# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# For tests that are scripts: each failure is printed and counted in $failures, and the test goes on.
failures=0

fail() {
    echo "FAIL: $*"
    failures=$((failures + 1))
}

# try COMMAND...: it succeeds; its output is shown only if it does not, and then the status is 1.
try() {
    local output
    output=$("$@" 2>&1 </dev/null) && return
    fail "$*"
    [ -z "$output" ] || sed 's/^/    /' <<<"$output"
    return 1
}

# fails STATUS COMMAND...: it exits with this status.
fails() {
    local status=$1 output
    shift
    output=$("$@" 2>&1 </dev/null)
    [ $? -eq "$status" ] || fail "$*: it does not exit with $status; output: '$output'"
}

# is VALUE COMMAND...: the command prints the value.
is() {
    local value=$1 output
    shift
    output=$("$@" 2>&1)
    [ "$output" = "$value" ] || fail "$*: '$output', not '$value'"
}

# has PATTERN COMMAND...: what the command prints matches the glob pattern.
has() {
    local pattern=$1 output
    shift
    output=$("$@" 2>&1)
    # shellcheck disable=SC2053  # it is a pattern
    [[ $output == $pattern ]] || fail "$*: '$output', not '$pattern'"
}

# wait_until COMMAND...: looks until it succeeds, for at most 20 s.
wait_until() {
    local deadline=$((SECONDS + 20))
    until "$@"; do
        [ $SECONDS -lt $deadline ] || return
        sleep 0.05 # between two looks at a condition
    done
}

# soon CHECK...: tries the check (has PATTERN COMMAND..., for one) until nothing is wrong, for at most 20 s.
soon() {
    wait_until is_right "$@" || "$@"
}

# is_right CHECK...: whether nothing is wrong; prints nothing.
is_right() {
    local before=$failures
    "$@" >/dev/null 2>&1
    [ "$failures" -eq "$before" ] || {
        failures=$before
        return 1
    }
}

# run_tests: runs all functions test_... of the calling script in the order in which they stand there.
run_tests() {
    local tests test before
    mapfile -t tests < <(grep -o '^test_[a-z_]*' "$0")
    for test in "${tests[@]}"; do
        before=$failures
        $test
        [ "$failures" -ne "$before" ] || echo "ok $test"
    done
    [ "$failures" -eq 0 ]
}

# run_in_box SCRIPT BOX-OPTION... [-- ARGUMENT...]: runs SCRIPT --inside ARGUMENT... as root under a systemd of its own.
run_in_box() {
    local script=$1 options=()
    shift
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    [ $# -eq 0 ] || shift
    if [ -z "${FIPC_SYSTEMD_BOX-}" ]; then
        echo "SKIP: FIPC_SYSTEMD_BOX names no program that boots a systemd to run this in"
        exit 77
    fi
    "$FIPC_SYSTEMD_BOX" "${options[@]}" -- "$script" --inside "$@"
}
