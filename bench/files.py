"""Writing files so that a kill at any moment leaves the old or the new one, never half."""

import hashlib
import json
import os
from pathlib import Path


def replace_atomically(path: Path, write) -> None:
    """Call `write(temporary path)`, then move the result over `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def full_path(path: str | None) -> str | None:
    """What the user wrote as an absolute path; None for none."""
    return str(Path(path).expanduser().absolute()) if path else None


def write_text(path: Path, text: str) -> None:
    replace_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))


def write_json(path: Path, content) -> None:
    write_text(path, json.dumps(content, indent=1) + "\n")


def read_json(path: Path):
    """The content of a JSON file, or None when it does not exist or a disk fault has damaged it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
