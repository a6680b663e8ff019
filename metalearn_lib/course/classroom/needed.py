"""Which cells of a chapter the checks of its exercises need: the rest, experiments and figures, is not run to grade.

A chapter takes a minute or more; the exercises of most need its imports, its data and a function or two. The names a
cell uses lead to the cells that make or change them, and from there on. What cannot be seen in the text of a
cell (a function that changes what it is given, through another name) is not found: `grade` therefore first grades the
chapter's own answers, and runs every cell where these do not get all points.
"""

from __future__ import annotations

import ast
import builtins
import re
import symtable
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ..exercises.cells import is_answer, is_check
from .release import Cell

ALWAYS = "needed-to-grade"  # a tag for a cell that must run although nothing names it
_SKIPPED = {"nbval-skip", "skip-execution"}
_HARMLESS = {"check", "claim", "display", "guards", "plots", "print", "quiz", "widgets"}  # they change no argument


@dataclass
class Names:
    """What a cell does with names."""

    uses: set[str] = field(default_factory=set)  # when it runs
    later: set[str] = field(default_factory=set)  # when a function that it defines is called
    binds: set[str] = field(default_factory=set)  # for certain
    perhaps: set[str] = field(default_factory=set)  # binds, for certain or not
    changes: set[str] = field(default_factory=set)  # what was there before
    imports: set[str] = field(default_factory=set)
    opaque: bool = False  # magics, import *: what it does cannot be seen


def runs(cell: Cell) -> bool:
    """Whether a cell is executed at all when nobody watches."""
    return (
        cell["cell_type"] == "code"
        and bool(cell["source"].strip())
        and not set(cell["metadata"].get("tags", [])) & _SKIPPED
    )


def needed_cells(cells: Sequence[Cell]) -> list[int]:
    """The indices of the code cells that grading needs, in order: answers, checks, and all they depend on."""
    facts = {index: names_of(cell["source"]) for index, cell in enumerate(cells) if runs(cell)}
    modules = set(dir(builtins)).union(*(names.imports for names in facts.values()))  # nothing changes these
    targets = {index for index in facts if is_answer(cells[index]) or is_check(cells[index])}
    end = max(targets, default=0)
    needed: set[int] = set()
    todo = sorted(targets | {i for i in facts if i < end and (facts[i].opaque or _always(cells[i]))})
    while todo:
        index = todo.pop()
        if index in needed:
            continue
        needed.add(index)
        names = facts[index]
        for name in names.uses:
            todo += _makers(name, range(index - 1, -1, -1), index, facts, modules)
        for name in names.later:
            todo += _makers(name, range(end - 1, -1, -1), index, facts, modules)
    return sorted(needed)


def _always(cell: Cell) -> bool:
    return ALWAYS in cell["metadata"].get("tags", [])


def _makers(name: str, order: Iterable[int], user: int, facts: dict[int, Names], modules: set[str]) -> Iterator[int]:
    """Backwards, the cells that change or make a name, up to the one before ``user`` that surely makes it."""
    for index in order:
        names = facts.get(index)
        if names is None:
            continue
        if name in names.perhaps or (name in names.changes and name not in modules):
            yield index
        if name in names.binds and index < user:
            return


