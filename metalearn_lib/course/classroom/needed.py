"""Which cells grading runs: of a chapter those with the tag, of a submission also what its answers lead to.

A chapter takes a minute or more; its exercises need its imports and a function or two. Those few cells carry the tag
`needed-to-grade`; a test runs the chapter's own answers with nothing else. What only one student's answer needs of the
other cells shows in a NameError, and `grade` then runs all cells for that student.
"""

from __future__ import annotations

import ast
import re
import symtable
from collections.abc import Iterator
from typing import NamedTuple

from metalearn_lib.course.running.notebook import NOT_RUN

from ..exercises.cells import is_answer, is_check
from .release import Cell
from .submission import Restored

TAG = "needed-to-grade"
_SHOWS = {
    "check",
    "claim",
    "display",
    "must_hold",
    "plots",
    "plt",
    "print",
}  # a call that shows something changes nothing


class Names(NamedTuple):
    """The names that a cell makes, those whose objects it may change, and those of other cells that it uses."""

    makes: set[str]
    changes: set[str]
    uses: set[str]
    readable: bool = True  # no magics, no `import *`, no syntax error


def runs(cell: Cell) -> bool:
    """Whether a cell is executed at all when nobody watches."""
    tags = set(cell["metadata"].get("tags", []))
    return cell["cell_type"] == "code" and bool(cell["source"].strip()) and not tags & NOT_RUN


def cells_to_run(restored: Restored, *, everything: bool = False) -> list[int]:
    """The cells of a submission to run, in order: answers, checks, tagged cells, and own cells that these need."""
    cells = {index: cell for index, cell in enumerate(restored.cells) if runs(cell)}
    graded = {index for index, cell in cells.items() if is_answer(cell) or is_check(cell)}
    own = {index for index in cells if restored.origin[index] is None}
    chosen = set(cells)
    if not everything:
        chosen = graded | {index for index, cell in cells.items() if TAG in cell["metadata"].get("tags", [])}
        names = {index: names_of(cells[index]["source"]) for index in chosen | own}
        theirs = set[str]().union(*(names[index].makes for index in own))
        more = chosen
        while more:
            uses = set[str]().union(*(names[index].uses for index in chosen))
            serves = {i for i in own if not names[i].readable or (names[i].makes | names[i].changes & theirs) & uses}
            more = serves - chosen
            chosen = chosen | more
    return sorted(index for index in chosen if index <= max(graded, default=-1))


def names_of(source: str) -> Names:
    """What a cell does with names, as far as its text shows; the own names of its functions do not count."""
    plain = re.sub(r"(?m)^\s*[%!].*$", "pass", source)
    try:
        tree, table = ast.parse(plain), symtable.symtable(plain, "cell", "exec")
        nodes = list(ast.walk(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # whatever somebody wrote
        return Names(set(), set(), set(), readable=False)
    star = any(isinstance(node, ast.alias) and node.name == "*" for node in nodes)
    found = Names(set(), set(), set(), readable=plain == source and not star)
    for symbol in _global(table):
        if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace():
            found.makes.add(symbol.get_name())
        if symbol.is_referenced():
            found.uses.add(symbol.get_name())
    found.uses.difference_update(found.makes)
    for node in nodes:
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):  # x.a[0] = …
            found.changes.update(_inside(node))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):  # train(x), x.append(…)
            called = {n.func.id for n in ast.walk(node) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
            found.changes.update(set() if _inside(node) & _SHOWS else _inside(node) - called)
    return found


def _global(table: symtable.SymbolTable) -> Iterator[symtable.Symbol]:
    """The names of the notebook that a cell, or a function in it, handles."""
    yield from (symbol for symbol in table.get_symbols() if table.get_type() == "module" or symbol.is_global())
    for child in table.get_children():
        yield from _global(child)


def _inside(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
