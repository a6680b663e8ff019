"""The word writer: one small network that writes a weight for every word of an open vocabulary.   Chapter 05

The classifier it writes has as many weights as there are words, times classes. What it reads of a word are statistics,
never the word itself, so it writes for words that it never met, also for words that no support text contains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from metalearn_lib import text
from metalearn_lib.encoders import Encoder, Frozen, Projected
from metalearn_lib.errors import check_options
from metalearn_lib.meta_networks.base import MetaNetwork, Written, finite, members_of
from metalearn_lib.meta_networks.writers import SetAttentionWriter

if TYPE_CHECKING:
    from metalearn_lib.corpora import Corpus
    from metalearn_lib.episodes import Episodes

FEATURES = (
    "tf-idf weight in the class", "mean weight in the others", "share of the class's texts", "mean share in the others",
    "idf", "cosine to the class", "cosine, above the mean of all classes", "match with the class's heaviest words",
    "match, above the mean of all classes", "shots",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class CountedWords:
    """The words of a pool: `rows` [n, V] are tf-idf of unit length (sparse), `idf` [V] a share of the largest one,
    `vectors` [V, D] the unit vectors of single words, zero where the encoder knows none."""

    words: Sequence[str]
    rows: Any
    idf: np.ndarray
    vectors: Tensor

    @classmethod
    def of(cls, pool: Corpus, background: Corpus, encoder: Encoder, idf_power: float) -> CountedWords:
        """Count as `TfidfCentroid(background, idf_power=…)` does, with the encoder's vector of each word."""
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.preprocessing import normalize as to_unit_length

        text.check_texts(pool.texts, "WordWriter")
        counter = CountVectorizer(token_pattern=r"\w+", dtype=np.float32)
        counts = counter.fit_transform(pool.texts)
        occurs = np.asarray((counter.transform(background.texts) > 0).sum(0)).ravel()
        largest = np.log(1 + len(background))
        idf = ((largest - np.log(1 + occurs)) / largest).astype(np.float32)
        counts.data = 1 + np.log(counts.data)
        words = counter.get_feature_names_out().tolist()
        rows = to_unit_length(counts.multiply(idf**idf_power).tocsr())
        return cls(words, rows, idf, normalize(encoder.embed(words).cpu(), dim=-1))


