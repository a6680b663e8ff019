"""The grid as tables: measured, published, and the figures that the course set out to reach."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

from rich.console import Console
from rich.table import Table

from metalearn_lib.choosing.recipes import PRETRAINED, RECIPES
from metalearn_lib.choosing.settings import SETTINGS
from metalearn_lib.files import root

Row = dict[str, Any]
_FLOOR = "tf-idf centroid, plain"
_BLEND = "blend without Transformer"
# (corpus, whose figure, 1 shot, 5 shots): a floor is to be met within a point, the others are to be reached.
TARGETS = (
    ("clinc150", _FLOOR, 74.1, 92.5),
    ("banking77", _FLOOR, 66.2, 87.6),
    ("clinc150", "best without a Transformer", 82.0, 94.0),
    ("banking77", "best without a Transformer", 78.0, 90.0),
    ("newsgroups", "best without a Transformer", 50.0, 66.0),
    ("clinc150", "best with MiniLM", 95.5, 99.0),
    ("banking77", "best with MiniLM", 90.0, 96.5),
    ("newsgroups", "best with MiniLM", 56.0, 71.0),
)
_OVER_FLOOR = {1: 5.0, 5: 2.0}  # points above both tf-idf centroids on news46


def show(rows: Sequence[Row], console: Console) -> None:
    """Print every table of the rows of few_shot.json that has something to say."""
    for make in (results_table, targets_table, floor_table):
        table = make(rows) if rows else Table()
        if table.row_count:
            console.print(table)


def published() -> list[Row]:
    """The figures of data/published.toml: corpus, method, encoder, shots, value, source, remarks."""
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


def results_table(rows: Sequence[Row]) -> Table:
    """A line for every learner and every published method, a column for every corpus."""
    corpora = [name for name in SETTINGS if any(r["corpus"] == name for r in rows)]
    caption = (
        f"{'; '.join(f'{name}: {SETTINGS[name].about}' for name in corpora)}. ± is the standard deviation over splits, "
        "or with one split the 95 % interval over episodes. * fewer episodes than the others. Published figures come "
        "from other episodes, and mostly other encoders."
    )
    table = Table("learner", title="5-way accuracy in %, 1 / 5 shots", caption=caption, caption_justify="left")
    for name in corpora:
        table.add_column(name, justify="right", no_wrap=True, min_width=len("80.0 ± 0.0 / 90.0 ± 0.0*"))
    for learner in RECIPES:
        cells = [_pair(*(summary(rows, corpus, learner, k) for k in (1, 5))) for corpus in corpora]
        if any(cells):
            table.add_row(learner, *cells)
    table.add_section()
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for figure in published():
        pair = [f"{figure[key]:.1f}" if key in figure else "–" for key in ("one_shot", "five_shot")]
        lines.setdefault((figure["method"], figure["source"]), {})[figure["corpus"]] = " / ".join(pair)
    for (method, source), own in lines.items():
        if own.keys() & set(corpora):
            cells = [own.get(corpus, "") for corpus in corpora]
            table.add_row(f"{method} (published: {source})", *cells, style="dim")
    return table


def _pair(one: tuple[float, float, bool] | None, five: tuple[float, float, bool] | None) -> str:
    if one is None or five is None:
        return ""
    star = "*" if one[2] or five[2] else ""
    return f"{one[0]:.1f} ± {one[1]:.1f} / {five[0]:.1f} ± {five[1]:.1f}{star}"


def targets_table(rows: Sequence[Row]) -> Table:
    """Each figure to reach, and the learner that comes nearest."""
    table = Table(title="figures to reach")
    for name in ("corpus", "whose", "shots", "to reach", "measured", "by", ""):
        table.add_column(name, no_wrap=True)
    for corpus, whose, *wanted in TARGETS:
        for shots, target in zip((1, 5), wanted, strict=True):
            best = _best(rows, corpus, whose, shots)
            if best is None:
                continue
            value, learner = best
            good = abs(value - target) <= 1 if whose == _FLOOR else value >= target
            sign = "within 1 of" if whose == _FLOOR else "≥"
            table.add_row(corpus, whose, str(shots), f"{sign} {target}", f"{value:.2f}", learner, "✓" if good else "✗")
    return table


def _best(rows: Sequence[Row], corpus: str, whose: str, shots: int) -> tuple[float, str] | None:
    names = [_FLOOR] if whose == _FLOOR else [n for n in RECIPES if (n in PRETRAINED) == ("MiniLM" in whose)]
    found = [(s[0], name) for name in names if (s := summary(rows, corpus, name, shots)) is not None]
    return max(found, default=None)


def floor_table(rows: Sequence[Row]) -> Table:
    """news46: how far the best learner without a Transformer is above the tf-idf centroids, paired, per split."""
    table = Table(title=f"news46, {_BLEND}: points above the tf-idf centroid, paired 95 % interval")
    for name in ("split", "shots", "floor", "difference", "to reach", ""):
        table.add_column(name)
    for row in rows:
        if (row["corpus"], row["learner"]) == ("news46", _BLEND):
            for floor, (difference, low, high) in row["over"].items():
                target = _OVER_FLOOR[row["shots"]]
                table.add_row(
                    row["split"], str(row["shots"]), floor, f"{difference:+.1f} ({low:+.1f} … {high:+.1f})",
                    f"≥ {target}", "✓" if low >= target else "✓ mean" if difference >= target else "✗",
                )  # fmt: skip
    return table
