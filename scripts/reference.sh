#!/bin/bash
# reference.sh DATABASE: doc/reference.md as the catalog of a database with the extension says it, on standard output.
# Chapters are the files of sql/, in their order; what is marked as internal is left out. `make reference` writes the file.
. "$(dirname "$0")/common.sh"
. "$TREE/scripts/place.sh"
find_place known

database=${1:?a database with the extension, or --new for one made for this}
if [ "$database" = --new ]; then
    database=mastering_reference
    server_psql -q -d postgres -c "DROP DATABASE IF EXISTS $database" -c "CREATE DATABASE $database TEMPLATE template0" 2>/dev/null
    server_psql -q -d $database -c 'CREATE EXTENSION mastering'
    trap 'server_psql -q -d postgres -c "DROP DATABASE mastering_reference"' EXIT
fi

# "name|file|title" for each file of sql/: its first line says what it is about, up to the first stop.
chapters() {
    local file title
    for file in sql/*.sql; do
        title=$(sed -n '1s/^-- *[^:]*: *\([^.,:;]*\).*/\1/p' "$file")
        { grep -oE '^CREATE (FUNCTION|PROCEDURE|AGGREGATE|VIEW) mastering\.[a-z_0-9]+' "$file" || true; } |
            sed "s/.*mastering\.//" | awk -v title="$title" -v file="$(basename "$file" .sql)" '!seen[$0]++ { print $0 "|" file "|" title }'
    done
}

{
    cat <<'SQL'
SET search_path = pg_catalog;
LOAD '$libdir/mastering';
CREATE TEMP TABLE chapter (name text, file text, title text);
COPY chapter FROM stdin WITH (DELIMITER '|');
SQL
    chapters
    printf '%s\n' '\.'
    cat scripts/reference.sql
} | server_psql -q -At -d "$database" -v ON_ERROR_STOP=1
