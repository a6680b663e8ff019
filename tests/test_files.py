"""Stored tensors: what was written comes back, nothing else replaces it, and no change of it goes unseen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from metalearn_lib import files


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    types = [torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.uint8, torch.bool]
    rows = torch.arange(6.0).view(2, 3)
    tensors = {"rows": rows, "columns": rows.T, **{str(kind): torch.ones(3).to(kind) for kind in types}}
    files.write_tensors(tmp_path / "new" / "file", tensors, {"about": "numbers, 中文"})
    read, meta = files.read_tensors(tmp_path / "new" / "file")
    assert all(torch.equal(read[name], value) and read[name].dtype == value.dtype for name, value in tensors.items())
    assert meta == {"about": "numbers, 中文"}


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


def test_a_file_changed_or_cut_short_is_refused(tmp_path: Path) -> None:
    files.write_tensors(tmp_path / "file", {"x": torch.ones(100)}, {})
    flip(tmp_path / "file", -1)
    with pytest.raises(ValueError, match="its checksum is wrong: the content was damaged or changed"):
        files.read_tensors(tmp_path / "file")
    (tmp_path / "file").write_bytes((tmp_path / "file").read_bytes()[:200])
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


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_a_flipped_bit_changes_nothing_unseen_wherever_it_is(tmp_path: Path) -> None:
    tensors = {"x": torch.arange(9.0), "n": torch.tensor(3), "none": torch.zeros(0, 2), "yes": torch.ones(5).bool()}
    files.write_tensors(tmp_path / "file", tensors, {"about": "nine numbers"})
    refused = 0
    for place in range((tmp_path / "file").stat().st_size):
        flip(tmp_path / "file", place)
        try:
            read, meta = files.read_tensors(tmp_path / "file")
            # the bit was in white space, or in the name under which the checksum stands
            assert meta["about"] == "nine numbers" and read.keys() == tensors.keys()
            assert all(torch.equal(read[name], value) for name, value in tensors.items())
        except ValueError:
            refused += 1
        flip(tmp_path / "file", place)
    assert refused > 0.9 * place


def test_a_file_without_a_checksum_is_taken(tmp_path: Path) -> None:
    safetensors.torch.save_file({"x": torch.ones(2)}, tmp_path / "old", metadata={"about": "an older file"})
    tensors, meta = files.read_tensors(tmp_path / "old")
    assert torch.equal(tensors["x"], torch.ones(2)) and meta == {"about": "an older file"}


def test_a_folder_is_named_as_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="it is a folder"):
        files.read_tensors(tmp_path)
    with pytest.raises(OSError, match=f"{tmp_path.name} is a folder; name a file in it"):
        files.write_tensors(tmp_path, {"x": torch.ones(1)}, {})
    with pytest.raises(OSError, match="is a folder"):
        files.write_tensors(Path(""), {"x": torch.ones(1)}, {})


def test_rows_are_lines_of_one_json_file(tmp_path: Path) -> None:
    rows = [{"a": "ä", "b": [1, 2]}, {"a": None}]
    files.write_rows(tmp_path / "rows.json", {"about": {"what": "rows"}}, first=rows, second=[])
    text = (tmp_path / "rows.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"about": {"what": "rows"}, "first": rows, "second": []}
    assert '{"a": "ä", "b": [1, 2]},' in text.splitlines()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match=r"file/new cannot be written \(.*\); free disk space, or name a place"):
        files.write_tensors(tmp_path / "file" / "new", {"x": torch.ones(1)}, {})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = safetensors.torch.save_file
    monkeypatch.setattr("safetensors.torch.save_file", lambda tensors, _, **kw: save(tensors, "/dev/full", **kw))
    with pytest.raises(OSError, match=r"run\.safetensors cannot be written"):
        files.write_tensors(tmp_path / "run.safetensors", {"x": torch.ones(1)}, {})
    assert not list(tmp_path.iterdir())
