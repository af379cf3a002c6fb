#!/bin/bash
# demo.sh: the demonstration. Without DATA it makes up the customers of a company (ROWS records) and tells the
# story of demo/demo.sql on them; with DATA=file.csv it finds the duplicates of that file (demo/csv.sql).
#
# Everything happens in the database "demo" (or DEMO_DATABASE) of the tree's own server, which is made anew each time.
. "$(dirname "$0")/common.sh"
. "$TREE/scripts/place.sh"

ROWS=${ROWS:-30000}
DATA=${DATA:-}
ENCODING=${ENCODING:-}
HEADER=${HEADER:-yes}
DATABASE=${DEMO_DATABASE:-demo}
started=$SECONDS

[[ $ROWS =~ ^[1-9][0-9]{0,7}$ ]] && [ "$ROWS" -le 10000000 ] || fail "ROWS=$ROWS: a number from 1 to 10000000 is wanted"
[[ $HEADER =~ ^(yes|no)$ ]] || fail "HEADER=$HEADER: yes or no is wanted"
[ -z "$DATA" ] || { [ -f "$DATA" ] && [ -r "$DATA" ]; } || fail "DATA=$DATA: there is no such file, or it may not be read"

scripts/packages.sh demo
mkdir -p "$BUILD/demo" 2>/dev/null && [ -w "$BUILD/demo" ] || fail "cannot write to $BUILD/demo"
scripts/server.sh install
scripts/server.sh start
find_place known
prepared=$SECONDS

admin() { server_psql -q -d postgres "$@"; }
demo_psql() { server_psql -q -d "$DATABASE" "$@"; }

admin -c 'SET client_min_messages TO warning' -c "DROP DATABASE IF EXISTS $DATABASE WITH (FORCE)" \
    -c "CREATE DATABASE $DATABASE TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'" \
    -c "ALTER DATABASE $DATABASE SET search_path = public, mastering" \
    -c "ALTER DATABASE $DATABASE SET DateStyle = 'ISO, YMD'"

# What is run is shown: comments are the story, statements what a reader can type.
tell() {
    demo_psql -a -P pager=off -P null='' -P border=1 "$@" 2>&1 | sed -E '/^\\(timing|pset|set (ON_ERROR_STOP|ECHO))/d; s/^psql:[^ ]*: //'
    return "${PIPESTATUS[0]}"
}

if [ -z "$DATA" ]; then
    [ build/demo/generate -nt demo/generate.c ] && [ build/demo/generate -nt demo/people.c ] || build build/demo/generate
    build/demo/generate "$ROWS" build/demo
    demo_psql -f demo/sources.sql
    rm -f build/demo/{crm,shop,billing,truth}.csv
    tell -f demo/demo.sql -f demo/environments.sql
    # What the story says must have happened. Few records make no giant cluster.
    [ "$ROWS" -lt 30000 ] || [ "$(demo_psql -Atc 'SELECT count(*) FROM mastering.check_results WHERE NOT passed')" = 1 ] ||
        fail "the demo's check was to stop one release, and did not"
else
    demo/read_csv.pl "$DATA" "$ENCODING" build/demo/names "$HEADER" >build/demo/records.csv
    demo_psql -c 'CREATE SCHEMA data'
    demo_psql -At -f demo/csv_table.sql >build/demo/load.sql
    # Lines are counted as in the file, which has names in its first one.
    demo_psql -f build/demo/load.sql 2>&1 | HEADER=$HEADER perl -pe 's/^psql:[^ ]*: //; s/(COPY records, line )(\d+)/$1 . ($2 + ($ENV{HEADER} eq "yes"))/e' >&2 ||
        fail "$DATA could not be loaded: see the lines above"
    rm -f build/demo/records.csv
    records=$(demo_psql -Atc 'SELECT count(*) FROM data.records')
    [ "$records" -gt 0 ] || fail "$DATA has a header but no records"
    # A column that identifies the record is its id; otherwise its number in the file is.
    query=$(demo_psql -At -v ON_ERROR_STOP=1 -f demo/csv_query.sql)
    demo_psql -c "CREATE VIEW data.input AS $query"
    say "$DATA: $records records"
    tell -f demo/csv.sql
fi

say
say "This took $((SECONDS - prepared)) seconds, and $((prepared - started)) before that to build and start."
say "Look around:  make psql        or  psql -h $PLACE/run -U $SERVER_SUPERUSER $DATABASE"
say "Stop it with: make stop        and remove it with: make distclean"
