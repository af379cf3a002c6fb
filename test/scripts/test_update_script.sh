#!/bin/bash
# Tests scripts/update_script.pl: what it takes from the new install script, what it drops, and what it refuses to pass over.
. "$(dirname "$0")/../../scripts/common.sh"

number=0
failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

ok() {
    local name=$1 wanted=$2 found=$3
    number=$((number + 1))
    if [ "$wanted" = "$found" ]; then
        say "ok $number - $name"
    else
        failed=$((failed + 1))
        say "not ok $number - $name"
        printf '# wanted: %s\n# found:  %s\n' "$wanted" "$found"
    fi
}

# The statements of the update between two scripts, a line each, without what all updates have.
update() {
    printf '%s\n' "$1" >"$scratch/old.sql"
    printf '%s\n' "$2" >"$scratch/new.sql"
    printf '%s\n' "${3:-}" >"$scratch/delta.sql"
    perl scripts/update_script.pl "$scratch/old.sql" "$scratch/new.sql" "$scratch/delta.sql" 2>"$scratch/missing" |
        grep -vE '^(--|\\echo|SET LOCAL|$)' | tr '\n' '~' | sed 's/~$//'
}

f="CREATE FUNCTION mastering.f(a int) RETURNS int LANGUAGE sql AS \$\$ SELECT a \$\$;
COMMENT ON FUNCTION mastering.f(int) IS 'F; f.';"
ok 'nothing changed' '' "$(update "$f" "$f")"
ok 'a comment before a function is none of it' '' "$(update "$f" "-- it's new; it is
$f")"
ok 'a body changed' "CREATE OR REPLACE FUNCTION mastering.f(a int) RETURNS int LANGUAGE sql AS \$\$ SELECT a + 1; \$\$;" \
    "$(update "$f" "${f/SELECT a/SELECT a + 1;}")"
ok 'a comment changed' "COMMENT ON FUNCTION mastering.f(int) IS 'G; f.';" "$(update "$f" "${f/F; f/G; f}")"
g=${f/RETURNS int/RETURNS bigint}
ok 'another result: dropped, made, commented on' "DROP FUNCTION mastering.f(int);~$(tr '\n' '~' <<<"$g" | sed 's/~$//')" "$(update "$f" "$g")"
ok 'a function that is no more' 'DROP FUNCTION mastering.f(int);' "$(update "$f" '')"
ok 'a new function' "$(tr '\n' '~' <<<"$f" | sed 's/~$//')" "$(update '' "$f")"
ok 'a new table and its index' 'CREATE TABLE mastering.t (a int);~CREATE INDEX ON mastering.t (a);' "$(update '' 'CREATE TABLE mastering.t (a int);
CREATE INDEX ON mastering.t (a);')"
ok 'a view is replaced' 'CREATE OR REPLACE VIEW mastering.v AS SELECT 1 AS a, 2 AS b;' "$(update 'CREATE VIEW mastering.v AS SELECT 1 AS a;' 'CREATE VIEW mastering.v AS SELECT 1 AS a, 2 AS b;')"
ok 'rights are said again' 'GRANT SELECT ON mastering.v TO PUBLIC;' "$(update 'GRANT SELECT ON mastering.v TO PUBLIC;' 'GRANT SELECT ON mastering.v TO PUBLIC;')"

refused=$(update 'CREATE TABLE mastering.t (a int);' 'CREATE TABLE mastering.t (a int, b int);')
ok 'a table that changed and nobody wrote of' "DO \$\$ BEGIN RAISE EXCEPTION 'this update of mastering is not complete' USING ERRCODE = '0A000', DETAIL = 'TABLE mastering.t is another'; END \$\$;" "$refused"
ok 'it is named where the update is made' 'TABLE mastering.t is another, and nothing here covers it' "$(sed 's/^[^:]*: //' "$scratch/missing")"
ok 'a table that somebody wrote of' 'ALTER TABLE mastering.t ADD b int;' "$(update 'CREATE TABLE mastering.t (a int);' 'CREATE TABLE mastering.t (a int, b int);' '-- covers TABLE mastering.t
ALTER TABLE mastering.t ADD b int;')"
update 'CREATE INDEX ON mastering.t (a);' '' >/dev/null
ok 'an index that is no more' 'CREATE INDEX ON mastering.t (a); is no more, and nothing here covers it' "$(sed 's/^[^:]*: //' "$scratch/missing")"
update '' '' '-- covers TABLE mastering.nothing' >/dev/null
ok 'a hand that wrote of nothing' 'TABLE mastering.nothing is covered, and in neither script, and nothing here covers it' "$(sed 's/^[^:]*: //' "$scratch/missing")"

say "1..$number"
[ "$failed" -eq 0 ]
