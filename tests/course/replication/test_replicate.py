"""`metalearn replicate`, called as a user calls it: killed in the middle, it ends with what an unbroken call gives."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from metalearn_lib.course import cli
from metalearn_lib.course.replication.command import parse_seeds
from metalearn_lib.course.running.chapters import UsageError
from tests.course.a_course import Course, all_gone, children, wait_for

CLAIMS = """
from metalearn_lib.course import claim, claims, must_hold, replicated
from metalearn_lib.scores import Score, below
claims.begin(seed)
claim("the seed is below one", below(seed, 1))
claim("it is a seed", seed >= 0)
claim(f"the seed is {seed}", True)
must_hold("one is one", True)
print(*replicated({"a": Score.of([0.1, 0.2 + seed / 10])}, chapter="00", name="a table"))
"""
DIES = """
import pathlib, time
from metalearn_lib.course import claim
claim("before the end", True)
while seed and not pathlib.Path({!r}).exists():
    time.sleep(0.05)
if seed:
    raise RuntimeError("no further\\nmore words")
"""


def tables(course: Course) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads((course.out / "replication.json").read_text(encoding="utf-8"))
    return stored


def test_interrupted_and_killed_it_ends_as_if_nothing_had_been(write_notebook: Any, tmp_path: Path) -> None:
    course, go_on = Course(tmp_path, "replicate"), tmp_path / "go on"
    write_notebook("00_claims", CLAIMS)
    write_notebook("01_dies", DIES.format(str(go_on)))
    write_notebook("glossary", parameters=None)
    words = ("--seeds", "0-1", "--jobs", "2")
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        process = course.start(*words)
        wait_for(
            lambda: (course.out / "replication.json").exists() and len(tables(course)["seeds"]) == 3, "three of four"
        )
        me = psutil.Process(process.pid)
        wait_for(lambda: any("ipykernel_launcher" in " ".join(p.cmdline()) for p in children(me)), "the last kernel")  # noqa: B023
        if number == signal.SIGTERM:
            busy, _, err = course.run(*words)
            assert busy == 1 and f"(process {process.pid})" in err
        started = children(me)
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
        assert process.returncode == code and "Traceback" not in err
        assert code < 0 or "finished seeds are kept, the same command goes on" in err
        wait_for(lambda: all_gone(started), "the end of every process")  # noqa: B023
        assert len(tables(course)["seeds"]) == 3

    go_on.touch()
    code, out, err = course.run(*words)
    assert code == 1 and "Traceback" not in err
    assert "01_dies, seed 1, did not come to its end: cell 3: RuntimeError: no further\n" in out
    assert out.count(": ok") == 0 and out.count(": failed") == 1  # what had been finished was not executed again
    resumed = tables(course)
    course.out = tmp_path / "unbroken"
    assert course.run(*words)[0] == 1 and tables(course) == resumed

    claims = {(row["chapter"], row["sentence"]): row for row in resumed["claims"]}
    below = claims["00_claims", "the seed is below one"]
    assert below["upheld"] == [0] and below["missed"] == [1] and below["margin"] == 0
    assert below["numbers"] == {"0": "0", "1": "1"} and below["margins"] == {"0": 1, "1": 0}
    assert claims["00_claims", "the seed is 1"]["upheld"] == [1] and ("00_claims", "one is one") not in claims
    assert claims["01_dies", "before the end"]["upheld"] == [0, 1]
    assert [(row["chapter"], row["seed"], row["error"]) for row in resumed["seeds"]] == [
        ("00_claims", 0, None), ("00_claims", 1, None), ("01_dies", 0, None),
        ("01_dies", 1, "cell 3: RuntimeError: no further"),
    ]  # fmt: skip
    (score,) = resumed["scores"]
    assert score["row"] == "a" and score["means"] == pytest.approx({"0": 0.15, "1": 0.2})
    table = out[out.index("weakest") :]
    assert table.index("the seed is below one") < table.index("the seed is 1 (said on 1 of 2 seeds)")
    assert "it is a seed" not in table  # it held everywhere, and has no margin
    assert [line.split() for line in out.splitlines() if line.startswith("00_claims ")] == [
        ["00_claims", "0–1", "4", "3", "83.3%"]
    ]


@pytest.fixture
def call(write_notebook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The command in this process, on a course of one chapter and a glossary, with results in `build/`."""
    write_notebook("00_claims", CLAIMS)
    write_notebook("glossary", parameters=None)
    monkeypatch.setenv("METALEARN_NOTEBOOKS", str(tmp_path / "notebooks"))
    return lambda *words: CliRunner().invoke(cli.app, ["replicate", "--out", str(tmp_path / "build"), *words])


@pytest.mark.parametrize("damaged", ['{"seeds": [', "[]", '{"seeds": [], "claims": [{}], "scores": []}'])
def test_a_damaged_file_is_told_and_left(damaged: str, call: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "build" / "replication.json"
    path.parent.mkdir()
    path.write_text(damaged)
    done = call("--seeds", "0")
    assert done.exit_code == 2 and "replication.json cannot be read" in done.stderr
    assert path.read_text() == damaged and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("7",), "unknown chapter '7'"),
        (("glossary",), "glossary has no parameter 'seed'"),
        (("0", "--seeds", "5-2"), "write 2-5"),
        (("0", "--seeds", "-1"), "'-1' is no seed"),
    ],
)
def test_chapters_and_seeds_that_are_not_there(
    words: tuple[str, ...], says: str, call: Callable[..., Any], tmp_path: Path
) -> None:
    done = call(*words)
    assert done.exit_code == 2 and says in done.stderr and not (tmp_path / "build").exists()


@pytest.mark.parametrize("text", ["", "a", "-1", "3-", "5-2", "0,0", "0-3,2", "0-1000", "1.5", "0 1"])
def test_seeds_are_numbers_and_ranges_each_once(text: str) -> None:
    with pytest.raises(UsageError, match="--seeds"):
        parse_seeds(text)
    assert parse_seeds("7, 0-2") == [0, 1, 2, 7]
