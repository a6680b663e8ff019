"""What a training run needs to go on after it was stopped: its state on disk, and a Ctrl-C that waits for the step."""

from __future__ import annotations

import json
import signal
import threading
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
        tensors = {f"model.{k}": v for k, v in self.learner.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in self.best.items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{k}": v for k, v in state.items()}
        tensors["random.cpu"] = torch.get_rng_state()
        if torch.cuda.is_available():
            tensors["random.cuda"] = torch.cuda.get_rng_state()
        meta = {"settings": json.dumps(self.settings), "history": json.dumps(asdict(self.history))}
        files.write_tensors(path, tensors, meta)

    def load(self, path: Path) -> None:
        try:
            tensors, meta = files.read_tensors(path)
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
