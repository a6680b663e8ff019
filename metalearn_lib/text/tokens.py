"""Texts and tokens: what is a text, the special tokens, padding.   Chapter 01"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

UNKNOWN, PADDING, BEGIN, END = "<unk>", "<pad>", "<bos>", "<eos>"


def check_texts(texts: Sequence[str], who: str) -> None:
    """Raise ValueError if a text is not a string or holds nothing but white space; `who` names the asker."""
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"{who}: text {number} is {text!r}, not a string; give texts as str")
        if not text.strip():
            raise ValueError(f"{who}: text {number} is empty; drop empty texts first (from_csv(…, drop_empty=True))")


def pad(sequences: Sequence[Sequence[int]], *, max_length: int, value: int = 0) -> Tensor:
    """Cut every sequence to `max_length` and pad it with `value` → LongTensor [n, longest kept sequence].

    >>> pad([[5, 6, 7], [8]], max_length=2)
    tensor([[5, 6],
            [8, 0]])
    """
    kept = [sequence[:max_length] for sequence in sequences]
    out = torch.full((len(kept), max((len(s) for s in kept), default=0) or 1), value, dtype=torch.long)
    for row, sequence in enumerate(kept):
        out[row, : len(sequence)] = torch.as_tensor(sequence, dtype=torch.long)
    return out
