"""A classifier is an encoder and a head; its accuracy is one number a text.   Chapters 08, 09"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Averaged, Encoder
from metalearn_lib.errors import check_options
from metalearn_lib.modules import evaluating
from metalearn_lib.optimise import seeded
from metalearn_lib.scores import Score


class Classifier(nn.Module):
    """An encoder and a head that gives one logit a class; parameters "encoder. …" and "head. …".

    `head`: by default linear, drawn from `seed`; a module of your own maps [B, encoder.dim] to [B, C]. `dropout` acts
    on the encoder's vectors. Raises ValueError for fewer than two classes, a repeated one, or a head of another size.

    >>> from metalearn_lib.encoders import Identity
    >>> Classifier(Identity(3), ["ham", "spam"])(torch.zeros(5, 3)).shape
    torch.Size([5, 2])

    Chapter: 09
    """

    def __init__(
        self,
        encoder: Encoder,
        classes: Sequence[str],
        *,
        head: nn.Module | None = None,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if isinstance(classes, str) or len(classes) < 2 or len(set(classes)) < len(classes):
            raise ValueError(f"Classifier(classes={classes!r}): give at least two different class names, in a list")
        check_options("Classifier", dropout=dropout, seed=seed)
        self.encoder, self.classes, self.dropout = encoder, tuple(classes), nn.Dropout(dropout)
        with seeded(seed):
            self.head = nn.Linear(encoder.dim, len(classes)) if head is None else head
        if head is not None:
            _check_head(head, encoder.dim, len(classes))

    def forward(self, prepared: Tensor) -> Tensor:
        """Prepared texts [B, …] → logits [B, C]."""
        logits: Tensor = self.head(self.dropout(self.encoder.encode(prepared)))
        return logits

    def logits(self, texts: Sequence[str] | Corpus, *, batch: int = 256) -> Tensor:
        """Logits [n, C] of texts, without gradients or dropout; what is prepared for a corpus is kept."""
        with evaluating(self):
            if isinstance(texts, Corpus):
                prepared = self.encoder.inputs(texts)
            else:
                prepared = self.encoder.prepare(texts).to(self.encoder.get_buffer("_where").device)
            out = prepared.new_zeros(len(prepared), len(self.classes), dtype=torch.float32)
            # texts of like length together: little padding
            for rows in lengths(prepared).argsort(descending=True).split(batch):
                out[rows] = self.forward(self.encoder.trimmed(prepared[rows]))
        return out

    def predict(self, texts: Sequence[str] | Corpus) -> list[str]:
        """The most likely class of each text."""
        return [self.classes[i] for i in self.logits(texts).argmax(1).tolist()]

    def shipped(self) -> dict[str, Any]:
        """Everything that a machine needs to answer: weights, buffers and word vectors that no checkpoint holds."""
        shipped: dict[str, Any] = dict(self.state_dict())
        shipped |= {name: buffer for name, buffer in self.named_buffers() if name not in shipped}
        for name, module in self.named_modules():
            if isinstance(module, Averaged):
                shipped[f"{name}.vectors"] = module.vectors.table
        return shipped


def targets(corpus: Corpus, classes: Sequence[str]) -> Tensor:
    """The place [n] of each text's label in `classes`; raises ValueError for a label that is not there.

    >>> targets(Corpus("pets", ["purr", "woof"], ["cat", "dog"]), ["dog", "cat"])
    tensor([1, 0])

    Chapter: 09
    """
    return torch.tensor(corpus.label_numbers(classes), dtype=torch.long)


def accuracy(
    predicted: Classifier | Tensor | Sequence[str],
    corpus: Corpus,
    *,
    classes: Sequence[str] | None = None,
    name: str = "",
) -> Score:
    """Which texts are classified correctly, 1 or 0 each, as a Score: two of one corpus compare text by text.

    `predicted`: a classifier, logits [n, C] of `classes` (default: those of the corpus, sorted), or n labels.
    Raises ValueError where their number does not fit.

    >>> pets = Corpus("pets", ["purr", "woof", "meow"], ["cat", "dog", "cat"])
    >>> accuracy(["cat", "cat", "cat"], pets).values
    array([1., 0., 1.])

    Chapter: 09
    """
    if isinstance(predicted, Classifier):
        classes, predicted = predicted.classes, predicted.logits(corpus)
    if isinstance(predicted, Tensor):
        classes = corpus.classes if classes is None else classes
        if predicted.shape != (len(corpus), len(classes)):
            raise ValueError(
                f"accuracy: logits of shape {tuple(predicted.shape)} for {len(corpus)} texts and {len(classes)} "
                "classes; give [n, C], and classes= where the corpus does not have all of them"
            )
        if not torch.isfinite(predicted).all():
            raise ValueError("accuracy: the logits hold NaN or infinity; check the training")
        right = (predicted.argmax(1).cpu() == targets(corpus, classes)).tolist()
    else:
        if isinstance(predicted, str) or len(predicted) != len(corpus):
            raise ValueError(f"accuracy: {len(predicted)} predicted labels for {len(corpus)} texts; give one a text")
        right = [p == label for p, label in zip(predicted, corpus.labels, strict=True)]
    key = ("accuracy of texts", corpus.identity)
    return Score.of([float(r) for r in right], name=name, key=key, over="texts")


def lengths(prepared: Tensor) -> Tensor:
    """Words or tokens of each text [n], on the CPU; all alike where texts are vectors already."""
    if prepared.is_floating_point():
        return torch.zeros(len(prepared), dtype=torch.long)
    return (prepared > 0).flatten(1).sum(1).cpu()


def _check_head(head: nn.Module, dim: int, n_classes: int) -> None:
    try:
        with torch.no_grad():
            shape = tuple(head(torch.zeros(2, dim)).shape)
    except RuntimeError as error:
        raise ValueError(f"Classifier: the head does not take the encoder's {dim} numbers ({error})") from error
    if shape != (2, n_classes):
        raise ValueError(
            f"Classifier: the head maps [2, {dim}] to {list(shape)}; {n_classes} classes need one logit each"
        )
