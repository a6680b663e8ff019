"""The code that something reaches: files of the library, followed by their imports.   Chapter 12, `metalearn run`

Comments, docstrings and places of files do not count: what is described better, or moved, is the same code. A package
that passes a name on is no stop on the way: who takes `Ridge` from `learners` depends on `ridge.py` alone.
"""

from __future__ import annotations

import ast
import hashlib
import json
import tomllib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

_LIBRARY = "metalearn_lib"
_TOLD = ("title", "licence", "citation", "default")  # what the catalog tells people


@dataclass(frozen=True)
class Source:
    """A file of the library, read once, by its dotted name."""

    name: str
    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"))

    @cached_property
    def imports(self) -> list[tuple[str, str]]:
        """Names in this file, and the dotted names of the library that they stand for; imports inside functions too."""
        package = self.name if self.path.stem == "__init__" else self.name.rpartition(".")[0]
        return list(imports(self.tree, package))

    @cached_property
    def code(self) -> str:
        """See the function of this name."""
        return code(self.tree)


class Library:
    """The library in a checkout, as it is when its files are first asked for."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout
        self._modules: dict[str, Source | None] = {}

    def module(self, name: str) -> Source | None:
        """The file of a dotted name; None where this is not a module."""
        if name not in self._modules:
            place = self.checkout.joinpath(*name.split("."))
            files = [path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()]
            self._modules[name] = Source(name, files[0]) if files else None
        return self._modules[name]

    def reached(self, names: Iterable[str], *, without: Collection[str] = ()) -> list[Source]:
        """The files that define dotted names, those that these import, but for rooms and modules `without`."""
        todo, seen, found = list(names), set[str](), dict[str, Source]()
        while todo:
            name = todo.pop()
            module, _, inner = name.rpartition(".")
            if name in seen or not name:
                continue
            seen.add(name)
            if source := self.module(name):
                if not any(f"{name}.".startswith(f"{part}.") for part in without):
                    found[name] = source
                    todo += [target for _, target in source.imports]
            elif package := self.module(module):
                passed_on = [target for here, target in package.imports if here == inner]
                todo += passed_on if package.path.stem == "__init__" and passed_on else [module]
            else:  # a name inside a class, or nothing
                todo.append(module)
        return [found[name] for name in sorted(found)]


def catalog(library: Library) -> dict[str, Any]:
    """The catalog of corpora in a checkout, as it is written down."""
    return tomllib.loads((library.checkout / _LIBRARY / "corpora" / "catalog.toml").read_text(encoding="utf-8"))


def entries(listed: dict[str, Any], name: str) -> dict[str, Any]:
    """What a catalog says of a corpus and of those it is made from, with the hashes of their files."""
    entry = {key: value for key, value in listed["corpus"].get(name, {}).items() if key not in _TOLD}
    files = listed["source"].get(entry.get("source"), {}).get("files", [])
    found = {name: entry | {"files": [[file["path"], file["sha256"]] for file in files]}}
    for part in entry.get("derived_from", ()):
        found |= entries(listed, part)
    return found


def imports(tree: ast.AST, package: str = "") -> Iterator[tuple[str, str]]:
    """Names that code imports from the library, and what they stand for: ("Ridge", "metalearn_lib.learners.Ridge")."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((_LIBRARY, name.name) for name in node.names if name.name.split(".")[0] == _LIBRARY)
        elif isinstance(node, ast.ImportFrom) and _inside(node):
            above = package.split(".")[: 1 - node.level or None] if node.level else []
            origin = ".".join([*above, *filter(None, [node.module])])
            yield from ((name.asname or name.name, f"{origin}.{name.name}") for name in node.names)


def code(node: ast.AST) -> str:
    """What code does, as a text that is the same in every version of Python: no comments, docstrings, empty fields."""
    return json.dumps(_plain(node))


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        said = [isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant) for child in node]
        return [_plain(child) for child, docstring in zip(node, said, strict=True) if not docstring]
    if isinstance(node, ast.AST):
        moved = ("module", "level") if isinstance(node, ast.ImportFrom) and _inside(node) else ()
        fields = [(name, value) for name, value in ast.iter_fields(node) if name not in moved]
        return [type(node).__name__, {name: _plain(value) for name, value in fields if value not in (None, [])}]
    return repr(node)


def _inside(node: ast.ImportFrom) -> bool:
    return bool(node.level) or (node.module or "").split(".")[0] == _LIBRARY


def digest(parts: object) -> str:
    """sha256 of lists, dictionaries, texts and numbers."""
    return hashlib.sha256(json.dumps(parts, default=str, sort_keys=True).encode()).hexdigest()
