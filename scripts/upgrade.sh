#!/bin/bash
# upgrade.sh check | freeze VERSION COMMIT: updates between released versions; see doc/upgrade.md.
#
#   check    makes the update to the version of the control file and says what of the tree it does not bring
#   freeze   keeps the install script of a commit, as that of a released version, in sql/updates
. "$(dirname "$0")/common.sh"

version=$(sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" mastering.control)

install_script() {
    local commit=$1 file
    for file in $(git -c safe.directory="$TREE" ls-tree --name-only "$commit" sql/ | grep '^sql/[0-9].*\.sql$' | LC_ALL=C sort); do
        git -c safe.directory="$TREE" show "$commit:$file"
    done
}

case ${1:-} in
check)
    delta=$(compgen -G "sql/updates/[0-9]*--$version.sql") || fail "no sql/updates/FROM--$version.sql: write one, empty if nothing needs a hand"
    from=$(basename "$delta" "--$version.sql")
    mkdir -p "$BUILD"
    cat sql/[0-9]*.sql >"$BUILD/install.sql"
    perl scripts/update_script.pl "sql/updates/mastering--$from.sql" "$BUILD/install.sql" "$delta" >"$BUILD/update.sql" 2>"$BUILD/update.missing"
    cat "$BUILD/update.missing"
    [ ! -s "$BUILD/update.missing" ] || exit 1
    ;;
freeze)
    [ $# -eq 3 ] || fail 'freeze VERSION COMMIT'
    git -c safe.directory="$TREE" show "$3:mastering.control" | grep -q "default_version = '$2'" || fail "$3 is not version $2"
    install_script "$3" >"sql/updates/mastering--$2.sql"
    # The update to a released version is as it was released, too.
    if delta=$(compgen -G "sql/updates/[0-9]*--$2.sql"); then
        from=$(basename "$delta" "--$2.sql")
        perl scripts/update_script.pl "sql/updates/mastering--$from.sql" "sql/updates/mastering--$2.sql" "$delta" >"sql/updates/mastering--$from--$2.sql"
        git -c safe.directory="$TREE" rm -q --ignore-unmatch "$delta"
    fi
    say "sql/updates/mastering--$2.sql is frozen. Next: default_version of mastering.control and META.json, and sql/updates/$2--NEXT.sql."
    ;;
*) fail 'check | freeze VERSION COMMIT' ;;
esac
