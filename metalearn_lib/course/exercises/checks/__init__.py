"""Self-checks of the exercises: `check.NAME(your_answer)` says what holds, or what is wrong and where to look.

A check is found by its name in the modules `chapter_NN`, imported on first use.   Every chapter with exercises
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from .core import CheckFailed

__all__ = ["CheckFailed"]


def all_checks() -> dict[str, Callable[..., None]]:
    """Every check of every chapter, by name.

    Raises:
        ValueError: two chapters have a check of the same name.
    """
    found: dict[str, Callable[..., None]] = {}
    for file in _chapters():
        module = import_module(f"{__name__}.{file.stem}")
        for name, value in vars(module).items():
            if not hasattr(value, "exercise"):
                continue
            if name in found:
                raise ValueError(f"two checks are called {name!r}; the second is in {file.name}: rename one")
            found[name] = value
    return found


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for file in _chapters():  # the text first: a chapter's checks need not wait for those of all others
        if re.search(rf"^def {name}\(", file.read_text(encoding="utf-8"), re.MULTILINE):
            found = getattr(import_module(f"{__name__}.{file.stem}"), name)
            if hasattr(found, "exercise"):
                return found
    raise AttributeError(f"there is no check called {name!r}; the checks are {', '.join(sorted(all_checks()))}")


def __dir__() -> list[str]:
    return sorted({*globals(), *all_checks()})


def _chapters() -> list[Path]:
    return sorted(Path(__file__).parent.glob("chapter_*.py"))
