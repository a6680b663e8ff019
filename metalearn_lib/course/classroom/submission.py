"""What a student handed in, laid over the chapter's source: answers from the student, everything else from the source.

Cells are known by nbgrader's ``grade_id``, or by their id where the metadata is gone. Whatever does not fit gets a
clear word, and the rest is graded.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..exercises.cells import grading, is_answer, is_check
from .release import Cell, stub_of

MAX_BYTES = 20_000_000


class Unreadable(ValueError):
    """The file handed in cannot be graded at all; the message says why."""


@dataclass
class Restored:
    """The cells to grade, and what there is to say about them.

    ``origin`` has, for each cell, its index in the source, or None for a cell that the student added.
    """

    cells: list[Cell]
    origin: list[int | None]
    notes: list[str] = field(default_factory=list)

    def by_student(self, index: int) -> bool:
        """Whether the student wrote this cell."""
        return self.origin[index] is None or is_answer(self.cells[index])

    def name(self, index: int) -> str:
        """What to call a cell in a note."""
        return str(grading(self.cells[index]).get("grade_id") or "a cell of your own")


def find_file(folder: Path, name: str) -> tuple[Path, list[str]]:
    """The notebook of a submission folder, and a note where it does not have the chapter's name.

    Raises:
        Unreadable: none, several of other names, or a link that leads out of the folder.
    """
    found = sorted(path for path in folder.glob("*.ipynb") if not path.name.startswith("."))
    named = [path for path in found if path.stem == name]
    if not found:
        raise Unreadable(f"no notebook in the folder; {name}.ipynb should be there")
    if not named and len(found) > 1:
        others = ", ".join(path.name for path in found)
        raise Unreadable(f"{name}.ipynb is not there, and of {others} it is not clear which one to grade")
    path = (named or found)[0]
    if path.is_symlink() or not path.is_file():
        raise Unreadable(f"{path.name} is not a plain file; hand in the notebook itself")
    return path, [] if named else [f"the file is called {path.name}, not {name}.ipynb"]


def read_cells(path: Path) -> list[Cell]:
    """The cells of a notebook file, sources joined.

    Raises:
        Unreadable: too large, or not a notebook.
    """
    if path.stat().st_size > MAX_BYTES:
        raise Unreadable(f"{path.name} is larger than {MAX_BYTES // 10**6} MB; clear its outputs and hand it in again")
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return [_cell(cell) for cell in cells]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable(
            f"{path.name} is not a readable notebook; save it in JupyterLab and hand it in again"
        ) from error


def _cell(raw: dict[str, Any]) -> Cell:
    metadata = raw.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    about, tags = metadata.get("nbgrader"), metadata.get("tags")
    kept: dict[str, Any] = {"tags": [tag for tag in tags if isinstance(tag, str)]} if isinstance(tags, list) else {}
    if isinstance(about, dict) and isinstance(about.get("grade_id"), str):
        kept["nbgrader"] = about
    return {
        "id": str(raw.get("id", "")),
        "cell_type": str(raw["cell_type"]),
        "source": "".join(raw["source"]),
        "metadata": kept,
    }


def restore(source: Sequence[Cell], handed_in: Sequence[Cell]) -> Restored:
    """The source with the student's answers in it, and the cells that the student added.

    Raises:
        Unreadable: nothing in it belongs to this chapter.
    """
    known, theirs = _grade_ids(source), _grade_ids(handed_in)
    places = _places(source, handed_in)
    if not any(places):
        hint = f"; its exercises are {', '.join(sorted(theirs)[:3])}" if theirs else ""
        raise Unreadable(f"this is not the notebook of this chapter{hint}")
    added = _added(source, handed_in, places)
    notes = [f"a cell with the unknown grade_id {name!r} was not graded" for name in theirs if name not in known]
    laid: list[tuple[Cell, int | None]] = [(own, None) for own in added[-1]]
    for index, cell in enumerate(source):
        found = [handed_in[at] for at in places[index]]
        if is_check(cell):
            _compare(cell, found, notes)
        laid.append((_answer(cell, found, notes) if is_answer(cell) else cell, index))
        laid += [(own, None) for own in added[index]]
    return Restored([cell for cell, _ in laid], [origin for _, origin in laid], notes)


def unchanged(source: Sequence[Cell]) -> Restored:
    """The chapter as it is, with its own answers."""
    return Restored(list(source), list(range(len(source))))


def _grade_ids(cells: Sequence[Cell]) -> list[str]:
    return list(dict.fromkeys(grading(cell)["grade_id"] for cell in cells if grading(cell)))


def _places(source: Sequence[Cell], handed_in: Sequence[Cell]) -> list[list[int]]:
    """For each cell of the source, where it stands in the submission: by grade_id, else by id."""
    known = set(_grade_ids(source))
    by_name, by_id = defaultdict[str, list[int]](list), defaultdict[str, list[int]](list)
    for at, cell in enumerate(handed_in):
        name = grading(cell).get("grade_id")
        if name in known:
            by_name[str(name)].append(at)
        elif cell["id"]:
            by_id[cell["id"]].append(at)
    return [by_name[str(grading(cell).get("grade_id"))] or by_id[cell["id"]] for cell in source]


def _added(source: Sequence[Cell], handed_in: Sequence[Cell], places: list[list[int]]) -> defaultdict[int, list[Cell]]:
    """The student's own code cells, by the cell of the source that they follow (-1: none)."""
    owner = {at: index for index, where in enumerate(places) for at in where}
    texts = {cell["source"].strip() for cell in source}
    added = defaultdict[int, list[Cell]](list)
    after = -1
    for at, cell in enumerate(handed_in):
        if at in owner:
            after = owner[at]
        elif cell["cell_type"] == "code" and cell["source"].strip() not in texts and not grading(cell):
            added[after].append(cell)
    return added


def _answer(cell: Cell, found: Sequence[Cell], notes: list[str]) -> Cell:
    name, stub = grading(cell)["grade_id"], stub_of(cell)
    if not found:
        notes.append(f"the answer cell {name} is missing; it counts as not answered")
        return cell | {"source": stub}
    if len(found) > 1:
        found = [one for one in found if one["source"].strip() != stub.strip()] or list(found)
        notes.append(f"the answer cell {name} is there more than once; the last one that was filled in is graded")
    theirs = found[-1]
    if theirs["cell_type"] != cell["cell_type"]:
        notes.append(
            f"the answer cell {name} had become a {theirs['cell_type']} cell; it is read as {cell['cell_type']}"
        )
    elif not _same_marks(cell, theirs):
        notes.append(f"the metadata of the answer cell {name} had been changed; the original counts")
    return cell | {"source": theirs["source"]}


def _compare(cell: Cell, found: Sequence[Cell], notes: list[str]) -> None:
    name = grading(cell)["grade_id"]
    if not found:
        notes.append(f"the check {name} was missing; it was put back")
    elif len(found) > 1:
        notes.append(f"the check {name} is there more than once; the original was run, once")
    elif found[0]["source"].strip() != stub_of(cell).strip() and found[0]["source"] != cell["source"]:
        notes.append(f"the check {name} had been changed; the original was run")
    elif not _same_marks(cell, found[0]):
        notes.append(f"the metadata of the check {name} had been changed; the original counts")


def _same_marks(ours: Cell, theirs: Cell) -> bool:
    keys = ("grade_id", "grade", "solution", "points")
    return all(grading(ours).get(key) == grading(theirs).get(key) for key in keys)
