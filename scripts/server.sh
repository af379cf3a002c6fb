#!/bin/bash
# server.sh install|start|stop|status|psql [arguments]|remove: the tree's own PostgreSQL server.
#
# It is a copy of the installed PostgreSQL with mastering in it, reached by a socket only its user and root
# can open; no port, nothing in /etc, nothing in the system's PostgreSQL. Every command may be repeated.
#   install  builds the tree and installs it into the copy (new sessions load the new library)
#   start    makes the cluster at the first time, starts it unless it runs
#   stop     stops it; the data stay
#   remove   stops it and deletes copy and data
. "$(dirname "$0")/common.sh"
. "$TREE/scripts/place.sh"

[ -x "$PG_BIN/postgres" ] || fail "PostgreSQL $PG_MAJOR is not installed; scripts/packages.sh build"

# Copies the installation unless the copy is of this very version.
copy_installation() {
    local version
    version=$(stat -c '%s %Y %n' "$PG_BIN/postgres")
    [ "$(cat "$PLACE/version" 2>/dev/null)" != "$version" ] || return 0
    stop_server
    rm -rf "${PLACE:?}/usr" "$PLACE/version"
    mkdir -p "$PLACE${PG_HOME%/*}" "$PLACE${PG_SHARE%/*}"
    cp -R --preserve=mode,timestamps,links "$PG_HOME" "$PLACE${PG_HOME%/*}/"
    cp -R --preserve=mode,timestamps,links "$PG_SHARE" "$PLACE${PG_SHARE%/*}/"
    say "$version" >"$PLACE/version"
}

install_tree() {
    copy_installation
    build all
    build install DESTDIR="$PLACE"
}

# Written before every start. A toy of a cluster for demo and tests: speed over safety from power cuts.
write_settings() {
    local memory shared
    memory=$(memory_mb)
    shared=$((memory / 8))
    [ "$shared" -ge 32 ] || shared=32
    [ "$shared" -le 1024 ] || shared=1024
    {
        say "listen_addresses = ''"
        say "unix_socket_directories = '\"${PLACE//\'/\'\'}/run\"'"
        say "unix_socket_permissions = 0700"
        say "max_connections = 50"
        say "shared_buffers = ${shared}MB"
        say "maintenance_work_mem = $((shared / 2))MB"
        say "work_mem = 32MB"
        say "effective_cache_size = $((memory / 2))MB"
        say "max_wal_size = 4GB"
        say "fsync = off"
        say "jit = off"
        say "cluster_name = 'mastering'"
        # Containers often have 64 MB of /dev/shm, too little for parallel plans.
        if [ "$(df -m --output=avail /dev/shm 2>/dev/null | tail -n 1)" -lt 1024 ] 2>/dev/null; then
            say "dynamic_shared_memory_type = mmap"
        fi
    } | as_server tee "$PLACE/data/private.conf" >/dev/null
}

make_cluster() {
    if [ ! -f "$PLACE/data/PG_VERSION" ] || [ ! -f "$PLACE/data/private.conf" ]; then
        rm -rf "$PLACE/data"
        install -d -m 700 "$PLACE/data"
        [ "$(id -u)" -ne 0 ] || chown "$SERVER_UID:$SERVER_GID" "$PLACE/data"
        as_server "$PLACE$PG_BIN/initdb" -D "$PLACE/data" -U "$SERVER_SUPERUSER" -A trust -E UTF8 --no-locale --no-sync \
            >"$BUILD/initdb.log" 2>&1 || { cat "$BUILD/initdb.log" >&2; fail "initdb failed"; }
        say "include 'private.conf'" | as_server tee -a "$PLACE/data/postgresql.conf" >/dev/null
    fi
    write_settings
}

start_server() {
    local log=$PLACE/run/log
    ! server_pid >/dev/null || return 0
    make_cluster
    # A file left by a machine that went down may name a living process of somebody else.
    rm -f "$PLACE/data/postmaster.pid" "$PLACE/run/.s.PGSQL.5432" "$PLACE/run/.s.PGSQL.5432.lock"
    as_server "$PLACE$PG_BIN/pg_ctl" -D "$PLACE/data" -l "$log" -w -t 60 start >/dev/null 2>&1 9>&- </dev/null || {
        tail -n 20 "$log" >&2
        fail "the server did not start; its log is $log"
    }
}

stop_server() {
    server_pid >/dev/null || return 0
    as_server "$PLACE$PG_BIN/pg_ctl" -D "$PLACE/data" -m fast -w -t 60 stop >/dev/null
}

# One at a time: commands that change something wait for each other.
lock() { exec 9>"$BUILD/server.lock" && flock 9; }

command=${1:-}
[ $# -eq 0 ] || shift
case $command in
    install | start)
        mkdir -p "$BUILD" 2>/dev/null || true
        [ -w "$BUILD" ] || fail "cannot write to $BUILD"
        lock
        find_place
        if [ "$command" = install ]; then
            install_tree
        else
            [ -x "$PLACE$PG_BIN/postgres" ] || install_tree
            start_server
        fi
        ;;
    stop)
        find_place known || { say "server: there is none"; exit 0; }
        lock
        if server_pid >/dev/null; then
            stop_server
            say "server: stopped; its data stay in $PLACE"
        else
            say "server: not running"
        fi
        ;;
    status)
        find_place known && pid=$(server_pid) || { say "server: not running"; exit 3; }
        say "server: process $pid, socket in $PLACE/run"
        ;;
    psql)
        find_place known && server_pid >/dev/null || fail "the server is not running; scripts/server.sh start"
        database=postgres
        if [ -n "$(server_psql -d postgres -Atc "SELECT 1 FROM pg_database WHERE datname = 'demo'")" ]; then
            database=demo
        fi
        PGHOST=$PLACE/run PGUSER=$SERVER_SUPERUSER PGDATABASE=$database exec "$PLACE$PG_BIN/psql" "$@"
        ;;
    remove)
        find_place known || exit 0
        lock
        stop_server
        rm -rf "$PLACE" "$BUILD/server.place"
        ;;
    *) fail "usage: server.sh install|start|stop|status|psql [arguments]|remove" ;;
esac
