"""What the `metalearn` command says: results on one console, faults on another, one way to stop.

Output that is closed, or that cannot show a ✓, must not end a command that has done its work.
"""

from __future__ import annotations

import codecs
import os
import sys
from typing import NoReturn

import typer
from rich.console import Console

_PLAIN = {"✓": "+", "✗": "x", "–": "-", "·": "|", "…": "...", "×": "x", "“": '"', "”": '"', "’": "'"}


def _plain(error: UnicodeError) -> tuple[str, int]:
    """What a terminal without Unicode can show instead; a codec's way of handling errors."""
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end]
    return "".join(_PLAIN.get(letter, "?") for letter in text), error.end


codecs.register_error("metalearn", _plain)


def forgiving_streams() -> None:
    """Give a closed standard output or error a place to write to, and one without Unicode plain letters."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (for as long as we run)
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="metalearn")


_terminal = sys.stdout is not None and sys.stdout.isatty()
console = Console(width=None if _terminal else 150)  # a log has no width of its own
errors = Console(stderr=True)


def say(text: object) -> None:
    """Print a sentence as it is: no markup, no colours, no breaking of lines."""
    console.print(str(text), markup=False, highlight=False, soft_wrap=True)


def complain(text: object) -> None:
    """Print a fault in red to standard error; the command goes on."""
    errors.print(str(text), style="red", markup=False, highlight=False, soft_wrap=True)


def stop(message: object, code: int) -> NoReturn:
    """Say what was wrong and end the command: 1 it failed, 2 it was asked for what is not there, 130 Ctrl-C."""
    complain(f"error: {message}")
    raise typer.Exit(code)
