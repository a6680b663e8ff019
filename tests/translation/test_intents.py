"""Intents across languages: hashed n-grams, classes that all languages have, the learners of chapter 03."""

from __future__ import annotations

import pytest
import torch

from metalearn_lib.corpora import Corpus, CorpusError
from metalearn_lib.episodes import DomainSampler, Episodes
from metalearn_lib.evaluation import evaluate
from metalearn_lib.learners import MAML, Centroid, MultiTask, NearestNeighbour, TextModel, mlp
from metalearn_lib.training import meta_train
from metalearn_lib.translation import CharacterNgrams, LookUp, shared_classes

ROOTS = {"open": ["abr", "ouvr"], "shut": ["cerr", "ferm"]}
ENDS = ["ir a porta", "e la porte", "o ese", "amos", "ar mañá", "is tu"]
ROWS = [
    (f"{root}{end}", label, str(k)) for label, roots in ROOTS.items() for k, root in enumerate(roots) for end in ENDS
]
TEXTS, LABELS, LANGUAGES = map(list, zip(*ROWS, strict=True))
CORPUS = Corpus("doors", [*TEXTS, "eh"], [*LABELS, "other"], [*LANGUAGES, "0"])


def test_vectors_count_runs_of_characters() -> None:
    encoder = CharacterNgrams(dim=512)
    vectors = encoder.embed(["abrir", "abrir", "ABRIR", "zzz"])
    assert vectors.shape == (4, 512) and torch.allclose(vectors.norm(dim=1), torch.ones(4))
    assert torch.equal(vectors[0], vectors[1]) and torch.equal(vectors[0], vectors[2])
    assert vectors[0] @ vectors[3] < vectors[0] @ encoder.embed(["abriu"])[0]
    with pytest.raises(ValueError, match="CharacterNgrams"):
        CharacterNgrams(orders=(3, 2))


def test_only_classes_of_every_language_are_kept() -> None:
    assert shared_classes(CORPUS, least=6).classes == ["open", "shut"]
    with pytest.raises(CorpusError, match=r"0 classes of 'doors' have so many texts in each of its 2 domains"):
        shared_classes(CORPUS, least=7)
    with pytest.raises(CorpusError, match="has no domains"):
        shared_classes(Corpus("x", ["a"], ["b"]), least=1)


@pytest.mark.parametrize("learner", [MultiTask, MAML])
def test_a_language_is_a_task_for_the_learners_of_chapter_03(learner: type) -> None:
    sampler = DomainSampler(shared_classes(CORPUS, least=6), k_shot=2, n_query=3)
    trained = learner(TextModel(CharacterNgrams(dim=256), mlp(256, 16, 2)), inner_steps=3, inner_lr=1.0)
    meta_train(trained, sampler, steps=30, lr=1e-2, progress=False)
    assert evaluate(trained, sampler, episodes=10).mean > 0.9


def test_looking_up_sees_other_languages_and_the_own_examples() -> None:
    doors, encoder = shared_classes(CORPUS, least=6), CharacterNgrams(dim=256)
    other, own = (doors.only(domains=[language]) for language in "01")
    episodes = DomainSampler(own, k_shot=2, n_query=3).sample(4)
    nearest = LookUp(encoder, other)
    both = torch.stack(
        [_nearest(encoder, [*zip(other.texts, other.labels, strict=True)], episodes, t) for t in range(4)]
    )
    alone = LookUp(encoder, other, own=False).predict(episodes)
    own_alone = -NearestNeighbour(encoder).predict(episodes)
    assert torch.allclose(nearest.predict(episodes), both, atol=1e-5)
    assert bool((nearest.predict(episodes) >= alone - 1e-6).all()) and alone.shape == (4, 6, 2)
    assert torch.allclose(torch.maximum(alone, 1 - own_alone), both, atol=1e-5)


def _nearest(encoder: CharacterNgrams, known: list[tuple[str, str]], episodes: Episodes, task: int) -> torch.Tensor:
    names = ["open", "shut"]
    seen = known + [
        (t, names[int(y)]) for t, y in zip(episodes.support_texts(task), episodes.support_y[task], strict=True)
    ]
    similar = encoder.embed(episodes.query_texts(task)) @ encoder.embed([text for text, _ in seen]).T
    return torch.stack([similar[:, [label == name for _, label in seen]].amax(1) for name in names], 1)


def test_class_means_of_other_languages_give_way_to_own_examples() -> None:
    doors, encoder = shared_classes(CORPUS, least=6), CharacterNgrams(dim=256)
    other, own = (doors.only(domains=[language]) for language in "01")
    episodes = DomainSampler(own, k_shot=2, n_query=3).sample(4)
    at_last = LookUp(encoder, other, weight=10**7).predict(episodes)
    assert torch.allclose(at_last, Centroid(encoder).predict(episodes) / 10, atol=1e-4)
    without = LookUp(encoder, other, weight=1, own=False).predict(episodes)
    assert not torch.allclose(without, LookUp(encoder, other, weight=1).predict(episodes), atol=1e-3)


def test_a_look_up_in_other_classes_is_refused() -> None:
    doors = shared_classes(CORPUS, least=6)
    episodes = DomainSampler(doors.only(domains=["0"]), k_shot=2, n_query=3).sample(1)
    with pytest.raises(ValueError, match="LookUp: the episodes must have the classes of 'doors'"):
        LookUp(CharacterNgrams(), CORPUS).predict(episodes)
    with pytest.raises(ValueError, match=r"LookUp\(weight=0\)"):
        LookUp(CharacterNgrams(), doors, weight=0)
