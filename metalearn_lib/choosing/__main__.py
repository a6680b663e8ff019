"""`metalearn benchmark`: learners × corpora × shots, beside the published figures, kept in data/results/.

What is already measured with the same code and settings is not measured again; every result is written as it comes, so
an interrupted run continues where it stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Never

import typer
from rich.console import Console

from metalearn_lib.choosing import across, sources, table
from metalearn_lib.choosing.measure import TaskShape, measure_split
from metalearn_lib.choosing.other_tasks import other_rows, other_tables
from metalearn_lib.choosing.recipes import RECIPES, Recipe
from metalearn_lib.choosing.settings import SETTINGS
from metalearn_lib.choosing.sources import Source, Unfit
from metalearn_lib.choosing.store import Store
from metalearn_lib.corpora import CorpusError
from metalearn_lib.files import results_folder, root

_QUICK_EPISODES = 100
console = Console(width=None if Console().is_terminal else 150)


def main(
    corpora: Annotated[
        str | None, typer.Option(help="Names with commas between them: any of the catalog, or known->tested.")
    ] = None,
    learners: Annotated[str, typer.Option(help="Beginnings of names, with | between them; all without one.")] = "",
    jsonl: Annotated[
        Path | None, typer.Option(help='A file of your own instead: {"text": …, "label": …} on each line.')
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="With --jsonl: a folder of labels.train.txt, labels.valid.txt, labels.test.txt.")
    ] = None,
    ways: Annotated[int | None, typer.Option(min=2, help="Classes of a task; 5, or all where there are fewer.")] = None,
    queries: Annotated[int | None, typer.Option(min=1, help="Queries of each class; 15.")] = None,
    shots: Annotated[str, typer.Option(help="Labels of each class, with commas between them; 1,5.")] = "",
    episodes: Annotated[int, typer.Option(min=2, help="Episodes for each number of shots.")] = 1000,
    splits: Annotated[int, typer.Option(min=1, help="At most so many splits of a corpus.")] = 5,
    out: Annotated[Path | None, typer.Option(help="data/results/; with --quick or --jsonl build/benchmark/.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One split, 100 episodes, hardly any training.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Measure again what is already there.")] = False,
) -> None:
    """Learners x corpora beside the published figures."""
    folder = out or (root() / "build" / "benchmark" if quick or jsonl else results_folder())
    say = lambda line: console.print(line, markup=False, highlight=False)  # noqa: E731
    missing = dict[str, str]()
    try:
        counted = _shots(shots)
        chosen = _sources(corpora, jsonl, labels, missing)
        _check_learners(learners)
        store = Store(folder / "few_shot.json", force=force)
        others = other_rows() if corpora is None and jsonl is None and not quick else {}  # of the whole grid
    except ValueError as error:
        _refuse(error)
    try:
        for name, source in chosen.items():
            two = name in across.ACROSS
            recipes: Mapping[str, Recipe] = across.LEARNERS if two else RECIPES
            usual = across.SHAPE if two else TaskShape()
            shape = TaskShape(ways or usual.ways, queries or usual.queries, counted or usual.shots)
            for split in source.splits[: 1 if quick else splits]:
                reason = measure_split(
                    store, name, split, [one for one in recipes if one.startswith(tuple(learners.split("|")))],
                    source=source, shape=shape, recipes=recipes,
                    remark=across.ACROSS[name].remark if two else "",
                    episodes=min(_QUICK_EPISODES if quick else episodes, across.EPISODES if two else episodes),
                    quick=quick, say=say,
                )  # fmt: skip
                if reason:
                    missing[name] = reason
                    break
    except Unfit as error:
        _refuse(error)
    except KeyboardInterrupt:
        console.print("interrupted; what was measured is kept, the same command goes on from there")
        raise typer.Exit(130) from None
    shown = [row for row in store.rows if not jsonl or row["corpus"] in chosen]
    for other in other_tables(others):
        console.print(other)
    table.show(shown, console)
    if stale := store.stale():
        console.print(f"{stale} of the results above were measured with other code; --force measures them again")
    for name, reason in missing.items():
        say(f"{name} left out: {reason}")


def _sources(names: str | None, jsonl: Path | None, labels: Path | None, missing: dict[str, str]) -> dict[str, Source]:
    """What is asked for, by name; what cannot be had goes to `missing`. Raises CorpusError for an unknown name."""
    if labels is not None and jsonl is None:
        raise CorpusError("--labels goes with --jsonl: corpora of the catalog have their own splits")
    if jsonl is not None:
        if names is not None:
            raise CorpusError("--jsonl measures a file of your own instead of --corpora; give one of the two")
        name, source = sources.of_file(jsonl, labels)
        return {name: source}
    usual = [*SETTINGS, *across.ACROSS]
    wanted = [name.strip().replace("->", "→") for name in names.split(",")] if names is not None else usual
    known = dict.fromkeys((*usual, *sources.catalog_names()))
    if unknown := [name for name in wanted if name not in known]:
        raise CorpusError(f"unknown corpus {', '.join(map(repr, unknown))}: choose from {', '.join(known)}")
    found: dict[str, Source] = {}
    for name in wanted:
        try:
            found[name] = across.ACROSS[name] if name in across.ACROSS else sources.of_catalog(name)
        except CorpusError as error:
            missing[name] = str(error)
    return found


def _check_learners(beginnings: str) -> None:
    every = dict.fromkeys((*RECIPES, *across.LEARNERS))
    if not any(name.startswith(tuple(beginnings.split("|"))) for name in every):
        raise ValueError(f"unknown learner {beginnings!r}: choose from {' | '.join(every)}")


def _shots(text: str) -> tuple[int, ...]:
    try:
        numbers = sorted({int(number) for number in text.split(",")}) if text else []
    except ValueError:
        numbers = [0]
    if numbers and numbers[0] < 1:
        raise ValueError(f"--shots {text!r}: give whole numbers ≥ 1 with commas between them, as in 1,5")
    return tuple(numbers)


def _refuse(error: ValueError) -> Never:
    console.print(f"error: {error}", markup=False, highlight=False)
    raise typer.Exit(2) from None


if __name__ == "__main__":
    typer.run(main)
