from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest
import torch

from metalearn_lib.course import Profile, setup
from metalearn_lib.course import profile as module

CPU = torch.device("cpu")


def test_the_defaults_are_quick_and_seed_torch() -> None:
    profile = setup(device="cpu", seed=3)
    first = torch.rand(2)
    assert profile == Profile(quick=True, device=CPU, seed=3) and profile.pick(quick=1, full=2) == 1
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    assert setup(profile="full", device="cpu", seed=3).pick(quick=1, full=2) == 2
    assert torch.equal(torch.rand(2), first)
    with pytest.raises(dataclasses.FrozenInstanceError):
        profile.quick = False  # type: ignore[misc]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"profile": "fast"}, r"profile='fast'.*quick, full"),
        ({"device": "tpu"}, r"device='tpu'.*auto, cpu, cuda"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": True}, "seed=True"),
        ({"seed": "0"}, "seed='0'"),
    ],
)
def test_what_is_unknown_is_refused(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        setup(**arguments)  # type: ignore[arg-type]


def test_the_device_is_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert setup().device == CPU
    with pytest.raises(ValueError, match="no CUDA device here; use device='auto'"):
        setup(device="cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert setup().device.type == "cuda" and setup(device="cpu").device == CPU


def test_gpu_cells_run_or_show_the_stored_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "results_folder", lambda: tmp_path)
    cpu, cuda = Profile(quick=True, device=CPU, seed=0), Profile(quick=True, device=torch.device("cuda"), seed=0)
    assert cuda.gpu_result("large", lambda: {"accuracy": 0.9}) == {"accuracy": 0.9}
    assert capsys.readouterr().out == ""
    assert cpu.gpu_result("large", dict) is None
    assert capsys.readouterr().out == "large: no CUDA device here, and no stored result; this part is skipped\n"
    (tmp_path / "gpu").mkdir()
    stored = {"accuracy": 0.8, "provenance": "2026-01-01, one GPU"}
    (tmp_path / "gpu" / "large.json").write_text(json.dumps(stored))
    assert cpu.gpu_result("large", dict) == stored
    assert capsys.readouterr().out == "large: no CUDA device here; showing the stored result (2026-01-01, one GPU)\n"
