"""Notebooks that were meddled with: a clear word, and the rest is graded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.course.cells import code, marks

from .conftest import RIGHT, HandIn, find, grades_of, points


def test_meddled_notebooks(course: Path, hand_in: HandIn, released: dict[str, Any]) -> None:
    def without(*names: str) -> Any:
        def change(notebook: dict[str, Any]) -> None:
            gone = [find(notebook, name) for name in names]
            notebook["cells"] = [cell for cell in notebook["cells"] if cell not in gone]

        return change

    def doubled(notebook: dict[str, Any]) -> None:
        copied = find(released, "ex-4-1-answer") | {"id": "copy"}  # the empty one, below the filled one
        notebook["cells"] += [copied, find(notebook, "ex-4-1-check") | {"id": "copy-2"}]

    def easier(notebook: dict[str, Any]) -> None:
        find(notebook, "ex-4-2-check")["source"] = "assert True"
        find(notebook, "ex-4-1-check")["metadata"]["nbgrader"]["points"] = 100

    def stripped(notebook: dict[str, Any]) -> None:
        for cell in notebook["cells"]:
            cell["metadata"] = {}

    def retyped(notebook: dict[str, Any]) -> None:
        find(notebook, "ex-4-1-answer")["cell_type"] = "raw"

    def broken_experiment(notebook: dict[str, Any]) -> None:
        notebook["cells"][4]["source"] = "1 / 0"
        notebook["cells"].insert(5, code("double_of = lambda x: 2 * x") | {"id": "mine"})

    def odd_cells(notebook: dict[str, Any]) -> None:
        for number, odd in enumerate(("x\0", "(" * 500, "+".join(["x"] * 20000), "'\ud800'", "return 1", "%nothing")):
            notebook["cells"].insert(5, code(odd, nbgrader={"grade_id": [1]}, tags=number) | {"id": f"odd-{number}"})

    def other_chapter(notebook: dict[str, Any]) -> dict[str, Any]:
        return notebook | {"cells": [code("1", nbgrader=marks("ex-3-1-check", grade=True, points=1)) | {"id": "x"}]}

    hand_in("deleted", **RIGHT, change=without("ex-4-2-answer", "ex-4-3-check"))
    hand_in("doubled", **RIGHT, change=doubled)
    hand_in("easier", **RIGHT | {"double": "return 0"}, change=easier)
    hand_in("stripped", **RIGHT, change=stripped)
    hand_in("retyped", **RIGHT, change=retyped)
    hand_in("own-cell", **RIGHT | {"double": "return double_of(x)"}, change=broken_experiment)
    hand_in("other", **RIGHT, change=other_chapter)
    hand_in("renamed", **RIGHT).rename(course / "submitted" / "renamed" / "ch04" / "Untitled.ipynb")
    hand_in("damaged").write_text('{"cells": [', encoding="utf-8")
    (course / "submitted" / "empty" / "ch04").mkdir(parents=True)
    link = hand_in("link")
    link.unlink()
    link.symlink_to(course / "source" / "ch04" / "04_tiny.ipynb")

    hand_in("odd-cells", **RIGHT, change=odd_cells)

    found = grades_of(course)
    for name, got, words in (
        ("odd-cells", [3, 5, 2], ("a cell of your own: SyntaxError",)),
        ("deleted", [3, 0, 2], ("ex-4-2-answer is missing", "ex-4-3-check was missing; it was put back")),
        ("doubled", [3, 5, 2], ("ex-4-1-answer is there more than once", "ex-4-1-check is there more than once")),
        ("easier", [3, 0, 2], ("ex-4-2-check had been changed", "metadata of the check ex-4-1-check")),
        ("stripped", [3, 5, 2], ("metadata of the answer cell ex-4-1-answer",)),
        ("retyped", [3, 5, 2], ("had become a raw cell",)),
        ("own-cell", [3, 5, 2], ()),
        ("other", [0, 0, 0], ("not the notebook of this chapter; its exercises are ex-3-1-check",)),
        ("renamed", [3, 5, 2], ("called Untitled.ipynb, not 04_tiny.ipynb",)),
        ("damaged", [0, 0, 0], ("not a readable notebook",)),
        ("empty", [0, 0, 0], ("no notebook in the folder",)),
        ("link", [0, 0, 0], ("not a plain file",)),
    ):
        assert points(found[name])[:3] == got, (name, found[name])
        for word in words:
            assert word in " ".join(found[name].notes), (name, found[name].notes)
    assert not found["own-cell"].notes and not found["other"].readable
