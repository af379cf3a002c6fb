#!/bin/bash
# loads.sh: loads of a few changes into a large source, with all keys compared, by a change column and by a relation of changes.
#
#   RECORDS=1000000 CHANGES=1000 TURNS=12 bench/loads.sh
. "$(dirname "$0")/../scripts/common.sh"
. "$TREE/scripts/place.sh"

scripts/server.sh install
scripts/server.sh start
find_place known
server_psql -q -d postgres -c 'SET client_min_messages TO warning' -c 'DROP DATABASE IF EXISTS loads WITH (FORCE)' -c 'CREATE DATABASE loads'
say "${RECORDS:=1000000} records, ${CHANGES:=1000} changes a load; load average $(cut -d' ' -f1 /proc/loadavg)"
server_psql -q -At -d loads -v records="$RECORDS" -v changes="$CHANGES" -v turns="${TURNS:-12}" -f bench/loads.sql
server_psql -q -d postgres -c 'DROP DATABASE loads WITH (FORCE)'
