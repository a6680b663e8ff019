"""The files of the project agree with one another."""

from __future__ import annotations

import re
import ssl
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from metalearn_lib.course import cli
from metalearn_lib.course.doctor import pins
from metalearn_lib.files import root

PROJECT = tomllib.loads((root() / "pyproject.toml").read_text())["project"]
PINS = pins(root() / "constraints.txt")
MAKEFILE = (root() / "Makefile").read_text()
PAGES = [root() / "README.md", root() / "CONTRIBUTING.md"]


def test_every_requirement_is_pinned_within_its_range() -> None:
    for line in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)]), line


def test_constraints_hold_exact_public_versions_only() -> None:
    lines = [line for line in (root() / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line) for line in lines)
    assert len(lines) == len(PINS) and PINS["torchtext"] == "0.6.0"


def test_conda_gets_the_same_pins() -> None:
    environment = yaml.safe_load((root() / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert pip == {"pip": ["--constraint constraints.txt", "--editable .[dev]"]}
    assert [re.split(r"[<>=]", package)[0] for package in conda] == ["python", "pip"]
    python = next(package for package in conda if package.startswith("python"))
    assert python.removeprefix("python").startswith(PROJECT["requires-python"])
    assert "--constraint constraints.txt" in MAKEFILE and "--editable '.[dev]'" in MAKEFILE


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_exist(page: object) -> None:
    text = page.read_text()  # type: ignore[attr-defined]
    targets = set(re.findall(r"^(\w+):", MAKEFILE, re.MULTILINE))
    assert set(re.findall(r"\bmake (?:PYTHON=\S+ )?([a-z]+)", " ".join(code_of(text)))) <= targets
    known = {command.name or command.callback.__name__ for command in cli.app.registered_commands} | {"data"}
    assert set(re.findall(r"\bmetalearn ([a-z]+)", " ".join(code_of(text)))) <= known
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert "://" in link or (root() / link).exists(), f"{link} is not there"


def code_of(text: str) -> list[str]:
    return re.findall(r"```[\s\S]*?```|`[^`\n]+`", text)


def test_the_makefile_calls_commands_that_exist() -> None:
    known = {command.name or command.callback.__name__ for command in cli.app.registered_commands} | {"data"}
    assert set(re.findall(r"\$\(BIN\)/metalearn (\w+)", MAKEFILE)) <= known


def test_torchtext_leaves_ssl_alone() -> None:
    code = (
        "import ssl; before = ssl._create_default_https_context\n"
        "import metalearn_lib, metalearn_lib.text\n"
        "assert ssl._create_default_https_context is before\n"
    )
    assert ssl._create_default_https_context is not getattr(ssl, "_create_unverified_context", None)
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root())


def test_the_course_command_starts_without_what_takes_seconds() -> None:
    rooms = "cli, classroom.assign, classroom.grade, classroom.results".replace(", ", ", metalearn_lib.course.")
    code = (
        f"import sys, metalearn_lib.course.{rooms}\n"
        "assert not {'torch', 'nbformat', 'papermill', 'nbgrader'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root())
