"""`metalearn grade`: what students handed in becomes points and feedback; one submission cannot stop the others."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from ..exercises.cells import is_answer, is_check
from .by_hand import ByHand
from .course import Assignment, hours_late
from .needed import cells_to_run, names_of, runs
from .release import Cell, Graded, graded, stub_of
from .submission import Restored, Unreadable, find_file, read_cells, restore, unchanged
from .workers import ChapterFails, Limits, Outcome, Sandbox

Tell = Callable[[str], None]
_NOT_DEFINED = re.compile(r"name '(\w+)' is not defined")


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

    The chapter's own answers are graded first. If they do not get every point by running only the tagged cells, all
    cells are run (as with ``full``); if not even then, nothing is graded. All cells are run, too, for a submission that
    uses a name of a cell without the tag.

    Raises:
        Unreadable: the source in the folder cannot be read.
        ChapterFails: a cell of the chapter itself fails here, or its own answers do not pass its checks.
        UsageError: points that a person entered cannot be read.
    """  # fmt: skip
    source = read_cells(assignment.file(folder, "source"))
    parts = graded(source)
    ByHand(assignment.by_hand(folder)).entered(parts)  # what is wrong there is said before the work, not after it
    grades, work = [], dict[str, Restored]()
    for place in assignment.submissions(folder):
        one = Grade(place.parent.name, {part.grade_id: 0.0 for part in parts}, hours_late=hours_late(assignment, place))
        grades.append(one)
        try:
            path, notes = find_file(place, assignment.notebook)
            work[one.student] = restore(source, read_cells(path))
        except (Unreadable, OSError) as error:
            one.notes, one.readable = [str(error)], False
            continue
        one.notes = notes + work[one.student].notes
    run = partial(_run, source, limits=limits or Limits(), jobs=jobs, tell=tell)
    outcomes = _outcomes(run, work, full, tell) if work else {}
    for one in grades:
        if one.student in outcomes:
            _enter(one, source, work[one.student], outcomes[one.student])
    return parts, grades


def _outcomes(
    run: Callable[..., dict[str, Outcome]], work: Mapping[str, Restored], full: bool, tell: Tell
) -> dict[str, Outcome]:
    """What came of the submissions with the needed cells; with all cells where those are not enough."""
    if full:
        return run(work, everything=True)
    try:
        outcomes = run(work, everything=False)
    except ChapterFails:
        tell("the chapter's own answers do not pass with the needed cells alone: running all cells")
        return run(work, everything=True)
    lacking = {}
    for student, outcome in outcomes.items():
        missing = _missing(outcome, work[student])
        if missing and any(outcome.checks.values()):
            lacking[student] = work[student]
        else:  # a line that tries something on the chapter's data, below an answer that passes
            outcome.notes = [note for note in outcome.notes if not missing & set(_NOT_DEFINED.findall(note))]
    if lacking:
        tell(f"what {', '.join(lacking)} wrote uses other cells, too: running all cells")
        try:
            again = run(lacking, everything=True)
        except ChapterFails as error:
            for student in lacking:
                outcomes[student].notes.append(f"it uses other cells of the chapter, which cannot be run here: {error}")
        else:
            for student, outcome in again.items():  # what all those cells take from its time costs no points
                outcome.checks |= {name: None for name, said in outcomes[student].checks.items() if not said}
            outcomes |= again
    return outcomes


def _missing(outcome: Outcome, restored: Restored) -> set[str]:
    """The names that were not defined because the cells which make them were not run."""
    said = " ".join([*outcome.notes, *filter(None, outcome.checks.values())])
    missing = set(_NOT_DEFINED.findall(said))
    if missing:
        left = [restored.cells[i] for i in set(range(len(restored.cells))) - set(cells_to_run(restored))]
        missing &= set[str]().union(*(names_of(cell["source"]).makes for cell in left if runs(cell)))
    return missing


def _run(
    source: Sequence[Cell], work: Mapping[str, Restored], *, everything: bool, limits: Limits, jobs: int, tell: Tell
) -> dict[str, Outcome]:
    """Run the chapter's own answers, then every submission.

    Raises:
        ChapterFails: a cell of the chapter fails, or its own answers do not pass; then nothing else was run.
    """  # fmt: skip
    own, points = unchanged(source), {part.grade_id: part.points for part in graded(source)}
    first = next(index for index, cell in enumerate(source) if is_answer(cell) or is_check(cell))
    plans = {student: cells_to_run(restored, everything=everything) for student, restored in work.items()}
    own_plan = cells_to_run(own, everything=everything)
    prefix = [index for index in own_plan if index < first]  # run once for all
    jobs = min(jobs, len(work))
    with ThreadPoolExecutor(jobs) as pool, contextlib.ExitStack() as stack:
        boxes = [stack.enter_context(Sandbox(source, prefix)) for _ in range(jobs)]
        tell(f"running {len(prefix)} cells of the chapter")
        list(pool.map(Sandbox.start, boxes))
        outcome = boxes[0].grade(own, own_plan[len(prefix) :], limits)
        if failing := [f"{name}: {said}" for name, said in outcome.checks.items() if said]:
            raise ChapterFails("the chapter's own answers do not pass its checks here: " + "; ".join(failing))
        free: SimpleQueue[Sandbox] = SimpleQueue()
        for box in boxes:
            free.put(box)

        def one(student: str) -> Outcome:
            restored, box = work[student], free.get()
            try:
                done = box.grade(restored, [i for i in plans[student] if restored.origin[i] not in prefix], limits)
            finally:
                free.put(box)
            tell(f"{student}: {sum(points[name] for name, said in done.checks.items() if not said):g} points")
            return done

        return dict(zip(work, pool.map(one, work), strict=True))


def _enter(given: Grade, source: Sequence[Cell], restored: Restored, outcome: Outcome) -> None:
    """Points of the checks; answers in words are left to a person, except those that are not there."""
    given.notes += outcome.notes
    for part in graded(source):
        name = part.grade_id
        if part.by_hand:
            text = str(restored.cells[restored.origin.index(part.index)]["source"])
            if text.strip() in ("", stub_of(source[part.index]).strip()):
                given.said[name] = "not answered"
            else:
                given.points[name], given.answers[name] = None, text
        elif said := outcome.checks.get(name):
            given.said[name] = said
        else:
            given.points[name] = part.points
