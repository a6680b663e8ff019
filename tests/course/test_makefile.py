"""The Makefile's environment target, with a Python that only pretends: interrupted, repaired, brought up to date."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from metalearn_lib.files import root

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")

PYTHON = """#!/bin/sh
case "$*" in
  -c*) [ ! -e old ] ;;
  --version) echo "Python 3.9.1" ;;
  "-m venv --clear .venv") rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python; echo venv >> calls ;;
  "-m pip install"*) echo install >> calls; [ ! -e broken ] ;;
  "-m pip check") ;;
esac
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(root() / name, tmp_path)
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def make(project: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    words = ["make", "env", f"PYTHON={project / 'python'}"]
    return subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True, check=False)


def calls(project: Path) -> list[str]:
    path = project / "calls"
    found = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return found


def test_an_interrupted_installation_is_made_anew(project: Path) -> None:
    (project / "broken").touch()
    assert make(project).returncode != 0 and calls(project) == ["venv", "install"]
    (project / "broken").unlink()
    assert make(project).returncode == 0 and calls(project) == ["venv", "install"]
    assert make(project).returncode == 0 and calls(project) == []


def test_changed_pins_bring_the_environment_up_to_date(project: Path) -> None:
    make(project)
    calls(project)
    later = time.time() + 5
    os.utime(project / "constraints.txt", (later, later))
    (project / "broken").touch()
    assert make(project).returncode != 0 and calls(project) == ["install"]
    (project / "broken").unlink()
    assert make(project).returncode == 0 and calls(project) == ["venv", "install"]


def test_an_old_python_is_refused_with_a_way_out(project: Path) -> None:
    (project / "old").touch()
    result = make(project)
    assert result.returncode != 0 and calls(project) == [] and not (project / ".venv").exists()
    assert "needs Python 3.11 or newer" in result.stdout and "Python 3.9.1" in result.stdout
    assert "make PYTHON=python3.12 env" in result.stdout
