"""Annotated texts: what the readers accept and refuse, and what the real corpora hold."""

from __future__ import annotations

import json
import os
import re
import statistics
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metalearn_lib import corpora
from metalearn_lib.corpora import Corpus, CorpusError, Details, PredicateRoles, Relation, Span, annotated, catalog
from metalearn_lib.corpora.bio import chunks, joined, tagged
from metalearn_lib.corpora.readers import sequences
from metalearn_lib.episodes import guards
from metalearn_lib.files import root

fetch = sys.modules["metalearn_lib.corpora.fetch"]  # the package's `fetch` is the function

# texts, classes, smallest and largest class, median words, texts that occur more than once
SIZES = {
    "course_relations": (490, 16, 30, 32, 14, 0),
    "usaddress": (1_513, 1, 1_513, 1_513, 7, 22),
    "probablepeople": (4_281, 2, 1_383, 2_898, 2, 1_397),
    "hironsan": (500, 1, 500, 500, 28, 1),
    "snips_episodes": (12_357, 7, 1_682, 1_867, 9, 1),
    "up_ewt": (4_079, 5, 445, 1_130, 9, 101),
    "ud_ewt": (4_078, 5, 445, 1_129, 9, 101),
}
MIRRORED = [name for name in SIZES if catalog.describe(name).kind == "https"]


@pytest.fixture(scope="module")
def load():
    kept = {}

    def loaded(name):
        sources, mirror = corpora.describe(name).sources, os.environ.get("METALEARN_MIRROR")
        mirrored = mirror and all(Path(mirror, s.name, file.path).is_file() for s in sources for file in s.files)
        if not corpora.is_present(name) and not mirrored:
            pytest.skip(f"{name} is neither in the cache nor in METALEARN_MIRROR={mirror}; metalearn data fetch {name}")
        if name not in kept:
            episodes = corpora.describe(name).content == "published episodes"
            kept[name] = annotated.published_episodes(name) if episodes else annotated.load(name)
        return kept[name]

    return loaded


# BIO


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("", []),
        ("O O", []),
        ("B-a I-a B-a", [(0, 2, "a"), (2, 3, "a")]),
        ("B-a I-b I-b", [(0, 1, "a"), (1, 3, "b")]),
        ("I-a O I-a", [(0, 1, "a"), (2, 3, "a")]),
        ("B-a-b I-a-b", [(0, 2, "a-b")]),
    ],
)
def test_what_tags_mark(tags, found):
    assert chunks(tags.split()) == found


@pytest.mark.parametrize("tag", ["B", "I-", "E-a", "", "city"])
def test_what_is_no_tag_is_refused(tag):
    with pytest.raises(CorpusError, match="is no BIO tag"):
        chunks(["O", tag])


TAGS = st.lists(st.sampled_from(["O", "B-a", "I-a", "B-b", "I-b"]), min_size=1, max_size=12)
WORD = st.text("abé日", min_size=1, max_size=4)


@given(TAGS, st.data())
def test_tags_become_spans_and_spans_tags(tags, data):
    tokens = data.draw(st.lists(WORD, min_size=len(tags), max_size=len(tags)))
    text, spans = joined(tokens, tags)
    again, tags_again = tagged(text, spans)
    assert again == tokens and chunks(tags_again) == chunks(tags)
    assert joined(again, tags_again) == (text, spans)
    assert all(prefix != "I" or i for i, prefix in enumerate(tag[0] for tag in tags_again))


@pytest.mark.parametrize(
    ("tokens", "tags", "message"),
    [
        ([], [], "a sentence without a token"),
        (["\u3000", " "], ["O", "O"], "a sentence without a token"),
        (["New York"], ["B-a"], "white space inside the token 'New York'"),
        (["a", "b"], ["O"], "1 tags for 2 tokens"),
    ],
)
def test_tokens_that_make_no_text_are_refused(tokens, tags, message):
    with pytest.raises(CorpusError, match=message):
        joined(tokens, tags)


def test_tokens_of_white_space_are_left_out():
    assert joined(["a", "\u3000", "b"], ["B-x", "I-x", "I-x"]) == ("a b", (Span(0, 3, "x"),))


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([Span(0, 2, "a"), Span(0, 7, "b")], "overlaps another span"),
        ([Span(3, 5, "a")], "begins or ends inside a token"),
        ([Span(4, 6, "a")], "begins or ends inside a token"),
        ([Span(3, 9, "a")], "ends outside the text"),
    ],
)
def test_spans_that_no_tags_can_mark_are_refused(spans, message):
    with pytest.raises(CorpusError, match=message):
        tagged("in Bern", spans)


