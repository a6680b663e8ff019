"""What is taken out of an executed notebook before it is kept: whatever differs by machine or by day."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from metalearn_lib.files import root

from .notebook import WIDGET

_NOTEBOOK_KEYS = ("widgets", "papermill")
_CELL_KEYS = ("papermill", "execution", "ExecuteTime", "collapsed", "scrolled")
_ERROR_MARKER = "papermill-error-cell-tag"


def clean(notebook: Any, *, keep_injected: bool = True) -> Any:
    """Strip timings, widget state, papermill's marks and machine paths from a notebook, in place."""
    for key in _NOTEBOOK_KEYS:
        notebook.metadata.pop(key, None)
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"
    }  # fmt: skip
    notebook.metadata["language_info"] = {"name": "python"}
    dropped = {_ERROR_MARKER} if keep_injected else {_ERROR_MARKER, "injected-parameters"}
    notebook.cells = [c for c in notebook.cells if not dropped & set(c.metadata.get("tags", []))]
    for cell in notebook.cells:
        for key in _CELL_KEYS:
            cell.metadata.pop(key, None)
        if "tags" in cell.metadata and not cell.metadata["tags"]:
            del cell.metadata["tags"]  # papermill adds an empty list to every cell
        if cell.cell_type == "code":
            # a widget without its state shows the reader an error message; its default state is a figure
            cell.outputs = [_clean_output(o) for o in cell.outputs if WIDGET not in o.get("data", {})]
    return notebook


def _clean_output(output: Any) -> Any:
    if output.output_type == "stream":
        output.text = clean_text(_last_state(output.text))
    elif output.output_type == "error":
        output.evalue = clean_text(output.evalue)
        output.traceback = [clean_text(line) for line in output.traceback]
    for kind, value in output.get("data", {}).items():
        if kind.startswith("text/") and isinstance(value, str):
            output.data[kind] = clean_text(value)
    return output


def _last_state(text: str) -> str:
    """A progress bar rewrites its line; what stays to be read is the last state."""
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def clean_text(text: str) -> str:
    """A text without the folders of this machine and the addresses of objects."""
    for folder, name in ((f"{root()}{os.sep}", ""), (str(root()), "."), (str(Path.home()), "~")):
        if len(folder) > 1:  # a home folder "/" names no one
            text = text.replace(folder, name)
    return re.sub(r"<(\w[\w.]*) (.*?) at 0x[0-9a-f]{6,}>", r"<\1 \2>", text)
