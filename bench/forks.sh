#!/bin/bash
# forks.sh: what fork, restore, snapshot, promotion and rollback take with durable commits, and whether they take longer where there are
# many environments: two databases of 10 entities (50 views, and 10 more of their _next schema), the second with FORKS forks and SNAPSHOTS snapshots more, in turns.
#
#   bench/forks.sh                             FORKS=200 SNAPSHOTS=1000 RECORDS=500 TURNS=10 turns of EACH=4 calls
#   FORKS_PSQL='psql ...'                      on a server that runs already, with fsync as it is there
. "$(dirname "$0")/../scripts/common.sh"
. "$TREE/scripts/place.sh"

FORKS=${FORKS:-200}
SNAPSHOTS=${SNAPSHOTS:-1000}
RECORDS=${RECORDS:-500}
ENTITIES=${ENTITIES:-10}
TURNS=${TURNS:-10}
EACH=${EACH:-4}
work=$BUILD/bench
mkdir -p "$work"
if [ -z "${FORKS_PSQL:-}" ]; then
    scripts/server.sh install
    scripts/server.sh start
    find_place known
    FORKS_PSQL=server_psql
    # A toy server does not wait for the disk; what counts does.
    durable() { server_psql -q -d postgres -c "ALTER SYSTEM $1 fsync$2" -c 'SELECT pg_reload_conf()' >/dev/null; }
    trap 'durable RESET ""' EXIT
    durable SET ' = on'
fi
on() { $FORKS_PSQL -q -At -d "bench_$1" "${@:2}"; }

if [ -z "${KEEP:-}" ]; then
    for name in few many; do
        $FORKS_PSQL -q -d postgres -c 'SET client_min_messages TO warning' -c "DROP DATABASE IF EXISTS bench_$name WITH (FORCE)" -c "CREATE DATABASE bench_$name"
        on $name -v entities="$ENTITIES" -v records="$RECORDS" -f bench/environments.sql >/dev/null
    done
    # A transaction each: one would take all their locks.
    for ((i = 1; i <= FORKS; i++)); do echo "SELECT mastering.fork_environment('prod', 'fork_$i', ttl => '30 days');"; done | on many >/dev/null
    for ((i = 1; i <= SNAPSHOTS; i++)); do echo "SELECT mastering.snapshot('prod', tag => 'tag_$i');"; done | on many >/dev/null
    for name in few many; do on $name -c 'VACUUM ANALYZE'; done
fi

calls() {
    printf '%s\n' 'SET client_min_messages = error;' '\timing on'
    for ((i = 0; i <= EACH; i++)); do
        # The first of a connection reads the catalog and makes its plans.
        [ "$i" -gt 0 ] && printf '%s\n' '\echo fork' || printf '%s\n' '\echo first_fork'
        echo "SELECT mastering.fork_environment('prod', 'mine_$i', ttl => '1 day');"
        [ "$i" -gt 0 ] && printf '%s\n' '\echo restore' || printf '%s\n' '\echo first_restore'
        echo "SELECT mastering.restore('mine_$i', 'prod~1');"
        [ "$i" -gt 0 ] && printf '%s\n' '\echo promote' || printf '%s\n' '\echo first_promote'
        echo "SELECT mastering.promote('test', 'prod');"
        [ "$i" -gt 0 ] && printf '%s\n' '\echo rollback' || printf '%s\n' '\echo first_rollback'
        echo "SELECT mastering.rollback('prod');"
        [ "$i" -gt 0 ] && printf '%s\n' '\echo snapshot' || printf '%s\n' '\echo first_snapshot'
        echo "SELECT mastering.snapshot('prod');"
        printf '%s\n' '\echo drop'
        echo "SELECT mastering.drop_environment('mine_$i');"
        printf '%s\n' '\echo other'
        echo "SELECT mastering.release_hold('prod', max(release_id)) FROM mastering.releases WHERE state = 'rolled back' AND target = 'prod';"
    done
}
rm -f "$work/forks.few" "$work/forks.many"
for ((turn = 0; turn < TURNS; turn++)); do
    for name in few many; do
        calls | on $name >>"$work/forks.$name"
    done
done
say "$FORKS forks, $SNAPSHOTS snapshots, $RECORDS records an entity, $(on many -c "SELECT count(*) FROM pg_views WHERE schemaname = 'prod'") views, fsync $(on many -c 'SHOW fsync'); load $(cut -d' ' -f1-3 /proc/loadavg)"
for call in fork restore snapshot promote rollback drop first_fork first_restore first_promote first_snapshot; do
    for name in few many; do
        awk -v call=$call '/^[a-z_]+$/ { now = $1 } $1 == "Time:" && now == call { print $2; now = "" }' "$work/forks.$name" | sort -n |
            awk '{ t[NR] = $1 } END { printf "%.1f %.1f\n", t[int((NR + 1) / 2)], t[int(NR * 0.9 + 0.999)] }'
    done | awk -v call=$call '{ a[NR] = $1; b[NR] = $2 } END { printf "  %-14s p50 %6.1f ms, p90 %6.1f ms; with many %6.1f ms, %6.1f ms: %+.0f %%, %+.0f %%\n", call, a[1], b[1], a[2], b[2], 100 * (a[2] / a[1] - 1), 100 * (b[2] / b[1] - 1) }'
done
