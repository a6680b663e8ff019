"""What a row of the grid depends on, and nothing else: its recipe and what this can reach, its corpus, its setting.

The code of this room counts definition by definition, that of the others file by file: an edit elsewhere, or a move,
leaves a row as fresh as it was.   Chapter 12
"""

from __future__ import annotations

import ast
from functools import cache
from importlib import metadata
from typing import Any, NamedTuple

from metalearn_lib.choosing.recipes import FLOORS
from metalearn_lib.choosing.settings import SETTINGS
from metalearn_lib.files import root
from metalearn_lib.fingerprint import Library, catalog, code, digest, entries

_PACKAGE = "metalearn_lib"
_ROOM = f"{_PACKAGE}.choosing"
# They bring files that are compared with their hashes, keep what was computed, show bars: results do not depend on how.
# What the catalog says is part of the fingerprint itself.
_WITHOUT_EFFECT = {
    f"{_PACKAGE}.{name}"
    for name in ("corpora.catalog", "corpora.fetch", "encoders.cache", "progress", "errors", "files")
}
_PACKAGES = ("torch", "transformers")  # their versions count where a pretrained Transformer is reached

_HERE = Library(root())


@cache
def fingerprint(learner: str, corpus: str, library: Library = _HERE) -> str:
    """A hash of all that the results of a learner on a corpus depend on, but for what a row says itself: its cell,
    the number of episodes.

    Every row says how far it is above the floors, so it depends on these, too. `corpus`: a name of the catalog, two of
    them with an arrow between (see `across`), or the name of a file of one's own, which holds a hash of its texts.
    """
    parts = corpus.split("→")
    starts = {f"recipes.RECIPES: {name}" for name in (learner, *FLOORS)}
    starts |= {"measure.scores", "measure.difference", f"settings.SETTINGS: {corpus}"}
    if len(parts) > 1:
        starts.add(f"across.ACROSS: {corpus}")
    elif corpus not in SETTINGS:
        starts.add("sources.of_catalog")
    if "MiniLM" in learner:
        starts.add("measure.pretrained")
    own, names = _own(library, {f"{_ROOM}.{start}" for start in starts})
    reached = own | {source.code for source in library.reached(names, without=_WITHOUT_EFFECT)}
    listed = _catalog(library)
    told = {key: value for part in parts for key, value in entries(listed, part).items()}
    for name, entry in listed["corpus"].items():
        if entry.get("content", "corpus") != "corpus" and any(f"'{name}'" in text for text in reached):
            told |= entries(listed, name)  # a pretrained model, word vectors
    pretrained = any("'transformers'" in text for text in reached)
    versions = _versions() if pretrained else []
    return digest([sorted(reached), told, versions])[:16]


@cache
def _versions() -> list[str]:
    return [metadata.version(name).partition("+")[0] for name in _PACKAGES]


@cache
def _catalog(library: Library) -> dict[str, Any]:
    return catalog(library)


def _own(library: Library, starts: set[str]) -> tuple[set[str], set[str]]:
    """The code of definitions of this room and of those that they use in it; dotted names that they take from others.

    `starts`: module and definition with a dot between; one that does not exist is passed over.
    """
    todo, seen, outside, found = sorted(starts), set[str](), set[str](), set[str]()
    while todo:
        dotted = todo.pop()
        place, _, rest = dotted.removeprefix(f"{_ROOM}.").partition(".")
        if not dotted.startswith(f"{_ROOM}.") or library.module(f"{_ROOM}.{place}") is None:
            outside.add(dotted)
            continue
        definitions = _definitions(library, f"{_ROOM}.{place}")
        name = rest if rest in definitions else rest.partition(".")[0]
        if name in definitions and f"{place}.{name}" not in seen:
            seen.add(f"{place}.{name}")
            found.add(definitions[name].code)
            todo += definitions[name].uses
    return found, outside


class _Definition(NamedTuple):
    code: str
    uses: list[str]  # dotted names


@cache
def _definitions(library: Library, module: str) -> dict[str, _Definition]:
    """What a module of this room defines, by name."""
    source = library.module(module)
    assert source is not None
    nodes, imported = _nodes(source.tree), dict(source.imports)
    found = {}
    for name, node in nodes.items():
        uses = []
        for used in _names(node):
            first, _, attribute = used.partition(".")
            if first in nodes:
                uses.append(f"{module}.{first}")
            elif first in imported:
                uses.append(".".join(filter(None, [imported[first], attribute])))
        found[name] = _Definition(code(node), uses)
    return found


def _names(definition: ast.AST) -> list[str]:
    """The names that a definition uses, an attribute of a name with a dot."""
    nodes = list(ast.walk(definition))
    dotted = {n.value: n for n in nodes if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)}
    return [f"{n.id}.{dotted[n].attr}" if n in dotted else n.id for n in nodes if isinstance(n, ast.Name)]


def _nodes(tree: ast.Module) -> dict[str, ast.AST]:
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
