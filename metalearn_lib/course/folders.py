"""Where the course keeps its things: the checkout is found from this file, so any working folder will do."""

from __future__ import annotations

import os
from pathlib import Path

# A chapter that nobody watches: no sliders, no progress bars, and one thread, since the tensors of an episode are so
# small that a second thread costs more than it brings, and much more where several chapters run at once.
KERNEL_ENVIRONMENT = {"METALEARN_HEADLESS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


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
