"""The meta-step's measurements as tables, and the figures that the course set out to reach."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

from rich.table import Table
from rich.text import Text

from .peers import INSTALL, PEERS
from .problems import FIRST, METHODS, MODELS, REPTILE, SECOND

Row = dict[str, Any]
AUTO = 'engine="auto"'
# (model, whose, how many times as fast as the fastest peer at 2nd order, first order, Reptile)
FASTER = (("MLP", "dual", 5.0, 4.0, 4.0), ("MLP", "batched", 2.0, 1.8, 2.0), ("CNN", AUTO, 1.25, 1.25, 1.25))
DUAL_SHARE = {1: 0.7, 2: 0.5}  # of the speed of the matrix products alone, by threads
FLAT = 1.5  # the loop's memory at the most tasks, in units of its memory at the fewest


def meta_step_tables(measured: Row) -> list[Table]:
    """Every table: what "auto" gains, then for each number of threads times and growth, figures to reach, memory."""
    each = [make(measured, number) for number in threads_of(measured["rows"]) for make in (times_table, growth_table)]
    return [auto_table(measured), *each, targets_table(measured), memory_table(measured)]


def threads_of(rows: Iterable[Row]) -> list[int]:
    """The numbers of threads, in the order in which they were measured."""
    return list(dict.fromkeys(row["threads"] for row in rows))


def select(rows: Iterable[Row], **wanted: object) -> list[Row]:
    """The rows that have these values."""
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def main_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows of the main cases, which are measured first."""
    return select(rows, tasks=rows[0]["tasks"], steps=rows[0]["steps"])


def few_and_many(rows: Sequence[Row]) -> list[int]:
    """The numbers of tasks for which every model and method was measured."""
    return sorted({row["tasks"] for row in select(rows, model=MODELS[-1])})


def of(rows: Iterable[Row], whose: str) -> Row | None:
    """The row of one contestant, or of the engine that "auto" takes."""
    return next((row for row in rows if (row["auto"] if whose == AUTO else row["by"] == whose)), None)


def _names(rows: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(row["by"] for row in rows))


def auto_table(measured: Row) -> Table:
    """How many times as fast as the fastest peer engine="auto" is: few tasks and many, one thread and more."""
    rows = measured["rows"]
    table = Table("", "", title=f"{AUTO}, {rows[0]['steps']} inner steps: times as fast as the fastest peer")
    sizes = list(product(threads_of(rows), few_and_many(rows)))
    for number, tasks in sizes:
        table.add_column(f"{_plural(number, 'thread')}\n{_plural(tasks, 'task')}", justify="right", no_wrap=True)
    for model, method in product(MODELS, METHODS):
        same = {"model": model, "method": method, "steps": rows[0]["steps"]}
        found = [of(select(rows, **same, threads=number, tasks=tasks), AUTO) for number, tasks in sizes]
        cells = [f"×{row['over_peers'][0]:.2f} {row['by']}" if row else "–" for row in found]
        table.add_row(model, method, *cells, end_section=method == METHODS[-1])
    return table


def times_table(measured: Row, threads: int) -> Table:
    """Milliseconds and times as fast as the fastest peer, at the main size."""
    here = select(main_rows(measured["rows"]), threads=threads)
    caption = (
        f"{measured['about']['protocol']}. × is how many times as fast as the fastest peer (underlined), round by "
        f'round; * is what engine="auto" takes. Best matrix product {max(measured["gemm_gflops"][str(threads)]):.0f} '
        f"GFLOP/s. Other programs used up to {max(row['others_used'] for row in here):.0%} of the processors."
    )
    if measured["missing"]:
        caption += f" Not installed: {', '.join(measured['missing'])}. {INSTALL}"
    why = dict.fromkeys(f"{row['by']}: {row['why']}" for row in measured["failed"])
    if why:
        caption += f" Failed: {'; '.join(why)}."
    size = f"{_plural(here[0]['tasks'], 'task')}, {here[0]['steps']} inner steps, {_plural(threads, 'thread')}"
    # Text, since the square brackets of a command are no markup
    caption_text = Text(caption, style="table.caption")
    table = Table("by", title=f"meta-step, {size}: milliseconds", caption=caption_text, caption_justify="left")
    columns = list(product(MODELS, METHODS))
    for model, method in columns:
        table.add_column(f"{model}\n{method}", justify="right", no_wrap=True)
    last = [row["by"] for row in select(here, model="MLP") if row["ours"]][-1]
    absent = [name for name, (package, _) in PEERS.items() if package in measured["missing"]]
    for name in dict.fromkeys([*_names(here), *(row["by"] for row in measured["failed"]), *absent]):
        rows = [of(select(here, model=model, method=method), name) for model, method in columns]
        failed = [bool(select(measured["failed"], model=model, method=method, by=name)) for model, method in columns]
        nothing = ["failed" if bad else "not installed" if name in absent else "–" for bad in failed]
        cells = [_cell(row) if row else instead for row, instead in zip(rows, nothing, strict=True)]
        table.add_row(name, *cells, end_section=name == last)
    return table


