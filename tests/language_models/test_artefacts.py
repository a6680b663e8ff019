"""A model that was trained once: the same as one trained now, found by all it depends on, and never in the way."""

import copy
import subprocess
import sys

import pytest
import torch

from metalearn_lib import language_models as lm
from metalearn_lib.language_models import artefacts
from metalearn_lib.text import Vocabulary

TEXT = [["the", "fox", "went", "home", "."], ["the", "king", "slept", "."], ["a", "wolf", "howled"]] * 4
VALID = [["the", "wolf", "slept", "."]]
WORDS = Vocabulary.build(TEXT, sentence_marks=True)
SETTINGS = {"epochs": 2, "lr": 1e-2, "tokens_per_batch": 32, "seed": 3}


def model(kind="lstm", **options):
    return lm.NeuralLanguageModel(kind, **{"vocabulary": WORDS, "dim": 8, "seed": 1} | options)


def weights(net):
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture
def no_training(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("trained again")

    return lambda: monkeypatch.setattr(artefacts, "fit", refuse)


@pytest.mark.parametrize("valid", [None, VALID])
@pytest.mark.parametrize("kind", lm.KINDS)
def test_what_is_loaded_is_what_training_gives(tmp_path, no_training, kind, valid):
    trained, first, second = (model(kind) for _ in range(3))
    losses = lm.fit(trained, TEXT, valid=valid, **SETTINGS)
    assert lm.fit_once(first, TEXT, valid=valid, folder=tmp_path, **SETTINGS) == losses
    no_training()
    state = torch.get_rng_state()
    assert lm.fit_once(second, TEXT, valid=valid, folder=tmp_path, **SETTINGS) == losses
    assert torch.equal(torch.get_rng_state(), state)
    assert same(weights(trained), weights(first)) and same(weights(trained), weights(second))
    assert not second.training
    history = ["the", "king"]
    assert torch.equal(trained.next_log_probabilities(history), second.next_log_probabilities(history))


OTHERS = {
    "start": lambda: (model(seed=2), TEXT, {}),
    "size": lambda: (model(dim=4), TEXT, {}),
    "dropout": lambda: (model(dropout=0.1), TEXT, {}),
    "vocabulary": lambda: (model(vocabulary=Vocabulary.build(TEXT[:2], sentence_marks=True)), TEXT, {}),
    "texts": lambda: (model(), TEXT[1:], {}),
    "order of texts": lambda: (model(), TEXT[::-1], {}),
    "validation": lambda: (model(), TEXT, {"valid": TEXT[:1]}),
    "epochs": lambda: (model(), TEXT, {"epochs": 3}),
    "rate": lambda: (model(), TEXT, {"lr": 2e-2}),
    "batch": lambda: (model(), TEXT, {"tokens_per_batch": 64}),
    "decay": lambda: (model(), TEXT, {"weight_decay": 0.1}),
    "seed": lambda: (model(), TEXT, {"seed": 4}),
}


@pytest.mark.parametrize("what", OTHERS)
def test_whatever_differs_is_trained_anew(tmp_path, what):
    lm.fit_once(model(), TEXT, valid=VALID, folder=tmp_path, **SETTINGS)
    net, texts, changed = OTHERS[what]()
    lm.fit_once(net, texts, folder=tmp_path, **{"valid": VALID} | SETTINGS | changed)
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


def test_heads_of_a_transformer_are_part_of_the_key(tmp_path):
    for heads in (2, 4):
        lm.fit_once(model("transformer", heads=heads), TEXT, folder=tmp_path, **SETTINGS)
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


@pytest.mark.parametrize("version", ["torch", "format"])
def test_so_is_the_version_of_the_code(tmp_path, monkeypatch, version):
    lm.fit_once(model(), TEXT, folder=tmp_path, **SETTINGS)
    if version == "torch":
        monkeypatch.setattr("torch.__version__", "0.1")
    else:
        monkeypatch.setattr(artefacts, "FORMAT", -1)
    lm.fit_once(model(), TEXT, folder=tmp_path, **SETTINGS)
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


@pytest.mark.parametrize("damage", [lambda b: b[:-5], lambda b: b""])
def test_a_damaged_file_is_trained_and_written_again(tmp_path, no_training, damage):
    expected = model()
    losses = lm.fit_once(expected, TEXT, folder=tmp_path, **SETTINGS)
    path = next(tmp_path.glob("*.safetensors"))
    path.write_bytes(damage(path.read_bytes()))
    again = model()
    assert lm.fit_once(again, TEXT, folder=tmp_path, **SETTINGS) == losses and same(weights(expected), weights(again))
    no_training()
    assert lm.fit_once(model(), TEXT, folder=tmp_path, **SETTINGS) == losses


def test_a_folder_that_cannot_be_written_costs_a_training(tmp_path):
    (tmp_path / "file").write_text("no folder")
    trained, other = model(), model()
    losses = lm.fit(trained, TEXT, **SETTINGS)
    assert lm.fit_once(other, TEXT, folder=tmp_path / "file", **SETTINGS) == losses
    assert same(weights(trained), weights(other))


def test_bad_settings_are_refused_and_nothing_is_kept(tmp_path):
    net = model()
    before = copy.deepcopy(weights(net))
    for texts, settings in (([], SETTINGS), (TEXT, SETTINGS | {"epochs": 0})):
        with pytest.raises(ValueError, match="fit"):
            lm.fit_once(net, texts, folder=tmp_path, **settings)
    assert not list(tmp_path.glob("*.safetensors")) and same(before, weights(net))


def test_two_processes_train_it_once(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from metalearn_lib import language_models as lm\n"
        "from metalearn_lib.language_models import artefacts; from metalearn_lib.text import Vocabulary\n"
        "text = [['the', 'fox', 'went', 'home']] * 3; words = Vocabulary.build(text, sentence_marks=True)\n"
        "train = artefacts.fit\n"
        "def slow(*args, **settings):\n"
        "    print('trained', flush=True); time.sleep(1); return train(*args, **settings)\n"
        "artefacts.fit = slow\n"
        "losses = lm.fit_once(lm.NeuralLanguageModel('rnn', words, dim=4), text, epochs=1, folder=Path(sys.argv[1]),\n"
        "                     progress=False)\n"
        "print(losses)"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120)[0].splitlines() for process in running]
    assert said[0][-1] == said[1][-1] and sorted(map(len, said)) == [1, 2]
