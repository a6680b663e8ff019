"""Teachers: heads fitted to the end, tf-idf, ensembles; classes brought into one order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from metalearn_lib.classification import accuracy
from metalearn_lib.corpora import Corpus
from metalearn_lib.distillation import Ensemble, TfidfTeacher, align, linear_teacher
from metalearn_lib.encoders import WordAverage
from metalearn_lib.text import WordVectors


def three(texts: Corpus) -> Corpus:
    return Corpus("three", texts.texts, [f"class {n % 3}" for n in range(len(texts))])


def test_align_permutes_columns_and_back() -> None:
    z = torch.randn(4, 3)
    assert torch.equal(align(align(z, "abc", "cab"), "cab", "abc"), z)
    assert torch.equal(align(z, "abc", "cab")[:, 0], z[:, 2])


@pytest.mark.parametrize("classes", [2, 3])
def test_a_linear_teacher_is_scikit_learns_logistic_regression(texts: Corpus, words: WordVectors, classes: int) -> None:
    labelled, encoder = texts if classes == 2 else three(texts), WordAverage(words)
    teacher = linear_teacher(encoder, labelled, strength=5.0)
    vectors = encoder.embed(labelled.texts).numpy()
    fitted = LogisticRegression(C=5.0, max_iter=500, tol=1e-3).fit(vectors, list(labelled.labels))
    ours = teacher.logits(labelled).softmax(1).numpy()
    assert teacher.classes == tuple(fitted.classes_)
    assert np.allclose(ours, fitted.predict_proba(vectors), atol=1e-5)


def test_tf_idf_learns_the_topics_and_knows_what_it_ships(texts: Corpus) -> None:
    teacher = TfidfTeacher(texts.subset(range(20)), background=texts)
    assert accuracy(teacher.logits(texts), texts, classes=teacher.classes).mean > 0.9
    assert torch.allclose(teacher.logits(texts.texts), teacher.logits(texts))
    shipped = teacher.shipped()
    assert shipped["weight"].shape == (2, len(shipped["idf"]))


def test_an_ensemble_averages_log_probabilities_by_name(texts: Corpus) -> None:
    class Turned:
        classes = ("sport", "space")

        def logits(self, given: Corpus | list[str]) -> torch.Tensor:
            return member.logits(given).flip(1)

    member = TfidfTeacher(texts, background=texts)
    z = member.logits(texts).log_softmax(1)
    assert torch.allclose(Ensemble([member, Turned()]).logits(texts), z, atol=1e-6)
    assert torch.allclose(Ensemble([member, Turned()], weights=[1, 2]).logits(texts), 3 * z, atol=1e-5)
