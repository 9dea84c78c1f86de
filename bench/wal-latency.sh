#!/usr/bin/env bash
# Measures the WAL stream beside pgbench at full load: what it costs the server, how much processor time a megabyte of WAL takes, and how long it
# takes from a commit's WAL on the server's disk until it is durable in a directory repository. Beside it pg_receivewal, which only writes
# what comes, and the server alone before and after each.
#
#   bench/wal-latency.sh [seconds [rounds [scale [clients]]]]      default: 20, 3, 20 (300 MB) and 8
#
# Needs PostgreSQL's programs. OTHER=DIRECTORY adds a repository in that directory of another file system, whose syncs do not meet the
# server's; SYNCHRONOUS=1 a stream for which commits wait. SMCDR=PROGRAM measures that one, and BASE=PROGRAM another build beside it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-20}
rounds=${2:-3}
scale=${3:-20}
clients=${4:-8}
source bench/server.sh

if [[ -z ${SMCDR:-} ]]; then
    # As it is handed out: compiled for this platform.
    dotnet publish src/SmcDr.Cli -c Release --use-current-runtime --self-contained false -o out/cli -v quiet -nologo >&2
    SMCDR=$PWD/out/cli/smcdr
fi

builds=(--smcdr "$SMCDR" ${BASE:+--smcdr "$BASE"})
start_server "${PGPORT:-54998}" "max_wal_size = 16GB" "autovacuum = off"
fill_server -s "$scale"
other=()
if [[ -n ${OTHER:-} ]]; then
    mkdir -p "$OTHER/smcdr-bench"
    other=(--other "$OTHER/smcdr-bench")
    trap 'rm -rf "$OTHER/smcdr-bench"; end_server' EXIT
fi

bench/wal_stream.py --bin "$bin" --port "$port" --work "$work" "${builds[@]}" --seconds "$seconds" --rounds "$rounds" --clients "$clients" \
    "${other[@]}" ${SYNCHRONOUS:+--synchronous}
