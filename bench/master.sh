#!/bin/bash
# master.sh: what a run of an environment takes, by statement: from mapped records to golden records, with a model that is there.
#
#   PERSONS=people.csv bench/master.sh      RECORDS=200000 of the rows of the file that bench/bench.sh describes
#
# Prints the time of each nested statement of 100 ms and more, then wall time and the processor time of the backend.
. "$(dirname "$0")/../scripts/common.sh"
. "$TREE/scripts/place.sh"

RECORDS=${RECORDS:-200000}
[ -r "${PERSONS:-}" ] || {
    echo "PERSONS must name a file of persons with a header" >&2
    exit 1
}
scripts/server.sh install
scripts/server.sh start
find_place known
server_psql -q -d postgres -c 'SET client_min_messages TO warning' -c 'DROP DATABASE IF EXISTS bench WITH (FORCE)' -c 'CREATE DATABASE bench'
server_psql -q -d bench -f bench/person.sql
head -n $((RECORDS + 1)) "$PERSONS" | server_psql -q -d bench -c 'COPY person FROM STDIN (FORMAT csv, HEADER)'
say "$RECORDS records, load average $(cut -d' ' -f1 /proc/loadavg)"
server_psql -q -At -d bench -f bench/master.sql 2>&1 | awk '
    /LOG:  duration:/ { time = $0; sub(/.*duration: /, "", time); sub(/ ms.*/, "", time); next }
    /^Query Text:/ { text = substr($0, 13, 100); gsub(/ +/, " ", text); printf "%10.0f ms  %s\n", time, text; next }
    /^(run|wall|processor)/ { print }'
