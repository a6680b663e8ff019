"""What is recommended: the search keeps its word, and odd corpora get a blend or a sentence, never a stack trace."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import torch

from metalearn_lib import corpora, recommended
from metalearn_lib.choosing import Bench, choose, views
from metalearn_lib.choosing.recipes import RECIPES
from metalearn_lib.choosing.recommendation import shapes, shapes_with_encoder
from metalearn_lib.choosing.search import Shape, judges
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Averaged
from metalearn_lib.episodes import EpisodeSampler
from metalearn_lib.evaluation import evaluate
from metalearn_lib.text import WordVectors

RELATED = {
    "river": "water",
    "engine": "motor",
    "violin": "music",
    "soup": "bread",
    "planet": "moon",
    "lawyer": "court",
    "tennis": "ball",
    "island": "sea",
    "doctor": "nurse",
    "bank": "money",
    "winter": "snow",
    "castle": "king",
    "forest": "tree",
    "camera": "film",
}
SUBJECTS = list(RELATED)


def toy(*classes: int, texts: int = 24, seed: int = 0) -> Corpus:
    """A class is a subject; its texts share a word or two with it, and noise with all."""
    rng = random.Random(seed)
    names = [SUBJECTS[c] for c in classes for _ in range(texts)]
    lines = [f"{rng.choice([n, RELATED[n]])} {rng.choice(['the', 'a', 'of'])} {rng.choice(SUBJECTS)}" for n in names]
    return Corpus("toy", lines, names)


def cheap(bench: Bench) -> Iterator[Shape]:
    """Shapes without anything to train."""
    return (
        shape for shape in shapes(bench) if not {view[0] for view, _ in shape} & {views.network, views.mapped_words}
    )


def test_the_choice_is_the_best_shape_and_its_validation_score_is_that_of_evaluate() -> None:
    bench = Bench(toy(0, 1, 2), toy(*range(3, 14)))
    chosen = choose(bench, cheap, episodes=30)
    offered = list(cheap(bench))
    assert chosen.tried == len(offered) == 3 * (1 + 4 * 6)
    again = [
        evaluate(chosen, EpisodeSampler(bench.valid, k_shot=k, n_query=15, seed=3), episodes=30).mean for k in (1, 5)
    ]
    assert chosen.validation.mean == pytest.approx(sum(again) / 2)
    for shape in offered[::7]:  # none of the others is better
        alone = choose(bench, lambda _, shape=shape: [shape], episodes=30)  # type: ignore[misc]
        assert alone.validation.mean <= chosen.validation.mean and alone.tied == 0
    assert 0 <= chosen.tied < chosen.tried and str(chosen).startswith(chosen.name)


def test_every_weight_can_be_zero_but_the_first() -> None:
    bench = Bench(toy(0, 1, 2), toy(*range(3, 14)), Averaged())
    for offer, lead in ((shapes, views.counted), (shapes_with_encoder, views.pretrained)):
        offered = list(offer(bench))
        assert len(set(offered)) == len(offered)
        assert offered[0] == (((lead, offered[0][0][0][1]), 1.0),)  # the simplest first: it wins a draw
        assert all(weight > 0 for shape in offered for _, weight in shape)
        kinds = {frozenset(view[0].__name__ for view, _ in shape) for shape in offered}
        assert len(kinds) >= 6


def test_few_validation_classes_take_turns_with_halves_of_the_training_classes() -> None:
    assert len(judges(Bench(toy(0, 1, 2, 3), toy(*range(4, 14))))) == 1
    bench = Bench(toy(0, 1, 2, 3), toy(4, 5, 6))
    (first, unknown), *turns = judges(bench)
    assert first is bench and unknown is bench.valid
    assert [judging.classes for _, judging in turns] == [bench.train.classes[:2], bench.train.classes[2:]]
    for known, judging in turns:
        assert sorted({*known.train.classes, *judging.classes}) == sorted(SUBJECTS[:7])
        assert not {*known.train.classes} & {*judging.classes}
        assert known.valid is None  # nothing that is judged on may stop its training
    assert judges(bench)[1][0] is turns[0][0]  # made once
    assert choose(bench, cheap, episodes=4).tried > 1


def test_without_validation_classes_a_third_of_the_training_classes_stands_in() -> None:
    corpus = toy(*range(7))
    chosen = choose(Bench(corpus, None), cheap, episodes=10)
    assert chosen.members[0].background is corpus  # the members then know all of them
    assert choose(Bench(corpus, None), cheap, episodes=10).name == chosen.name
    with pytest.raises(ValueError, match=r"'toy' has 3 classes, and there are no validation classes.*give valid="):
        choose(Bench(toy(0, 1, 2), None), cheap)


def test_two_classes_in_a_part() -> None:
    chosen = choose(Bench(toy(0, 1), toy(2, 3), quick=True), shapes)
    test = EpisodeSampler(toy(4, 5), n_way=2, seed=0)
    assert evaluate(chosen, test, episodes=20).mean > 0.5
    with pytest.raises(ValueError, match="'toy' has 1 classes; choosing needs two"):
        recommended(toy(0, 1), toy(2))
    with pytest.raises(ValueError, match="one text of 'winter'; every class needs two"):
        recommended(toy(0, 1), Corpus("toy", ["a", "b", "c"], ["x", "x", "winter"]))


def test_few_texts_leave_the_trained_views_out() -> None:
    bench = Bench(toy(0, 1, texts=6), toy(2, 3, texts=6))
    kinds = {view[0] for shape in shapes(bench) for view, _ in shape}
    assert kinds == {views.counted, views.words}
    assert choose(bench, shapes, episodes=4).tried == 3 * (1 + 4 * 6)


def test_words_without_vectors_leave_the_word_vectors_out() -> None:
    texts, labels = ["我 想 听 歌", "明天 下雨 吗"] * 12, ["音乐", "天气"] * 12
    bench = Bench(Corpus("中文", texts, labels), Corpus("中文", texts, labels))
    assert {view[0] for shape in shapes(bench) for view, _ in shape} == {views.counted}
    assert choose(bench, shapes, episodes=4).validation.mean == 1


def test_an_encoder_without_vectors_is_refused() -> None:
    unknown = Averaged(WordVectors(["zzz"], torch.ones(2, 4)))
    with pytest.raises(ValueError, match=r"the encoder tells no texts apart .*toy.*know the words"):
        recommended(toy(0, 1), toy(2, 3), unknown)
    broken = Averaged(WordVectors([*SUBJECTS], torch.full((len(SUBJECTS) + 1, 4), torch.nan)))
    with pytest.raises(ValueError, match="holds NaN"):
        recommended(toy(0, 1), toy(2, 3), broken)
    with pytest.raises(ValueError, match="episodes"):
        recommended(toy(0, 1), toy(2, 3), episodes=0)


def test_trained_views_are_kept_by_the_bench_and_chance_is_left_as_it_was() -> None:
    bench = Bench(toy(0, 1, 2), toy(*range(3, 13)), Averaged(), quick=True)
    before = torch.get_rng_state()
    names = [choose(bench, offer, episodes=4).name for offer in (shapes, shapes_with_encoder)]
    assert torch.equal(torch.get_rng_state(), before)
    assert bench.once(views.network) is bench.once(views.network)
    again = Bench(bench.train, bench.valid, Averaged(), quick=True)
    assert [choose(again, offer, episodes=4).name for offer in (shapes, shapes_with_encoder)] == names


@pytest.mark.parametrize("name", ["MiniLM ridge", "MiniLM, class names"])
def test_heads_on_an_encoder_choose_their_setting_on_validation(name: str) -> None:
    bench = Bench(toy(0, 1, 2), toy(3, 4, 5), Averaged(), quick=True)
    made = RECIPES[name](bench)
    assert isinstance(made, tuple) and "on validation classes" in made[1]


def test_real_posts() -> None:
    """On posts of families that it never saw the blend is better than counting words, and it never saw them."""
    posts = corpora.load("newsgroups").at_most(40, seed=1)
    train, valid, test = posts.split_classes("bao")
    chosen = choose(Bench(train, valid), cheap, episodes=60)
    sampler = EpisodeSampler(test, k_shot=1, seed=0)
    assert evaluate(chosen, sampler, episodes=200).mean > evaluate(chosen.members[0], sampler, episodes=200).mean - 0.02
