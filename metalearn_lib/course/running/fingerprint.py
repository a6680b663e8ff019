"""One hash of all that the result of a chapter depends on: where it has not changed, nothing is executed again.

It names the cells and parameters, the files that parameters name, the quiz, the code of the library that the chapter
can reach (comments and docstrings do not count), the files of `data/` that this code or the chapter names, the
installed packages and Python. The data cache is left out: its files are verified against the library's catalog.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import platform
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from metalearn_lib.fingerprint import Library, Source, catalog, code, digest, entries, imports

from .chapters import Chapter, versions

_LIBRARY = "metalearn_lib"
_ALWAYS = (f"{_LIBRARY}.course.running.worker", f"{_LIBRARY}.course.running.cleaning")  # they make the outputs
# What a chapter measures does not depend on how it is executed, its answers are checked and its claims stored, and on
# how files are fetched, kept and found. What the catalog says of a corpus counts by itself.
_WITHOUT_EFFECT = {
    *(f"{_LIBRARY}.course.{room}" for room in ("exercises", "replication", "running")),
    *(
        f"{_LIBRARY}.{name}"
        for name in ("corpora.catalog", "corpora.fetch", "encoders.cache", "progress", "errors", "files")
    ),
}
_LISTS = {"catalog.toml", "chapters.toml"}  # they grow with every corpus and chapter
_GRID = "few_shot.json"  # it grows with every learner
_NO_INPUT = {"README.md", "replication.json"}  # of data/: for people, and what is measured with all chapters at hand


def fingerprint(chapter: Chapter, parameters: Mapping[str, Any], library: Library) -> str:
    """The hash of a chapter executed with these parameters: those that differ from its defaults."""
    cells = [(cell["cell_type"], cell["source"], cell["metadata"]) for cell in chapter.cells]
    reached = _reached(chapter, library)
    given = {**chapter.parameters, **parameters}.values()
    files = [chapter.path.parent / value for value in given if isinstance(value, str) and value]
    files = [path for path in [*files, chapter.quiz] if path.is_file()]
    files += _named(_code_cells(chapter), reached, library.checkout)
    parts = [cells, sorted(parameters.items()), {source.name: source.code for source in reached},
             [file_hash(path) for path in files], sorted(versions().items()), platform.python_version()]  # fmt: skip
    return digest(parts)


def cells_hash(chapter: Chapter) -> str:
    """A hash of what the code cells of a chapter do; comments, layout, docstrings and prose do not count."""
    trees = [(_parsed(cell), cell) for cell in _code_cells(chapter)]
    return digest([code(tree) if tree else cell for tree, cell in trees if tree is None or tree.body])


def library_hash(chapter: Chapter, library: Library) -> str:
    """A hash of the code of the library that what a chapter measures depends on, and of the files that it names.

    A corpus, a chapter or a learner more changes none of it: of the catalog those entries count that the code names, of
    the grid the rows of learners that it names.
    """
    reached = _reached(chapter, library, without=_WITHOUT_EFFECT)
    cells = _code_cells(chapter)
    files = [path for path in _named(cells, reached, library.checkout) if path.name not in _LISTS]
    code, listed = "\n".join([*cells, *(source.code for source in reached)]), catalog(library)
    told = [entries(listed, name) for name in sorted(listed["corpus"]) if re.search(rf"[\"']{name}[\"']", code)]
    held = [_rows_of(path, code) if path.name == _GRID else file_hash(path) for path in files]
    return digest([{source.name: source.code for source in reached}, held, told])


def _rows_of(path: Path, code: str) -> str:
    """A hash of the rows of the learners that code names; of all rows where it names none."""
    rows = json.loads(path.read_text(encoding="utf-8"))["results"]
    named = [row for row in rows if re.search(rf"[\"']{re.escape(row['learner'])}[\"']", code)]
    return digest(named or rows)


def imported(cells: Sequence[str]) -> list[str]:
    """What cells import of the library; one that cannot be read may import everything."""
    trees = [_parsed(cell) for cell in cells]
    return [name for tree in trees for name in ([name for _, name in imports(tree)] if tree else [_LIBRARY])]


def _reached(chapter: Chapter, library: Library, without: Collection[str] = ()) -> list[Source]:
    names = [*imported(_code_cells(chapter)), *_ALWAYS, f"{_LIBRARY}.course.exercises.checks.chapter_{chapter.number}"]
    return library.reached(names, without=without)


def _code_cells(chapter: Chapter) -> list[str]:
    return [cell["source"] for cell in chapter.cells if cell["cell_type"] == "code"]


def _parsed(cell: str) -> ast.Module | None:
    """The code of a cell, lines of IPython left out; None where it cannot be read."""
    try:
        return ast.parse(re.sub(r"(?m)^(\s*)[%!?].*$", r"\1pass", cell))
    except (SyntaxError, ValueError):
        return None


def _named(cells: Sequence[str], reached: Sequence[Source], checkout: Path) -> Iterator[Path]:
    """The files in `data/`, and tables of the library, that code names; a stored result without its ending, too."""
    data, code = checkout / "data", "\n".join(cells)
    library = "\n".join(source.code for source in reached)
    caches = {data / "cache", Path(os.environ.get("METALEARN_DATA") or data / "cache").absolute()}
    kept = [path for place in data.glob("*") if place not in caches for path in (place, *place.rglob("*"))]
    for path in sorted([*kept, *(checkout / _LIBRARY).rglob("*.toml")]):
        stored = re.search(rf"[\"']{re.escape(path.stem)}[\"']", code)
        named = path.name in code or path.name in library or stored
        if named and path.is_file() and path.name not in _NO_INPUT and not caches & set(path.parents):
            yield path


def file_hash(path: Path) -> str:
    """sha256 of all bytes of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
