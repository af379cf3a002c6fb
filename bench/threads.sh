#!/bin/bash
# threads.sh: two threads against one, and a small memory against a large one, on the persons that bench.sh has loaded
# (run that first): seconds, seconds of the phases that threads share, and whether the clusters are the same.
#
#   bench/threads.sh
. "$(dirname "$0")/../scripts/common.sh"
. "$TREE/scripts/place.sh"
find_place known

bench_psql() { server_psql -q -d bench "$@"; }

# run THREADS WORK_MEM: prints seconds, milliseconds of scoring, the processor's seconds, and a hash of the clusters.
run() {
    {
        echo "SET mastering.threads = $1;"
        sed "s/work_mem = '1GB'/work_mem = '$2'/" bench/run_person.sql
        echo "SELECT sum(milliseconds) FILTER (WHERE phase = 'pairs' AND step > learnt)::int, round(sum(processor_milliseconds)::numeric / 1000, 1) FROM mastering.last_run(), (SELECT max(step) AS learnt FROM mastering.last_run() WHERE phase = 'learning') AS learning;"
        echo "SELECT md5(string_agg(id || ':' || cluster_id, ',' ORDER BY id)) FROM clusters;"
    } | bench_psql -At -F ' ' -f - 2>/dev/null | tail -n 3 | paste -s -d ' '
}

say "machine: $(processors) processors, load $(cut -d ' ' -f 1 /proc/loadavg); $(date -u +%F)"
for turn in 1 2; do
    for threads in 1 2; do
        read -r seconds scoring processor hash < <(run $threads 1GB)
        say "turn $turn, threads $threads: $seconds s, scoring $scoring ms, $processor s of processor time, clusters $hash"
    done
done
read -r seconds scoring processor hash < <(run 2 "${SMALL:-64MB}")
say "memory ${SMALL:-64MB}: $seconds s, scoring $scoring ms, $processor s of processor time, clusters $hash"
