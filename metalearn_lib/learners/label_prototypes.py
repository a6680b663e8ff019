"""Classes by their names: a description is a first example that nobody had to label.

Zero-shot classification after Chang et al. (2008), "Importance of semantic representation: dataless classification";
the shots then move a class away from its name, as prototypes with a prior.   Chapter 09
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Encoder
from metalearn_lib.episodes import Episodes
from metalearn_lib.learners.base import MetaLearner
from metalearn_lib.modules import evaluating

SCALE = 10.0  # of the cosines, as in the other centroid learners


def readable(label: str) -> str:
    """A label as words: dots, underscores and hyphens become spaces, capitals inside a word begin a new one.

    >>> readable("comp.sys.ibm.pc.hardware"), readable("PlayMusic")
    ('comp sys ibm pc hardware', 'play music')
    """
    return " ".join(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", re.sub(r"[\W_]+", " ", label)).lower().split())


class LabelPrototypes(MetaLearner):
    r"""Nearest class by cosine, where a class is its description d and, where there are any, its K examples x.

    $p_c\propto w\,\hat d_c+\sum_{x\in S_c}\hat x$, all vectors of length 1: the description counts as $w$ examples.
    `shots=False` is zero-shot: the support set is not looked at. `descriptions` maps every class to a text; None reads
    the labels themselves as words (`readable`). With `background`, unlabelled texts, the mean of their vectors is taken
    from every text, and the mean of the descriptions' vectors from every description: names are shorter than texts, and
    lie elsewhere. `weight` is a parameter that `meta_train` can learn. Raises ValueError for a class without a
    description, an empty one, or labels that hold no words.

    Chapter: 09
    """

    def __init__(
        self,
        encoder: Encoder,
        descriptions: Mapping[str, str] | None = None,
        *,
        weight: float = 4.0,
        shots: bool = True,
        background: Corpus | None = None,
    ) -> None:
        super().__init__()
        if not (weight > 0 and math.isfinite(weight)):
            raise ValueError(
                f"LabelPrototypes(weight={weight}): must be finite and > 0; shots=False looks at names only"
            )
        if descriptions is not None and (empty := [c for c, t in descriptions.items() if not t.strip()]):
            raise ValueError(f"LabelPrototypes: the description of {empty[0]!r} is empty; write a few words")
        self.encoder, self.shots, self.background = encoder, shots, background
        self.descriptions = dict(descriptions) if descriptions is not None else None
        self.log_weight = nn.Parameter(torch.tensor(float(weight)).log(), requires_grad=shots)
        self.name = "descriptions" if shots is False else "descriptions and shots"

    @property
    def weight(self) -> float:
        """How many examples a description counts for."""
        return float(self.log_weight.detach().exp())

    def predict(self, episodes: Episodes) -> Tensor:
        names = episodes.classes
        known = sorted({label for task in names for label in task})
        place = {label: number for number, label in enumerate(known)}
        rows = torch.tensor([[place[label] for label in task] for task in names], device=self.device)
        prior = self.labels(known)[rows]  # [T, N, D]
        support, query = (self._texts(self.encoder(x, episodes.pool)) for x in (episodes.support_x, episodes.query_x))
        members = nn.functional.one_hot(episodes.support_y, episodes.n_way).to(support)  # [T, N·K, N]
        return SCALE * query @ self._prototypes(prior, members.transpose(1, 2) @ support).transpose(1, 2)

    def logits(self, corpus: Corpus, classes: Sequence[str], *, support: Corpus | None = None) -> Tensor:
        """Logits [n, C] of a corpus from descriptions and, unless None, labelled texts; no gradient, no dropout."""
        with evaluating(self):
            sums = torch.zeros(len(classes), self.encoder.dim, device=self.device)
            if support is not None and self.shots:
                numbers = torch.tensor(support.label_numbers(classes), device=self.device)
                sums.index_add_(0, numbers, self._corpus(support))
            return SCALE * self._corpus(corpus) @ self._prototypes(self.labels(classes), sums).T

    def labels(self, classes: Sequence[str]) -> Tensor:
        """Vectors [C, D] of length 1 of the classes' descriptions."""
        given = self.descriptions
        if given is not None and (missing := [label for label in classes if label not in given]):
            raise ValueError(
                f"LabelPrototypes: no description of {missing[0]!r} ({len(missing)} of {len(classes)} classes lack "
                "one); add it to descriptions=, or give none to read the labels themselves"
            )
        texts = [readable(label) if given is None else given[label] for label in classes]
        if empty := [label for label, words in zip(classes, texts, strict=True) if not re.search("[^\\W\\d_]", words)]:
            raise ValueError(
                f"LabelPrototypes: the label {empty[0]!r} holds no word; give descriptions={{label: text}}"
            )
        vectors = normalize(self._read(texts), dim=-1)
        if self.background is not None:
            # All descriptions, not only those of this task: a task of two classes would have no direction left but one.
            every = normalize(self._read(list(given.values())), dim=-1) if given is not None else vectors
            vectors = normalize(vectors - every.mean(0), dim=-1)
        return vectors

    def _prototypes(self, prior: Tensor, sums: Tensor) -> Tensor:
        """Vectors of descriptions and sums of examples [..., N, D] → prototypes of length 1."""
        return normalize(prior + sums / self.log_weight.exp() if self.shots else prior, dim=-1)

    def _texts(self, vectors: Tensor) -> Tensor:
        unit = normalize(vectors, dim=-1)
        if self.background is None:
            return unit
        mean = normalize(self.encoder(torch.arange(len(self.background)), self.background), dim=-1).mean(0)
        return normalize(unit - mean, dim=-1)

    def _corpus(self, corpus: Corpus) -> Tensor:
        return self._texts(self.encoder(torch.arange(len(corpus)), corpus))

    def _read(self, texts: Sequence[str]) -> Tensor:
        return self.encoder.encode(self.encoder.prepare(texts).to(self.device))
