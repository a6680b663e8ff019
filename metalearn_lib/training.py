"""One meta-training loop for every learner: validation, early stopping, progress, checkpoint and resume.

A training run that was killed and resumed ends in the very same numbers as one that was not: episodes depend on their
number alone, and a checkpoint holds weights, optimizer, best weights and the state of torch's random generators.
Chapters 03, 04
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from metalearn_lib import checkpoints
from metalearn_lib.corpora import Corpus
from metalearn_lib.episodes import EpisodeSampler
from metalearn_lib.evaluation import Sampler, evaluate

if TYPE_CHECKING:
    from metalearn_lib.learners.base import Learner

T = TypeVar("T")


@dataclass
class History:
    """What happened: meta-loss of each step, validation scores (of a regression: errors) and after which steps."""

    losses: list[float] = field(default_factory=list)
    valid_steps: list[int] = field(default_factory=list)
    valid_scores: list[float] = field(default_factory=list)
    stopped_early: bool = False
    lower_is_better: bool = False

    @property
    def best_step(self) -> int | None:
        """The step whose weights were kept; None without validation."""
        return self.valid_steps[self.best] if self.valid_scores else None

    @property
    def best(self) -> int:
        """Which validation was the best one, the first of equals."""
        return self.valid_scores.index((min if self.lower_is_better else max)(self.valid_scores))


class TrainingDiverged(RuntimeError):
    """The meta-loss became NaN or infinite."""


def progress_bar(steps: Iterable[T], title: str, *, show: bool = True, initial: int = 0) -> Iterator[T]:
    """One tqdm bar on stdout, cleared at the end; none where METALEARN_HEADLESS is set, as nobody would see it."""
    from tqdm import tqdm

    hidden = not show or os.environ.get("METALEARN_HEADLESS", "0") not in ("", "0")
    yield from tqdm(steps, desc=title, disable=hidden, initial=initial, leave=False, file=sys.stdout, mininterval=0.5)


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
    run = _Run(learner, optimizer, History(), {k: v.clone() for k, v in learner.state_dict().items()}, settings)
    path = Path(checkpoint) if checkpoint is not None else None
    if path is not None and path.exists():
        run.load(path)
    history = run.history
    learner.train()
    done = len(history.losses)
    with _DeferredInterrupt() as interrupt:
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


def _step(run: _Run, sampler: Sampler, step: int, tasks: int, parameters: Sequence[Tensor], clip: float) -> None:
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


class _DeferredInterrupt:
    """Holds a Ctrl-C back until the step is whole, so that a saved state is never half a step; a second one breaks
    off."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> _DeferredInterrupt:
        self._previous = None
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _handle(self, *_: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@dataclass
class _Run:
    """Everything that a resumed run needs."""

    learner: Learner
    optimizer: torch.optim.Optimizer
    history: History
    best: dict[str, Tensor]
    settings: dict[str, object]

    def save(self, path: Path) -> None:
        tensors = {f"model.{k}": v for k, v in self.learner.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in self.best.items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{k}": v for k, v in state.items()}
        tensors["random.cpu"] = torch.get_rng_state()
        if torch.cuda.is_available():
            tensors["random.cuda"] = torch.cuda.get_rng_state()
        meta = {"settings": json.dumps(self.settings), "history": json.dumps(asdict(self.history))}
        checkpoints.write(path, tensors, meta)

    def load(self, path: Path) -> None:
        try:
            tensors, meta = checkpoints.read(path)
        except ValueError as error:
            raise ValueError(f"checkpoint {path.name} cannot be read ({error}); delete it to start again") from error
        found = json.loads(meta.get("settings", "{}"))
        wanted = json.loads(json.dumps(self.settings))
        if found != wanted:
            differing = sorted(k for k in {*found, *wanted} if found.get(k) != wanted.get(k))
            raise ValueError(
                f"checkpoint {path.name} belongs to another run (different: {', '.join(differing)}); "
                "delete it or name another file"
            )
        part = {
            p: {k.removeprefix(f"{p}."): v for k, v in tensors.items() if k.startswith(f"{p}.")}
            for p in ("model", "best", "optimizer")
        }
        self.learner.load_state_dict(part["model"])
        self.best = part["best"]
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in part["optimizer"].items():
            number, name = key.split(".", 1)
            state.setdefault(int(number), {})[name] = value
        self.optimizer.load_state_dict({"state": state, "param_groups": self.optimizer.state_dict()["param_groups"]})
        self.history = History(**json.loads(meta["history"]))
        torch.set_rng_state(tensors["random.cpu"])
        if "random.cuda" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["random.cuda"])
