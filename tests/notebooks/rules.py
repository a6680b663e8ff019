"""What must hold in every stored notebook: each rule looks for one fault. `tests/notebooks` applies them.

Outputs are stored, so that a reader without Python sees results, and nbval can compare them. That only works
if they were made by one run from top to bottom, hold nothing of the author's machine, and say what a figure
shows.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from metalearn_lib.course.claims import MISSED
from metalearn_lib.course.running.notebook import NOT_RUN
from tests.notebooks import pattern
from tests.notebooks.stored_notebook import StoredNotebook

SKELETON = (
    "objectives", "setup", "idea", "mathematics", "scratch", "agreement", "experiment", "explore", "mistake",
    "exercises", "quiz", "summary",
)  # fmt: skip
MAX_BYTES, MAX_IGNORED = 1_000_000, 0.4
MAX_WORDS, MAX_LINES, MAX_FOLDED, TURNS = 2300, 450, 1 / 3, 2  # of a sitting, that is before the exercises
_IGNORED = {"nbval-ignore-output", "nbval-skip"}
_HOME = re.compile(r"(?:/home|/Users|/root|[A-Za-z]:\\+Users)[/\\][\w.-]+")
_PATH = re.compile(r"(?<![\w.:/~<>)\]-])/(?:[\w.@+-]+/)+[\w.@+-]+")
_TIMING = re.compile(
    r"\bin \d+ ?(?:s|ms|seconds)\b|\b\d+\.\d+ ?(?:s|ms|µs|sec|seconds|minutes)\b|\bit/s|\d:\d\d<|Wall time"
)
_MISSED = re.compile(rf"(?m)^{MISSED} .*$")
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)[^)]*\)")


@dataclass(frozen=True)
class Fault:
    """What is wrong, and in which cell (counted from 1; 0: the notebook as a whole)."""

    rule: str
    cell: int
    message: str

    def __str__(self) -> str:
        return f"{f'cell {self.cell}: ' if self.cell else ''}{self.message} [{self.rule}]"


def faults(path: Path) -> list[Fault]:
    """Every fault of a stored notebook; the skeleton is asked of chapters (``04_…``) only."""
    notebook = StoredNotebook(path)
    rules = RULES + CHAPTER_RULES if notebook.is_chapter else RULES
    name = {rule: rule.__name__.replace("_", "-") for rule in rules}
    return [Fault(name[rule], cell, message) for rule in rules for cell, message in rule(notebook)]


Found = Iterator[tuple[int, str]]


def stripped_outputs(notebook: StoredNotebook) -> Found:
    """nbval passes silently over a notebook without outputs, so somebody must look."""
    run = [cell for cell in notebook.cells if cell.runs]
    if run and not any(cell.outputs for cell in run):
        yield 0, "no outputs are stored; refresh them with: metalearn run CHAPTER --in-place"
        return
    for cell in run:
        if cell.count is None:
            yield cell.number, "was not executed before the notebook was stored"
        elif not cell.outputs and _prints(cell.source):
            yield cell.number, "prints or claims something, but its output is not stored"


def _prints(source: str) -> bool:
    plain = "\n".join(line for line in source.splitlines() if not line.startswith(("%", "!")))
    try:
        statements = ast.parse(plain).body
    except SyntaxError:
        return False
    calls = [s.value.func for s in statements if isinstance(s, ast.Expr) and isinstance(s.value, ast.Call)]
    return any(isinstance(call, ast.Name) and call.id in ("print", "claim", "must_hold", "display") for call in calls)


def execution_order(notebook: StoredNotebook) -> Found:
    counts = [(cell.number, cell.count) for cell in notebook.cells if cell.runs and cell.count is not None]
    for expected, (number, count) in enumerate(counts, 1):
        if count != expected:
            yield (number, f"was executed as number {count}, not {expected}: run the notebook from top to bottom")
            return


def stored_errors(notebook: StoredNotebook) -> Found:
    for cell in notebook.cells:
        if any(output["output_type"] == "error" for output in cell.outputs):
            yield cell.number, "an error is stored; catch what is meant to be shown"
        if "raises-exception" in cell.tags:
            yield cell.number, "the tag raises-exception stops papermill; catch the error in the cell"


def missed_claims(notebook: StoredNotebook) -> Found:
    for cell in notebook.cells:
        for found in filter(None, (_MISSED.search(text) for text in cell.texts())):
            yield cell.number, f"a claim that did not hold is stored ({found[0]}); weaken the sentence"


def stored_stderr(notebook: StoredNotebook) -> Found:
    for cell in notebook.cells:
        if any(output.get("name") == "stderr" for output in cell.outputs):
            yield cell.number, "text on stderr is stored (a warning, or a progress bar on the wrong stream)"


def machine_paths(notebook: StoredNotebook) -> Found:
    for cell in notebook.cells:
        for found in filter(None, [_HOME.search(cell.source), *(_PATH.search(text) for text in cell.texts())]):
            yield cell.number, f"holds a path of somebody's machine: {found[0]}"
            break


def timings(notebook: StoredNotebook) -> Found:
    for cell in notebook.cells:
        for found in () if cell.tags & _IGNORED else filter(None, map(_TIMING.search, cell.texts())):
            yield (cell.number, f"a timing ({found[0]}) in an output that is compared; tag it nbval-ignore-output")


def vector_figures(notebook: StoredNotebook) -> Found:
    for cell in notebook.cells:
        for output in cell.outputs:
            for kind in {"image/svg+xml", "application/pdf"} & set(output.get("data", {})):
                yield cell.number, f"an {kind} output differs at every run; show figures as PNG"


def alt_text(notebook: StoredNotebook) -> Found:
    for cell in notebook.cells:
        figures = any("image/png" in output.get("data", {}) for output in cell.outputs)
        if figures and not str(cell.metadata.get("alt", "")).strip():
            yield (cell.number, 'a figure without alt text; put "alt": "what it shows" into the metadata of the cell')
        for bang, text, _ in _LINK.findall(cell.source) if cell.kind == "markdown" else ():
            if bang and not text.strip():
                yield cell.number, "an image without alt text; write ![what it shows](file)"


def dead_links(notebook: StoredNotebook) -> Found:
    for cell in notebook.cells:
        for _, _, target in _LINK.findall(cell.source) if cell.kind == "markdown" else ():
            file = target.partition("#")[0]
            if file and not re.match(r"\w+:|/|<", target) and not (notebook.path.parent / file).exists():
                yield cell.number, f"links to {file}, which is not there"


def ignored_share(notebook: StoredNotebook) -> Found:
    code = [cell for cell in notebook.cells if cell.kind == "code" and cell.source.strip()]
    ignored = sum(bool(cell.tags & _IGNORED) for cell in code)
    if ignored > MAX_IGNORED * len(code):
        yield (0, f"{ignored} of {len(code)} code cells are not compared; at most {MAX_IGNORED:.0%} may be ignored")


def skip_tags(notebook: StoredNotebook) -> Found:
    for cell in notebook.cells:
        if len(cell.tags & NOT_RUN) == 1:
            yield (cell.number, "has only one of the tags nbval-skip and skip-execution; some tool would still run it")


def size(notebook: StoredNotebook) -> Found:
    found = notebook.path.stat().st_size
    if found > MAX_BYTES:
        yield 0, f"the file has {found:,} bytes; at most {MAX_BYTES:,} (smaller figures, shorter tables)"


def leftovers(notebook: StoredNotebook) -> Found:
    for key in {"widgets", "papermill"} & set(notebook.raw["metadata"]):
        yield 0, f"metadata.{key} is stored; refresh with: metalearn run CHAPTER --in-place"
    for cell in notebook.cells:
        if "papermill" in cell.metadata or "injected-parameters" in cell.tags:
            yield cell.number, "was left by papermill; refresh with: metalearn run CHAPTER --in-place"


def parameters_cell(notebook: StoredNotebook) -> Found:
    tagged = [cell for cell in notebook.cells if cell.kind == "code" and "parameters" in cell.tags]
    if len(tagged) != 1:
        yield 0, f"{len(tagged)} code cells are tagged parameters; a chapter has exactly one"
    for cell in tagged:
        names = []
        for statement in ast.parse(cell.source).body:
            plain = isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
            try:
                names.append(statement.targets[0].id if plain else "")  # type: ignore[attr-defined]
                ast.literal_eval(statement.value)  # type: ignore[attr-defined]
            except (AttributeError, ValueError):
                plain = False
            if not plain:
                yield cell.number, "the parameters cell may hold only NAME = plain value lines"
                break
        if missing := {"profile", "device", "seed"} - set(names):
            yield cell.number, f"the parameters cell lacks {', '.join(sorted(missing))}"


def skeleton(notebook: StoredNotebook) -> Found:
    places = {tag.removeprefix("part-"): cell.number for cell in reversed(notebook.cells) for tag in cell.tags}
    last, before = 0, ""
    for part in SKELETON:
        if part not in places:
            yield 0, f"the part {part!r} is missing: tag its first cell part-{part}"
        elif places[part] <= last:
            yield places[part], f"the part {part!r} must come after {before!r}"
        else:
            last, before = places[part], part


def folded(notebook: StoredNotebook) -> Found:
    for cell in notebook.cells:
        hidden = bool(cell.metadata.get("jupyter", {}).get("source_hidden"))
        if hidden != ("hide-input" in cell.tags):
            yield (cell.number, "is folded in JupyterLab or in the book only; give it the tag hide-input and "
                                'the metadata "jupyter": {"source_hidden": true}')  # fmt: skip


def one_sitting(notebook: StoredNotebook) -> Found:
    """What is read before the exercises; code that is folded counts for its share only."""
    places = [cell.number for cell in notebook.cells if "part-exercises" in cell.tags]
    reading = [cell for cell in notebook.cells if not places or cell.number < places[0]]
    words = sum(len(cell.source.split()) for cell in reading if cell.kind == "markdown")
    shown, hidden = (
        sum(_lines(cell.source) for cell in reading if cell.kind == "code" and ("hide-input" in cell.tags) is is_folded)
        for is_folded in (False, True)
    )
    if words > MAX_WORDS:
        yield (
            0,
            f"{words:,} words before the exercises; at most {MAX_WORDS:,}: shorten, or move a part behind the summary",
        )
    if shown > MAX_LINES:
        yield 0, f"{shown} lines of code before the exercises; at most {MAX_LINES}: the library, or a folded cell"
    if hidden > MAX_FOLDED * (shown + hidden):
        yield 0, f"{hidden} of {shown + hidden} lines of code are folded; at most {MAX_FOLDED:.0%}"
    if (turns := sum("your-turn" in cell.tags for cell in reading)) < TURNS:
        yield 0, f"{turns} cells are tagged your-turn; the reader is asked at least {TURNS} times before the exercises"


def _lines(source: str) -> int:
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in source.splitlines())


def going_further(notebook: StoredNotebook) -> Found:
    """Cells behind the summary are a part of their own."""
    summary = [cell.number for cell in notebook.cells if "part-summary" in cell.tags]
    further = [cell.number for cell in notebook.cells if "part-further" in cell.tags]
    if further and summary and further[0] < summary[0]:
        yield further[0], "the part 'further' must come after 'summary'"
    ran = [cell.number for cell in notebook.cells if cell.runs and summary and cell.number > summary[0]]
    unmarked = [number for number in ran if not further or number < further[0]]
    if len(unmarked) > 1:  # one cell tells how the claims replicate
        yield unmarked[1], "runs behind the summary: tag the first cell of that part part-further"


def exercise_pattern(notebook: StoredNotebook) -> Found:
    yield from pattern.faults(notebook.raw["cells"], chapter=int(notebook.path.name[:2]))


Rule = Callable[[StoredNotebook], Found]
RULES: tuple[Rule, ...] = (
    stripped_outputs, execution_order, stored_errors, missed_claims, stored_stderr, machine_paths, timings,
    vector_figures, alt_text, dead_links, ignored_share, skip_tags, size, leftovers,
)  # fmt: skip
CHAPTER_RULES: tuple[Rule, ...] = (parameters_cell, skeleton, folded, one_sitting, going_further, exercise_pattern)
