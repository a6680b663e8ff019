"""What a row of the grid depends on, and nothing else: its recipe and what this can reach, its corpus, its setting.

The code of this room counts definition by definition, that of the others file by file: an edit elsewhere, or a move,
leaves a row as fresh as it was.   Chapter 12
"""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from importlib import metadata
from typing import Any

from metalearn_lib.choosing.recipes import FLOORS
from metalearn_lib.files import root
from metalearn_lib.fingerprint import Library, Source, code, digest

_PACKAGE = "metalearn_lib"
_ROOM = tuple(f"{_PACKAGE}.choosing.{name}" for name in ("recipes", "settings", "measure"))
# They bring files that are compared with their hashes, keep what was computed, show bars: results do not depend on how.
# What the catalog says is part of the fingerprint itself.
_WITHOUT_EFFECT = {
    f"{_PACKAGE}.{name}"
    for name in ("corpora.catalog", "corpora.fetch", "encoders.cache", "progress", "errors", "files")
}
_TOLD = ("title", "licence", "citation", "default")  # what the catalog tells people
_PRETRAINED = ("torch", "transformers")  # their versions count where a pretrained Transformer is reached


_HERE = Library(root())


@cache
def fingerprint(learner: str, corpus: str, library: Library = _HERE) -> str:
    """A hash of all that the results of a learner on a corpus depend on, but for the number of episodes.

    Every row says how far it is above the floors, so it depends on these, too.
    """
    wanted = ({f"RECIPES: {name}" for name in (learner, *FLOORS)}, {f"SETTINGS: {corpus}"}, {"scores", "difference"})
    own, names = set[str](), set[str]()
    for module, starts in zip(_ROOM, wanted, strict=True):
        source = library.module(module)
        assert source is not None
        definitions, taken = _own(source, starts)
        own |= definitions
        names |= taken
    reached = own | {source.code for source in library.reached(names, without={*_WITHOUT_EFFECT, *_ROOM})}
    catalog = _catalog(library)
    entries = _entries(catalog, corpus)
    for name, entry in catalog["corpus"].items():
        if entry.get("content", "corpus") != "corpus" and any(f"'{name}'" in text for text in reached):
            entries |= _entries(catalog, name)  # a pretrained model, word vectors
    pretrained = any("'transformers" in text for text in reached)
    versions = [metadata.version(name).partition("+")[0] for name in _PRETRAINED if pretrained]
    return digest([sorted(reached), entries, versions])[:16]


@cache
def _catalog(library: Library) -> dict[str, Any]:
    return tomllib.loads((library.checkout / _PACKAGE / "corpora" / "catalog.toml").read_text(encoding="utf-8"))


def _entries(catalog: dict[str, Any], name: str) -> dict[str, Any]:
    """What the catalog says of a corpus and of those it is made from, with the hashes of their files."""
    entry = {key: value for key, value in catalog["corpus"].get(name, {}).items() if key not in _TOLD}
    files = catalog["source"].get(entry.get("source"), {}).get("files", [])
    found = {name: entry | {"files": [[file["path"], file["sha256"]] for file in files]}}
    for part in entry.get("derived_from", ()):
        found |= _entries(catalog, part)
    return found


def _own(source: Source, starts: set[str]) -> tuple[set[str], set[str]]:
    """The code of definitions and of those that they use in the same file; dotted names that they take from others."""
    defined, imported = _definitions(source.tree), dict(source.imports)
    todo, seen, outside = sorted(starts), set[str](), set[str]()
    while todo:
        name, _, attribute = todo.pop().partition(".")
        if name in defined and name not in seen:
            seen.add(name)
            nodes = list(ast.walk(defined[name]))
            attributes = [n for n in nodes if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)]
            bases = {n.value for n in attributes}
            todo += [ast.unparse(n) for n in attributes]
            todo += [n.id for n in nodes if isinstance(n, ast.Name) and n not in bases]
        elif name in imported:
            outside.add(".".join(filter(None, [imported[name], attribute])))
    return {code(defined[name]) for name in seen}, outside


def _definitions(tree: ast.Module) -> dict[str, ast.AST]:
    """Functions, classes and constants by name; of a table that lists things by name each entry for itself."""
    found: dict[str, ast.AST] = {}
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            found[statement.name] = statement
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            names = [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
            found |= dict.fromkeys(names, statement)
            if isinstance(statement.value, ast.Dict):
                del found[names[0]]
                entries = zip(statement.value.keys, statement.value.values, strict=True)
                found |= {f"{names[0]}: {ast.literal_eval(key)}": value for key, value in entries if key}
    return found
