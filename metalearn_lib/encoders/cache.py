"""Vectors of a frozen encoder, kept on disk so that a text is encoded once.   Chapter 04

A folder per encoder and settings; in it, small safetensors files that are only ever added, each written under a
temporary name and renamed. Two processes may write at once: at worst both encode the same text.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

CHUNK = 512  # texts encoded between two writes: what an interruption may lose


class EncodingCache:
    """Looks vectors up by text; encodes and stores the ones that are missing.   Chapter: 04

    `key` names encoder and settings. A damaged file is set aside and its texts are encoded again.
    """

    def __init__(self, key: str, *, folder: Path | None = None) -> None:
        if folder is None:
            from metalearn_lib import corpora

            folder = corpora.cache_folder() / "encodings"
        self.folder = folder / key
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
        """Vectors [n, dim] of the texts, in their order."""
        from metalearn_lib.progress import progress_bar

        keys = [hashlib.sha256(t.encode()).digest() for t in texts]
        self._read_new(dim)
        missing = {k: t for k, t in zip(keys, texts, strict=True) if k not in self._rows}
        todo = list(missing.items())
        for start in progress_bar(range(0, len(todo), CHUNK), "encode texts", show=progress and len(todo) > CHUNK):
            part = todo[start : start + CHUNK]
            vectors = encode([t for _, t in part])
            self._write([k for k, _ in part], vectors)
            self._rows.update(zip([k for k, _ in part], vectors, strict=True))
        return torch.stack([self._rows[k] for k in keys]) if keys else torch.empty(0, dim)

    def _read_new(self, dim: int) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        for path in sorted(self.folder.glob("*.safetensors")) if self.folder.is_dir() else []:
            if path.name in self._read:
                continue
            self._read.add(path.name)
            try:
                stored = load_file(path)
                digests, vectors = stored["digests"], stored["vectors"]
                if digests.shape != (len(vectors), 32) or vectors.shape[1] != dim or not torch.isfinite(vectors).all():
                    raise ValueError("wrong shape or values")
            except (SafetensorError, KeyError, ValueError, OSError):
                path.rename(path.with_suffix(".damaged"))
                continue
            raw = digests.numpy().tobytes()
            self._rows.update((raw[32 * i : 32 * i + 32], vector) for i, vector in enumerate(vectors))

    def _write(self, keys: list[bytes], vectors: Tensor) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        digests = torch.frombuffer(bytearray(b"".join(keys)), dtype=torch.uint8).reshape(-1, 32)
        name = f"{uuid.uuid4().hex}.safetensors"
        temporary = self.folder / f".{name}.tmp"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file({"digests": digests, "vectors": vectors.contiguous()}, temporary)
            os.replace(temporary, self.folder / name)
        except (OSError, SafetensorError) as error:
            raise OSError(
                f"the encoding cache {self.folder.parent.name}/{self.folder.name} could not be written ({error}); "
                "free some disk space, or set METALEARN_DATA to a folder with room"
            ) from error
        finally:
            temporary.unlink(missing_ok=True)
        self._read.add(name)
