# shellcheck shell=bash
# common.sh: what every script of the house starts with. It is sourced, never run.
#
# Afterwards the working directory is the root of the tree, nothing of the caller's PG* or make variables
# reaches the private server, and these are known:
#   TREE       root of the tree              PG_BIN    PostgreSQL's programs as the packages installed them
#   PG_CONFIG  the pg_config to build with   BUILD     $TREE/build, which git ignores
set -euo pipefail

# Somebody's PGHOST or PGSERVICE must not lead a script of ours to their server.
for variable in $(compgen -e PG); do
    unset "$variable"
done
unset variable MAKEFLAGS MAKELEVEL MFLAGS MAKEOVERRIDES CDPATH GREP_OPTIONS

PG_MAJOR=15
PG_HOME=/usr/lib/postgresql/$PG_MAJOR
# shellcheck disable=SC2034 # for server.sh
PG_SHARE=/usr/share/postgresql/$PG_MAJOR
PG_BIN=$PG_HOME/bin
export PG_CONFIG=$PG_BIN/pg_config

TREE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
BUILD=$TREE/build
cd "$TREE"

export LC_ALL=C.UTF-8
export PATH=$PATH:/usr/sbin:/sbin
# The server's user reads what we write, also where the caller's umask would forbid it.
umask 022

say() { printf '%s\n' "$*"; }
fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# Processors this process may use: affinity, then a container's quota.
processors() {
    local count quota period
    count=$(nproc)
    if read -r quota period 2>/dev/null </sys/fs/cgroup/cpu.max && [ "$quota" != max ]; then
        quota=$(((quota + period - 1) / period))
        [ "$quota" -ge "$count" ] || count=$quota
    fi
    say "$count"
}

# Megabytes of memory: the machine's, or the container's when that is less.
memory_mb() {
    local total limit
    total=$(awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo)
    if read -r limit 2>/dev/null </sys/fs/cgroup/memory.max && [ "$limit" != max ]; then
        limit=$((limit / 1048576))
        [ "$limit" -ge "$total" ] || total=$limit
    fi
    say "$total"
}

# Runs make of this tree, quietly unless it fails. Scripts may run at once: one build at a time.
build() {
    mkdir -p "$BUILD" 2>/dev/null && [ -w "$BUILD" ] ||
        fail "cannot write to $BUILD; it belongs to $(stat -c %U "$BUILD" 2>/dev/null || say 'somebody else')"
    if ! flock "$BUILD/build.lock" make -j"$(processors)" PG_CONFIG="$PG_CONFIG" "$@" >"$BUILD/build.log" 2>&1; then
        grep -v "^$(basename "${CC:-gcc}") -" "$BUILD/build.log" >&2
        return 1
    fi
}
