"""Files that are written as a whole or not at all, and the folders where the course keeps its things.

The checkout is found from this file, so any working folder will do. Nothing is unpickled: tensors are safetensors.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

_CHECKSUM = "sha256"  # the entry of a file's metadata that holds it


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
    """Write a text file as a whole or not at all."""
    with _replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def write_rows(path: Path, head: Mapping[str, Any], **tables: Sequence[Mapping[str, Any]]) -> None:
    """Write a JSON file with a row a line, so that a difference of two files can be read; whole or not at all."""
    parts = [json.dumps(head, ensure_ascii=False, indent=1).removesuffix("\n}")]
    for name, rows in tables.items():
        parts.append(f'"{name}": [\n' + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]")
    write_text(",\n".join(parts) + "\n}\n", path)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, str]) -> None:
    """Write named tensors, their `meta` texts and a checksum of both; an interruption leaves the file that was there.

    Raises OSError that names the file where it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file in it")
    whole = {k: v.contiguous().clone() for k, v in tensors.items()}
    try:
        with _replacing(path) as temporary:
            save_file(whole, temporary, metadata={**meta, _CHECKSUM: _checksum(whole, meta)})
    except (OSError, SafetensorError) as error:
        raise OSError(f"{path} cannot be written ({error}); free disk space, or name a place you may write") from error


def keep_tensors(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, str]) -> bool:
    """`write_tensors` for a cache: a folder that cannot be written costs the cache, not the work → whether it is kept.

    The first time a process cannot write there, it says so in one line.
    """
    try:
        write_tensors(path, tensors, meta)
    except OSError as error:
        cause = error.__cause__ or error
        reason = getattr(cause, "strerror", None) or cause
        _say_once(f"note: the data cache cannot be written ({reason}); what it would keep is computed again next time")
        return False
    return True


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and `meta` of a file; raises ValueError with the reason where it cannot be read or was changed.

    A file that was written without a checksum is taken as it is.
    """
    from safetensors import SafetensorError, safe_open

    if path.is_dir():
        raise ValueError("it is a folder")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 (not a dict)
            meta = dict(file.metadata() or {})
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    expected = meta.pop(_CHECKSUM, None)
    if expected is not None and expected != _checksum(tensors, meta):
        raise ValueError("its checksum is wrong: the content was damaged or changed")
    return tensors, meta


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A place beside `path` to write in: at the end it replaces `path`, after an error it is gone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _checksum(tensors: Mapping[str, Tensor], meta: Mapping[str, str]) -> str:
    """SHA-256 over names, types, shapes and numbers of the tensors, and over `meta`."""
    import torch

    digest = hashlib.sha256(json.dumps(dict(meta), sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}: {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


@cache
def _say_once(sentence: str) -> None:
    print(sentence)
