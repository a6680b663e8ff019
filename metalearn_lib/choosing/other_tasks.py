"""What chapters 10 and 11 stored of tags, relations, roles and translations: rows of the grid, each in its own metric.

`few_shot.json` holds the accuracy of classifiers. These rows come from `tagging.json` and `translation.json`, which the
scripts in tests/benchmarks write.   Chapter 12
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from metalearn_lib.files import results_folder
from metalearn_lib.scores import Score

Row = Mapping[str, Any]
SPANS, HEADS, RIGHT, CHRF = "span F1", "F1 of head words", "accuracy", "chrF"


class Cell(NamedTuple):
    """What a row is about. `examples`: shots of each class, or pairs of texts."""

    metric: str
    corpus: str
    examples: int
    learner: str


def other_rows(folder: Path | None = None) -> dict[Cell, Score]:
    """Each cell's values of all its episodes or texts, splits and trainings, 0 … 1.

    Files that are not in the `folder` (by default data/results/) are passed over. Raises ValueError, naming the file,
    for one that lacks what a row needs.
    """
    found = defaultdict[Cell, list[float]](list)
    for name, read in (("tagging", _tagging), ("translation", _translation)):
        path = (folder or results_folder()) / f"{name}.json"
        if not path.exists():
            continue
        try:
            for cell, values in read(json.loads(path.read_text(encoding="utf-8"))):
                found[cell] += [value / 100 for value in values]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path.name} cannot be read ({error!r}); measure it again") from error
    return {cell: Score.of(values, name=cell.learner) for cell, values in found.items() if len(values) > 1}


def other_tables(rows: Mapping[Cell, Score]) -> Iterator[Table]:
    """A table for each corpus and metric: a line for every learner, a column for every number of examples."""
    for metric, corpus in dict.fromkeys((cell.metric, cell.corpus) for cell in rows):
        own = {cell: score for cell, score in rows.items() if (cell.metric, cell.corpus) == (metric, corpus)}
        examples = sorted({cell.examples for cell in own})
        table = Table(
            "learner", *map(str, examples), title=f"{corpus}: {metric} in %, by examples",
            caption="± is half of the 95 % interval over episodes or texts", caption_justify="left",
        )  # fmt: skip
        for learner in dict.fromkeys(cell.learner for cell in own):
            scores = [own.get(Cell(metric, corpus, number, learner)) for number in examples]
            cells = [f"{100 * s.mean:.1f} ± {50 * (s.high - s.low):.1f}" if s else "–" for s in scores]
            table.add_row(learner, *cells)
        yield table


def _tagging(stored: Row) -> Iterator[tuple[Cell, Sequence[float]]]:
    """Domains of SNIPS, splits of FewRel and predicates are pooled; the sets of types of one corpus are not."""
    for row in stored["results"]:
        corpus, task = row["corpus"], row["task"]
        metric = HEADS if corpus == "roles" else RIGHT if corpus.startswith("fewrel") else SPANS
        pooled = corpus in ("snips", "roles") or corpus.startswith("fewrel")
        name = corpus if pooled else f"{corpus}, {task}"
        learner = f"{row['learner']}, {row['decoder']}" if row["decoder"] else row["learner"]
        yield Cell(metric, name, row["shots"], learner), row["values"]


def _translation(stored: Row) -> Iterator[tuple[Cell, Sequence[float]]]:
    for row in stored["editing"]:
        yield Cell(CHRF, row["pair"], row["pairs"], row["row"]), row["chrf"]
    for row in stored["requests"]:
        corpus = f"home requests, {row['texts']} texts, {row['language']}"
        yield Cell(RIGHT, corpus, row["shots"], row["learner"]), row["accuracy"]
    for row in stored["writing"]:
        pairs = 0 if row["row"] in ("copy", "long") else 500
        yield Cell(CHRF, f"{row['language']}>en", pairs, row["row"].replace(", 500", "")), row["chrf"]
