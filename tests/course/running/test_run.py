"""`metalearn run`, called as a user calls it, on notebooks of three lines."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from tests.course.a_course import METALEARN, Course, all_gone, children, wait_for

CLAIM = "from metalearn_lib.course import claim\nclaim('one', True)\nclaim('two', True)"
SLEEP = "import time\nprint('before', flush=True)\ntime.sleep(60)"


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(tmp_path)


@pytest.fixture
def sleeping(course: Course, write_notebook: Any) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    """A run that has finished 00_done and sleeps in 01_slow, and all processes that it started."""
    write_notebook("00_done", CLAIM)
    write_notebook("01_slow", SLEEP)
    process = course.start()
    me = psutil.Process(process.pid)
    wait_for(lambda: (course.out / "00_done.ipynb").exists(), "the first chapter")
    wait_for(lambda: any("ipykernel_launcher" in " ".join(p.cmdline()) for p in children(me)), "the second kernel")
    yield process, children(me)
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_success_and_resume(course: Course, write_notebook: Any) -> None:
    write_notebook("00_one", CLAIM)
    path = write_notebook("01_two", "import os\nprint(os.path.basename(os.getcwd()), seed)")
    code, out, err = course.run("--seed", "3", "--jobs", "2")
    assert code == 0 and not err
    assert course.files() == {"00_one.ipynb", "01_two.ipynb", "report.json"}
    entry = course.report()["00_one"]
    assert entry["status"] == "ok" and entry["claims"] == 2 and entry["peak_mb"] > 20 and entry["seconds"] > 0
    assert entry["slowest"][0]["cell"] in (2, 3) and entry["options"]["seed"] == 3
    assert 0 < entry["cpu_seconds"] < 60 and "MB" in out and "CPU" in out
    assert course.outputs("01_two") == "notebooks 3\n"

    before = (course.out / "00_one.ipynb").stat().st_mtime_ns
    write_notebook("01_two", "print('changed')")
    code, out, _ = course.run("--seed", "3")
    assert code == 0 and "00_one   unchanged" in out and course.outputs("01_two") == "changed\n"
    assert (course.out / "00_one.ipynb").stat().st_mtime_ns == before

    for kept in ("00_one.ipynb.bak", "00_one.ipynb.bak1"):
        (course.out / "00_one.ipynb").write_text("my notes")  # changed by a person: made again, theirs is kept
        code, out, _ = course.run("0", "--seed", "3")
        assert code == 0 and f"yours is kept as {kept}" in out and (course.out / kept).read_text() == "my notes"
        assert "00_one: ok" in out and "01_two" in course.report() and path.exists()
    _, out, _ = course.run("00_one", "--force", "--seed", "3")
    assert "unchanged" not in out and "kept" not in out


def test_a_claim_that_fails_on_another_seed_is_told_counted_and_passed_over(
    course: Course, write_notebook: Any
) -> None:
    cells = "from metalearn_lib.course import claim, claims\nclaims.begin(seed)\nclaim('one', True)"
    write_notebook("00_one", cells, "claim('no seed', seed == 0, 0.25)", "print('the end')")
    code, out, _ = course.run("--seed", "1")
    assert code == 0 and " 1 of 2 " in out and "\n✗ 00_one: no seed  [0.25]\n" in out
    entry = course.report()["00_one"]
    assert (entry["claims"], entry["missed"]) == (1, 1) and "the end" in course.outputs("00_one")
    assert [(line["text"], line["holds"]) for line in entry["said"]] == [("one", True), ("no seed", False)]
    assert "✗ did not hold here (seed 1): no seed  [0.25]\n" in course.outputs("00_one")
    _, out, _ = course.run("--seed", "1")
    assert "unchanged" in out and "\n✗ 00_one: no seed  [0.25]\n" in out
    code, out, err = course.run("--seed", "0")
    assert code == 0 and "✗" not in out and course.report()["00_one"]["missed"] == 0, err


def test_nothing_of_a_person_is_written_over(course: Course, write_notebook: Any, tmp_path: Path) -> None:
    source = write_notebook("00_one", CLAIM)
    work, foreign, other = tmp_path / "work", tmp_path / "foreign", tmp_path / "other"
    for folder in (work / "inner", foreign, other):
        folder.mkdir(parents=True)
    (work / ".metalearn-work.json").write_text("{}")
    for path in (work / "00_one.ipynb", foreign / "00_one.ipynb", other / "report.json", tmp_path / "file"):
        path.write_text("mine")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for out, says in (
        (source.parent, "the chapters themselves lie there"),
        (source.parent / "images", "the chapters themselves lie there"),
        (work, "somebody's own copies of the chapters lie there"),
        (work / "inner", "somebody's own copies"),
        (foreign, "00_one.ipynb lies there, and no earlier call of this command wrote it"),
        (other, "report.json is no report of a run"),
        (tmp_path / "file", "that is a file"),
        ("", "name a folder"),
    ):
        course.out = out
        code, _, err = course.run()
        assert code == 2 and says in err and "Traceback" not in err, err
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_a_run_killed_while_it_writes_knows_its_own_files(course: Course, write_notebook: Any) -> None:
    write_notebook("00_one", CLAIM)
    killed = (
        "import os; rename = os.rename; os.replace = lambda made, target: "
        "os._exit(9) if target.suffix == '.ipynb' else rename(made, target); main()"
    )
    start = METALEARN.replace("main()", killed)
    for _ in range(2):  # the notebook is not there yet; then the earlier one still is
        words = [sys.executable, "-c", start, "run", "--out", str(course.out), "--force"]
        assert subprocess.run(words, env=course.env, capture_output=True, check=False).returncode == 9
        code, out, err = course.run()
        assert code == 0 and "kept" not in out and course.report()["00_one"]["status"] == "ok", err


def test_a_chapter_of_which_nothing_came_keeps_its_earlier_result(course: Course, write_notebook: Any) -> None:
    write_notebook("00_one", CLAIM)
    assert course.run()[0] == 0
    killed = "import os, signal; os.kill(os.getppid(), signal.SIGKILL)"  # the worker
    write_notebook("00_one", killed)
    code, _, err = course.run()
    assert code == 1 and "the worker process died" in err
    write_notebook("00_one", CLAIM)
    code, out, _ = course.run()
    assert code == 0 and "kept" not in out


def test_folders_of_the_environment_are_meant_from_here(
    course: Course, write_notebook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("METALEARN_DATA", "METALEARN_MIRROR", "METALEARN_WORK")
    write_notebook("00_where", f"import os\nprint(*[os.environ[name] == os.path.abspath(os.environ[name]) "
                               f"and os.path.basename(os.environ[name]) for name in {names}])")  # fmt: skip
    monkeypatch.chdir(tmp_path)
    code, _, err = course.run(**dict(zip(names, ("data", "mirror", "own"), strict=True)))
    assert code == 0 and course.outputs("00_where") == "data mirror own\n", err


def test_as_many_at_once_as_cores_allow(course: Course, write_notebook: Any, tmp_path: Path) -> None:
    busy = (
        "import os, pathlib, time\n"
        f"mark = pathlib.Path({str(tmp_path / 'marks')!r}, NAME)\n"
        "mark.write_text('')\nseen = []\n"
        "for _ in range(15):\n    seen.append(len(list(mark.parent.iterdir())))\n    time.sleep(0.1)\n"
        "mark.unlink()\nprint(max(seen), os.environ['METALEARN_THREADS'], os.environ['OMP_NUM_THREADS'])"
    )
    (tmp_path / "marks").mkdir()
    for number in range(5):
        write_notebook(f"0{number}_busy", busy.replace("NAME", repr(str(number))))
    cores = "from metalearn_lib.course.running import schedule; schedule.free_cores = lambda: 2; "
    words = [sys.executable, "-c", METALEARN.replace("main()", cores + "main()"), "run", "--out", str(course.out)]
    done = subprocess.run(words, env=course.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.split()[0] for line in done.stdout.splitlines() if " ok " in line and "cell" in line]
    assert rows == [f"0{number}_busy" for number in range(5)]
    said = [course.outputs(f"0{number}_busy").split() for number in range(5)]
    assert max(int(seen) for seen, *_ in said) == 2 and {threads for *_, threads in said} == {"1"}


def test_a_failing_cell(course: Course, write_notebook: Any) -> None:
    write_notebook("00_bad", "x = 1", "print('before')\n1 / 0  # this line", "print('never')")
    write_notebook("01_good", CLAIM)
    code, out, err = course.run("--jobs", "1")
    assert code == 1 and "00_bad   failed" in out and "01_good  not run" in out
    assert "00_bad, cell 4 failed" in err and "1 / 0  # this line" in err and "ZeroDivisionError" in err
    assert "before" in course.outputs("00_bad") and "never" not in course.outputs("00_bad")
    text = (course.out / "report.json").read_text()
    assert "\\u001b" not in text and "\x1b" not in text and course.report()["00_bad"]["error"]["cell"] == 4

    code, out, err = course.run("--keep-going", "--seed", "1")
    assert code == 1 and "01_good  ok" in out and "00_bad, cell 4 failed" in err  # the injected cell is not counted


def test_what_is_not_there(course: Course, write_notebook: Any) -> None:
    write_notebook("00_one", CLAIM)
    write_notebook("04_two", CLAIM, parameters='profile = "quick"\ndevice = "auto"\nseed = 0\nsteps = 5')
    for arguments, says in (
        (["7"], "unknown chapter '7'; the chapters are 00_one, 04_two"),
        (["4", "--param", "stepz=3"], "'stepz'; the known parameters are: device, profile, seed, steps"),
        (["0", "4", "--param", "steps=3"], "00_one has no parameter 'steps'"),
        (["--param", "stepz=3"], "no chapter has a parameter 'stepz'"),
        (["--param", "steps"], "write it as name=value"),
        (["--profile", "fast"], "choose quick or full"),
        (["--device", "tpu"], "choose auto or cpu or cuda"),
        (["--in-place", "--seed", "1"], "--in-place executes with the defaults"),
    ):
        code, _, err = course.run(*arguments)
        assert code == 2 and says in err and "Traceback" not in err, err
    assert not course.out.exists()
    assert course.run("--param", "steps=3")[0] == 0  # known to one chapter of the whole course


def test_a_cell_that_takes_too_long_and_a_kernel_that_dies(course: Course, write_notebook: Any) -> None:
    write_notebook("00_slow", SLEEP)
    half = "with open(os.environ['METALEARN_CLAIMS'], 'a') as file:\n    file.write('{\"kind\": {}')\nos._exit(1)"
    write_notebook("01_dies", CLAIM, f"import os\n{half}")
    code, _, err = course.run("--keep-going", "--cell-timeout", "2")
    assert code == 1 and "00_slow, cell 3" in err and "ran longer than 2 s" in err and "--cell-timeout" in err
    assert course.outputs("00_slow") == "before\n"
    assert "01_dies, cell 4" in err and "the kernel died" in err and course.report()["01_dies"]["claims"] == 2


def test_ctrl_c_leaves_nothing_half_written(course: Course, sleeping: Any, write_notebook: Any) -> None:
    process, started = sleeping
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130 and "interrupted" in err and "Traceback" not in err
    assert course.files() == {"00_done.ipynb", "report.json"} and set(course.report()) == {"00_done"}
    wait_for(lambda: all_gone(started), "the end of every process")
    write_notebook("01_slow", "print('quick')")
    code, out, _ = course.run()
    assert code == 0 and "00_done  unchanged" in out and "01_slow  ok" in out


def test_kill_9_and_on(course: Course, sleeping: Any, write_notebook: Any) -> None:
    process, started = sleeping
    process.kill()
    process.communicate()
    wait_for(lambda: all_gone(started), "the end of every process")
    write_notebook("01_slow", "print('quick')")
    code, out, _ = course.run()
    assert code == 0 and "00_done  unchanged" in out and "01_slow  ok" in out
    assert course.files() == {"00_done.ipynb", "01_slow.ipynb", "report.json"}


def test_one_run_at_a_time(course: Course, sleeping: Any) -> None:
    process, _ = sleeping
    code, _, err = course.run()
    assert code == 1 and f"(process {process.pid})" in err and "--out" in err
    process.terminate()
    _, err = process.communicate(timeout=20)
    assert process.returncode == 143 and "interrupted" in err


def test_this_python_is_the_kernel(course: Course, write_notebook: Any, tmp_path: Path) -> None:
    kernel = tmp_path / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(
        json.dumps({"argv": ["no-such-python"], "display_name": "another", "language": "python"})
    )
    write_notebook("00_who", "import sys\nprint(sys.prefix)")
    course.env["JUPYTER_PATH"] = str(tmp_path / "jupyter")
    code, _, err = course.run(JUPYTER_PREFER_ENV_PATH="0")
    assert code == 0, err
    assert Path(course.outputs("00_who").strip().replace("~", str(Path.home()), 1)).name == Path(sys.prefix).name


def test_in_place(course: Course, write_notebook: Any) -> None:
    good = write_notebook("00_good", CLAIM)
    assert course.run("0", "--in-place")[0] == 0
    stored = nbformat.read(good, as_version=4)
    assert [c.execution_count for c in stored.cells if c.cell_type == "code"] == [1, 2]
    assert stored.cells[2].outputs[0].text == "✓ one\n✓ two\n"
    assert set(stored.metadata) == {"kernelspec", "language_info"}
    assert all(set(cell.metadata) <= {"tags"} for cell in stored.cells)
    assert {path.name for path in good.parent.iterdir()} == {"00_good.ipynb"} and not course.out.exists()
    first = good.read_bytes()
    assert course.run("0", "--in-place")[0] == 0 and good.read_bytes() == first

    for name, source, says in (
        ("01_bad", "1 / 0", "ZeroDivisionError"),
        ("02_loud", "import sys\nprint('oh', file=sys.stderr)", "the cell wrote to stderr"),
    ):
        path = write_notebook(name, source)
        before = path.read_bytes()
        code, _, err = course.run(name, "--in-place")
        assert code == 1 and says in err and path.read_bytes() == before
