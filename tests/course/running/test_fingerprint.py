"""What makes a chapter execute again, and what does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from metalearn_lib.course.running import fingerprint as module
from metalearn_lib.course.running.chapters import Chapter
from metalearn_lib.course.running.fingerprint import fingerprint
from metalearn_lib.fingerprint import Library

LIBRARY = {
    "__init__.py": "if x:\n    from metalearn_lib import corpora\n    from metalearn_lib.learners import MAML\n",
    "course/__init__.py": "from .claims import claim\n",
    "course/claims.py": "def claim(): ...\nSTORED = 'replication.json'\n",
    "course/running/worker.py": "from .cleaning import clean\n",
    "course/running/cleaning.py": "def clean(): ...\n",
    "course/exercises/checks/chapter_04.py": "def check(): ...\n",
    "course/exercises/checks/chapter_05.py": "def check(): ...\n",
    "corpora/__init__.py": "from .catalog import describe\n",
    "corpora/catalog.py": "TABLE = 'catalog.toml'\n",
    "corpora/catalog.toml": "[source.usenet]\nfiles = []\n[corpus.news]\nsource = 'usenet'\n[corpus.tales]\n",
    "corpora/other.toml": "[news]\n",
    "learners/__init__.py": "from .maml import MAML\nfrom .ridge import Ridge\n",
    "learners/maml.py": 'class MAML:\n    """One."""\n',
    "learners/ridge.py": "class Ridge: ...\n",
    "choosing/table.py": "PATH = 'published.toml'\n",
}
DATA = ("README.md", "published.toml", "dialogs.jsonl", "results/replication.json", "results/gpu/tuned.json",
        "results/speed.json", "cache/tuned.json", "mine/tuned.json", "talks/talks.jsonl")  # fmt: skip
CODE = "from metalearn_lib import MAML, corpora\nfrom metalearn_lib.course import claim\nshow('tuned', 'replication')"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_notebook: Any) -> Path:
    files = {f"metalearn_lib/{name}": text for name, text in LIBRARY.items()} | {f"data/{name}": "1" for name in DATA}
    for name, text in {**files, "notebooks/quizzes/04.json": "[]", "notebooks/quizzes/05.json": "[]"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    write_notebook("04_x", CODE)
    monkeypatch.setenv("METALEARN_DATA", str(tmp_path / "data" / "mine"))
    return tmp_path


def made(checkout: Path, **parameters: Any) -> str:
    return fingerprint(Chapter(checkout / "notebooks" / "04_x.ipynb"), parameters, Library(checkout))


REACHED = (
    "metalearn_lib/learners/maml.py", "metalearn_lib/corpora/__init__.py", "metalearn_lib/corpora/catalog.py",
    "metalearn_lib/corpora/catalog.toml", "metalearn_lib/course/claims.py", "metalearn_lib/course/running/cleaning.py",
    "metalearn_lib/course/exercises/checks/chapter_04.py", "data/results/gpu/tuned.json", "notebooks/quizzes/04.json",
)  # fmt: skip
OTHERS = (
    *(f"data/{name}" for name in DATA if name != "results/gpu/tuned.json"), "metalearn_lib/corpora/other.toml",
    "metalearn_lib/choosing/table.py", "metalearn_lib/course/exercises/checks/chapter_05.py",
    "metalearn_lib/learners/ridge.py", "notebooks/quizzes/05.json",
)  # fmt: skip


@pytest.mark.parametrize("name", [*REACHED, *OTHERS])
def test_what_a_chapter_can_reach_counts_and_nothing_else(checkout: Path, name: str) -> None:
    before = made(checkout)
    with (checkout / name).open("a") as file:
        file.write("\nchanged = 1\n")
    assert (made(checkout) != before) == (name in REACHED)


def test_a_file_of_data_counts_where_it_is_named(checkout: Path, write_notebook: Any) -> None:
    for code, name in (
        ("from metalearn_lib.choosing import table", "published.toml"),
        ("load('data/dialogs.jsonl')", "dialogs.jsonl"),
        ("load('talks')", "talks/talks.jsonl"),
    ):
        write_notebook("04_x", code)
        before = made(checkout)
        (checkout / "data" / name).write_text(f"changed for {code}")
        assert made(checkout) != before, name


def test_the_edition_of_cells_is_what_their_code_does(checkout: Path, write_notebook: Any) -> None:
    def edition(*cells: str) -> tuple[str, str]:
        chapter = Chapter(write_notebook("04_x", *cells))
        return module.cells_hash(chapter), module.library_hash(chapter, Library(checkout))

    before = edition(CODE)
    assert edition("# a comment\n" + CODE.replace("(", "( "), "# nothing\n") == before
    assert edition(CODE.replace("tuned", "other"))[0] != before[0] and edition(CODE, "%time f(")[0] != before[0]
    assert edition(CODE, "!one")[0] != before[0] and edition("a b")[0] != edition("a c")[0]  # no Python: as it is
    edition(CODE)
    for name, counts in (("data/results/replication.json", False), ("metalearn_lib/learners/maml.py", True)):
        with (checkout / name).open("a") as file:
            file.write("\nchanged = 1\n")
        assert edition(CODE)[0] == before[0] and (edition(CODE)[1] != before[1]) == counts


def test_of_the_catalog_what_is_read_counts_for_the_edition(checkout: Path, write_notebook: Any) -> None:
    chapter = Chapter(write_notebook("04_x", CODE + "\ncorpora.load('news')"))
    path = checkout / "metalearn_lib" / "corpora" / "catalog.toml"

    def edition(text: str) -> str:
        path.write_text(text)
        return module.library_hash(chapter, Library(checkout))

    before = path.read_text()
    assert edition(before + "min_size = 3\n[corpus.talks]\n") == edition(before)  # other corpora
    assert edition(before.replace("[corpus.news]", "[corpus.news]\nlicence = 'free'")) == edition(before)
    for old, new in (
        ("files = []", "files = [{ path = 'a', sha256 = 'b' }]"),
        ("[corpus.news]", "[corpus.news]\nkeep = { min_size = 3 }"),
        ("source = 'usenet'", "derived_from = ['tales']"),
    ):
        assert edition(before.replace(old, new)) != edition(before), new


def test_of_the_grid_the_rows_of_named_learners_count_for_the_edition(checkout: Path, write_notebook: Any) -> None:
    path = checkout / "data" / "results" / "few_shot.json"
    path.parent.mkdir(exist_ok=True)

    def edition(chapter: Chapter, **means: float) -> str:
        rows = [{"learner": name.replace("_", " "), "mean": mean} for name, mean in means.items()]
        path.write_text(json.dumps({"results": rows}))
        return module.library_hash(chapter, Library(checkout))

    one = Chapter(write_notebook("04_x", "read('few_shot')['tuned ridge']"))
    before = edition(one, tuned_ridge=70.0, ridge=60.0)
    assert edition(one, tuned_ridge=70.0, ridge=61.0, writer=80.0) == before
    assert edition(one, tuned_ridge=71.0, ridge=60.0) != before
    every = Chapter(write_notebook("04_y", "read('few_shot')"))
    assert edition(every, ridge=60.0) != edition(every, ridge=60.0, writer=80.0)  # it names none: it may show all


def test_a_chapter_more_does_not_change_the_edition(checkout: Path, write_notebook: Any) -> None:
    chapter = Chapter(write_notebook("04_x", CODE))
    claims = checkout / "metalearn_lib" / "course" / "claims.py"
    claims.write_text(claims.read_text() + "LIST = 'chapters.toml'\n")
    listed = checkout / "metalearn_lib" / "course" / "chapters.toml"
    listed.write_text("[[chapter]]\n")
    before = module.library_hash(chapter, Library(checkout))
    listed.write_text("[[chapter]]\n[[chapter]]\n")
    assert module.library_hash(chapter, Library(checkout)) == before


def test_a_docstring_does_not_count(checkout: Path) -> None:
    before, path = made(checkout), checkout / "metalearn_lib" / "learners" / "maml.py"
    path.write_text(path.read_text().replace("One.", "Another."))
    assert made(checkout) == before


def test_cells_parameters_packages_and_python_count(
    checkout: Path, write_notebook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = [made(checkout), made(checkout, seed=1)]
    with monkeypatch.context() as patch:
        patch.setattr(module, "versions", lambda: {"torch": "0.1"})
        seen.append(made(checkout))
    with monkeypatch.context() as patch:
        patch.setattr(module.platform, "python_version", lambda: "3.99")
        seen.append(made(checkout))
    write_notebook("04_x", CODE + "\nprint(2)")
    seen.append(made(checkout))
    assert len(set(seen)) == len(seen)


def test_the_file_that_a_parameter_names_counts(checkout: Path, write_notebook: Any) -> None:
    mine = checkout / "mine.csv"
    mine.write_text("one")
    before, default = made(checkout, csv=str(mine)), made(checkout)
    mine.write_text("two")
    assert made(checkout, csv=str(mine)) != before and made(checkout) == default
    write_notebook("04_x", CODE, parameters='seed = 0\ncsv = "../mine.csv"')  # a default, from where kernels run
    before = made(checkout)
    mine.write_text("three")
    assert made(checkout) != before
