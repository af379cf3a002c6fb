#!/bin/bash
# test_cycle.sh: doc/cycle.md is the transcript that the regression tests compare with what the extension does.
cd "$(dirname "$0")/../.." || exit 1
if scripts/cycle.sh | diff doc/cycle.md - >&2; then
    echo 'ok 1 - doc/cycle.md is what scripts/cycle.sh makes'
else
    echo 'not ok 1 - doc/cycle.md is what scripts/cycle.sh makes: scripts/cycle.sh >doc/cycle.md'
fi
if [ "$(scripts/cycle.sh | grep -c '^## ')" -ge 8 ] && scripts/cycle.sh | grep -q '^ERROR:  environment "test" is stopped'; then
    echo 'ok 2 - it tells the whole cycle'
else
    echo 'not ok 2 - it tells the whole cycle'
fi
echo 1..2
