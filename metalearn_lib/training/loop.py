"""One meta-training loop for every learner: validation, early stopping, progress, checkpoint and resume.

A training run that was killed and resumed ends in the very same numbers as one that was not: episodes depend on their
number alone, and a checkpoint holds weights, optimizer, best weights and the state of torch's random generators.
Chapters 03, 04
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metalearn_lib.corpora import Corpus
from metalearn_lib.episodes import EpisodeSampler, Sampler
from metalearn_lib.errors import check_options
from metalearn_lib.evaluation import evaluate
from metalearn_lib.learners.base import Learner
from metalearn_lib.optimise import History, descend, in_training, weights_of
from metalearn_lib.progress import progress_bar
from metalearn_lib.training.checkpoint import DeferredInterrupt, Run, checkpoint_path


def meta_train(
    learner: Learner,
    sampler: Sampler,
    *,
    valid: Sampler | Corpus | None = None,
    steps: int = 800,
    tasks_per_step: int = 4,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    clip: float = 10.0,
    validate_every: int = 100,
    valid_episodes: int = 200,
    patience: int | None = None,
    checkpoint: Path | str | None = None,
    progress: bool = True,
    seed: int = 0,
) -> History:
    """Minimise `learner.meta_loss` over episodes with Adam.   Chapter: 04

    Step i uses episodes i·tasks_per_step … With `valid` (a sampler; a corpus stands for episodes of the same shape as
    those of training, from the classes of that corpus), accuracy (of a regression: the mean squared error) on
    `valid_episodes` fixed episodes is measured every `validate_every` steps, the best weights are restored at the
    end, and training stops after `patience` validations without a better one. With `checkpoint` (a file name), the
    state is written at each validation and when interrupted; a second call with the same arguments goes on from there.
    The learner is left in evaluation mode, and torch's global random state as it was, also after an error.

    Raises NotTrainable for a baseline, TrainingDiverged when the loss is not finite, ValueError for bad arguments or
    a checkpoint that is damaged or of another run, OSError for one that cannot be written.
    """
    options: dict[str, Any] = {
        "steps": steps,
        "tasks_per_step": tasks_per_step,
        "lr": lr,
        "weight_decay": weight_decay,
        "clip": clip,
        "validate_every": validate_every,
        "valid_episodes": valid_episodes,
        "patience": patience,
        "seed": seed,
    }
    check_options("meta_train", **options)
    learner.check_trainable()
    if isinstance(valid, Corpus):
        if not isinstance(sampler, EpisodeSampler):
            raise ValueError(f"meta_train: for {type(sampler).__name__} give valid= a sampler too, not a corpus")
        valid = sampler.on(valid, seed=sampler.seed + 1)
    path = checkpoint_path(checkpoint)
    optimizer = torch.optim.Adam([p for p in learner.parameters() if p.requires_grad], lr=lr, weight_decay=weight_decay)
    keys = {"learner": learner.signature(), "sampler": sampler.key, "valid": valid.key if valid else None}
    run = Run(learner, optimizer, History(), weights_of(learner), {**options, **keys})

    def loss(step: int) -> Tensor:
        return learner.meta_loss(sampler.sample(tasks_per_step, first=step * tasks_per_step).to(learner.device))

    with in_training(learner, seed=seed), DeferredInterrupt() as interrupt:
        if path is not None and path.exists():
            run.load(path)
        history = run.history
        done = len(history.losses)
        to_do = range(done, 0 if history.stopped_early else steps)
        bar = progress_bar(to_do, f"meta-train {learner.name}", show=progress, initial=done)
        for value in descend(loss, bar, optimizer, who=f"meta_train of {learner.name}", clip=clip, first=done):
            history.losses.append(value)
            due = len(history.losses) % validate_every == 0 or len(history.losses) == steps
            if valid is not None and due:
                score = evaluate(learner, valid, episodes=valid_episodes)
                history.lower_is_better = not score.share
                if history.validated(score.mean, patience=patience):
                    run.best = weights_of(learner)
            if path is not None and (due or interrupt.asked):
                run.save(path)
            if interrupt.asked:
                raise KeyboardInterrupt
            if history.stopped_early:
                break
    if valid is not None:
        learner.load_state_dict(run.best)
    return history
