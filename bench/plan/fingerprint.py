"""What stands for the content of data: results of other data, also of the same names and sizes, are not these.

Hashes of files are kept in a manifest in the runs folder and made anew for those whose size, times or inode have
changed; the time of their last change of status (ctime) is one that no program can set. A file that changed less
than 2 seconds before it was hashed is hashed again the next time, as another change within the same tick of the
disk's clock would have the same times. What is not seen: a change within a tick on a disk whose clock is behind
this machine's by more than that, and one that a disk makes on its own.
"""

import hashlib
import json
import os
import time
import warnings
from collections.abc import Iterable, Iterator
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

from bench.system.errors import DiskFull
from bench.system.files import read_json, set_aside, write_json
from bench.system.locks import alone
from bench.system.progress import track
from datasets.errors import DataError
from datasets.files import check_regular, files_below

NAMES = "names:"  # what a fingerprint of names and sizes begins with
TICK_NS = 2 * 10**9  # the coarsest clock of a file system
THREADS = 8
HASH_BYTES = 16

Status = tuple[int, int, int, int]
Manifest = dict[str, list[Any]]  # name -> size, mtime_ns, ctime_ns, inode, hash


def fingerprint(place: Path, runs: Path, how: str = "content") -> str:
    """Hash of the relative names and the content of all files below a folder, hidden ones left out; or of one file.

    It depends neither on where they lie nor on their times. `runs` gets manifests/<hash of the place>.json. how:
    "names" takes sizes for content and says so in what is returned. Raises DataError as `files_below` does.
    """
    if place.is_dir():
        found = {name: (status, place / name) for name, status in files_below(place)}
    else:  # what is not there is told by whoever opens it
        found = {"": (check_regular(place, "file"), place)} if place.exists() else {}
    if how == "names":
        return NAMES + _digest((name, str(status.st_size)) for name, (status, _) in found.items())
    stamps = {name: (s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) for name, (s, _) in found.items()}
    hashes = _hashes(place, stamps, {name: path for name, (_, path) in found.items()}, runs / "manifests")
    return _digest(hashes.items())


def folder_names(root: Path) -> str:
    """Hash of the names of folders alone, three deep: for data of ten million files."""
    digest = hashlib.sha256()
    for folder, subfolders, _ in os.walk(root, followlinks=True):
        subfolders.sort()
        below = Path(folder).relative_to(root)
        digest.update(f"{below}: {' '.join(subfolders)}\n".encode(errors="surrogateescape"))
        if len(below.parts) == 2:
            subfolders.clear()
    return digest.hexdigest()[:16]


def _digest(parts: Iterable[tuple[str, str]]) -> str:
    lines = "".join(f"{name}\0{content}\0" for name, content in sorted(parts))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def _hashes(place: Path, stamps: dict[str, Status], paths: dict[str, Path], folder: Path) -> dict[str, str]:
    """The hash of every file, from the manifest where it has not changed."""
    manifest = folder / f"{hashlib.sha256(os.fsencode(place)).hexdigest()[:16]}.json"
    known: dict[str, str] = {}
    try:
        known = _known(manifest, stamps)
        if len(known) == len(stamps):
            return known
        with alone(manifest.with_suffix(".lock"), f"reading the files of {place}"):
            known = _known(manifest, stamps)  # another process may just have done it
            return _hashed(manifest, stamps, paths, known)
    except (OSError, DiskFull) as error:  # of the lock or the manifest: those of the data are DataErrors
        warnings.warn(f"{manifest} cannot be written ({error}): all files are read again next time", stacklevel=2)
        return known | dict(_contents({name: path for name, path in paths.items() if name not in known}, stamps))


def _hashed(manifest: Path, stamps: dict[str, Status], paths: dict[str, Path], known: dict[str, str]) -> dict:
    """These hashes and those of the other files, which the manifest gets; as far as it came, also when stopped."""
    begun, hashes = time.time_ns(), dict(known)
    try:
        for name, content in _contents({name: p for name, p in paths.items() if name not in known}, stamps):
            hashes[name] = content
        return hashes
    finally:
        settled = {name: content for name, content in hashes.items() if max(stamps[name][1:3]) < begun - TICK_NS}
        files = {name: [*stamps[name], content] for name, content in settled.items()}
        write_json(manifest, {"files": files, "check": _check(files)})


def _known(manifest: Path, stamps: dict[str, Status]) -> dict[str, str]:
    """The hashes of those files that are as they were; a damaged manifest has none."""
    kept = read_json(manifest, {"files": dict, "check": str})
    if kept is None:
        return {}
    files = kept["files"]
    if kept["check"] != _check(files):
        set_aside(manifest)
        return {}
    return {
        name: files[name][-1] for name, stamp in stamps.items() if name in files and files[name][:-1] == [*stamp]
    }


def _check(files: Manifest) -> str:
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()[:16]


def _contents(paths: dict[str, Path], stamps: dict[str, Status]) -> Iterator[tuple[str, str]]:
    """(name, hash) of these files, several at once; a bar is shown from two seconds on."""
    megabytes = sum(stamps[name][0] for name in paths) / 1e6
    with (
        ThreadPool(min(THREADS, os.cpu_count() or 1)) as pool,
        track("read", "the data", megabytes, "MB", delay=2) as bar,
    ):
        for name, content in pool.imap(_content, paths.items(), chunksize=16):
            bar.update(stamps[name][0] / 1e6)
            yield name, content


def _content(named: tuple[str, Path]) -> tuple[str, str]:
    name, path = named
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=HASH_BYTES))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; correct what it is or who may read it") from None
    return name, digest.hexdigest()
