"""Messages between the processes of a run: pickles, read only from who can read the run's own files."""

import hmac
import os
import pickle
import secrets
from contextlib import suppress
from pathlib import Path

from bench.system.errors import RanksError

KEY = "ranks.key"  # below runs/
DIGEST = "sha256"
SIZE = 32


def shared_key(runs: Path) -> bytes:
    """The secret of the processes that share this folder, made by the first to ask; only its owner can read it."""
    path = runs / KEY
    with suppress(FileNotFoundError):
        return path.read_bytes()
    runs.mkdir(parents=True, exist_ok=True)
    made = runs / f"{KEY}.{secrets.token_hex(8)}"
    with open(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(SIZE))
    with suppress(FileExistsError):  # another process was quicker: its key holds
        os.link(made, path)
    made.unlink()
    return path.read_bytes()


def sign(content, number: int, key: bytes) -> bytes:
    """Message `number` of its sender; that place is signed too, so none is heard twice."""
    pickled = pickle.dumps(content)
    return _signature(pickled, number, key) + pickled


def read_signed(message: bytes, number: int, key: bytes):
    """What `sign` was given. Raises RanksError, and reads nothing, for a message that this key has not signed."""
    signature, pickled = message[:SIZE], message[SIZE:]
    if not hmac.compare_digest(signature, _signature(pickled, number, key)):
        raise RanksError(
            "a message that rank 0 has not signed: all ranks need the same folder, runs=/path/that/all/see"
        )
    return pickle.loads(pickled)


def _signature(pickled: bytes, number: int, key: bytes) -> bytes:
    return hmac.digest(key, b"%d " % number + pickled, DIGEST)
