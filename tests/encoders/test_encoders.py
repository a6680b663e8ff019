"""Every encoder: shapes, padding, gradients, empty and unknown text; Transformers on tiny models built here."""

import json
import shutil

import numpy as np
import pytest
import torch

from metalearn_lib import encoders
from metalearn_lib.corpora import Corpus
from metalearn_lib.text import WordVectors

WORDS = ["red", "green", "blue", "cat", "dog", "runs", "sleeps", "fast"]
TEXTS = ["red cat runs", "green dog sleeps", "blue cat runs fast red dog sleeps green", "zyx qwv"]


AVERAGES = {
    "averaged": lambda v, c: encoders.Averaged(v),
    "idf": lambda v, c: encoders.Averaged(v, weighting="idf", background=c),
    "sif": lambda v, c: encoders.Averaged(v, weighting="sif", background=c),
}
TRAINED = {
    "convolutional": lambda v, c: encoders.Convolutional(v, channels=4),
    "recurrent": lambda v, c: encoders.Recurrent(v, hidden=5),
    "attention": lambda v, c: encoders.SelfAttention(v, dim=8, heads=2),
    "projected": lambda v, c: encoders.Projected(encoders.Averaged(v), dim=3),
}
ALL = {**AVERAGES, **TRAINED}


@pytest.fixture
def make(vectors, corpus):
    def build(name):
        torch.manual_seed(0)
        return ALL[name](vectors, corpus)

    return build


@pytest.mark.parametrize("name", ALL)
def test_a_text_has_the_same_vector_at_any_place_and_beside_any_other(make, corpus, name):
    encoder = make(name).eval()
    together = encoder.embed(TEXTS)
    torch.testing.assert_close(encoder(torch.tensor([[[0, 1], [2, 3]]]), corpus), together.view(1, 2, 2, encoder.dim))
    for row, text in enumerate(TEXTS):
        torch.testing.assert_close(encoder.embed([text])[0], together[row], atol=1e-6, rtol=1e-5)
    assert together[3].abs().max() == 0  # of unknown words


@pytest.mark.parametrize("name", ALL)
def test_an_empty_text_is_refused_by_number(make, name):
    with pytest.raises(ValueError, match="text 1 is empty"):
        make(name).embed(["red cat", "  "])


@pytest.mark.parametrize("name", TRAINED)
def test_gradients_reach_every_parameter_and_no_nan(make, corpus, name):
    encoder = make(name)
    encoder(torch.arange(4), corpus).square().sum().backward()
    for key, parameter in encoder.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), key


@pytest.mark.parametrize("name", ["convolutional", "attention", "projected"])
def test_second_derivatives_exist_on_a_cpu(make, corpus, name):
    encoder = make(name).eval()
    parameters = list(encoder.parameters())
    loss = encoder(torch.arange(3), corpus).pow(2).sum()
    first = torch.autograd.grad(loss, parameters, create_graph=True)
    torch.autograd.grad(sum(g.square().sum() for g in first), parameters, allow_unused=True)


def test_averages_are_averages(vectors):
    expected = (vectors.table[1] + vectors.table[4]) / 2
    torch.testing.assert_close(encoders.Averaged(vectors).embed(["red cat zyx"])[0], expected)


def test_idf_gives_rare_words_more_weight(vectors):
    background = Corpus("b", ["cat red", "cat green", "cat blue"], ["x"] * 3)
    vector = encoders.Averaged(vectors, weighting="idf", background=background).embed(["cat red"])[0]
    cat, red = vectors.table[4], vectors.table[1]
    share = torch.linalg.lstsq(torch.stack([cat, red], 1), vector).solution
    assert share[1] > share[0] and share.sum().item() == pytest.approx(1, abs=1e-4)


def test_word_order_matters_to_those_that_should_see_it(make):
    sees = {"averaged": False, "convolutional": True, "recurrent": True, "attention": True}
    for name, expected in sees.items():
        a, b = make(name).embed(["red cat runs", "runs cat red"])
        assert (not torch.allclose(a, b, atol=1e-6)) == expected, name


def test_what_is_prepared_once_is_kept(make, corpus, monkeypatch):
    encoder = make("convolutional")
    first = encoder.inputs(corpus)
    monkeypatch.setattr(encoder, "_prepare", None)
    assert encoder.inputs(corpus) is first


def test_nan_vectors_are_caught_with_their_text():
    class Broken(encoders.Averaged):
        def _prepare(self, texts):
            return torch.full((len(texts), 2), float("nan"))

    with pytest.raises(ValueError, match=r"text 0 \('red cat'\) holds NaN"):
        Broken(WordVectors.from_array(["a"], np.ones((1, 2)))).embed(["red cat"])


