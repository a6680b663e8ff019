"""One hash of all that the result of a chapter depends on: where it has not changed, nothing is executed again.

It names the cells and parameters, the files that parameters name, the quiz, the code of the library that the chapter
can import (comments and docstrings do not count), the files of `data/` that this code or the chapter names, the
installed packages and Python. The data cache is left out: its files are verified against the library's catalog.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from metalearn_lib.files import root

from .chapters import Chapter, versions

_LIBRARY = "metalearn_lib"
_ALWAYS = (f"{_LIBRARY}.course.running.worker", f"{_LIBRARY}.course.running.cleaning")  # they make the outputs
_NO_INPUT = {"README.md", "replication.json"}  # of data/: for people, and what is measured with all chapters at hand


def fingerprint(chapter: Chapter, parameters: Mapping[str, Any]) -> str:
    """The hash of a chapter executed with these parameters: those that differ from its defaults."""
    cells = [(cell["cell_type"], cell["source"], cell["metadata"]) for cell in chapter.cells]
    code = [cell["source"] for cell in chapter.cells if cell["cell_type"] == "code"]
    modules = library_files(code, also=[*_ALWAYS, f"{_LIBRARY}.course.exercises.checks.chapter_{chapter.number}"])
    files = {path.relative_to(root()).as_posix(): code_hash(path) for path in [*modules, *_data_files(code, modules)]}
    named = {**chapter.parameters, **parameters}.values()
    named_files = [chapter.path.parent / value for value in named if isinstance(value, str) and value]
    mine = [file_hash(path) for path in [*named_files, chapter.quiz] if path.is_file()]
    parts = [cells, sorted(parameters.items()), files, mine, sorted(versions().items()), platform.python_version()]
    return hashlib.sha256(json.dumps(parts, default=str, sort_keys=True).encode()).hexdigest()


def library_files(sources: Sequence[str], also: Sequence[str] = ()) -> list[Path]:
    """The files of the library that code can import, directly or through others, and the .toml files they name."""
    todo = [name for source in sources for name in _imports(_tree(source), "")] + list(also)
    found: set[Path] = set()
    while todo:
        for path in _files_of(todo.pop()):
            if path not in found:
                found.add(path)
                todo += [] if path == _front() else _imported_by(path)
    tables = {(path, table) for path in found for table in path.parent.glob("*.toml")}
    return sorted(found | {table for path, table in tables if table.name in _text(path)})


def _front() -> Path:
    """The root of the library exports names lazily: only those that are asked for are followed."""
    return root() / _LIBRARY / "__init__.py"


@cache
def _files_of(name: str) -> list[Path]:
    """The files that an import of `metalearn_lib.a.b.c` executes; the last parts may be names inside a module."""
    parts, found = name.split("."), []
    for end in range(1, len(parts) + 1):
        place = root().joinpath(*parts[:end])
        path = next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)
        if path is not None:
            found.append(path)
        elif not place.is_dir():
            if end == 2:  # a name of the root: its home stands among the root's imports; any other may be anything
                homes = [home for home in _imported_by(_front()) if home.endswith(f".{parts[1]}") and home != name]
                whole = sorted((root() / _LIBRARY).rglob("*.py"))
                return found + ([file for home in homes for file in _files_of(home)] or whole)
            return found
    return found


@cache
def _imported_by(path: Path) -> list[str]:
    package = path.parent.relative_to(root()).as_posix().replace("/", ".")
    return list(_imports(ast.parse(_text(path)), package))


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Dotted names of what a tree imports of the library, at once or later; every name of it for `import` alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == _LIBRARY:
                    yield from (alias.name, f"{_LIBRARY}.*")
        elif isinstance(node, ast.ImportFrom):
            folders = package.split(".")
            base = ".".join([*folders[: len(folders) - node.level + 1], node.module or ""] if node.level else
                            [node.module or ""]).strip(".")  # fmt: skip
            if base.split(".")[0] == _LIBRARY:
                yield from (f"{base}.{alias.name}" for alias in node.names)


def _tree(source: str) -> ast.AST:
    """A cell, its lines of IPython's own left out; what cannot be parsed may import everything."""
    try:
        return ast.parse(re.sub(r"(?m)^(\s*)[%!?].*$", r"\1pass", source))
    except (SyntaxError, ValueError):
        return ast.parse(f"import {_LIBRARY}")


def _data_files(code: Sequence[str], modules: Sequence[Path]) -> Iterator[Path]:
    """The files kept in `data/` that a module names, or a cell (there without its ending, too: a stored result)."""
    folder, cells, library = root() / "data", "\n".join(code), "\n".join(map(_text, modules))
    caches = {folder / "cache", Path(os.environ.get("METALEARN_DATA") or folder / "cache").absolute()}
    for path in sorted(
        path for place in folder.glob("*") if place not in caches for path in (place, *place.rglob("*"))
    ):
        stored = re.search(rf"[\"']{re.escape(path.stem)}[\"']", cells)
        named = path.name in cells or path.name in library or stored
        if named and path.is_file() and path.name not in _NO_INPUT and not caches & set(path.parents):
            yield path


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def code_hash(path: Path) -> str:
    """A hash of what a file does: of Python without comments and docstrings, of any other file all bytes."""
    if path.suffix != ".py":
        return file_hash(path)
    tree = ast.parse(_text(path))
    for node in ast.walk(tree):
        documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def file_hash(path: Path) -> str:
    """sha256 of all bytes of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
