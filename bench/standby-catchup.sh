#!/usr/bin/env bash
# Measures how a standby that has fallen behind comes to stream again beside pgbench at full load: as it is made, which leaves to its stream what the
# primary keeps for it, and with a restore_command that fetches whatever the repository has, one segment after the other.
#
#   bench/standby-catchup.sh [seconds [limit [scale [clients [segment]]]]]
#
# The standby is away for so many seconds of load (default 20), and is then given as many as limit (default 60) to come to stream, while the load goes on. Scale
# (20) and clients (8) are pgbench's; segment is the size of a segment in MB (16). Needs PostgreSQL's programs. SMCDR=PROGRAM measures that one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-20}
limit=${2:-60}
scale=${3:-20}
clients=${4:-8}
segment=${5:-16}
source bench/server.sh

if [[ -z ${SMCDR:-} ]]; then
    # As it is handed out: compiled for this platform.
    dotnet publish src/SmcDr.Cli -c Release --use-current-runtime --self-contained false -o out/cli -v quiet -nologo >&2
    SMCDR=$PWD/out/cli/smcdr
fi

initdb_options=(--wal-segsize="$segment")
start_server "${PGPORT:-54990}" "max_wal_size = 16GB" "wal_log_hints = on"
west=$((port + 1))
fill_server -s "$scale"
if [[ $(id -u) -eq 0 ]]; then chown postgres: "$work"; fi
cat >"$work/smcdr.yaml" <<SITE
name: catchup
repository: { location: "file://$work/repository" }
regions:
  east: { role: primary, database: { connection: "Host=127.0.0.1;Port=$port;Username=postgres;Database=postgres", dataDirectory: $work/data, binDirectory: $bin } }
  west: { role: standby, database: { connection: "Host=127.0.0.1;Port=$west;Username=postgres;Database=postgres", dataDirectory: $work/west, binDirectory: $bin } }
SITE

smcdr() { as_server "$SMCDR" --site "$work/smcdr.yaml" "$@"; }
ask() { "$bin/psql" -h 127.0.0.1 -p "$1" -U postgres -XAtqc "$2" postgres; }
load() { exec "$bin/pgbench" -n -h 127.0.0.1 -p "$port" -U postgres -c "$clients" -j 2 -T "$1" postgres; }

stream='' writers=''
end_all() {
    # Its processes alone, by their ids.
    for process in $stream $writers; do kill "$process" 2>/dev/null || true; done
    if [[ -f $work/west/postmaster.pid ]]; then as_server "$bin/pg_ctl" -D "$work/west" -m immediate stop >/dev/null; fi
    end_server
}
trap end_all EXIT

smcdr backup database >/dev/null
become_server "$SMCDR" --site "$work/smcdr.yaml" wal stream >/dev/null 2>&1 &
stream=$!
smcdr region init --yes >/dev/null
log() { cat "$work"/west.log "$work"/west/log/* 2>/dev/null || true; }

measure() {
    as_server "$bin/pg_ctl" -D "$work/west" -m fast -w stop >/dev/null
    (load "$seconds") >/dev/null 2>&1
    local behind fetched start streams=''
    behind=$(ask "$port" "SELECT pg_size_pretty(pg_current_wal_lsn() - restart_lsn) FROM pg_replication_slots WHERE slot_name = 'smcdr_catchup_west'")
    fetched=$(log | grep -c 'restored log file' || true)
    (load $((limit + 30))) >/dev/null 2>&1 &
    writers=$!
    start=$(date +%s.%N)
    as_server "$bin/pg_ctl" -D "$work/west" -l "$work/west.log" -W start >/dev/null
    while :; do
        streams=$(ask "$west" "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'" 2>/dev/null || true)
        now=$(date +%s.%N)
        if [[ $streams == 1 ]] || (($(printf '%.0f' "$(bc <<<"$now - $start")") >= limit)); then break; fi
        sleep 0.1
    done
    printf '%-34s behind %-8s %s after %.1f s, %d segments fetched, %s left\n' "$1" "$behind" \
        "$([[ $streams == 1 ]] && echo 'streams' || echo 'does not stream')" "$(bc <<<"$now - $start")" \
        $(($(log | grep -c 'restored log file' || true) - fetched)) \
        "$(ask "$port" "SELECT pg_size_pretty(pg_current_wal_lsn() - '$(ask "$west" 'SELECT pg_last_wal_replay_lsn()')'::pg_lsn)")"
    kill "$writers" && wait "$writers" 2>/dev/null || true
    writers=''
}

measure 'streams what the primary keeps'
as_server sed -i "s/ ''--primary'' ''east'' ''--slot'' ''smcdr_catchup_west''//" "$work/west/postgresql.auto.conf"
if grep -q -- '--primary' "$work/west/postgresql.auto.conf"; then
    echo "The restore_command was not changed: $(grep restore_command "$work/west/postgresql.auto.conf")" >&2
    exit 1
fi

measure 'fetches what the repository has'
