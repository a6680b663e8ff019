"""The code that something reaches, in a toy library and in ours."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from metalearn_lib.course.running.chapters import Chapter
from metalearn_lib.course.running.fingerprint import imported
from metalearn_lib.files import root
from metalearn_lib.fingerprint import Library, code

TOY = {
    "__init__.py": "if x:\n    from metalearn_lib import corpora\n    from metalearn_lib.learners import MAML\n",
    "corpora/__init__.py": "from .load import load\n\ndef names(): ...\n",
    "corpora/load.py": "def load():\n    from ..text import Fields\n",
    "corpora/fetch.py": "def fetch(): ...\n",
    "text.py": "class Fields: ...\n",
    "learners/__init__.py": "from metalearn_lib.learners.maml import MAML\nfrom . import ridge as closed_form\n",
    "learners/maml.py": "class MAML: ...\n",
    "learners/ridge.py": "from metalearn_lib.corpora.load import load\n",
}


@pytest.fixture
def toy(tmp_path: Path) -> Library:
    for name, text in TOY.items():
        path = tmp_path / "metalearn_lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Library(tmp_path)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("from metalearn_lib import MAML", "learners.maml"),
        ("from metalearn_lib.learners import MAML as M", "learners.maml"),
        ("from metalearn_lib.learners.maml import MAML", "learners.maml"),
        ("from metalearn_lib.corpora import load", "corpora.load text"),  # and what a function imports when called
        ("from metalearn_lib.corpora import names", "corpora corpora.load text"),  # defined there: with all it imports
        ("from metalearn_lib import corpora", "corpora corpora.load text"),
        ("from metalearn_lib.learners import closed_form", "corpora.load learners.ridge text"),
        ("from metalearn_lib.learners import *", "corpora.load learners learners.maml learners.ridge text"),
        ("import metalearn_lib", " corpora corpora.load learners.maml text"),
        ("import metalearn_lib.corpora.fetch", "corpora.fetch"),
        ("if True:\n    !ls\n%pip\nfrom metalearn_lib import text", "text"),
        ("def", " corpora corpora.load learners.maml text"),  # what cannot be read may import everything
        ("from metalearn_library import corpora\nimport torch", None),
    ],
)
def test_the_files_that_imports_lead_to(toy: Library, line: str, expected: str | None) -> None:
    found = [source.name.removeprefix("metalearn_lib").removeprefix(".") for source in toy.reached(imported([line]))]
    assert found == ([] if expected is None else expected.split(" "))


def test_what_code_does_is_the_same_without_comments_docstrings_and_places() -> None:
    def plain(text: str) -> str:
        return code(ast.parse(text))

    same = plain("from .a import b\n\nclass C:\n    def f(self):\n        return b")
    assert (
        plain('"""M."""\nfrom metalearn_lib.x import b\nclass C:\n  """C."""\n  def f(self):\n    return b # d') == same
    )
    others = ("from b import b", "from .a import c as b", "from .a import b\nC = 1")
    assert len({same, *map(plain, others), plain("from c import b")}) == 5


@pytest.mark.parametrize("path", sorted((root() / "notebooks").glob("0*.ipynb")), ids=lambda path: path.stem)
def test_the_home_of_all_that_a_chapter_imports_is_found(path: Path) -> None:
    cells = [cell["source"] for cell in Chapter(path).cells if cell["cell_type"] == "code"]
    found = {source.name for source in Library(root()).reached(imported(cells))}
    names: dict[str, object] = {}
    for node in ast.walk(ast.parse("\n".join(cells))):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("metalearn_lib"):
            exec(ast.unparse(node), names)
    homes = {
        str(getattr(thing, "__name__" if inspect.ismodule(thing) else "__module__", "")) for thing in names.values()
    }
    homes = {home for home in homes if home.startswith("metalearn_lib")}
    assert homes and homes <= found
