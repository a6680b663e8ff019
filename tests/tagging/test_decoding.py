"""Spans, their F1, and Viterbi: against brute force, against seqeval where it is installed."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metalearn_lib.corpora.bio import chunks
from metalearn_lib.learners import MAML, LogisticRegression, NearestNeighbour, Prototypical, Ridge, TextModel
from metalearn_lib.tagging import Dictionary, TagSampler, Transitions, span_f1, span_scores, tag, viterbi
from metalearn_lib.training import meta_train

ANY_TAGS = st.lists(st.sampled_from(["O", "B-a", "I-a", "B-b", "I-b"]), min_size=1, max_size=10)
TAGS = ("O", "B-a", "I-a", "B-b", "I-b")


@pytest.mark.parametrize(
    ("truth", "guess", "f1"),
    [
        ("B-a I-a O B-b", "B-a I-a O B-b", 1.0),
        ("B-a I-a O B-b", "B-a O O B-b", 0.5),  # one end wrong: no half points
        ("B-a I-a", "B-b I-b", 0.0),
        ("B-a I-a", "I-a I-a", 1.0),  # an I that begins a span
        ("B-a B-a", "B-a I-a", 0.0),
        ("O O", "O O", 0.0),
        ("B-a O", "O O", 0.0),
        ("B-a O B-b", "B-a O O", 2 / 3),
    ],
)
def test_span_f1_by_hand(truth, guess, f1):
    assert span_f1([truth.split()], [guess.split()]) == pytest.approx(f1)


def test_span_f1_pools_sentences_and_counts_one_tag_a_token():
    assert span_f1([["B-a"], ["B-a", "O"]], [["B-a"], ["O", "O"]]) == pytest.approx(2 / 3)
    for wrong in ([["B-a"]], [["B-a", "O"], ["O"]]):
        with pytest.raises(ValueError, match="differ in number"):
            span_f1([["B-a"], ["O", "O"]], wrong)


@settings(deadline=None)
@given(st.lists(st.tuples(ANY_TAGS, st.randoms()), min_size=1, max_size=5))
def test_span_f1_is_seqevals(pairs):
    metrics = pytest.importorskip("seqeval.metrics", reason="seqeval is not installed: pip install seqeval==1.2.2")
    truth = [tags for tags, _ in pairs]
    guess = [[rng.choice([t, *TAGS]) for t in tags] for tags, rng in pairs]
    assert span_f1(truth, guess) == pytest.approx(metrics.f1_score(truth, guess, zero_division=0))
    for tags in truth:
        found = [(kind, start, end - 1) for start, end, kind in chunks(tags)]
        assert found == pytest.importorskip("seqeval.metrics.sequence_labeling").get_entities(tags)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 10_000))
def test_viterbi_is_the_best_of_all_paths(length, n, seed):
    drawn = torch.Generator().manual_seed(seed)
    emissions, start, steps = (torch.randn(*s, generator=drawn).double() for s in ((length, n), (n,), (n, n)))
    steps[torch.rand(n, n, generator=drawn) < 0.2] = -torch.inf

    def score(path):
        walked = sum(steps[a, b] for a, b in itertools.pairwise(path))
        return float(start[path[0]] + sum(emissions[i, y] for i, y in enumerate(path)) + walked)

    best = max(itertools.product(range(n), repeat=length), key=score)
    found = viterbi(emissions, start, steps)
    if score(best) > -float("inf"):
        assert score(found) == pytest.approx(score(best))
    else:
        assert found == emissions.argmax(1).tolist()


def test_bio_alone_forbids_and_prefers_nothing():
    start, steps = Transitions().scores(TAGS)
    allowed = torch.tensor([
        [1, 1, 0, 1, 0],  # behind O
        [1, 1, 1, 1, 0],  # B-a
        [1, 1, 1, 1, 0],  # I-a
        [1, 1, 0, 1, 1],  # B-b
        [1, 1, 0, 1, 1],  # I-b
    ])  # fmt: skip
    assert torch.equal(steps, allowed.float().log()) and torch.equal(start, steps[0])


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_decoded_tags_obey_bio(seed, length):
    emissions = torch.randn(length, 5, generator=torch.Generator().manual_seed(seed)).log_softmax(1)
    for transitions in (Transitions(), Transitions.learned([["O", "B-x", "I-x", "B-y"], ["B-x", "B-x"]])):
        (tags,) = transitions.decode([emissions], TAGS)
        for before, now in itertools.pairwise(["O", *tags]):
            assert now[0] != "I" or before[1:] == now[1:]


def test_learned_steps_are_shares_of_abstract_ones():
    sequences = [["O", "B-x", "I-x", "I-x", "O"], ["B-x", "B-y", "B-y"], ["O", "O"]]
    learned = Transitions.learned(sequences, smoothing=0)
    assert learned.table.tolist() == [
        pytest.approx([2 / 3, 0, 1 / 3, 0, 0]),
        pytest.approx([1 / 2, 0, 1 / 2, 0, 0]),
        pytest.approx([0, 1 / 3, 1 / 3, 1 / 3, 0]),
        pytest.approx([1 / 2, 0, 0, 1 / 2, 0]),
    ]
    start, steps = learned.scores(TAGS)
    assert start.exp().tolist() == pytest.approx([2 / 3, 1 / 3, 0, 1 / 3, 0])
    assert steps.exp()[1].tolist() == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3, 0])
    assert steps.exp()[4].tolist() == pytest.approx([1 / 2, 0, 0, 0, 1 / 2])


def test_names_of_types_do_not_matter():
    one = Transitions.learned([["B-x", "I-x", "O", "B-y"]])
    other = Transitions.learned([["B-street", "I-street", "O", "B-town"]])
    assert torch.equal(one.table, other.table)


@pytest.mark.parametrize(
    ("sequences", "smoothing", "message"),
    [
        ([], 0.1, "no tag was given"),
        ([[]], 0.1, "no tag was given"),
        ([["O", "I-x"]], 0.1, "an I-x stands after something else"),
        ([["B-y", "I-x"]], 0.1, "an I-x stands after something else"),
        ([["O"]], -1, "smoothing=-1"),
    ],
)
def test_sequences_that_teach_nothing_are_refused(sequences, smoothing, message):
    with pytest.raises(ValueError, match=message):
        Transitions.learned(sequences, smoothing=smoothing)


# taggers


def every_tagger(words):
    heads = [Prototypical(words), NearestNeighbour(words), LogisticRegression(words), Ridge(words)]
    return [Dictionary(), *heads]


def test_every_learner_tags_and_none_looks_at_the_answers(sentences, words):
    sampler = TagSampler(sentences, k_shot=5, n_query=15)
    for learner in every_tagger(words):
        episode = sampler.sample(first=3)
        tags = tag(learner, episode)
        assert [len(t) for t in tags] == [len(t) for t in episode.truth]
        episode.query_y.fill_(0)
        assert tag(learner, episode) == tags


def test_a_dictionary_knows_words_and_the_others_learn(sentences, words):
    sampler = TagSampler(sentences, k_shot=5, n_query=15)
    decoders = {"greedy": None, "BIO": Transitions()}
    found = {t.name: span_scores(t, sampler, decoders, episodes=10) for t in every_tagger(words)}
    for name, scores in found.items():
        assert scores["greedy"].mean > 0.4, name
        assert scores["BIO"].name == f"{name}, BIO" and scores["BIO"].over == "episodes"
    a, b = found["ridge"]["BIO"], found["prototypes"]["greedy"]
    assert a.key == b.key and (a > b).paired


def test_dictionary_by_hand():
    from metalearn_lib.corpora import Corpus, Span
    from metalearn_lib.tagging import Sentences

    city = lambda start, end: (Span(start, end, "city"),)  # noqa: E731
    texts, spans = ["to Bern", "to York", "TO york to Rome"], [city(3, 7), city(3, 7), ()]
    sampler = TagSampler(Sentences.of(Corpus("x", texts, ["x"] * 3, annotations=spans)), k_shot=2, n_query=1)
    assert tag(Dictionary(), sampler.sample()) == [["O", "B-city", "O", "O"]]
    with pytest.raises(ValueError, match=r"doubt=0"):
        Dictionary(doubt=0)


def test_an_episode_without_outside_falls_back_on_the_usual_tag():
    from metalearn_lib.corpora import Corpus, Span
    from metalearn_lib.tagging import Sentences

    spans = [(Span(0, 1, "a"), Span(2, 5, "b")), (Span(0, 1, "a"),)]
    sampler = TagSampler(Sentences.of(Corpus("x", ["p q r", "z"], ["x"] * 2, annotations=spans)), n_query=1, k_shot=1)
    assert {tag(Dictionary(), sampler.sample(first=n))[0][0] for n in range(4)} <= {"B-a", "B-b"}


def test_maml_tags_through_the_same_interface(sentences, words):
    torch.manual_seed(0)
    sampler = TagSampler(sentences, k_shot=3, n_query=10, n_types=2, every_tag=True)
    maml = MAML(TextModel(words, torch.nn.Linear(words.dim, 5)), inner_steps=5, inner_lr=1.0, first_order=True)
    scores = span_scores(maml, sampler, {"before": None}, episodes=8)
    meta_train(maml, sampler, steps=40, tasks_per_step=1, lr=0.01, progress=False)
    assert span_scores(maml, sampler, {"after": None}, episodes=8, first=100)["after"].mean > 0.3
    assert 0 <= scores["before"].mean <= 1
    with pytest.raises(ValueError, match="the tasks have 7 classes, the model has 5 outputs"):
        tag(maml, TagSampler(sentences, k_shot=1, every_tag=True).sample())


def test_options_of_scoring(sentences, words):
    sampler, learner = TagSampler(sentences, k_shot=1), NearestNeighbour(words)
    for options, message in (({"episodes": 0}, "episodes=0"), ({"scale": 0.0}, "scale=0"), ({"episodes": 1}, "two")):
        with pytest.raises(ValueError, match=message):
            span_scores(learner, sampler, {"greedy": None}, **options)
    decoders = {"x": Transitions.learned([["O", "B-a", "I-a"]])}
    weak, strong = (span_scores(learner, sampler, decoders, episodes=4, scale=s)["x"] for s in (1e-3, 50.0))
    assert weak.values.tolist() != strong.values.tolist()
    learner.predict = lambda episodes: torch.zeros(1, episodes.query_x.shape[1], 99)
    with pytest.raises(ValueError, match=r"gave logits \[\d+, 99\] for \d+ tokens and \d tags.*another episode"):
        tag(learner, sampler.sample())
    learner.predict = lambda episodes: torch.full((1, episodes.query_x.shape[1], episodes.n_way), torch.nan)
    with pytest.raises(ValueError, match="predicted NaN or infinity"):
        tag(learner, sampler.sample())
