"""Chimeras: how like other words a vector made from 2, 4 or 6 contexts is, against how like people found the word.

Lazaridou, Marelli and Baroni (2017). The files are part of no package: they come from the published address, or from a
mirror folder.   Chapter 06
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from metalearn_lib import corpora
from metalearn_lib.corpora import Chimera
from metalearn_lib.meta_embeddings.similarity import spearman
from metalearn_lib.scores import Score
from metalearn_lib.text import WordVectors

SHOTS = (2, 4, 6)


def load_chimeras(shots: int) -> list[Chimera]:
    """The chimeras with 2, 4 or 6 contexts, fetched once and checked against the published files.   Chapter: 06

    Raises ValueError for another number, `CorpusError` if the files cannot be had or are others.
    """
    if shots not in SHOTS:
        raise ValueError(f"load_chimeras(shots={shots}): published with {', '.join(map(str, SHOTS))} contexts")
    return corpora.contexts("chimeras")[shots]


def chimera_correlations(
    embed: Callable[[Tensor], Tensor],
    chimeras: Sequence[Chimera],
    vectors: WordVectors,
    *,
    window: int = 10,
    skip: Sequence[str] = (),
) -> Score:
    """Per chimera, Spearman's ρ between cosines to the probes and the ratings; the mean over chimeras.   Chapter: 06

    `embed` maps contexts [1, K, 2·window] to [1, D], as `additive`, `ALaCarte` and `ContextAttention` do. Words in
    `skip` and unknown ones are left out, so that a window reaches further. Where no probe can be ranked (an empty
    context, equal ratings) ρ counts 0. Raises ValueError if no probe word has a vector.
    """
    values = []
    probed = 0
    skipped = set(skip)
    with torch.no_grad():
        for chimera in chimeras:
            contexts = [_window(c, vectors, window, skipped) for c in chimera.contexts]
            made = normalize(embed(torch.tensor([contexts])), dim=-1)[0]
            probes = vectors.table[vectors.encode(chimera.probes)]
            probed += int(probes.any(1).sum())
            rho = spearman((normalize(probes, dim=1) @ made).double().numpy().round(9), np.asarray(chimera.ratings))
            values.append(float(rho) if np.isfinite(rho) else 0.0)
    if not probed:
        raise ValueError("chimera_correlations: no probe word has a vector; are the vectors English, in lower case?")
    key = ("chimeras", len(chimeras), len(chimeras[0].contexts))
    return Score.of(values, name="Chimeras", key=key, over="chimeras")


def _window(tokens: Sequence[str], vectors: WordVectors, window: int, skip: set[str]) -> list[int]:
    """The `window` known words on either side of the slot, nearest to it, zeros outside."""
    slot = Chimera.SLOT
    place = tokens.index(slot) if slot in tokens else len(tokens)
    left, right = (
        [n for token in part if token not in skip and token != slot and (n := vectors.stoi.get(token))]
        for part in (tokens[:place], tokens[place + 1 :])
    )
    left, right = left[-window:], right[:window]
    return [*[0] * (window - len(left)), *left, *right, *[0] * (window - len(right))]
