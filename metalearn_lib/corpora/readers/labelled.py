"""One reader per published format: from checked files to texts, labels and what else a corpus has."""

from __future__ import annotations

import bz2
import csv
import html
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .catalog import CatalogEntry
from .corpus import Corpus
from .splits import PARTS, Split

Paths = Mapping[str, Path]
_MOVIE_MIN = 5  # reviews of either verdict that a film needs to serve as a task
_NEWS46_MIN, _NEWS46_WORDS = 25, 120


def read(entry: CatalogEntry, paths: Paths) -> Corpus:
    """The corpus of a catalog entry from its checked files (path in the catalog → path on disk)."""
    fields = _READERS[entry.name](entry, paths)
    return Corpus(
        name=entry.name,
        **({"published": entry.published, "split_sizes": entry.split_sizes} | fields),
        licence=entry.licence,
        citation=entry.citation,
    )


def news46(newsgroups: Corpus, reuters: Corpus, entry: CatalogEntry) -> Corpus:
    """The 20 newsgroups and Reuters' 26 topics of at least 25 stories, cut to their first 120 words."""
    reuters = reuters.min_size(_NEWS46_MIN)
    return Corpus(
        name=entry.name,
        texts=[*newsgroups.texts, *reuters.texts],
        labels=[*newsgroups.labels, *reuters.labels],
        domains=["newsgroups"] * len(newsgroups) + ["reuters"] * len(reuters),
        official=[*(newsgroups.official or ()), *(reuters.official or ())],
        split_sizes=entry.split_sizes,
        licence=entry.licence,
        citation=entry.citation,
    ).truncated(_NEWS46_WORDS)


def _by_date(entry: CatalogEntry, paths: Paths) -> dict[str, Any]:
    """20 Newsgroups and Reuters: one table for each part of the corpus' own split by date."""
    texts, labels, official = [], [], []
    for part, (_, rows) in _orange_tables(entry, paths).items():
        for label, text in rows:
            labels.append(label)
            texts.append(text)
            official.append(part)
    return {"texts": texts, "labels": labels, "official": official}


def _tales(entry: CatalogEntry, paths: Paths) -> dict[str, Any]:
    """Grimm tales labelled by type of tale, book excerpts by their readers; the domain is the source."""
    tables = _orange_tables(entry, paths)
    header, rows = tables["grimm"]
    columns = [header.index(name) for name in ("ATU Topic", "Title", "Content", "ATU Numerical", "ATU Type")]
    tales = [[row[column] for column in columns] for row in rows]
    excerpts = tables["excerpts"][1]
    return {
        "texts": [tale[2] for tale in tales] + [text for _, text in excerpts],
        "labels": [tale[0] for tale in tales] + [label for label, _ in excerpts],
        "domains": ["grimm"] * len(tales) + ["excerpts"] * len(excerpts),
        "annotations": [{"title": t[1], "atu_number": t[3].removesuffix(".0"), "atu_type": t[4]} for t in tales]
        + [{} for _ in excerpts],
    }


def _orange_tables(entry: CatalogEntry, paths: Paths) -> dict[str, tuple[list[str], list[list[str]]]]:
    """Orange's tables: names, types and roles in three lines, a blank one, then tab-separated rows."""
    tables = {}
    with zipfile.ZipFile(next(iter(paths.values()))) as archive:
        for part, member in entry.members.items():
            lines = archive.read(member).decode("utf-8").replace("\r\n", "\n").split("\n")
            rows = [[_unquoted(cell) for cell in line.split("\t")] for line in lines[3:] if line.strip()]
            tables[part] = (lines[0].split("\t"), rows)
    return tables


def _unquoted(cell: str) -> str:
    quoted = len(cell) > 1 and cell[0] == cell[-1] == '"'
    return cell[1:-1].replace('""', '"') if quoted else cell


def _sentiment_domains(entry: CatalogEntry, paths: Paths) -> dict[str, Any]:
    """Hutto and Gilbert's snippets: the label is the sign of the mean rating; those rated exactly 0 go."""
    texts: list[str] = []
    ratings: list[float] = []
    domains: list[str] = []
    with tarfile.open(next(iter(paths.values()))) as outer:
        nested = io.BytesIO(_member(outer, entry.members["nested"]))
    with tarfile.open(fileobj=nested) as inner:
        for domain, member in entry.members.items():
            if domain == "nested":
                continue
            for line in _member(inner, member).decode("utf-8").split("\n"):
                _, rating, text = line.rstrip("\r").split("\t", 2) if line.strip() else ("", "0", "")
                if float(rating):
                    texts.append(html.unescape(html.unescape(text)))  # the editorials are escaped twice
                    ratings.append(float(rating))
                    domains.append(domain)
    labels = ["positive" if rating > 0 else "negative" for rating in ratings]
    return {"texts": texts, "labels": labels, "domains": domains, "ratings": ratings}


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    stream = archive.extractfile(name)
    assert stream is not None, f"{name} is not a plain file"  # the archive's hash was checked
    return stream.read()


