#!/bin/bash
# bench_full.sh: sizes beyond the millions, and what each phase takes. Hours for all of it: choose with SIZES.
#
#   make bench-full                          1, 5 and 10 million persons, and the loose rules on one million
#   SIZES=100000000 make bench-full          another size; above 5 million the tight rules are used
#   PEER=yes make bench-full                 Splink on DuckDB on the same data after each run (see bench.sh)
#   WORK_MEM=256MB make bench-full           less memory: what does not fit goes in passes (doc/engine.md)
#   QUALITY=yes make bench-full              with the quality of the clusters, which takes longer than making them
#
# What was measured is kept in build/bench/full.* and not measured again: a call that was cut off is made once more.
# FRESH=yes measures anew.
#
# Of each run: seconds from the table to clusters in a table, training included; pairs and seconds of scoring; memory of the run
# and of the process at its highest.
. "$(dirname "$0")/../scripts/common.sh"
. "$TREE/scripts/place.sh"

SIZES=${SIZES:-1000000 5000000 10000000}
LOOSE=${LOOSE:-1000000}
WORK_MEM=${WORK_MEM:-1GB}
MASTERING_BENCH=${MASTERING_BENCH:-$TREE/../shared/bench/splink}
work=$BUILD/bench

if [ ! -f "$MASTERING_BENCH/gen_person.c" ]; then
    say "bench-full: skipped: there is no gen_person.c in MASTERING_BENCH ($MASTERING_BENCH)"
    exit 0
fi
scripts/packages.sh demo
mkdir -p "$work"
"${CC:-cc}" -O2 -o "$work/gen_person" "$MASTERING_BENCH/gen_person.c" -lm
scripts/server.sh install
scripts/server.sh start
find_place known

admin() { server_psql -q -d postgres "$@"; }
bench_psql() { server_psql -q -d bench "$@"; }

rules_standard='["first_name","surname"],["surname","city"],["dob","city"],["surname","dob"],["first_name","dob"],["postcode","surname"],["postcode","dob"],"email"'
rules_loose="$rules_standard,[\"first_name\",\"city\"]"
rules_tight='["first_name","surname","city"],["dob","city"],["surname","dob"],["first_name","dob"],["postcode","surname"],["postcode","dob"],"email"'

load_persons() {
    admin -c 'SET client_min_messages TO warning' -c 'DROP DATABASE IF EXISTS bench WITH (FORCE)' -c 'CREATE DATABASE bench'
    bench_psql -f bench/person.sql
    # Streamed: no copy of the file is kept.
    "$work/gen_person" "$1" 42 | bench_psql -c '\copy person FROM pstdin CSV HEADER'
    bench_psql -c 'VACUUM (ANALYZE) person'
}

# run_rules LABEL RULES: one run, its phases, the process's highest memory.
run_rules() {
    say "$1:"
    bench_psql -At -F ' ' -v rules="$2" -v work_mem="$WORK_MEM" -v quality="${QUALITY:-no}" -f bench/run_full.sql 2>"$work/full.err" || {
        cat "$work/full.err" >&2
        return 1
    }
}

theirs() {
    "$work/gen_person" "$1" 42 >"$work/full.csv"
    python3 "$MASTERING_BENCH/run_splink.py" "$2" "$work/full.csv" --hoist --cluster-thresholds 0.999 2>/dev/null |
        python3 -c 'import json,sys; r = json.load(sys.stdin); print("  peer:", round(r["train_s"] + r["predict_s"] + r["cluster_s"], 2), "s, of these blocking and scoring", round(r["predict_s"], 2), "s,", r["peak_rss_mib"], "MiB")'
    rm -f "$work/full.csv"
}

# once NAME COMMAND...: prints what the command printed when it last came to its end.
once() {
    local kept=$work/full.$1.$WORK_MEM
    shift
    if [ ! -s "$kept" ] || [ "${FRESH:-no}" = yes ]; then
        "$@" >"$kept.part"
        mv "$kept.part" "$kept"
    fi
    cat "$kept"
}

measure_size() {
    local size=$1 rules=$rules_standard preset=person
    load_persons "$size"
    [ "$size" -le 5000000 ] || { rules=$rules_tight preset=person_tight; }
    run_rules "$size persons, $preset, $WORK_MEM, load $(cut -d ' ' -f 1 /proc/loadavg)" "$rules"
    [ "${PEER:-no}" != yes ] || theirs "$size" "$preset"
    if [ "$size" = "$LOOSE" ]; then
        run_rules "$size persons, person_loose, $WORK_MEM" "$rules_loose"
        [ "${PEER:-no}" != yes ] || theirs "$size" person_loose
    fi
}

say "machine: $(processors) processors, $(memory_mb) MB, load $(cut -d ' ' -f 1 /proc/loadavg); $(date -u +%F)"
for size in $SIZES; do
    once "$size" measure_size "$size"
done
