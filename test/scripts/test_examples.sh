#!/bin/bash
# test_examples.sh: what pages say that their examples print is what they print, after a `make demo`. With names of pages: only those.
. "$(dirname "$0")/../../scripts/common.sh"
. "$TREE/scripts/place.sh"

PAGES=(README.md doc/matching.md doc/golden.md doc/labels.md doc/lookup.md doc/charts.md doc/governance.md
    doc/environments.md doc/loading.md doc/schedule.md doc/samples.md doc/incremental.md doc/comparisons.md doc/engine.md doc/other-databases.md
    doc/upgrade.md doc/models.md doc/architecture.md)
[ $# -eq 0 ] || PAGES=("$@")

number=0
failed=0
ok() {
    number=$((number + 1))
    if [ "$2" -eq 0 ]; then
        say "ok $number - $1"
    else
        say "not ok $number - $1"
        failed=$((failed + 1))
    fi
}

folder=$BUILD/demo/pages
rm -rf "$folder" && mkdir -p "$folder/doc"
status=0
DEMO_DATABASE=demo_pages scripts/demo.sh >"$folder/demo.log" 2>&1 || status=$?
[ "$status" -eq 0 ] || tail -n 20 "$folder/demo.log" >&2
ok 'the demonstration' "$status"
find_place known

# page PAGE FILE: FILE becomes what the page should be; what differs is said.
page() {
    local status=0
    scripts/examples.sh demo_pages "$1" >"$2" || status=1
    diff "$1" "$2" >&2 || status=1
    return "$status"
}

# A page that lies is seen, and one that fails.
cat >"$folder/lie.md" <<'PAGE'
```sql
SELECT 1 AS one;
```
```
 two
-----
   1
```
PAGE
cat >"$folder/fails.md" <<'PAGE'
```sql
SELECT nothing;
```
PAGE
cat >"$folder/nobody.md" <<'PAGE'
```sql
-- nobody
SELECT nothing;
```
PAGE
status=0
for lie in lie fails nobody; do
    ! page "$folder/$lie.md" "$folder/$lie.out" 2>/dev/null || status=1
done
ok 'other output and errors are seen' "$status"

# As many at a time as there are processors.
waiting=()
for name in "${PAGES[@]}"; do
    (status=0 && { page "$name" "$folder/$name" 2>"$folder/$name.diff" || status=1; } && say "$status" >"$folder/$name.status") &
    waiting+=($!)
    [ "${#waiting[@]}" -lt "$(processors)" ] || { wait "${waiting[0]}" && waiting=("${waiting[@]:1}"); }
done
wait
for name in "${PAGES[@]}"; do
    status=$(cat "$folder/$name.status")
    [ "$status" -eq 0 ] || cat "$folder/$name.diff" >&2
    ok "$name (build/demo/pages/$name is how it should be)" "$status"
done
server_psql -q -d postgres -c 'SET client_min_messages TO warning' -c 'DROP DATABASE IF EXISTS demo_pages WITH (FORCE)'

say "1..$number"
[ "$failed" -eq 0 ]
