#!/bin/bash
# bench.sh: one million made-up persons from a table to clusters in a table, training included, beside Splink on DuckDB.
#
#   make bench                      RUNS=3 runs of each, alternating, so that a machine's drift hits both
#   RECORDS=5000000 make bench      another size
#
# MASTERING_BENCH is the folder with the generator of the persons (gen_person.c) and the runner of the peer
# (run_splink.py); by default ../shared/bench/splink beside the tree. The peer runs when python3 finds splink and
# LIBDUCKDB names DuckDB's library (see the folder's README); otherwise it is skipped with a message.
. "$(dirname "$0")/../scripts/common.sh"
. "$TREE/scripts/place.sh"

RECORDS=${RECORDS:-1000000}
RUNS=${RUNS:-3}
MASTERING_BENCH=${MASTERING_BENCH:-$TREE/../shared/bench/splink}
work=$BUILD/bench
csv=$work/person_$RECORDS.csv

if [ ! -f "$MASTERING_BENCH/gen_person.c" ]; then
    say "bench: skipped: there is no gen_person.c in MASTERING_BENCH ($MASTERING_BENCH)"
    exit 0
fi
scripts/packages.sh demo
mkdir -p "$work"
if [ ! -s "$csv" ]; then
    "${CC:-cc}" -O2 -o "$work/gen_person" "$MASTERING_BENCH/gen_person.c" -lm
    "$work/gen_person" "$RECORDS" 42 >"$csv.part"
    mv "$csv.part" "$csv"
fi
scripts/server.sh install
scripts/server.sh start
find_place known

admin() { server_psql -q -d postgres "$@"; }
bench_psql() { server_psql -q -d bench "$@"; }
admin -c 'SET client_min_messages TO warning' -c 'DROP DATABASE IF EXISTS bench WITH (FORCE)' -c 'CREATE DATABASE bench'
bench_psql -f bench/person.sql
bench_psql -c "\\copy person FROM '$csv' CSV HEADER"
bench_psql -c 'VACUUM (ANALYZE) person'

peer=yes
if [ -z "${LIBDUCKDB:-}" ] || ! python3 -c 'import splink' 2>/dev/null; then
    say "bench: the peer is skipped: python3 finds no splink, or LIBDUCKDB is not set"
    peer=
fi

# Seconds of one run of ours, profile on standard error.
ours() {
    bench_psql -At -f bench/run_person.sql 2>"$work/profile" | tail -n 1
}
# Seconds of one run of the peer: training, prediction, clusters at one threshold; reading the file is left out, as ours
# starts from a table.
theirs() {
    python3 "$MASTERING_BENCH/run_splink.py" person "$csv" --hoist --cluster-thresholds 0.999 2>/dev/null |
        python3 -c 'import json,sys; r = json.load(sys.stdin); print(round(r["train_s"] + r["predict_s"] + r["cluster_s"], 2), r["peak_rss_mib"])'
}

say "records: $RECORDS; machine: $(processors) processors, $(memory_mb) MB; $(date -u +%F)"
ratios=()
for run in $(seq "$RUNS"); do
    mine=$(ours)
    if [ -n "$peer" ]; then
        read -r other memory < <(theirs)
        ratio=$(awk -v a="$other" -v b="$mine" 'BEGIN { printf "%.2f", a / b }')
        ratios+=("$ratio")
        say "run $run: mastering $mine s, splink $other s ($memory MiB), ratio $ratio"
    else
        say "run $run: mastering $mine s"
    fi
done
[ ${#ratios[@]} -eq 0 ] || say "median ratio: $(printf '%s\n' "${ratios[@]}" | sort -n | sed -n "$(((${#ratios[@]} + 1) / 2))p")"
say "profile of the last run:"
sed -n 's/^.*NOTICE: */  /p' "$work/profile"
say "quality of the last run:"
bench_psql -At -F ' ' -c "SELECT '  ' || metric, value FROM mastering.evaluate_clusters('SELECT * FROM clusters', 'SELECT unique_id AS id, cluster AS entity_id FROM person') WHERE metric LIKE 'pair\\_%'"
