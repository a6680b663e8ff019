"""Where results go: never over the chapters, a learner's own copies, or anything else that a person has there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from metalearn_lib.course.records import find_workspace
from metalearn_lib.files import notebooks_folder, root

from .chapters import UsageError

FOLDERS = ("METALEARN_DATA", "METALEARN_MIRROR", "METALEARN_NOTEBOOKS", "METALEARN_WORK")


def absolute_folders() -> None:
    """Make the folders that the environment names absolute: kernels and JupyterLab run in folders of their own."""
    for name in FOLDERS:
        if os.environ.get(name):
            os.environ[name] = str(Path(os.environ[name]).expanduser().absolute())


def output_folder(out: str | None, default: str) -> Path:
    """The folder of `--out`, or `default` of the checkout.

    Raises:
        UsageError: no name, a file, the chapters' folder, or a learner's own copies; nothing is written there.
    """
    if out is None:
        return root() / default
    if not out.strip():
        raise UsageError("--out '': name a folder; leave the option out for " + default)
    folder = Path(out).expanduser().resolve()
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {out}: that is a file; name a folder, new or written by an earlier call")
    if folder == notebooks_folder().resolve() or notebooks_folder().resolve() in folder.parents:
        raise UsageError(f"--out {out}: the chapters themselves lie there; choose another folder")
    if find_workspace(folder) is not None:
        raise UsageError(f"--out {out}: somebody's own copies of the chapters lie there; choose another folder")
    return folder


def refuse_foreign(folder: Path, written: Mapping[str, bool]) -> None:
    """Refuse to write where somebody else's files lie: for each name, whether an earlier call wrote it.

    Raises:
        UsageError: a file of one of the names is there, and no earlier call wrote it.
    """
    for name, ours in written.items():
        if not ours and (folder / name).exists():
            raise UsageError(
                f"--out {folder}: {name} lies there, and no earlier call of this command wrote it; "
                "move it away, or choose another folder"
            )
