"""job=ui: MLflow's own pages of the store."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from omegaconf import DictConfig

from bench.system.databases import without_password
from bench.system.errors import ConfigError
from bench.tracking.store import check_store, is_empty, is_server, store_uri

START = 300  # seconds that the server may take, on a very busy machine
END = 10


def run(config: DictConfig, runs: Path) -> int:
    """Serve the store's pages until Ctrl-C; print where they are once they answer. A server has its own."""
    uri, host, port = store_uri(config.tracking_uri, runs), config.host, config.port
    shown = without_password(uri)
    if is_empty(uri):
        raise ConfigError(f"no MLflow store at {shown}: ./run_all.sh fills it; runs= and tracking_uri= name others")
    if is_server(uri):
        check_store(uri)
        print(f"MLflow: {shown}")
        return 0
    _check_free(host, port)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    command += ["--host", str(host), "--port", str(port), "--workers", "1"]
    command += ["--uvicorn-opts", "--log-level=warning"]
    lean = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    print("starting MLflow's server", file=sys.stderr)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the server too
    # In a session of its own: Ctrl-C reaches this process alone, which then ends the server and its workers.
    server = subprocess.Popen(command, env=os.environ | lean, stdout=sys.stderr, start_new_session=True)
    try:
        address = _wait_for(server, host, port)
        print(f"MLflow: {address} shows {shown}; Ctrl-C ends it", flush=True)
        return server.wait()
    except KeyboardInterrupt:
        print("\nMLflow has ended")
        return 0
    finally:  # with all processes of its session
        for signum in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(server.pid, signum)
                server.wait(END)


def _check_free(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in str(host) else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        try:
            probe.bind((host, port))
        except OSError as error:
            why = error.strerror or error
            raise ConfigError(f"host={host} port={port} cannot be used ({why}): give another port=") from None


def _wait_for(server: subprocess.Popen, host: str, port: int) -> str:
    """The address, once it answers. Raises ConfigError when the server does not start."""
    address = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
    end = time.monotonic() + START
    while time.monotonic() < end and server.poll() is None:
        try:
            with urlopen(f"{address}/health", timeout=5):
                return address
        except (URLError, OSError):
            time.sleep(0.5)
    raise ConfigError("MLflow's server did not start; see above")
