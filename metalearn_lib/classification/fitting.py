"""Training on a whole corpus: bucketed batches, rates of each part, rest and wake, early stopping.   Chapters 08, 09"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from metalearn_lib.classification.model import Classifier, accuracy, lengths, targets
from metalearn_lib.corpora import Corpus
from metalearn_lib.errors import check_options
from metalearn_lib.optimise import History, descend, in_training, weights_of
from metalearn_lib.progress import progress_bar

Loss = Callable[[Tensor, Tensor], Tensor]
Groups = Sequence[Mapping[str, Any]]


def fit(
    classifier: Classifier,
    corpus: Corpus,
    *,
    epochs: int,
    batch_size: int = 64,
    rates: float | Groups = 1e-3,
    schedule: Callable[[float], float] | None = None,
    loss: Loss | None = None,
    valid: Corpus | None = None,
    patience: int | None = None,
    weight_decay: float = 0.0,
    clip: float = 10.0,
    seed: int = 0,
    title: str = "train",
    progress: bool = True,
) -> History:
    """Train by AdamW on bucketed, shuffled batches; returns the loss of each step and the validation accuracies.

    `rates`: one learning rate, or parameter groups as torch takes them, {"params": …, "lr": …}; a group may have
    "from_epoch": before that epoch (counted from 0) it rests. Only what a group holds is trained. `schedule` maps the
    share of the training that is done, 0 … 1, to a factor on every rate. `loss(logits [B, C], positions [B])` is by
    default the cross-entropy with the labels at these positions of the corpus; one of your own needs no labels. With
    `valid`, the state of the best epoch is restored at the end, and training stops after `patience` epochs without a
    better one. The classifier is left in evaluation mode, and the global random state as it was, also after an error.
    Raises ValueError, or TrainingDiverged.

    Chapter: 09
    """
    if len(corpus) == 0:
        raise ValueError(f"fit: {corpus.name!r} has no texts; give at least one")
    check_options(
        "fit", epochs=epochs, batch_size=batch_size, patience=patience, weight_decay=weight_decay, clip=clip, seed=seed
    )
    if patience is not None and valid is None:
        raise ValueError(f"fit(patience={patience}) stops by validation accuracy; give valid=, or leave patience out")
    groups = _groups(classifier, rates)
    prepared = classifier.encoder.inputs(corpus)
    if loss is None:
        loss = partial(_cross_entropy, targets(corpus, classifier.classes).to(prepared.device))
    if valid is not None:
        targets(valid, classifier.classes)  # a label nobody can predict is refused before the first step
    optimizer = torch.optim.AdamW(groups, weight_decay=weight_decay, fused=True)  # 5 × on tables of vectors
    history, best = History(), weights_of(classifier) if valid is not None else {}
    steps = epochs * -(-len(prepared) // batch_size)
    generator = torch.Generator().manual_seed(seed)

    def batch_loss(rows: Tensor) -> Tensor:
        rows = rows.to(prepared.device)
        return loss(classifier(classifier.encoder.trimmed(prepared[rows])), rows)

    with in_training(classifier, seed=seed), _requires_grad_kept(classifier):
        for epoch in progress_bar(range(epochs), title, show=progress):
            awake = {p for g in groups if epoch >= g.get("from_epoch", 0) for p in g["params"]}
            for parameter in classifier.parameters():
                parameter.requires_grad_(parameter in awake)
            history.losses += descend(
                batch_loss,
                _batches(lengths(prepared), batch_size, generator),
                optimizer,
                who="fit",
                clip=clip,
                schedule=(lambda step: schedule(step / steps)) if schedule else None,
                first=len(history.losses),
            )
            if valid is not None and history.validated(accuracy(classifier, valid).mean, patience=patience):
                best = weights_of(classifier)
            if history.stopped_early:
                break
    if valid is not None:
        classifier.load_state_dict(best)
    return history


def _cross_entropy(truth: Tensor, logits: Tensor, positions: Tensor) -> Tensor:
    return nn.functional.cross_entropy(logits, truth[positions])


@contextmanager
def _requires_grad_kept(classifier: Classifier) -> Iterator[None]:
    """At the end, an error's too, what asks for a gradient is what did before."""
    asked = {p: p.requires_grad for p in classifier.parameters()}
    try:
        yield
    finally:
        for parameter, wanted in asked.items():
            parameter.requires_grad_(wanted)


def _batches(lengths: Tensor, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Shuffled batches of texts of like length: sorted within pools of 16 batches, as torchtext's BucketIterator."""
    batches: list[Tensor] = []
    for pool in torch.randperm(len(lengths), generator=generator).split(16 * size):
        batches += pool[lengths[pool].argsort(stable=True)].split(size)
    for number in torch.randperm(len(batches), generator=generator).tolist():
        yield batches[number]


def _groups(classifier: Classifier, rates: float | Groups) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]]
    if isinstance(rates, (int, float)):
        groups = [{"params": [p for p in classifier.parameters() if p.requires_grad], "lr": rates}]
    else:
        groups = [{**group, "params": list(group["params"])} for group in rates]
    if not groups or any(not group["params"] for group in groups):
        raise ValueError("fit: nothing to train, a group has no parameters; unfreeze some or leave the group out")
    for group in groups:
        check_options("fit", rates=group.get("lr"))
    if all(group.get("from_epoch", 0) > 0 for group in groups):
        raise ValueError("fit(rates): no group trains from epoch 0; let one start there")
    return groups
