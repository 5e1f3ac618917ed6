#!/usr/bin/env bash
# Runs the tests: ./run_tests.sh [pytest arguments]; without arguments also the linter and the type checker.
# VOS_BENCH_EXTRAS=phone installs that extra too (several: joined by commas), for tests that are skipped without.
set -euo pipefail
script="${BASH_SOURCE[0]}"
while [ -L "$script" ]; do # through links, also where readlink knows no -f
    link="$(readlink "$script")"
    case "$link" in /*) script="$link" ;; *) script="$(dirname "$script")/$link" ;; esac
done
source "$(dirname "$script")/bench/setup.sh"
set_up "reports,video,dev,search,cluster${VOS_BENCH_EXTRAS:+,$VOS_BENCH_EXTRAS}"

cd "$root"
# One thread a worker: the tests run side by side.
export OMP_NUM_THREADS=1
if [ $# -gt 0 ]; then
    exec "$python" -m pytest "$@"
fi
"$python" -m ruff check .
"$python" -m ruff format --check .
"$python" -m mypy
"$python" -m pytest -n "$(getconf _NPROCESSORS_ONLN)" --dist worksteal
