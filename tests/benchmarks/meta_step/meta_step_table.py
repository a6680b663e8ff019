"""The meta-step's measurements as tables, and the figures that the course set out to reach."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from .peers import INSTALL
from .problems import ANIL, FIRST, METHODS, MODELS, REPTILE, SECOND

Row = dict[str, Any]
AUTO = 'engine="auto"'
# (model, whose, how many times as fast as the fastest peer at 2nd order, first order, Reptile)
FASTER = (("MLP", "dual", 5.0, 4.0, 4.0), ("MLP", "batched", 2.0, 1.8, 2.0), ("CNN", AUTO, 1.25, 1.25, 1.25))
DUAL_SHARE = 0.5  # of what the matrix products alone would take
FLAT = 1.5  # the loop's memory at the most tasks, in units of its memory at the fewest


def meta_step_tables(measured: Row) -> list[Table]:
    """Every table: times, figures to reach, growth, memory."""
    return [times_table(measured), targets_table(measured), growth_table(measured), memory_table(measured)]


def main_size(rows: Sequence[Row]) -> tuple[int, int]:
    """Tasks and inner steps of the main cases, which are measured first."""
    return rows[0]["tasks"], rows[0]["steps"]


def select(rows: Iterable[Row], **wanted: object) -> list[Row]:
    """The rows that have these values."""
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def of(rows: Iterable[Row], whose: str) -> Row | None:
    """The row of one contestant, or of the engine that "auto" takes."""
    return next((row for row in rows if (row["auto"] if whose == AUTO else row["by"] == whose)), None)


def _names(rows: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(row["by"] for row in rows))


def times_table(measured: Row) -> Table:
    """Milliseconds and times as fast as the fastest peer, at the main size."""
    rows, about = measured["rows"], measured["about"]
    tasks, steps = main_size(rows)
    here = select(rows, tasks=tasks, steps=steps)
    busy = max(row["others_used"] for row in here)
    caption = (
        f"{about['protocol']}. × is how many times as fast as the fastest peer (underlined), round by round; "
        f'* is what engine="auto" takes. Best matrix product {max(measured["gemm_gflops"]):.0f} GFLOP/s. '
        f"Other programs used up to {busy:.0%} of the processors."
    )
    if measured["missing"]:
        caption += f" Left out, as they are not installed: {', '.join(measured['missing'])}. {INSTALL}"
    title = f"meta-step, {tasks} tasks, {steps} inner steps, {about['threads']} threads: milliseconds"
    # Text, since the square brackets of a command are no markup
    table = Table(title=title, caption=Text(caption, style="table.caption"), caption_justify="left")
    table.add_column("by")
    for model in MODELS:
        for method in METHODS:
            table.add_column(f"{model}\n{method}", justify="right", no_wrap=True)
    last = [row["by"] for row in select(here, model="MLP") if row["ours"]][-1]
    for name in _names(here):
        cells = []
        for model in MODELS:
            for method in METHODS:
                row = of(select(here, model=model, method=method), name)
                cells.append(_cell(row) if row else "–")
        table.add_row(name, *cells, end_section=name == last)
    return table


def _cell(row: Row) -> str:
    time = f"{row['ms'][0]:.2f}" if row["ms"][0] < 10 else f"{row['ms'][0]:.1f}"
    time = f"[underline]{time}[/]" if row["fastest_peer"] else time
    return f"{time} ×{row['over_peers'][0]:.2f}{'*' if row['auto'] else ' '}"


def targets_table(measured: Row) -> Table:
    """Each figure to reach, and what was measured."""
    table = Table(title="meta-step: figures to reach")
    for name in ("what", "to reach", "measured", "quartiles", "against", "without batched peer", ""):
        table.add_column(name)
    for what, target, row, value in targets(measured):
        if isinstance(value, list):
            middle, low, high = value
            beyond = f"×{row['over_loops'][0]:.2f}" if row else ""
            peer = _peer(measured["rows"], row) if row else ""
            table.add_row(
                what, f"≥ ×{target}", f"×{middle:.2f}", f"{low:.2f} … {high:.2f}", peer, beyond, _mark(middle >= target)
            )
        elif what.startswith("memory"):
            table.add_row(what, f"≤ ×{target}", f"×{value:.2f}", "", "", "", _mark(value <= target))
        else:
            table.add_row(what, f"≥ {target:.0%}", f"{value:.0%}", "", "", "", _mark(value >= target))
    return table


def _peer(rows: Sequence[Row], row: Row) -> str:
    same = {name: row[name] for name in ("model", "method", "tasks", "steps")}
    return next(other["by"] for other in select(rows, **same) if other["fastest_peer"])


def _mark(good: bool) -> str:
    return "✓" if good else "✗"


def targets(measured: Row) -> list[tuple[str, float, Row | None, Any]]:
    """What, the figure to reach, its row, and what was measured: a ratio with quartiles, or a number."""
    rows = measured["rows"]
    tasks, steps = main_size(rows)
    found: list[tuple[str, float, Row | None, Any]] = []
    for model, whose, *wanted in FASTER:
        for method, target in zip((SECOND, FIRST, REPTILE), wanted, strict=True):
            row = of(select(rows, model=model, method=method, tasks=tasks, steps=steps), whose)
            if row:
                found.append((f"{model}, {method}: {whose}", target, row, row["over_peers"]))
    for method in METHODS:
        row = of(select(rows, model="MLP", method=method, tasks=tasks, steps=steps), "dual")
        if row and method != ANIL:
            what = f"MLP, {method}: dual, share of the matrix products' limit"
            found.append((what, DUAL_SHARE, None, row["share_of_gemm"]))
    few = sorted({row["tasks"] for row in rows if row["steps"] == steps and row["tasks"] <= 2})
    for number in few:
        for model in MODELS:
            for method in METHODS:
                row = of(select(rows, model=model, method=method, tasks=number, steps=steps), AUTO)
                if row:
                    what = f"{model}, {method}: {number} task{'s' if number > 1 else ''}, {AUTO} ({row['by']})"
                    found.append((what, 1.0, row, row["over_peers"]))
    loop = [row for row in measured["memory"] if row["by"] == "loop" and row["mb"] is not None]
    if len(loop) > 1 and loop[0]["mb"]:
        what = f"memory of the loop: {loop[-1]['tasks']} tasks over {loop[0]['tasks']}"
        found.append((what, FLAT, None, loop[-1]["mb"] / loop[0]["mb"]))
    return found


def growth(rows: Sequence[Row], what: str) -> dict[str, dict[int, Row]]:
    """MLP, 2nd order: rows by number of tasks or steps, for our engines and the fastest peer of the main case."""
    tasks, steps = main_size(rows)
    fixed = {"steps": steps} if what == "tasks" else {"tasks": tasks}
    mine = select(rows, model="MLP", method=SECOND, **fixed)
    names = [r["by"] for r in select(mine, tasks=tasks, steps=steps) if r["ours"] or r["fastest_peer"]]
    return {name: {row[what]: row for row in sorted(select(mine, by=name), key=_by(what))} for name in names}


def _by(what: str) -> Callable[[Row], int]:
    return lambda row: row[what]


def growth_table(measured: Row) -> Table:
    """Milliseconds for growing numbers of tasks and of inner steps."""
    rows = measured["rows"]
    tasks, steps = main_size(rows)
    table = Table(title="MLP, 2nd order: milliseconds for growing numbers")
    table.add_column("by")
    by_tasks, by_steps = growth(rows, "tasks"), growth(rows, "steps")
    for number in next(iter(by_tasks.values())):
        table.add_column(f"tasks {number}\nsteps {steps}", justify="right")
    for number in next(iter(by_steps.values())):
        table.add_column(f"tasks {tasks}\nsteps {number}", justify="right")
    for name in by_tasks:
        every = [*by_tasks[name].values(), *by_steps[name].values()]
        table.add_row(name, *(f"{row['ms'][0]:.2f}" for row in every))
    return table


def memory_table(measured: Row) -> Table:
    """Megabytes that a meta-step of the CNN adds to a fresh process."""
    table = Table(title="CNN, 2nd order: megabytes that a meta-step adds to a fresh process")
    table.add_column("by")
    rows = measured["memory"]
    for tasks in dict.fromkeys(row["tasks"] for row in rows):
        table.add_column(f"tasks {tasks}", justify="right")
    for name in _names(rows):
        table.add_row(name, *("?" if row["mb"] is None else f"{row['mb']:.0f}" for row in select(rows, by=name)))
    return table