# readers


def entry(name="mine", **changes):
    return catalog.CatalogEntry(
        name=name, title="T", licence="L", citation="C", sources=(), content="annotated", **changes
    )


@pytest.fixture
def write(tmp_path):
    def written(content, name="mine.txt"):
        (tmp_path / name).write_text(content, "utf-8")
        return {name: tmp_path / name}

    return written


def read_xml(write, xml):
    return sequences.parsed_strings(entry(members={"person": "mine.txt"}), write(xml))


def test_labelled_xml(write):
    fields = read_xml(
        write, "<c>\n <n><Given>Ann</Given> <Sur>de</Sur> <Sur>Wit,</Sur>\n</n> <n><Sur>A &amp; B</Sur></n></c>"
    )
    assert fields["texts"] == ["Ann de Wit,", "A & B"] and fields["labels"] == ["person"] * 2
    assert fields["annotations"] == [(Span(0, 3, "Given"), Span(4, 11, "Sur")), (Span(0, 5, "Sur"),)]


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("<c><n><Sur>Wit</n></c>", r"'mine': mine.txt is not well-formed XML: mismatched tag: line 1"),
        ("", "not well-formed XML: no element found"),
        ("<c><n><Sur>Wit</Sur> Jr.</n></c>", "string 1: ' Jr.' stands in no element"),
        ("<c><n><Sur>Wit</Sur></n><n/></c>", "string 2: a sentence without a token"),
    ],
)
def test_xml_that_says_something_else_is_refused(write, xml, message):
    with pytest.raises(CorpusError, match=message):
        read_xml(write, xml)


def test_columns(write):
    lines = "New\tN\tB-LOC\r\nYork\tN\tI-LOC\r\n\r\n\u3000\tS\tO\nwas\tV\tO\n"
    fields = sequences.columns(entry(members={"news": "mine.txt"}), write(lines))
    assert fields["texts"] == ["New York", "was"] and fields["annotations"] == [(Span(0, 8, "LOC"),), ()]
    with pytest.raises(CorpusError, match=r"'mine': mine.txt, line 3: 'N' is no BIO tag"):
        sequences.columns(entry(members={"news": "mine.txt"}), write("a\tO\n\nb\tN\n"))


def word(number, form, *, misc="_", roles=()):
    return "\t".join([str(number), form, "l", "NOUN", "NN", "_", "0", "root", "_", misc, *roles])


CONLLU = "\n".join(
    [
        "# sent_id = weblog-1", "# text = I don't wait",
        word(1, "I", roles=("_", "ARG0"), misc="NER=B-PER"), word("2-3", "don't"), word(2, "do", roles=("_", "_")),
        word(3, "n't", roles=("_", "ARGM-NEG")), word("3.1", "have", roles=("have.01", "_")),
        word(4, "wait", roles=("wait.01", "V")), "", "",
        "# sent_id = weblog-2", word(1, "10 000", roles=("",)), "",
    ]
)  # fmt: skip


def test_conllu_without_multi_word_tokens_and_empty_nodes(write):
    corpus = annotated.from_conllu(write(CONLLU)["mine.txt"])
    assert (corpus.texts, corpus.labels, corpus.name) == (["I do n't wait", "10_000"], ["mine", "mine"], "mine")
    predicate = PredicateRoles(Span(9, 13, "wait.01"), (Span(0, 1, "ARG0"), Span(5, 8, "ARGM-NEG")))
    assert corpus.annotations == [(predicate,), ()]


def test_other_layers_of_conllu(write):
    path = write("\ufeff" + CONLLU.replace("\n", "\r\n"))["mine.txt"]
    words = annotated.from_conllu(path, layer="upos", name="x")
    assert words.annotations[0][1] == Span(2, 4, "NOUN") and len(words.annotations[0]) == 4 and words.name == "x"
    assert annotated.from_conllu(path, layer="NER").annotations == [(Span(0, 1, "PER"),), ()]


def test_conllu_of_the_catalog_has_genres_as_classes(write):
    fields = sequences.conllu(entry(members={"layer": "upos"}), write(CONLLU))
    assert fields["labels"] == ["weblog", "weblog"]


