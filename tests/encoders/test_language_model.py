"""The states of a language model as text vectors."""

import pytest
import torch

from metalearn_lib.classification import Classifier, accuracy, fit, load, save
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import LanguageModelEncoder
from metalearn_lib.language_models import KINDS, NeuralLanguageModel
from metalearn_lib.language_models import fit as fit_language_model
from metalearn_lib.text import Vocabulary, tokenize

TEXTS = ["the cat sleeps", "a cat", "the sun shines on a cat", "never seen words"]


def model(kind: str = "lstm", words: str = "the cat sleeps a sun shines on") -> NeuralLanguageModel:
    return NeuralLanguageModel(kind, Vocabulary.build([words.split()], sentence_marks=True), dim=8, dropout=0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_are_last_mean_and_maximum_of_the_states(kind: str) -> None:
    lm = model(kind).double().eval()
    encoder = LanguageModelEncoder(lm)
    for text, vector in zip(TEXTS, encoder.embed(TEXTS), strict=True):
        ids = torch.tensor([[2, *lm.vocabulary.encode(tokenize(text))]])
        states = lm.states(ids)[0].detach()
        assert torch.allclose(vector, torch.cat([states[-1], states.mean(0), states.amax(0)]), atol=1e-9)


def test_padding_and_company_change_nothing() -> None:
    encoder = LanguageModelEncoder(model())
    together = encoder.embed(TEXTS)
    assert torch.allclose(together[1], encoder.embed(TEXTS[1:2])[0], atol=1e-6)
    corpus = Corpus("toy", TEXTS, list("aabb"))
    assert torch.allclose(encoder(torch.tensor([[0, 1], [2, 3]]), corpus).flatten(0, 1), together, atol=1e-6)


def test_only_the_first_words_count() -> None:
    encoder = LanguageModelEncoder(model(), max_length=2)
    assert torch.allclose(encoder.embed(["the cat sleeps"]), encoder.embed(["the cat shines on"]), atol=1e-6)


def test_pretrained_weights_are_fine_tuned_in_place() -> None:
    lm = model()
    fit_language_model(lm, [tokenize(t) for t in TEXTS], epochs=1, progress=False)
    classifier = Classifier(LanguageModelEncoder(lm), ["cat", "sun"])
    before = lm.embedding.weight.detach().clone()
    corpus = Corpus("toy", ["the cat", "a cat sleeps", "the sun", "a sun shines"] * 3, ["cat", "cat", "sun", "sun"] * 3)
    fit(classifier, corpus, epochs=15, batch_size=4, rates=1e-2, progress=False)
    assert accuracy(classifier, corpus).mean == 1
    assert not torch.equal(lm.embedding.weight, before)


def test_a_checkpoint_of_another_vocabulary_is_refused(tmp_path) -> None:
    save(Classifier(LanguageModelEncoder(model()), ["a", "b"]), tmp_path / "m")
    load(Classifier(LanguageModelEncoder(model()), ["a", "b"], seed=3), tmp_path / "m")
    other = Classifier(LanguageModelEncoder(model(words="der die das ein hund katze haus")), ["a", "b"])
    with pytest.raises(ValueError, match="another vocabulary"):
        load(other, tmp_path / "m")


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="not a Linear"):
        LanguageModelEncoder(torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match="max_length=0"):
        LanguageModelEncoder(model(), max_length=0)
    with pytest.raises(ValueError, match="text 1 is empty"):
        LanguageModelEncoder(model()).embed(["cat", ""])
