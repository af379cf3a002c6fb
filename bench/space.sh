#!/bin/bash
# space.sh: a year of five-minute loads in small: how many partitions there are, what planning takes and what is written, while
# one environment loads and masters again and again, with gc once an hour (every 12th load).
#
#   bench/space.sh                             LOADS=5000 loads of CHANGES=20 changed rows into RECORDS=20000
. "$(dirname "$0")/../scripts/common.sh"
. "$TREE/scripts/place.sh"

LOADS=${LOADS:-5000}
CHANGES=${CHANGES:-20}
RECORDS=${RECORDS:-20000}
scripts/server.sh install
scripts/server.sh start
find_place known

server_psql -q -d postgres -c 'SET client_min_messages TO warning' -c 'DROP DATABASE IF EXISTS bench_space WITH (FORCE)' -c 'CREATE DATABASE bench_space'
bench_psql() { server_psql -q -d bench_space "$@"; }
bench_psql -At -v records="$RECORDS" -f bench/space.sql >/dev/null
say "$RECORDS records, $LOADS loads and runs of $CHANGES changed rows each, gc after every 12th"
step=$((LOADS / 10 > 0 ? LOADS / 10 : LOADS))
for ((done = 0; done < LOADS; done += step)); do
    bench_psql -At -c "CALL measured.loads($done, $step, $CHANGES)"
    # A new connection each time: its first plan opens what there is.
    bench_psql -At -c "SELECT measured.report($((done + step)))"
done
