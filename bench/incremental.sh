#!/usr/bin/env bash
# Measures incremental base backups: a pgbench database, a share of whose pages is changed at random before each of five increments.
#
#   bench/incremental.sh [scale [percent]]      default: 130 (2 GB) and 1
#
# Prints, for each increment, what it stored against the compressed size of the changed pages, what the server sent against their
# size, and at last the time to restore the fifth against that of a full backup. Needs PostgreSQL's programs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scale=${1:-130}
percent=${2:-1}
port=${PGPORT:-54999}
bin=$(pg_config --bindir)
work=$(mktemp -d "${TMPDIR:-/var/tmp}/smcdr-bench-XXXXXX")
chmod 755 "$work"
as_server() { if [[ $(id -u) -eq 0 ]]; then setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"; else "$@"; fi; }
finish() {
    if [[ -f $work/data/postmaster.pid ]]; then as_server "$bin/pg_ctl" -D "$work/data" -m immediate stop >/dev/null; fi
    rm -rf "$work"
}
trap finish EXIT

dotnet build -c Release -v q -nologo bench/Incremental >&2

mkdir "$work/data"
if [[ $(id -u) -eq 0 ]]; then chown postgres: "$work/data"; fi
(cd "$work" && as_server "$bin/initdb" -D data -A trust -U postgres --data-checksums -N >/dev/null)
cat >> "$work/data/postgresql.conf" <<CONF
port = $port
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_buffers = 512MB
max_wal_size = 8GB
checkpoint_timeout = 1h
autovacuum = off
fsync = off
CONF
as_server "$bin/pg_ctl" -D "$work/data" -l "$work/data/log" -w start >/dev/null

# Room on every page, so that a changed row stays on its own and no index changes.
"$bin/pgbench" -h 127.0.0.1 -p "$port" -U postgres -i -q -s "$scale" -F 90 postgres >/dev/null 2>&1
"$bin/psql" -h 127.0.0.1 -p "$port" -U postgres -Xqc 'VACUUM (FREEZE, ANALYZE)' -c CHECKPOINT postgres

dotnet run -c Release --no-build --project bench/Incremental -- "$port" "$work/data" "$work" "$percent"
