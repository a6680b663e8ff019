"""Tensors and a little text on disk, as safetensors: written beside the place and renamed, read without unpickling."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor


def write(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, str]) -> None:
    """Write named tensors and their `meta` texts; an interruption leaves the file that was there before."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file({k: v.contiguous().clone() for k, v in tensors.items()}, temporary, metadata=dict(meta))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and `meta` of a file; raises ValueError with the library's reason where it cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {k: file.get_tensor(k) for k in file.keys()}, file.metadata() or {}  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise ValueError(str(error)) from error
