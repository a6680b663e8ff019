"""Long work shows one bar, and nothing where nobody watches."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def progress_bar(steps: Iterable[T], title: str, *, show: bool = True, initial: int = 0) -> Iterator[T]:
    """One tqdm bar on stdout, cleared at the end; none where METALEARN_HEADLESS is set, as nobody would see it."""
    from tqdm import tqdm

    hidden = not show or _asked_to_be_headless()
    yield from tqdm(steps, desc=title, disable=hidden, initial=initial, leave=False, file=sys.stdout, mininterval=0.5)


def headless() -> bool:
    """Whether nobody is there to slide: METALEARN_HEADLESS is set, or this is no notebook kernel."""
    from IPython.core.getipython import get_ipython

    return _asked_to_be_headless() or not hasattr(get_ipython(), "kernel")


def _asked_to_be_headless() -> bool:
    return os.environ.get("METALEARN_HEADLESS", "0") not in ("", "0")