def names_of(source: str) -> Names:
    """What a cell does with names, as far as its text shows."""
    names = Names()
    plain = re.sub(r"(?m)^\s*[%!].*$", "pass", source)
    names.opaque = plain != source
    try:
        _walk(ast.parse(plain).body, names, certain=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # whatever somebody wrote
        names.opaque = True
    return names


def _walk(body: Sequence[ast.stmt], names: Names, *, certain: bool) -> None:
    for statement in body:
        inner: list[tuple[ast.AST | None, Sequence[ast.stmt]]] = []  # what is evaluated first, then the block
        if isinstance(statement, ast.For | ast.AsyncFor):
            target = ast.Assign([statement.target], statement.iter)
            inner = [(target, statement.body), (None, statement.orelse)]
            names.changes |= _roots(statement.iter) if _changes(statement.body, _stored(statement.target)) else set()
        elif isinstance(statement, ast.While | ast.If):
            inner = [(ast.Expr(statement.test), statement.body), (None, statement.orelse)]
        elif isinstance(statement, ast.Try):
            inner = [(None, statement.body), (None, statement.orelse), (None, statement.finalbody)]
            inner += [(ast.Expr(h.type) if h.type else None, h.body) for h in statement.handlers]
        elif isinstance(statement, ast.With | ast.AsyncWith):
            for item in statement.items:
                value = item.context_expr
                _simple(
                    ast.Assign([item.optional_vars], value) if item.optional_vars else ast.Expr(value), names, certain
                )
            _walk(statement.body, names, certain=certain)
            continue
        else:
            _simple(statement, names, certain)
            continue
        for head, block in inner:
            if head is not None:
                _simple(head, names, certain=False)
            _walk(block, names, certain=False)


def _simple(statement: ast.AST, names: Names, certain: bool) -> None:
    """A statement without a block of its own, or a definition."""
    table = symtable.symtable(ast.unparse(ast.fix_missing_locations(statement)), "cell", "exec")
    at_once = {s.get_name() for s in table.get_symbols() if s.is_referenced()}
    made = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()}
    inside, made_inside = set(), set()
    for child in table.get_children():
        used, bound = _globals(child)
        inside |= used
        made_inside |= bound
    defines = isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef)
    # a lambda or a comprehension may be evaluated at once or later: both
    names.uses |= (at_once if defines else at_once | inside) - names.binds
    names.later |= inside
    changed = _changed(statement)
    names.perhaps |= made | made_inside
    names.changes |= changed
    if isinstance(statement, ast.AugAssign):
        names.uses |= changed - names.binds
    if certain:
        names.binds |= made
    if isinstance(statement, ast.Import | ast.ImportFrom):
        names.imports |= made
        names.opaque |= any(alias.name == "*" for alias in statement.names)


def _globals(table: symtable.SymbolTable) -> tuple[set[str], set[str]]:
    """The global names that a function, class or comprehension reads, and those that it sets."""
    used = {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()}
    made = {s.get_name() for s in table.get_symbols() if s.is_declared_global() and s.is_assigned()}
    for child in table.get_children():
        more_used, more_made = _globals(child)
        used |= more_used
        made |= more_made
    return used, made


def _changed(statement: ast.AST) -> set[str]:
    """Names whose objects the statement changes: ``x.a = …``, ``x[0] += …``, ``x.fit()`` and ``train(x)`` alone."""
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign | ast.Delete):
        targets = list(statement.targets)
    elif isinstance(statement, ast.AugAssign | ast.AnnAssign):
        targets = [statement.target]
    found = {root for target in targets for part in _parts(target) if (root := _root(part))}
    found |= _stored(statement) if isinstance(statement, ast.AugAssign) else set()
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        call = statement.value
        root = _root(call.func) or (call.func.id if isinstance(call.func, ast.Name) else None)
        if root not in _HARMLESS:
            found |= {root} if root and isinstance(call.func, ast.Attribute) else set()
            found |= {name for given in [*call.args, *(k.value for k in call.keywords)] for name in _roots(given)}
    return found


def _changes(body: Sequence[ast.stmt], targets: set[str]) -> bool:
    """Whether a loop changes what it runs over, through its own variable."""
    return any(_changed(node) & targets for statement in body for node in ast.walk(statement))


def _parts(target: ast.expr) -> Iterator[ast.expr]:
    if isinstance(target, ast.Tuple | ast.List):
        for element in target.elts:
            yield from _parts(element)
    else:
        yield target


def _root(node: ast.AST) -> str | None:
    """``x`` of ``x.a[0].b``; None for a bare name."""
    if not isinstance(node, ast.Attribute | ast.Subscript):
        return None
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _roots(node: ast.AST) -> set[str]:
    """The names that are read, but for those that are only called."""
    called = {id(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)}
    return {
        n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and id(n) not in called
    }


def _stored(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
