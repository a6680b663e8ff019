"""`metalearn doctor`, `data` and `check`, with the machine's state made up."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from metalearn_lib import corpora
from metalearn_lib.course import cli, doctor, steps
from metalearn_lib.course.running import chapters

RUN = CliRunner()


def call(*words: str) -> Any:
    return RUN.invoke(cli.app, words)


@dataclass
class About:
    default: bool
    kind: str = "pypi"
    licence: str = "MIT"
    title: str = "a corpus"


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, list[str]]:
    """Three corpora: ``news`` and ``tales`` for the chapters, ``extra`` not; returns the problems of each."""
    problems: dict[str, list[str]] = {"news": [], "tales": [], "extra": []}

    def fetch(name: str) -> list[Path]:
        if problems[name]:
            raise corpora.CorpusError(problems[name][0])
        return [tmp_path / name]

    monkeypatch.setattr(corpora, "names", lambda: list(problems))
    monkeypatch.setattr(corpora, "describe", lambda name: About(default=name != "extra"))
    monkeypatch.setattr(corpora, "is_present", lambda name: name != "tales")
    monkeypatch.setattr(corpora, "verify", lambda name: problems[name])
    monkeypatch.setattr(corpora, "fetch", fetch)
    monkeypatch.setattr(corpora, "cache_folder", lambda: tmp_path)
    return problems


def test_data(made_up: dict[str, list[str]]) -> None:
    listed = call("data", "list")
    assert listed.exit_code == 0 and "tales" in listed.stdout and "MIT" in listed.stdout
    assert "2 of 2 corpora fetched" in call("data", "fetch").stdout
    assert "3 of 3 corpora fetched" in call("data", "fetch", "--all").stdout
    assert "1 of 1 corpora verified" in call("data", "verify", "extra").stdout
    unknown = call("data", "fetch", "news", "newz")
    assert unknown.exit_code == 2 and "unknown corpus 'newz'; the corpora are news, tales, extra" in unknown.stderr

    made_up["news"].append("news.zip: expected sha256 aa, found bb")
    for verb in ("fetch", "verify"):
        result = call("data", verb)
        assert result.exit_code == 1 and "found bb" in result.stderr and "metalearn data fetch news" in result.stderr
        assert "1 of 2 corpora" in result.stdout  # the other one was still looked after


def test_data_interrupted(made_up: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(name: str) -> list[Path]:
        raise KeyboardInterrupt

    monkeypatch.setattr(corpora, "fetch", interrupted)
    result = call("data", "fetch")
    assert result.exit_code == 130 and "nothing half-written" in result.stderr


def test_the_doctor_names_the_mending_command(made_up: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    findings = {finding.subject: finding for finding in doctor.examine()}
    assert list(findings) == ["Python", "packages", "torch", "torchtext", "data", "memory", "disk", "JupyterLab"]
    assert findings["Python"].good and findings["torch"].good and findings["JupyterLab"].good
    assert findings["data"].found == "not fetched: tales" and findings["data"].mend == "metalearn data fetch"

    monkeypatch.setattr(corpora, "is_present", lambda name: True)
    made_up["news"].append("news.zip: expected sha256 aa, found bb")
    installed = {name: version for name, version in chapters.versions().items() if name != "papermill"}
    monkeypatch.setattr(doctor, "versions", lambda: installed | {"numpy": "1.0"})
    monkeypatch.setattr(doctor, "MEMORY_GB", 1e6)
    monkeypatch.setattr(doctor, "DISK_GB", 1e6)
    result = call("doctor")
    assert result.exit_code == 1
    for said in ("missing: papermill", "numpy 1.0 (tested:", "found bb", "close other programs", "make room"):
        assert said in result.stdout, result.stdout


def test_a_file_in_the_place_of_the_data_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").write_text("a file")
    monkeypatch.setenv("METALEARN_DATA", str(tmp_path / "data"))
    findings = {finding.subject: finding for finding in doctor.examine()}
    data, disk = findings["data"], findings["disk"]
    assert "is a file" in data.found and "export METALEARN_DATA=" in data.mend and "fetch" not in data.mend
    assert disk.found.endswith(f"at {tmp_path}")


def test_a_look_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    torch = next(finding for finding in doctor.examine() if finding.subject == "torch")
    assert not torch.good and ("ImportError" in torch.found or "ModuleNotFoundError" in torch.found)
    assert torch.mend == doctor.REINSTALL


def test_check_goes_through_all_steps_and_names_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = iter([0, 0, 0, 1, 0, 2])
    seen: list[list[str]] = []
    monkeypatch.setattr(cli.subprocess, "call", lambda command: (seen.append(command), next(codes))[1])
    monkeypatch.setattr(cli.os, "chdir", lambda folder: None)
    result = call("check")
    assert result.exit_code == 1 and "failed: types, stored outputs" in result.stderr and len(seen) == 6
    assert all(command[0] == sys.executable for command in seen)
    nbval = steps.steps()[-1][1]
    assert "--nbval" in nbval and "--nbval-current-env" in nbval and nbval[nbval.index("--dist") + 1] == "loadscope"


@pytest.mark.parametrize(
    "words", [("fly",), ("run", "--fly"), ("run", "--jobs", "0"), ("run", "--seed", "-1"), ("data", "x")]
)
def test_unknown_commands_and_options(words: tuple[str, ...]) -> None:
    assert call(*words).exit_code == 2
