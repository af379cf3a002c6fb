#!/bin/bash
# check.sh: builds, lints and tests everything, and counts. The last line is "N passed, N failed[, N skipped]".
#
# Kinds of tests: lint (scripts/lint.sh), unit (test/unit/test_*.c, kernels without a server), scripts (test/scripts/test_*.sh), guard
# (test/guard/*.sql, queries that return what breaks a rule of the house), regress (test/sql with expected/),
# isolation (test/specs with test/expected) and tap (test/t/*.pl, servers of their own). With names as
# arguments only those kinds run; soak runs only then. Results lie in build/check/.
. "$(dirname "$0")/common.sh"
. "$TREE/scripts/place.sh"

passed=0
failed=0
skipped=0
RESULTS=$BUILD/check
PGXS_TEST=$PG_HOME/lib/pgxs/src/test

finish() {
    local status=$? line
    trap - EXIT
    if [ "$status" -ne 0 ]; then
        say "check: stopped with exit status $status"
        failed=$((failed + 1))
    fi
    line="$passed passed, $failed failed"
    [ "$skipped" -eq 0 ] || line="$line, $skipped skipped"
    [ ! -d "$RESULTS" ] || say "$line" >"$RESULTS/summary"
    say "$line"
    [ "$failed" -eq 0 ] || exit 1
    exit 0
}
trap finish EXIT

heading() { printf '\n== %s\n' "$*"; }
pass() { passed=$((passed + 1)); }
fault() {
    failed=$((failed + 1))
    say "not ok - $*"
}

# Counts the TAP lines of one program's output. A program that ends badly without saying why, or that says
# nothing at all, is one failure more.
count_tap() {
    local name=$1 status=$2 output=$3 good bad skips
    skips=$(grep -ciE '^(ok\b.*# *skip|1\.\.0 +# *skip)' "$output" || true)
    good=$(grep -cE '^ok\b' "$output" || true)
    good=$((good - $(grep -ciE '^ok\b.*# *skip' "$output" || true)))
    bad=$(grep -E '^not ok\b' "$output" | grep -civE '# *todo' || true)
    passed=$((passed + good))
    failed=$((failed + bad))
    skipped=$((skipped + skips))
    if [ "$bad" -gt 0 ] || [ "$status" -ne 0 ]; then
        cat "$output"
        [ "$bad" -gt 0 ] || fault "$name ended with exit status $status"
    elif [ $((good + skips)) -eq 0 ]; then
        fault "$name printed no test"
    else
        say "ok - $name: $good passed$([ "$skips" -eq 0 ] || say ", $skips skipped")"
    fi
}

run_lint() {
    local status=0
    heading lint
    scripts/lint.sh >"$RESULTS/lint.tap" 2>&1 || status=$?
    cat "$RESULTS/lint.tap"
    count_tap lint "$status" "$RESULTS/lint.tap" >/dev/null
}

# unit_program PROGRAM: runs one and keeps its exit status beside its output.
unit_program() {
    local status=0
    timeout 300 "$1" >"$1.tap" 2>&1 </dev/null || status=$?
    echo "$status" >"$1.status"
}

