"""The book: what readers get to see, what stops the build, where links to a repository come from."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from metalearn_lib.course import cli
from metalearn_lib.course.book import build as book
from metalearn_lib.course.book import site as book_site
from metalearn_lib.course.running.chapters import Chapter, UsageError
from metalearn_lib.files import root
from tests.course.cells import code, notebook, said, text

ANSWER = 'def double(x):\n    """x → 2x"""\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION'
CHECK = "check.double(double)\n### BEGIN HIDDEN TESTS\ncheck.double(double, cases='hidden')\n### END HIDDEN TESTS"
OPEN = "<!-- ### BEGIN SOLUTION -->\nBecause it is even.\n<!-- ### END SOLUTION -->"
TOC = "format: jb-book\nroot: 00_one\nparts:\n  - caption: More\n    chapters:\n      - file: glossary\n"
SOLUTION = {"nbgrader": {"solution": True, "grade": False}}
built = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in book._NEEDED), reason="jupyter-book is not installed"
)


FAILED = {"output_type": "error", "ename": "ValueError", "evalue": "no such way", "traceback": []}


def write(folder: Path, name: str, *cells: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.ipynb"
    path.write_text(json.dumps(notebook(*cells)), encoding="utf-8")
    return path


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course of two notebooks with the real settings; the first links to the second."""
    folder = tmp_path / "notebooks"
    title = text("# One\n\nA [floor](glossary.ipynb#floor) for $x^2$.")
    exercise = [code(ANSWER, **SOLUTION), code(CHECK, said("fine"))]
    write(folder, "00_one", title, code("print('seen')", said("seen")), *exercise, text(OPEN, **SOLUTION))
    write(folder, "glossary", text("# Glossary\n\n## floor\n\nThe least."))
    shutil.copy(root() / "notebooks" / book.CONFIG, folder)
    (folder / book.TOC).write_text(TOC)
    monkeypatch.setenv("METALEARN_NOTEBOOKS", str(folder))
    return folder


def test_solutions_are_folded_and_hidden_tests_taken_out() -> None:
    made = book.for_reading(notebook(code(ANSWER, **SOLUTION), code(CHECK, said("fine")), text(OPEN, **SOLUTION)))
    stub, answer, check, model = made["cells"]
    assert stub["cell_type"] == "markdown" and "return" not in stub["source"]
    assert stub["source"].endswith('"""x → 2x"""\n    ...  # your answer\n```')
    assert "hide-input" in answer["metadata"]["tags"] and "SOLUTION" not in answer["source"]
    assert answer["source"].endswith("    return 2 * x")
    assert check["source"] == "check.double(double)"
    assert model["source"].startswith("<details><summary>") and "\n\nBecause it is even.\n\n" in model["source"]


def test_the_heading_of_an_exercise_is_its_number_and_title() -> None:
    task = "### Exercise 4.2 · Double it · ●●○ difficulty · ●○○ importance · 5 min · 4 points\n\nWrite `double`."
    (cell,) = book.for_reading(notebook(text(task)))["cells"]
    title, blank, details, *rest = cell["source"].split("\n")
    assert (title, blank) == ("### Exercise 4.2 · Double it", "")
    assert details == "*●●○ difficulty · ●○○ importance · 5 min · 4 points*" and rest == ["", "Write `double`."]


def test_widgets_go_and_figures_keep_their_words() -> None:
    widget = {"output_type": "display_data", "data": {book.WIDGET: {"model_id": "x"}}, "metadata": {}}
    stored = notebook(code("explore(f)", widget, said("kept"), alt="A line that rises."))
    stored["metadata"]["widgets"] = {"state": {}}
    made = book.for_reading(stored)
    assert "widgets" not in made["metadata"] and made["cells"][0]["outputs"] == [said("kept")]
    assert made["cells"][0]["metadata"]["mystnb"]["image"] == {"alt": "A line that rises."}
    assert "widgets" in stored["metadata"]  # the notebook itself is left as it is


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([code("1 / 0", FAILED)], "cell 1: it failed with ValueError: no such way"),
        ([code("x = 1"), code("y = 2", count=None)], "cell 2: it has not been run"),
        ([code("x = 1"), code("y = 2")], "no cell has an output"),
    ],
)
def test_chapters_that_are_not_fit_to_be_shown(tmp_path: Path, cells: list[dict[str, Any]], words: str) -> None:
    found = book.problems_of_outputs(Chapter(write(tmp_path, "05_new", *cells)))
    assert len(found) == 1 and words in found[0] and "metalearn run 05_new --in-place" in found[0]


def test_chapters_that_are_fit_to_be_shown(tmp_path: Path) -> None:
    skipped = code("train_for_days()", count=None, tags=["skip-execution"])
    assert book.problems_of_outputs(Chapter(write(tmp_path, "05_new", code("print(1)", said("1")), skipped))) == []
    assert book.problems_of_outputs(Chapter(write(tmp_path, "words", text("# Only words")))) == []


