"""Training on a whole corpus: bucketed batches, rates of each part, rest and wake, early stopping.   Chapters 08, 09"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from metalearn_lib.classification.model import Classifier, accuracy, lengths, targets
from metalearn_lib.corpora import Corpus
from metalearn_lib.errors import TrainingDiverged
from metalearn_lib.optimise import History
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
    better one. The global random state is left as it was. Raises ValueError, or TrainingDiverged.

    Chapter: 09
    """
    if len(corpus) == 0:
        raise ValueError(f"fit: {corpus.name!r} has no texts; give at least one")
    if epochs < 1 or batch_size < 1 or (patience is not None and patience < 1):
        raise ValueError(f"fit(epochs={epochs}, batch_size={batch_size}, patience={patience}): each must be ≥ 1")
    if patience is not None and valid is None:
        raise ValueError(f"fit(patience={patience}) stops by validation accuracy; give valid=, or leave patience out")
    groups = _groups(classifier, rates)
    prepared = classifier.encoder.inputs(corpus)
    if loss is None:
        loss = _CrossEntropy(targets(corpus, classifier.classes).to(prepared.device))
    if valid is not None:
        targets(valid, classifier.classes)  # a label nobody can predict is refused before the first step
    optimizer = torch.optim.AdamW(groups, weight_decay=weight_decay, fused=True)  # 5 × on tables of vectors
    base = [float(group["lr"]) for group in groups]
    trained = [p for group in groups for p in group["params"]]
    history, best = History(), _state(classifier) if valid is not None else {}
    asked = {p: p.requires_grad for p in classifier.parameters()}
    steps = epochs * -(-len(prepared) // batch_size)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[prepared.device] if prepared.device.type == "cuda" else []):
        torch.manual_seed(seed)
        try:
            for epoch in progress_bar(range(epochs), title, show=progress):
                awake = {p for g in groups if epoch >= g.get("from_epoch", 0) for p in g["params"]}
                for parameter in classifier.parameters():
                    parameter.requires_grad_(parameter in awake)
                classifier.train()
                for rows in _batches(lengths(prepared), batch_size, generator):
                    done = len(history.losses) / steps
                    for group, rate in zip(optimizer.param_groups, base, strict=True):
                        group["lr"] = rate * (schedule(done) if schedule else 1.0)
                    history.losses.append(_step(classifier, prepared, rows, loss, optimizer, trained, clip))
                if valid is not None:
                    history.valid_steps.append(len(history.losses))
                    history.valid_scores.append(accuracy(classifier, valid).mean)
                    since = len(history.valid_scores) - 1 - history.best
                    if since == 0:
                        best = _state(classifier)
                    history.stopped_early = patience is not None and since >= patience
                    if history.stopped_early:
                        break
        finally:
            for parameter, wanted in asked.items():
                parameter.requires_grad_(wanted)
    if valid is not None:
        classifier.load_state_dict(best)
    classifier.eval()
    return history


class _CrossEntropy:
    def __init__(self, truth: Tensor) -> None:
        self.truth = truth

    def __call__(self, logits: Tensor, positions: Tensor) -> Tensor:
        return nn.functional.cross_entropy(logits, self.truth[positions])


def _step(
    classifier: Classifier,
    prepared: Tensor,
    rows: Tensor,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    trained: Sequence[Tensor],
    clip: float,
) -> float:
    rows = rows.to(prepared.device)
    value = loss(classifier(classifier.encoder.trimmed(prepared[rows])), rows)
    if not torch.isfinite(value):
        raise TrainingDiverged(f"fit: the loss is {value.item()}; lower the rates or check the inputs")
    optimizer.zero_grad()
    value.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(trained, clip)
    optimizer.step()
    return value.item()


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
        groups = [{"params": [p for p in classifier.parameters() if p.requires_grad], "lr": float(rates)}]
    else:
        groups = [{**group, "params": list(group["params"])} for group in rates]
    if not groups or any(not group["params"] for group in groups):
        raise ValueError("fit: nothing to train, a group has no parameters; unfreeze some or leave the group out")
    if bad := [group.get("lr") for group in groups if not group.get("lr") or group["lr"] <= 0]:
        raise ValueError(f"fit(rates): a rate is {bad[0]}; each group needs an lr > 0 (leave out what shall not train)")
    if all(group.get("from_epoch", 0) > 0 for group in groups):
        raise ValueError("fit(rates): no group trains from epoch 0; let one start there")
    return groups


def _state(classifier: Classifier) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in classifier.state_dict().items()}
