"""The one switch of a chapter, `profile`: small and quick, or the size of the papers."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from metalearn_lib.course import claims
from metalearn_lib.files import results_folder

T = TypeVar("T")
PROFILES = ("quick", "full")
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class Profile:
    """How large a chapter runs, where, and from which seed.

    Chapter: every chapter's setup cell.

    >>> profile = Profile(quick=True, device=torch.device("cpu"), seed=0)
    >>> profile.pick(quick=100, full=1000)
    100
    """

    quick: bool
    device: torch.device
    seed: int

    def pick(self, *, quick: T, full: T) -> T:
        """The value that belongs to this profile."""
        return quick if self.quick else full

    def gpu_result(self, name: str, function: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
        """What ``function`` returns where CUDA is; elsewhere the stored result of an earlier run, or None.

        Without CUDA it says so in one line. Stored results lie in ``data/results/gpu/NAME.json`` and carry
        their provenance (date, device, versions) beside the numbers.
        """
        if self.device.type == "cuda":
            return function()
        stored = results_folder() / "gpu" / f"{name}.json"
        if not stored.exists():
            print(f"{name}: no CUDA device here, and no stored result; this part is skipped")
            return None
        result: dict[str, Any] = json.loads(stored.read_text(encoding="utf-8"))
        provenance = result.get("provenance", "provenance not recorded")
        print(f"{name}: no CUDA device here; showing the stored result ({provenance})")
        return result

    def __str__(self) -> str:
        return f"profile {'quick' if self.quick else 'full'}, device {self.device.type}, seed {self.seed}"


def setup(profile: str = "quick", device: str = "auto", seed: int = 0) -> Profile:
    """Prepare a chapter: size, device, seed of torch, plot style; silence what is not the chapter's.

    Raises:
        ValueError: an unknown profile or device, a negative seed, or ``cuda`` where there is none.

    Chapter: every chapter's setup cell.

    >>> print(setup(device="cpu"))
    profile quick, device cpu, seed 0
    """
    if profile not in PROFILES:
        raise ValueError(f"setup(profile={profile!r}): the profiles are {', '.join(PROFILES)}")
    if device not in DEVICES:
        raise ValueError(f"setup(device={device!r}): the devices are {', '.join(DEVICES)}")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"setup(seed={seed!r}): a seed is a whole number, 0 or more")
    cuda = torch.cuda.is_available()
    if device == "cuda" and not cuda:
        raise ValueError("setup(device='cuda'): torch sees no CUDA device here; use device='auto' or 'cpu'")
    claims.begin(seed)
    from metalearn_lib import plots  # here: matplotlib takes a second to import

    _quiet()
    torch.manual_seed(seed)
    if cuda:
        # the fastest kernel differs from run to run; the chapters should not
        torch.backends.cudnn.benchmark = False
    plots.style()
    # The tensors of an episode are small: a second thread costs more than it brings, much more on a busy machine.
    torch.set_num_threads(1)
    chosen = "cuda" if cuda and device != "cpu" else "cpu"
    return Profile(quick=profile == "quick", device=torch.device(chosen), seed=seed)


def _quiet() -> None:
    """Models come from local folders, so the hub is switched off; advice would land in stored outputs."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # else it warns at every fork
    for name in ("transformers", "huggingface_hub", "gensim", "matplotlib.font_manager"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*IProgress not found.*")
