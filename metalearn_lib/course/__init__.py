"""What knows notebooks: claims, the profile switch, the runner, the checks and the `metalearn` command.

A chapter needs six names of it: `check`, `claim`, `guess`, `must_hold`, `quiz` and `setup`; `progress`, to look back;
and `replicated` and `replication_note`, to show what holds over several trainings.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .claims import ClaimFailed, claim, must_hold
from .guesses import guess
from .study.quiz import quiz

if TYPE_CHECKING:
    from .exercises import checks as check
    from .profile import Profile, setup
    from .replication.shown import replicated, replication_note
    from .study import progress

__all__ = [
    "ClaimFailed", "Profile", "check", "claim", "guess", "must_hold", "progress", "quiz", "replicated",
    "replication_note", "setup",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in ("Profile", "setup"):  # on demand: they import torch, which the command line does not need
        from . import profile

        return getattr(profile, name)
    if name in ("replicated", "replication_note"):
        return getattr(import_module(f"{__name__}.replication.shown"), name)
    if name == "check":
        return import_module(f"{__name__}.exercises.checks")
    if name == "progress":
        return import_module(f"{__name__}.study.progress")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
