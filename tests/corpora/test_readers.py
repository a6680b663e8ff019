"""The real corpora: what the catalog promises is what is read.   Offline; skipped without the files."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from metalearn_lib import corpora
from metalearn_lib.corpora import CorpusError, annotated, annotations, catalog
from metalearn_lib.corpora.readers import READERS, marked
from metalearn_lib.episodes import guards

fetch = sys.modules["metalearn_lib.corpora.fetch"]  # the package's `fetch` is the function

INTENTS = ["banking77", "clinc150", "hwu64", "liu"]
# texts, classes, smallest and largest class, median words, texts that occur more than once
SIZES = {
    "newsgroups": (18_821, 20, 628, 999, 161, 32),
    "reuters": (9_100, 52, 3, 3_923, 71, 91),
    "news46": (27_613, 46, 27, 3_923, 120, 218),
    "sentiment_domains": (23_320, 2, 10_849, 12_471, 16, 137),
    "movie_sentiment": (9_010, 2, 3_964, 5_046, 18, 52),
    "tales": (194, 7, 1, 70, 909, 0),
    "clinc150": (22_500, 150, 150, 150, 8, 5),
    "banking77": (13_083, 77, 75, 227, 10, 12),
    "fewrel": (14_700, 43, 100, 800, 27, 346),
    "snips": (14_484, 7, 2_042, 2_100, 8, 156),
}


def _skip_unless_here(name):
    """Skip, and say why, unless a corpus is in the cache or on the mirror: these tests fetch nothing."""
    mirror, sources = os.environ.get("METALEARN_MIRROR"), corpora.describe(name).sources
    mirrored = mirror and all(Path(mirror, s.name, file.path).is_file() for s in sources for file in s.files)
    if not corpora.is_present(name) and not mirrored:
        pytest.skip(f"{name} is neither in the cache nor in METALEARN_MIRROR={mirror}; metalearn data fetch {name}")


@pytest.fixture(scope="module")
def load():
    kept = {}

    def loaded(name):
        _skip_unless_here(name)
        if name not in kept:
            kept[name] = corpora.load(name)
        return kept[name]

    return loaded


def _named(names):
    https = [n for n in names if catalog.describe(n).kind == "https"]
    return [pytest.param(n, marks=pytest.mark.mirror) if n in https else n for n in names]


@pytest.mark.parametrize("name", _named(SIZES))
def test_sizes_are_those_of_the_data_cards(load, name):
    corpus = load(name)
    counts = corpus.counts()
    words = statistics.median(len(text.split()) for text in corpus.texts)
    measured = (len(corpus), len(counts), min(counts.values()), max(counts.values()), words)
    assert (*measured, guards.repeated_texts(corpus).count) == SIZES[name]
    assert all(text.strip() for text in corpus.texts) and all(label.strip() for label in corpus.labels)
    assert corpus.licence and corpus.citation and corpus.name == name


def test_baos_split_of_newsgroups(load):
    train, valid, test = load("newsgroups").split_classes()
    assert [len(part.classes) for part in (train, valid, test)] == [8, 5, 7]
    assert {label.split(".")[0] for label in train.classes} == {"sci", "rec"}
    assert {label.split(".")[0] for label in valid.classes} == {"comp"}
    assert not {label.split(".")[0] for label in test.classes} & {"sci", "rec", "comp"}
    assert not guards.same_class_in_two_splits(train, valid, test)
    assert guards.same_text_in_two_splits(train, valid, test).count == 3  # cross-posts, see the data card


def test_newsgroups_and_reuters_keep_their_split_by_date(load):
    assert load("newsgroups").official.count("train") == 11_293
    assert load("reuters").official.count("train") == 6_532


def test_news46_is_both_cut_to_120_words(load):
    news, groups = load("news46"), load("newsgroups")
    assert set(news.domains) == {"newsgroups", "reuters"}
    assert news.only(domains="reuters").classes == load("reuters").min_size(25).classes
    assert news.texts[0].split() == groups.texts[0].split()[:120]
    for seed in range(3):
        assert [len(part.classes) for part in news.split_classes(seed=seed)] == [26, 8, 12]


def test_sentiment_is_the_sign_of_the_rating(load):
    corpus = load("sentiment_domains")
    assert set(corpus.domains) == {"amazon", "movies", "nyt", "tweets"}
    assert all(-4 <= rating <= 4 and rating for rating in corpus.ratings)
    pairs = set(zip(corpus.labels, (rating > 0 for rating in corpus.ratings), strict=True))
    assert pairs == {("positive", True), ("negative", False)}
    assert not any("&amp;" in text for text in corpus.texts)


def test_a_movie_is_a_task(load):
    corpus = load("movie_sentiment")
    assert len(set(corpus.domains)) == 283 and len(set(corpus.min_domain(10).domains)) == 138
    assert corpus.classes == ["negative", "positive"]
    parts = corpus.split_domains(seed=1)
    assert not set(parts[0].domains) & set(parts[2].domains)


def test_tales_have_titles_types_and_sources(load):
    corpus = load("tales")
    rose = next(i for i, more in enumerate(corpus.annotations) if more.columns.get("Title") == "Brier Rose")
    assert corpus.texts[rose].startswith("A king and queen once upon a time")
    assert (corpus.labels[rose], corpus.annotations[rose].columns["ATU Numerical"]) == ("Tales of Magic", "410")
    assert set(corpus.annotations[rose].columns) == {"Title", "Abstract", "ATU Numerical", "ATU Type"}
    assert corpus.only(domains="excerpts").classes == ["adult", "children"]
    assert not any(text.startswith('"') and text.endswith('"') and '""' in text for text in corpus.texts)


@pytest.mark.mirror
@pytest.mark.parametrize("name", INTENTS)
def test_intents_have_five_published_splits(load, name):
    corpus = load(name)
    assert list(corpus.published) == ["01", "02", "03", "04", "05"]
    for split in corpus.published:
        parts = corpus.split_classes(split)
        assert not guards.same_class_in_two_splits(*parts)
        assert sum(map(len, parts)) == len(corpus)


@pytest.mark.mirror
def test_fewrel_marks_entities_in_three_domains(load):
    corpus = load("fewrel")
    sizes = {d: len(corpus.only(domains=d).classes) for d in sorted(set(corpus.domains))}
    assert sizes == {"nyt": 25, "pubmed": 10, "wiki": 16}
    examples = json.loads(fetch.paths("fewrel")["val_wiki.json"].read_text("utf-8"))
    published = [example for of_relation in examples.values() for example in of_relation]
    for text, relation, example in zip(corpus.texts, corpus.annotations, published, strict=False):
        for (_, identifier, mentions), span in ((example["h"], relation.head), (example["t"], relation.tail)):
            words = example["tokens"][mentions[0][0] : mentions[0][-1] + 1]
            assert (span.cut(text), span.label) == (" ".join(words), identifier)
        assert len(list(annotations.spans(relation))) == len(example["h"][2]) + len(example["t"][2])
    assert (corpus.annotations[0].label, corpus.labels[0]) == ("P177", "crosses")


@pytest.mark.mirror
def test_snips_slots_lie_in_the_text_and_emoji_survive(load):
    corpus = load("snips")
    files = [json.loads(marked.decode_surrogates(p.read_bytes())) for _, p in sorted(fetch.paths("snips").items())]
    published = [query["data"] for file in files for queries in file.values() for query in queries]
    for text, slots, pieces in zip(corpus.texts, corpus.annotations, published, strict=True):
        expected = [(piece["text"], piece["entity"]) for piece in pieces if piece.get("entity")]
        assert [(slot.cut(text), slot.label) for slot in slots] == expected
    assert any("\N{SLICE OF PIZZA}" in text for text in corpus.texts)
    assert any("Cita Romántica" in text for text in corpus.texts)
    assert corpus.official.count("test") == 700


def test_glove_is_mapped_and_read_only():
    _skip_unless_here("glove")
    words, vectors = corpora.glove()
    assert len(words) == 400_000 and len(set(words)) == 400_000 and words[:3] == ["the", ",", "."]
    assert vectors.shape == (400_000, 50) and vectors.dtype == np.float32
    assert isinstance(vectors, np.memmap) and not vectors.flags.writeable
    np.testing.assert_allclose(vectors[0, :3], [0.418, 0.24968, -0.41242], rtol=1e-6)


def test_minilm_is_a_folder_with_checked_weights():
    _skip_unless_here("minilm")
    assert (corpora.model_folder("minilm") / "model.safetensors").stat().st_size == 90_868_376


@pytest.mark.parametrize(("name", "pairs"), [("wordsim353", 353), ("simlex999", 999)])
def test_word_pairs(name, pairs):
    _skip_unless_here(name)
    found = corpora.word_pairs(name)
    assert len(found) == len(found.words1) == len(found.words2) == pairs
    assert all(0 <= score <= 10 for score in found.scores)


def test_every_entry_of_the_catalog_is_complete():
    assert set(SIZES) | set(INTENTS) <= set(corpora.names())
    readers = READERS | annotated.READERS
    for name in corpora.names():
        entry = corpora.describe(name)
        assert entry.title and entry.licence and entry.citation and entry.size > 0
        assert entry.default == (entry.kind != "https" and name != "gramps_messages")  # GPL: fetched when asked for
        assert (entry.reader in readers.get(entry.content, {"": None})) != bool(entry.derived_from)
        for source in entry.sources:
            assert source.base.startswith("https://") == (source.kind == "https")
            assert all(len(file.sha256) == 64 and file.size > 0 for file in source.files)
        for split in entry.published.values():
            assert set(split) == {"train", "valid", "test"}


def test_every_corpus_has_a_data_card():
    cards = (Path(catalog.__file__).parents[2] / "data" / "README.md").read_text("utf-8")
    assert [name for name in corpora.names() if f"`{name}`" not in cards] == []
    rows = {line.split("`")[1]: line for line in cards.splitlines() if line.startswith("| `")}
    for name, (texts, classes, smallest, largest, _, repeated) in SIZES.items():
        for number in (texts, classes, smallest, largest, repeated):
            assert f" {number:,}" in rows[name], f"{name}: {number:,} is not in its row"


@pytest.mark.parametrize("call", [corpora.load, corpora.describe, corpora.fetch, corpora.verify])
def test_unknown_names_are_answered_with_the_known_ones(call):
    with pytest.raises(CorpusError, match="no corpus is called 'news'; known: newsgroups, reuters"):
        call("news")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: corpora.load("glove"), r"corpora\.glove\(\)"),
        (lambda: corpora.load("chimeras"), r"corpora\.contexts\('chimeras'\)"),
        (lambda: corpora.load("minilm"), r"corpora\.model_folder\('minilm'\)"),
        (lambda: corpora.word_pairs("reuters"), r"corpora\.load\('reuters'\)"),
        (lambda: corpora.model_folder("simlex999"), r"corpora\.word_pairs\('simlex999'\)"),
    ],
)
def test_the_wrong_verb_names_the_right_one(call, message):
    with pytest.raises(CorpusError, match=message):
        call()


def test_surrogates_are_joined_and_plain_text_is_untouched():
    assert marked.decode_surrogates("é€🍕".encode()) == "é€🍕"


def test_importing_corpora_stays_light():
    script = (
        "import sys; from metalearn_lib import corpora; corpora.names();"
        "print({'pandas', 'pyarrow', 'pooch', 'requests', 'gensim', 'torch', 'numpy'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "set()\n"
