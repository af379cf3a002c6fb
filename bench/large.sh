#!/bin/bash
# large.sh: an environment of millions of persons, kept: its first load and run, then runs after changes, look-ups, a run over all.
#
#   RECORDS=10000000 bench/large.sh make         the database "large", with the first load, training and run (bench/large.sql)
#   bench/large.sh change 100000 [1000 ...]      so many changes, then load and master: inserts, updates, deletions, a third each
#   bench/large.sh full                          a run over all records, for comparison
#   bench/large.sh lookup [SECONDS]              look-ups by pgbench: as it is, with all that they read in memory, in fresh sessions,
#                                                and cold (restarts the server, with its files out of the system's cache)
#   bench/large.sh statements 1000               one more increment, with each of its statements of 10 ms and more
#
# Wall time of each step, processor time of its backend, how long that waited for a processor (on a machine that others use, too, that is
# most of the wall time; less it, and less the processor time, is what the disk took) and its highest memory; MEMORY=1GB is mastering.work_mem. The
# generator of the persons is gen_person.c in MASTERING_BENCH (bench/bench_full.sh).
. "$(dirname "$0")/../scripts/common.sh"
. "$TREE/scripts/place.sh"

MEMORY=${MEMORY:-1GB}
MASTERING_BENCH=${MASTERING_BENCH:-$TREE/../shared/bench/splink}
work=$BUILD/bench
mkdir -p "$work"
large_psql() { server_psql -q -d large "$@"; }
scripts/server.sh start
find_place known

# Nanoseconds for which the backend (not its threads) was ready to run and waited for a processor.
waited="split_part(pg_read_file('/proc/self/schedstat'), ' ', 2)::bigint"

# One statement in a session of its own.
timed() {
    local what=$1 statement=$2
    large_psql -At 2>&1 <<SQL | awk -v what="$what" '/^Time:/ { wall = $2 } /^said / { said = substr($0, 6) } /^cpu / { cpu = $2; waited = $3; memory = $4 } /ERROR/ { print } END { printf "%-20s %10.0f ms wall %10.0f ms of processor %10.0f ms waited for it %6d MB  %s\n", what, wall, cpu, waited, memory, said }'
SET client_min_messages = error;
SET mastering.work_mem = '$MEMORY';
SELECT bench.processor_time() AS before, $waited AS waited \gset
\timing on
SELECT 'said ' || ($statement)::text;
\timing off
SELECT 'cpu ' || bench.processor_time() - :before || ' ' || ($waited - :waited) / 1000000 || ' ' || (regexp_match(pg_read_file('/proc/self/status'), 'VmHWM:\s+(\d+)'))[1]::bigint / 1024;
SQL
}

make_it() {
    [ -f "$MASTERING_BENCH/gen_person.c" ] || fail "there is no gen_person.c in MASTERING_BENCH ($MASTERING_BENCH)"
    "${CC:-cc}" -O2 -o "$work/gen_person" "$MASTERING_BENCH/gen_person.c" -lm
    server_psql -q -d postgres -c 'SET client_min_messages TO warning' -c 'DROP DATABASE IF EXISTS large WITH (FORCE)' -c 'CREATE DATABASE large'
    large_psql -f bench/person.sql
    "$work/gen_person" "${RECORDS:-1000000}" 42 | large_psql -c '\copy person FROM pstdin CSV HEADER'
    large_psql -f bench/large.sql
    timed 'first load' "SELECT sum(total) FROM mastering.load('prod', 'person')"
    timed train "SELECT mastering.train('prod', 'person') ->> 'threshold'"
    timed 'first run' "SELECT mastering.master('prod', 'person')"
    large_psql -c "CREATE TABLE bench.probe AS SELECT row_number() OVER () AS id, jsonb_strip_nulls(to_jsonb(p) - 'unique_id' - 'cluster') AS record
        FROM (SELECT DISTINCT ON (p.unique_id) p.* FROM bench.some(11000, 0, 0) p LIMIT 10000) p; ALTER TABLE bench.probe ADD PRIMARY KEY (id)" -c 'VACUUM ANALYZE bench.probe' -c 'CHECKPOINT'
}

