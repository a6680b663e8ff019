from __future__ import annotations

import numpy as np
import pytest
import torch

from metalearn_lib.online import FineTuning, Representation, meta_train_online, online_head, pretrain_jointly


def texts(classes: int = 6, per_class: int = 12, dim: int = 5) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    y = np.repeat(np.arange(classes), per_class)
    x = random.standard_normal((classes, dim))[y] + 0.3 * random.standard_normal((len(y), dim))
    return (x + 2).astype(np.float32), y


def test_it_starts_as_the_vectors_themselves():
    x, _ = texts()
    np.testing.assert_array_equal(Representation(5).features(x), x)


def test_the_online_head_is_a_learner_that_takes_one_text_at_a_time():
    x, y = texts(classes=3, per_class=4)
    weights = online_head(torch.from_numpy(x)[None].double(), torch.from_numpy(y)[None], 3, 0.1)[0].numpy()
    head = np.zeros((5, 3))
    for text, label in zip(x, y, strict=True):
        learner = FineTuning(5, 3, hidden=0, lr=0.1, dtype=np.float64)
        learner.network.parts[0][:] = head
        learner.learn(text[None].astype(np.float64), np.array([label]))
        head = learner.network.parts[0].copy()  # its bias, which `online_head` lacks, starts anew
    np.testing.assert_allclose(weights, head, atol=1e-9)


def test_the_meta_gradient_is_that_of_finite_differences():
    torch.manual_seed(0)
    model = Representation(4, hidden=3).double()
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.3)
    x, y = torch.randn(2, 6, 4).double(), torch.tensor([[0, 0, 1, 1, 2, 2]]).expand(2, -1)

    def loss() -> torch.Tensor:
        head = online_head(model(x), y, 3, 0.2)
        return torch.nn.functional.cross_entropy((model(x) @ head).flatten(0, 1), y.flatten())

    gradient = torch.autograd.grad(loss(), model.map.weight)[0]
    with torch.no_grad():
        for place in ((0, 0), (2, 3)):
            values = []
            for change in (1e-5, -1e-5):
                model.map.weight[place] += change
                values.append(loss().item())
                model.map.weight[place] -= change
            assert (values[0] - values[1]) / 2e-5 == pytest.approx(gradient[place].item(), rel=1e-5)


@pytest.mark.parametrize("train", [meta_train_online, pretrain_jointly])
def test_the_loss_falls_and_the_seed_decides(train):
    x, y = texts()
    options = {"n_way": 5, "k_shot": 3} if train is meta_train_online else {"batch": 16}
    state = torch.get_rng_state()
    losses = []
    for _ in range(2):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = Representation(5)
        losses.append(train(model, x, y, steps=60, lr=1e-2, seed=1, **options))
    assert losses[0] == losses[1]
    assert np.mean(losses[0][-10:]) < 0.8 * np.mean(losses[0][:10])
    assert torch.equal(state, torch.get_rng_state())


def test_too_few_classes_or_texts():
    x, y = texts()
    with pytest.raises(ValueError, match="needs 10 classes of 10 texts, has 6, the smallest of 12"):
        meta_train_online(Representation(5), x, y)
    with pytest.raises(ValueError, match="nothing is learned"):
        meta_train_online(Representation(5), x, y, n_way=5, inner_lr=0)
