"""What makes a chapter execute again, and what does not."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metalearn_lib.course.running import fingerprint as module
from metalearn_lib.course.running.chapters import Chapter
from metalearn_lib.course.running.fingerprint import fingerprint, library_files
from metalearn_lib.files import root

LIBRARY = {
    "__init__.py": "if x:\n    from metalearn_lib import corpora\n    from metalearn_lib.learners import MAML\n",
    "course/__init__.py": "from .claims import claim\n",
    "course/claims.py": "def claim(): ...\n",
    "course/running/worker.py": "from .cleaning import clean\n",
    "course/running/cleaning.py": "def clean(): ...\n",
    "course/exercises/checks/chapter_04.py": "def check(): ...\n",
    "course/exercises/checks/chapter_05.py": "def check(): ...\n",
    "corpora/__init__.py": "def load():\n    from .catalog import describe\n",
    "corpora/catalog.py": "TABLE = 'catalog.toml'\n",
    "corpora/catalog.toml": "[news]\n",
    "corpora/other.toml": "[news]\n",
    "learners/__init__.py": "from metalearn_lib.learners.maml import MAML\n",
    "learners/maml.py": 'class MAML:\n    """One."""\n\n    def predict(self):\n        return 1\n',
    "choosing/table.py": "PATH = 'published.toml'\n",
}
DATA = ("README.md", "published.toml", "dialogs.jsonl", "results/replication.json", "results/gpu/tuned.json",
        "results/speed.json", "cache/tuned.json", "mine/tuned.json", "talks/talks.jsonl")  # fmt: skip
CODE = "from metalearn_lib import MAML, corpora\nfrom metalearn_lib.course import claim\nshow('tuned')"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_notebook: Any) -> Iterator[Path]:
    for name, text in LIBRARY.items():
        write(tmp_path / "metalearn_lib" / name, text)
    for name in DATA:
        write(tmp_path / "data" / name, "1")
    write(tmp_path / "notebooks" / "quizzes" / "04.json", "[]")
    write(tmp_path / "notebooks" / "quizzes" / "05.json", "[]")
    write_notebook("04_x", CODE)
    monkeypatch.setattr(module, "root", lambda: tmp_path)
    monkeypatch.setenv("METALEARN_DATA", str(tmp_path / "data" / "mine"))
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    """What was read of the library is kept for a whole run; here it changes."""
    for function in (module._files_of, module._imported_by, module._text, module.code_hash):
        function.cache_clear()


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def made(checkout: Path, **parameters: Any) -> str:
    forget()
    return fingerprint(Chapter(checkout / "notebooks" / "04_x.ipynb"), parameters)


@pytest.mark.parametrize("name", [
    "metalearn_lib/learners/maml.py", "metalearn_lib/learners/__init__.py", "metalearn_lib/corpora/catalog.py",
    "metalearn_lib/corpora/catalog.toml", "metalearn_lib/course/claims.py", "metalearn_lib/course/running/cleaning.py",
    "metalearn_lib/course/exercises/checks/chapter_04.py", "data/results/gpu/tuned.json", "notebooks/quizzes/04.json",
])  # fmt: skip
def test_what_a_chapter_can_reach_counts(checkout: Path, name: str) -> None:
    before = made(checkout)
    write(checkout / name, (checkout / name).read_text() + "\nchanged = 1\n")
    assert made(checkout) != before


@pytest.mark.parametrize("name", [
    *(f"data/{name}" for name in DATA if name != "results/gpu/tuned.json"), "metalearn_lib/corpora/other.toml",
    "metalearn_lib/choosing/table.py", "metalearn_lib/course/exercises/checks/chapter_05.py",
    "notebooks/quizzes/05.json",
])  # fmt: skip
def test_what_it_cannot_reach_does_not(checkout: Path, name: str) -> None:
    before = made(checkout)
    write(checkout / name, (checkout / name).read_text() + "\nchanged = 1\n")
    assert made(checkout) == before


def test_a_file_of_data_counts_where_it_is_named(checkout: Path, write_notebook: Any) -> None:
    for code, name in (
        ("from metalearn_lib.choosing import table", "published.toml"),
        ("load('data/dialogs.jsonl')", "dialogs.jsonl"),
        ("load('talks')", "talks/talks.jsonl"),
    ):
        write_notebook("04_x", code)
        before = made(checkout)
        write(checkout / "data" / name, f"changed for {code}")
        assert made(checkout) != before, name


def test_comments_and_docstrings_do_not_count_but_code_does(checkout: Path) -> None:
    before, path = made(checkout), checkout / "metalearn_lib" / "learners" / "maml.py"
    write(path, path.read_text().replace("One.", "Another.") + "# said\n")
    assert made(checkout) == before
    write(path, path.read_text().replace("return 1", "return 2"))
    assert made(checkout) != before


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
    write(mine, "one")
    before, default = made(checkout, csv=str(mine)), made(checkout)
    write(mine, "two")
    assert made(checkout, csv=str(mine)) != before and made(checkout) == default
    write_notebook("04_x", CODE, parameters='seed = 0\ncsv = "../mine.csv"')  # a default, from where kernels run
    before = made(checkout)
    write(mine, "three")
    assert made(checkout) != before


def test_what_cannot_be_read_may_import_everything(checkout: Path) -> None:
    everything = library_files(["import metalearn_lib"])
    assert [path.name for path in library_files(["def"])] == [path.name for path in everything]
    assert checkout / "metalearn_lib" / "learners" / "maml.py" in everything
    lines = library_files(["%matplotlib inline\nif True:\n    !ls\nfrom metalearn_lib.learners.maml import MAML"])
    assert checkout / "metalearn_lib" / "learners" / "maml.py" in lines
    assert checkout / "metalearn_lib" / "corpora" / "catalog.py" not in lines


@pytest.mark.parametrize("path", sorted((root() / "notebooks").glob("0*.ipynb"))[::3], ids=lambda path: path.stem)
def test_all_that_a_chapter_imports_is_found(path: Path) -> None:
    code = [cell["source"] for cell in Chapter(path).cells if cell["cell_type"] == "code"]
    imports = [
        ast.unparse(node)
        for source in code
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    files = "[m.__file__ for name, m in sys.modules.items() if name.startswith('metalearn_lib')]"
    shown = f"import json, sys\nprint(json.dumps({files}))"
    words = [sys.executable, "-c", "\n".join([*imports, shown])]
    loaded = json.loads(subprocess.run(words, capture_output=True, text=True, check=True, cwd=root()).stdout)
    assert {Path(file) for file in loaded if file} <= set(library_files(code))