@pytest.mark.parametrize(
    "build",
    [
        lambda v: encoders.Averaged(v, weighting="bm25"),
        lambda v: encoders.Averaged(v, weighting="idf"),
        lambda v: encoders.Convolutional(v, widths=()),
        lambda v: encoders.Convolutional(v, dropout=1.0),
        lambda v: encoders.Recurrent(v, hidden=0),
        lambda v: encoders.SelfAttention(v, dim=10, heads=4),
        lambda v: encoders.Convolutional(v, max_length=0),
        lambda v: encoders.Projected(encoders.Averaged(v), dim=0),
        lambda v: encoders.Projected(encoders.Averaged(v), dropout=-0.1),
        lambda v: encoders.Projected(encoders.Averaged(v), dropout=1.0),
    ],
)
def test_bad_options_are_refused(vectors, build):
    with pytest.raises(ValueError):
        build(vectors)


def test_identity_passes_vectors_and_refuses_texts():
    x = torch.randn(2, 3, 4)
    assert encoders.Identity(4)(x) is x
    with pytest.raises(ValueError, match="not texts"):
        encoders.Identity(4).embed(["a"])


# ---------------------------------------------------------------- Transformers


def save_bert(folder):
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    torch.manual_seed(0)
    shape = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 40,
    }
    BertModel(BertConfig(vocab_size=len(vocabulary), **shape)).save_pretrained(folder)
    BertTokenizerFast(vocab={w: i for i, w in enumerate(vocabulary)}, model_max_length=40).save_pretrained(folder)


def save_roberta(folder):
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaConfig, RobertaModel, RobertaTokenizerFast

    folder.mkdir()
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(
        TEXTS, vocab_size=300, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], show_progress=False
    )
    tokenizer.save_model(str(folder))
    torch.manual_seed(0)
    shape = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 42,
    }
    RobertaModel(RobertaConfig(vocab_size=tokenizer.get_vocab_size(), pad_token_id=1, **shape)).save_pretrained(folder)
    vocabulary = json.loads((folder / "vocab.json").read_text())
    merges = [
        tuple(line.split()) for line in (folder / "merges.txt").read_text().splitlines() if not line.startswith("#")
    ]
    RobertaTokenizerFast(vocab=vocabulary, merges=merges, model_max_length=40).save_pretrained(folder)


