"""The floors: what needs no meta-training. A method that does not pass them has not learned to learn.   Chapters 00, 04

They share their features with the learners above them: tf-idf counts words, the others take any encoder.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, one_hot

from metalearn_lib import text
from metalearn_lib.encoders import Averaged, Encoder
from metalearn_lib.episodes import Episodes
from metalearn_lib.errors import check_options
from metalearn_lib.learners.base import Learner
from metalearn_lib.learners.metric import Distance, pairwise, prototypes
from metalearn_lib.optimise import descend

if TYPE_CHECKING:
    from metalearn_lib.corpora import Corpus


class TfidfCentroid(Learner):
    """Nearest class centroid of tf-idf vectors by cosine; open vocabulary, idf from `background`.   Chapter: 04

    Rocchio's classifier. Words are runs of letters and digits, so that "top-up" shares two with "top up". The idf is
    counted on the meta-training texts only; a word that they never used has the largest idf, so new topics keep their
    telling words. Logits are 10 × cosine. `weighting` of a word that occurs c times, in df of n background texts:
    "log" is (1 + ln c) · ln((1 + n) / (1 + df)); "plain" is scikit-learn's default, c · (ln((1 + n) / (1 + df)) + 1),
    which on long texts lets common words drown the telling ones. `idf_power` = 2 squares the logarithm of "log".
    """

    def __init__(
        self, background: Corpus, *, weighting: Literal["log", "plain"] = "log", idf_power: float = 1.0
    ) -> None:
        super().__init__()
        if weighting not in ("log", "plain"):
            raise ValueError(f"TfidfCentroid(weighting={weighting!r}): use 'log' or 'plain'")
        self.background, self.weighting, self.idf_power = background, weighting, idf_power
        self.name = "tf-idf centroid" if weighting == "log" else "tf-idf centroid, plain"
        self._rows: WeakKeyDictionary[Corpus, Any] = WeakKeyDictionary()

    def predict(self, episodes: Episodes) -> Tensor:
        if episodes.pool is None:
            raise ValueError("tf-idf needs texts: these episodes were made from tensors, not from a corpus")
        rows = self._tfidf(episodes.pool)
        out = np.empty((*episodes.query_x.shape, episodes.n_way), dtype=np.float32)
        members = one_hot(episodes.support_y, episodes.n_way).numpy(force=True).astype(np.float32)  # [T, N·K, N]
        for task, (support, query) in enumerate(
            zip(episodes.support_x.numpy(force=True), episodes.query_x.numpy(force=True), strict=True)
        ):
            transposed = rows[support].T  # sparse [V, N·K]
            # [N·Q, N]: dot products with class sums
            sums = np.asarray((rows[query] @ transposed).todense()) @ members[task]
            gram = np.asarray((rows[support] @ transposed).todense())
            lengths = np.sqrt(np.einsum("in,ij,jn->n", members[task], gram, members[task]).clip(min=1e-12))
            out[task] = 10 * sums / lengths
        return torch.from_numpy(out).to(episodes.query_x.device)

    def _tfidf(self, pool: Corpus) -> Any:
        """Sparse tf-idf rows [n, V] of length 1 over all words of the pool."""
        if pool not in self._rows:
            from sklearn.feature_extraction.text import CountVectorizer
            from sklearn.preprocessing import normalize as to_unit_length

            text.check_texts(pool.texts, "TfidfCentroid")
            counter = CountVectorizer(token_pattern=r"\w+", dtype=np.float32)
            counts = counter.fit_transform(pool.texts)
            occurs = np.asarray((counter.transform(self.background.texts) > 0).sum(0)).ravel()
            idf = (np.log((1 + len(self.background)) / (1 + occurs)) + 1).astype(np.float32)
            if self.weighting == "log":
                counts.data = 1 + np.log(counts.data)
                idf = (idf - 1) ** self.idf_power
            self._rows[pool] = to_unit_length(counts.multiply(idf).tocsr())
        return self._rows[pool]


class Centroid(Learner):
    """Nearest class mean of frozen vectors by cosine; logits are 10 × cosine.   Chapter: 04"""

    def __init__(self, encoder: Encoder, *, name: str = "centroid") -> None:
        super().__init__()
        self.encoder, self.name = encoder, name

    @torch.no_grad()
    def predict(self, episodes: Episodes) -> Tensor:
        support = normalize(self.encoder(episodes.support_x, episodes.pool), dim=-1)
        centres = prototypes(support, episodes.support_y, episodes.n_way)
        return 10 * (1 - pairwise(self.encoder(episodes.query_x, episodes.pool), centres, "cosine"))


class GloveCentroid(Centroid):
    """Nearest centroid of idf-weighted averages of GloVe vectors.   Chapter: 04"""

    def __init__(self, background: Corpus) -> None:
        super().__init__(Averaged("glove", weighting="idf", background=background), name="GloVe centroid")


class NearestNeighbour(Learner):
    """The label of the nearest support example; a class's logit is minus the distance to its nearest one.

    Chapter: 04
    """

    def __init__(self, encoder: Encoder, *, distance: Distance = "cosine") -> None:
        super().__init__()
        self.encoder, self.distance = encoder, distance
        self.name = "nearest neighbour"

    def predict(self, episodes: Episodes) -> Tensor:
        support, query = (self.encoder(x, episodes.pool) for x in (episodes.support_x, episodes.query_x))
        distances = pairwise(query, support, self.distance)[..., None]  # [T, N·Q, N·K, 1]
        other = ~one_hot(episodes.support_y, episodes.n_way).bool()[:, None]  # [T, 1, N·K, N]
        return -distances.masked_fill(other, torch.inf).amin(2)


class LogisticRegression(Learner):
    """scikit-learn's logistic regression, fitted to the support set of each episode from scratch.   Chapter: 04"""

    def __init__(self, encoder: Encoder, *, C: float = 10.0) -> None:
        super().__init__()
        if C <= 0:
            raise ValueError(f"LogisticRegression(C={C}): must be > 0")
        self.encoder, self.C = encoder, C
        self.name = "logistic regression"

    def predict(self, episodes: Episodes) -> Tensor:
        from sklearn.linear_model import LogisticRegression as Fitted
        from threadpoolctl import threadpool_limits

        vectors = (self.encoder(x, episodes.pool) for x in (episodes.support_x, episodes.query_x))
        support, query = (normalize(v, dim=-1).numpy(force=True) for v in vectors)
        logits = []
        for task in range(len(episodes)):
            with threadpool_limits(1):  # 25 × D numbers: threads would only wait for each other
                fitted = Fitted(C=self.C, max_iter=200).fit(support[task], episodes.support_y[task].numpy(force=True))
            scores = fitted.decision_function(query[task])
            # Two classes: scikit-learn gives one column, the log odds of class 1.
            logits.append(scores if scores.ndim == 2 else np.stack([-scores / 2, scores / 2], axis=1))
        return torch.as_tensor(np.stack(logits), dtype=torch.float32, device=episodes.query_x.device)


