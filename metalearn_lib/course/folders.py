"""Where the course keeps its things: the checkout is found from this file, so any working folder will do."""

from __future__ import annotations

import os
from pathlib import Path


def root() -> Path:
    """The checkout."""
    return Path(__file__).resolve().parents[2]


def notebooks_folder() -> Path:
    """The chapters: ``$METALEARN_NOTEBOOKS`` (another course, a test) or ``notebooks/``."""
    given = os.environ.get("METALEARN_NOTEBOOKS")
    return Path(given).resolve() if given else root() / "notebooks"


def results_folder() -> Path:
    """Measured results that are kept: ``data/results/``."""
    return root() / "data" / "results"