@pytest.fixture(scope="module", params=[save_bert, save_roberta], ids=["bert", "roberta"])
def folder(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "tiny"
    request.param(path)
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("METALEARN_DATA", str(tmp_path / "data"))


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_transformer_agrees_with_the_model_run_by_hand(folder, pooling):
    from transformers import AutoModel, AutoTokenizer

    vectors = encoders.Transformer(folder, pooling=pooling, max_length=20).embed(TEXTS)
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    for text, vector in zip(TEXTS, vectors, strict=True):
        with torch.no_grad():
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        expected = states.mean(0) if pooling == "mean" else states[0]
        torch.testing.assert_close(vector, expected / expected.norm(), atol=1e-5, rtol=1e-4)


def test_frozen_vectors_come_from_the_cache_the_second_time(folder, monkeypatch):
    first = encoders.Transformer(folder, max_length=20).embed(TEXTS)
    again = encoders.Transformer(folder, max_length=20)
    monkeypatch.setattr(again, "_encode_texts", None)
    assert torch.equal(again.embed(TEXTS[::-1]), first.flip(0))
    other = encoders.Transformer(folder, max_length=10)
    monkeypatch.setattr(other, "_encode_texts", lambda texts: torch.ones(len(texts), 16))
    assert (other.embed(TEXTS) == 1).all()  # other settings, other vectors


@pytest.mark.parametrize("name", ["tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "config.json"])
def test_another_tokenizer_or_setting_is_another_encoder(folder, tmp_path, name):
    twin = tmp_path / "twin"
    shutil.copytree(folder, twin)
    key = encoders.Transformer(twin, max_length=20).cache.folder
    assert key == encoders.Transformer(folder, max_length=20).cache.folder  # the same files under another name
    path = twin / name
    path.write_text(path.read_text() + "\n" if path.is_file() else "{}")
    assert encoders.Transformer(twin, max_length=20).cache.folder != key


def test_the_version_of_the_library_is_part_of_the_key(folder, monkeypatch):
    key = encoders.Transformer(folder, max_length=20).cache.folder
    monkeypatch.setattr("transformers.__version__", "0.0.1")
    assert encoders.Transformer(folder, max_length=20).cache.folder != key


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("cache", [False, True])
def test_vectors_do_not_depend_on_batch_order_company_or_threads(folder, monkeypatch, threads, cache):
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice([*WORDS, "zyx"], size=size)) for size in rng.integers(1, 18, size=70)]
    texts += texts[:5]
    alone = encoders.Transformer(folder, max_length=20, cache=False)
    expected = torch.cat([alone.embed([text]) for text in texts])
    monkeypatch.setenv("METALEARN_THREADS", threads)
    before, encoder = torch.get_num_threads(), encoders.Transformer(folder, max_length=20, cache=cache)
    order = rng.permutation(len(texts))
    found = encoder.embed([texts[i] for i in order])
    torch.testing.assert_close(found, expected[order], atol=1e-5, rtol=0)
    for batch in (1, 7, 100):
        torch.testing.assert_close(encoder._encode_texts(texts, batch=batch), expected, atol=1e-5, rtol=0)
    assert torch.get_num_threads() == before


def test_a_repeated_text_is_encoded_once_without_a_cache_too(folder, monkeypatch):
    encoder, asked = encoders.Transformer(folder, max_length=20, cache=False), []
    encode = encoder._encode_texts
    monkeypatch.setattr(encoder, "_encode_texts", lambda texts: (asked.extend(texts), encode(texts))[1])
    found = encoder.embed([TEXTS[0], TEXTS[1], TEXTS[0]])
    assert asked == TEXTS[:2] and torch.equal(found[0], found[2])
    assert encoder.prepare([]).shape == (0, 16)


@pytest.mark.parametrize(
    ("asked", "openmp", "threads"),
    [("3", "1", 3), ("", "1", 1), (None, "2", 2), ("all", "1", None), (None, None, None)],
)
def test_threads_are_those_of_the_environment_or_all_cores(monkeypatch, asked, openmp, threads):
    from metalearn_lib.encoders.transformer import _cores, _threads

    for name, value in (("METALEARN_THREADS", asked), ("OMP_NUM_THREADS", openmp)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    before = torch.get_num_threads()
    with _threads():
        assert torch.get_num_threads() == (threads or _cores())
    assert torch.get_num_threads() == before


def test_a_trainable_transformer_trains_and_a_frozen_one_does_not(folder, corpus):
    trained = encoders.Transformer(folder, frozen=False, max_length=20)
    trained(torch.arange(4).reshape(2, 2), corpus).sum().backward()
    # The pooler lies behind the states that are used.
    without = [k for k, p in trained.model.named_parameters() if p.grad is None and "pooler" not in k]
    assert without == []
    frozen = encoders.Transformer(folder, max_length=20)
    assert not any(p.requires_grad for p in frozen.parameters())
    assert not frozen.train().model.training


def test_frozen_and_trainable_give_the_same_direction(folder, corpus):
    frozen = encoders.Transformer(folder, max_length=20)(torch.arange(4), corpus)
    trained = encoders.Transformer(folder, frozen=False, max_length=20).eval()(torch.arange(4), corpus)
    torch.testing.assert_close(torch.nn.functional.normalize(trained, dim=1), frozen, atol=1e-5, rtol=1e-4)


def test_a_folder_without_safe_weights_is_refused(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match=r"lacks config.json, model.safetensors"):
        encoders.Transformer(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(FileNotFoundError, match="safe_serialization"):
        encoders.Transformer(tmp_path)


def test_transformer_options_are_checked(folder):
    for options in ({"pooling": "max"}, {"max_length": 2}, {"max_length": 4000}):
        with pytest.raises(ValueError, match="Transformer"):
            encoders.Transformer(folder, **options)
    with pytest.raises(ValueError, match="text 1 is empty"):
        encoders.Transformer(folder, max_length=20).embed(["red", ""])


def test_windows_average_all_tokens_of_a_long_text(folder):
    from transformers import AutoModel, AutoTokenizer

    long = " ".join(WORDS * 4)
    whole, first = (encoders.Transformer(folder, max_length=12, windows=w).embed([long, "red cat"]) for w in (9, 1))
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    settings = {"truncation": True, "max_length": 12, "return_overflowing_tokens": True}
    pieces = tokenizer([long], **settings)["input_ids"]
    assert len(pieces) > 2
    with torch.no_grad():
        states = torch.cat([model(torch.tensor([piece])).last_hidden_state[0] for piece in pieces])
    torch.testing.assert_close(whole[0], torch.nn.functional.normalize(states.mean(0), dim=0), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(whole[1], first[1], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(whole[0], first[0], atol=1e-3)
    with pytest.raises(ValueError, match="windows=2"):
        encoders.Transformer(folder, max_length=12, windows=2, frozen=False)
