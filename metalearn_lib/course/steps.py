"""The steps of `metalearn check`, which is `make test`: one command line each."""

from __future__ import annotations

import sys

from metalearn_lib.files import notebooks_folder, root


def steps() -> list[tuple[str, list[str]]]:
    """Name and command line of every step, in the order in which a fault is cheapest to find."""
    python = [sys.executable, "-m"]
    pytest = [*python, "pytest", "-q", "-n", "2"]
    return [
        ("lint", [*python, "ruff", "check", "."]),
        ("format", [*python, "ruff", "format", "--check", "."]),
        # --no-cache: the cache keeps what a module imported before its target was a package
        ("layers", [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"]),
        ("types", [*python, "mypy"]),
        ("unit tests and notebook checks", pytest),
        # --nbval-current-env: this Python, not whatever "python3" is registered as on this machine
        # --nbval-sanitize-with: the number that a claim shows in its bracket is not compared, its sentence is
        ("stored outputs", [*pytest, "--nbval", "--nbval-current-env", "--nbval-cell-timeout", "600",
                            "--nbval-sanitize-with", str(root() / "tests" / "notebooks" / "nbval.cfg"),
                            "--dist", "loadscope", str(notebooks_folder())]),
    ]  # fmt: skip