@dataclass(frozen=True, eq=False)
class SupportWords:
    """What the support set of one task says of its own words: weights and shares [N, U] of `words` (numbers [U]), and
    the mean unit vector of each class [N, D]."""

    words: np.ndarray
    weights: np.ndarray
    shares: np.ndarray
    classes: Tensor
    shots: float

    @classmethod
    def of(cls, counted: CountedWords, support: np.ndarray, members: np.ndarray, vectors: Tensor) -> SupportWords:
        """From positions [M], their members [M, N] and their vectors [M, D]."""
        words, values = dense(counted.rows[support])
        number = members.sum(0)[:, None]
        sums = members.T @ values
        weights = sums / np.sqrt(np.square(sums).sum(1, keepdims=True).clip(min=1e-12))  # the tf-idf centroid
        of_class = torch.from_numpy(members.T / number).to(vectors) @ normalize(vectors, dim=-1)
        shares = members.T @ (values > 0) / number
        return cls(words, weights, shares, normalize(of_class, dim=-1), float(number.mean()))

    def at(self, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights and shares [N, ·] of any words; 0 where the support set does not hold one."""
        if not len(self.words):  # texts of punctuation
            return (np.zeros((len(self.weights), len(words)), np.float32),) * 2
        place = np.searchsorted(self.words, words).clip(max=len(self.words) - 1)
        held = self.words[place] == words
        return self.weights[:, place] * held, self.shares[:, place] * held

    def heaviest(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Word numbers and weights [N, number] of the largest weights in each class."""
        order = np.argsort(-self.weights, axis=1, kind="stable")[:, :number]
        return self.words[order], np.take_along_axis(self.weights, order, 1)


def word_statistics(counted: CountedWords, support: SupportWords, words: np.ndarray, *, nearest: int = 40) -> Tensor:
    """The head: what the support set says of each word, for each class: numbers [U] → `FEATURES` [U, N, 10].

    The match with a class sums (cosine, if > 0)³ to its `nearest` heaviest words, by their weight.   Chapter: 05
    """
    weights, shares = (torch.from_numpy(each.T).float() for each in support.at(words))  # [U, N]
    vectors = counted.vectors[words]
    near = vectors @ support.classes.T.to(vectors)
    heavy, heaviness = support.heaviest(nearest)
    cosines = (vectors @ counted.vectors[heavy].flatten(0, 1).T).unflatten(1, heavy.shape)  # [U, N, nearest]
    share = torch.from_numpy(heaviness / heaviness.sum(1, keepdims=True).clip(min=1e-12)).float()
    match = 10 * (cosines.clamp(min=0) ** 3 * share).sum(2)
    idf = torch.from_numpy(counted.idf[words])[:, None].expand_as(near)
    shots = torch.full_like(near, support.shots).log2() / 2
    features = (10 * weights, 10 * _others(weights), shares, _others(shares), 2 * idf - 1, 3 * near, 3 * _above(near))
    return torch.stack([*features, match, _above(match), shots], dim=-1)


class WordTail(nn.Module):
    """The tail: statistics [U, N, 10] → weights [U, N], w = t · exp(3 g) + idf^p · 0.3 a, (g, a) by a small network.

    t is the tf-idf weight in the class, 0 for a word that its support texts lack; g scales it, a adds to it. The last
    layer is zero at the start: then w = t. By the factors 3 this tail moves faster than the second one, which starts
    near its goal.   Chapter: 05
    """

    def __init__(self, *, hidden: int = 32) -> None:
        super().__init__()
        check_options("WordTail", hidden=hidden)
        layers = [nn.Linear(len(FEATURES), hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()]
        self.network = nn.Sequential(*layers, nn.Linear(hidden, 2))
        nn.init.zeros_(self.network[4].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.network[4].bias)  # type: ignore[arg-type]

    def forward(self, statistics: Tensor, idf: Tensor) -> Tensor:
        gain, added = (3 * self.network(statistics)).unbind(-1)
        weights: Tensor = statistics[..., 0] / 10 * gain.exp() + idf[:, None] * added / 10
        return weights


_counted: WeakKeyDictionary[Encoder, dict[tuple[str, str, float], CountedWords]] = WeakKeyDictionary()


class WordWriter(MetaNetwork):
    """Writes a weight for each word and class, and with a second tail a dense vector for each class.   Chapter: 05

    logits = s (q·w_c + d cos(x, v_c)): q are the tf-idf weights of a text's words (unit length), w_c the written word
    weights (`WordTail`), x the text's vector and v_c the class vector of a set-attention writer over a linear map of
    it; s and d are learned, 10 and `dense_weight` at the start. So an untrained writer is a blend of tf-idf and vector
    centroids. `background`: the meta-training texts, for the idf. `encoder` must train nothing: it gives texts and
    single words a vector. Weights are computed for the words of the texts at hand only; what a word weighs depends on
    the support set alone. `dense_weight=None`: words alone.

    Raises ValueError for an encoder that trains, and for episodes made from tensors.
    """

    def __init__(
        self,
        background: Corpus,
        encoder: Encoder,
        *,
        hidden: int = 32,
        idf_power: float = 1.5,
        dense_weight: float | None = 0.1,
        nearest: int = 40,
        **losses: float,
    ) -> None:
        super().__init__(**losses)
        check_options("WordWriter", nearest=nearest)
        if any(p.requires_grad for p in encoder.parameters()):
            raise ValueError(
                "WordWriter: the encoder trains, so word vectors would change; give encoders.Frozen(encoder)"
            )
        if dense_weight is not None and not 0 < dense_weight < np.inf:
            raise ValueError(f"WordWriter(dense_weight={dense_weight!r}): a finite number > 0, or None for words alone")
        self.background, self.encoder, self.idf_power, self.nearest = background, encoder, idf_power, nearest
        self.name = "word writer" if dense_weight is not None else "word writer, words alone"
        self.tail = WordTail(hidden=hidden)
        self.log_scale = nn.Parameter(torch.tensor(10.0).log())
        self.dense = self.log_dense = None
        if dense_weight is not None:
            self.dense = SetAttentionWriter(Projected(Frozen(encoder), normalise=True))
            self.dense.log_scale.requires_grad_(False)  # the logits have one scale
            self.log_dense = nn.Parameter(torch.tensor(float(dense_weight)).log())

    def counted(self, pool: Corpus | None) -> CountedWords:
        """The words of a pool, counted once for all writers with the same background and encoder."""
        if pool is None:
            raise ValueError("WordWriter reads words: these episodes were made from tensors, not from a corpus")
        known = _counted.setdefault(self.encoder, {})
        key = (pool.identity, self.background.identity, self.idf_power)
        if key not in known:
            known[key] = CountedWords.of(pool, self.background, self.encoder, self.idf_power)
        return known[key]

    def written(self, episodes: Episodes) -> Written:
        """The dense class vectors, and which texts the words' weights will be read from."""
        members = members_of(episodes, self.name)
        self.counted(episodes.pool)
        dense_part = self.dense.written(episodes) if self.dense is not None else {}
        return dense_part | {"support": episodes.support_x, "members": members}

    def classify(self, written: Written, x: Tensor, pool: Corpus | None) -> Tensor:
        counted, logits = self.counted(pool), []
        for task, texts in enumerate(x.numpy(force=True)):
            words, values = dense(counted.rows[texts])
            weights = self._weights(counted, self._support(counted, written, task, pool), words)
            logits.append(torch.from_numpy(values).to(weights) @ weights)
        total = torch.stack(logits)  # [T, M, N]
        if self.dense is not None and self.log_dense is not None:
            classes = {name: weights for name, weights in written.items() if name not in ("support", "members")}
            cosines = self.dense.classify(classes, x, pool) / self.dense.log_scale.exp()
            total = total + self.log_dense.exp() * cosines
        return self.log_scale.exp() * total

    def word_weights(self, episodes: Episodes, *, task: int = 0) -> tuple[Sequence[str], Tensor, np.ndarray]:
        """All words [V] of the pool, their written weights [V, N], and which of them a support text holds [V]."""
        counted = self.counted(episodes.pool)
        support = self._support(counted, self.written(episodes), task, episodes.pool)
        everything = np.arange(len(counted.words))
        parts = [
            self._weights(counted, support, words) for words in np.array_split(everything, 1 + len(everything) // 5000)
        ]
        return counted.words, torch.cat(parts), np.isin(everything, support.words)

    def _support(self, counted: CountedWords, written: Written, task: int, pool: Corpus | None) -> SupportWords:
        positions = written["support"][task]
        members = written["members"][task].numpy(force=True).astype(np.float32)
        with torch.no_grad():
            vectors = self.encoder(positions, pool)
        return SupportWords.of(counted, positions.numpy(force=True), members, vectors)

    def _weights(self, counted: CountedWords, support: SupportWords, words: np.ndarray) -> Tensor:
        statistics = word_statistics(counted, support, words, nearest=self.nearest).to(self.log_scale)
        idf = torch.from_numpy(counted.idf[words]).to(statistics) ** self.idf_power
        return finite({"words": self.tail(statistics, idf)}, self.name)["words"]


def dense(rows: Any) -> tuple[np.ndarray, np.ndarray]:
    """Sparse rows [M, V] → the numbers [U] of the words that occur, sorted, and their values [M, U]."""
    words, columns = np.unique(rows.indices, return_inverse=True)
    values = np.zeros((rows.shape[0], len(words)), dtype=rows.dtype)
    values[np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr)), columns] = rows.data
    return words, values


def _others(x: Tensor) -> Tensor:
    """The mean over the other classes, [U, N] → [U, N]."""
    return (x.sum(1, keepdim=True) - x) / (x.shape[1] - 1)


def _above(x: Tensor) -> Tensor:
    return x - x.mean(1, keepdim=True)
