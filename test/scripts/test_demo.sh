#!/bin/bash
# test_demo.sh: the generator makes the same bytes everywhere, and read_csv.pl copes with what spreadsheets write.
set -euo pipefail
cd "$(dirname "$0")/../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

number=0
failed=0
is() {
    number=$((number + 1))
    if [ "$2" = "$3" ]; then
        printf 'ok %d - %s\n' "$number" "$1"
    else
        printf 'not ok %d - %s\n# wanted: %s\n# got:    %s\n' "$number" "$1" "$3" "$2"
        failed=$((failed + 1))
    fi
}

# ---- the generator ----
generate() {
    mkdir -p "$scratch/$1"
    "$scratch/generate" "$2" "$scratch/$1" ${3:+"$3"}
}
gcc -std=gnu11 -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -o "$scratch/generate" demo/generate.c demo/people.c
generate first 30000
generate again 30000
generate other 30000 2
cd "$scratch/first"
is 'one seed, one result' "$(cat ./*.csv | sha256sum)" "$(cat ../again/*.csv | sha256sum)"
is 'the bytes are those of every other machine' "$(cat billing.csv crm.csv shop.csv truth.csv | sha256sum | cut -c 1-16)" "da025bfb6318475f"
is 'another seed, another result' "$(cmp -s crm.csv ../other/crm.csv && echo same || echo different)" different
is 'as many records as asked for' "$(($(cat crm.csv shop.csv billing.csv | wc -l) - 3))" 30000
is 'the truth knows each record once' "$(tail -q -n +2 crm.csv shop.csv billing.csv | cut -d, -f1 | sort -u | cksum)" \
    "$(tail -n +2 truth.csv | cut -d, -f2 | sort | cksum)"
is 'it is UTF-8' "$(iconv -f UTF-8 -t UTF-8 ./*.csv | cksum)" "$(cat ./*.csv | cksum)"
generate many 300000
is 'every 29 February is one' "$(grep -ohE '[0-9]{4}-02-29' ../many/crm.csv ../many/shop.csv | awk '$1 % 4 || $1 + 0 == 1900' | wc -l)" 0
is 'one record is possible' "$(cd ../.. && generate one 1 && cat "$scratch"/one/{crm,shop,billing}.csv | wc -l)" 4
cd - >/dev/null

# ---- CSV files of others ----
# reads ENCODING HEADER: what read_csv.pl makes of file $scratch/csv, names first, lines joined by |
reads() {
    if demo/read_csv.pl "$scratch/csv" "${1:-}" "$scratch/names" "${2:-}" >"$scratch/out" 2>"$scratch/message"; then
        paste -s -d '|' "$scratch/names" "$scratch/out" | paste -s -d '>'
    else
        sed "s,$scratch/,,g" "$scratch/message"
    fi
}
write() { printf '%b' "$1" >"$scratch/csv"; }

write 'id,name\n1,Ann\n'
is 'a plain file' "$(reads)" ',|id|name>1,Ann'
write '\xef\xbb\xbfid;name\r\n1;Ann\r\n'
is 'byte order mark, semicolons, Windows line ends' "$(reads)" ';|id|name>1;Ann'
write 'id\tname\r1\tAnn\r'
is 'tabs, old Macintosh line ends' "$(reads)" "$(printf '\t')|id|name>1$(printf '\t')Ann"
write '"a;b";"say ""x""";c\n1;2;3\n'
is 'quoted names' "$(reads)" ';|a;b|say "x"|c>1;2;3'
write '"two\nlines",b\n"1\r\n2",3'
is 'line breaks within quotes, none at the end' "$(reads)" ',|two lines|b>"1|2",3'
write 'a,,A, a ,a_2\n'
is 'empty and repeated names' "$(reads)" ',|a|column_2|A_2|a_3|a_2_2>'
write '1,Ann\n2,"Bo\nb"\n'
is 'no names' "$(reads '' no)" ',|column_1|column_2>1,Ann|2,"Bo|b"'
reads >/dev/null
is 'a first line like a record is told of' "$(sed "s,$scratch/,,g" "$scratch/message")" \
    "demo: the first line of csv looks like a record (1) and is taken for the names of columns. Where it has none: make demo DATA='csv' HEADER=no"
write 'name,2019,e-mail\n'
reads >/dev/null
is 'years may be names' "$(cat "$scratch/message")" ''
write 'only\nx\n'
is 'one column' "$(reads)" ',|only>x'
write 'name\nM\xfcller\n'
is 'not UTF-8: it says so' "$(reads)" \
    "demo: csv is not UTF-8 (byte 0xFC at offset 6). Say what it is: make demo DATA='csv' ENCODING=windows-1252"
is 'an encoding is given' "$(reads windows-1252)" ',|name>Müller'
is 'an encoding that there is not' "$(reads klingon)" \
    'demo: ENCODING=klingon is not known; try UTF-8, windows-1252, iso-8859-1, iso-8859-15, UTF-16'
write '\xff\xfen\x00\n\x00\xfc\x00\n\x00'
is 'UTF-16 with a byte order mark' "$(reads)" ',|n>ü'
write 'name\ncut short \xc3'
is 'an incomplete last character' "$(reads | cut -d '.' -f 1)" 'demo: csv is not UTF-8 (byte 0xC3 at offset 15)'
write 'name\na\x00b\n'
is 'a character 0' "$(reads)" 'demo: csv has a character 0 in it, which no database stores'
write ''
is 'an empty file' "$(reads)" 'demo: csv has no header in its first line'
# Characters that lie across the borders of the blocks read.
{ echo n; head -c 3000000 /dev/zero | sed 's/\x0/€/g'; echo; } >"$scratch/csv"
is 'a line of 9 MB' "$(reads | tail -c +5 | cksum)" "$(tail -n +2 "$scratch/csv" | cksum)"

printf '1..%d\n' "$number"
[ "$failed" -eq 0 ]
