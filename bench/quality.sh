#!/bin/bash
# quality.sh [set ...]: how good the clusters are, on data with known answers, by the tree's own server.
#
# The data lie in $MASTERING_DATA or ../shared/data (a folder a set, with records.csv and truth.csv); without them
# nothing is measured and that is said. A line a set: precision, recall and F1 of the pairs of the final clusters
# (of abt_buy: of pairs across sources), pair completeness of the blocking, pairs compared, seconds. Sets: the folders of
# the data, "demo" (made-up customers with many households), and NAME:written for the specifications in
# bench/quality/. A second table is of the same sets with LABELS (500; 0: no such table) labels, which an oracle that
# knows the truth gives on the pairs that uncertain_pairs asks for, in five rounds: F1 of the clusters that follow the
# labels, and of the model alone. The figures are kept by hand in bench/QUALITY.md.
#
#   PARTS=yes bench/quality.sh [set ...]     what each part of what is suggested brings: F1 without it
#   VARIANTS=yes bench/quality.sh [pattern]  the default call on the variants of the sets in bench/variants.txt whose name matches: fewer
#                                            columns, no sources, values missing, few copies, few things. A method that helps the
#                                            sets as they are may ruin another kind of table. Minutes; JOBS (2) at once
. "$(dirname "$0")/../scripts/common.sh"
. "$TREE/scripts/place.sh"

DATA=${MASTERING_DATA:-$TREE/../shared/data}
WRITTEN=$TREE/bench/quality

sets() {
    local folder
    for folder in "$DATA"/*/; do
        [ ! -f "$folder/truth.csv" ] || basename "$folder"
    done
    for folder in "$WRITTEN"/*.json; do
        [ ! -d "$DATA/$(basename "$folder" .json)" ] || say "$(basename "$folder" .json):written"
    done
    say demo
}

if [ ! -d "$DATA" ]; then
    say "quality: skipped, there is no folder of data: name it with MASTERING_DATA"
    exit 0
fi
DATA=$(cd "$DATA" && pwd -P)
scripts/server.sh install >&2
scripts/server.sh start >&2
find_place known
run() { server_psql -q -v ON_ERROR_STOP=1 -d quality "$@"; }

[ -n "$(server_psql -d postgres -Atc "SELECT 1 FROM pg_database WHERE datname = 'quality'")" ] ||
    server_psql -q -d postgres -c "CREATE DATABASE quality TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'"
run -c 'SET client_min_messages TO warning' -c 'DROP EXTENSION IF EXISTS mastering CASCADE' -c 'CREATE EXTENSION mastering'

# Loads a set unless it is there; ids and entities are text everywhere.
load() {
    local name=$1 columns
    [ -z "$(run -Atc "SELECT to_regclass('$name')")" ] || return 0
    if [ "$name" = demo ]; then
        build build/demo/generate
        build/demo/generate 30000 build/demo
        run -c 'DROP SCHEMA IF EXISTS crm, shop, billing, demo CASCADE' 2>/dev/null
        run -f demo/sources.sql
        run -c 'CREATE TABLE public.demo AS SELECT id, given_name, family_name, birth_date, street, postcode, city, phone, email FROM demo.customers' \
            -c 'CREATE TABLE public.demo_truth AS SELECT id, entity_id::text FROM demo.truth'
    else
        columns=$(head -n 1 "$DATA/$name/records.csv" | tr -d '\r' | sed 's/[^,]*/"&" text/g')
        run -c "CREATE TABLE $name ($columns)" -c "CREATE TABLE ${name}_truth (id text, entity_id text)" \
            -c "\\copy $name FROM '$DATA/$name/records.csv' WITH (FORMAT csv, HEADER)" \
            -c "\\copy ${name}_truth FROM '$DATA/$name/truth.csv' WITH (FORMAT csv, HEADER)"
    fi
}

measure() {
    local name=${1%%:*} spec=
    [ "$1" = "$name" ] || spec=$(cat "$WRITTEN/$name.json")
    load "$name"
    run -At -F ' | ' -v set="$1" -v name="$name" -v truth="${name}_truth" -v spec="$spec" \
        -v query="SELECT * FROM $name" -v across="$([ "$name" = abt_buy ] && say true || say false)" -f bench/quality.sql 2>&1 ||
        say "| $1 | failed |"
}

measure_labels() {
    load "$1"
    run -At -F ' | ' -v set="$1" -v name="$1" -v truth="${1}_truth" -v query="SELECT * FROM $1" -v rounds=5 -v per_round=$((LABELS / 5)) \
        -v across="$([ "$1" = abt_buy ] && say true || say false)" -f bench/quality_labels.sql 2>&1 ||
        say "| $1 | failed |"
}

