"""What a chapter shows of its replication: scores over several trainings, and how many of its claims held.

Both belong into cells tagged `nbval-ignore-output`: `replication.json` is no part of a chapter's fingerprint.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from metalearn_lib.course import claims
from metalearn_lib.course.running.chapters import Chapter, find
from metalearn_lib.scores import Score

from .store import Replication, seeds_text, stored_file, upheld_share

LEAST = 3  # trainings over which an interval is shown
_OLDER = ", measured with an older edition"


def replicated(scores: Mapping[str, Score], *, chapter: str, name: str) -> dict[str, Score]:
    """The same rows with an interval over trainings: one mean for each seed that `metalearn replicate` has stored.

    Give the scores of this training by row, the chapter's number, and a name for the table or figure that is the same
    on every seed. Where at least three seeds hold all rows, the values of a returned score are one mean a seed, and
    rows compare seed by seed; elsewhere the scores come back as they are. One printed line says which, over how many
    trainings (those of this run, for scores of `Score.over_trainings`), and whether the library or the chapter has
    changed since. Under `metalearn replicate` the means are noted down. Raises ValueError for an unknown chapter, or a
    `replication.json` that cannot be read.

    For what is shown, in a cell tagged `nbval-ignore-output`; a claim about these numbers would not fail on any seed.

    >>> shown = replicated({"MAML": maml, "tf-idf": floor}, chapter="03", name="news46, 1 shot")  # doctest: +SKIP
    intervals over 10 trainings (seeds 10–19)
    >>> plots.compare(shown, title="…")  # doctest: +SKIP

    Chapter: 03, 04
    """
    means = {row: float(score.mean) for row, score in scores.items()}
    claims.record(kind="score", name=name, means={row: mean for row, mean in means.items() if math.isfinite(mean)})
    about = _chapter(chapter)
    stored = Replication.read(stored_file()).of(about.name)
    by_row = {row["row"]: row["means"] for row in stored.scores if row["name"] == name}
    shared = [set(by_row.get(row, {})) for row in scores]
    seeds = sorted(map(int, set.intersection(*shared))) if shared else []
    if len(seeds) < LEAST:
        over = {score.over for score in scores.values()}
        trained = "trainings" in over
        units = " and ".join(sorted(over - {"trainings", ""})) or "values"  # episodes, texts, …
        here = "the trainings of this run" if trained else f"the {units} of one training"
        apart = f" (rows without training: over its {units})" if trained and len(over) > 1 else ""
        print(f"intervals over {here}{apart}: `metalearn replicate {chapter}` stores more trainings")
        return dict(scores)
    older = _OLDER if set(seeds) & set(stored.older(about)) else ""
    print(f"intervals over {len(seeds)} trainings (seeds {seeds_text(seeds)}){older}")
    key = (about.name, name, tuple(seeds))
    return {
        row: Score.of(
            [by_row[row][str(seed)] for seed in seeds], name=score.name, key=key, share=score.share, over="trainings"
        )
        for row, score in scores.items()
    }


def replication_note(chapter: str) -> str:
    """One sentence: how many of a chapter's measured claims hold on the seeds that `metalearn replicate` has stored.

    Raises ValueError for an unknown chapter, or a `replication.json` that cannot be read.   Chapter: every chapter
    """
    about = _chapter(chapter)
    stored = Replication.read(stored_file()).of(about.name)
    if not stored.claims:
        return f"measured claims: not tried on other seeds yet; `metalearn replicate {chapter}` does it"
    held = sum(not row["missed"] for row in stored.claims)
    seeds = seeds_text([row["seed"] for row in stored.seeds])
    older = _OLDER if stored.older(about) else ""
    return (
        f"measured claims: {held} of {len(stored.claims)} hold on every one of the seeds {seeds}; "
        f"{upheld_share(stored.claims):.1%} of all that was claimed on them held{older}"
    )


def _chapter(name: str) -> Chapter:
    (chapter,) = find([name])
    return chapter
