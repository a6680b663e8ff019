"""Teachers: anything with classes and logits. A frozen encoder with a head, tf-idf, several at once.   Chapter 08"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from metalearn_lib.classification import Classifier
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Encoder

_LOWEST = -50.0  # stands for the logarithm of a probability of 0
_counted: WeakKeyDictionary[Corpus, dict[int, Any]] = WeakKeyDictionary()  # by the least number of texts


class Teacher(Protocol):
    """What `distil` asks of a teacher, and `costs`; every `Classifier` is one."""

    @property
    def classes(self) -> tuple[str, ...]: ...

    def logits(self, texts: Sequence[str] | Corpus) -> Tensor:
        """Logits [n, C] of the texts, the columns in the order of `classes`."""

    def shipped(self) -> Mapping[str, Any]:
        """Named tensors: all that a machine needs to answer, besides lists of words. Only `costs` asks for it."""


def align(logits: Tensor, classes: Sequence[str], onto: Sequence[str]) -> Tensor:
    """Columns [n, C] of `classes`, brought into the order of `onto` by name.   Chapter: 08

    Raises ValueError where the two do not name the same classes, and tells which.

    >>> align(torch.tensor([[1.0, 2.0]]), ["ham", "spam"], ["spam", "ham"])
    tensor([[2., 1.]])
    """
    only, lacking = sorted(set(classes) - set(onto)), sorted(set(onto) - set(classes))
    if only or lacking:
        raise ValueError(
            f"teacher and student know different classes: only the teacher {only[:5]}, only the student {lacking[:5]}; "
            "give both the same label set"
        )
    if logits.ndim != 2 or logits.shape[1] != len(classes):
        raise ValueError(f"align: logits of shape {list(logits.shape)} for {len(classes)} classes; need [n, C]")
    return logits[:, [list(classes).index(name) for name in onto]]


def linear_teacher(encoder: Encoder, labelled: Corpus, *, strength: float = 10.0) -> Classifier:
    """A frozen encoder with a head fitted to the end by scikit-learn's logistic regression (C = `strength`).

    No step size, no epochs: the loss is convex and is minimised. Raises ValueError for an empty corpus or fewer than
    two classes.   Chapter: 08
    """
    _check_labels(labelled, "linear_teacher")
    vectors = encoder.embed(labelled)
    weight, bias = _logistic(vectors.cpu().numpy(), labelled, strength)
    head = nn.Linear(encoder.dim, len(weight)).to(vectors.device)
    with torch.no_grad():
        head.weight.copy_(weight)
        head.bias.copy_(bias)
    return Classifier(encoder, labelled.classes, head=head).eval()


class TfidfTeacher:
    """Tf-idf with damped counts and logistic regression; words are counted in `background`, labels in `labelled`.

    The simple teacher, and the floor of the chapter. Words found in fewer than `min_count` texts of the background are
    left out. Raises ValueError for fewer than two classes.   Chapter: 08
    """

    def __init__(self, labelled: Corpus, *, background: Corpus, strength: float = 10.0, min_count: int = 2) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        _check_labels(labelled, "TfidfTeacher")
        self.classes: tuple[str, ...] = tuple(labelled.classes)
        counted = _counted.setdefault(background, {})  # several teachers count in one background
        if min_count not in counted:
            counter = TfidfVectorizer(sublinear_tf=True, min_df=min_count, token_pattern=r"\S+")
            counted[min_count] = counter.fit(background.texts)
        self._counts = counted[min_count]
        self._said: WeakKeyDictionary[Corpus, Tensor] = WeakKeyDictionary()
        self._weight, self._bias = _logistic(self._counts.transform(labelled.texts), labelled, strength)

    def logits(self, texts: Sequence[str] | Corpus) -> Tensor:
        """Logits [n, C] of the texts; those of a corpus are kept."""
        if not isinstance(texts, Corpus):
            scores = self._counts.transform(texts) @ self._weight.numpy().T
            return torch.from_numpy(scores).float() + self._bias
        if texts not in self._said:
            self._said[texts] = self.logits(list(texts.texts))
        return self._said[texts].clone()

    def shipped(self) -> dict[str, Tensor]:
        """What a machine needs to answer, besides the list of words: a weight for each word and class, and the idf."""
        return {"weight": self._weight, "bias": self._bias, "idf": torch.from_numpy(self._counts.idf_)}


class Ensemble:
    """Several teachers as one: the mean of their log-probabilities (a product of experts), or with `weights` a sum.

    Classes are matched by name. Raises ValueError for no teachers, other classes, or weights that do not fit.

    Chapter: 08
    """

    def __init__(self, teachers: Sequence[Teacher], *, weights: Sequence[float] | None = None) -> None:
        if not teachers:
            raise ValueError("Ensemble: no teachers; give at least one")
        shares = [1 / len(teachers)] * len(teachers) if weights is None else [float(w) for w in weights]
        if len(shares) != len(teachers) or min(shares) <= 0:
            raise ValueError(
                f"Ensemble(weights={weights}): {len(teachers)} teachers need as many weights, each above 0"
            )
        self.teachers, self.weights, self.classes = tuple(teachers), shares, tuple(teachers[0].classes)
        for teacher in self.teachers:
            align(torch.zeros(1, len(teacher.classes)), teacher.classes, self.classes)

    def logits(self, texts: Sequence[str] | Corpus) -> Tensor:
        """Weighted log-probabilities [n, C]; not normalised."""
        views = [
            weight * align(teacher.logits(texts), teacher.classes, self.classes).log_softmax(1).clamp(min=_LOWEST).cpu()
            for teacher, weight in zip(self.teachers, self.weights, strict=True)
        ]
        return torch.stack(views).sum(0)

    def shipped(self) -> dict[str, Any]:
        """What the teachers need to answer, the number of each before its names."""
        return {f"{n}.{name}": part for n, one in enumerate(self.teachers) for name, part in one.shipped().items()}


def _logistic(features: Any, labelled: Corpus, strength: float) -> tuple[Tensor, Tensor]:
    """Weights [C, D] and biases [C] of a fitted logistic regression, two rows for two classes as well."""
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=strength, max_iter=500, tol=1e-3).fit(features, list(labelled.labels))
    weight, bias = (torch.from_numpy(part).float() for part in (fitted.coef_, fitted.intercept_))
    if len(weight) == 1:  # two classes: scikit-learn keeps only the second one's
        weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
    return weight, bias


def _check_labels(labelled: Corpus, who: str) -> None:
    if len(labelled.classes) < 2:
        raise ValueError(
            f"{who}: {labelled.name!r} has {len(labelled.classes)} classes in {len(labelled)} texts; need 2"
        )
