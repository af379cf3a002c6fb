#!/bin/bash
# incremental.sh: what a run after a small change takes beside a run over all records, of the same environment in turns.
#
#   RECORDS=200000 bench/incremental.sh       with CHANGES="3 1000 2000" records inserted, updated and deleted (a third each)
#
# Processor time of the backend beside the wall clock: on a busy machine only the former can be compared.
. "$(dirname "$0")/../scripts/common.sh"
. "$TREE/scripts/place.sh"

RECORDS=${RECORDS:-200000}
CHANGES=${CHANGES:-3 1000 $((RECORDS / 100))}
scripts/server.sh install
scripts/server.sh start
find_place known
server_psql -q -d postgres -c 'SET client_min_messages TO warning' -c 'DROP DATABASE IF EXISTS bench WITH (FORCE)' -c 'CREATE DATABASE bench'
server_psql -q -d bench -v records="$RECORDS" -f bench/incremental.sql >/dev/null
say "$RECORDS records, load average $(cut -d' ' -f1 /proc/loadavg)"

# One statement in a connection of its own, so that every one has its plans to make.
timed() {
    local what=$1 statement=$2
    server_psql -q -At -d bench 2>&1 <<SQL | awk -v what="$what" '/^Time:/ { wall = $2 } /^said / { said = substr($0, 6) } /^cpu / { cpu = $2 } END { printf "%-22s %9.0f ms wall %9.0f ms of processor  %s\n", what, wall, cpu, said }'
SET client_min_messages = error;
SELECT bench.processor_time() AS before \gset
\timing on
SELECT 'said ' || ($statement)::text;
\timing off
SELECT 'cpu ' || bench.processor_time() - :before;
SQL
}

timed load "SELECT sum(total) FROM mastering.load('prod', 'person')"
timed train "SELECT mastering.train('prod', 'person') ->> 'threshold'"
timed 'first run' "SELECT mastering.master('prod', 'person') ->> 'clusters'"
for n in $CHANGES; do
    server_psql -q -d bench -c "SELECT bench.change($n)" >/dev/null
    timed "load of $n" "SELECT sum(inserted + updated + deleted) FROM mastering.load('prod', 'person')"
    timed "increment of $n" "SELECT mastering.master('prod', 'person') -> 'how'"
done
server_psql -q -d bench -c 'SELECT bench.change(3)' >/dev/null
timed 'load of 3' "SELECT sum(inserted + updated + deleted) FROM mastering.load('prod', 'person')"
timed 'all records' "SELECT mastering.master('prod', 'person', full => true) -> 'how'"
