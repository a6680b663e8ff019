"""What a training run needs to go on after it was stopped: its state on disk, and a Ctrl-C that waits for the step."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from metalearn_lib import files
from metalearn_lib.optimise import History

if TYPE_CHECKING:
    from metalearn_lib.learners.base import Learner


@dataclass
class Run:
    """Everything that a resumed run needs."""

    learner: Learner
    optimizer: torch.optim.Optimizer
    history: History
    best: dict[str, Tensor]
    settings: dict[str, object]

    def save(self, path: Path) -> None:
        """Write the state; raises OSError, and leaves the file that was there, where it cannot."""
        tensors = {f"model.{k}": v for k, v in self.learner.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in self.best.items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{k}": v for k, v in state.items()}
        tensors["random.cpu"] = torch.get_rng_state()
        if self.learner.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.learner.device)
        meta = {"settings": _json(self.settings), "history": _json(asdict(self.history))}
        files.write_tensors(path, tensors, meta)

    def load(self, path: Path) -> None:
        """Go on from a saved state; raises ValueError for a damaged file or that of another run."""
        try:
            tensors, meta = files.read_tensors(path)
            settings, history = dict(json.loads(meta["settings"])), History(**json.loads(meta["history"]))
        except (ValueError, LookupError, TypeError) as error:
            raise _unreadable(path, error) from error
        wanted = json.loads(_json(self.settings))
        if settings != wanted:
            differing = sorted(k for k in {*settings, *wanted} if settings.get(k) != wanted.get(k))
            raise ValueError(
                f"checkpoint {path.name} belongs to another run (different: {', '.join(differing)}); "
                "delete it or name another file"
            )
        try:
            self._restore(tensors)
        except (ValueError, LookupError, TypeError, RuntimeError) as error:
            raise _unreadable(path, error) from error
        self.history = history

    def _restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the state over, after all of it was checked: half a state is none."""
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "optimizer": {}, "random": {}}
        for key, value in tensors.items():
            part, _, name = key.partition(".")
            parts[part][name] = value
        for part in ("model", "best"):
            _check_shapes(part, parts[part], self.learner.state_dict())
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in parts["optimizer"].items():
            number, _, name = key.partition(".")
            states.setdefault(int(number), {})[name] = value
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        for index, state in states.items():
            whole = {"step": state["step"], "exp_avg": trained[index], "exp_avg_sq": trained[index]}
            _check_shapes(f"optimizer {index}", state, whole)
        if not states:
            raise ValueError("it holds no state of the optimizer")
        torch.set_rng_state(parts["random"]["cpu"])
        if "cuda" in parts["random"] and self.learner.device.type == "cuda":
            torch.cuda.set_rng_state(parts["random"]["cuda"], self.learner.device)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": states, "param_groups": groups})
        self.learner.load_state_dict(parts["model"])
        self.best = parts["best"]


def checkpoint_path(name: Path | str | None) -> Path | None:
    """The file of a checkpoint; raises ValueError for a name that no file can have: none at all, or a folder's."""
    if name is None:
        return None
    if str(name) == "" or Path(name).is_dir():
        raise ValueError(
            f"meta_train(checkpoint={str(name)!r}): not a file; give a file name, such as 'run.safetensors'"
        )
    return Path(name)


def _json(value: object) -> str:
    """As JSON, numbers of NumPy too."""
    return json.dumps(value, default=lambda number: number.item())


def _unreadable(path: Path, reason: Exception) -> ValueError:
    lacks = f"it lacks {reason}" if isinstance(reason, KeyError) else str(reason)
    return ValueError(f"checkpoint {path.name} cannot be read ({lacks}); delete it to start again")


def _check_shapes(what: str, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Raise ValueError where names or shapes differ."""
    for name in sorted({*found, *wanted}):
        shapes = [tuple(tensors[name].shape) if name in tensors else "absent" for tensors in (found, wanted)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"{what} {name} is {shapes[0]}, not {shapes[1]}")


class DeferredInterrupt:
    """Holds a Ctrl-C back until the step is whole, so that a saved state is never half a step; a second one breaks
    off."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> DeferredInterrupt:
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
