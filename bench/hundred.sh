#!/bin/bash
# hundred.sh: a hundred million persons on one machine: a model learnt from a sample, then clusters of all into a table.
#
#   bench/hundred.sh                        RECORDS=100000000 SAMPLE=4 (per cent) WORK_MEM=20GB; the table takes 12 GB of disk
#   RECORDS=1000000 SAMPLE=50 bench/hundred.sh
#
# The rules give about 14 candidate pairs a record at a hundred million. gen_person.c as for bench_full.sh.
. "$(dirname "$0")/../scripts/common.sh"
. "$TREE/scripts/place.sh"

RECORDS=${RECORDS:-100000000}
SAMPLE=${SAMPLE:-4}
WORK_MEM=${WORK_MEM:-20GB}
MASTERING_BENCH=${MASTERING_BENCH:-$TREE/../shared/bench/splink}
work=$BUILD/bench

if [ ! -f "$MASTERING_BENCH/gen_person.c" ]; then
    say "hundred: skipped: there is no gen_person.c in MASTERING_BENCH ($MASTERING_BENCH)"
    exit 0
fi
mkdir -p "$work"
"${CC:-cc}" -O2 -o "$work/gen_person" "$MASTERING_BENCH/gen_person.c" -lm
scripts/server.sh install
scripts/server.sh start
find_place known
hundred_psql() { server_psql -q -d hundred "$@"; }

server_psql -q -d postgres -c 'SET client_min_messages TO warning' -c 'DROP DATABASE IF EXISTS hundred WITH (FORCE)' -c 'CREATE DATABASE hundred'
hundred_psql -c 'CREATE EXTENSION mastering' \
    -c 'CREATE UNLOGGED TABLE person (unique_id bigint, cluster bigint, first_name text, surname text, dob text, city text, postcode text, email text)'
"$work/gen_person" "$RECORDS" 42 | hundred_psql -c '\copy person FROM pstdin CSV HEADER'
say "machine: $(processors) processors, $(memory_mb) MB, load $(cut -d ' ' -f 1 /proc/loadavg); $(date -u +%F); $RECORDS persons, $WORK_MEM"
hundred_psql -At -F ' ' -v sample="$SAMPLE" -v work_mem="$WORK_MEM" -f bench/hundred.sql
