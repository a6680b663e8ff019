"""Chimeras: invented words in 2, 4 or 6 real contexts, and how like other words people found them.

Lazaridou, Marelli and Baroni (2017). The files are part of no package: they come from the published address, or from a
mirror folder.   Chapter 06
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from metalearn_lib.corpora import CorpusError
from metalearn_lib.corpora.fetch import paths
from metalearn_lib.meta_embeddings.similarity import spearman
from metalearn_lib.scores import Score
from metalearn_lib.text import WordVectors

SLOT = "___"
SHOTS = (2, 4, 6)


@dataclass(frozen=True)
class Chimera:
    """Contexts of one invented word (tokens, the word itself written `___`), probe words, and their ratings."""

    contexts: Sequence[Sequence[str]]
    probes: Sequence[str]
    ratings: Sequence[float]


def load_chimeras(shots: int) -> list[Chimera]:
    """The chimeras with 2, 4 or 6 contexts, fetched once and checked against the published files.   Chapter: 06

    Raises ValueError for another number, `CorpusError` if the file cannot be had or is another one.
    """
    if shots not in SHOTS:
        raise ValueError(f"load_chimeras(shots={shots}): published with {', '.join(map(str, SHOTS))} contexts")
    return read_chimeras(paths("chimeras")[f"data.l{shots}.txt"].read_text("utf-8"))


def read_chimeras(content: str) -> list[Chimera]:
    """Parse lines `number, contexts separated by @@, probes, ratings`, tab-separated.

    >>> read_chimeras("1\\ta ___ of tea @@ the ___ broke\\tcup,cat\\t4.5,1")[0].probes
    ['cup', 'cat']
    """
    found = []
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        cells = line.split("\t")
        probes, ratings = (cells[2].split(","), cells[3].split(",")) if len(cells) == 4 else ([], [""])
        if len(probes) != len(ratings):
            raise CorpusError(
                f"chimeras, line {number}: need number, contexts, probes and as many ratings, tab-separated"
            )
        contexts = [context.split() for context in cells[1].split("@@")]
        found.append(Chimera(contexts, [probe.strip() for probe in probes], [float(rating) for rating in ratings]))
    return found


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
    return Score.of(values, name="Chimeras", key=("chimeras", len(chimeras), len(chimeras[0].contexts)), share=True)


def _window(tokens: Sequence[str], vectors: WordVectors, window: int, skip: set[str]) -> list[int]:
    """The `window` known words on either side of the slot, nearest to it, zeros outside."""
    place = tokens.index(SLOT) if SLOT in tokens else len(tokens)
    left, right = (
        [n for token in part if token not in skip and token != SLOT and (n := vectors.stoi.get(token))]
        for part in (tokens[:place], tokens[place + 1 :])
    )
    left, right = left[-window:], right[:window]
    return [*[0] * (window - len(left)), *left, *right, *[0] * (window - len(right))]