@pytest.mark.parametrize(
    ("text", "layer", "message"),
    [
        ("", "roles", "no sentence is in it"),
        (word(1, "a"), "roles", "nothing is marked in its layer 'roles'"),
        (word(1, "a"), "NERR", "nothing is marked in its layer 'NERR'"),
        ("# only a comment\n\n" + word(1, "a"), "upos", "line 1: a sentence without a word"),
        ("1 a NOUN", "upos", "line 1: not a line of CoNLL-U: ten columns"),
        (word(1, "a") + "\n" + word(3, "b"), "upos", "line 2: not a line of CoNLL-U.*the number 2"),
        (word(1, "a", roles=("a.01",)), "roles", "1 predicates, but no column of roles for 'a.01'"),
        (word(1, "a", misc="NER=PER"), "NER", "line 1: NER='PER' is no BIO tag"),
    ],
)
def test_what_is_no_conllu_is_explained(write, text, layer, message):
    with pytest.raises(CorpusError, match=message):
        annotated.from_conllu(write(text)["mine.txt"], layer=layer)


def test_a_conllu_that_is_not_there(tmp_path):
    with pytest.raises(CorpusError, match="does not exist"):
        annotated.from_conllu(tmp_path / "none.conllu")


def test_published_episodes(write):
    def part(*sentences):
        tokens, tags = zip(*(pair.split("|") for pair in sentences), strict=True)
        return {"seq_ins": [t.split() for t in tokens], "seq_outs": [t.split() for t in tags]}

    one, two, same_words = "to bern|O B-city", "now|B-time", "to bern|O O"
    files = {"Go": [{"support": part(one, two), "batch": part(same_words)}, {"support": part(two), "batch": part(one)}]}
    fields, tasks = sequences.episodes(entry(), write(json.dumps(files), "shot_5_out_1.json"))
    assert fields["texts"] == ["to bern", "now", "to bern"] and fields["labels"] == ["Go"] * 3
    assert tasks == {("Go", 5): [((0, 1), (2,)), ((1,), (0,))]}
    files["Go"][0]["support"]["seq_outs"][0] = ["O"]
    with pytest.raises(CorpusError, match=r"'mine': shot_1_out_1.json, episode 0: 1 tags for 2 tokens"):
        sequences.episodes(entry(), write(json.dumps(files), "shot_1_out_1.json"))


def test_named_pairs(write):
    table = 'relation\thead\ttail\ttext\nchild\tAnn\tBo\t"No," Bo told Ann.\n'
    fields = sequences.named_pairs(entry(), write(table))
    assert fields["annotations"] == [Relation(Span(14, 17, "Ann"), Span(6, 8, "Bo"), "child")]
    with pytest.raises(CorpusError, match=r"'mine': mine.txt, line 3: 'Bo' stands 2 times in the text"):
        sequences.named_pairs(entry(), write(table + "child\tAnn\tBo\tBo is Ann's Bo.\n"))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: annotated.load("glove"), r"'glove' is not annotated but vectors; use corpora\.glove\(\)"),
        (lambda: annotated.load("snips_episodes"), r"use corpora\.annotated\.published_episodes\('snips_episodes'\)"),
        (lambda: corpora.load("usaddress"), r"use corpora\.annotated\.load\('usaddress'\)"),
        (lambda: annotated.load("usaddress", layer="upos"), r"layer='upos'\): it has no layers"),
        (lambda: annotated.load("address"), "no corpus is called 'address'"),
    ],
)
def test_the_wrong_verb_names_the_right_one(call, message):
    with pytest.raises(CorpusError, match=message):
        call()


@pytest.mark.parametrize("annotation", [None, [Details({"year": "1990"})]])
def test_a_corpus_without_marks_is_for_the_other_verb(monkeypatch, annotation):
    monkeypatch.setattr(annotated, "load_labelled", lambda name: Corpus(name, ["a"], ["b"], annotations=annotation))
    with pytest.raises(CorpusError, match=r"nothing is marked in the texts of 'tales'; use corpora.load\('tales'\)"):
        annotated.load("tales")


def test_a_file_of_the_course_that_was_changed_is_restored_by_git(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "root", lambda: tmp_path)
    said = r"relations.tsv is missing .*; it belongs to the course; restore it with: git checkout -- data/relations.tsv"
    for verb in (annotated.load, corpora.fetch):
        with pytest.raises(CorpusError, match=said):
            verb("course_relations")


