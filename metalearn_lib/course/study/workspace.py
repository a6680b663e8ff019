"""A learner's own copies of the chapters, in `work/`: made once, brought up to date, never overwritten.

`.metalearn-work.json` in that folder says what was delivered. From it follows whether the learner has written into a
copy (the file's bytes) and whether a chapter has changed since (its cells; refreshed outputs make no new edition).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from metalearn_lib.course.records import MARKER, default_workspace
from metalearn_lib.course.running.chapters import Chapter, UsageError, chapters
from metalearn_lib.files import notebooks_folder

from ..exercises.copies import StudentError, student_copy

_LOCK_SECONDS = 30
_EXTRAS = ("images/*", "quizzes/*.json")  # what chapters link to, or read


@dataclass(frozen=True)
class Delivered:
    """What a file held when it was delivered: a hash of its cells, and one of all its bytes."""

    edition: str
    content: str


class WorkspaceError(RuntimeError):
    """The folder of own copies cannot be made; the message says what mends it."""


def prepare(folder: Path | None = None) -> list[str]:
    """Make or refresh the own copies of all chapters; return what there is to tell, a sentence each.

    A copy that was not touched is brought up to date; beside one that was, a new edition is laid, under a name
    with the date. A copy that is gone (deleted, renamed) is delivered again.

    Raises:
        WorkspaceError: the folder cannot be written, another program is preparing it, or a chapter is unsound.
    """
    from filelock import FileLock, Timeout

    folder = (folder or default_workspace()).resolve()
    if folder == notebooks_folder().resolve():
        raise WorkspaceError(f"{folder} holds the chapters themselves; choose another folder for your own copies")
    if folder.exists() and not folder.is_dir():
        raise WorkspaceError(f"{folder} is a file, but your own copies need a folder there; rename the file")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{MARKER}.lock", timeout=_LOCK_SECONDS):
            return _deliver(folder)
    except Timeout:
        raise WorkspaceError(f"another `metalearn lab` is preparing {folder}; try again when it has finished") from None
    except (UsageError, StudentError) as error:
        raise WorkspaceError(str(error)) from error
    except OSError as error:
        raise WorkspaceError(
            f"cannot write {folder}: {error.strerror or error}; make it writable, or choose another folder: "
            "METALEARN_WORK=FOLDER metalearn lab"
        ) from error


def _deliver(folder: Path) -> list[str]:
    said: list[str] = []
    first = not (folder / MARKER).exists()
    delivered = _read_marker(folder / MARKER, said)
    fresh: list[str] = []
    for name, content in _files():
        wanted, before = Delivered(_edition(name, content), _hash(content)), delivered.get(name)
        if before and before.edition == wanted.edition and (folder / name).exists():
            continue
        sentence = _deliver_one(folder, name, content, before)
        if sentence == "new":
            fresh.append(name)
        elif sentence:
            said.append(sentence)
        delivered[name] = wanted
    noted = {name: asdict(one) for name, one in delivered.items()}
    marker = json.dumps({"version": 1, "delivered": noted}, indent=1, sort_keys=True).encode() + b"\n"
    if not (folder / MARKER).exists() or (folder / MARKER).read_bytes() != marker:
        _write(folder / MARKER, marker)
    new_chapters = [name for name in fresh if name.endswith(".ipynb")]
    if first and new_chapters:
        said.insert(0, f"your own copies of {len(new_chapters)} notebooks are in {folder}; what you write there stays")
    else:
        said += [f"new in {folder.name}/: {name}" for name in new_chapters]
    return said


def _deliver_one(folder: Path, name: str, content: bytes, before: Delivered | None) -> str:
    """Lay one file into the folder where that overwrites nothing of the learner's; say what was done."""
    target, wanted = folder / name, _hash(content)
    if not target.exists():
        _write(target, content)
        return "new" if before is None else f"{name} was not there any more (deleted or renamed); here is a fresh copy"
    found = _hash(target.read_bytes())
    if found == wanted:  # written by a call that was killed before it could note so
        return ""
    if before and found == before.content:
        _write(target, content)
        return f"{name} has a new edition; you had not changed your copy, so it was replaced"
    if not name.endswith(".ipynb"):
        return f"{name} has a new edition; you have changed your copy, so it was left as it is"
    beside = _beside(target, wanted)
    if not beside.exists():
        _write(beside, content)
    return f"{name} has a new edition; yours was left as it is, the new one lies beside it: {beside.name}"


def _beside(target: Path, wanted: str) -> Path:
    """`NAME (new edition DATE).ipynb`, numbered where somebody has written into one of that name."""
    edition = f"{target.stem} (new edition {date.today()}"
    names = (f"{edition}{f' {number}' if number > 1 else ''}){target.suffix}" for number in itertools.count(1))
    paths = map(target.with_name, names)
    return next(path for path in paths if not path.exists() or _hash(path.read_bytes()) == wanted)


def _files() -> Iterator[tuple[str, bytes]]:
    """Name and content of all that belongs into the folder."""
    for chapter in chapters():
        yield chapter.path.name, _student_text(chapter).encode("utf-8")
    for pattern in _EXTRAS:
        for path in sorted(notebooks_folder().glob(pattern)):
            if path.is_file() and not path.name.startswith("."):
                yield path.relative_to(notebooks_folder()).as_posix(), path.read_bytes()


def _student_text(chapter: Chapter) -> str:
    try:
        notebook = json.loads(chapter.path.read_text(encoding="utf-8"))
        return json.dumps(student_copy(notebook), indent=1, ensure_ascii=False) + "\n"
    except StudentError as error:
        raise StudentError(f"{chapter.path.name}: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{chapter.path.name} is not a readable notebook: {error!r}") from error


def _edition(name: str, content: bytes) -> str:
    """A hash of a notebook's cells without their outputs; of any other file, of all it holds."""
    if not name.endswith(".ipynb"):
        return _hash(content)
    cells = [[cell["cell_type"], "".join(cell["source"])] for cell in json.loads(content)["cells"]]
    return _hash(json.dumps(cells).encode())


def _read_marker(path: Path, said: list[str]) -> dict[str, Delivered]:
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["delivered"]
        return {name: Delivered(**hashes) for name, hashes in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        said.append(f"{path.name} was damaged ({error!r}) and is made anew; copies you have changed count as yours")
        return {}


def _write(path: Path, content: bytes) -> None:
    """A file as a whole or not at all; what a killed call left half-written is replaced by the next."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{MARKER}.partial")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
