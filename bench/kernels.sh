#!/bin/bash
# kernels.sh: nanoseconds of processor time for one similarity: a call in SQL over the cost of a = b, and a pair in the
# kernels themselves. The server must be one whose superuser this is (it reads the processor time of its own process).
#
#   bench/kernels.sh
#
# KERNELS_PEER names programs of a peer, separated by spaces, to be measured on the same names in turns with ours: each
# is called with a file of names and prints lines of SSE2 or AVX2, one of jaro_winkler, levenshtein and osa, and
# nanoseconds of processor time a pair, of the first 64 names with all, made ready before the clock starts. Ours are pairs of
# any two names, both made ready, as scoring has them.
# KERNELS_ONLY=1 leaves out SQL and needs no server.
. "$(dirname "$0")/../scripts/common.sh"
. "$TREE/scripts/place.sh"

[ -n "${KERNELS_ONLY:-}" ] || scripts/packages.sh demo
mkdir -p "$BUILD/bench"
"${CC:-cc}" -std=gnu11 -O2 -ffp-contract=off -Isrc -pthread -o "$BUILD/bench/kernels" bench/kernels.c src/kernel/*.c -lm
say "machine: $(processors) processors, load $(cut -d ' ' -f 1 /proc/loadavg); $(date -u +%F)"

in_sql() {
    scripts/server.sh install
    scripts/server.sh start
    find_place known
    server_psql -q -d postgres -c 'SET client_min_messages TO warning' -c 'DROP DATABASE IF EXISTS bench_kernels WITH (FORCE)' -c 'CREATE DATABASE bench_kernels'
    server_psql -q -d bench_kernels -c 'CREATE EXTENSION mastering'
    say "in SQL:"
    server_psql -q -d bench_kernels -f bench/kernels.sql
    server_psql -q -d postgres -c 'DROP DATABASE bench_kernels WITH (FORCE)'
}
[ -n "${KERNELS_ONLY:-}" ] || in_sql

say "in the kernels:"
"$BUILD/bench/kernels"

# The least of what each says in some turns.
if [ -z "${KERNELS_PEER:-}" ]; then
    say "bench: the peer is skipped: KERNELS_PEER names no program"
    exit 0
fi
"$BUILD/bench/kernels" names >"$BUILD/bench/names"
for _ in 1 2 3; do
    for measure in jaro_winkler levenshtein osa; do
        "$BUILD/bench/kernels" "$measure" | sed "s/ / $measure /; s/^/mastering /"
    done
    for peer in $KERNELS_PEER; do
        "$peer" "$BUILD/bench/names" | sed 's/^/peer /'
    done
done | awk '{ key = $2 " " $3; side = $1; if (!((side, key) in least) || $4 < least[side, key]) least[side, key] = $4; keys[key] = 1 }
    END { for (key in keys) if ((("peer", key) in least) && (("mastering", key) in least))
        printf "  %-20s mastering %5.1f ns, peer %5.1f ns, ratio %.2f\n", key, least["mastering", key], least["peer", key], least["peer", key] / least["mastering", key] }' | sort
