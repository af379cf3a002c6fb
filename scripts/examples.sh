#!/bin/bash
# examples.sh DATABASE PAGE: the page as it should be, on standard output (scripts/examples.pl): its examples are run in a copy
# of a database that scripts/demo.sh has made, so that no page sees what another leaves behind. Roles that a page makes go, too.
. "$(dirname "$0")/common.sh"
. "$TREE/scripts/place.sh"

[ $# -eq 2 ] || fail 'usage: examples.sh DATABASE PAGE'
find_place known || fail 'no private server; scripts/server.sh start'
copy=$1_examples_$$
server_psql -q -d postgres -c "CREATE DATABASE $copy TEMPLATE $1" -c "ALTER DATABASE $copy SET search_path = public, mastering" \
    -c "ALTER DATABASE $copy SET DateStyle = 'ISO, YMD'"
roles() { server_psql -At -d postgres -c "SELECT quote_ident(rolname) FROM pg_roles ORDER BY 1"; }
before=$(roles)
clean() {
    server_psql -q -d postgres -c "DROP DATABASE $copy WITH (FORCE)"
    comm -13 <(printf '%s\n' "$before") <(roles) | while read -r role; do
        server_psql -q -d postgres -c "DROP ROLE $role" </dev/null
    done
}
trap clean EXIT
PATH=$PLACE$PG_BIN:$PATH PGHOST=$PLACE/run PGUSER=$SERVER_SUPERUSER PGDATABASE=$copy perl scripts/examples.pl "$2"