# measure NAME pgbench arguments...: how long its transactions took.
measure() {
    local name=$1
    shift
    rm -f "$work"/large_log.*
    echo "\\set id random(1, 10000)
SELECT cluster_id FROM mastering.lookup('prod', 'person', (SELECT record FROM bench.probe WHERE id = :id));" >"$work/large_lookup.sql"
    (cd "$work" && "$PLACE$PG_BIN/pgbench" -h "$PLACE/run" -U "$SERVER_SUPERUSER" -n -M prepared -l --log-prefix="$work/large_log" -f "$work/large_lookup.sql" "$@" large) >"$work/large_pgbench" 2>&1 ||
        fail "$(cat "$work/large_pgbench")"
    cat "$work"/large_log.* | awk '{ print $3 / 1000 }' | sort -n | awk -v name="$name" -v tps="$(sed -n 's/^tps = \([0-9]*\).*/\1/p' "$work/large_pgbench")" '
        { t[NR] = $1 } END { printf "%-6s p50 %.2f ms, p95 %.2f, p99 %.2f, most %.1f ms; %d look-ups, %d a second\n", name, t[int(NR / 2) + 1], t[int(NR * .95) + 1], t[int(NR * .99) + 1], t[NR], NR, tps }'
    rm -f "$work"/large_log.*
}

# The server started again, with no page of its files in memory.
cold_server() {
    scripts/server.sh stop >/dev/null
    sync -f "$PLACE/data"    # what was not written yet would stay
    find "$PLACE/data/base" -type f -exec dd if={} iflag=nocache count=0 status=none \;
    scripts/server.sh start >/dev/null
    find_place known
}

# What look-ups read - keys, records and members, with the indexes they use - into the system's cache.
in_memory() {
    large_psql -At -c 'SET client_min_messages TO warning' -c 'CREATE EXTENSION IF NOT EXISTS pg_prewarm' -c "
        SELECT 'read into memory: ' || pg_size_pretty(sum(pg_prewarm(r.oid, 'read') * 8192))
          FROM (SELECT format('mastering.%I', 'segment_' || s)::regclass AS segment FROM mastering.head h, unnest(ARRAY['person_keys', 'person_records', 'person_members']) v,
                       jsonb_array_elements_text(h.versions -> v -> 'segments') s WHERE h.environment = 'prod') t
         CROSS JOIN LATERAL (SELECT t.segment::oid AS oid UNION ALL
                             SELECT i.indexrelid FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indexrelid AND a.attnum = 1 WHERE i.indrelid = t.segment AND a.attname <> '#cluster') r"
}

say "load average $(cut -d' ' -f1 /proc/loadavg), $(du -sm "$PLACE/data" | cut -f1) MB of disk"
command=${1:-}
[ $# -eq 0 ] || shift
case $command in
    make) make_it ;;
    change)
        for n in "$@"; do
            large_psql -c "SELECT bench.change($n)" -c 'CHECKPOINT' >/dev/null
            timed "load of $n" "SELECT sum(inserted + updated + deleted) FROM mastering.load('prod', 'person')"
            timed "increment of $n" "SELECT mastering.master('prod', 'person') -> 'how'"
        done
        ;;
    full)
        large_psql -c 'SELECT bench.change(3)' >/dev/null
        timed 'load of 3' "SELECT sum(inserted + updated + deleted) FROM mastering.load('prod', 'person')"
        timed 'all records' "SELECT mastering.master('prod', 'person', full => true) -> 'how'"
        ;;
    lookup)
        measure as-is -c 2 -j 2 -T "${1:-20}"
        in_memory
        measure warm -c 2 -j 2 -T "${1:-20}"
        measure fresh -C -c 1 -t 100
        cold_server
        measure cold -c 1 -t 100
        cold_server
        timed 'first look-up, cold' "SELECT count(*) FROM mastering.lookup('prod', 'person', (SELECT record FROM bench.probe WHERE id = 17))"
        ;;
    statements)
        large_psql -c "SELECT bench.change(${1:-1000})" >/dev/null
        large_psql -At 2>&1 <<'SQL' | awk '/LOG:  duration:/ { time = $0; sub(/.*duration: /, "", time); sub(/ ms.*/, "", time); next }
            /^Query Text:/ { text = substr($0, 13, 130); gsub(/ +/, " ", text); printf "%10.0f ms  %s\n", time, text; next } /^run / { print }'
LOAD 'auto_explain';
SET auto_explain.log_min_duration = 10;
SET auto_explain.log_nested_statements = on;
SET client_min_messages = log;
SELECT 'run ' || sum(l.inserted + l.updated + l.deleted) FROM mastering.load('prod', 'person') l;
SELECT 'run ' || (mastering.master('prod', 'person') -> 'how')::text;
SQL
        ;;
    *) fail "usage: large.sh make | change N... | full | lookup [SECONDS] | statements N" ;;
esac
