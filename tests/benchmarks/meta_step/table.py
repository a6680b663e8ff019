"""The meta-step's measurements as tables, and the figures that the course set out to reach."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

from rich.table import Table
from rich.text import Text

from .peers import INSTALL
from .problems import FIRST, METHODS, MODELS, REPTILE, SECOND

Row = dict[str, Any]
AUTO = 'engine="auto"'
# (model, whose, how many times as fast as the fastest peer at 2nd order, first order, Reptile)
FASTER = (("MLP", "dual", 5.0, 4.0, 4.0), ("MLP", "batched", 2.0, 1.8, 2.0), ("CNN", AUTO, 1.25, 1.25, 1.25))
DUAL_SHARE = 0.5  # of what the matrix products alone would take
FLAT = 1.5  # the loop's memory at the most tasks, in units of its memory at the fewest


def meta_step_tables(measured: Row) -> list[Table]:
    """Every table: times, figures to reach, growth, memory."""
    return [times_table(measured), targets_table(measured), growth_table(measured), memory_table(measured)]


def select(rows: Iterable[Row], **wanted: object) -> list[Row]:
    """The rows that have these values."""
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def main_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows of the main cases, which are measured first."""
    return select(rows, tasks=rows[0]["tasks"], steps=rows[0]["steps"])


def of(rows: Iterable[Row], whose: str) -> Row | None:
    """The row of one contestant, or of the engine that "auto" takes."""
    return next((row for row in rows if (row["auto"] if whose == AUTO else row["by"] == whose)), None)


def _names(rows: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(row["by"] for row in rows))


def times_table(measured: Row) -> Table:
    """Milliseconds and times as fast as the fastest peer, at the main size."""
    here, about = main_rows(measured["rows"]), measured["about"]
    caption = (
        f"{about['protocol']}. × is how many times as fast as the fastest peer (underlined), round by round; "
        f'* is what engine="auto" takes. Best matrix product {max(measured["gemm_gflops"]):.0f} GFLOP/s. '
        f"Other programs used up to {max(row['others_used'] for row in here):.0%} of the processors."
    )
    if measured["missing"]:
        caption += f" Left out, as they are not installed: {', '.join(measured['missing'])}. {INSTALL}"
    size = f"{here[0]['tasks']} tasks, {here[0]['steps']} inner steps, {about['threads']} threads"
    # Text, since the square brackets of a command are no markup
    caption_text = Text(caption, style="table.caption")
    table = Table("by", title=f"meta-step, {size}: milliseconds", caption=caption_text, caption_justify="left")
    columns = [(model, method) for model in MODELS for method in METHODS]
    for model, method in columns:
        table.add_column(f"{model}\n{method}", justify="right", no_wrap=True)
    last = [row["by"] for row in select(here, model="MLP") if row["ours"]][-1]
    for name in _names(here):
        rows = [of(select(here, model=model, method=method), name) for model, method in columns]
        table.add_row(name, *(_cell(row) if row else "–" for row in rows), end_section=name == last)
    return table


def _cell(row: Row) -> str:
    time = f"{row['ms'][0]:.2f}" if row["ms"][0] < 10 else f"{row['ms'][0]:.1f}"
    time = f"[underline]{time}[/]" if row["fastest_peer"] else time
    return f"{time} ×{row['over_peers'][0]:.2f}{'*' if row['auto'] else ' '}"


def targets_table(measured: Row) -> Table:
    """Each figure to reach: speed over the peers at the main size and for few tasks, share of the limit, memory."""
    names = ("what", "to reach", "measured", "quartiles", "against", "without batched peer", "")
    table = Table(*names, title="meta-step: figures to reach")
    rows = measured["rows"]
    here, steps = main_rows(rows), rows[0]["steps"]

    def add(what: str, good: bool, *cells: str) -> None:
        table.add_row(what, *cells, *[""] * (5 - len(cells)), "✓" if good else "✗")

    def add_faster(what: str, target: float, row: Row) -> None:
        middle, low, high = row["over_peers"]
        same = {name: row[name] for name in ("model", "method", "tasks", "steps")}
        (peer,) = select(rows, **same, fastest_peer=True)
        loops = f"×{row['over_loops'][0]:.2f}"
        add(what, middle >= target, f"≥ ×{target}", f"×{middle:.2f}", f"{low:.2f} … {high:.2f}", peer["by"], loops)

    for model, whose, *wanted in FASTER:
        for method, target in zip((SECOND, FIRST, REPTILE), wanted, strict=True):
            if row := of(select(here, model=model, method=method), whose):
                add_faster(f"{model}, {method}: {whose}", target, row)
    for method in (SECOND, FIRST, REPTILE):
        if row := of(select(here, model="MLP", method=method), "dual"):
            what, share = f"MLP, {method}: dual, share of the matrix products' limit", row["share_of_gemm"]
            add(what, share >= DUAL_SHARE, f"≥ {DUAL_SHARE:.0%}", f"{share:.0%}")
    for number in sorted({row["tasks"] for row in select(rows, steps=steps) if row["tasks"] <= 2}):
        for model, method in product(MODELS, METHODS):
            if row := of(select(rows, model=model, method=method, tasks=number, steps=steps), AUTO):
                size = f"{number} task{'s' if number > 1 else ''}"
                add_faster(f"{model}, {method}: {size}, {AUTO} ({row['by']})", 1.0, row)
    loop = [row for row in select(measured["memory"], by="loop") if row["mb"] is not None]
    if len(loop) > 1 and loop[0]["mb"]:
        ratio = loop[-1]["mb"] / loop[0]["mb"]
        what = f"memory of the loop: {loop[-1]['tasks']} tasks over {loop[0]['tasks']}"
        add(what, ratio <= FLAT, f"≤ ×{FLAT}", f"×{ratio:.2f}")
    return table


def growth(rows: Sequence[Row], what: str) -> dict[str, dict[int, Row]]:
    """MLP, 2nd order: rows by number of "tasks" or "steps", for our engines and the fastest peer of the main case."""
    fixed = "steps" if what == "tasks" else "tasks"
    mine = select(rows, model="MLP", method=SECOND, **{fixed: rows[0][fixed]})
    names = [r["by"] for r in main_rows(rows) if r in mine and (r["ours"] or r["fastest_peer"])]
    return {name: {row[what]: row for row in sorted(select(mine, by=name), key=lambda r: r[what])} for name in names}


def growth_table(measured: Row) -> Table:
    """Milliseconds for growing numbers of tasks and of inner steps."""
    by_tasks, by_steps = (growth(measured["rows"], what) for what in ("tasks", "steps"))
    table = Table("by", title="MLP, 2nd order: milliseconds for growing numbers")
    for row in [row for by in (by_tasks, by_steps) for row in next(iter(by.values())).values()]:
        table.add_column(f"tasks {row['tasks']}\nsteps {row['steps']}", justify="right")
    for name in by_tasks:
        every = [*by_tasks[name].values(), *by_steps[name].values()]
        table.add_row(name, *(f"{row['ms'][0]:.2f}" for row in every))
    return table


def memory_table(measured: Row) -> Table:
    """Megabytes that a meta-step of the CNN adds to a fresh process."""
    table = Table("by", title="CNN, 2nd order: megabytes that a meta-step adds to a fresh process")
    rows = measured["memory"]
    for tasks in dict.fromkeys(row["tasks"] for row in rows):
        table.add_column(f"tasks {tasks}", justify="right")
    for name in _names(rows):
        table.add_row(name, *("?" if row["mb"] is None else f"{row['mb']:.0f}" for row in select(rows, by=name)))
    return table
