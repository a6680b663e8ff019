"""A small notebook in JupyterLab, in a real browser: run all cells, move a slider by keyboard, see a new figure."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

TOKEN = "only-for-this-test"
CELLS = (
    "from metalearn_lib import plots\nfrom metalearn_lib.course import check, claim\n"
    "from metalearn_lib.widgets import explore\n\nclaim('two and two make four', 2 + 2 == 4)",
    "import torch\n\n\ndef median_prototypes(support, labels, n_way):\n"
    "    return torch.stack([support[labels == c].quantile(0.5, dim=0) for c in range(n_way)])\n\n\n"
    "check.median_prototypes(median_prototypes)",
    "from metalearn_lib.plots.style import canvas\n\n\ndef draw(k_shot):\n"
    "    figure = canvas(5, 3, f'{k_shot} examples of each class')\n"
    "    figure.subplots().bar(['shots'], [k_shot])\n    return figure\n\n\nexplore(draw, k_shot=(1, 10))",
)
IMAGE = ".jp-OutputArea-output img"
STARTS, RUNS, REDRAWS = 90, 75, 60  # seconds, on a busy machine
ATTEMPTS = 3


@pytest.fixture
def lab(browser: Any, tmp_path: Path) -> Iterator[str]:
    """The address of a JupyterLab with one notebook, its settings and records in the test's own folder."""
    folder = tmp_path / "course"
    folder.mkdir()
    cells = [new_markdown_cell("# A small notebook"), *(new_code_cell(source) for source in CELLS)]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), folder / "small.ipynb")
    environment = {key: value for key, value in os.environ.items() if key != "METALEARN_HEADLESS"}
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        environment[name] = str(tmp_path / name.lower())
    for name in ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR"):
        environment[name] = str(tmp_path / name.lower())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ServerApp.ip=127.0.0.1", "--allow-root"]
    command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}"]
    command += [f"--ServerApp.root_dir={folder}", "--LabApp.extension_manager=readonly", "--LabApp.news_url="]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    with (tmp_path / "lab.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait_for(f"http://127.0.0.1:{port}/api?token={TOKEN}", process, tmp_path / "lab.log")
            yield f"http://127.0.0.1:{port}/lab/tree/small.ipynb?token={TOKEN}"
        finally:
            _stop(process)


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + STARTS
    while process.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """The server shuts its kernels down when asked to end; its whole process group goes if it does not."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def _run_all(page: Any) -> None:
    """By the menu, until a slider is there; on a busy machine a click may come before the kernel is connected."""
    from playwright.sync_api import TimeoutError as NotThere

    for _ in range(ATTEMPTS):
        page.locator(".lm-MenuBar-itemLabel").get_by_text("Run", exact=True).click()
        page.locator(".lm-Menu-itemLabel").get_by_text("Run All Cells", exact=True).click()
        try:
            page.get_by_role("slider").last.wait_for(timeout=RUNS * 1000)
            return
        except NotThere:
            continue
    outputs = page.locator(".jp-Notebook .jp-OutputArea-output").all_inner_texts()
    pytest.fail(f"no slider after running all cells {ATTEMPTS} times; the outputs are {outputs}")


def test_run_all_cells_and_move_a_slider(lab: str, watch: Callable[..., Any]) -> None:
    seen = watch()
    page = seen.page
    page.goto(lab)
    page.locator(".jp-Notebook .jp-CodeCell").nth(2).wait_for(timeout=STARTS * 1000)
    page.locator('.jp-NotebookPanel [data-status="idle"]').first.wait_for(timeout=STARTS * 1000)
    _run_all(page)
    handle = page.get_by_role("slider").last
    outputs = page.locator(".jp-Notebook .jp-OutputArea-output")
    words = " ".join(outputs.all_inner_texts())
    assert "✓ two and two make four" in words and "✓ median_prototypes" in words
    first = page.locator(IMAGE).last.get_attribute("src")
    before = seen.screenshot("lab-before")
    handle.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    changed = f"first => [...document.querySelectorAll('{IMAGE}')].every(image => image.src !== first)"
    page.wait_for_function(changed, arg=first, timeout=REDRAWS * 1000)
    page.locator('.jp-NotebookPanel [data-status="idle"]').first.wait_for(timeout=REDRAWS * 1000)
    assert handle.get_attribute("aria-valuenow") == "4.0"
    assert seen.screenshot("lab-after") != before
    assert page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
    assert page.locator('[data-mime-type="application/vnd.jupyter.stderr"]').count() == 0
    assert seen.complaints == []
