#!/usr/bin/env bash
# Runs the suite: ./run_all.sh [key=value ...]; ./run_all.sh --help
set -euo pipefail
script="${BASH_SOURCE[0]}"
while [ -L "$script" ]; do # through links, also where readlink knows no -f
    link="$(readlink "$script")"
    case "$link" in /*) script="$link" ;; *) script="$(dirname "$script")/$link" ;; esac
done
source "$(dirname "$script")/bench/setup.sh"
extras=reports,video
for argument in "$@"; do
    [ "$argument" != launcher=slurm ] || extras=reports,video,cluster
done
set_up "$extras"
# What a library has to say must not end a run.
unset PYTHONWARNINGS

BENCH_RESULT="$(mktemp)"
export BENCH_RESULT
trap 'rm -f "$BENCH_RESULT"' EXIT
trap : INT # bench hears it too and marks what is unfinished; the table then says so
"$python" -m bench "$@" <&0 &
bench=$!
trap 'kill -TERM "$bench" || :' TERM # a scheduler may signal this script alone
status=0
while :; do
    wait "$bench" && status=0 || status=$?
    # a signal ends the waiting, not bench
    kill -0 "$bench" 2>/dev/null || break
done
trap - INT TERM
# bench names the folder it filled; --help and the like fill none
if [ -s "$BENCH_RESULT" ]; then
    "$python" -m reports "$(cat "$BENCH_RESULT")"
fi
exit "$status"
