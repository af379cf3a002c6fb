#!/bin/bash
# kernels.sh: nanoseconds of processor time for one similarity: a call in SQL over the cost of a = b, and a pair in the
# kernels themselves. The server must be one whose superuser this is (it reads the processor time of its own process).
#
#   bench/kernels.sh
. "$(dirname "$0")/../scripts/common.sh"
. "$TREE/scripts/place.sh"

scripts/packages.sh demo
mkdir -p "$BUILD/bench"
"${CC:-cc}" -std=gnu11 -O2 -ffp-contract=off -Isrc -pthread -o "$BUILD/bench/kernels" bench/kernels.c src/kernel/*.c -lm
scripts/server.sh install
scripts/server.sh start
find_place known

server_psql -q -d postgres -c 'SET client_min_messages TO warning' -c 'DROP DATABASE IF EXISTS bench_kernels WITH (FORCE)' -c 'CREATE DATABASE bench_kernels'
server_psql -q -d bench_kernels -c 'CREATE EXTENSION mastering'
say "machine: $(processors) processors, load $(cut -d ' ' -f 1 /proc/loadavg); $(date -u +%F)"
say "in SQL:"
server_psql -q -d bench_kernels -f bench/kernels.sql
say "in the kernels, one name with many:"
"$BUILD/bench/kernels"
server_psql -q -d postgres -c 'DROP DATABASE bench_kernels WITH (FORCE)'
