"""Vectors of a frozen encoder, kept on disk so that a text is encoded once.   Chapter 04

A folder per encoder and settings; in it, small safetensors files that are only ever added, each written under a
temporary name and renamed. Two processes may write at once: at worst both encode the same text.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from metalearn_lib import corpora, files
from metalearn_lib.progress import progress_bar

CHUNK = 512  # texts encoded between two writes: what an interruption may lose
FORMAT = 2  # of the files, and of what an encoder does with a text: a new number, and nothing old is read again


class EncodingCache:
    """Looks vectors up by text; encodes and stores the ones that are missing.   Chapter: 04

    `key` names encoder and settings. A damaged file is set aside and its texts are encoded again. Where the folder
    cannot be written, vectors live as long as this object, and one line says so.
    """

    def __init__(self, key: str, *, folder: Path | None = None) -> None:
        self.folder = (corpora.cache_folder() / "encodings" if folder is None else folder) / f"{key}-{FORMAT}"
        self._rows: dict[bytes, Tensor] = {}
        self._read: set[str] = set()

    def get(
        self,
        texts: Sequence[str],
        encode: Callable[[Sequence[str]], Tensor],
        *,
        dim: int,
        progress: bool = False,
    ) -> Tensor:
        """Vectors [n, dim] of the texts, in their order; each different text is encoded once."""
        keys = [hashlib.sha256(t.encode()).digest() for t in texts]
        self._read_new(dim)
        todo = [*{k: t for k, t in zip(keys, texts, strict=True) if k not in self._rows}.items()]
        todo.sort(key=lambda item: len(item[1]))  # texts of like length are encoded together
        for start in progress_bar(range(0, len(todo), CHUNK), "encode texts", show=progress and len(todo) > CHUNK):
            digests, part = zip(*todo[start : start + CHUNK], strict=True)
            vectors = encode(part)
            self._keep(digests, vectors)
            self._rows.update(zip(digests, vectors, strict=True))
        return torch.stack([self._rows[k] for k in keys]) if keys else torch.empty(0, dim)

    def _read_new(self, dim: int) -> None:
        for path in sorted(self.folder.glob("*.safetensors")) if self.folder.is_dir() else []:
            if path.name in self._read:
                continue
            self._read.add(path.name)
            try:
                stored, _ = files.read_tensors(path)
                digests, vectors = stored["digests"], stored["vectors"]
                n = len(digests)
                if digests.shape != (n, 32) or vectors.shape != (n, dim) or not torch.isfinite(vectors).all():
                    raise ValueError("wrong shape or values")
            except (KeyError, ValueError, OSError):
                with suppress(OSError):  # a folder that may only be read keeps it
                    path.rename(path.with_suffix(".damaged"))
                continue
            raw = digests.numpy().tobytes()
            self._rows.update((raw[32 * i : 32 * i + 32], vector) for i, vector in enumerate(vectors))

    def _keep(self, digests: Sequence[bytes], vectors: Tensor) -> None:
        table = torch.frombuffer(bytearray(b"".join(digests)), dtype=torch.uint8).reshape(-1, 32)
        name = f"{uuid.uuid4().hex}.safetensors"
        if files.keep_tensors(self.folder / name, {"digests": table, "vectors": vectors}, {}):
            self._read.add(name)
