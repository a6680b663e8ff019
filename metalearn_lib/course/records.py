"""What a learner has passed, kept in `progress.json` of the folder with the own copies.

Two notebooks may report at once: each change is made under a lock, and the file is replaced as a whole.
"""

from __future__ import annotations

import copy
import itertools
import json
import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from metalearn_lib.files import notebooks_folder, write_text

MARKER = ".metalearn-work.json"
FILE = "progress.json"
_LOCK_SECONDS = 10
_told: set[str] = set()  # what this process has said already: once is enough

Records = dict[str, dict[str, Any]]  # kind → key → {"passed", "attempts", "when"}


def record(kind: str, key: str, *, passed: bool) -> None:
    """Note that a self-check (`"exercise"`, `"4.2"`) or a quiz (`"quiz"`, `"04"`) was passed, or tried.

    What was passed once stays passed. Outside a folder made by `metalearn lab` nothing happens. This never
    raises: a cell must not fail because its success could not be written down.
    """
    try:
        folder = find_workspace()
        if folder is not None:
            _change(folder, lambda records: _noted(records, kind, key, passed))
    except Exception as error:
        _tell(f"note: progress was not recorded ({error}); it goes on without")


def find_workspace(start: Path | None = None) -> Path | None:
    """The folder of own copies that `start` (the current folder) lies in, or None."""
    here = (start or Path.cwd()).resolve()
    return next((folder for folder in (here, *here.parents) if (folder / MARKER).is_file()), None)


def default_workspace() -> Path:
    """Where own copies belong: `$METALEARN_WORK`, or `work/` beside the chapters."""
    given = os.environ.get("METALEARN_WORK")
    return Path(given).expanduser().resolve() if given else notebooks_folder().parent / "work"


def records(folder: Path) -> Records:
    """All that is recorded in a folder. A damaged file is put aside, with a word about it, and counts as empty."""
    try:
        try:
            return _parse((folder / FILE).read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError:
            return _change(folder, lambda found: found)  # once more, under the lock: it may have been mended since
    except OSError as error:
        _tell(f"note: progress cannot be read ({error})")
        return {}


def _noted(found: Records, kind: str, key: str, now: bool) -> Records:
    entry = found.setdefault(kind, {}).setdefault(key, {"passed": False, "attempts": 0, "when": ""})
    if not passed(entry):
        attempts = entry.get("attempts")
        entry["attempts"] = (attempts if isinstance(attempts, int) else 0) + 1
        entry["passed"] = now
        entry["when"] = datetime.now().astimezone().isoformat(timespec="seconds")
    return found


def passed(entry: dict[str, Any] | None) -> bool | None:
    """Of one record; None where there is none."""
    return None if entry is None else entry.get("passed") is True


def _change(folder: Path, change: Callable[[Records], Records]) -> Records:
    """Read, change and write the file while nobody else does."""
    from filelock import FileLock, Timeout

    path = folder / FILE
    try:
        with FileLock(folder / f".{FILE}.lock", timeout=_LOCK_SECONDS):
            content = path.read_bytes() if path.exists() else b"{}"
            try:
                before = _parse(content)
            except ValueError as error:
                before = {}
                _put_aside(path, error)
            after = change(copy.deepcopy(before))
            if after != before or not path.exists():
                write_text(json.dumps(after, indent=1, ensure_ascii=False, sort_keys=True) + "\n", path)
            return after
    except Timeout:
        message = f"another program has held {path} for {_LOCK_SECONDS} s; close it and run the cell again"
        raise OSError(message) from None
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}; make the folder writable") from error


def _parse(content: bytes) -> Records:
    found = json.loads(content.decode("utf-8"))
    good = isinstance(found, dict) and all(
        isinstance(kind, dict) and all(isinstance(entry, dict) for entry in kind.values()) for kind in found.values()
    )
    if not good:
        raise ValueError("it does not hold records")
    return found


def _put_aside(path: Path, error: ValueError) -> None:
    """A file that cannot be read is kept under another name: perhaps somebody can still mend it."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    names = (f"progress.damaged-{stamp}{f'-{number}' if number else ''}.json" for number in itertools.count())
    aside = next(aside for aside in map(path.with_name, names) if not aside.exists())
    os.replace(path, aside)
    _tell(f"note: {path.name} was damaged ({error}); it is kept as {aside.name}, and a new one is begun")


def _tell(message: str) -> None:
    if message not in _told:
        _told.add(message)
        print(message)
