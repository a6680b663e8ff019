"""A damaged or foreign checkpoint is one clear error that names the file and the way out; the learner stays whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from metalearn_lib import MAML, SinusoidSampler, meta_train
from metalearn_lib.files import read_tensors, write_tensors
from metalearn_lib.optimise import History, weights_of

OPTIONS: dict[str, Any] = {"steps": 4, "validate_every": 2, "valid_episodes": 4, "progress": False}


def learner(hidden: int = 5) -> MAML:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = torch.nn.Linear(1, hidden), torch.nn.Tanh(), torch.nn.Linear(hidden, 1)
    return MAML(torch.nn.Sequential(*layers), inner_steps=1, inner_lr=0.01)


def train(path: Path | str | None, model: MAML | None = None, **options: Any) -> History:
    samplers = {"sampler": SinusoidSampler(seed=0), "valid": SinusoidSampler(seed=1)}
    return meta_train(learner() if model is None else model, **samplers, checkpoint=path, **{**OPTIONS, **options})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    train(tmp_path / "run.safetensors")
    return tmp_path / "run.safetensors"


Change = Callable[[dict[str, Tensor], dict[str, str]], object]


def history_of(meta: dict[str, str], **fields: object) -> None:
    meta["history"] = json.dumps({**json.loads(meta["history"]), **fields})


def drop(tensors: dict[str, Tensor], start: str) -> None:
    for name in [name for name in tensors if name.startswith(start)]:
        del tensors[name]


CHANGES: dict[str, Change] = {
    "no history": lambda _, meta: meta.pop("history"),
    "no settings": lambda _, meta: meta.pop("settings"),
    "half a history": lambda _, meta: meta.update(history=meta["history"][:20]),
    "a history of a newer version": lambda _, meta: history_of(meta, valid_losses=[1.0]),
    "settings that are a number": lambda _, meta: meta.update(settings="5"),
    "no generator": lambda tensors, _: tensors.pop("random.cpu"),
    "a generator of another size": lambda tensors, _: tensors.update({"random.cpu": torch.zeros(3).byte()}),
    "a generator of another type": lambda tensors, _: tensors.update({"random.cpu": torch.zeros(5056)}),
    "no optimizer": lambda tensors, _: drop(tensors, "optimizer."),
    "half an optimizer": lambda tensors, _: drop(tensors, "optimizer.1.exp_avg_sq"),
    "an optimizer without steps": lambda tensors, _: drop(tensors, "optimizer.0.step"),
    "an optimizer of more parameters": lambda tensors, _: tensors.update({"optimizer.99.step": torch.tensor(1.0)}),
    "an optimizer with a name for a number": lambda tensors, _: tensors.update({"optimizer.x.y": torch.ones(1)}),
    "no weights": lambda tensors, _: drop(tensors, "model."),
    "a weight of another size": lambda tensors, _: tensors.update({"model.model.0.weight": torch.zeros(6, 1)}),
    "no best weights": lambda tensors, _: drop(tensors, "best."),
    "a tensor of something else": lambda tensors, _: tensors.update({"something.else": torch.ones(1)}),
}


@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_checkpoint_with_other_content_is_refused_and_nothing_is_taken_over(
    path: Path, change: Change, checksum: bool
) -> None:
    tensors, meta = read_tensors(path)
    change(tensors, meta)
    if checksum:
        write_tensors(path, tensors, meta)
    else:  # an older file
        safetensors.torch.save_file(tensors, path, metadata=meta)
    model, content = learner(), path.read_bytes()
    kept, state = weights_of(model), torch.get_rng_state()
    with pytest.raises(
        ValueError, match=r"^checkpoint run\.safetensors cannot be read \(.+\); delete it to start again$"
    ):
        train(path, model)
    assert all(torch.equal(value, kept[name]) for name, value in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state()) and path.read_bytes() == content


@pytest.mark.parametrize("damage", [lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda data: data[:-100]])
def test_a_flipped_bit_and_a_lost_end_are_refused(path: Path, damage: Callable[[bytes], bytes]) -> None:
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"run\.safetensors cannot be read \(.+\); delete it to start"):
        train(path)


def test_an_older_checkpoint_without_a_checksum_goes_on(path: Path, tmp_path: Path) -> None:
    tensors, meta = read_tensors(path)
    safetensors.torch.save_file(tensors, tmp_path / "old", metadata=meta)
    assert train(tmp_path / "old") == train(path) == train(None)


@pytest.mark.parametrize("name", ["", ".", "tests"])
def test_a_name_that_no_file_has_is_refused_before_the_first_step(name: str) -> None:
    with pytest.raises(ValueError, match=r"meta_train\(checkpoint=.*\): not a file; give a file name"):
        train(name)


def test_numbers_of_numpy_are_settings_too(path: Path) -> None:
    assert train(path, steps=np.int64(4), lr=np.float64(1e-3)) == train(path)


def test_the_learner_is_left_in_evaluation_mode_whatever_happens(path: Path) -> None:
    model, broken = learner(), learner()
    train(None, model)
    path.write_bytes(b"broken")
    with pytest.raises(ValueError, match="cannot be read"):
        train(path, broken)
    assert not model.training and not broken.training
