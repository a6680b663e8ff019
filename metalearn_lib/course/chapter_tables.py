"""The tables of chapters in README and `notebooks/instructors.md`: from the list, a report, and the replications.

python -m metalearn_lib.course.chapter_tables      prints both, with what the last `metalearn run` measured
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from metalearn_lib.course.chapter_list import entries
from metalearn_lib.course.replication.store import Replication, seeds_text, stored_file, upheld_share
from metalearn_lib.files import root


def readme_table(measured: Mapping[str, Mapping[str, Any]]) -> str:
    """The chapters of this edition; CPU minutes and memory from the entries of a report, where it has them.

    The last column says how many of the measured claims held on the seeds that `metalearn replicate` has stored.
    """
    stored, rows = Replication.read(stored_file()), []
    for entry in entries():
        if entry.here:
            seconds, peak = (measured.get(entry.name, {}).get(key) for key in ("cpu_seconds", "peak_mb"))
            costs = [f"{seconds / 60:.1f} min" if seconds else "–", f"{peak / 1000:.1f} GB" if peak else "–"]
            link = f"[{entry.heading}](notebooks/{entry.name}.ipynb)"
            about_it = [f"{entry.read} min", *costs, _upheld(stored.of(entry.name))]
            rows.append([link, entry.about, *(about_it if entry.number else "––––")])
    return table(["chapter", "what it is about", "to read", "to execute", "memory", "claims on other seeds"], rows)


def instructors_table() -> str:
    """All numbered chapters, with what to read before and the minutes of those that this edition holds."""
    rows = []
    for entry in entries():
        if entry.number:
            name = f"[{entry.heading}]({entry.name}.ipynb)" if entry.here else f"{entry.heading} (to come)"
            times = [str(entry.read), str(entry.exercises)] if entry.here else ["", ""]
            before = ", ".join(entry.after) or "–"
            if entry.any_of:
                before += f", and any of {entry.any_of[0]} to {entry.any_of[-1]}"
            rows.append([name, before, *times])
    return table(["chapter", "read it after", "to read and try, minutes", "exercises, minutes"], rows)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(row)} |".replace("  |", " |") for row in (heads, *rows)]
    return "\n".join([lines[0], "|---" * len(heads) + "|", *lines[1:]])


def _upheld(stored: Replication) -> str:
    if not stored.claims:
        return "–"
    return f"{100 * upheld_share(stored.claims):.1f} % hold ({seeds_text([row['seed'] for row in stored.seeds])})"


if __name__ == "__main__":
    from metalearn_lib.course.running.report import measured

    print(readme_table(measured(root() / "build")), instructors_table(), sep="\n\n")
