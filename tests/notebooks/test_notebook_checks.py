"""Each rule must find its fault in a notebook that has it, and nothing in a good one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.notebooks.rules import CHAPTER_RULES, RULES, SKELETON, faults

PIXEL = "iVBORw0KGgo="
HOME = "/ho" + "me/ada"  # in two parts, so that this file holds no path of a machine itself


def stdout(text: str) -> Any:
    return new_output("stream", name="stdout", text=text)


def figure(kind: str = "image/png") -> Any:
    return new_output("display_data", data={kind: PIXEL, "text/plain": "<Figure size 640x480 with 1 Axes>"})


def good() -> Any:
    """A notebook in which every rule has something to look at."""
    parts = [new_markdown_cell(f"## {part}", metadata={"tags": [f"part-{part}"]}) for part in SKELETON]
    code = [
        new_code_cell('profile = "quick"\ndevice = "auto"\nseed = 0', metadata={"tags": ["parameters"]}),
        new_code_cell(
            "claim('a', True)",
            outputs=[stdout("✓ 74.1/92.5 and https://example.org/a/b, 5 shots  [+3.4, 95 % +2.1 … +4.6; 12]\n")],
        ),
        new_code_cell("draw()", metadata={"alt": "a line that rises", "tags": ["your-turn"]}, outputs=[figure()]),
        new_code_cell(
            "timeit()", metadata={"tags": ["nbval-ignore-output", "your-turn"]}, outputs=[stdout("in 3.2 s, 20 it/s")]
        ),
        new_code_cell("x = 1"),
        new_code_cell("never()", metadata={"tags": ["nbval-skip", "skip-execution"]}),
        new_code_cell(""),
    ]
    for count, cell in enumerate(code[:5], 1):
        cell.execution_count = count
    page = [new_markdown_cell("![a picture](picture.png) [next](03_good.ipynb#top) [web](https://example.org)")]
    return new_notebook(cells=[*parts[:2], *code, *parts[2:], *page])


CODE = {name: index + 2 for index, name in enumerate(("parameters", "claim", "figure", "timing", "quiet", "skipped"))}


def edit(name: str, **values: Any) -> Callable[[Any], None]:
    def change(notebook: Any) -> None:
        for key, value in values.items():
            setattr(notebook.cells[CODE[name]], key, value)

    return change


def strip(notebook: Any) -> None:
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


def swap_parts(notebook: Any) -> None:
    notebook.cells[-3].metadata, notebook.cells[-2].metadata = notebook.cells[-2].metadata, notebook.cells[-3].metadata


def ignore_all(notebook: Any) -> None:
    for name in ("claim", "figure", "quiet"):
        notebook.cells[CODE[name]].metadata.setdefault("tags", []).append("nbval-ignore-output")


def tell(notebook: Any, words: int) -> None:
    notebook.cells[0].source += " word" * words


def further_first(notebook: Any) -> None:
    notebook.cells[0].metadata.tags.append("part-further")


def run_behind(notebook: Any) -> None:
    notebook.cells += [new_code_cell("x = 2", execution_count=number) for number in (6, 7)]


ERROR = new_output("error", ename="ValueError", evalue="x", traceback=[])
FAULTS: list[tuple[str, str, Callable[[Any], None]]] = [
    ("stripped-outputs", "no outputs are stored", strip),
    ("stripped-outputs", "was not executed", edit("quiet", execution_count=None)),
    ("stripped-outputs", "its output is not stored", edit("claim", outputs=[])),
    ("execution-order", "as number 7, not 3", edit("figure", execution_count=7)),
    ("stored-errors", "an error is stored", edit("quiet", outputs=[ERROR])),
    ("stored-errors", "raises-exception", edit("quiet", metadata={"tags": ["raises-exception"]})),
    ("missed-claims", "did not hold here (seed 0): a beats b",
     edit("quiet", outputs=[stdout("✓ a\n✗ did not hold here (seed 0): a beats b  [-1.2]\n")])),
    ("stored-stderr", "stderr", edit("quiet", outputs=[new_output("stream", name="stderr", text="Warning")])),
    ("machine-paths", HOME, edit("quiet", source=f"load('{HOME}/x.csv')")),
    ("machine-paths", "/opt/course/x.csv", edit("quiet", outputs=[stdout("read /opt/course/x.csv")])),
    ("timings", "1.25 s", edit("quiet", outputs=[stdout("took 1.25 s")])),
    ("timings", "it/s", edit("quiet", outputs=[stdout("100%, 20 it/s")])),
    ("timings", "0:03<", edit("quiet", outputs=[stdout("[00:03<00:00]")])),
    ("vector-figures", "PNG", edit("figure", outputs=[figure("image/svg+xml")])),
    ("alt-text", "without alt text", edit("figure", metadata={"alt": " "})),
    ("alt-text", "an image without", lambda notebook: setattr(notebook.cells[-1], "source", "![](picture.png)")),
    ("dead-links", "gone.ipynb", lambda notebook: setattr(notebook.cells[-1], "source", "[next](gone.ipynb)")),
    ("ignored-share", "5 of 6 code cells", ignore_all),
    ("skip-tags", "only one of the tags", edit("skipped", metadata={"tags": ["skip-execution"]})),
    ("size", "at most 1,000,000", edit("timing", outputs=[stdout("x" * 1_000_001)])),
    ("leftovers", "metadata.widgets", lambda notebook: notebook.metadata.update(widgets={})),
    ("leftovers", "papermill", edit("quiet", metadata={"papermill": {"duration": 1}})),
    ("leftovers", "papermill", edit("quiet", metadata={"tags": ["injected-parameters"]})),
    ("parameters-cell", "0 code cells are tagged", edit("parameters", metadata={})),
    ("parameters-cell", "lacks device, seed", edit("parameters", source='profile = "quick"')),
    ("parameters-cell", "only NAME = plain value",
     edit("parameters", source='profile = "quick"\ndevice = "auto"\nseed = int("0")')),
    ("skeleton", "the part 'summary' must come after 'quiz'", swap_parts),
    ("skeleton", "the part 'objectives' is missing", lambda notebook: notebook.cells.pop(0)),
    ("folded", "in JupyterLab or in the book only", edit("quiet", metadata={"tags": ["hide-input"]})),
    ("one-sitting", " words before the exercises", lambda notebook: tell(notebook, 2300)),
    ("one-sitting", " lines of code before the exercises", edit("quiet", source="x = 1\n\n# why\n" * 451)),
    ("one-sitting", "lines of code are folded",
     edit("quiet", source="x = 1\n" * 9, metadata={"tags": ["hide-input"], "jupyter": {"source_hidden": True}})),
    ("one-sitting", "1 cells are tagged your-turn", edit("figure", metadata={"alt": "a line"})),
    ("going-further", "must come after 'summary'", further_first),
    ("going-further", "runs behind the summary", run_behind),
]  # fmt: skip


def stored(notebook: Any, folder: Path, name: str = "03_good.ipynb") -> Path:
    (folder / "picture.png").touch()
    nbformat.write(notebook, folder / name)
    return folder / name


def test_a_good_notebook_has_no_fault(tmp_path: Path) -> None:
    assert faults(stored(good(), tmp_path)) == []


@pytest.mark.parametrize(("rule", "says", "spoil"), FAULTS, ids=[f"{r}: {s}" for r, s, _ in FAULTS])
def test_each_fault_is_found(rule: str, says: str, spoil: Callable[[Any], None], tmp_path: Path) -> None:
    notebook = good()
    spoil(notebook)
    found = faults(stored(notebook, tmp_path))
    assert any(fault.rule == rule and says in str(fault) for fault in found), found


def test_every_rule_is_tried() -> None:
    tried = {rule for rule, _, _ in FAULTS}
    assert {rule.__name__.replace("_", "-") for rule in RULES + CHAPTER_RULES} - {"exercise-pattern"} <= tried


def test_pages_need_no_skeleton(tmp_path: Path) -> None:
    page = new_notebook(cells=[new_markdown_cell("# Glossary")])
    assert faults(stored(page, tmp_path, "glossary.ipynb")) == []
    assert {fault.rule for fault in faults(stored(page, tmp_path))} == {"parameters-cell", "skeleton", "one-sitting"}
