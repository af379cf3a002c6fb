#!/bin/bash
# change.sh: what a load of a small change takes: write-ahead log, time and space beside the size of the changed rows, and how long it
# takes to list what differs afterwards. Matching is not measured, but for RUN=yes, which masters before and after.
#
#   bench/change.sh                            RECORDS="200000 1000000" records of narrow rows, PERMILLE="10 1" of them changed at a time
#   BY=column, BY=changes                      the load reads by a change column, or a relation of changes, not by comparing all keys
#   CHANGE_PSQL='psql ...'                     on a server that runs already
. "$(dirname "$0")/../scripts/common.sh"
. "$TREE/scripts/place.sh"

PERMILLE=${PERMILLE:-10 10 10 1}
RUN=${RUN:-no}
BY=${BY:-keys}
DATABASE=${DATABASE:-bench_change}
if [ -z "${CHANGE_PSQL:-}" ]; then
    scripts/server.sh install
    scripts/server.sh start
    find_place known
    CHANGE_PSQL=server_psql
fi
bench_psql() { $CHANGE_PSQL -q -At -d "$DATABASE" "$@"; }
say '| records | changed | load, s | WAL, MB | WAL a changed row, bytes | rows written: source | kept on disk, MB | a changed row is, bytes | WAL over changed rows | disk over changed rows |'
say '| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |'
for records in ${RECORDS:-200000 1000000}; do
    $CHANGE_PSQL -q -d postgres -c 'SET client_min_messages TO warning' -c "DROP DATABASE IF EXISTS $DATABASE WITH (FORCE)" -c "CREATE DATABASE $DATABASE"
    bench_psql -v records="$records" -v by_column="$([ "$BY" = column ] && say on || say off)" -v by_changes="$([ "$BY" = changes ] && say on || say off)" -f bench/change.sql >/dev/null
    bench_psql -c "SELECT format('  first load of %s records: %s s, %s MB on disk', $records, took, on_disk) FROM measured.first"
    [ "$RUN" = no ] || bench_psql -c "SELECT mastering.master('prod', 'thing')" -c "SELECT mastering.snapshot('prod', tag => 'state_0')" >/dev/null
    n=0
    for permille in $PERMILLE; do
        n=$((n + 1))
        # What scans clean up in the changed table itself is not ours.
        bench_psql -c "CALL measured.change($permille)" -c 'VACUUM input.things' -c CHECKPOINT
        bench_psql -c "SELECT measured.load($permille)"
        if [ "$RUN" != no ]; then
            bench_psql -c "SELECT mastering.master('prod', 'thing')" -c "SELECT mastering.snapshot('prod', tag => 'state_$n')" >/dev/null
            for _ in 1 2 3; do bench_psql -c '\timing on' -c "SELECT format('  diff_records of %s permille of %s: %s rows', $permille, $records, count(*)) FROM mastering.diff_records('prod@state_$((n - 1))', 'prod@state_$n', 'thing')"; done
        fi
    done
done