# Each program runs as shipped and, beside that, under the sanitizers (mk/unit.mk).
run_unit() {
    local source name variant
    compgen -G 'test/unit/test_*.c' >/dev/null || return 0
    heading unit
    build unit-programs || { fault 'the unit tests do not compile'; return 0; }
    for source in test/unit/test_*.c; do
        name=$(basename "$source" .c)
        name=${name#test_}
        unit_program "$BUILD/unit/plain/$name" &
        unit_program "$BUILD/unit/sanitized/$name"
        wait $!
        for variant in plain sanitized; do
            count_tap "$source, $variant" "$(cat "$BUILD/unit/$variant/$name.status")" "$BUILD/unit/$variant/$name.tap"
        done
    done
}

# Tests of the scripts and of the demonstration's tools, TAP from shell.
run_scripts() {
    local file status
    heading scripts
    for file in test/scripts/test_*.sh; do
        status=0
        timeout 900 "$file" >"$RESULTS/$(basename "$file").tap" 2>&1 </dev/null || status=$?
        count_tap "$file" "$status" "$RESULTS/$(basename "$file").tap"
    done
}

# Counts what pg_regress says about each of the tests it was to run, and shows the differences.
count_regress() {
    local kind=$1 wanted=$2 output=$3 folder=$4 good
    good=$(grep -cE '^(test| {4,})? *[^ ]+ +\.\.\. ok\b' "$output" || true)
    passed=$((passed + good))
    if [ "$good" -eq "$wanted" ]; then
        say "ok - $kind: $good passed"
        return
    fi
    failed=$((failed + wanted - good))
    grep -vE '\.\.\. ok\b' "$output" || true
    [ ! -s "$folder/regression.diffs" ] || head -c 100000 "$folder/regression.diffs"
    say "not ok - $kind: $((wanted - good)) of $wanted failed; all of it in $folder"
}

# Runs the tests named in the array `tests`, with PROGRAM, in a new database; further arguments are options.
run_regress_program() {
    local program=$1 kind=$2
    shift 2
    mkdir -p "$RESULTS/$kind"
    PATH=$PLACE$PG_BIN:$PATH timeout 900 "$program" --bindir="$PLACE$PG_BIN" --host="$PLACE/run" --user="$SERVER_SUPERUSER" \
        --dlpath="$PLACE$PG_HOME/lib" --outputdir="$RESULTS/$kind" --dbname="mastering_$kind" --load-extension=mastering \
        "$@" "${tests[@]}" >"$RESULTS/$kind.log" 2>&1 </dev/null || true
    count_regress "$kind" "${#tests[@]}" "$RESULTS/$kind.log" "$RESULTS/$kind"
    server_psql -q -d postgres -c "DROP DATABASE IF EXISTS mastering_$kind" 2>/dev/null
}

# Names of the tests: files of a folder without folder and ending, in order.
tests_of() {
    local file
    tests=()
    for file in "$1"/*"$2"; do
        [ -e "$file" ] || continue
        file=${file##*/}
        tests+=("${file%"$2"}")
    done
    [ ${#tests[@]} -gt 0 ]
}

run_regress() {
    tests_of test/sql .sql || return 0
    heading regress
    # pg_regress of PostgreSQL 15 looks for expected/ beside its output, then beside its input.
    mkdir -p "$RESULTS/regress"
    ln -sfn "$TREE/expected" "$RESULTS/regress/expected"
    run_regress_program "$PGXS_TEST/regress/pg_regress" regress --inputdir=test
}

run_isolation() {
    tests_of test/specs .spec || return 0
    heading isolation
    run_regress_program "$PGXS_TEST/isolation/pg_isolation_regress" isolation --inputdir=test
}

# tap_file NAME: runs one and keeps its exit status beside its output.
tap_file() {
    local name=$1 status=0
    (
        export PATH=$PLACE$PG_BIN:$PATH PG_REGRESS=$PGXS_TEST/regress/pg_regress TESTDIR=$PLACE/tap/$name PGPORT=65432
        as_server mkdir -p "$TESTDIR"
        # pg_upgrade writes where it stands.
        as_server timeout $((600 + 2 * ${MASTERING_SOAK:-0})) env -C "$TESTDIR" perl -I "$PGXS_TEST/perl" -I "$PLACE/tap/t" "$PLACE/tap/t/$name.pl"
    ) >"$RESULTS/$name.tap" 2>"$RESULTS/$name.err" </dev/null || status=$?
    echo "$status" >"$RESULTS/$name.status"
}

run_tap() {
    local file status name waiting=
    compgen -G 'test/t/*.pl' >/dev/null || return 0
    heading tap
    # The server's user must be able to read the tests and to write beside its clusters.
    rm -rf "$PLACE/tap"
    mkdir -p "$PLACE/tap/t"
    cp -R test/t/. "$PLACE/tap/t/"
    cp -R contrib "$PLACE/tap/"
    [ "$(id -u)" -ne 0 ] || chown -R "$SERVER_UID:$SERVER_GID" "$PLACE/tap"
    # Some wait for the minute that a schedule names, and nothing else: they do it beside the others.
    for file in ${TAP_FILES:-test/t/*.pl}; do
        case $file in
        *_schedule.pl)
            tap_file "$(basename "$file" .pl)" &
            waiting="$waiting $!"
            ;;
        esac
    done
    for file in ${TAP_FILES:-test/t/*.pl}; do
        name=$(basename "$file" .pl)
        case $file in
        *_schedule.pl) # shellcheck disable=SC2086 # a list
            wait $waiting ;;
        *) tap_file "$name" ;;
        esac
        status=$(cat "$RESULTS/$name.status")
        count_tap "$file" "$status" "$RESULTS/$name.tap"
        [ "$status" -eq 0 ] || tail -n 50 "$RESULTS/$name.err"
    done
}

# Only when asked for (make soak): the tests that go on for as long as MASTERING_SOAK says.
run_soak() {
    TAP_FILES='test/t/064_environments_soak.pl test/t/065_property.pl' run_tap
}

# Each guard is one query; a row that comes back is something that breaks the rule its first line states.
run_guard() {
    local file rows
    compgen -G 'test/guard/*.sql' >/dev/null || return 0
    heading guard
    server_psql -q -d postgres -c 'DROP DATABASE IF EXISTS mastering_guard' -c 'CREATE DATABASE mastering_guard TEMPLATE template0' 2>/dev/null
    if ! server_psql -q -d mastering_guard -c 'CREATE EXTENSION mastering'; then
        fault 'CREATE EXTENSION mastering'
        return 0
    fi
    for file in test/guard/*.sql; do
        if rows=$(server_psql -d mastering_guard -At -f "$file" 2>&1) && [ -z "$rows" ]; then
            pass
            say "ok - $(head -n 1 "$file" | sed 's/^-- *//')"
        else
            fault "$(head -n 1 "$file" | sed 's/^-- *//'): $rows"
        fi
    done
    if scripts/reference.sh mastering_guard 2>&1 | diff -u doc/reference.md - >"$RESULTS/reference.diff"; then
        pass
        say 'ok - doc/reference.md is what the catalog says'
    else
        fault "doc/reference.md is not what the catalog says: make reference; $(head -n 20 "$RESULTS/reference.diff")"
    fi
    server_psql -q -d postgres -c 'DROP DATABASE mastering_guard'
}

# What git sees of the tree: nothing of a check may be left in it.
tree_state() { git -c safe.directory="$TREE" status --porcelain 2>/dev/null || true; }

[ $# -gt 0 ] || set -- lint unit scripts guard regress isolation tap
started=$SECONDS
state=$(tree_state)

heading packages
packages=$(scripts/packages.sh check) || {
    say "$packages"
    fault 'packages are missing'
    exit 0
}
say "ok - all there${packages:+ ($packages)}"

heading build
mkdir -p "$BUILD" && rm -rf "$RESULTS" && mkdir -p "$RESULTS"
if ! scripts/server.sh install; then
    fault 'the tree does not build'
    exit 0
fi
was_running=$(scripts/server.sh status >/dev/null && say yes || say no)
scripts/server.sh start
find_place known
pass
say "ok - built and installed into $PLACE"

counts=()
for kind in "$@"; do
    declare -F "run_$kind" >/dev/null || fail "no tests are of the kind $kind"
    before=("$passed" "$failed" "$skipped")
    "run_$kind"
    counts+=("$(printf '%-10s %5d passed %5d failed %5d skipped' "$kind" $((passed - before[0])) $((failed - before[1])) $((skipped - before[2])))")
done

[ "$was_running" = yes ] || scripts/server.sh stop >/dev/null

heading tree
if ! git -c safe.directory="$TREE" rev-parse --git-dir >/dev/null 2>&1; then
    skipped=$((skipped + 1))
    say 'ok - no git here to compare the tree with # skip'
elif [ "$(tree_state)" = "$state" ]; then
    pass
    say 'ok - git sees no file changed'
else
    fault "the check changed the tree: $(tree_state)"
fi
heading "all of it, in $((SECONDS - started)) seconds"
printf '%s\n' "${counts[@]}"

