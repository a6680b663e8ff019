"""`metalearn assign`: chapters as assignments of an nbgrader course, with rubric and due dates."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from metalearn_lib.course.running.chapters import Chapter, UsageError
from metalearn_lib.files import write_text

from ..exercises.cells import SOLUTION, grading, is_answer, regions
from .course import Assignment, parse_due, read_course, write_course
from .gradebook import CONFIG, fill_gradebook, hand_out
from .release import Cell, check_source, graded, stub_of

_IMAGE = re.compile(r"!\[[^\]]*\]\(([^)\s:]+)\)")


def assign(chapters: Sequence[Chapter], folder: Path, *, due: Sequence[str] = (), force: bool = False) -> list[str]:
    """Write chapters as assignments ``ch04`` into the folder of a class; what there is to say about it.

    Raises:
        UsageError: a chapter without exercises or with unusable ones, an impossible due date, or a chapter whose
            source would change although work on it has been handed in (``force`` allows it).
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; --to takes a folder")
    course = read_course(folder) if (folder / "course.json").exists() else {}
    for chapter in chapters:
        if not chapter.number:
            raise UsageError(f"{chapter.name} is not a chapter; only chapters can be assigned")
        check_source(chapter.name, chapter.cells)
    named = {f"ch{chapter.number}": chapter for chapter in chapters}
    dates = {name: entry.due for name, entry in course.items()} | parse_due(due, named)
    entries = {name: Assignment(name, chapter.name, dates.get(name)) for name, chapter in named.items()}
    notebooks = {name: _read(chapter) for name, chapter in named.items()}
    if not force:
        for name, entry in entries.items():
            _refuse_change(entry, folder, notebooks[name])
    kept = {}
    for name, entry in entries.items():
        kept[entry], release = hand_out(notebooks[name])
        write_text(_text(notebooks[name]), entry.file(folder, "source"))
        write_text(_text(release), entry.file(folder, "release"))
        write_text(rubric(entry, named[name].cells), folder / "rubric" / f"{name}.md")
        _copy_images(named[name], entry, folder)
    write_course(folder, course | entries)
    if not (folder / "nbgrader_config.py").exists():
        write_text(CONFIG.format(course=re.sub(r"\W+", "-", folder.resolve().name)), folder / "nbgrader_config.py")
    (folder / "submitted").mkdir(exist_ok=True)
    notes = fill_gradebook(folder, kept)
    return [_summary(entry, named[name].cells) for name, entry in entries.items()] + notes


def _read(chapter: Chapter) -> dict[str, Any]:
    return json.loads(chapter.path.read_text(encoding="utf-8")) | {"cells": chapter.cells}


def _text(notebook: dict[str, Any]) -> str:
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _refuse_change(entry: Assignment, folder: Path, notebook: dict[str, Any]) -> None:
    path, handed_in = entry.file(folder, "source"), entry.submissions(folder)
    if path.exists() and handed_in and path.read_text(encoding="utf-8") != _text(notebook):
        raise UsageError(
            f"{entry.name} has changed since it was handed out, and {len(handed_in)} students have handed in work on "
            "the old one; grade that first, use another folder, or say --force"
        )


def _copy_images(chapter: Chapter, entry: Assignment, folder: Path) -> None:
    """What the chapter's text shows, from the chapter's own folder only."""
    home = chapter.path.parent
    for target in _IMAGE.findall(
        "\n".join(cell["source"] for cell in chapter.cells if cell["cell_type"] == "markdown")
    ):
        if (home / target).is_file() and (home / target).resolve().is_relative_to(home.resolve()):
            for part in ("source", "release"):
                copy = entry.file(folder, part).parent / target
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(home / target, copy)


def _summary(entry: Assignment, cells: Sequence[Cell]) -> str:
    found = graded(cells)
    by_hand = sum(one.by_hand for one in found)
    due = f", due {entry.due}" if entry.due else ""
    hand = f" ({by_hand} graded by hand)" if by_hand else ""
    return (
        f"{entry.name}: {entry.notebook}, {sum(one.points for one in found):g} points in {len(found)} parts{hand}{due}"
    )


def rubric(entry: Assignment, cells: Sequence[Cell]) -> str:
    """What earns points in a chapter, with the model answers: for who grades, not for students."""
    lines = [f"# {entry.notebook}: rubric and model answers", "", "Not for students.", ""]
    lines += [f"Due {entry.due}.", ""] if entry.due else []
    found = graded(cells)
    lines += [f"{sum(one.points for one in found):g} points.", "", "| exercise | part | points | graded |"]
    lines += ["|---|---|---|---|"]
    for one in found:
        how = "by hand" if one.by_hand else "by its check, all or nothing"
        lines.append(f"| {one.title.partition(' · ●')[0]} | `{one.grade_id}` | {one.points:g} | {how} |")
    for one in found:
        lines += ["", f"## {one.title}", ""]
        lines += _by_hand(cells[one.index]) if one.by_hand else _by_check(cells, one.index)
    return "\n".join(lines) + "\n"


def _by_check(cells: Sequence[Cell], index: int) -> list[str]:
    lines: list[str] = []
    answer = next((cell for cell in reversed(cells[:index]) if is_answer(cell)), None)
    if answer is not None:
        lines += [f"Model answer (`{grading(answer)['grade_id']}`):", "", "```python", answer["source"], "```", ""]
    return [*lines, "Passed when this runs without an error:", "", "```python", cells[index]["source"], "```"]


def _by_hand(cell: Cell) -> list[str]:
    model = regions(cell["source"], SOLUTION)
    task = stub_of(cell).replace("YOUR ANSWER HERE", "").strip()
    return [
        "Read the answer, and write its points into `by_hand/`. Full points: it says, in words of its own, what"
        " the model answer says; half: one of its reasons is missing or wrong.",
        "",
        *([task, ""] if task else []),
        "Model answer:",
        "",
        (model[0].text if model else cell["source"]).strip(),
    ]
