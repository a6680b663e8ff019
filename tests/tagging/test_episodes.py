"""Minimum-including episodes: every type K times, no sentence too many, nothing shared with the queries."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metalearn_lib.corpora import Corpus, CorpusError, PredicateRoles, Relation, Span
from metalearn_lib.corpora.annotated import PublishedEpisodes
from metalearn_lib.corpora.bio import chunks, joined
from metalearn_lib.evaluation import evaluate
from metalearn_lib.learners import NearestNeighbour
from metalearn_lib.tagging import PublishedTags, Sentences, TagSampler, marked, masked, tag_sequences

TAGS = st.lists(st.sampled_from(["O", "B-a", "I-a", "B-b", "B-c"]), min_size=1, max_size=6)


def made(tag_lists):
    pairs = [joined([f"w{i}" for i, _ in enumerate(tags)], tags) for tags in tag_lists]
    texts, spans = zip(*pairs, strict=True)
    return Sentences.of(Corpus("made", list(texts), ["x"] * len(texts), annotations=list(spans)))


def spans_of(sentences, numbers):
    return Counter(kind for s in numbers for _, _, kind in chunks(sentences.tags(s)))


@settings(max_examples=60, deadline=None)
@given(st.lists(TAGS, min_size=4, max_size=25), st.integers(1, 3), st.integers(0, 99), st.data())
def test_each_type_k_times_and_no_sentence_could_be_left_out(tag_lists, k_shot, number, data):
    sentences = made(tag_lists)
    types = sentences.types(k_shot)
    if not types:
        return
    n_types = data.draw(st.integers(1, len(types)))
    sampler = TagSampler(sentences, k_shot=k_shot, n_query=1, types=types, n_types=n_types)
    try:
        support, query, chosen = sampler.task(number)
    except ValueError as error:
        assert "are left beside a support set" in str(error)
        return
    assert len(set(support)) == len(support) and not set(support) & set(query) and len(set(chosen)) == n_types
    counts = spans_of(sentences, support)
    assert min(counts[kind] for kind in chosen) >= k_shot
    for s in support:
        rest = spans_of(sentences, [other for other in support if other != s])
        assert min(rest[kind] for kind in chosen) < k_shot
    assert sampler.task(number) == (support, query, chosen)


def test_an_episode_is_its_tokens(sentences):
    sampler = TagSampler(sentences, k_shot=2, n_query=5, seed=3)
    episode = sampler.sample(first=7)
    support, query, types = sampler.task(7)
    assert set(types) == {"city", "date", "food"} and len(episode) == 1 and episode.k_shot == 2
    texts = [marked(text) for text in episode.support_texts()]
    assert texts == [w for s in support for w in sentences.tokens.texts[sentences.starts[s]].translate(
        {ord(sign): None for sign in "⟦⟧"}).split()]  # fmt: skip
    assert [episode.tags[y] for y in episode.support_y[0]] == [tag for s in support for tag in sentences.tags(s)]
    assert list(map(list, episode.truth)) == [sentences.tags(s) for s in query]
    assert episode.classes == [list(episode.tags)] and episode.n_way == len(episode.tags)
    assert set(episode.support_y[0].tolist()) == set(range(episode.n_way))


def test_the_same_number_is_the_same_episode_in_any_order(sentences):
    one, two = (TagSampler(sentences, k_shot=1, n_types=2, seed=5) for _ in range(2))
    later = [two.sample(first=n) for n in (2, 1, 0)][::-1]
    for number, episode in enumerate(later):
        assert torch.equal(one.sample(first=number).support_x, episode.support_x)
    assert one.key == two.key and one.key != TagSampler(sentences, k_shot=1, n_types=2, seed=6).key
    assert len({tuple(e.support_x[0].tolist()) for e in later}) == 3


def test_spans_of_other_types_are_outside(sentences):
    assert masked(["B-a", "I-a", "O", "B-b"], ["b"]) == ["O", "O", "O", "B-b"]
    sampler = TagSampler(sentences, k_shot=2, n_query=30, n_types=1)
    for number in range(10):
        (kind,) = sampler.task(number)[2]
        episode = sampler.sample(first=number)
        assert {"O", f"B-{kind}"} <= set(episode.tags) <= {"O", f"B-{kind}", f"I-{kind}"}
        assert {tag for tags in episode.truth for tag in tags} <= {"O", f"B-{kind}", f"I-{kind}"}
    assert {tag[2:] for tags in tag_sequences(sampler, episodes=1) for tag in tags if tag != "O"} == {
        sampler.task(0)[2][0]
    }


def test_tag_sequences_are_those_of_the_sentences(sentences):
    sampler = TagSampler(sentences, k_shot=2, n_query=4)
    support, query, _ = sampler.task(0)
    assert tag_sequences(sampler, episodes=1) == [sentences.tags(s) for s in (*support, *query)]


def test_a_tag_without_an_example_is_no_class_unless_every_tag_is_asked_for():
    sentences = made([["B-a"], ["B-a", "I-a", "O"], ["B-b", "I-b"], ["B-b"]] + [["O", "O"]] * 3)
    for number in range(8):
        episode = TagSampler(sentences, k_shot=1, n_query=4).sample(first=number)
        unseen = [tag for tags in episode.truth for tag in tags if tag not in episode.tags]
        assert (episode.query_y[0] == -100).sum() == len(unseen)
        full = TagSampler(sentences, k_shot=1, n_query=4, every_tag=True).sample(first=number)
        assert sorted(full.tags) == ["B-a", "B-b", "I-a", "I-b", "O"] and full.n_way == 5
        assert full.tags[0] == "O" and (full.query_y >= 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k_shot": 40}, r"k_shot=40.*fewer spans of city \(\d+\).*types=sentences.types\(40\)"),
        ({"k_shot": 0}, "k_shot=0"),
        ({"n_types": 4}, "n_types=4.*has 3 types"),
        ({"types": ["city", "planet"]}, r"planet \(0\)"),
        ({"seed": 0.5}, "seed=0.5"),
    ],
)
def test_options_that_make_no_episode_are_refused(sentences, options, message):
    if options.get("k_shot") == 40:
        sentences = Sentences(sentences.tokens, sentences.starts[:60])
    with pytest.raises(ValueError, match=message):
        TagSampler(sentences, **options)


def test_episodes_come_one_by_one_and_from_enough_sentences(sentences, words):
    with pytest.raises(ValueError, match=r"sample\(tasks=3\): sentences differ in length"):
        TagSampler(sentences).sample(3)
    with pytest.raises(ValueError, match=r"n_query=119\): \d+ of 120 sentences are left"):
        TagSampler(sentences, n_query=119).sample()
    score = evaluate(NearestNeighbour(words), TagSampler(sentences, k_shot=1), episodes=3, batch=1)
    assert 0 < score.mean < 1  # of tokens


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (Relation(Span(0, 1), Span(2, 3), "r"), "marks something else than spans: Relation.*relation_view"),
        ((PredicateRoles(Span(0, 1, "go.01")),), "marks something else than spans.*of_roles"),
        ((Span(0, 3, "a"), Span(2, 3, "b")), "overlaps"),
        ((Span(0, 2, "a"),), "inside a token"),
    ],
)
def test_what_no_tags_can_mark_is_refused(annotation, message):
    with pytest.raises(CorpusError, match=message):
        Sentences.of(Corpus("odd", ["a b c"], ["x"], annotations=[annotation]))


def test_no_annotations_and_no_tokens_are_refused():
    with pytest.raises(CorpusError, match="has no annotations"):
        Sentences.of(Corpus("plain", ["a"], ["x"]))
    with pytest.raises(CorpusError, match="a text without a token"):
        Sentences.of(Corpus("blank", [" "], ["x"], annotations=[()]))


def test_roles_stand_on_words_and_the_predicate_is_marked():
    uses = (
        PredicateRoles(Span(2, 5, "ask.02"), (Span(0, 1, "ARG0"), Span(6, 7, "ARG1"), Span(8, 11, "ARGM-TMP"))),
        PredicateRoles(Span(2, 5, "ask.01"), (Span(0, 1, "ARG0"),)),
    )
    corpus = Corpus("roles", ["I ask B now", "no"], ["x", "x"], annotations=[uses, ()])
    sentences = Sentences.of_roles(corpus, "ask.02")
    assert len(sentences) == 1 and sentences.tags(0) == ["B-ARG0", "O", "B-ARG1", "O"]
    assert sentences.tokens.texts[2] == "I ⟪ask⟫ ⟦B⟧ now" and sentences.tokens.texts[1] == "I ⟪⟦ask⟧⟫ B now"
    with pytest.raises(CorpusError, match=r"no use of 'go.01'"):
        Sentences.of_roles(corpus, "go.01")


def test_published_episodes_keep_their_order_and_their_sentences_only():
    pairs = [joined(["to", "x"], ["O", "B-a"]), joined(["y"], ["B-a"]), joined(["z"], ["B-b"]), joined(["q"], ["O"])]
    texts, spans = (list(part) for part in zip(*pairs, strict=True))
    corpus = Corpus("published", texts, ["Go"] * 4, annotations=spans)
    published = PublishedEpisodes(corpus, {("Go", 1): [((0,), (1,)), ((2, 1), (3, 0))]})
    first = PublishedTags(published, "Go", k_shot=1, episodes=1)
    assert len(first) == 1 and len(first.sentences) == 2 and first.sample().truth == (("B-a",),)
    both = PublishedTags(published, "Go", k_shot=1)
    assert both.sample(first=1).tags == ("B-a", "B-b") and both.sample(first=1).truth == (("O",), ("O", "B-a"))
    assert both.key != first.key
    with pytest.raises(ValueError, match="episode 2 of Go: 2 are here"):
        both.sample(first=2)
    with pytest.raises(ValueError, match=r"k_shot=5\): published are \[\('Go', 1\)\]"):
        PublishedTags(published, "Go", k_shot=5)
