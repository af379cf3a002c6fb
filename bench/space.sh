#!/bin/bash
# space.sh: a year of five-minute loads in small: how many partitions there are, what planning takes, what a load takes and what is
# written, while one environment loads and masters again and again, with gc every GC_EVERY loads. Commits do not wait for the disk.
#
#   bench/space.sh                             LOADS=5000 loads of CHANGES=5 changed rows into RECORDS=500; 105,000 are a year.
#                                              RUN_EVERY=1: a run after each load; 12: one an hour
#                                              GC_EVERY=12: gc once an hour; 48: every four hours
#   SPACE_PSQL='psql ...'                      on a server that runs already
#   DONE=10500 LOADS=21000                     goes on with an earlier one; a line after every STEP loads
. "$(dirname "$0")/../scripts/common.sh"
. "$TREE/scripts/place.sh"

LOADS=${LOADS:-5000}
CHANGES=${CHANGES:-5}
RECORDS=${RECORDS:-500}
RUN_EVERY=${RUN_EVERY:-1}
GC_EVERY=${GC_EVERY:-12}
DONE=${DONE:-0}
STEP=${STEP:-$((LOADS / 10 > 0 ? LOADS / 10 : LOADS))}
if [ -z "${SPACE_PSQL:-}" ]; then
    scripts/server.sh install
    scripts/server.sh start
    find_place known
    SPACE_PSQL=server_psql
fi

bench_psql() { $SPACE_PSQL -q -d bench_space "$@"; }
if [ "$DONE" -eq 0 ]; then
    $SPACE_PSQL -q -d postgres -c 'SET client_min_messages TO warning' -c 'DROP DATABASE IF EXISTS bench_space WITH (FORCE)' -c 'CREATE DATABASE bench_space' \
        -c 'ALTER DATABASE bench_space SET synchronous_commit = off' -c 'ALTER DATABASE bench_space SET client_min_messages = error'
    bench_psql -At -v records="$RECORDS" -f bench/space.sql >/dev/null
    say "$RECORDS records, $LOADS loads of $CHANGES changed rows each, a run after every $RUN_EVERY, gc after every $GC_EVERY; sizes in MB with indexes"
    say '| loads | a load, ms, with its share of runs | a gc, ms | partitions of a store, at most | first plan, ms | next, ms | pg_class, pg_attribute, pg_statistic, pg_depend | rows of the catalog | run, audit_entry, database | rows written a load |'
    say '| ---: | ---: | ---: | ---: | ---: | ---: | --- | --- | --- | --- |'
fi
for ((done = DONE; done < LOADS; done += STEP)); do
    bench_psql -At -c "CALL measured.loads($done, $STEP, $CHANGES, $RUN_EVERY, $GC_EVERY)"
    # A new connection each time: its first plan opens what there is.
    bench_psql -At -c "SELECT measured.report($((done + STEP)), $GC_EVERY)"
done