def _cell(row: Row) -> str:
    time = f"{row['ms'][0]:.2f}" if row["ms"][0] < 10 else f"{row['ms'][0]:.1f}"
    time = f"[underline]{time}[/]" if row["fastest_peer"] else time
    return f"{time} ×{row['over_peers'][0]:.2f}{'*' if row['auto'] else ' '}"


def targets_table(measured: Row) -> Table:
    """Each figure to reach: speed over the peers at the main size and at worst, share of the limit, memory."""
    names = ("what", "to reach", "measured", "quartiles", "against", "without batched peer", "")
    table = Table(*names, title="meta-step: figures to reach")
    for number in threads_of(measured["rows"]):
        _add_speeds(table, select(measured["rows"], threads=number), number)
    loop = [row for row in select(measured["memory"], by="loop") if row["mb"] is not None]
    if len(loop) > 1 and loop[0]["mb"]:
        ratio = loop[-1]["mb"] / loop[0]["mb"]
        what = f"memory of the loop: {loop[-1]['tasks']} tasks over {loop[0]['tasks']}"
        _add(table, what, ratio <= FLAT, f"≤ ×{FLAT}", f"×{ratio:.2f}")
    return table


def _add(table: Table, what: str, good: bool, *cells: str) -> None:
    table.add_row(what, *cells, *[""] * (5 - len(cells)), "✓" if good else "✗")


def _add_speeds(table: Table, rows: Sequence[Row], threads: int) -> None:
    """The lines of one number of threads."""
    here, at = main_rows(rows), _plural(threads, "thread")

    def add_faster(what: str, target: float, row: Row) -> None:
        middle, low, high = row["over_peers"]
        same = {name: row[name] for name in ("model", "method", "tasks", "steps")}
        (peer,) = select(rows, **same, fastest_peer=True)
        cells = f"≥ ×{target}", f"×{middle:.2f}", f"{low:.2f} … {high:.2f}", peer["by"], f"×{row['over_loops'][0]:.2f}"
        _add(table, f"{at}, {what}", middle >= target, *cells)

    for model, whose, *wanted in FASTER:
        for method, target in zip((SECOND, FIRST, REPTILE), wanted, strict=True):
            if row := of(select(here, model=model, method=method), whose):
                add_faster(f"{model}, {method}: {whose}", target, row)
    for method in (SECOND, FIRST, REPTILE):
        if row := of(select(here, model="MLP", method=method), "dual"):
            share, target = row["share_of_gemm"], DUAL_SHARE.get(threads, min(DUAL_SHARE.values()))
            what = f"{at}, MLP, {method}: dual, share of the limit"
            _add(table, what, share >= target, f"≥ {target:.0%}", f"{share:.0%}")
    cells = select(rows, auto=True)
    worst = min(cells, key=lambda row: row["over_peers"][0])
    size = f"{_plural(worst['tasks'], 'task')}, {_plural(worst['steps'], 'step')}"
    add_faster(f"worst of {len(cells)} cases: {worst['model']}, {worst['method']}, {size}", 1.0, worst)


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def growth(rows: Sequence[Row], what: str) -> dict[str, dict[int, Row]]:
    """MLP, 2nd order: rows by number of "tasks" or "steps", for our engines and the fastest peer of the main case."""
    fixed = "steps" if what == "tasks" else "tasks"
    mine = select(rows, model="MLP", method=SECOND, **{fixed: rows[0][fixed]})
    names = [r["by"] for r in main_rows(rows) if r in mine and (r["ours"] or r["fastest_peer"])]
    return {name: {row[what]: row for row in sorted(select(mine, by=name), key=lambda r: r[what])} for name in names}


def growth_table(measured: Row, threads: int) -> Table:
    """Milliseconds for growing numbers of tasks and of inner steps."""
    by_tasks, by_steps = (growth(select(measured["rows"], threads=threads), what) for what in ("tasks", "steps"))
    title = f"MLP, 2nd order, {_plural(threads, 'thread')}: milliseconds for growing numbers"
    table = Table("by", title=title)
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
