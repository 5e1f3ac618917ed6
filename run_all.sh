#!/usr/bin/env bash
# Runs the suite: ./run_all.sh [key=value ...]; ./run_all.sh --help
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/bench/setup.sh"
set_up reports,video

BENCH_RESULT="$(mktemp)"
export BENCH_RESULT
trap 'rm -f "$BENCH_RESULT"' EXIT
status=0
trap : INT # bench hears it and marks what is unfinished; the table then says so
"$python" -m bench "$@" || status=$?
trap - INT
# bench names the folder it filled; --help and the like fill none
if [ -s "$BENCH_RESULT" ]; then
    "$python" -m reports "$(cat "$BENCH_RESULT")"
fi
exit "$status"
