#!/bin/bash
# lookup.sh: look-ups of one record each in an environment with persons, by pgbench: how long they take and how many go in a second.
#
#   PERSONS=people.csv bench/lookup.sh      RECORDS=200000 of the rows of the file that bench/bench.sh describes
#   CLIENTS=2 SECONDS_LONG=20               sessions at once, and for how long
#
# warm: sessions that looked up before. fresh: a session for each look-up, which reads the model first. cold: the first hundred
# after the server was started, with its files out of the system's cache. Says what the key index takes, too.
. "$(dirname "$0")/../scripts/common.sh"
. "$TREE/scripts/place.sh"

RECORDS=${RECORDS:-200000}
CLIENTS=${CLIENTS:-2}
SECONDS_LONG=${SECONDS_LONG:-20}
PROBES=10000
[ -r "${PERSONS:-}" ] || {
    echo "PERSONS must name a file of persons with a header" >&2
    exit 1
}
scripts/server.sh install
scripts/server.sh start
find_place known
work=$BUILD/bench
mkdir -p "$work"
bench_psql() { server_psql -q -d bench "$@"; }
server_psql -q -d postgres -c 'SET client_min_messages TO warning' -c 'DROP DATABASE IF EXISTS bench WITH (FORCE)' -c 'CREATE DATABASE bench'
bench_psql -f bench/person.sql
head -n $((RECORDS + 1)) "$PERSONS" | bench_psql -c 'COPY person FROM STDIN (FORMAT csv, HEADER)'
sed '/^CREATE TEMP TABLE used/,$d' bench/master.sql >"$work/lookup_setup.sql"
bench_psql -f "$work/lookup_setup.sql" -c "SELECT mastering.master('dev', 'person')" >/dev/null
bench_psql -c "CREATE TABLE probe AS SELECT row_number() OVER () AS id, jsonb_strip_nulls(to_jsonb(p) - 'unique_id' - 'cluster') AS record
    FROM (SELECT * FROM person ORDER BY md5(unique_id::text) LIMIT $PROBES) p; ALTER TABLE probe ADD PRIMARY KEY (id)" -c "VACUUM ANALYZE"

# Runs pgbench with further arguments and says how long its transactions took.
measure() {
    local name=$1
    shift
    rm -f "$work"/lookup_log.*
    (cd "$work" && "$PLACE$PG_BIN/pgbench" -h "$PLACE/run" -U "$SERVER_SUPERUSER" -n -M prepared -D probes=$PROBES -l --log-prefix="$work/lookup_log" -f "$TREE/bench/lookup.sql" "$@" bench) >"$work/lookup_pgbench" 2>&1 ||
        fail "$(cat "$work/lookup_pgbench")"
    cat "$work"/lookup_log.* | awk '{ print $3 / 1000 }' | sort -n | awk -v name="$name" -v tps="$(sed -n 's/^tps = \([0-9]*\).*/\1/p' "$work/lookup_pgbench")" '
        { t[NR] = $1 } END { printf "%-6s p50 %.2f ms, p95 %.2f, p99 %.2f, most %.1f ms; %d look-ups, %d a second\n", name, t[int(NR / 2) + 1], t[int(NR * .95) + 1], t[int(NR * .99) + 1], t[NR], NR, tps }'
    rm -f "$work"/lookup_log.*
}
say "$RECORDS records, $CLIENTS sessions, $(processors) processors, load average $(cut -d' ' -f1 /proc/loadavg)"
measure warm -c "$CLIENTS" -j "$CLIENTS" -T "$SECONDS_LONG"
measure fresh -C -c 1 -t 100
scripts/server.sh stop >/dev/null
find "$PLACE/data/base" -type f -exec dd if={} iflag=nocache count=0 status=none \;
scripts/server.sh start >/dev/null
find_place known
measure cold -c 1 -t 100
bench_psql -At -c "SELECT format('key index: %s bytes a record and rule (%s records, %s rules; with the index on rows)', round((k.bytes + i.bytes)::numeric / r.stored_rows / n.rules, 1), r.stored_rows, n.rules)
    FROM mastering.storage('dev') k, mastering.storage('dev') r,
        (SELECT sum(pg_relation_size(x.indexrelid)) AS bytes FROM pg_index x JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0] WHERE a.attname = '#row' AND x.indnatts = 1) i,
        (SELECT jsonb_array_length(a.content) AS rules FROM mastering.configuration c JOIN mastering.artifact a ON a.hash = c.tree ->> 'entity/person/blocking') n
    WHERE k.kind = 'keys' AND r.kind = 'records'"
