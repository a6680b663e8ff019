"""Classifier, fit, accuracy, save and load: invariants, a reference, a tiny task, and each bad input."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from metalearn_lib import text
from metalearn_lib.classification import Classifier, accuracy, fit, load, save, targets
from metalearn_lib.classification.fitting import _batches
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Convolutional, Encoder, Identity, SelfAttention
from metalearn_lib.files import read_tensors, write_tensors

WORDS = ["cat", "dog", "sun", "rain", "the", "is", "a", "big"]


def vectors(seed: int = 0, dim: int = 6) -> text.WordVectors:
    return text.WordVectors.from_array(WORDS, np.random.default_rng(seed).normal(size=(len(WORDS), dim)))


def corpus(n: int = 40, name: str = "toy") -> Corpus:
    rng = np.random.default_rng(1)
    labels = ["pets" if i % 2 else "weather" for i in range(n)]
    keys = {"pets": ["cat", "dog"], "weather": ["sun", "rain"]}
    texts = [
        " ".join([*rng.choice(["the", "is", "a", "big"], 1 + i % 7), str(rng.choice(keys[label]))])
        for i, label in enumerate(labels)
    ]
    return Corpus(name, texts, labels)


def classifier(seed: int = 0, **options: object) -> Classifier:
    torch.manual_seed(seed)
    encoder = Convolutional(vectors(), channels=4, widths=(1, 2))
    return Classifier(encoder, ["pets", "weather"], seed=seed, **options)


def same(ones: Iterable[torch.Tensor], others: Iterable[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(ones, others, strict=True))


class Numbers(Encoder):
    """Texts are numbers, written out: a logistic regression to check against."""

    dim = 2

    def _prepare(self, texts):
        return torch.tensor([[float(x) for x in t.split()] for t in texts])

    def encode(self, prepared):
        return prepared


def test_one_step_is_the_gradient_of_the_cross_entropy() -> None:
    rng = np.random.default_rng(0)
    data = Corpus("numbers", [f"{a} {b}" for a, b in rng.normal(size=(16, 2))], ["x", "y"] * 8)
    model = Classifier(Numbers(), ["x", "y"]).double()
    prepared = model.encoder.inputs(data).double()
    kept = model.encoder._prepared
    kept[data] = kept[data][0], prepared
    weight, bias = model.head.weight.detach().clone(), model.head.bias.detach().clone()
    p = (prepared @ weight.T + bias).softmax(1)
    expected = -p[torch.arange(16), targets(data, ["x", "y"])].log().mean()
    history = fit(model, data, epochs=1, batch_size=16, rates=1e-3, progress=False)
    assert len(history.losses) == 1
    assert abs(history.losses[0] - float(expected)) < 1e-9
    p[torch.arange(16), targets(data, ["x", "y"])] -= 1
    gradient = p.T @ prepared / 16  # Adam's first step has size lr in each number, against the gradient's sign
    assert torch.allclose(model.head.weight, weight - 1e-3 * gradient.sign(), atol=1e-7)


def test_learns_a_tiny_task_and_keeps_the_best_epoch() -> None:
    model, data = classifier(), corpus()
    history = fit(model, data, epochs=25, batch_size=8, rates=2e-2, valid=corpus(20, "valid"), progress=False)
    assert accuracy(model, data).mean == 1
    assert accuracy(model, corpus(20, "valid")).mean == max(history.valid_scores)
    assert history.best_step in history.valid_steps
    assert not model.training


def test_patience_stops() -> None:
    options = {"batch_size": 8, "rates": 1e-2, "patience": 2, "progress": False}
    history = fit(classifier(), corpus(), epochs=50, valid=corpus(20), **options)
    assert history.stopped_early and len(history.valid_scores) < 50


def test_same_seed_same_weights_whatever_torchs_own_generator_says() -> None:
    models = [classifier(dropout=0.3) for _ in range(2)]
    for noise, model in enumerate(models):
        torch.manual_seed(noise)
        fit(model, corpus(), epochs=2, batch_size=8, progress=False)
    assert same(*(model.parameters() for model in models))


def test_a_group_rests_before_its_epoch_and_only_groups_train() -> None:
    model, data = classifier(), corpus()
    conv = [p.detach().clone() for p in model.encoder.parameters()]
    groups = [
        {"params": list(model.head.parameters()), "lr": 1e-2},
        {"params": list(model.encoder.parameters()), "lr": 1e-3, "from_epoch": 1},
    ]
    fit(model, data, epochs=1, rates=groups, progress=False)
    assert same(conv, model.encoder.parameters())
    assert all(p.requires_grad for p in model.parameters())
    fit(model, data, epochs=2, rates=groups, progress=False)
    assert not any(torch.equal(a, b) for a, b in zip(conv, model.encoder.parameters(), strict=True))
    head = [p.detach().clone() for p in model.head.parameters()]
    fit(model, data, epochs=1, rates=[{**groups[1], "from_epoch": 0}], progress=False)
    assert same(head, model.head.parameters())


def test_schedule_scales_every_rate() -> None:
    model = classifier()
    before = [p.detach().clone() for p in model.parameters()]
    fit(model, corpus(), epochs=1, schedule=lambda done: 0.0, progress=False)
    assert same(before, model.parameters())
    shares: list[float] = []
    fit(model, corpus(), epochs=2, batch_size=10, schedule=lambda done: shares.append(done) or 1.0, progress=False)
    assert shares == [i / 8 for i in range(8)]


def test_own_loss_sees_positions_and_needs_no_labels() -> None:
    unlabelled = Corpus("pool", corpus().texts, ["?"] * 40)
    goal = torch.randn(40, 2)
    seen: set[int] = set()

    def loss(logits: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        seen.update(positions.tolist())
        return (logits - goal[positions]).square().mean()

    fit(classifier(), unlabelled, epochs=1, batch_size=7, loss=loss, progress=False)
    assert seen == set(range(40))


def test_batches_hold_each_text_once_and_like_lengths_together() -> None:
    lengths = torch.randint(1, 100, (500,), generator=torch.Generator().manual_seed(0))
    batches = list(_batches(lengths, 16, torch.Generator().manual_seed(0)))
    assert sorted(torch.cat(batches).tolist()) == list(range(500))
    spread = np.mean([lengths[b].max() - lengths[b].min() for b in batches])
    assert spread < 15


def test_logits_do_not_depend_on_batch_or_company() -> None:
    model, data = classifier(), corpus()
    whole = model.logits(data)
    assert torch.allclose(whole, model.logits(data.texts, batch=3), atol=1e-6)
    assert torch.allclose(whole[5:6], model.logits([data.texts[5]]), atol=1e-6)
    assert model.predict(data)[3] == model.classes[int(whole[3].argmax())]


def test_accuracy_forms_agree_and_pair() -> None:
    model, data = classifier(), corpus()
    scores = [accuracy(model, data), accuracy(model.logits(data), data), accuracy(model.predict(data), data)]
    assert len({s.mean for s in scores}) == 1
    assert scores[0].minus(scores[1]).paired
    assert not scores[0].minus(accuracy(model, corpus(20))).paired


@pytest.mark.parametrize("part", ["all", "encoder"])
def test_save_and_load(part: str, tmp_path: Path) -> None:
    model = classifier()
    fit(model, corpus(), epochs=1, progress=False)
    save(model, tmp_path / "folder" / "model.safetensors")
    other = load(classifier(seed=5), tmp_path / "folder" / "model.safetensors", part=part)
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]) == (part == "all" or name.startswith("encoder."))
    assert [p.name for p in (tmp_path / "folder").iterdir()] == ["model.safetensors"]


def test_the_encoder_moves_to_other_classes(tmp_path: Path) -> None:
    model = classifier()
    save(model, tmp_path / "m")
    three = Classifier(Convolutional(vectors(), channels=4, widths=(1, 2)), ["a", "b", "c"])
    load(three, tmp_path / "m", part="encoder")
    assert torch.equal(
        three.state_dict()["encoder.convolutions.0.weight"], model.state_dict()["encoder.convolutions.0.weight"]
    )
    with pytest.raises(ValueError, match=r"other classes: only in the file \['pets', 'weather'\], only here \['a'"):
        load(three, tmp_path / "m")


def test_load_refuses(tmp_path: Path) -> None:
    save(classifier(), tmp_path / "m")
    classes = ["pets", "weather"]
    others = {
        r"encoder convolutions\.0\.weight is \[4, 6, 1\] in the file and \[5, 6, 1\] here": Convolutional(
            vectors(), channels=5, widths=(1, 2)
        ),
        "encoder type is Convolutional in the file and SelfAttention here": SelfAttention(vectors(), dim=8, heads=2),
        "other word vectors": Convolutional(vectors(seed=3), channels=4, widths=(1, 2)),
    }
    for message, encoder in others.items():
        for part in ("all", "encoder"):
            with pytest.raises(ValueError, match=message):
                load(Classifier(encoder, classes), tmp_path / "m", part=part)
    with pytest.raises(ValueError, match="same classes in another order"):
        load(Classifier(Convolutional(vectors(), channels=4, widths=(1, 2)), classes[::-1]), tmp_path / "m")
    content = bytearray((tmp_path / "m").read_bytes())
    content[-1] ^= 1
    (tmp_path / "flipped").write_bytes(content)
    with pytest.raises(ValueError, match=r"flipped cannot be read \(its checksum is wrong.*save it again"):
        load(classifier(), tmp_path / "flipped")
    tensors, meta = read_tensors(tmp_path / "m")
    write_tensors(tmp_path / "json", tensors, {**meta, "classes": "["})
    with pytest.raises(ValueError, match="json cannot be read"):
        load(classifier(), tmp_path / "json")
    write_tensors(tmp_path / "less", {k: v for k, v in tensors.items() if k != "head.bias"}, meta)
    with pytest.raises(ValueError, match="less does not hold the weights that it names"):
        load(classifier(), tmp_path / "less")
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "foreign")
    with pytest.raises(ValueError, match="no saved classifier, it lacks classes"):
        load(classifier(), tmp_path / "foreign")


def fitted(model: Classifier | None = None, data: Corpus | None = None, **options: object) -> None:
    fit(model or classifier(), corpus() if data is None else data, **{"epochs": 1, "progress": False, **options})


CARS = Corpus("cars", ["vroom"], ["cars"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Classifier(Identity(2), ["a", "a"]), "at least two different class names"),
        (lambda: Classifier(Identity(3), ["a", "b"], head=nn.Linear(2, 2)), "does not take the encoder's 3 numbers"),
        (lambda: Classifier(Identity(3), list("abcd"), head=nn.Linear(3, 2)), "4 classes need one logit each"),
        (lambda: Classifier(Identity(3), ["a", "b"], dropout=1.0), r"dropout=1\.0"),
        (lambda: targets(CARS, ["pets", "weather"]), "the label 'cars', which is none of the 2 classes"),
        (lambda: accuracy(torch.zeros(3, 2), corpus()), r"shape \(3, 2\) for 40 texts"),
        (lambda: accuracy(torch.full((40, 2), torch.nan), corpus()), "NaN or infinity"),
        (lambda: accuracy(["pets"], corpus()), "1 predicted labels for 40 texts"),
        (lambda: fitted(data=corpus().subset([])), "has no texts"),
        (lambda: fitted(data=Corpus("gap", ["cat", " "], ["pets", "weather"])), "text 1 is empty"),
        (lambda: fitted(patience=2), "give valid="),
        (lambda: fitted(valid=CARS), "'cars', which is none"),
        (lambda: fitted(classifier().requires_grad_(False)), "nothing to train"),
        (
            lambda: fitted(rates=[{"params": classifier().parameters(), "lr": 1, "from_epoch": 1}]),
            "trains from epoch 0",
        ),
        (lambda: load(classifier(), Path("none")), "no checkpoint 'none'"),
        (lambda: load(classifier(), Path("none"), part="head"), "part='head'"),
    ],
)
def test_bad_input(call: Callable[[], object], message: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        call()
