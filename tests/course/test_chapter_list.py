"""The list of chapters, and all that must agree with it: notebooks, README, instructors' page, book, map."""

from __future__ import annotations

import re

import matplotlib.patches
import pytest
import yaml
from matplotlib.backends.backend_agg import FigureCanvasAgg

from metalearn_lib.course import chapter_list, chapter_tables
from metalearn_lib.course.chapter_list import Entry, entries, needed
from metalearn_lib.course.course_map import PLACES, course_map
from metalearn_lib.course.exercises import exercises
from metalearn_lib.course.running.chapters import Chapter
from metalearn_lib.files import root
from metalearn_lib.plots.style import png

NOTEBOOKS = root() / "notebooks"
HERE = [entry for entry in entries() if entry.here]
CHAPTERS = [entry for entry in HERE if entry.number]


def test_the_numbers_are_consecutive_and_one_reads_only_backwards() -> None:
    numbered = [entry for entry in entries() if entry.number]
    assert [entry.number for entry in numbered] == [f"{number:02d}" for number in range(len(numbered))]
    assert all(earlier < entry.number for entry in numbered for earlier in entry.after)
    assert needed("06") == {"00", "01", "04"} and needed("00") == set()


def test_this_edition_holds_what_it_says() -> None:
    assert {entry.name for entry in HERE} == {path.stem for path in NOTEBOOKS.glob("*.ipynb")}
    assert all(entry.read and entry.exercises for entry in CHAPTERS)


def test_an_unlisted_notebook_has_no_minutes() -> None:
    assert chapter_list.minutes("04_metric_based") == 60 and chapter_list.minutes("04_mine") == 0


@pytest.mark.parametrize("entry", CHAPTERS, ids=lambda entry: entry.name)
def test_a_chapter_says_the_same_of_itself(entry: Entry) -> None:
    cells = Chapter(NOTEBOOKS / f"{entry.name}.ipynb").cells
    opening = cells[0]["source"]
    assert opening.startswith(f"# {entry.number} · {entry.title}")
    read, exercised = (
        f"{entry.read} minutes of reading and trying",
        f"the exercises take {entry.exercises} minutes more",
    )
    assert f"**Time**: {read}; {exercised}." in opening
    assert sum(exercise.minutes for exercise in exercises(cells)) == entry.exercises
    (part,) = (cell["source"] for cell in cells if "part-exercises" in cell["metadata"].get("tags", []))
    assert f"*{entry.exercises} minutes" in part
    asked = re.search(r"You need\W[^.]*(?:\.ipynb[^.]*)*", opening)
    assert asked is not None
    linked = set(re.findall(r"\]\((\d\d)_\w+\.ipynb\)", asked[0]))
    assert set(entry.after) <= linked <= needed(entry.number)


def test_readme_and_the_instructors_page_show_the_list() -> None:
    def listed(table: str) -> list[list[str]]:  # all but the two columns of a report
        rows = [[cell.strip() for cell in row.split("|")] for row in table.splitlines() if row.startswith("| [")]
        return [[*cells[1:4], cells[6]] for cells in rows]

    readme = (root() / "README.md").read_text(encoding="utf-8").partition("\n## Chapters\n")[2].partition("\n## ")[0]
    assert listed(readme) == listed(chapter_tables.readme_table({}))
    assert chapter_tables.instructors_table() in (NOTEBOOKS / "instructors.md").read_text(encoding="utf-8")


def test_the_table_takes_its_costs_from_a_report() -> None:
    table = chapter_tables.readme_table({"04_metric_based": {"cpu_seconds": 66.0, "peak_mb": 1234}})
    rows = {line.split("]")[0].strip("| ["): line.split("|")[4:6] for line in table.splitlines()[2:]}
    assert rows["04 Metric-based"] == [" 1.1 min ", " 1.2 GB "] and rows["Glossary"] == [" – ", " – "]


def test_the_book_has_the_order_of_the_list() -> None:
    toc = yaml.safe_load((NOTEBOOKS / "_toc.yml").read_text(encoding="utf-8"))
    files = [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]
    assert files == [entry.name for entry in HERE]


def test_the_map_shows_every_chapter_and_nothing_overlaps() -> None:
    figure = course_map()
    FigureCanvasAgg(figure).draw()
    axes, numbered = figure.axes[0], [entry for entry in entries() if entry.number]
    texts = {" ".join(text.get_text().split()): text.get_window_extent() for text in axes.texts}
    assert set(PLACES) == {entry.number for entry in numbered}
    assert {entry.title for entry in numbered} | {entry.number for entry in numbered} <= set(texts)
    shapes = [patch for patch in axes.patches if isinstance(patch, matplotlib.patches.FancyBboxPatch)]
    assert sum(patch.get_linestyle() != "-" for patch in shapes) == sum(not entry.here for entry in numbered)
    boxes = [patch.get_window_extent() for patch in shapes]
    for entry in numbered:
        extent = texts[entry.title]
        assert any(b.x0 < extent.x0 and extent.x1 < b.x1 and b.y0 < extent.y0 and extent.y1 < b.y1 for b in boxes)
    for boxes_ in (boxes, list(texts.values())):
        assert not any(a.overlaps(b) for n, a in enumerate(boxes_) for b in boxes_[:n])


def test_the_stored_picture_is_the_map() -> None:
    stored = (NOTEBOOKS / "images" / "course.png").read_bytes()
    assert png(course_map()) == stored, "draw it anew with: python -m metalearn_lib.course.course_map"
    assert len(stored) < 60_000
