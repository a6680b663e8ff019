"""Several sources, one vector a word: average, concatenation, SVD; and how to make sources comparable first.

Coates and Bollegala (2018) for the average, Yin and Schütze (2016) for concatenation and SVD, Mu and Viswanath (2018)
for the preparation. A word that a source does not know is left out of the average, and is zero in the concatenation.
Chapter 06
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize, pad

from metalearn_lib.text import WordVectors


def aligned(sources: Sequence[WordVectors], words: Sequence[str] | None = None) -> tuple[list[str], list[Tensor]]:
    """Words and, for each source, their vectors [V, D_i] in that order; zero where the source lacks the word.

    Without `words`, all that at least one source knows, in the order of the sources. Raises ValueError without
    sources, for repeated words, or when no source knows any of the words.   Chapter: 06

    >>> a = WordVectors.from_array(["tea"], np.ones((1, 2)))
    >>> b = WordVectors.from_array(["ice"], np.ones((1, 3)))
    >>> aligned([a, b])[0], [tuple(t.shape) for t in aligned([a, b])[1]]
    (['tea', 'ice'], [(2, 2), (2, 3)])
    """
    if not sources:
        raise ValueError("aligned: no sources; give at least one WordVectors")
    wanted = list(dict.fromkeys(word for source in sources for word in source.words) if words is None else words)
    if len(set(wanted)) < len(wanted):
        twice = next(word for word in wanted if wanted.count(word) > 1)
        raise ValueError(f"aligned: the word {twice!r} is asked for twice; give each word once")
    tables = [
        source.table[1:] if list(source.words) == wanted else source.table[source.encode(wanted)] for source in sources
    ]
    if not wanted or not any(bool(table.any()) for table in tables):
        raise ValueError(
            f"aligned: no source knows any of the {len(wanted)} words; are words and sources in the same language and "
            "spelling (lower case)?"
        )
    return wanted, tables


def prepared(vectors: WordVectors, *, words: Sequence[str] | None = None, remove: int = 2) -> WordVectors:
    """Make sources comparable: subtract the mean, take out the strongest directions, give cosines one spread.

    "All but the top" (Mu and Viswanath, 2018, algorithm 1): the mean and the first `remove` principal directions are
    what all words share, not what tells them apart. Then every vector is scaled to the same length s^(-1/2), where s is
    the standard deviation of the cosine of two random words: without that, in a concatenation a source whose cosines
    vary much drowns one whose cosines vary little. `words` (default: all) says which words are kept and counted.
    Words without a vector stay unknown. Raises ValueError if fewer than remove + 2 words are left.   Chapter: 06

    >>> glove = WordVectors.from_array(["a", "b", "c", "d"], np.random.default_rng(0).normal(size=(4, 3)) + 5)
    >>> bool(prepared(glove, remove=0).table[1:].sum(0).abs().max() < glove.table[1:].sum(0).abs().max())
    True
    """
    order, (table,) = aligned([vectors], words)
    known = table.any(1)
    if remove < 0 or int(known.sum()) < remove + 2:
        raise ValueError(
            f"prepared(remove={remove}): {int(known.sum())} words have a vector; need 0 ≤ remove ≤ that - 2"
        )
    found = table[known].double()
    found = found - found.mean(0)
    if remove:
        top = _strongest(found.T.numpy() @ found.numpy(), min(remove, found.shape[1]))
        found = found - found @ top @ top.T
    found = normalize(found, dim=1)
    # The mean of the squared cosines of all pairs, from the D × D matrix of second moments.
    n = len(found)
    square = (float(np.square(found.T.numpy() @ found.numpy()).sum()) - n) / (n * (n - 1))
    mean = (float(found.sum(0).square().sum()) - n) / (n * (n - 1))
    found = found / max(square - mean**2, 1e-12) ** 0.25
    return WordVectors.from_array(list(compress(order, known.tolist())), found.numpy())


def average(sources: Sequence[WordVectors], words: Sequence[str] | None = None) -> WordVectors:
    """The mean of a word's vectors in the sources that know it, shorter ones padded with zeros.   Chapter: 06

    Coates and Bollegala (2018): in high dimensions the sources' spaces are nearly orthogonal, so the average keeps much
    of what the concatenation has. Result [V, max D_i]; errors as in `aligned`.

    >>> a = WordVectors.from_array(["tea", "ice"], np.array([[2.0], [4.0]]))
    >>> b = WordVectors.from_array(["tea"], np.array([[0.0, 6.0]]))
    >>> average([a, b]).table[1:]
    tensor([[1., 3.],
            [4., 0.]])
    """
    order, tables = aligned(sources, words)
    width = max(table.shape[1] for table in tables)
    total = torch.stack([pad(table, (0, width - table.shape[1])) for table in tables]).sum(0)
    count = torch.stack([table.any(1) for table in tables]).sum(0)
    return _known(order, total / count.clamp(min=1)[:, None], count > 0)


def concatenated(sources: Sequence[WordVectors], words: Sequence[str] | None = None) -> WordVectors:
    """The vectors of a word side by side, zeros for a source that lacks it (Yin and Schütze, 2016).   Chapter: 06

    Dot products are the sums of the sources' own. Result [V, Σ D_i]; errors as in `aligned`.

    >>> a = WordVectors.from_array(["tea"], np.array([[1.0]]))
    >>> concatenated([a, a]).table[1:]
    tensor([[1., 1.]])
    """
    order, tables = aligned(sources, words)
    return _known(order, torch.cat(tables, 1), torch.stack([table.any(1) for table in tables]).any(0))


def svd(sources: Sequence[WordVectors], *, dim: int, words: Sequence[str] | None = None) -> WordVectors:
    """The concatenation, rotated and cut to the `dim` directions in which it is largest.   Chapter: 06

    Yin and Schütze (2016): the best approximation of rank `dim` to all dot products of the concatenation. Raises
    ValueError if there are fewer than `dim` dimensions or words.

    >>> a = WordVectors.from_array(["tea", "ice"], np.array([[3.0, 0.0], [0.0, 1.0]]))
    >>> svd([a, a], dim=1).table[1:].abs().round(decimals=2)
    tensor([[4.2400],
            [0.0000]])
    """
    joined = concatenated(sources, words)
    basis = directions(joined.table[1:], dim)
    return WordVectors.from_array(joined.words, (joined.table[1:] @ basis).numpy())


def directions(table: Tensor, dim: int) -> Tensor:
    """The first `dim` right singular vectors of a table [V, D] → [D, dim]."""
    if not 1 <= dim <= min(table.shape):
        raise ValueError(
            f"svd(dim={dim}): {table.shape[0]} words of {table.shape[1]} numbers have {min(table.shape)} directions"
        )
    return _strongest((table.T.numpy() @ table.numpy()).astype(np.float64), dim).float()


def _strongest(gram: np.ndarray, count: int) -> Tensor:
    """The eigenvectors of the `count` largest eigenvalues of a symmetric matrix [D, D] → [D, count]."""
    from scipy.linalg import eigh

    _, basis = eigh(gram, subset_by_index=(len(gram) - count, len(gram) - 1))
    return torch.from_numpy(basis[:, ::-1].copy())


def _known(words: Sequence[str], table: Tensor, known: Tensor) -> WordVectors:
    """Without the words that no source knows."""
    return WordVectors.from_array(list(compress(words, known.tolist())), np.asarray(table[known]))
