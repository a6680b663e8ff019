"""What nbgrader does for a class: notebooks without answers, its configuration and its gradebook.

Importing nbgrader takes seconds, so it is imported where it works.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from metalearn_lib.course.running.notebook import quick_jsonschema

from .course import Assignment

CONFIG = '''"""nbgrader's configuration of this course; written once by `metalearn assign`, then yours to change."""

c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "{course}"
c.Execute.timeout = 600  # seconds a cell may take: nbgrader runs whole chapters, `metalearn grade` what is needed
c.Execute.interrupt_on_timeout = True
c.OverwriteCells.add_missing_cells = True
'''


_HIDE_ANSWERS = ("LockCells", "ClearSolutions", "ClearOutput", "ComputeChecksums")
_HIDE_TESTS = ("ClearHiddenTests", "ComputeChecksums")


def hand_out(notebook: Mapping[str, Any]) -> tuple[Any, Any]:
    """The notebook as nbgrader's gradebook keeps it (no answers, no outputs), and as students get it (no hidden tests).

    ``notebook`` is the stored JSON with joined sources; it is not changed. The second is what
    ``nbgrader generate_assignment`` makes of the same file.
    """
    quick_jsonschema()
    with warnings.catch_warnings(action="ignore"):  # of nbgrader's dependencies
        import nbformat
        from nbgrader import preprocessors  # type: ignore[import-untyped, unused-ignore]

        def after(made: Any, steps: tuple[str, ...]) -> Any:
            made = copy.deepcopy(made)
            for step in steps:
                made, _ = getattr(preprocessors, step)().preprocess(made, {"nbgrader": {}})
            return made

        kept = after(nbformat.from_dict(notebook), _HIDE_ANSWERS)
        return kept, after(kept, _HIDE_TESTS)


def fill_gradebook(folder: Path, assignments: Mapping[Assignment, Any]) -> list[str]:
    """Write assignments, their cells and due dates into gradebook.db; notes where it keeps an old one."""
    notes = []
    url = f"sqlite:///{(folder / 'gradebook.db').resolve()}"
    with warnings.catch_warnings(action="ignore"):  # of nbgrader's dependencies
        from nbgrader.api import Gradebook  # type: ignore[import-untyped, unused-ignore]
        from nbgrader.preprocessors import SaveCells  # type: ignore[import-untyped, unused-ignore]

        if not (folder / "gradebook.db").exists():
            _make_database(url)
        for entry, notebook in assignments.items():
            with Gradebook(url) as gradebook:
                due = datetime.fromisoformat(entry.due).astimezone(UTC).replace(tzinfo=None) if entry.due else None
                gradebook.update_or_create_assignment(entry.name, duedate=due)
            about = {"nbgrader": {"notebook": entry.notebook, "assignment": entry.name, "db_url": url}}
            try:
                SaveCells().preprocess(notebook, about)
            except RuntimeError as error:  # nbgrader has graded work on other cells
                notes.append(f"gradebook.db keeps the old {entry.name} ({error}); delete it to begin a new one")
    return notes


def _make_database(url: str) -> None:
    """The empty tables; left to itself, nbgrader would start alembic's program, which need not be on the path."""
    import nbgrader
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from nbgrader.api import Base
    from sqlalchemy import create_engine

    engine = create_engine(url)
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
        versions = ScriptDirectory(str(Path(nbgrader.__file__).with_name("alembic")))
        MigrationContext.configure(connection).stamp(versions, "head")
    engine.dispose()
