"""What a row of the grid depends on, and nothing else: the code that its learner can reach, its corpus, its settings.

Code is followed from definition to definition (a function, a class, a constant of a module), without comments,
docstrings, imports and names of files: an edit elsewhere, or a move, leaves a row as fresh as it was.   Chapter 12
"""

from __future__ import annotations

import ast
import hashlib
import json
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import metalearn_lib
from metalearn_lib.choosing.recipes import FLOORS, RECIPES
from metalearn_lib.choosing.settings import SETTINGS

_PACKAGE = "metalearn_lib"
_ROOTS = (("measure", "scores"), ("measure", "difference"), ("recipes", "RECIPES"), ("settings", "SETTINGS"))
# They bring files that are compared with their hashes, keep what was computed, show bars: results do not depend on how.
# What the catalog says is part of the fingerprint itself.
_WITHOUT_EFFECT = {
    f"{_PACKAGE}.{name}"
    for name in ("corpora.catalog", "corpora.fetch", "encoders.cache", "progress", "errors", "files")
}
_TOLD = ("title", "licence", "citation", "default")  # what the catalog tells people
_PRETRAINED = ("torch", "transformers")  # their versions count where a pretrained Transformer is reached

Place = tuple[str, str]  # a module and a name in it; "" is what the module does when it is imported


@cache
def fingerprint(learner: str, corpus: str) -> str:
    """A hash of all that the results of a learner on a corpus depend on, but for the number of episodes."""
    return _library().fingerprint(learner, corpus)


@cache
def _library() -> Library:
    return Library(Path(metalearn_lib.__file__).parent)


