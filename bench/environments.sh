#!/bin/bash
# environments.sh: what a promotion, a rollback and a snapshot take with durable commits and open readers, and what a golden
# view costs beside a plain table.
#
#   bench/environments.sh                      with RECORDS=2000 and RECORDS=200000 records an entity, ROUNDS=60 rounds
. "$(dirname "$0")/../scripts/common.sh"
. "$TREE/scripts/place.sh"

ROUNDS=${ROUNDS:-60}
work=$BUILD/bench
mkdir -p "$work"
scripts/server.sh install
scripts/server.sh start
find_place known

# A toy server does not wait for the disk; a promotion that counts does.
durable() { server_psql -q -d postgres -c "ALTER SYSTEM $1 fsync$2" -c 'SELECT pg_reload_conf()' >/dev/null; }
trap 'durable RESET ""' EXIT
durable SET ' = on'

bench_psql() { server_psql -q -d bench "$@"; }

percentiles() { sort -n | awk '{ t[NR] = $1 } END { printf "p50 %.1f ms  p90 %.1f ms  max %.1f ms\n", t[int((NR + 1) / 2)], t[int(NR * 0.9 + 0.999)], t[NR] }'; }

# The times in milliseconds of one statement after each of the others.
switches() {
    {
        printf '%s\n' '\timing on'
        for _ in $(seq "$ROUNDS"); do
            printf '%s\n' '\echo promote'
            echo "SELECT mastering.promote('test', 'prod');"
            printf '%s\n' '\echo rollback'
            echo "SELECT mastering.rollback('prod');"
            printf '%s\n' '\echo snapshot'
            echo "SELECT mastering.snapshot('prod');"
            printf '%s\n' '\echo other'
            echo "SELECT mastering.release_hold('prod', max(release_id)) FROM mastering.releases WHERE state = 'rolled back' AND target = 'prod';"
        done
    } | bench_psql -At >"$work/switches"
    for name in promote rollback snapshot; do
        printf '  %-9s' "$name"
        awk -v name="$name" '$1 ~ /^(promote|rollback|snapshot|other)$/ { now = $1 } $1 == "Time:" && now == name { print $2 }' "$work/switches" | percentiles
    done
}

# Median time of a query on the view over that on the table, run in turns.
beside() {
    local view=$1 table=$2 name=$3 runs=$4
    {
        echo 'SET max_parallel_workers_per_gather = 0;'
        echo "PREPARE v AS $view;"
        echo "PREPARE t AS $table;"
        echo 'EXECUTE v; EXECUTE t; EXECUTE v; EXECUTE t;'
        printf '%s\n' '\timing on'
        for _ in $(seq "$runs"); do
            printf '%s\n' '\echo view'
            echo 'EXECUTE v;'
            printf '%s\n' '\echo table'
            echo 'EXECUTE t;'
        done
    } | bench_psql -At | awk -v name="$name" '
        function median(a, n,    i, j, x) { for (i = 2; i <= n; i++) { x = a[i]; for (j = i - 1; j > 0 && a[j] > x; j--) a[j + 1] = a[j]; a[j + 1] = x } return a[int((n + 1) / 2)] }
        $1 == "view" || $1 == "table" { now = $1 }
        $1 == "Time:" && now == "view" { v[++nv] = $2; now = "" }
        $1 == "Time:" && now == "table" { t[++nt] = $2; now = "" }
        END { mv = median(v, nv); mt = median(t, nt); printf "  %-12s view %.3f ms, table %.3f ms: %.2f times\n", name, mv, mt, mv / mt }'
}

for records in ${RECORDS:-2000 200000}; do
    server_psql -q -d postgres -c 'SET client_min_messages TO warning' -c 'DROP DATABASE IF EXISTS bench WITH (FORCE)' -c 'CREATE DATABASE bench'
    bench_psql -At -v records="$records" -f bench/environments.sql >"$work/setup"
    say "$records records in each of 12 entities, $(bench_psql -Atc "SELECT count(*) FROM pg_views WHERE schemaname = 'prod'") views, \
$(bench_psql -Atc "SELECT count(*) FROM mastering.head h, jsonb_each(versions) v, jsonb_array_elements(v.value -> 'segments') WHERE environment = 'prod'") live segments; \
fsync $(bench_psql -Atc 'SHOW fsync'), synchronous_commit $(bench_psql -Atc 'SHOW synchronous_commit')"
    readers=()
    for e in 1 2 3 4; do
        echo "BEGIN; DECLARE c CURSOR FOR SELECT * FROM prod.e$e; FETCH 5 FROM c; SELECT pg_sleep(600);" | bench_psql >/dev/null 2>&1 &
        readers+=($!)
    done
    sleep 1
    switches
    kill "${readers[@]}" 2>/dev/null || true
    wait "${readers[@]}" 2>/dev/null || true
    bench_psql -c 'VACUUM'
    beside 'SELECT count(name), sum(records) FROM prod.e1' 'SELECT count(name), sum(records) FROM input.plain' 'full scan' 31
    beside 'SELECT * FROM prod.e1 WHERE id = (SELECT max(id) FROM input.keys)' 'SELECT * FROM input.plain WHERE id = (SELECT max(id) FROM input.keys)' 'key look-up' 301
    beside 'SELECT count(e.name) FROM input.keys k JOIN prod.e1 e USING (id)' 'SELECT count(e.name) FROM input.keys k JOIN input.plain e USING (id)' '10-key join' 301
done
