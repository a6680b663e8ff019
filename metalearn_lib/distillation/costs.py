"""What a classifier costs: numbers it is made of, megabytes, microseconds a text; int8 as a last step.   Chapter 08"""

from __future__ import annotations

import io
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from metalearn_lib.classification import Classifier
from metalearn_lib.distillation.teachers import Ensemble, Teacher
from metalearn_lib.encoders import Transformer


@dataclass(frozen=True)
class Costs:
    """Numbers that must be shipped, megabytes they take, microseconds for one text."""

    parameters: int
    megabytes: float
    microseconds: float


def costs(teacher: Teacher, texts: Sequence[str], *, repeats: int = 3) -> Costs:
    """Size of a classifier, tf-idf or an ensemble, and its CPU time from a string to its logits, one text at a time.

    All of it runs on one thread, a Transformer, too: otherwise its time would be a sum over cores. The best of
    `repeats` passes over the texts; other programs on the machine do not count; no encoding is cached. Word vectors
    that do not train must be shipped as well, so they count; the list of words itself does not. Raises ValueError for
    no texts or repeats below 1, TypeError for a teacher without `shipped`.   Chapter: 08
    """
    if not texts or repeats < 1:
        raise ValueError(f"costs: {len(texts)} texts, repeats={repeats}; need at least one of each")
    lacking = [type(one).__name__ for one in _single(teacher) if not hasattr(one, "shipped")]
    if lacking:
        raise TypeError(
            f"costs: {lacking[0]} does not say what must be shipped; give it a method shipped() that returns "
            "{name: tensor} with all that a machine needs to answer"
        )
    tensors = teacher.shipped()
    with _one_thread(), _no_caches(teacher):
        teacher.logits(texts[:1])  # what is loaded at first use
        best = float("inf")
        for _ in range(repeats):
            start = time.process_time()
            for one in texts:
                teacher.logits([one])
            best = min(best, time.process_time() - start)
    torch.save(dict(tensors), file := io.BytesIO())
    return Costs(sum(map(_numbers, tensors.values())), file.tell() / 1e6, best / len(texts) * 1e6)


def quantised(classifier: Classifier) -> Classifier:
    """A copy with the weights of linear layers and embeddings as 8-bit integers (torch's dynamic quantisation).

    Each row of a table keeps a scale and an offset of its own. Nothing is trained again; runs on a CPU only. Raises
    ValueError if there is no such layer, RuntimeError where this torch cannot do it.   Chapter: 08
    """
    if not any(isinstance(module, (nn.Linear, nn.Embedding)) for module in classifier.modules()):
        raise ValueError("quantised: the classifier has neither a linear layer nor an embedding, nothing would change")
    try:
        from torch.ao import quantization
    except ImportError as error:
        raise RuntimeError(f"quantised: torch {torch.__version__} has no torch.ao.quantization any more") from error
    kinds = {
        nn.Linear: quantization.default_dynamic_qconfig,
        nn.Embedding: quantization.float_qparams_weight_only_qconfig,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch announces a successor package; what is here works
        small: Classifier = quantization.quantize_dynamic(classifier.cpu().eval(), kinds)  # type: ignore[no-untyped-call]
    return small


def on_front(cost: Sequence[float], accuracy: Sequence[float]) -> list[bool]:
    """Which points lie on the front: no other point is at least as cheap and at least as good, and better in one.

    Raises ValueError where the two differ in length.

    >>> on_front([1, 2, 3], [0.5, 0.4, 0.9])
    [True, False, True]

    Chapter: 08
    """
    if len(cost) != len(accuracy):
        raise ValueError(f"on_front: {len(cost)} costs and {len(accuracy)} accuracies; give one of each a point")
    points = list(zip(cost, accuracy, strict=True))
    return [
        not any(c <= own_c and a >= own_a and (c, a) != (own_c, own_a) for c, a in points) for own_c, own_a in points
    ]


def _single(teacher: Teacher) -> list[Teacher]:
    """The teachers of an ensemble, those of ensembles inside it, too; or the one there is."""
    return [one for part in teacher.teachers for one in _single(part)] if isinstance(teacher, Ensemble) else [teacher]


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for all of torch; a Transformer asks METALEARN_THREADS how many it may take."""
    before, asked = torch.get_num_threads(), os.environ.get("METALEARN_THREADS")
    torch.set_num_threads(1)
    os.environ["METALEARN_THREADS"] = "1"
    try:
        yield
    finally:
        torch.set_num_threads(before)
        if asked is None:
            del os.environ["METALEARN_THREADS"]
        else:
            os.environ["METALEARN_THREADS"] = asked


@contextmanager
def _no_caches(teacher: Teacher) -> Iterator[None]:
    modules = [m for one in _single(teacher) if isinstance(one, nn.Module) for m in one.modules()]
    kept = [(m, m.cache) for m in modules if isinstance(m, Transformer)]
    for module, _ in kept:
        module.cache = None
    try:
        yield
    finally:
        for module, cache in kept:
            module.cache = cache


def _numbers(value: Any) -> int:
    if isinstance(value, tuple):
        return sum(map(_numbers, value))
    return value.numel() if isinstance(value, Tensor) else 0
