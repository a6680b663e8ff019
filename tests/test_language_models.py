"""Language models: probabilities are probabilities, the past never sees the future, perplexity means what it says."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metalearn_lib import language_models as lm
from metalearn_lib.text import Vocabulary

WORDS = ["the", "king", "fox", "wolf", "went", "home", "and", "slept", "."]
TINY = [
    ["the", "fox", "went", "home", "."],
    ["the", "king", "slept", "."],
    ["the", "wolf", "and", "the", "fox", "slept", "."],
]


def vocabulary(sentences=TINY, **options) -> Vocabulary:
    return Vocabulary.build(sentences, sentence_marks=True, **options)


def neural(kind: str, sentences=TINY, **options) -> lm.NeuralLanguageModel:
    return lm.NeuralLanguageModel(kind, vocabulary(sentences), dim=16, **options)


def grammar(n: int, seed: int) -> list[list[str]]:
    """Sentences in which each word limits the next: what a bigram can know and a unigram cannot."""
    rng, verbs = (
        random.Random(seed),
        {"king": ["ruled", "feasted"], "fox": ["hid", "stole"], "wolf": ["howled", "hunted"]},
    )
    nouns = [rng.choice(list(verbs)) for _ in range(n)]
    return [["the", noun, rng.choice(verbs[noun]), "all", rng.choice(["day", "night"]), "."] for noun in nouns]


class Uniform:
    """Every possible next token is equally likely."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    def next_log_probabilities(self, history):
        scores = torch.zeros(len(self.vocabulary))
        scores[[self.vocabulary.stoi["<bos>"], self.vocabulary.stoi["<pad>"]]] = -torch.inf
        return scores.log_softmax(0)

    def log_probabilities(self, sentences):
        p = self.next_log_probabilities([])[0]
        return [p.repeat(len(s) + 1) for s in sentences]


# --- probabilities ---


@settings(max_examples=40, deadline=None)
@given(
    text=st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=6), min_size=1, max_size=8),
    history=st.lists(st.sampled_from([*WORDS, "never-seen"]), max_size=5),
    order=st.integers(1, 4),
    smoothing=st.sampled_from(["kneser_ney", "add_k"]),
)
def test_ngram_probabilities_sum_to_one_for_any_text_and_history(text, history, order, smoothing):
    model = lm.NGram(vocabulary(text), order=order, smoothing=smoothing).fit(text)
    p = model.next_log_probabilities(history).exp()
    assert p.sum().item() == pytest.approx(1, abs=1e-12)
    possible = [i for i, token in enumerate(model.vocabulary.itos) if token not in ("<pad>", "<bos>")]
    assert (p[possible] > 0).all()
    one_by_one = [model.probability(i, model._context(history)) for i in possible]
    assert np.allclose(one_by_one, p[possible], atol=1e-14)


@pytest.mark.parametrize("kind", lm.KINDS)
def test_neural_probabilities_sum_to_one_and_never_go_to_the_marks(kind):
    model = neural(kind)
    p = model.next_log_probabilities(["the", "never-seen"]).exp()
    assert p.sum().item() == pytest.approx(1, abs=1e-5)
    assert p[model.vocabulary.stoi["<bos>"]] == p[model.vocabulary.stoi["<pad>"]] == 0


@pytest.mark.parametrize("order", [1, 2, 3])
def test_kneser_ney_agrees_with_a_reference_written_from_the_paper(order):
    text = grammar(30, seed=0)
    model = lm.NGram(vocabulary(text, min_count=5), order=order).fit(text)
    stoi, itos = model.vocabulary.stoi, model.vocabulary.itos

    def known(word):
        return word if word in stoi else "<unk>"

    padded = [["<bos>"] * (order - 1) + [known(w) for w in s] + ["<eos>"] for s in text]
    top = [tuple(s[i : i + order]) for s in padded for i in range(len(s) - order + 1)]
    choices = len(itos) - 2

    def count(gram):
        """c(gram) at the top; below, the number of different words seen before it at the next order up."""
        if len(gram) == order:
            return top.count(gram)
        longer = {g[i : i + len(gram) + 1] for g in top for i in [order - len(gram) - 1]}
        return len({g[0] for g in longer if g[1:] == gram})

    def discount(n):
        counts = Counter(count(gram) for gram in {g[order - n :] for g in top})
        return counts[1] / (counts[1] + 2 * counts[2]) if counts[1] and counts[2] else 0.5

    def p(word, context):
        lower = p(word, context[1:]) if context else 1 / choices
        followers = {w: count((*context, w)) for w in itos if count((*context, w))}
        if not followers:
            return lower
        d = discount(len(context) + 1)
        return (max(followers.get(word, 0) - d, 0) + d * len(followers) * lower) / sum(followers.values())

    for history in ([], ["the"], ["the", "fox"], ["fox", "the"], ["nobody", "knows"], ["day", "."]):
        context = tuple((["<bos>"] * order + [known(w) for w in history])[len(history) + 1 :]) if order > 1 else ()
        got = model.next_log_probabilities(history).exp()
        for word in itos:
            if word not in ("<bos>", "<pad>"):
                assert got[stoi[word]].item() == pytest.approx(p(word, context), abs=1e-9), (history, word)


