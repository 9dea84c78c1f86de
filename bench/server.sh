# A throwaway server for a benchmark, sourced by it: start_server PORT SETTING… makes $work, $bin and a server with an empty database cluster in
# $work/data, which ends with the script. Needs PostgreSQL's programs.

bin=$(pg_config --bindir)
initdb_options=()
work=$(mktemp -d "${TMPDIR:-/var/tmp}/smcdr-bench-XXXXXX")
chmod 755 "$work"

as_server() { if [[ $(id -u) -eq 0 ]]; then setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"; else "$@"; fi; }

# The same in place of this shell: for what runs beside it, whose id is then that of the program.
become_server() { if [[ $(id -u) -eq 0 ]]; then exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"; else exec "$@"; fi; }

end_server() {
    if [[ -f $work/data/postmaster.pid ]]; then as_server "$bin/pg_ctl" -D "$work/data" -m immediate stop >/dev/null; fi
    rm -rf "$work"
}
trap end_server EXIT

start_server() {
    port=$1
    mkdir "$work/data"
    if [[ $(id -u) -eq 0 ]]; then chown postgres: "$work/data"; fi
    (cd "$work" && as_server "$bin/initdb" -D data -A trust -U postgres --data-checksums -N "${initdb_options[@]}" >/dev/null)
    printf '%s\n' "port = $port" "listen_addresses = '127.0.0.1'" "unix_socket_directories = ''" "shared_buffers = 512MB" "checkpoint_timeout = 1h" \
        "${@:2}" >>"$work/data/postgresql.conf"
    as_server "$bin/pg_ctl" -D "$work/data" -l "$work/data/log" -w start >/dev/null
}

# fill_server ARGUMENT…: pgbench's tables, at rest.
fill_server() {
    "$bin/pgbench" -h 127.0.0.1 -p "$port" -U postgres -i -q "$@" postgres >/dev/null 2>&1
    "$bin/psql" -h 127.0.0.1 -p "$port" -U postgres -Xqc 'VACUUM (FREEZE, ANALYZE)' -c CHECKPOINT postgres
}
