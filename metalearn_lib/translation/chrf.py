"""chrF: how many runs of characters a translation shares with the reference (Popović, 2015).   Chapter 11

Messages of three words have few word n-grams, so that BLEU of one of them is mostly 0; of characters there are enough.
The numbers are those of sacrebleu's chrF2 divided by 100: six orders, β = 2, white space left out, and only orders that
both texts have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

ORDERS = 6
BETA = 2.0


def chrf(translation: str, reference: str) -> float:
    """chrF2 of one text, 0 … 1; 0 where one of the two has no characters.   Chapter: 11

    >>> chrf("the cat", "the cat"), chrf("", "the cat"), round(chrf("the dog", "the cat"), 3)
    (1.0, 0.0, 0.192)
    """
    return _f_score(_counts(translation, reference))


def corpus_chrf(translations: Sequence[str], references: Sequence[str]) -> float:
    """chrF2 of many texts at once, 0 … 1: the counts are added up first, so that long texts weigh more.

    Raises ValueError where there are not as many translations as references, or none.
    """
    if len(translations) != len(references) or not references:
        raise ValueError(f"corpus_chrf: {len(translations)} translations of {len(references)} texts; give one each")
    return _f_score(np.sum([_counts(*pair) for pair in zip(translations, references, strict=True)], axis=0))


def _counts(translation: str, reference: str) -> np.ndarray:
    """n-grams of the translation, of the reference, and of both [ORDERS, 3]; 0, 0, 0 where the reference has none."""
    counts = np.zeros((ORDERS, 3))
    hypothesis, truth = ("".join(text.split()) for text in (translation, reference))
    for row, order in enumerate(range(1, min(ORDERS, len(truth)) + 1)):
        ours, theirs = (_ngrams(text, order) for text in (hypothesis, truth))
        counts[row] = ours.total(), theirs.total(), (ours & theirs).total()
    return counts


def _ngrams(text: str, order: int) -> Counter[str]:
    return Counter(text[start : start + order] for start in range(len(text) - order + 1))


def _f_score(counts: np.ndarray) -> float:
    """(1 + β²) P R / (β² P + R), P and R averaged over the orders that both have (Popović, 2015, eq. 1)."""
    used = counts[(counts[:, 0] > 0) & (counts[:, 1] > 0)]
    if not used[:, 2].any():
        return 0.0
    precision, recall = (float((used[:, 2] / used[:, column]).mean()) for column in (0, 1))
    return (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)
