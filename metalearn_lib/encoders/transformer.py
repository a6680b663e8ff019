"""A pretrained Transformer as encoder: MiniLM from its package, or any BERT or RoBERTa folder.   Chapters 04, 09

Frozen, it encodes a text once in its life: vectors are kept on disk. Trainable, it is one more encoder.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from metalearn_lib.encoders.base import Encoder
from metalearn_lib.encoders.cache import EncodingCache

_SMALL_FILES = {".json", ".txt", ".model", ".spm", ".bpe", ".vocab"}  # configuration, tokenizer, pooling


class Transformer(Encoder):
    """Mean of the last hidden states ("mean"), or the first state ("first"), of a pretrained Transformer.   Chapter: 04

    `folder`: "minilm" (all-MiniLM-L6-v2 from its package, hash-checked), or a folder with config.json,
    model.safetensors and a tokenizer. Nothing is downloaded and no pickled weights are read. With `frozen=True` the
    vectors are scaled to length 1 and cached; otherwise the weights train with the learner. Of a text longer than
    `max_length` tokens, `windows` pieces of that length are read and their tokens averaged together (frozen only).
    Encoding uses `METALEARN_THREADS` threads where that is set, else `OMP_NUM_THREADS`, else all cores.
    Raises FileNotFoundError for a folder without those files.
    """

    def __init__(
        self,
        folder: Path | str = "minilm",
        *,
        pooling: Literal["mean", "first"] = "mean",
        max_length: int = 128,
        windows: int = 1,
        frozen: bool = True,
        cache: bool = True,
        progress: bool = True,
    ) -> None:
        super().__init__()
        if pooling not in ("mean", "first"):
            raise ValueError(f"Transformer(pooling={pooling!r}): use 'mean' or 'first'")
        self.folder = _folder(folder)
        self.model, self.tokenizer = _load(self.folder)
        limit = getattr(self.tokenizer, "model_max_length", 512)
        if not 3 <= max_length <= min(limit, 512):
            raise ValueError(f"Transformer(max_length={max_length}): this model reads 3 … {min(limit, 512)} tokens")
        if windows < 1 or (windows > 1 and (pooling != "mean" or not frozen)):
            raise ValueError(
                f"Transformer(windows={windows}): must be ≥ 1; more than one needs pooling='mean', frozen=True"
            )
        self.pooling, self.max_length, self.windows = pooling, max_length, windows
        self.frozen, self.progress = frozen, progress
        self.dim = int(self.model.config.hidden_size)
        self.requires_grad_(not frozen)
        self.cache = EncodingCache(self._key()) if frozen and cache else None

    def _prepare(self, texts: Sequence[str]) -> Tensor:
        if not self.frozen:
            return self._tokens(texts, pad_to=self.max_length)[0]
        if self.cache is not None:
            return self.cache.get(texts, self._encode_texts, dim=self.dim, progress=self.progress)
        row_of = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        return (
            self._encode_texts(list(row_of))[[row_of[text] for text in texts]] if row_of else torch.empty(0, self.dim)
        )

    def encode(self, prepared: Tensor) -> Tensor:
        if self.frozen:
            return prepared
        flat = prepared.flatten(0, -2)
        flat = flat[:, : max(1, int((flat >= 0).sum(1).max()))]
        return self._vectors(flat).reshape(*prepared.shape[:-1], self.dim)

    def train(self, mode: bool = True) -> Transformer:
        super().train(mode and not self.frozen)  # a frozen model has no dropout
        return self

    def _tokens(self, texts: Sequence[str], *, windows: int = 1, pad_to: int | None = None) -> tuple[Tensor, Tensor]:
        """Texts → token numbers [w, L] and whose they are [w]; padded with -1: every model pads with another number."""
        settings = {"truncation": True, "max_length": self.max_length, "return_overflowing_tokens": windows > 1}
        encoded = self.tokenizer(list(texts), **settings)
        ids: list[list[int]] = encoded["input_ids"]
        owners = list(encoded["overflow_to_sample_mapping"]) if windows > 1 else list(range(len(ids)))
        earlier: Counter[int] = Counter()
        kept = []
        for row, owner in enumerate(owners):
            if earlier[owner] < windows:
                kept.append(row)
            earlier[owner] += 1
        out = torch.full((len(kept), pad_to or max(len(ids[row]) for row in kept)), -1, dtype=torch.long)
        for place, row in enumerate(kept):
            out[place, : len(ids[row])] = torch.tensor(ids[row])
        return out, torch.tensor([owners[row] for row in kept])

    def _vectors(self, tokens: Tensor) -> Tensor:
        """Token numbers [B, L] → vectors [B, D]."""
        mask = tokens >= 0
        padding = self.model.config.pad_token_id or 0
        ids = tokens.masked_fill(~mask, padding)
        states: Tensor = self.model(input_ids=ids, attention_mask=mask.long()).last_hidden_state  # [B, L, D]
        if self.pooling == "first":
            return states[:, 0]
        return (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)

    def _encode_texts(self, texts: Sequence[str], *, batch: int = 32) -> Tensor:
        """Vectors [n, D] of length 1, the same to 1e-5 in any order, batch and number of threads."""
        tokens, owners = self._tokens(texts, windows=self.windows)
        lengths = (tokens >= 0).sum(1)
        out = torch.zeros(len(texts), self.dim)
        device = self.get_buffer("_where").device
        with torch.inference_mode(), _threads():
            # Sorted by length: little padding in each batch, ×2–4 faster on mixed texts.
            for rows in lengths.argsort(descending=True).split(batch):
                part = tokens[rows, : int(lengths[rows].max())].to(device)
                out.index_add_(0, owners[rows], self._vectors(part).cpu() * lengths[rows, None])
        return nn.functional.normalize(out, dim=1)

    def _key(self) -> str:
        """A hash of all that a vector depends on beside the text: model, tokenizer, settings and code."""
        import tokenizers
        import transformers

        digest = hashlib.sha256()
        for path in sorted(path for path in self.folder.rglob("*") if path.is_file()):
            if path.name == "model.safetensors" or path.suffix in _SMALL_FILES:
                with path.open("rb") as file:
                    hashed = hashlib.file_digest(file, "sha256").hexdigest()
                digest.update(f"{path.relative_to(self.folder).as_posix()} {hashed}\n".encode())
        digest.update(f"{transformers.__version__} {tokenizers.__version__}".encode())
        return f"{digest.hexdigest()[:16]}-{self.pooling}-{self.max_length}x{self.windows}"


@contextmanager
def _threads() -> Iterator[None]:
    """As many threads as `METALEARN_THREADS` says, or `OMP_NUM_THREADS`, or as this process may use cores.

    A chapter gives torch one thread, which is right for episodes; the batches of a Transformer are large.
    """
    before = torch.get_num_threads()
    asked = os.environ.get("METALEARN_THREADS") or os.environ.get("OMP_NUM_THREADS") or ""
    torch.set_num_threads(int(asked) if asked.isdecimal() and int(asked) else _cores())
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _folder(folder: Path | str) -> Path:
    if folder == "minilm":
        from metalearn_lib import corpora

        return corpora.model_folder("minilm")
    path = Path(folder)
    missing = [name for name in ("config.json", "model.safetensors") if not (path / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"Transformer({path.name!r}): the folder lacks {', '.join(missing)}; "
            "save the model with safe_serialization=True"
        )
    return path


def _load(folder: Path) -> tuple[Any, Any]:
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    options = {"local_files_only": True, "trust_remote_code": False}
    model = transformers.AutoModel.from_pretrained(folder, use_safetensors=True, dtype=torch.float32, **options)
    return model.eval(), transformers.AutoTokenizer.from_pretrained(folder, **options)
