"""`metalearn doctor`: is this machine ready for the course, and which command mends what is not?"""

from __future__ import annotations

import re
import shutil
import ssl
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from metalearn_lib.files import root

from .running.chapters import versions

MEMORY_GB, DISK_GB = 3.0, 1.0  # what a chapter may hold; what its caches and results may take
REINSTALL = "pip install --constraint constraints.txt --editable '.[dev]'"


@dataclass(frozen=True)
class Finding:
    """One row: what was looked at, what was found, and the command that mends it if it is not good."""

    subject: str
    found: str
    mend: str  # empty: all is well

    @property
    def good(self) -> bool:
        return not self.mend


def examine() -> Iterator[Finding]:
    """Look at everything the course needs, one thing after the other; a look that fails is a finding too."""
    for subject, look, mend in _LOOKS:
        try:
            yield Finding(subject, *look())
        except Exception as error:  # whatever is wrong, the doctor says it and goes on
            yield Finding(subject, f"{type(error).__name__}: {error}".splitlines()[0], mend)


Look = tuple[str, str]  # what was found, and the command that mends it; empty: all is well


def _python() -> Look:
    too_old = sys.version_info < (3, 11)
    mend = "install Python 3.11 or newer, then: make PYTHON=python3.12 run" if too_old else ""
    return f"{sys.version.split()[0]} in {sys.prefix}", mend


def _packages() -> Look:
    tested = pins(root() / "constraints.txt")
    project = tomllib.loads((root() / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    missing = sorted(needed - set(versions()))
    other = [
        f"{name} {versions()[name]} (tested: {version})"
        for name, version in tested.items()
        if name in versions() and versions()[name].split("+")[0] != version
    ]
    if missing or other:
        said = [f"missing: {', '.join(missing)}"] if missing else []
        said += [f"other than tested: {', '.join(other[:5])}{' …' if len(other) > 5 else ''}"] if other else []
        return "; ".join(said), REINSTALL
    return f"{len(tested)} as in constraints.txt", ""


def pins(path: Path) -> dict[str, str]:
    """Name and version of each pinned package of a constraints file."""
    lines = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in lines}


def _torch() -> Look:
    import torch

    torch.ones(2, 2) @ torch.ones(2, 2)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    return f"{torch.__version__} on {device}", ""


def _torchtext() -> Look:
    before = ssl._create_default_https_context
    from metalearn_lib import text  # noqa: F401  (the only module that imports torchtext)

    if ssl._create_default_https_context is not before:
        return "switched off the verification of https", REINSTALL
    return f"{versions()['torchtext']}, https verification untouched", ""


def _data() -> Look:
    from metalearn_lib import corpora

    if corpora.cache_folder().is_file():
        mend = f"name a folder: export METALEARN_DATA={corpora.cache_folder()}-data"
        return f"METALEARN_DATA is a file: {corpora.cache_folder()}", mend
    defaults = [name for name in corpora.names() if corpora.describe(name).default]
    missing = [name for name in defaults if not corpora.is_present(name)]
    problems = [problem for name in defaults if name not in missing for problem in corpora.verify(name)]
    if missing or problems:
        said = [f"not fetched: {', '.join(missing)}"] if missing else []
        return "; ".join([*said, *map(str, problems)]), "metalearn data fetch"
    return f"{len(defaults)} corpora present and verified in {corpora.cache_folder()}", ""


def _memory() -> Look:
    import psutil

    free, total = (value / 2**30 for value in (psutil.virtual_memory().available, psutil.virtual_memory().total))
    found = f"{free:.1f} GB free of {total:.1f} GB"
    return found, "" if free >= MEMORY_GB else "close other programs, then: metalearn run --jobs 1"


def _disk() -> Look:
    from metalearn_lib import corpora

    place = corpora.cache_folder()
    while not place.is_dir():
        place = place.parent
    free = shutil.disk_usage(place).free / 2**30
    mend = "" if free >= DISK_GB else "make room, or choose another place: export METALEARN_DATA=/path/with/room"
    return f"{free:.1f} GB free at {place}", mend


def _jupyter() -> Look:
    extension = Path("share/jupyter/labextensions/@jupyter-widgets/jupyterlab-manager/package.json")
    have = [f"{name} {versions()[name]}" for name in ("jupyterlab", "ipywidgets", "ipykernel") if name in versions()]
    if len(have) < 3:
        return f"only {', '.join(have) or 'nothing'}", REINSTALL
    if not any((Path(prefix) / extension).exists() for prefix in (sys.prefix, sys.base_prefix)):
        return "sliders have no JupyterLab extension", "pip install --force-reinstall jupyterlab-widgets"
    return ", ".join(have), ""


_LOOKS: tuple[tuple[str, Callable[[], Look], str], ...] = (
    ("Python", _python, REINSTALL),
    ("packages", _packages, REINSTALL),
    ("torch", _torch, REINSTALL),
    ("torchtext", _torchtext, REINSTALL),
    ("data", _data, "metalearn data fetch"),
    ("memory", _memory, "close other programs"),
    ("disk", _disk, "make room on the disk"),
    ("JupyterLab", _jupyter, REINSTALL),
)
