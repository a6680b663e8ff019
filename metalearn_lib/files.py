"""Files that are written as a whole or not at all, and the folders where the course keeps its things.

The checkout is found from this file, so any working folder will do. Nothing is unpickled: tensors are safetensors.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def root() -> Path:
    """The checkout."""
    return Path(__file__).resolve().parents[1]


def notebooks_folder() -> Path:
    """The chapters: ``$METALEARN_NOTEBOOKS`` (another course, a test) or ``notebooks/``."""
    given = os.environ.get("METALEARN_NOTEBOOKS")
    return Path(given).resolve() if given else root() / "notebooks"


def results_folder() -> Path:
    """Measured results that are kept: ``data/results/``."""
    return root() / "data" / "results"


def write_text(text: str, path: Path) -> None:
    """Write a text file as a whole or not at all: beside its place first, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes files that only their owner may read
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_tensors(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, str]) -> None:
    """Write named tensors and their `meta` texts; an interruption leaves the file that was there before."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file({k: v.contiguous().clone() for k, v in tensors.items()}, temporary, metadata=dict(meta))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def keep_tensors(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, str]) -> bool:
    """`write_tensors` for a cache: a folder that cannot be written costs the cache, not the work → whether it is kept.

    The first time a process cannot write there, it says so in one line.
    """
    from safetensors import SafetensorError

    try:
        write_tensors(path, tensors, meta)
    except (OSError, SafetensorError) as error:
        cause = error.__cause__ or error
        reason = getattr(cause, "strerror", None) or cause
        _say_once(f"note: the data cache cannot be written ({reason}); what it would keep is computed again next time")
        return False
    return True


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and `meta` of a file; raises ValueError with the library's reason where it cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {k: file.get_tensor(k) for k in file.keys()}, file.metadata() or {}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise ValueError(str(error)) from error


@cache
def _say_once(sentence: str) -> None:
    print(sentence)
