"""A vector for a word that no source knows, from the few contexts it was seen in.   Chapter 06

Additive: the mean of the context words (Lazaridou et al., 2017). À la carte: that mean, mapped by a matrix that was
fitted on words whose vector is known (Khodak et al., 2018). A word is a task: its contexts are the support set, its
vector is the answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from metalearn_lib.errors import check_options
from metalearn_lib.meta_embeddings.counting import cooccurrences, numbered
from metalearn_lib.text import WordVectors


@dataclass(frozen=True, eq=False)
class WordContexts:
    """Words and windows around places where they occur: `contexts` [W, C, 2·window], rows of `vectors.table`, 0 = none.

    `counts` [W]: how many of the C windows are used. `window` words to the left of the place, as many to its right.
    """

    words: Sequence[str]
    contexts: Tensor
    counts: Tensor
    vectors: WordVectors

    def __len__(self) -> int:
        return len(self.words)

    @property
    def targets(self) -> Tensor:
        """The words' own vectors [W, D]."""
        return self.vectors.table[self.vectors.encode(self.words)]

    def subset(self, rows: Sequence[int]) -> WordContexts:
        """The words at these rows, in that order."""
        index = torch.as_tensor(rows, dtype=torch.long)
        return WordContexts([self.words[i] for i in rows], self.contexts[index], self.counts[index], self.vectors)


def collect(
    token_lists: Sequence[Sequence[str]],
    vectors: WordVectors,
    *,
    words: Sequence[str] | None = None,
    min_count: int = 20,
    per_word: int = 24,
    window: int = 10,
    skip: Sequence[str] = (),
    seed: int = 0,
) -> WordContexts:
    """Windows around words in tokenised texts, at most `per_word` of each, drawn with `seed`.   Chapter: 06

    The words are those with a vector that occur `min_count` times, or `words`. Words in `skip` (function words) are
    neither collected nor counted as context, but keep their place. Raises ValueError if a size is below 1 or no word is
    left.

    >>> vectors = WordVectors.from_array(["hot", "tea"], np.eye(2))
    >>> found = collect([["hot", "tea", "hot"]], vectors, min_count=1, window=1)
    >>> found.words, found.contexts[1].tolist()[0]
    (['hot', 'tea'], [1, 1])
    """
    check_options("collect", min_count=min_count, per_word=per_word, window=window, seed=seed)
    stream = np.concatenate([np.zeros(window, int), numbered(token_lists, vectors.stoi, gap=window, unknown=0)])
    skipped = np.zeros(len(vectors.words) + 1, dtype=bool)
    skipped[vectors.encode(skip)] = True
    stream[skipped[stream]] = 0
    counts = np.bincount(stream, minlength=len(vectors.words) + 1)
    counts[0] = 0
    asked = np.flatnonzero(counts >= min_count) if words is None else np.array(vectors.encode(words), dtype=int)
    asked = asked[counts[asked] > 0] if len(asked) else asked
    if not len(asked):
        raise ValueError(
            f"collect: no word with a vector occurs {min_count} times in {len(token_lists)} texts; give more text, or "
            "texts and vectors in the same language and spelling (lower case)"
        )
    places = np.random.default_rng(seed).permutation(len(stream))
    wanted = np.zeros(len(counts), dtype=bool)
    wanted[asked] = True
    places = places[wanted[stream[places]]]
    places = places[np.argsort(stream[places], kind="stable")]  # word by word, in random order inside
    first = np.searchsorted(stream[places], asked)
    used = np.minimum(counts[asked], per_word)
    taken = first[:, None] + np.minimum(np.arange(per_word), used[:, None] - 1)  # [W, C]
    offsets = np.concatenate([np.arange(-window, 0), np.arange(1, window + 1)])
    windows = stream[places[taken][..., None] + offsets]  # [W, C, 2·window]
    windows[np.arange(per_word) >= used[:, None]] = 0
    names = [vectors.words[row - 1] for row in asked]
    return WordContexts(names, torch.from_numpy(windows), torch.from_numpy(used), vectors)


@dataclass(frozen=True)
class HeldOut:
    """Words that play the new ones: no method may see their vectors before it is judged."""

    train: WordContexts
    valid: WordContexts
    test: WordContexts


