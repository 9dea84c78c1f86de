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
source bench/server.sh

dotnet build -c Release -v q -nologo bench/Incremental >&2
start_server "${PGPORT:-54999}" "max_wal_size = 8GB" "autovacuum = off" "fsync = off"
# Room on every page, so that a changed row stays on its own and no index changes.
fill_server -s "$scale" -F 90
dotnet run -c Release --no-build --project bench/Incremental -- "$port" "$work/data" "$work" "$percent"