def test_the_table_of_contents_fits_the_notebooks(course: Path, tmp_path: Path) -> None:
    write(course, "05_new", text("# New"))
    (course / book.TOC).write_text(TOC.replace("glossary", "old"))
    with pytest.raises(book.BookError) as caught:
        book.write_source(tmp_path / "source")
    assert "05_new.ipynb is not in _toc.yml" in str(caught.value) and "_toc.yml lists old" in str(caught.value)


def test_the_real_table_of_contents() -> None:
    import yaml

    toc = yaml.safe_load((root() / "notebooks" / book.TOC).read_text(encoding="utf-8"))
    there = {path.stem for path in (root() / "notebooks").glob("*.ipynb")}
    assert list(book._problems_of_toc(toc, there)) == []


def test_links_to_a_repository_are_the_builders_choice(course: Path, tmp_path: Path) -> None:
    assert book.launch_settings(None) == {}
    book.write_source(tmp_path / "source")
    assert "http" not in (tmp_path / "source" / book.CONFIG).read_text()
    settings = book.launch_settings("https://gitlab.example.org/a/b/", branch="v1", binder="https://hub.example.org")
    book.write_source(tmp_path / "source", settings)
    written = (tmp_path / "source" / book.CONFIG).read_text()
    for words in (
        "url: https://gitlab.example.org/a/b\n",
        "branch: v1",
        "binderhub_url: https://hub.example.org",
        "favicon",
    ):
        assert words in written


@pytest.mark.parametrize("given", [
    {"repository": None, "binder": "https://x.org"}, {"repository": "git@github.com:a/b"},
    {"repository": "https://example.org/a/b"}, {"repository": "https://github.com/a"},
])  # fmt: skip
def test_links_that_cannot_work(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="--repository"):
        book.launch_settings(**given)


def test_the_instructors_page_is_taken_along(course: Path, tmp_path: Path) -> None:
    (course / book.INSTRUCTORS).write_text("# For instructors\n")
    book.write_source(tmp_path / "source")
    assert (tmp_path / "source" / "instructors.md").exists()
    assert "file: instructors" in (tmp_path / "source" / book.TOC).read_text()


def test_what_is_wrong_with_a_site(tmp_path: Path) -> None:
    links = '<a href="b.html#here">1</a><a href="b.html#there">2</a><a href="c.html">3</a><a href="https://x.org">4</a>'
    (tmp_path / "a.html").write_text(f'{links}<script src="https://cdn.example.org/x.js"></script><img src="no.png">')
    (tmp_path / "b.html").write_text('<p id="here"></p>')
    problems = book_site.problems_of_site(tmp_path)
    assert len(problems) == 4
    for words in ("b.html#there", "c.html leads nowhere", "cdn.example.org/x.js from another host", "no.png is not"):
        assert any(words in problem for problem in problems)


def test_the_command_names_every_problem_and_fails(course: Path, tmp_path: Path) -> None:
    write(course, "00_one", code("1 / 0", FAILED), code("2", count=None))
    result = CliRunner().invoke(cli.app, ["book", "--out", str(tmp_path / "site" / "book")])
    assert result.exit_code == 1 and not (tmp_path / "site").exists()
    assert "cell 1: it failed with ValueError" in result.output and "cell 2: it has not been run" in result.output


@built
def test_a_folder_of_something_else_is_left_alone(course: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    for out, says in ((tmp_path / "mine", "it holds something that is no book"), (course, "the chapters themselves")):
        result = CliRunner().invoke(cli.app, ["book", "--out", str(out)])
        assert result.exit_code == 2 and says in result.output
    assert (course / "00_one.ipynb").exists() and (tmp_path / "mine" / "notes.txt").exists()


@built
def test_a_book_is_built_whole_or_not_at_all(course: Path, tmp_path: Path) -> None:
    settings = book.launch_settings("https://gitlab.example.org/a/b", binder="https://hub.example.org")
    beside = tmp_path / "site" / "book-source" / "notes.txt"
    beside.parent.mkdir(parents=True)
    beside.write_text("mine")
    out = book.build(tmp_path / "site" / "book", settings)
    assert beside.read_text() == "mine" and {path.name for path in out.parent.iterdir()} == {"book", "book-source"}
    page = (out / "00_one.html").read_text(encoding="utf-8")
    folded = ("Show the solution", "Show a model answer")
    links = ('href="glossary.html#floor"', 'href="https://gitlab.example.org/a/b"', 'href="https://hub.example.org')
    for words in (*folded, *links, r"\(x^2\)", "mathjax"):
        assert words in page
    assert "HIDDEN" not in page and "thebe" not in page.lower()
    assert (out / "_static" / "mathjax" / "MathJax.js").exists()
    write(course, "00_one", text("# One\n\n[Gone](glossary.ipynb#ceiling)"))
    with pytest.raises(book.BookError, match=r"00_one\.ipynb.*ceiling"):
        book.build(out)
    assert (out / "00_one.html").read_text(encoding="utf-8") == page  # the earlier book is still whole
