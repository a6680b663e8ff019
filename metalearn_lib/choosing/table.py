"""The grid as tables: measured, published, and the figures that the course set out to reach."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from itertools import product
from statistics import mean, stdev
from typing import Any

from rich.console import Console
from rich.table import Table

from metalearn_lib.choosing.across import ACROSS, LEARNERS
from metalearn_lib.choosing.recipes import FLOORS, NAMED, RECIPES
from metalearn_lib.choosing.settings import SETTINGS
from metalearn_lib.files import root

Row = dict[str, Any]
_FLOOR, _ALONE, _MINILM = FLOORS[0], "recommended", "recommended, MiniLM"
_COLUMNS = 4  # corpora in a table: with more a line has over 150 characters
# (corpus, whose figure, 1 shot, 5 shots): a floor is to be met within a point, the others are to be reached.
TARGETS = (
    ("clinc150", _FLOOR, 74.1, 92.5),
    ("banking77", _FLOOR, 66.2, 87.6),
    ("clinc150", _ALONE, 86.9, 95.9),
    ("banking77", _ALONE, 79.3, 92.0),
    ("newsgroups", _ALONE, 50.1, 69.5),
    ("news46", _ALONE, 81.8, 93.0),
    ("clinc150", _MINILM, 95.5, 99.0),
    ("banking77", _MINILM, 89.5, 96.5),
)


def show(rows: Sequence[Row], console: Console) -> None:
    """Print every table of the rows of few_shot.json that has something to say."""
    usual = [row for row in rows if row["corpus"] in SETTINGS and (row["ways"], row["queries"]) == (5, 15)]
    for table in (*results_tables(rows), targets_table(usual), floor_table(usual)):
        if table.row_count:
            console.print(table)


def published() -> list[Row]:
    """The figures of data/published.toml: where they stand, what they are of, and values by ways and shots."""
    return list(tomllib.loads((root() / "data" / "published.toml").read_text(encoding="utf-8"))["figure"])


def summary(rows: Sequence[Row], corpus: str, learner: str, shots: int) -> tuple[float, float, bool] | None:
    """Mean over splits, spread (sd over splits; with one split half the 95 % interval), fewer episodes than others."""
    found = [r for r in rows if (r["corpus"], r["learner"], r["shots"]) == (corpus, learner, shots)]
    if not found:
        return None
    values = [r["mean"] for r in found]
    spread = stdev(values) if len(values) > 1 else found[0]["half_width"]
    most = max(r["episodes"] for r in rows)
    return mean(values), spread, any(r["episodes"] < most for r in found)


def results_tables(rows: Sequence[Row]) -> Iterator[Table]:
    """For each shape of tasks tables with a column for every corpus, four of them in one, the declared ones first."""
    known = [*SETTINGS, *ACROSS]
    for ways, queries, across in dict.fromkeys((r["ways"], r["queries"], "→" in r["corpus"]) for r in rows):
        own = [r for r in rows if (r["ways"], r["queries"], "→" in r["corpus"]) == (ways, queries, across)]
        names = sorted({r["corpus"] for r in own}, key=lambda name: (name not in known, [*known, name].index(name)))
        for first in range(0, len(names), _COLUMNS):
            yield _results(own, names[first : first + _COLUMNS], ways, queries)


def _results(rows: Sequence[Row], corpora: Sequence[str], ways: int, queries: int) -> Table:
    """A line for every learner, then for those that are told what the classes are called, then for published ones."""
    shots = sorted({r["shots"] for r in rows if r["corpus"] in corpora})
    about = {name: SETTINGS[name].about for name in SETTINGS} | {name: ACROSS[name].about for name in ACROSS}
    said = "".join(f"{name}: {about[name]}. " for name in corpora if name in about)
    caption = (
        f"{said}± is the standard deviation over "
        "splits, or with one split the 95 % interval over episodes. * fewer episodes than the others. Published "
        "figures come from other episodes, and mostly other encoders."
    )
    title = f"{ways}-way accuracy in %, {' / '.join(map(str, shots))} shots, {queries} queries a class"
    table = Table("learner", title=title, caption=caption, caption_justify="left")
    for name in corpora:
        table.add_column(name, justify="right", no_wrap=True, min_width=len("80.0 ± 0.0 / 90.0 ± 0.0*"))
    for told in (False, True):
        table.add_section()
        for learner in dict.fromkeys((*RECIPES, *LEARNERS)):
            cells = [_cell([summary(rows, corpus, learner, k) for k in shots]) for corpus in corpora]
            if (learner in NAMED) == told and any(cells):
                table.add_row(learner, *cells)
    table.add_section()
    for figure, cells in _published(corpora, ways, shots):
        source = "; ".join(filter(None, (f"{figure['paper']}, {figure['table']}", figure["remark"])))
        table.add_row(f"{figure['method']}, {figure['encoder']} (published: {source})", *cells, style="dim")
    return table


def _published(corpora: Sequence[str], ways: int, shots: Sequence[int]) -> Iterator[tuple[Row, list[str]]]:
    """Published figures of these corpora and tasks, and what they say of each corpus; a line for each method."""
    lines: dict[tuple[str, ...], tuple[Row, dict[str, str]]] = {}
    for figure in published():
        values = {v["shots"]: v["accuracy"] for v in figure["values"] if v["ways"] == ways and v["shots"] in shots}
        if values and figure["corpus"] in corpora:
            line = tuple(figure[name] for name in ("paper", "table", "method", "encoder", "remark"))
            pair = " / ".join(f"{values[k]:.1f}" if k in values else "–" for k in shots)
            lines.setdefault(line, (figure, {}))[1][figure["corpus"]] = pair
    for figure, own in lines.values():
        yield figure, [own.get(corpus, "") for corpus in corpora]


def _cell(measured: Sequence[tuple[float, float, bool] | None]) -> str:
    if not any(measured):
        return ""
    star = "*" if any(one and one[2] for one in measured) else ""
    return " / ".join(f"{one[0]:.1f} ± {one[1]:.1f}" if one else "–" for one in measured) + star


def targets_table(rows: Sequence[Row]) -> Table:
    """Each figure to reach, and what was measured."""
    table = Table(title="figures to reach")
    for name in ("corpus", "whose", "shots", "to reach", "measured", ""):
        table.add_column(name, no_wrap=True)
    for corpus, whose, *wanted in TARGETS:
        for shots, target in zip((1, 5), wanted, strict=True):
            measured = summary(rows, corpus, whose, shots)
            if measured is None:
                continue
            value = measured[0]
            good = abs(value - target) <= 1 if whose == _FLOOR else value >= target
            sign = "within 1 of" if whose == _FLOOR else "≥"
            table.add_row(corpus, whose, str(shots), f"{sign} {target}", f"{value:.2f}", "✓" if good else "✗")
    return table


def floor_table(rows: Sequence[Row]) -> Table:
    """How far the recommendation is above the tf-idf centroids where it is least, and where it is below one.

    ✗: on some split it is shown to be worse than a floor, for the paired 95 % interval lies below 0.
    """
    table = Table(title="points above the tf-idf centroids, paired, where they are least")
    for name in ("corpus", "whose", "shots", "split", "floor", "difference", ""):
        table.add_column(name, no_wrap=True)
    for learner, corpus in product((_ALONE, _MINILM), SETTINGS):
        own = [r for r in rows if (r["corpus"], r["learner"]) == (corpus, learner)]
        overs = [(over, r["shots"], r["split"], floor) for r in own for floor, over in r["over"].items()]
        if overs:
            (difference, low, high), shots, split, floor = min(overs)
            good = all(over[2] >= 0 for over, *_ in overs)
            shown = f"{difference:+.1f} ({low:+.1f} … {high:+.1f})"
            table.add_row(corpus, learner, str(shots), split, floor, shown, "✓" if good else "✗")
    return table
