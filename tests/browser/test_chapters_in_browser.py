"""The chapters as a learner has them, in JupyterLab, by keyboard: cells, sliders, lists, a self-check, the quiz.

The first chapter is run whole, by the menu. Of the others only the cells are run that the exploration and the first
exercise need, half a minute or less of computing each; every cell of every chapter is executed by other checks.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from metalearn_lib.course.classroom import needed
from metalearn_lib.course.exercises.cells import Exercise, exercises
from metalearn_lib.course.running.chapters import Chapter, chapters
from metalearn_lib.course.study.quiz import load
from metalearn_lib.files import root

TOKEN = "only-for-this-test"
STARTS, RUNS, REDRAWS = 120_000, 480_000, 90_000  # milliseconds, on a busy machine
CHAPTERS = [chapter for chapter in chapters() if "widgets.explore(" in "".join(map(str, chapter.cells))]

READY = """cells => {
    const panel = window.jupyterapp?.shell.currentWidget;
    const kernel = panel?.sessionContext?.session?.kernel;
    if (!panel?.context?.isReady || kernel?.connectionStatus !== 'connected' || kernel.status !== 'idle') return false;
    window.book = panel.content;
    return window.book.widgets.length === cells;  // a long notebook is laid out bit by bit
}"""
STATE = """() => {
    const panel = window.jupyterapp?.shell.currentWidget;
    const kernel = panel?.sessionContext?.session?.kernel;
    return [panel?.title.label, panel?.context?.isReady, kernel?.connectionStatus, kernel?.status,
            panel?.content?.widgets?.length].join(', ');
}"""
WATCH = """() => window.jupyterapp.commands.commandExecuted.connect((_, done) => {
    if (done.id === 'runmenu:run-all') window.ran = done.result.catch(() => null).then(() => true);
})"""
SHOW = """async place => {
    window.book.activeCellIndex = place;
    await window.book.scrollToItem(place, 'start');
    document.querySelectorAll('[data-shown]').forEach(node => node.removeAttribute('data-shown'));
    window.book.widgets[place].node.setAttribute('data-shown', '');
}"""
RUN = """places => {
    window.ran = (async () => {
        for (const place of places) {
            window.book.activeCellIndex = place;
            await window.jupyterapp.commands.execute('notebook:run-cell');
        }
        return true;
    })();
}"""
OUTPUTS = "place => window.book.widgets[place].model.outputs.toJSON()"
TROUBLE = """() => window.book.widgets.filter(cell => cell.model.type === 'code')
    .flatMap(cell => cell.model.outputs.toJSON())
    .filter(output => output.output_type === 'error' || output.name === 'stderr')
    .map(output => output.evalue ?? [output.text].flat().join(''))"""
FIGURE = """(() => {  // a picture, or a figure made of text
    const found = part => document.querySelector(`[data-shown] .jp-OutputArea-output ${part}`);
    return found('img')?.src ?? found('pre')?.textContent;
})()"""
REDRAWN = f"before => ![undefined, before].includes({FIGURE})"
RESET = f"first => {FIGURE} === first"
# in JupyterLab the arrows of a list that is not open move to another cell: it is opened first
KEYS = {"DIV": ["ArrowRight"], "SELECT": ["Space", "ArrowDown", "Enter"], "INPUT": ["Space"]}
IDLE = "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'"
SHUT_DOWN = "() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()"


@dataclass
class Lab:
    """A JupyterLab on a learner's own copies."""

    address: str
    work: Path

    def recorded(self, kind: str, key: str) -> Mapping[str, Any]:
        path = self.work / "progress.json"
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return dict(found.get(kind, {}).get(key, {}))


