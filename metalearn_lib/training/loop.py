"""One meta-training loop for every learner: validation, early stopping, progress, checkpoint and resume.

A training run that was killed and resumed ends in the very same numbers as one that was not: episodes depend on their
number alone, and a checkpoint holds weights, optimizer, best weights and the state of torch's random generators.
Chapters 03, 04
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from metalearn_lib.corpora import Corpus
from metalearn_lib.episodes import EpisodeSampler, Sampler
from metalearn_lib.errors import TrainingDiverged
from metalearn_lib.evaluation import evaluate
from metalearn_lib.learners.base import Learner
from metalearn_lib.optimise import History
from metalearn_lib.progress import progress_bar
from metalearn_lib.training.checkpoint import DeferredInterrupt, Run


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

    Raises NotTrainable for a baseline, TrainingDiverged when the loss is not finite, ValueError for bad arguments or
    a checkpoint of another run.
    """
    for name, value in (
        ("steps", steps),
        ("tasks_per_step", tasks_per_step),
        ("validate_every", validate_every),
        ("valid_episodes", valid_episodes),
    ):
        if value < 1:
            raise ValueError(f"meta_train({name}={value}): must be ≥ 1")
    learner.check_trainable()
    if isinstance(valid, Corpus):
        if not isinstance(sampler, EpisodeSampler):
            raise ValueError(f"meta_train: for {type(sampler).__name__} give valid= a sampler too, not a corpus")
        valid = sampler.on(valid, seed=sampler.seed + 1)
    torch.manual_seed(seed)
    parameters = [p for p in learner.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=lr, weight_decay=weight_decay)
    settings = {
        "learner": learner.signature(),
        "steps": steps,
        "tasks_per_step": tasks_per_step,
        "lr": lr,
        "weight_decay": weight_decay,
        "clip": clip,
        "sampler": sampler.key,
        "valid": valid.key if valid else None,
        "validate_every": validate_every,
        "valid_episodes": valid_episodes,
        "patience": patience,
        "seed": seed,
    }
    run = Run(learner, optimizer, History(), {k: v.clone() for k, v in learner.state_dict().items()}, settings)
    path = Path(checkpoint) if checkpoint is not None else None
    if path is not None and path.exists():
        run.load(path)
    history = run.history
    learner.train()
    done = len(history.losses)
    with DeferredInterrupt() as interrupt:
        for step in progress_bar(
            range(done, 0 if history.stopped_early else steps),
            f"meta-train {learner.name}",
            show=progress,
            initial=done,
        ):
            _step(run, sampler, step, tasks_per_step, parameters, clip)
            last = step + 1 == steps
            if valid is not None and ((step + 1) % validate_every == 0 or last):
                score = evaluate(learner, valid, episodes=valid_episodes)
                history.lower_is_better = not score.share
                history.valid_steps.append(step + 1)
                history.valid_scores.append(score.mean)
                since = len(history.valid_scores) - 1 - history.best
                if since == 0:
                    run.best = {k: v.clone() for k, v in learner.state_dict().items()}
                history.stopped_early = patience is not None and since >= patience
            if path is not None and ((step + 1) % validate_every == 0 or last or interrupt.asked):
                run.save(path)
            if interrupt.asked:
                raise KeyboardInterrupt
            if history.stopped_early:
                break
    if valid is not None:
        learner.load_state_dict(run.best)
    learner.eval()
    return history


def _step(run: Run, sampler: Sampler, step: int, tasks: int, parameters: Sequence[Tensor], clip: float) -> None:
    loss = run.learner.meta_loss(sampler.sample(tasks, first=step * tasks).to(run.learner.device))
    if not torch.isfinite(loss):
        raise TrainingDiverged(
            f"meta_train: the loss of {run.learner.name} is {loss.item()} at step {step + 1}; "
            "lower lr or check the inputs"
        )
    run.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(parameters, clip)
    run.optimizer.step()
    run.history.losses.append(loss.item())