class Library:
    """The source of the library in a folder, read module by module when first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._modules: dict[str, _Module | None] = {}
        self._known: dict[ast.stmt, _Facts] = {}
        self._catalog = tomllib.loads((folder / "corpora" / "catalog.toml").read_text(encoding="utf-8"))
        self._names = {*RECIPES, *SETTINGS, *_texts(list(self._catalog["corpus"].items()))}

    def fingerprint(self, learner: str, corpus: str) -> str:
        """See the function of this name."""
        entries = self._entries(corpus)
        others = self._names - {learner, *FLOORS, corpus, *_texts(list(entries.items()))}
        code, outside, texts = self._reach(others)
        models = {name for name in texts if self._catalog["corpus"].get(name, {}).get("content", "corpus") != "corpus"}
        for name in models & self._catalog["corpus"].keys():
            entries |= self._entries(name)
        pretrained = any(name.startswith("transformers") for name in outside)
        versions = [metadata.version(name).partition("+")[0] for name in _PRETRAINED if pretrained]
        everything = [sorted(code), sorted(outside), entries, versions]
        return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()[:16]

    def _entries(self, name: str) -> dict[str, Any]:
        """What the catalog says of a corpus and of those it is made from, with the hashes of their files."""
        entry = {key: value for key, value in self._catalog["corpus"].get(name, {}).items() if key not in _TOLD}
        files = self._catalog["source"].get(entry.get("source"), {}).get("files", [])
        found = {name: entry | {"files": [[file["path"], file["sha256"]] for file in files]}}
        for part in entry.get("derived_from", ()):
            found |= self._entries(part)
        return found

    def _reach(self, others: set[str]) -> tuple[set[str], set[str], set[str]]:
        """Code that the roots reach; names that it takes from other packages; texts in it.

        A dictionary that lists things by name counts without the entries of `others`.
        """
        code, outside, texts = set[str](), set[str](), set[str]()
        waiting: list[Place] = [(f"{_PACKAGE}.choosing.{module}", name) for module, name in _ROOTS]
        seen = set(waiting)
        while waiting:
            module, name = waiting.pop()
            source = self._module(module)
            for statement in source.definitions[name] if source else ():
                facts = self._facts(module, statement, others)
                code.add(facts.code)
                texts |= facts.texts
                for place in facts.places:
                    if place[0].partition(".")[0] != _PACKAGE:
                        outside.add(".".join(filter(None, place)))
                    elif place[0] not in _WITHOUT_EFFECT:
                        new = {place, (place[0], "")} - seen
                        waiting.extend(new)
                        seen |= new
        return code, outside, texts

    def _facts(self, module: str, statement: ast.stmt, others: set[str]) -> _Facts:
        if statement in self._known:
            return self._known[statement]
        table = getattr(statement, "value", None)
        parts: list[ast.AST] = [statement]
        if isinstance(table, ast.Dict):
            entries = zip(table.keys, table.values, strict=True)
            chosen = [pair for pair in entries if not (isinstance(pair[0], ast.Constant) and pair[0].value in others)]
            parts = [part for pair in chosen for part in pair if part]
        places = {place for part in parts for node in ast.walk(part) for place in self._places(module, node)}
        facts = _Facts(json.dumps(_plain(parts)), set(_texts(parts)), places)
        if not isinstance(table, ast.Dict):  # what is read of a table differs from row to row
            self._known[statement] = facts
        return facts

    def _places(self, module: str, node: ast.AST) -> Iterator[Place]:
        """Where the name is defined that this node is."""
        if isinstance(node, ast.Name):
            yield from self._locate(module, node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            for origin, name in self._locate(module, node.value.id):
                yield from self._locate(f"{origin}.{name}" if name else origin, node.attr)

    def _locate(self, module: str, name: str) -> Iterator[Place]:
        source = self._module(module)
        if source is None:
            if module.partition(".")[0] != _PACKAGE:
                yield module, name
        elif name in source.definitions:
            yield module, name
        elif source.imports.get(name, (module, name)) != (module, name):
            yield from self._locate(*source.imports[name])
        elif self._module(f"{module}.{name}"):
            yield f"{module}.{name}", ""

    def _module(self, name: str) -> _Module | None:
        if name not in self._modules:
            path = self._folder.joinpath(*name.split(".")[1:])
            files = [path / "__init__.py", path.with_suffix(".py")] if name.partition(".")[0] == _PACKAGE else []
            here = [file for file in files if file.is_file()]
            self._modules[name] = _Module(name, here[0]) if here else None
        return self._modules[name]


@dataclass(frozen=True)
class _Facts:
    """Of a definition: its code, the texts in it, and where the names in it are defined."""

    code: str
    texts: set[str]
    places: set[Place]


class _Module:
    """Top-level definitions by name, and where imported names come from, imports inside functions included."""

    def __init__(self, name: str, path: Path) -> None:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        package = name if path.stem == "__init__" else name.rpartition(".")[0]
        self.imports: dict[str, Place] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                self.imports |= {(a.asname or a.name.partition(".")[0]): (a.name, "") for a in node.names}
            elif isinstance(node, ast.ImportFrom):
                above = package.split(".")[: 1 - node.level or None] if node.level else []
                origin = ".".join([*above, *filter(None, [node.module])])
                self.imports |= {(a.asname or a.name): (origin, a.name) for a in node.names}
        self.definitions: dict[str, list[ast.stmt]] = defaultdict(list)
        for statement in tree.body:
            for defined in _defined(statement):
                self.definitions[defined].append(statement)


def _defined(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
    return {""}


def _plain(node: object) -> object:
    """Code as lists of texts, the same in every version of Python; no docstrings, no imports, no empty fields."""
    if isinstance(node, list):
        return [_plain(child) for child in node if not isinstance(child, ast.Import | ast.ImportFrom)
                and not (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant))]  # fmt: skip
    if isinstance(node, ast.AST):
        fields = {name: _plain(value) for name, value in ast.iter_fields(node) if value not in (None, [])}
        return [type(node).__name__, fields]
    return repr(node)


def _texts(thing: object) -> Iterator[str]:
    """All texts in some code or in nested lists and dictionaries."""
    if isinstance(thing, ast.AST):
        thing = [node.value for node in ast.walk(thing) if isinstance(node, ast.Constant)]
    if isinstance(thing, str):
        yield thing
    elif isinstance(thing, dict):
        yield from _texts(list(thing.values()))
    elif isinstance(thing, list | tuple):
        for part in thing:
            yield from _texts(part)
