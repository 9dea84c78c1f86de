#!/usr/bin/env bash
# Measures the WAL stream beside pgbench at full load: how long from a commit's WAL on the server's disk until it is durable in a
# directory repository, and what the stream costs the server. Rounds without and with the stream alternate.
#
#   bench/wal-latency.sh [seconds [rounds [scale [clients]]]]      default: 20, 3, 20 (300 MB) and 8
#
# Needs PostgreSQL's programs. SYNCHRONOUS=1 adds rounds in which commits wait for the repository.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-20}
rounds=${2:-3}
scale=${3:-20}
clients=${4:-8}
port=${PGPORT:-54998}
bin=$(pg_config --bindir)
work=$(mktemp -d "${TMPDIR:-/var/tmp}/smcdr-bench-XXXXXX")
chmod 755 "$work"
as_server() { if [[ $(id -u) -eq 0 ]]; then setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"; else "$@"; fi; }
finish() {
    if [[ -f $work/data/postmaster.pid ]]; then as_server "$bin/pg_ctl" -D "$work/data" -m immediate stop >/dev/null; fi
    rm -rf "$work"
}
trap finish EXIT

dotnet build -c Release -v q -nologo bench/WalLatency >&2

mkdir "$work/data"
if [[ $(id -u) -eq 0 ]]; then chown postgres: "$work/data"; fi
(cd "$work" && as_server "$bin/initdb" -D data -A trust -U postgres --data-checksums -N >/dev/null)
cat >> "$work/data/postgresql.conf" <<CONF
port = $port
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_buffers = 512MB
max_wal_size = 16GB
checkpoint_timeout = 1h
CONF
as_server "$bin/pg_ctl" -D "$work/data" -l "$work/data/log" -w start >/dev/null
"$bin/pgbench" -h 127.0.0.1 -p "$port" -U postgres -i -q -s "$scale" postgres >/dev/null 2>&1
"$bin/psql" -h 127.0.0.1 -p "$port" -U postgres -Xqc 'VACUUM (FREEZE, ANALYZE)' -c CHECKPOINT postgres

dotnet run -c Release --no-build --project bench/WalLatency -- "$port" "$work" "$bin/pgbench" "$seconds" "$rounds" "$clients" "${SYNCHRONOUS:-0}"
