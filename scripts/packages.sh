#!/bin/bash
# packages.sh [build|demo|check]...: makes sure that the Debian packages that a step needs are there.
#
# As root it installs what is missing, in one apt-get call; otherwise it prints the line to run and exits
# with 1. Nothing missing: it prints nothing. PostgreSQL's package would create a cluster named main and
# start it; this tree brings its own server, so for the time of the call pg_createcluster is a program that
# does nothing. Clusters that exist are not looked at, packages that are there are not upgraded.
. "$(dirname "$0")/common.sh"

build_packages=(gcc make pkg-config libc6-dev "postgresql-$PG_MAJOR" "postgresql-server-dev-$PG_MAJOR" libicu-dev libroaring-dev)
demo_packages=("${build_packages[@]}" "postgresql-client-$PG_MAJOR")
check_packages=("${demo_packages[@]}" clang-format cppcheck shellcheck libipc-run-perl perl "postgresql-$PG_MAJOR-cron")

[ $# -gt 0 ] || set -- build demo check
wanted=()
for set in "$@"; do
    case $set in
        build) wanted+=("${build_packages[@]}") ;;
        demo) wanted+=("${demo_packages[@]}") ;;
        check) wanted+=("${check_packages[@]}") ;;
        *) fail "no set of packages is named $set: build, demo, check" ;;
    esac
done
command -v dpkg-query >/dev/null || fail "this is not Debian; it needs the like of: ${wanted[*]}"

# pkgconf may stand in for pkg-config: there the program counts, not the name of its package.
is_installed() {
    if [ "$1" = pkg-config ]; then
        command -v pkg-config >/dev/null
    else
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
    fi
}

missing=()
while read -r package; do
    is_installed "$package" || missing+=("$package")
done < <(printf '%s\n' "${wanted[@]}" | sort -u)
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    say "apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
    exit 1
fi

say "packages: installing ${missing[*]}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
ln -s /bin/true "$scratch/pg_createcluster"
log=$scratch/log
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
{
    apt-get -q update &&
        apt-get -q -y --no-install-recommends -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 \
            -o DPkg::Path="$scratch:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" install "${missing[@]}"
} </dev/null >"$log" 2>&1 || {
    cat "$log" >&2
    fail "apt-get could not install ${missing[*]}. PostgreSQL $PG_MAJOR is part of Debian 12; elsewhere add the repository apt.postgresql.org"
}
