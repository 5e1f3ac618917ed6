# Sourced by run_all.sh and run_tests.sh: makes .venv on first use and whenever the dependencies change.
# usage: set_up EXTRAS   (e.g. "reports,dev"); leaves $python and an import path that starts at the root.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
python="$root/.venv/bin/python"

set_up() {
    local extras="$1" stamp="$root/.venv/.stamp-$1" want
    # Without bytecode files every start would cost seconds more.
    unset PYTHONDONTWRITEBYTECODE
    export PYTHONPATH="$root" PYTHONSAFEPATH=1 MLFLOW_DISABLE_TELEMETRY=true
    # Threads that spin long while they wait slow everything down as soon as another program wants a core.
    export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-10000}"
    want="$(cat "$root/pyproject.toml" "$root/constraints.txt" | cksum)"
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ] && return 0
    (
        ! command -v flock >/dev/null || flock 9
        [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ] || install "$extras" && echo "$want" >"$stamp"
    ) 9>"$root/.venv.lock" || { echo "error: setting up .venv failed; see above" >&2; exit 1; }
}

# Every step is chained: behind the || above, set -e has no effect.
install() {
    echo "setting up .venv (once; needs the network)" >&2
    # uv reads its own variable for local wheels, not pip's
    [ -z "${UV_FIND_LINKS:-${PIP_FIND_LINKS:-}}" ] || export UV_FIND_LINKS="${UV_FIND_LINKS:-$PIP_FIND_LINKS}"
    { [ -x "$python" ] || "$(find_python)" -m venv "$root/.venv"; } &&
        { "$python" -m uv --version >/dev/null 2>&1 || "$python" -m pip install -q uv; } &&
        "$python" -m uv pip install -q --python "$python" -e "$root[$1]" -c "$root/constraints.txt" >&2
}

find_python() {
    local candidate
    for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "error: Python 3.11 or newer is needed; set PYTHON=/path/to/python3" >&2
    exit 1
}
