"""`metalearn data make`: what costs a chapter most, language models and encodings of posts, made once for all runs.

The chapters are the only source. Their cells tagged `artefact` are executed beforehand, in order and with the default
parameters; the library keeps what they make in the data cache. A chapter that finds nothing there makes it itself.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

import filelock

from metalearn_lib import corpora, files
from metalearn_lib.encoders import cache
from metalearn_lib.language_models import artefacts as language_models
from metalearn_lib.progress import progress_bar

from .running.chapters import Chapter, chapters

TAG = "artefact"


def make() -> dict[str, str]:
    """Execute the tagged cells of every chapter where they have changed → what went wrong, by chapter.

    One bar over the cells. Two processes take turns. In a folder that cannot be written, nothing is made.
    """
    if not files.notebooks_folder().is_dir():
        return {}  # the library without the course
    ready = corpora.cache_folder() / "artefacts.json"
    with _locked(ready.with_suffix(".lock")) as turn:
        done = _read(ready)
        cells = {chapter.name: tagged(chapter) for chapter in chapters()}
        keys = {name: _key(sources) for name, sources in cells.items() if sources}
        new = [name for name, key in keys.items() if done.get(name) != key] if turn else []
        failed: dict[str, str] = {}
        space: dict[str, Any] = {}
        for name, number in progress_bar([(n, i) for n in new for i in range(len(cells[n]))], "what chapters share"):
            if number == 0:
                space = {"__name__": "__main__"}
            if name in failed:
                continue
            try:
                with redirect_stdout(io.StringIO()):
                    exec(compile(cells[name][number], f"{name}, cell {number + 1}", "exec"), space)
            except Exception as error:  # the chapter says it better, when it is run
                failed[name] = f"{type(error).__name__}: {error}"
                continue
            if number + 1 == len(cells[name]):
                done[name] = keys[name]
                files.write_text(json.dumps(done, indent=1), ready)
        return failed


def tagged(chapter: Chapter) -> list[str]:
    """The sources of a chapter's cells with the tag, in order."""
    code = [cell for cell in chapter.cells if cell["cell_type"] == "code"]
    return [cell["source"] for cell in code if TAG in cell["metadata"].get("tags", [])]


def _key(cells: Sequence[str]) -> str:
    """One hash of the cells, of the forms in which their results are kept, and of the packages that compute them."""
    import torch
    import transformers

    parts = [*cells, cache.FORMAT, language_models.FORMAT, torch.__version__, transformers.__version__]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _read(path: Path) -> dict[str, str]:
    try:
        done = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return done if isinstance(done, dict) else {}


def _locked(path: Path) -> AbstractContextManager[Any]:
    """Our turn; nothing in a folder that cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return filelock.FileLock(path).acquire()
    except OSError:
        return nullcontext()