# F1 without each part of what suggest says, a line a part; "=" where the suggestion has nothing of the kind.
measure_parts() {
    local name part spec line
    for name in "$@"; do
        load "$name"
    done
    say "| without | $(printf '%s | ' "$@")"
    say "| --- |$(printf ' ---: |%.0s' "$@")"
    for part in nothing 'rules by nearest neighbours' 'rules by keys' 'frequencies of values' 'degrees of likeness' 'names of persons' \
        evidence 'rarity of words' 'words with digits' 'whole record as a text' 'forms of words' 'one source holds a thing once' 'average linkage'; do
        line="| $part |"
        for name in "$@"; do
            spec=$(run -At -v query="SELECT * FROM $name" -v part="$part" -f bench/ablation.sql)
            if [ "$part" != nothing ] && [ -z "$spec" ]; then
                line="$line = |"
            else
                line="$line $(run -At -F ' | ' -v set="$name" -v name="$name" -v truth="${name}_truth" -v spec="$spec" -v query="SELECT * FROM $name" \
                    -v across="$([ "$name" = abt_buy ] && say true || say false)" -f bench/quality.sql | cut -d '|' -f 5 | tr -d ' ') |"
            fi
        done
        say "$line"
    done
}

# The variants: name, set, columns and kinds, by tabs.
variants() {
    local set columns kinds kind
    while IFS='|' read -r set columns kinds; do
        set=$(tr -d ' ' <<<"$set")
        columns=$(sed 's/^ *//; s/ *$//' <<<"$columns")
        for kind in $kinds; do
            printf '%s/%s/%s\t%s\t%s\t%s\n' "$set" "$(tr -d ' ' <<<"${columns// /+}" | sed 's/,+/,/g')" "$kind" "$set" "$columns" "$kind"
        done
    done < <(grep -v '^#' bench/variants.txt)
}

# One variant, a line as `measure` prints it; a table of its own, so that several may run at once.
measure_variant() {
    local name=$1 set=$2 columns=$3 kinds=$4 table
    table=variant_$(md5sum <<<"$name" | head -c 12)
    run -At -v name="$table" -v set="$set" -v columns="$columns" -v kinds="$kinds" -f bench/variants.sql >&2 &&
        run -At -F ' | ' -v set="$name" -v name="$table" -v truth="${table}_truth" -v spec= -v query="SELECT * FROM $table" \
            -v across=false -f bench/quality.sql 2>&1 || say "| $name | failed |"
    run -c "DROP TABLE IF EXISTS $table, ${table}_truth, clusters_of_$table"
}

# Every JOBS-th variant from the given one on.
measure_variants() {
    local first=$1 number=0 name set columns kinds
    while IFS=$'\t' read -r name set columns kinds; do
        number=$((number + 1))
        [ $((number % JOBS)) -ne "$first" ] || measure_variant "$name" "$set" "$columns" "$kinds" </dev/null
    done <"$BUILD/variants.tsv"
}

LABELS=${LABELS:-500}
JOBS=${JOBS:-2}
if [ "${VARIANTS:-no}" = yes ]; then
    variants | grep -e "${1:-.}" >"$BUILD/variants.tsv" || fail "no variant in bench/variants.txt matches \"$1\""
    while read -r set; do
        load "$set"
    done < <(cut -f 2 "$BUILD/variants.tsv" | sort -u)
    say '| variant | precision | recall | F1 | pair completeness | pairs compared | seconds |'
    say '| --- | ---: | ---: | ---: | ---: | ---: | ---: |'
    for ((job = 0; job < JOBS; job++)); do
        measure_variants "$job" &
    done | sort | tee "$BUILD/variants.result"
    awk -F ' *[|] *' 'NF > 6 { n++; sum += $5 } NF <= 6 { failed++ } END { if (n) printf "mean of %d: %.4f\n", n, sum / n; if (failed) { print failed " failed"; exit 1 } }' \
        "$BUILD/variants.result"
    exit 0
fi
if [ "${PARTS:-no}" = yes ]; then
    [ $# -gt 0 ] || mapfile -t all < <(sets | grep -v :written)
    measure_parts "${@:-${all[@]}}"
    exit 0
fi
[ $# -gt 0 ] || mapfile -t all < <(sets)
say '| set | precision | recall | F1 | pair completeness | pairs compared | seconds |'
say '| --- | ---: | ---: | ---: | ---: | ---: | ---: |'
for set in "${@:-${all[@]}}"; do
    measure "$set"
done

[ "$LABELS" -gt 0 ] || exit 0
say
say '| set, with labels | precision | recall | F1 | F1 of the model alone | labels | matches among them | threshold | seconds |'
say '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |'
for set in "${@:-${all[@]}}"; do
    case $set in *:written) ;; *) measure_labels "$set" ;; esac
done