def test_add_k_is_the_formula():
    model = lm.NGram(vocabulary(), order=2, smoothing="add_k", k=0.5).fit(TINY)
    choices = len(model.vocabulary) - 2
    p = model.next_log_probabilities(["the"]).exp()
    assert p[model.vocabulary.stoi["fox"]].item() == pytest.approx((2 + 0.5) / (4 + 0.5 * choices))
    assert p[model.vocabulary.stoi["home"]].item() == pytest.approx(0.5 / (4 + 0.5 * choices))


# --- no look into the future ---


@pytest.mark.parametrize("kind", lm.KINDS)
def test_changing_a_future_token_never_changes_an_earlier_prediction(kind):
    model = neural(kind, layers=2).eval()
    ids = torch.randint(4, len(model.vocabulary), (3, 9), generator=torch.Generator().manual_seed(0))
    changed = ids.clone()
    changed[:, 5] = (changed[:, 5] - 4 + 1) % (len(model.vocabulary) - 4) + 4
    before, after = model(ids), model(changed)
    possible = model.never == 0
    assert torch.allclose(before[:, :5, possible], after[:, :5, possible], atol=1e-6)
    assert not torch.allclose(before[:, 5:, possible], after[:, 5:, possible], atol=1e-3)


@pytest.mark.parametrize("model", [lm.NGram(vocabulary(), order=3).fit(TINY), *[neural(kind) for kind in lm.KINDS]])
def test_scoring_a_sentence_equals_asking_for_the_next_token_again_and_again(model):
    sentences = [TINY[2], ["the", "dragon"], [], TINY[0]]
    for sentence, scored in zip(sentences, model.log_probabilities(sentences), strict=True):
        ids = [*model.vocabulary.encode(sentence), model.vocabulary.stoi["<eos>"]]
        asked = [model.next_log_probabilities(sentence[:i])[token].item() for i, token in enumerate(ids)]
        assert scored.tolist() == pytest.approx(asked, abs=1e-5)


# --- perplexity ---


def test_perplexity_of_the_uniform_model_is_the_number_of_possible_tokens():
    words = vocabulary()
    measured = lm.perplexity(Uniform(words), [*TINY, ["dragons"]])
    assert measured.value == pytest.approx(len(words) - 2) == pytest.approx(measured.outcomes)
    assert measured.tokens.sum() == sum(len(s) + 1 for s in TINY) + 2


@pytest.mark.parametrize("kind", lm.KINDS)
def test_a_memorisable_text_comes_near_perplexity_one(kind):
    text = [["once", "upon", "a", "time", "there", "was", "one", "fox"]] * 4
    model = neural(kind, text, dropout=0.0)
    losses = lm.fit(model, text, epochs=40, lr=0.05, progress=False)
    assert losses[-1] < losses[0]
    assert lm.perplexity(model, text).value < 1.1
    assert lm.perplexity(lm.NGram(vocabulary(text), order=2).fit(text * 50), text).value < 1.05


@pytest.mark.parametrize("kind", lm.KINDS)
def test_neural_models_and_bigrams_beat_the_unigram_where_words_limit_the_next(kind):
    train, test = grammar(150, seed=1), grammar(60, seed=2)
    words = vocabulary(train)
    model = lm.NeuralLanguageModel(kind, words, dim=32, dropout=0.1)
    lm.fit(model, train, valid=train[:30], epochs=12, lr=0.01, progress=False)
    unigram = lm.perplexity(lm.NGram(words, order=1).fit(train), test)
    assert lm.perplexity(model, test) < unigram
    assert lm.perplexity(lm.NGram(words, order=2).fit(train), test) < unigram
    assert not unigram < unigram


def test_kneser_ney_beats_add_one_on_real_words():
    text = [line.split() for line in __doc__.replace(",", " ,").split("\n")] + TINY * 5
    words = vocabulary(text)
    good = lm.perplexity(lm.NGram(words, order=2).fit(text), TINY)
    assert good < lm.perplexity(lm.NGram(words, order=2, smoothing="add_k", k=1).fit(text), TINY)