def _movie_sentiment(entry: CatalogEntry, paths: Paths) -> dict[str, Any]:
    """Critics' sentences on films with at least five fresh and five rotten ones, without plot summaries."""
    with zipfile.ZipFile(next(iter(paths.values()))) as archive:
        table = bz2.decompress(archive.read(entry.members["reviews"])).decode("utf-8")
    verdicts = {"fresh": "positive", "rotten": "negative"}
    rows = [row for row in csv.DictReader(io.StringIO(table, newline="")) if row["category"] in verdicts]
    everything = Corpus(
        name=entry.name,
        texts=[row["text"] for row in rows],
        labels=[verdicts[row["category"]] for row in rows],
        domains=[row["movie_name"] for row in rows],
    ).min_domain(_MOVIE_MIN)
    return {"texts": everything.texts, "labels": everything.labels, "domains": everything.domains}


def _intents(entry: CatalogEntry, paths: Paths) -> dict[str, Any]:
    """Intent corpora as ProtAugment publishes them: full.jsonl and five class-disjoint splits."""
    rows = [json.loads(line) for line in paths["full.jsonl"].read_text("utf-8").split("\n") if line.strip()]
    published: dict[str, Split] = {}
    for path, place in sorted(paths.items()):
        if path.startswith("splits/"):
            lines = place.read_text("utf-8").split("\n")
            part = path.split(".")[-2]
            published.setdefault(path.split("/")[1], {})[part] = [x.strip() for x in lines if x.strip()]
    return {
        "texts": [row["sentence"] for row in rows],
        "labels": [row["label"] for row in rows],
        "published": {number: {part: split[part] for part in PARTS} for number, split in published.items()},
    }


def _fewrel(entry: CatalogEntry, paths: Paths) -> dict[str, Any]:
    """Relations between two marked entities; spans are half-open token ranges, one list per entity."""
    readable = {pid: name for pid, (name, _) in json.loads(paths["pid2name.json"].read_text("utf-8")).items()}
    fields: dict[str, list[Any]] = {"texts": [], "labels": [], "domains": [], "annotations": []}
    for domain in ("wiki", "nyt", "pubmed"):
        relations = json.loads(paths[f"val_{domain}.json"].read_text("utf-8"))
        for relation, examples in relations.items():
            for example in examples:
                fields["texts"].append(" ".join(example["tokens"]))
                fields["labels"].append(readable.get(relation, relation.replace("_", " ")))
                fields["domains"].append(domain)
                fields["annotations"].append(
                    {
                        "tokens": example["tokens"],
                        "head": _entity(example["h"]),
                        "tail": _entity(example["t"]),
                        "relation": relation,
                    }
                )
    return fields


def _entity(raw: list[Any]) -> dict[str, Any]:
    name, identifier, positions = raw
    return {"name": name, "id": identifier, "spans": [(place[0], place[-1] + 1) for place in positions]}


def _snips(entry: CatalogEntry, paths: Paths) -> dict[str, Any]:
    """Intents with slots: an annotation holds a query's pieces and half-open character spans of its slots."""
    fields: dict[str, list[Any]] = {"texts": [], "labels": [], "annotations": [], "official": []}
    for path, place in sorted(paths.items()):
        part = "train" if path.startswith("train") else "test"
        for intent, queries in json.loads(decode_surrogates(place.read_bytes())).items():
            for query in queries:
                text, pieces, slots = _query(query["data"])
                fields["texts"].append(text)
                fields["labels"].append(intent)
                fields["annotations"].append({"pieces": pieces, "slots": slots})
                fields["official"].append(part)
    return fields


def _query(data: list[dict[str, str]]) -> tuple[str, list[tuple[str, str]], list[tuple[int, int, str]]]:
    text, pieces, slots = "", [], []
    for piece in data:
        entity = piece.get("entity", "")
        pieces.append((piece["text"], entity))
        if entity:
            slots.append((len(text), len(text) + len(piece["text"]), entity))
        text += piece["text"]
    return text, pieces, slots


def decode_surrogates(raw: bytes) -> str:
    """UTF-8 in which characters beyond U+FFFF are written as two surrogates, as some SNIPS files do (CESU-8).

    >>> decode_surrogates(b"pop punk \\xed\\xa0\\xbc\\xed\\xbd\\x95") == "pop punk \\N{SLICE OF PIZZA}"
    True
    """
    return raw.decode("utf-8", "surrogatepass").encode("utf-16", "surrogatepass").decode("utf-16")


def word_pair_rows(path: Path) -> Iterator[tuple[str, str, float]]:
    """Lines `word word score`, tab-separated, with # comments, as gensim ships WordSim-353 and SimLex-999."""
    for line in path.read_text("utf-8").split("\n"):
        if line.strip() and not line.startswith("#"):
            first, second, score = line.split("\t")[:3]
            yield first, second, float(score)


_READERS: dict[str, Callable[[CatalogEntry, Paths], dict[str, Any]]] = {
    "newsgroups": _by_date,
    "reuters": _by_date,
    "tales": _tales,
    "sentiment_domains": _sentiment_domains,
    "movie_sentiment": _movie_sentiment,
    "clinc150": _intents,
    "banking77": _intents,
    "hwu64": _intents,
    "liu": _intents,
    "fewrel": _fewrel,
    "snips": _snips,
}
