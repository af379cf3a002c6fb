#!/bin/bash
# cycle.sh: doc/cycle.md on standard output: the transcript in expected/81_cycle.out as a page. Comments are its text, all
# else is code; what comes before "-- :show" but the first comment, and after "-- :hide", is left out.
. "$(dirname "$0")/common.sh"

awk '
    function close_code() { if (code) { print "```"; code = 0 } }
    function text(line) { sub(/^-- ?/, "", line); return line }
    /^-- :hide/ { close_code(); exit }
    /^-- :show/ { shown = 1; print ""; next }
    !shown { if (/^-- / && !began_code) print text($0); else began_code = 1; next }
    /^-- ## / { close_code(); print ""; print text($0); print ""; heading = 1; next }
    /^-- [^-]/ { close_code(); if (!heading && !prose) print ""; print text($0); heading = 0; prose = 1; next }
    { if (prose) print ""; prose = 0; heading = 0 }
    /\\gset/ { next }
    { sub(/[ \t]+$/, "") }
    $0 == "" { blank = code; next }
    !code { print "```sql"; code = 1; blank = 0 }
    blank { print ""; blank = 0 }
    /^\([0-9]+ rows?\)$/ { next }
    { print }
' "$TREE/expected/81_cycle.out" | cat -s