def test_the_interval_holds_the_value_and_groups_widen_it():
    train = grammar(100, seed=3)
    model = lm.NGram(vocabulary(train), order=1).fit(train)
    test = grammar(40, seed=4)
    by_sentence = lm.perplexity(model, test)
    by_document = lm.perplexity(model, test, groups=[i // 20 for i in range(40)])
    assert by_sentence.low <= by_sentence.value <= by_sentence.high
    assert by_document.value == pytest.approx(by_sentence.value) and len(by_document.tokens) == 2
    assert "95 %" in str(by_sentence)
    single = lm.perplexity(model, test[:1])
    assert np.isnan(single.low) and not single < single


def test_perplexities_over_other_vocabularies_or_other_texts_are_not_compared():
    train = grammar(50, seed=5)
    large, small = (lm.NGram(v, order=1).fit(train) for v in (vocabulary(train), vocabulary(train, max_size=3)))
    assert lm.perplexity(small, train).value < lm.perplexity(large, train).value  # the trap
    with pytest.raises(ValueError, match="cannot be compared"):
        _ = lm.perplexity(small, train) < lm.perplexity(large, train)
    with pytest.raises(ValueError, match="different texts"):
        _ = lm.perplexity(large, train[:5]) < lm.perplexity(large, train[:6])


# --- training and sampling ---


@pytest.mark.parametrize("kind", lm.KINDS)
def test_same_seed_same_training_and_the_global_random_state_is_untouched(kind):
    before = torch.get_rng_state()
    runs = [neural(kind, seed=3) for _ in range(2)]
    losses = [lm.fit(model, TINY, epochs=2, seed=1, progress=False) for model in runs]
    assert torch.equal(torch.get_rng_state(), before) and losses[0] == losses[1]
    assert all(torch.equal(a, b) for a, b in zip(*(model.state_dict().values() for model in runs), strict=True))
    assert not torch.equal(neural(kind, seed=4).embedding.weight, neural(kind, seed=3).embedding.weight)


def test_validation_keeps_the_best_epoch():
    train, valid = grammar(6, seed=6), grammar(20, seed=7)
    model = neural("lstm", train, dropout=0.0)
    history = lm.fit(model, train, valid=valid, epochs=60, lr=0.05, progress=False)
    kept = -torch.cat(model.log_probabilities(valid)).mean().item()
    assert kept == pytest.approx(min(history), abs=1e-5)
    assert history[-1] > min(history), "the case is meant to overfit"


@pytest.mark.parametrize("model", [lm.NGram(vocabulary(), order=2).fit(TINY), *[neural(kind) for kind in lm.KINDS]])
def test_sampling_is_seeded_and_writes_words_only(model):
    one, again = (lm.sample(model, seed=3, max_tokens=12) for _ in range(2))
    assert one == again
    assert len({tuple(lm.sample(model, seed=s, max_tokens=12)) for s in range(8)}) > 1
    assert not {"<unk>", "<pad>", "<bos>", "<eos>"} & {w for s in range(20) for w in lm.sample(model, seed=s)}


def test_top_k_one_and_a_low_temperature_are_greedy():
    model = lm.NGram(vocabulary(), order=3).fit(TINY)
    greedy = {tuple(lm.sample(model, prompt=["the", "king"], top_k=1, seed=s)) for s in range(5)}
    assert greedy == {("slept", ".")} == {tuple(lm.sample(model, prompt=["the", "king"], temperature=0.01))}
    assert lm.sample(model, max_tokens=0) == []


# --- bad input ---


@pytest.mark.parametrize("text", [[], [[]], [[], []]])
def test_an_empty_text_is_refused(text):
    with pytest.raises(ValueError, match="text is empty"):
        lm.NGram(vocabulary()).fit(text)
    with pytest.raises(ValueError, match="text is empty"):
        lm.fit(neural("rnn"), text, progress=False)
    if not text:
        with pytest.raises(ValueError, match="no sentences"):
            lm.perplexity(Uniform(vocabulary()), text)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lm.NGram(Vocabulary.build(TINY)), "lacks <bos> and <eos>"),
        (lambda: vocabulary([[]]), "no word"),
        (lambda: lm.NeuralLanguageModel("gru", vocabulary()), "use one of rnn, lstm, transformer"),
        (lambda: lm.NeuralLanguageModel("transformer", vocabulary(), dim=30, heads=4), "multiple of heads"),
        (lambda: lm.NeuralLanguageModel("lstm", vocabulary(), dropout=1.0), "dropout=1.0"),
        (lambda: lm.NGram(vocabulary(), order=0), "order=0"),
        (lambda: lm.NGram(vocabulary(), smoothing="laplace"), "use one of kneser_ney, add_k"),
        (lambda: lm.NGram(vocabulary(), k=0), "perplexity is infinite"),
        (lambda: lm.sample(Uniform(vocabulary()), temperature=0), "must be > 0"),
        (lambda: lm.sample(Uniform(vocabulary()), temperature=-1.0), "must be > 0"),
        (lambda: lm.sample(Uniform(vocabulary()), top_k=0), "must be ≥ 1"),
        (lambda: lm.perplexity(Uniform(vocabulary()), TINY, groups=[1]), "1 groups for 3 sentences"),
    ],
)
def test_bad_input_names_the_value_and_the_way_out(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_unfitted_ngram_says_so():
    with pytest.raises(RuntimeError, match=r"call \.fit"):
        lm.NGram(vocabulary()).next_log_probabilities([])
