"""Which cells a check needs: names followed back through definitions, changes, loops and functions."""

from __future__ import annotations

import pytest

from metalearn_lib.course.classroom.needed import ALWAYS, names_of, needed_cells

from .conftest import code, marked, text, tiny_chapter


def needs(*sources: str, check: str) -> list[int]:
    cells = [code(source) for source in sources]
    found = needed_cells([*cells, code(check, nbgrader=marked("x", grade=True, points=1)), code("after = 1")])
    assert found[-1] == len(sources)
    return found[:-1]


@pytest.mark.parametrize(
    ("sources", "check", "right"),
    [
        (["a = 1", "b = 2", "c = a"], "assert c", [0, 2]),
        (["a = 1", "a = 2"], "assert a", [1]),  # made anew
        (["a = 1", "if a: a = 2"], "assert a", [0, 1]),  # perhaps made anew
        (["a = []", "a.append(1)", "b = a"], "assert a", [0, 1]),
        (["a = {}", "a['x'] = 1", "print(a)"], "assert a", [0, 1]),
        (["a = 1", "a += 1"], "assert a", [0, 1]),
        (["from t import *", "b = 1"], "assert b", [0, 1]),
        (["%matplotlib inline", "b = 1"], "assert b", [0, 1]),
        (["def f(x):\n    y = 1\n    return x + z", "y = 2", "z = 3"], "assert f(1)", [0, 2]),  # z is looked up later
        (["z = 1", "def f():\n    return z", "z = 2", "w = 1"], "f()", [0, 1, 2]),
        (["x = 1", "def f(x):\n    return [x for x in range(x)]"], "f(1)", [1]),  # names of its own
        (["x = 1", "l = [x for x in range(2)]"], "assert l", [1]),
        (["w = 1", "def f():\n    global w\n    w = 2", "f()"], "assert w", [0, 1]),
        (["s = {1: {}}", "for k, v in s.items():\n    v[2] = k", "for k in s: print(k)"], "assert s", [0, 1]),
        (["m = 1", "figure.add(len('a'), m2(m))", "l = 1"], "assert m and len and m2", [0, 1]),
        (["m = 1", "figure.add(len('a'), m2(3))", "l = 1"], "assert m and len and m2", [0]),
        (["m = 1", "train(m)", "plots.show(m)", "claim('m', m)"], "assert m", [0, 1]),
        (["import torch", "torch.manual_seed(0)"], "torch.ones(1)", [0]),  # a module is not changed
        (["import a.b", "import c as d"], "assert a.b and d", [0, 1]),
        (["z = 1", "class A:\n    y = z"], "A", [0, 1]),
        (["with open('x') as f:\n    t = f.read()", "u = 1"], "assert t", [0]),
        (["try:\n    import q\nexcept ImportError:\n    q = None"], "assert q is None", [0]),
        (["a = (n := 3)", "b = 1"], "assert n", [0]),
        (["a, *b = 1, 2", "c = 1"], "assert b", [0]),
        (["f = lambda: g", "g = 1", "h = 1"], "f()", [0, 1]),
        (["broken ="], "assert 1", [0]),  # what cannot be read is run
    ],
)
def test_names_lead_to_cells(sources: list[str], check: str, right: list[int]) -> None:
    assert needs(*sources, check=check) == right


def test_what_is_never_or_always_run() -> None:
    check = code("assert a", nbgrader=marked("x", grade=True, points=1))
    skipped = code("a = 1", tags=["nbval-skip", "skip-execution"])
    assert needed_cells([skipped, text("a = 1"), code(""), code("b = 1", tags=[ALWAYS]), check]) == [3, 4]
    assert needed_cells([code("a = 1")]) == []


def test_the_tiny_chapter() -> None:
    cells = tiny_chapter()["cells"]
    left_out = [cell["source"].partition("\n")[0] for i, cell in enumerate(cells) if i not in needed_cells(cells)]
    code_left_out = [source for source in left_out if source.startswith(("experiment", "chart", "print"))]
    assert len(code_left_out) == 3 and len(needed_cells(cells)) == 10


def test_a_name_used_before_the_cell_makes_it() -> None:
    assert names_of("profile = setup(profile)").uses == {"profile", "setup"}
    assert names_of("x = 1\ny = x").uses == set()
