"""`make benchmark`: learners × corpora × 1 and 5 shots, beside the published figures, kept in data/results/.

What is already measured with the same code and settings is not measured again; every result is written as it comes, so
an interrupted benchmark continues where it stopped.
"""

from __future__ import annotations

import ast
import hashlib
import json
import platform
import time
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from filelock import FileLock
from rich.console import Console

import metalearn_lib
from metalearn_lib.corpora import Corpus, CorpusError
from metalearn_lib.course.running.chapters import versions
from metalearn_lib.episodes import EpisodeSampler
from metalearn_lib.evaluation import evaluate
from metalearn_lib.files import results_folder, root, write_text
from metalearn_lib.learners import Learner
from metalearn_lib.scores import Score

from . import table
from .recipes import RECIPES, SLOW, Bench, skips
from .settings import SETTINGS

FLOORS = ("tf-idf centroid, plain", "tf-idf centroid, log")
SHOTS = (1, 5)
_QUICK_EPISODES = 100
_PACKAGES = ("metalearn-lib", "torch", "transformers", "scikit-learn", "numpy", "scipy")
_MEASURED = (
    "episodes/*.py", "evaluation.py", "scores.py", "text/*.py", "training/*.py", "corpora/catalog.toml",
    "corpora/corpus.py", "corpora/readers.py", "corpora/splits.py", "encoders/*.py", "inner_loop/*.py",
    "learners/*.py", "choosing/recipes.py", "choosing/settings.py",
)  # fmt: skip
Row = dict[str, Any]
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
    wanted = [n for n in RECIPES if not learners or any(n.startswith(given) for given in learners.split("|"))]
    unknown = [name for name in names if name not in SETTINGS]
    if unknown or not wanted or not names:
        what = f"corpus {', '.join(unknown)}: choose from {', '.join(SETTINGS)}"
        console.print(f"error: unknown {what if unknown else 'learner: choose from ' + ' | '.join(RECIPES)}")
        raise typer.Exit(2)
    store = Store(folder / "few_shot.json", fingerprint=library_fingerprint(), force=force)
    missing: dict[str, str] = {}
    try:
        for name in names:
            chosen = SETTINGS[name].splits[: 1 if quick else splits]
            for split in chosen:
                reason = measure_split(
                    store, name, split, wanted, episodes=_QUICK_EPISODES if quick else episodes, quick=quick
                )
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


def measure_split(
    store: Store, corpus: str, split: str, learners: list[str], *, episodes: int, quick: bool = False
) -> str | None:
    """Measure what is not there yet; returns why the corpus cannot be had, or None."""
    settings = {"quick": quick}
    todo = [n for n in learners if not skips(n, SETTINGS[corpus])]
    todo = [n for n in todo if not all(store.has(corpus, split, n, k, _episodes(n, episodes), settings) for k in SHOTS)]
    if not todo:
        return None
    try:
        train, valid, test = SETTINGS[corpus].parts(corpus, split)
    except CorpusError as error:
        return str(error)
    bench, floors = Bench(SETTINGS[corpus], train, valid, quick=quick), {}
    for name in [*FLOORS, *(n for n in todo if n not in FLOORS)]:
        started = time.perf_counter()
        made = RECIPES[name](bench)
        learner, note = made if isinstance(made, tuple) else (made, "")
        built = time.perf_counter() - started
        scores = _scores(learner, test, _episodes(name, episodes))
        if name in FLOORS:
            floors[name] = scores
        if name not in todo:
            continue
        for k, score in scores.items():
            row = {
                "corpus": corpus, "split": split, "learner": name, "shots": k, "episodes": len(score.values),
                "mean": round(100 * score.mean, 2), "half_width": round(50 * (score.high - score.low), 2),
                "over": {n: _difference(score, floors[n][k]) for n in FLOORS if n in floors and n != name},
                "note": note, "build_seconds": round(built, 1),
            }  # fmt: skip
            store.add(row | settings)
        shown = " / ".join(f"{100 * score.mean:.1f}" for score in scores.values())
        seconds = time.perf_counter() - started
        console.print(f"{corpus} {split}  {name}: {shown}  ({seconds:.0f} s) {note}", markup=False, highlight=False)
    return None