class FineTuned(Learner):
    """A linear head, or one with a hidden layer, trained from scratch on the support set by gradient descent.

    Chapter: 04

    All tasks of a batch are trained at once, each with weights of its own: the baseline that MAML starts better than.
    """

    def __init__(self, encoder: Encoder, *, hidden: int = 0, steps: int = 100, lr: float = 0.01, seed: int = 0) -> None:
        super().__init__()
        check_options("FineTuned", least=0, hidden=hidden, steps=steps, lr=lr, seed=seed)
        self.encoder, self.hidden, self.steps, self.lr, self.seed = encoder, hidden, steps, lr, seed
        self.name = "fine-tuned head"

    def predict(self, episodes: Episodes) -> Tensor:
        with torch.no_grad():
            support, query = (
                normalize(self.encoder(x, episodes.pool), dim=-1) for x in (episodes.support_x, episodes.query_x)
            )
        sizes = [support.shape[-1], *([self.hidden] if self.hidden else []), episodes.n_way]
        generator = torch.Generator().manual_seed(self.seed)
        layers = [
            torch.randn(1, i, o, generator=generator).mul(i**-0.5).repeat(len(episodes), 1, 1)
            for i, o in itertools.pairwise(sizes)
        ]
        weights = [w.to(support).requires_grad_() for layer in layers for w in (layer, torch.zeros_like(layer[:, :1]))]

        def loss(_: int) -> Tensor:
            logits = _head(support, weights).flatten(0, 1)
            return nn.functional.cross_entropy(logits, episodes.support_y.flatten(), reduction="sum")

        with torch.enable_grad():
            list(descend(loss, range(self.steps), torch.optim.Adam(weights, lr=self.lr), who="FineTuned"))
        return _head(query, weights).detach()


def _head(x: Tensor, weights: list[Tensor]) -> Tensor:
    """Inputs [T, M, D] through one layer per (weight, bias) pair → logits [T, M, N]."""
    for layer in range(0, len(weights), 2):
        x = x @ weights[layer] + weights[layer + 1]
        x = x.relu() if layer + 2 < len(weights) else x
    return x
