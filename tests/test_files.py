"""Checkpoints: what was written comes back, and nothing else replaces it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from metalearn_lib import files


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    rows = torch.arange(6.0).view(2, 3)
    files.write_tensors(tmp_path / "new" / "file", {"rows": rows, "columns": rows.T}, {"about": "six numbers, 中文"})
    tensors, meta = files.read_tensors(tmp_path / "new" / "file")
    assert torch.equal(tensors["rows"], rows)
    assert torch.equal(tensors["columns"], rows.T)
    assert meta == {"about": "six numbers, 中文"}


def test_an_interrupted_write_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write_tensors(tmp_path / "file", {"x": torch.ones(1)}, {})

    def full(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(OSError, match="no space"):
        files.write_tensors(tmp_path / "file", {"x": torch.zeros(1)}, {})
    assert files.read_tensors(tmp_path / "file")[0]["x"].item() == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    files.write_tensors(tmp_path / "file", {"x": torch.ones(100)}, {})
    whole = (tmp_path / "file").read_bytes()
    (tmp_path / "file").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"\w"):
        files.read_tensors(tmp_path / "file")


def test_a_cache_that_cannot_be_written_is_said_once_and_costs_nothing_else(tmp_path, capsys):
    (tmp_path / "file").write_text("no folder")
    files._say_once.cache_clear()
    for name in ("a", "b"):
        assert not files.keep_tensors(tmp_path / "file" / name, {"x": torch.ones(1)}, {})
    assert capsys.readouterr().out.count("the data cache cannot be written") == 1
    assert files.keep_tensors(tmp_path / "a", {"x": torch.ones(1)}, {})
    assert files.read_tensors(tmp_path / "a")[0]["x"].item() == 1
