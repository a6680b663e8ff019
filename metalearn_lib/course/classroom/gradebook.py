"""nbgrader's own files for a class: its configuration, and its gradebook where nbgrader is installed."""

from __future__ import annotations

import importlib.util
import logging
import sys
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

from .course import Assignment

CONFIG = '''"""nbgrader's configuration of this course; written once by `metalearn assign`, then yours to change."""

c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "{course}"
c.Execute.timeout = 600  # seconds a cell may take: nbgrader runs whole chapters, `metalearn grade` what is needed
c.Execute.interrupt_on_timeout = True
c.OverwriteCells.add_missing_cells = True
'''


def fill_gradebook(folder: Path, assignments: Mapping[Assignment, dict[str, Any]]) -> list[str]:
    """Write assignments, their cells and due dates into gradebook.db; a note where nbgrader is not installed."""
    if importlib.util.find_spec("nbgrader") is None:
        return [
            "nbgrader is not installed, so gradebook.db was not written; `metalearn grade` does not need it, "
            "nbgrader's own commands do: install nbgrader and run this again"
        ]
    notes = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nbgrader's dependencies
        # jsonschema would compile a grammar of internet addresses for seconds; none is checked here
        sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
        import nbformat
        from nbgrader.api import Gradebook  # type: ignore[import-untyped, unused-ignore]
        from nbgrader.preprocessors import SaveCells  # type: ignore[import-untyped, unused-ignore]

        url = f"sqlite:///{(folder / 'gradebook.db').resolve()}"
        for entry, notebook in assignments.items():
            with mock.patch("nbgrader.api.get_alembic_version", _schema), Gradebook(url) as gradebook:
                due = datetime.fromisoformat(entry.due).astimezone(UTC).replace(tzinfo=None) if entry.due else None
                gradebook.update_or_create_assignment(entry.name, duedate=due)
            save = SaveCells()
            save.log.setLevel(logging.ERROR)
            about = {"nbgrader": {"notebook": entry.notebook, "assignment": entry.name, "db_url": url}}
            try:
                save.preprocess(nbformat.from_dict(notebook), about)
            except RuntimeError as error:  # nbgrader has graded work on other cells
                notes.append(f"gradebook.db keeps the old {entry.name} ({error}); delete it to begin a new one")
    return notes


def _schema() -> str:
    """The version of nbgrader's database. It would start a program to ask for it, and wait for seconds."""
    import nbgrader  # type: ignore[import-untyped, unused-ignore]
    from alembic.script import ScriptDirectory  # type: ignore[import-untyped, import-not-found, unused-ignore]

    return str(ScriptDirectory(str(Path(nbgrader.__file__).parent / "alembic")).get_current_head())