def hold_out(found: WordContexts, *, n_valid: int, n_test: int, seed: int = 0) -> HeldOut:
    """Split words at random into train, valid and test, and take held-out words out of *all* contexts.   Chapter: 06

    Raises ValueError if fewer than one training word would be left.
    """
    if min(n_valid, n_test) < 1 or n_valid + n_test >= len(found):
        raise ValueError(f"hold_out(n_valid={n_valid}, n_test={n_test}): {len(found)} words; leave some for training")
    order = np.random.default_rng(seed).permutation(len(found)).tolist()
    held = found.vectors.encode([found.words[i] for i in order[: n_valid + n_test]])
    hidden = torch.zeros(len(found.vectors.words) + 1, dtype=torch.bool)
    hidden[held] = True
    clean = replace(found, contexts=found.contexts.masked_fill(hidden[found.contexts], 0))
    test, valid, train = order[:n_test], order[n_test : n_test + n_valid], order[n_test + n_valid :]
    return HeldOut(clean.subset(train), clean.subset(valid), clean.subset(test))


def additive(contexts: Tensor, vectors: WordVectors) -> Tensor:
    """Mean vector of all context words: contexts [..., K, L] → [..., D]; zero where there is not one word.

    Chapter: 06

    >>> vectors = WordVectors.from_array(["hot", "tea"], np.array([[2.0], [4.0]]))
    >>> additive(torch.tensor([[1, 2], [2, 0]]), vectors)
    tensor([3.3333])
    """
    words = contexts.flatten(-2)  # [..., K·L]
    return vectors.table[words].sum(-2) / (words > 0).sum(-1, keepdim=True).clamp(min=1)


class ALaCarte:
    """v = A u: the mean u of a word's context words, mapped as known words' means are to their vectors.   Chapter: 06

    A minimises Σ_w ln(1 + c_w) |v_w - A u_w|² over the training words w, occurring c_w times; u_w is the mean over all
    their occurrences in `token_lists` (Khodak et al., 2018, eq. 3 and §4). `penalty`, a share of the mean eigenvalue,
    keeps the problem solvable. A is a few thousand numbers in closed form: meta-learning by least squares. Vectors of
    words in `hide` are used neither as target nor as context. Raises ValueError if a training word is to be hidden, or
    none of them occurs.

    >>> vectors = WordVectors.from_array(["a", "b", "c"], np.array([[1.0, 0], [0, 1], [1, 1]]))
    >>> ALaCarte([["a", "c"], ["b", "c"]], ["a", "b"], vectors, window=1, penalty=1e-6)(torch.tensor([[3]])).shape
    torch.Size([2])
    """

    def __init__(
        self,
        token_lists: Sequence[Sequence[str]],
        words: Sequence[str],
        vectors: WordVectors,
        *,
        window: int = 10,
        skip: Sequence[str] = (),
        hide: Sequence[str] = (),
        penalty: float = 1e-5,
    ) -> None:
        if penalty <= 0:
            raise ValueError(f"ALaCarte(penalty={penalty}): must be > 0, or the fit may have no unique solution")
        if both := set(words) & set(hide):
            raise ValueError(
                f"ALaCarte: {sorted(both)[0]!r} is a training word and hidden; a held-out word is no target"
            )
        counted = Counter(chain.from_iterable(token_lists))
        outside = {*skip, *hide}
        seen = [word for word in counted if word in vectors.stoi and word not in outside]
        places = {word: place for place, word in enumerate(seen)}
        rows = [word for word in words if word in places]
        if not rows:
            raise ValueError(f"ALaCarte: none of the {len(words)} training words occurs with a vector in the texts")
        counts = cooccurrences(token_lists, places, window=window, decay=False)[[places[word] for word in rows]]
        table = vectors.table[vectors.encode(seen)].double().numpy()
        means = counts @ table / np.maximum(np.asarray(counts.sum(1)), 1)  # [W, D]
        weights = np.log1p([counted[word] for word in rows])[:, None]
        targets = vectors.table[vectors.encode(rows)].double().numpy()
        weighted = (means * weights).T  # [D, W]
        gram = weighted @ means
        eye = penalty * float(np.trace(gram)) / vectors.dim * np.eye(vectors.dim)
        matrix = np.linalg.solve(gram + eye, weighted @ targets)
        self.vectors = vectors
        self.matrix = torch.from_numpy(matrix.T).float()  # [D, D]

    def __call__(self, contexts: Tensor) -> Tensor:
        """Contexts [..., K, L] → vectors [..., D]; zero where there is not one context word."""
        return additive(contexts, self.vectors) @ self.matrix.T
