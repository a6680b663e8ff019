"""`metalearn benchmark`: learners × corpora × 1 and 5 shots, beside the published figures, kept in data/results/.

What is already measured with the same code and settings is not measured again; every result is written as it comes, so
an interrupted run continues where it stopped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from metalearn_lib.choosing import table
from metalearn_lib.choosing.measure import measure_split
from metalearn_lib.choosing.recipes import RECIPES
from metalearn_lib.choosing.settings import SETTINGS
from metalearn_lib.choosing.store import Store
from metalearn_lib.files import results_folder, root

_QUICK_EPISODES = 100
console = Console(width=None if Console().is_terminal else 150)


def main(
    corpora: Annotated[str, typer.Option(help="Names with commas between them.")] = ",".join(SETTINGS),
    learners: Annotated[str, typer.Option(help="Beginnings of names, with | between them; all without one.")] = "",
    episodes: Annotated[int, typer.Option(min=2, help="Episodes for each number of shots.")] = 1000,
    splits: Annotated[int, typer.Option(min=1, help="At most so many splits of a corpus.")] = 5,
    out: Annotated[Path | None, typer.Option(help="data/results/; with --quick build/benchmark/.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One split, 100 episodes, hardly any training.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Measure again what is already there.")] = False,
) -> None:
    """Learners x corpora beside the published figures."""
    folder = out or (root() / "build" / "benchmark" if quick else results_folder())
    names = [name for name in corpora.split(",") if name]
    chosen = [name for name in RECIPES if not learners or name.startswith(tuple(learners.split("|")))]
    unknown = [name for name in names if name not in SETTINGS]
    if unknown or not chosen or not names:
        what = f"corpus {', '.join(unknown)}: choose from {', '.join(SETTINGS)}"
        console.print(f"error: unknown {what if chosen else 'learner: choose from ' + ' | '.join(RECIPES)}")
        raise typer.Exit(2)
    store, missing = Store(folder / "few_shot.json", force=force), dict[str, str]()
    episodes, splits = (_QUICK_EPISODES, 1) if quick else (episodes, splits)
    try:
        for name in names:
            for split in SETTINGS[name].splits[:splits]:
                reason = measure_split(
                    store, name, split, chosen, episodes=episodes, quick=quick,
                    say=lambda line: console.print(line, markup=False, highlight=False),
                )  # fmt: skip
                if reason:
                    missing[name] = reason
                    break
    except KeyboardInterrupt:
        console.print("interrupted; what was measured is kept, the same command goes on from there")
        raise typer.Exit(130) from None
    table.show(store.rows, console)
    if stale := store.stale():
        console.print(f"{stale} of the results above were measured with other code; --force measures them again")
    for name, reason in missing.items():
        console.print(f"{name} left out: {reason}", markup=False, highlight=False)


if __name__ == "__main__":
    typer.run(main)
