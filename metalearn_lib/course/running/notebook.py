"""Reading and writing notebook files; two facts about them that several tools need."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from metalearn_lib.files import write_text

NOT_RUN = frozenset({"nbval-skip", "skip-execution"})  # nbval knows the one tag, nbconvert and others the other
WIDGET = "application/vnd.jupyter.widget-view+json"


def quick_jsonschema() -> None:
    """Before importing nbformat or Jupyter: spare jsonschema seconds of compiling a grammar of internet addresses.

    No notebook's schema asks for one, and jsonschema does without where the package cannot be imported.
    """
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]


def read_notebook(path: Path | str) -> Any:
    """A notebook as nbformat's object."""
    quick_jsonschema()
    import nbformat  # here: it takes seconds to import, and the command line reads notebooks as plain JSON

    return nbformat.read(path, as_version=4)


def write_notebook(notebook: Any, path: Path) -> None:
    """Write a notebook as a whole or not at all."""
    import nbformat

    write_text(str(nbformat.writes(notebook)) + "\n", path)
