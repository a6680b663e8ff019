"""nbval compares what a claim says, not the number that it shows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook, new_output

from metalearn_lib.course import steps
from metalearn_lib.files import root

CFG = root() / "tests" / "notebooks" / "nbval.cfg"
# what is stored, what the cell prints now, whether that is the same
CELLS = (
    ("✓ a beats b  [+3.4, 95 % +2.1 … +4.6]", "✓ a beats b  [-0.1, 95 % -2.1 … +4.6]", True),
    ("✓ a beats b  [+3.4]", "✓ a beats b", True),
    ("✓ a  [1]\n✓ b [x]  [0.25; 65,432]\nend", "✓ a  [2]\n✓ b [x]  [nan]\nend", True),
    ("✓ a beats b  [+3.4]", "✓ b beats a  [+3.4]", False),
    ("✓ a beats b  [+3.4]", "✗ did not hold here (seed 0): a beats b  [+3.4]", False),
    ("✓ b [x]  [1]", "✓ b [y]  [1]", False),
    ("mean  [1]", "mean  [2]", False),
    ("✓ a  [1] and on", "✓ a  [2] and on", False),
)


def test_another_number_passes_and_nothing_else_does(tmp_path: Path) -> None:
    cells = [
        new_code_cell(
            f"print({now!r})", execution_count=count, outputs=[new_output("stream", name="stdout", text=f"{stored}\n")]
        )
        for count, (stored, now, _) in enumerate(CELLS, 1)
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "claims.ipynb")
    words = ["-q", "-rA", "-p", "no:cacheprovider", "--nbval", "--nbval-current-env"]
    command = [sys.executable, "-m", "pytest", *words, "--nbval-sanitize-with", str(CFG), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    outcomes = {number: mark for mark, number in re.findall(r"(?m)^(PASSED|FAILED) \S+::Cell (\d+)", done.stdout)}
    same = {str(number): "PASSED" if same else "FAILED" for number, (*_, same) in enumerate(CELLS)}
    assert outcomes == same, done.stdout


def test_the_check_uses_it() -> None:
    command = dict(steps.steps())["stored outputs"]
    assert Path(command[command.index("--nbval-sanitize-with") + 1]) == CFG
