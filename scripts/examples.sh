#!/bin/bash
# examples.sh DATABASE PAGE: the page as it should be, on standard output (scripts/examples.pl): its examples are run in a copy
# of a database that scripts/demo.sh has made, so that no page sees what another leaves behind; those of a page doc/NAME.md with
# data of its own, doc/examples/NAME.sql, in a new database that has these. Roles and further databases that a page makes go, too.
. "$(dirname "$0")/common.sh"
. "$TREE/scripts/place.sh"

[ $# -eq 2 ] || fail 'usage: examples.sh DATABASE PAGE'
find_place known || fail 'no private server; scripts/server.sh start'
copy=$1_examples_$$
data=doc/examples/$(basename "$2" .md).sql
template=template0
[ -f "$data" ] || { template=$1 && data=/dev/null; }
server_psql -q -d postgres -c "CREATE DATABASE $copy TEMPLATE $template" -c "ALTER DATABASE $copy SET search_path = public, mastering" \
    -c "ALTER DATABASE $copy SET DateStyle = 'ISO, YMD'" -c "ALTER DATABASE $copy SET TimeZone = 'UTC'"
before=$(server_psql -At -d postgres -c "SELECT 'DATABASE ' || datname FROM pg_database UNION SELECT 'ROLE ' || rolname FROM pg_roles" | LC_ALL=C sort)
# Other pages make some meanwhile: those go that this page names and that were not there, databases before roles.
clean() {
    server_psql -q -d postgres -c "DROP DATABASE $copy WITH (FORCE)"
    cat "$2" "$data" | sed -nE 's/CREATE (DATABASE|ROLE)/\n&/g; p' | sed -nE 's/^CREATE ((DATABASE|ROLE) [a-z_0-9]+).*/\1/p' | LC_ALL=C sort -u |
        LC_ALL=C comm -13 <(printf '%s\n' "$before") - | sed 's/\(.*\) \(.*\)/DROP \1 IF EXISTS \2;/' | server_psql -q -d postgres -f -
}
trap 'clean "$@"' EXIT
[ "$data" = /dev/null ] || server_psql -q -d "$copy" -c 'CREATE EXTENSION mastering' -f "$data" >/dev/null
PATH=$PLACE$PG_BIN:$PATH PGHOST=$PLACE/run PGUSER=$SERVER_SUPERUSER PGDATABASE=$copy perl scripts/examples.pl "$2"
