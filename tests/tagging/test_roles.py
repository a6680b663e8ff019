"""Roles on head words: the rule, and what syntax tells."""

from __future__ import annotations

import pytest
import torch

from metalearn_lib.corpora import Corpus, PredicateRoles, Span
from metalearn_lib.learners import NearestNeighbour
from metalearn_lib.tagging import NearestNoun, Sentences, Syntax, TagSampler, span_scores, tag

TEXTS = ["the dog ate a bone", "she ate", "ate rice", "we often ate old bread here"]
KINDS = ["DET NOUN VERB DET NOUN", "PRON VERB", "VERB NOUN", "PRON ADV VERB ADJ NOUN ADV"]
ROLES = [{1: "ARG0", 4: "ARG1"}, {0: "ARG0"}, {1: "ARG1"}, {0: "ARG0", 4: "ARG1"}]


def words(text):
    at, found = 0, []
    for word in text.split():
        found.append((at, at + len(word)))
        at += len(word) + 1
    return found


@pytest.fixture
def speech():
    tags = [
        tuple(Span(*p, k) for p, k in zip(words(t), kinds.split(), strict=True))
        for t, kinds in zip(TEXTS, KINDS, strict=True)
    ]
    return Corpus("speech", TEXTS, ["x"] * 4, annotations=tags)


@pytest.fixture
def eaten():
    annotations = []
    for text, roles in zip(TEXTS, ROLES, strict=True):
        places = words(text)
        verb = places[text.split().index("ate")]
        arguments = tuple(Span(*places[i], role) for i, role in roles.items())
        annotations.append((PredicateRoles(Span(*verb, "eat.01"), arguments),))
    return Sentences.of_roles(Corpus("eaten", TEXTS, ["x"] * 4, annotations=annotations), "eat.01")


def test_the_rule_takes_the_nearest_nouns(speech, eaten):
    sampler = TagSampler(eaten, k_shot=1, n_query=1)
    for number in range(6):
        episode = sampler.sample(first=number)
        assert [tuple(tags) for tags in tag(NearestNoun(speech), episode)] == list(episode.truth)
    assert span_scores(NearestNoun(speech), sampler, {"rule": None}, episodes=4)["rule"].mean == 1.0


def test_what_syntax_tells(speech, eaten):
    encoder = Syntax(speech)
    vectors = encoder.embed(eaten.tokens)
    assert vectors.shape == (len(eaten.tokens), encoder.dim) and set(vectors.unique().tolist()) == {0.0, 1.0}
    assert (vectors[:, :-2].sum(1) == 4).all()  # three parts of speech and a place
    picked = [[eaten.tokens.labels[i] for i in vectors[:, side].nonzero()[:, 0]] for side in (-2, -1)]
    assert picked == [["B-ARG0"] * 3, ["B-ARG1"] * 3]
    without = Syntax(speech, rule=False)
    assert without.dim == encoder.dim - 2 and torch.equal(without.embed(eaten.tokens), vectors[:, :-2])
    assert torch.equal(encoder.embed(["⟦we⟧ often ⟪ate⟫ old bread here"])[0], vectors[9])
    sampler = TagSampler(eaten, k_shot=1, n_query=1)
    assert span_scores(NearestNeighbour(encoder), sampler, {"x": None}, episodes=4)["x"].mean > 0.4


@pytest.mark.parametrize("text", ["⟦she⟧ ate", "⟦nobody⟧ ⟪ate⟫ figs"])
def test_a_sentence_without_parts_of_speech_or_predicate_is_named(speech, text):
    with pytest.raises(ValueError, match="needs a word and a predicate marked"):
        Syntax(speech).embed([text])
