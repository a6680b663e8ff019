from __future__ import annotations

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from metalearn_lib.online import NearestClassMean, StreamingLda


def texts(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    y = random.permutation(np.repeat(np.arange(4), [9, 5, 12, 30]))
    return random.standard_normal((len(y), 7)) + y[:, None], y


@pytest.mark.parametrize("order", ["shuffled", "class by class"])
@pytest.mark.parametrize("batch", [1, 10, 56])
def test_streaming_lda_is_batch_lda(order, batch):
    x, y = texts()
    if order == "class by class":
        x, y = x[np.argsort(y)], np.sort(y)
    learner = StreamingLda(7, 4, shrink=0.1)
    for start in range(0, len(y), batch):
        learner.learn(x[start : start + batch], y[start : start + batch])
    whole = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1).fit(x, y)
    expected = whole.decision_function(x) - np.log(whole.priors_)
    np.testing.assert_allclose(learner.scores(x), expected, atol=1e-8)


@pytest.mark.parametrize("cosine", [False, True])
def test_class_means_are_those_of_all_texts(cosine):
    x, y = texts()
    learner = NearestClassMean(7, 4, cosine=cosine)
    for start in range(0, len(y), 5):
        learner.learn(x[start : start + 5], y[start : start + 5])
    if cosine:
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
    means = np.stack([x[y == label].mean(0) for label in range(4)])
    if cosine:
        expected = (x @ (means / np.linalg.norm(means, axis=1, keepdims=True)).T).argmax(1)
    else:
        expected = ((x[:, None] - means) ** 2).sum(-1).argmin(1)
    np.testing.assert_allclose(learner.means, means, atol=1e-12)
    np.testing.assert_array_equal(learner.predict(texts()[0]), expected)


def test_one_text_is_enough_to_answer():
    learner = StreamingLda(3, 2)
    learner.learn(np.ones((1, 3)), np.array([1]))
    assert learner.predict(np.zeros((2, 3))).tolist() == [1, 1]