# the real corpora


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.mirror) if n in MIRRORED else n for n in SIZES])
def test_sizes_are_those_of_the_data_cards(load, name):
    corpus = load(name).corpus if name == "snips_episodes" else load(name)
    counts, words = corpus.counts(), statistics.median(len(text.split()) for text in corpus.texts)
    measured = (len(corpus), len(counts), min(counts.values()), max(counts.values()), words)
    assert (*measured, guards.repeated_texts(corpus).count) == SIZES[name]
    assert corpus.licence and corpus.citation and corpus.name == name
    row = next(
        r for r in (root() / "data" / "README.md").read_text("utf-8").splitlines() if r.startswith(f"| `{name}`")
    )
    for number in (*SIZES[name][:4], SIZES[name][5]):
        assert f" {number:,}" in row, f"{name}: {number:,} is not in its row"


def test_addresses_and_names(load):
    addresses, people = load("usaddress"), load("probablepeople")
    assert addresses.texts[0] == "8128 S. DR MARTIN LUTHER KING JR Drive"
    assert [span.cut(addresses.texts[0]) for span in addresses.annotations[0]] == [
        "8128", "S.", "DR MARTIN LUTHER KING JR", "Drive",
    ]  # fmt: skip
    assert len({span.label for spans in addresses.annotations for span in spans}) == 29
    for kind, types in (("person", 12), ("company", 11)):
        part = people.only(kind)
        assert len({span.label for spans in part.annotations for span in spans}) == types
        assert all(" ".join(tagged(t, spans)[0]) == t for t, spans in zip(part.texts, part.annotations, strict=True))


def test_japanese_names(load):
    corpus = load("hironsan")
    counts = Counter(span.label for spans in corpus.annotations for span in spans)
    assert counts == {"LOC": 398, "DAT": 272, "ORG": 251, "PSN": 162, "ART": 122, "TIM": 57, "PER": 13, "MON": 9}


@pytest.mark.mirror
def test_the_published_episodes_are_minimum_including(load):
    published = load("snips_episodes")
    assert {key: len(tasks) for key, tasks in published.tasks.items()} == {
        (domain, shots): 100 for domain in published.corpus.classes for shots in (1, 5)
    }
    for (domain, shots), tasks in published.tasks.items():
        for support, query in tasks[:20]:
            sentences = [published.corpus.annotations[i] for i in support]
            counts = Counter(span.label for spans in sentences for span in spans)
            assert min(counts.values()) >= shots and len(query) == (20 if shots == 1 else 10)
            assert {published.corpus.labels[i] for i in (*support, *query)} == {domain}


@pytest.mark.mirror
def test_predicates_and_their_arguments(load):
    corpus = load("up_ewt")
    assert len([predicate for roles in corpus.annotations for predicate in roles]) == 9_776
    roles = Counter(a.label for annotation in corpus.annotations for p in annotation for a in p.arguments)
    assert (roles["ARG1"], roles["ARG0"], roles["ARG2"]) == (6_566, 3_466, 2_341)
    assert annotated.load("up_ewt", layer="upos").texts == corpus.texts
    tags = {span.label for annotation in load("ud_ewt").annotations for span in annotation}
    assert len(tags) == 17 and {"NOUN", "PUNCT"} < tags


# the relations of this course


def words_of(text):
    return set(re.findall(r"\w+", text.lower()))


def nearest_overlap(sentences, *, of_own):
    """The largest share of words that a sentence has in common with another one of its relation."""
    return max(
        len(one & other) / len(one if of_own else one | other)
        for same in sentences.values()
        for place, one in enumerate(same)
        for other in (*same[:place], *same[place + 1 :])
    )


def test_the_courses_relations_are_no_templates(load):
    corpus = load("course_relations")
    whole, without_names = {}, {}
    for text, relation, label in zip(corpus.texts, corpus.annotations, corpus.labels, strict=True):
        rest = text.replace(relation.head.label, " ").replace(relation.tail.label, " ")
        whole.setdefault(label, []).append(words_of(text))
        without_names.setdefault(label, []).append(words_of(rest))
    assert len(whole) >= 16 and min(map(len, whole.values())) >= 30
    assert nearest_overlap(whole, of_own=True) <= 0.5
    assert nearest_overlap(without_names, of_own=False) <= 0.5


def test_names_of_the_courses_relations_stand_under_two_of_them(load):
    corpus = load("course_relations")
    pairs = {}
    for relation in corpus.annotations:
        pairs.setdefault((relation.head.label, relation.tail.label), []).append(relation.label)
    assert all(len(set(labels)) == len(labels) == 2 for labels in pairs.values())
