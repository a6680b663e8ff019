"""The house: imports point down (the contract in pyproject.toml), and so do names in strings."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter import cli

from metalearn_lib.files import root

LIBRARY = root() / "metalearn_lib"


def layers() -> list[list[str]]:
    """The rooms of the contract, the highest first; those of one layer together."""
    contracts = tomllib.loads((root() / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (contract,) = [c for c in contracts["contracts"] if c["type"] == "layers"]
    return [[room.strip(" ()") for room in layer.split("|")] for layer in contract["layers"]]


def rooms_above(room: str) -> set[str]:
    names = layers()
    (height,) = [number for number, layer in enumerate(names) if room in layer]
    return {other for layer in names[:height] for other in layer}


def strings(path: Path) -> Iterator[str]:
    """Text in the code of a file that a program could follow; docstrings are for people."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def arrows_up(path: Path, above: set[str]) -> list[str]:
    named = re.compile(rf"(?:^|[^\w./])(?:metalearn_lib\.)?({'|'.join(sorted(above))})\.[a-z_]+\(?")
    return [text for text in strings(path) if named.search(text)]


def test_imports_point_down_and_there_are_no_circles(capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.lint_imports(config_filename=str(root() / "pyproject.toml"), no_cache=True)
    assert code == 0, capsys.readouterr().out


@pytest.mark.parametrize("layer", [room for layer in layers()[1:] for room in layer])
def test_no_string_names_a_higher_room(layer: str) -> None:
    files = sorted((LIBRARY / layer).rglob("*.py")) or [LIBRARY / f"{layer}.py"]
    guilty = {f"{p.name}: {text}" for p in files if p.exists() for text in arrows_up(p, rooms_above(layer))}
    assert not guilty


def test_an_arrow_up_by_a_string_is_seen(tmp_path: Path) -> None:
    (tmp_path / "low.py").write_text('"""learners.fit is fine here"""\nCALL = "learners.fit({!r})"\n')
    assert arrows_up(tmp_path / "low.py", {"learners"}) == ["learners.fit({!r})"]
