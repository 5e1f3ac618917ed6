"""The MLflow store: where it is, and whether it can be read."""

import os
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from bench.system.databases import PATIENCE, without_password
from bench.system.errors import ConfigError

SERVERS = ("http", "https")


def store_uri(tracking_uri: str | None, runs: Path) -> str:
    """The address that the user gave, or that of the sqlite file in the runs folder."""
    return tracking_uri or f"sqlite:///{quote(str(runs / 'mlflow.db'))}"


def is_server(uri: str) -> bool:
    """Whether an MLflow server answers there, rather than a database."""
    return urlsplit(uri).scheme in SERVERS


def is_empty(uri: str) -> bool:
    """Whether it is a sqlite file that no job has made yet; to open it would make one."""
    path = unquote(uri.removeprefix("sqlite:///").partition("?")[0])
    return uri.startswith("sqlite:///") and not Path(path).is_file()


def quiet_mlflow() -> None:
    """Set, where the user has not, what MLflow reads when it is imported: it sends nothing home, and a
    server that is down does not hold it for minutes."""
    settings = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(PATIENCE),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    }
    for name, value in settings.items():
        os.environ.setdefault(name, value)


def check_store(uri: str) -> None:
    """Raise ConfigError, within seconds, for a server that does not answer and a database that cannot be read."""
    if is_empty(uri):
        return
    quiet_mlflow()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        MlflowClient(uri).search_experiments(max_results=1)
    except (MlflowException, ImportError) as error:  # a database's driver may be missing
        why = str(error).splitlines()[0]
        raise ConfigError(f"tracking_uri={without_password(uri)} cannot be read: {why}") from None
