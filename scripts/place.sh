# shellcheck shell=bash
# place.sh: where the private server lives and who runs it. Sourced after common.sh by what talks to it.
#
# The place holds a copy of the installation (usr/), the cluster (data/), and in run/ the socket and the log. It is
# build/server in the tree. Where that cannot work - the user who runs the server may not enter the tree, the
# socket's path would pass the kernel's 107 bytes, or has a comma or a quote in it - it is a private folder
# below TMPDIR instead, whose name is kept in build/server.place.
#
# PostgreSQL refuses to run as root. Root lets the owner of data/ run it, at first the user postgres; anybody
# else runs it as oneself. Only that user and root can reach the socket: its folder has mode 0700.

SERVER_SUPERUSER=postgres

set_server_user() {
    SERVER_UID=$(id -u)
    SERVER_GID=$(id -g)
    if [ "$SERVER_UID" -eq 0 ]; then
        if [ -d "$1/data" ] && [ "$(stat -c %u "$1/data")" -ne 0 ]; then
            SERVER_UID=$(stat -c %u "$1/data")
            SERVER_GID=$(stat -c %g "$1/data")
        else
            SERVER_UID=$(id -u postgres)
            SERVER_GID=$(id -g postgres)
        fi
    fi
}

# Runs a program as the server's user, in a folder that this user can enter.
as_server() {
    if [ "$(id -u)" -eq 0 ]; then
        (cd "${PLACE:-/}" && exec setpriv --reuid "$SERVER_UID" --regid "$SERVER_GID" --clear-groups env HOME="${PLACE:-/}" "$@")
    else
        (cd "${PLACE:-/}" && exec "$@")
    fi
}

# Can a server live in this folder (made if need be)? Says why not.
place_suits() {
    local socket=$1/run/.s.PGSQL.5432 bytes
    bytes=$(printf %s "$socket" | wc -c)
    [ "$bytes" -le 107 ] || { REASON="the socket's path would have $bytes bytes"; return 1; }
    case $1 in *[,\']*) REASON="clients and makefiles cannot cope with its name"; return 1 ;; esac
    set_server_user "$1"
    mkdir -p "$1/run" 2>/dev/null && chmod 755 "$1" 2>/dev/null || { REASON="cannot write there"; return 1; }
    if [ "$(id -u)" -eq 0 ]; then
        chown "$SERVER_UID:$SERVER_GID" "$1/run" 2>/dev/null || { REASON="its file system keeps no owners"; return 1; }
    fi
    chmod 700 "$1/run"
    [ "$(stat -c %u:%a "$1/run")" = "$SERVER_UID:700" ] || { REASON="run/ there is not private to user $SERVER_UID"; return 1; }
    as_server test -w "$1/run" 2>/dev/null || { REASON="user $SERVER_UID cannot enter it"; return 1; }
}

# Sets PLACE, SERVER_UID and SERVER_GID. Without an argument it makes the place if there is none yet; with
# `known` it fails when there is none.
find_place() {
    local base
    PLACE=$BUILD/server
    if [ -r "$BUILD/server.place" ]; then
        PLACE=$(cat "$BUILD/server.place")
    fi
    if [ -d "$PLACE/data" ]; then
        set_server_user "$PLACE"
        return 0
    fi
    [ "${1:-}" != known ] || return 1
    mkdir -p "$BUILD" 2>/dev/null && [ -w "$BUILD" ] || fail "cannot write to $BUILD"
    [ ! -r "$BUILD/server.place" ] || { [ -d "$PLACE" ] && place_suits "$PLACE" && return 0; }

    rm -f "$BUILD/server.place"
    PLACE=$BUILD/server
    place_suits "$PLACE" && return 0
    say "server: not in $PLACE: $REASON"
    rm -rf "$PLACE"
    for base in "${TMPDIR:-/tmp}" /tmp /var/tmp; do
        PLACE=$(mktemp -d "$base/mastering.XXXXXX" 2>/dev/null) || continue
        if place_suits "$PLACE"; then
            say "$PLACE" >"$BUILD/server.place"
            return 0
        fi
        rm -rf "$PLACE"
    done
    fail "found no folder in which user $SERVER_UID could run a server; set TMPDIR to one (last reason: $REASON)"
}

# The postmaster's process id, when it is really ours: a stale file may name anybody's process.
server_pid() {
    local pid
    pid=$(head -n 1 "$PLACE/data/postmaster.pid" 2>/dev/null) || return 1
    [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$(readlink -f "$PLACE/data")" ] || return 1
    say "$pid"
}

# A program of the private installation, connected to the private server.
server_program() {
    local program=$1
    shift
    PGHOST=$PLACE/run PGUSER=$SERVER_SUPERUSER "$PLACE$PG_BIN/$program" "$@"
}

server_psql() { server_program psql -X -v ON_ERROR_STOP=1 "$@"; }