def _episodes(learner: str, episodes: int) -> int:
    return min(episodes, SLOW.get(learner, episodes))


def _scores(learner: Learner, test: Corpus, episodes: int) -> dict[int, Score]:
    return {k: evaluate(learner, EpisodeSampler(test, k_shot=k, seed=0), episodes=episodes) for k in SHOTS}


def _difference(score: Score, floor: Score) -> list[float]:
    """Difference and its 95 % interval in points: paired, over the episodes that both saw."""
    n = min(len(score.values), len(floor.values))
    mine, other = (Score.of(s.values[:n], key=s.key) for s in (score, floor))
    found = mine.minus(other)
    return [round(100 * x, 2) for x in (found.difference, found.low, found.high)]


class Store:
    """few_shot.json: one row for each learner, corpus, split and number of shots; other rows of the file stay."""

    def __init__(self, path: Path, *, fingerprint: str, force: bool = False) -> None:
        self.path, self.fingerprint = path, fingerprint
        self._new: set[tuple[object, ...]] | None = set() if force else None
        self.rows = self._read()

    def _read(self) -> list[Row]:
        if not self.path.exists():
            return []
        try:
            return list(json.loads(self.path.read_text(encoding="utf-8"))["results"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self.path.name} cannot be read ({error}); delete it to start again") from error

    def has(self, corpus: str, split: str, learner: str, shots: int, episodes: int, settings: dict[str, Any]) -> bool:
        """True where this was measured with as many episodes, the same settings and the same code."""
        wanted = settings | {"episodes": episodes, "fingerprint": self.fingerprint}
        key = (corpus, split, learner, shots)
        found = any(_key(row) == key and wanted.items() <= row.items() for row in self.rows)
        return found and (self._new is None or key in self._new)

    def stale(self) -> int:
        """How many rows come from other code."""
        return sum(row["fingerprint"] != self.fingerprint for row in self.rows)

    def add(self, row: Row) -> None:
        """Put the row in the place of its older self and write the file, whole or not at all."""
        row = row | {"fingerprint": self.fingerprint, "date": date.today().isoformat()}
        if self._new is not None:
            self._new.add(_key(row))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_name(f".work-{self.path.name}.lock")):  # two benchmarks may run at once
            kept = [other for other in self._read() if _key(other) != _key(row)]
            self.rows = sorted([*kept, row], key=_order)
            head = json.dumps(about(), ensure_ascii=False, indent=1)
            lines = ",\n".join(json.dumps(other, ensure_ascii=False) for other in self.rows)
            write_text(f'{{"about": {head},\n"results": [\n{lines}\n]}}\n', self.path)


def _key(row: Row) -> tuple[object, ...]:
    return (row["corpus"], row["split"], row["learner"], row["shots"])


def _order(row: Row) -> tuple[object, ...]:
    places = [list(known).index(x) if x in known else len(known) for known, x in
              ((SETTINGS, row["corpus"]), (RECIPES, row["learner"]))]  # fmt: skip
    return (*places, row["shots"], row["split"])


def about() -> dict[str, Any]:
    """Date, versions and kind of machine; no names of hosts or folders."""
    return {
        "date": date.today().isoformat(),
        "protocol": "5-way, 15 queries a class, accuracy in %; half_width and over: 95 % intervals over episodes",
        "python": platform.python_version(),
        "versions": {name: versions()[name] for name in _PACKAGES if name in versions()},
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "threads": torch.get_num_threads(),
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def library_fingerprint() -> str:
    """A hash of what the results depend on: the library's code without comments and docstrings, and the catalog."""
    folder, digest = Path(metalearn_lib.__file__).parent, hashlib.sha256()
    for path in sorted({path for pattern in _MEASURED for path in folder.glob(pattern)}):
        if path.suffix == ".py" and path.stem != "__init__":
            digest.update(_code(path.read_text(encoding="utf-8")).encode())
        elif path.suffix == ".toml":
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _code(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(body, list)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
        ):
            node.body = body[1:]  # type: ignore[attr-defined]
    return ast.dump(tree)
