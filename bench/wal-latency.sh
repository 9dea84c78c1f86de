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
source bench/server.sh

dotnet build -c Release -v q -nologo bench/WalLatency >&2
start_server "${PGPORT:-54998}" "max_wal_size = 16GB"
fill_server -s "$scale"
dotnet run -c Release --no-build --project bench/WalLatency -- "$port" "$work" "$bin/pgbench" "$seconds" "$rounds" "$clients" "${SYNCHRONOUS:-0}"
