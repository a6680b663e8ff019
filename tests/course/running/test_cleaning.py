from __future__ import annotations

import os
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from metalearn_lib.course.running.cleaning import clean
from metalearn_lib.course.running.notebook import WIDGET
from metalearn_lib.course.running.worker import _plain
from metalearn_lib.files import root, write_text


def test_what_differs_by_machine_or_day_is_taken_out() -> None:
    home = str(Path.home())
    cells = [
        new_markdown_cell("error", metadata={"tags": ["papermill-error-cell-tag"]}),
        new_code_cell("seed = 1", metadata={"tags": ["injected-parameters"]}),
        new_code_cell(
            "run()",
            metadata={"tags": [], "papermill": {"duration": 1}, "alt": "a line", "execution": {}},
            outputs=[
                new_output("stream", name="stdout", text=f"0%\r50%\r100%\nread {root()}/data/x and {home}/y\r\n"),
                new_output("display_data", data={WIDGET: {"model_id": "1"}, "text/plain": "interactive()"}),
                new_output("execute_result", data={"text/plain": "<Model object at 0x7f00aa11bb22>"}),
            ],
        ),
    ]
    language = {"name": "python", "version": "3.11.7"}
    metadata = {"widgets": {}, "papermill": {"start": "today"}, "language_info": language}
    for keep in (True, False):
        notebook = clean(new_notebook(cells=[cell.copy() for cell in cells], metadata=metadata), keep_injected=keep)
        assert len(notebook.cells) == 1 + keep
        assert set(notebook.metadata) == {"kernelspec", "language_info"}
    last = notebook.cells[-1]
    assert last.metadata == {"alt": "a line"}
    assert [output.output_type for output in last.outputs] == ["stream", "execute_result"]
    assert last.outputs[0].text == "100%\nread data/x and ~/y\n"
    assert last.outputs[1].data["text/plain"] == "<Model object>"


def test_a_reported_error_names_no_folder_of_this_machine() -> None:
    assert _plain([f"\x1b[0;31mFile {root()}/metalearn_lib/files.py\x1b[0m", 3]) == ["File metalearn_lib/files.py", 3]


def test_a_file_is_written_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "new" / "report.json"
    write_text("old", target)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_text("new", target)
    assert target.read_text() == "old" and list(target.parent.iterdir()) == [target]