@pytest.fixture(scope="module")
def lab(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """`metalearn lab`, in a new folder of own copies; settings and records in the test's own folder, too."""
    folder = tmp_path_factory.mktemp("lab")
    environment = {key: value for key, value in os.environ.items() if key != "METALEARN_HEADLESS"}
    environment |= {"METALEARN_WORK": str(folder / "work"), "OMP_NUM_THREADS": "1"}
    for name in ("CONFIG", "DATA", "RUNTIME"):
        environment[f"JUPYTER_{name}_DIR"] = str(folder / name.lower())
    environment |= {"IPYTHONDIR": str(folder / "ipython"), "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings")}
    environment["JUPYTERLAB_WORKSPACES_DIR"] = str(folder / "workspaces")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "metalearn_lib.course.cli", "lab", "--no-browser", "--allow-root"]
    command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    command += [f"--IdentityProvider.token={TOKEN}", "--LabApp.extension_manager=readonly", "--LabApp.news_url="]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    command += ["--LabApp.expose_app_in_browser=True"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=root(), env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait_for(f"http://127.0.0.1:{port}/api?token={TOKEN}", process, folder / "log")
            yield Lab(f"http://127.0.0.1:{port}/lab/tree/{{}}?token={TOKEN}", folder / "work")
        finally:
            _stop(process)


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + STARTS / 1000
    while process.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """`metalearn lab` ends JupyterLab and its kernels when it is asked to end; all its processes go if it does not."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def _places(chapter: Chapter, *targets: int) -> list[int]:
    """The targets, the cells tagged for grading (imports, setup), and the last cells that make the names they use."""
    cells = [{**cell, "source": "".join(cell["source"])} for cell in chapter.cells]
    names = {place: needed.names_of(cell["source"]) for place, cell in enumerate(cells) if needed.runs(cell)}
    found = {place for place in names if needed.TAG in cells[place]["metadata"].get("tags", [])}
    todo = list(targets)
    while todo:
        place = todo.pop()
        if place not in found:
            found.add(place)
            for name in names[place].uses:
                todo += [earlier for earlier in names if earlier < place and name in names[earlier].makes][-1:]
    return sorted(found)


def _place(chapter: Chapter, start: str) -> int:
    """The code cell that calls something at the start of a line."""
    sources = ["".join(cell["source"]) if cell["cell_type"] == "code" else "" for cell in chapter.cells]
    return next(place for place, source in enumerate(sources) if f"\n{start}" in f"\n{source}")


def _exercise(chapter: Chapter) -> tuple[Exercise, int] | None:
    """The first exercise with a self-check, and the place of its answer; the check is in the next cell."""
    for exercise in exercises(chapter.cells):
        if exercise.checks:
            wanted = f"ex-{exercise.number.replace('.', '-')}-answer"
            ids = [cell["metadata"].get("nbgrader", {}).get("grade_id") for cell in chapter.cells]
            return exercise, ids.index(wanted)
    return None


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name[:2])
def test_a_chapter_by_keyboard(chapter: Chapter, lab: Lab, watch: Callable[..., Any]) -> None:
    seen, exercise, explore = watch(), _exercise(chapter), _place(chapter, "widgets.explore(")
    page = seen.page
    _open(page, lab.address.format(chapter.path.name), len(chapter.cells))
    if chapter is CHAPTERS[0]:
        _run_all(page)
        unanswered = ["not answered yet"] if exercise else []  # a learner's cells stop at the first check
    else:
        targets = [explore] if exercise is None else [explore, exercise[1]]
        page.evaluate(RUN, [place for place in _places(chapter, *targets) if place <= explore])
        unanswered = []
    page.wait_for_function("() => window.ran", timeout=RUNS)
    trouble = page.evaluate(TROUBLE)
    assert len(trouble) == len(unanswered), trouble
    assert all(words in said for words, said in zip(unanswered, trouble, strict=True)), trouble
    page.evaluate(SHOW, explore)
    _explore(seen, chapter.name)
    if exercise is not None:
        _answer(seen, lab, *exercise)
    _quiz(seen, lab, chapter)
    assert page.evaluate(TROUBLE) == [] and seen.complaints == []
    page.evaluate(SHUT_DOWN)


def _open(page: Any, address: str, cells: int) -> None:
    """Open a chapter with a kernel that is ready; once more where the first try was lost, as a learner reloads it."""
    from playwright.sync_api import TimeoutError as TimedOut

    page.goto(address)
    try:
        page.wait_for_function(READY, arg=cells, timeout=STARTS)
    except TimedOut:
        print("not ready:", page.evaluate(STATE))
        page.reload()
        page.wait_for_function(READY, arg=cells, timeout=STARTS)


def _run_all(page: Any) -> None:
    page.evaluate(WATCH)
    page.locator(".lm-MenuBar-itemLabel").get_by_text("Run", exact=True).click()
    page.locator(".lm-Menu-itemLabel").get_by_text("Run All Cells", exact=True).click()


def _explore(seen: Any, name: str) -> None:
    """Move each slider and each list by one step, and see another figure; then go back to the first."""
    page = seen.page
    cell = page.locator("[data-shown]")
    cell.get_by_role("button", name="Back to the start").wait_for(timeout=REDRAWS)
    page.wait_for_function(REDRAWN, arg=None, timeout=REDRAWS)
    first = page.evaluate(FIGURE)
    seen.screenshot(f"chapter-{name}-start")
    controls = cell.locator('[role="slider"], select, input[type="checkbox"]')
    assert controls.count() >= 2
    for place in range(controls.count()):
        before = page.evaluate(FIGURE)
        controls.nth(place).focus()
        for key in KEYS[controls.nth(place).evaluate("node => node.tagName")]:
            page.keyboard.press(key)
        page.wait_for_function(REDRAWN, arg=before, timeout=REDRAWS)
        page.wait_for_function(IDLE, timeout=REDRAWS)
    seen.screenshot(f"chapter-{name}-moved")
    assert cell.get_by_text("Not drawn for").count() == 0
    cell.get_by_role("button", name="Back to the start").press("Enter")
    page.wait_for_function(RESET, arg=first, timeout=REDRAWS)


def _answer(seen: Any, lab: Lab, exercise: Exercise, place: int) -> None:
    """Type the answer into its cell, run it, run the check below it."""
    page = seen.page
    page.evaluate(SHOW, place)
    page.locator("[data-shown] .cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(exercise.solution)
    page.keyboard.press("Shift+Enter")
    page.wait_for_function("place => window.book.activeCellIndex === place", arg=place + 1, timeout=REDRAWS)
    page.evaluate(SHOW, place + 1)
    page.keyboard.press("Control+Enter")
    page.locator("[data-shown] .jp-OutputArea-output", has_text="✓").wait_for(timeout=REDRAWS)
    assert "properties hold" in str(page.evaluate(OUTPUTS, place + 1))
    assert lab.recorded("exercise", exercise.number)["passed"] is True
    seen.screenshot(f"exercise-{exercise.number}")


def _quiz(seen: Any, lab: Lab, chapter: Chapter) -> None:
    """Answer one question wrongly and read why; then answer all of them, and pass."""
    page, place = seen.page, _place(chapter, "quiz(")
    key, questions = load(chapter.name)
    page.evaluate(SHOW, place)
    page.evaluate(RUN, [place])
    cell = page.locator("[data-shown]")
    button = cell.get_by_role("button", name="Check my answers")
    button.wait_for(timeout=REDRAWS)
    boxes = cell.locator(".widget-vbox .widget-vbox")
    assert boxes.count() == len(questions)
    number, wrong = next(
        (n, answer) for n, question in enumerate(questions) for answer in question["answers"]
        if question["type"] == "multiple_choice" and not answer["correct"]
    )  # fmt: skip
    buttons = boxes.nth(number).get_by_role("button")
    buttons.nth(questions[number]["answers"].index(wrong)).press("Enter")
    button.press("Enter")
    boxes.nth(number).get_by_text(f"✗ {wrong['feedback']}").wait_for(timeout=REDRAWS)
    assert lab.recorded("quiz", key)["passed"] is False
    for box, question in zip(boxes.all(), questions, strict=True):
        right = [n for n, answer in enumerate(question["answers"]) if answer.get("correct")]
        if question["type"] == "numeric":
            answer = question["answers"][right[0]]
            box.get_by_role("textbox").fill(str(answer["value"] if "value" in answer else sum(answer["range"]) / 2))
        for n in right:
            if question["type"] == "multiple_choice":
                box.get_by_role("button").nth(n).press("Enter")
            elif question["type"] == "many_choice":
                box.get_by_role("checkbox").nth(n).press("Space")
    button.press("Enter")
    cell.get_by_text(f"{len(questions)} of {len(questions)} right: passed").wait_for(timeout=REDRAWS)
    assert lab.recorded("quiz", key)["passed"] is True and lab.recorded("quiz", key)["attempts"] == 2
    button.scroll_into_view_if_needed()
    seen.screenshot(f"quiz-{key}")
