"""`metalearn grade`: what students handed in becomes points and feedback; one submission cannot stop the others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from ..exercises.cells import is_answer, is_check
from .course import Assignment, hours_late
from .needed import needed_cells, runs
from .release import Graded, graded, stub_of
from .submission import Restored, Unreadable, find_file, read_cells, restore, unchanged
from .workers import ChapterFails, Limits, Outcome, Sandbox

Tell = Callable[[str], None]


@dataclass
class Grade:
    """What one student gets for one assignment; None stands for points that a person gives."""

    student: str
    points: dict[str, float | None]
    said: dict[str, str] = field(default_factory=dict)  # why a check failed
    answers: dict[str, str] = field(default_factory=dict)  # in words, to be read by a person
    notes: list[str] = field(default_factory=list)
    hours_late: float | None = None
    readable: bool = True


def grade(
    assignment: Assignment,
    folder: Path,
    *,
    limits: Limits | None = None,
    jobs: int = 2,
    full: bool = False,
    tell: Tell = lambda text: None,
) -> tuple[list[Graded], list[Grade]]:
    """Grade all submissions of an assignment: what earns points, and what each student got, in order of names.

    The chapter's own answers are graded first. If they do not get every point by running only the cells they need,
    all cells are run (as with ``full``); if not even then, nothing is graded.

    Raises:
        Unreadable: the source in the folder cannot be read.
        ChapterFails: a cell of the chapter itself fails here, or its own answers do not pass its checks.
    """  # fmt: skip
    limits = limits or Limits()
    source = read_cells(assignment.source(folder))
    parts = graded(source)
    grades, work = [], list[tuple[Grade, Restored]]()
    for place in assignment.submissions(folder):
        one = Grade(place.parent.name, {part.grade_id: 0.0 for part in parts}, hours_late=hours_late(assignment, place))
        grades.append(one)
        try:
            path, notes = find_file(place, assignment.notebook)
            restored = restore(source, read_cells(path))
        except (Unreadable, OSError) as error:
            one.notes, one.readable = [str(error)], False
            continue
        one.notes = notes + restored.notes
        work.append((one, restored))
    if not work:
        return parts, grades
    for everything in (True,) if full else (False, True):
        failing = _grade_all(source, work, limits, max(1, min(jobs, len(work))), everything, tell)
        if not failing:
            break
        tell("the chapter's own answers do not pass with the needed cells alone: running all cells")
    else:
        raise ChapterFails("the chapter's own answers do not pass its checks here: " + "; ".join(failing))
    for one, restored in work:
        _by_hand(one, source, restored)
    return parts, grades


def _grade_all(
    source: Sequence[dict[str, object]],
    work: Sequence[tuple[Grade, Restored]],
    limits: Limits,
    jobs: int,
    everything: bool,
    tell: Tell,
) -> list[str]:
    """Grade the source, then every submission; what of the source fails (then nothing else was graded)."""  # fmt: skip
    own = unchanged(source)
    first = next(index for index, cell in enumerate(source) if is_answer(cell) or is_check(cell))
    plans = [_plan(restored, first, everything) for restored in (own, *(restored for _, restored in work))]
    prefix = sorted(set().union(*(before for before, _ in plans)))
    with ThreadPoolExecutor(jobs) as pool, contextlib.ExitStack() as stack:
        boxes = [stack.enter_context(Sandbox(source, prefix)) for _ in range(jobs)]
        tell(f"running {len(prefix)} cells of the chapter")
        try:
            list(pool.map(Sandbox.start, boxes))
        except ChapterFails as error:
            if everything:
                raise
            return [str(error)]
        outcome = boxes[0].grade(own, plans[0][1], limits)
        failing = [f"{name}: {said}" for name, said in outcome.checks.items() if said]
        if failing:
            return failing
        free: SimpleQueue[Sandbox] = SimpleQueue()
        for box in boxes:
            free.put(box)

        def one(job: tuple[tuple[Grade, Restored], tuple[set[int], list[int]]]) -> None:
            (given, restored), (_, plan) = job
            box = free.get()
            try:
                _enter(given, source, box.grade(restored, plan, limits))
            finally:
                free.put(box)
            tell(f"{given.student}: {sum(points or 0 for points in given.points.values()):g} points")

        list(pool.map(one, zip(work, plans[1:], strict=True)))
    return []


def _plan(restored: Restored, first: int, everything: bool) -> tuple[set[int], list[int]]:
    """The cells of the source to run once for all, and those to run for this submission."""
    cells = restored.cells
    last = max(index for index, cell in enumerate(cells) if is_answer(cell) or is_check(cell))
    chosen = [i for i in range(last + 1) if runs(cells[i])] if everything else needed_cells(cells)
    shared: set[int] = set()
    own: list[int] = []
    for index in chosen:
        origin = restored.origin[index]
        if origin is not None and origin < first:
            shared.add(origin)
        else:
            own.append(index)
    return shared, own


def _enter(given: Grade, source: Sequence[dict[str, object]], outcome: Outcome) -> None:
    for part in graded(source):
        said = outcome.checks.get(part.grade_id)
        if not part.by_hand:
            given.points[part.grade_id] = 0.0 if said else part.points
            if said:
                given.said[part.grade_id] = said
    given.notes += outcome.notes


def _by_hand(given: Grade, source: Sequence[dict[str, object]], restored: Restored) -> None:
    """Leave answers in words to a person, except those that are not there."""
    parts = graded(source)
    for part in parts:
        if not part.by_hand:
            continue
        text = next(
            str(cell["source"])
            for cell, origin in zip(restored.cells, restored.origin, strict=True)
            if origin == part.index
        )
        if text.strip() == stub_of(source[part.index]).strip() or not text.strip():
            given.said[part.grade_id] = "not answered"
        else:
            given.points[part.grade_id] = None
            given.answers[part.grade_id] = text
