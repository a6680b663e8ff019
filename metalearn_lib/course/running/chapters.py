"""The chapters of the course: finding them by name, their parameters, whether one has changed."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from metalearn_lib.files import notebooks_folder

OPTIONS = ("profile", "device", "seed")  # the parameters that every chapter has


class UsageError(ValueError):
    """The command line asks for something that is not there."""


@dataclass(frozen=True)
class Chapter:
    """One notebook of the course."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    @cached_property
    def cells(self) -> list[dict[str, Any]]:
        """The cells as they are stored, sources joined. (Plain JSON: importing nbformat takes seconds.)"""
        try:
            cells = json.loads(self.path.read_text(encoding="utf-8"))["cells"]
            return [cell | {"source": "".join(cell["source"])} for cell in cells]
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{self.path.name} is not a readable notebook: {error!r}") from error

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """Names and defaults of the cell tagged ``parameters``; empty when there is none."""
        found: dict[str, Any] = {}
        for cell in self.cells:
            if cell["cell_type"] == "code" and "parameters" in cell["metadata"].get("tags", []):
                for statement in ast.parse(cell["source"]).body:
                    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                        found[statement.targets[0].id] = ast.literal_eval(statement.value)
        return found

    @property
    def number(self) -> str:
        """Its number, two digits; empty for a page such as the glossary."""
        found = re.match(r"\d\d(?=_)", self.name)
        return found[0] if found else ""

    @property
    def quiz(self) -> Path:
        """Where its questions stand; a page without a number has none."""
        return self.path.parent / "quizzes" / f"{self.number}.json"


@dataclass(frozen=True, eq=False)
class Execution:
    """A chapter to execute with the parameters that differ from its defaults; the result is kept under its name."""

    chapter: Chapter
    parameters: Mapping[str, Any] = field(default_factory=dict)
    variant: str = ""  # what the name adds to that of the chapter, where one chapter is executed several times

    @property
    def name(self) -> str:
        return self.chapter.name + self.variant

    @property
    def file(self) -> str:
        return f"{self.name}.ipynb"


def chapters() -> list[Chapter]:
    """All notebooks of the course, in order."""
    folder = notebooks_folder()
    if not folder.is_dir():
        raise UsageError(f"no notebooks folder at {folder}; run this from a checkout installed with pip install -e .")
    return [Chapter(path) for path in sorted(folder.glob("*.ipynb")) if not path.name.startswith(".")]


def find(names: Sequence[str]) -> list[Chapter]:
    """The named chapters (``4``, ``04``, ``04_metric_based`` or a path), each once; without a name, all.

    Raises:
        UsageError: no such chapter; the message lists the known ones.
    """
    known = chapters()
    if not known:
        raise UsageError(f"no notebooks in {notebooks_folder()}")
    if not names:
        return known
    picked = [_find_one(name, known) for name in names]
    return list(dict.fromkeys(picked))


def _find_one(name: str, known: list[Chapter]) -> Chapter:
    for chapter in known:
        if name == chapter.name or (name.endswith(".ipynb") and Path(name).resolve() == chapter.path.resolve()):
            return chapter
        if name.isdecimal() and chapter.number and int(chapter.number) == int(name):
            return chapter
    raise UsageError(f"unknown chapter {name!r}; the chapters are {', '.join(c.name for c in known)}")


def parse_parameters(pairs: Iterable[str]) -> dict[str, Any]:
    """``["steps=20", "name=abc"]`` as a dictionary of Python values.

    >>> parse_parameters(["steps=20", "csv=my.csv", "fast=true"])
    {'steps': 20, 'csv': 'my.csv', 'fast': True}
    """
    parameters: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"--param {pair!r}: write it as name=value")
        try:
            parameters[name] = ast.literal_eval({"true": "True", "false": "False", "none": "None"}.get(text, text))
        except (ValueError, SyntaxError):  # a text; a file's name is meant from here, not from where kernels run
            parameters[name] = str(Path(text).absolute()) if text and Path(text).is_file() else text
    return parameters


def choose_parameters(picked: Sequence[Chapter], given: Mapping[str, Any], *, named: bool) -> dict[str, dict[str, Any]]:
    """For each chapter, those of the given parameters that it has and that differ from its defaults.

    A parameter must be known to every chapter that was named; when the whole course runs, to one.

    Raises:
        UsageError: an unknown parameter; the message lists the known ones.
    """
    for name in given:
        without = [chapter for chapter in picked if name not in chapter.parameters]
        if name not in OPTIONS and (without if named else len(without) == len(picked)):
            known = sorted({known for chapter in without for known in chapter.parameters})
            has = f"{without[0].name} has no parameter" if named else "no chapter has a parameter"
            raise UsageError(f"{has} {name!r}; the known parameters are: {', '.join(known) or 'none'}")
    return {
        chapter.name: {
            name: value
            for name, value in given.items()
            if name in chapter.parameters and not _same(value, chapter.parameters[name])
        }
        for chapter in picked
    }


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)


@cache
def versions() -> dict[str, str]:
    """Every installed package and its version."""
    found: dict[str, str] = {}
    for package in metadata.distributions():
        name = package.metadata["Name"]
        if name:
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), package.version)
    return found
