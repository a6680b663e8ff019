"""Cells as a notebook file holds them: for chapters that tests make up."""

from __future__ import annotations

from typing import Any

Cell = dict[str, Any]


def text(source: str, **metadata: Any) -> Cell:
    return {"cell_type": "markdown", "source": source, "metadata": metadata}


def code(source: str, *outputs: Cell, count: int | None = 1, **metadata: Any) -> Cell:
    return {"outputs": list(outputs), "execution_count": count} | text(source, **metadata) | {"cell_type": "code"}


def marks(grade_id: str, *, grade: bool = False, solution: bool = False, points: float | None = None) -> Cell:
    """nbgrader's metadata of a cell of an exercise."""
    about = {"grade_id": grade_id, "grade": grade, "solution": solution, "locked": not solution}
    return about | {"task": False, "schema_version": 3} | ({} if points is None else {"points": points})


def said(words: str) -> Cell:
    return {"output_type": "stream", "name": "stdout", "text": words}


def notebook(*cells: Cell) -> Cell:
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    named = [{"id": f"cell-{number}"} | cell for number, cell in enumerate(cells)]
    return {"cells": named, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
