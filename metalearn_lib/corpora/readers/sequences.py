"""Formats of annotated tokens: labelled XML, columns, CoNLL-U with roles, published episodes, named pairs.   Chapter 10

Texts have their tokens a space apart. The class of a text is where it comes from, the annotation what is marked in it.
"""

from __future__ import annotations

import csv
import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from metalearn_lib.corpora.annotations import Annotation, PredicateRoles, Relation, Span
from metalearn_lib.corpora.bio import OUTSIDE, chunks, joined, word_places
from metalearn_lib.corpora.catalog import CatalogEntry, CorpusError

Fields = dict[str, list[Any]]
Paths = Mapping[str, Path]
Task = tuple[tuple[int, ...], tuple[int, ...]]  # places of the support and of the query sentences


def parsed_strings(entry: CatalogEntry, paths: Paths) -> Fields:
    """Strings whose tokens are XML elements, `<Name><Surname>Rice</Surname></Name>`: neighbours alike are one span.

    The members name the file of each class in the source archive, of which nothing else is read.
    """
    fields: Fields = {"texts": [], "labels": [], "annotations": []}
    for kind, member in entry.members.items():
        try:
            strings = list(ElementTree.fromstring(_opened(paths, member)))
        except ElementTree.ParseError as error:
            raise CorpusError(
                f"{entry.name!r}: {member} is not well-formed XML: {error}; mend or leave it out"
            ) from None
        for number, string in enumerate(strings, 1):
            with_tags = [(word, part.tag) for part in string for word in "".join(part.itertext()).split()]
            if loose := [text for text in (string.text, *(part.tail for part in string)) if (text or "").strip()]:
                raise CorpusError(f"{entry.name!r}: {member}, string {number}: {loose[0]!r} stands in no element")
            tags = [
                f"{'I' if place else 'B'}-{tag}"
                for tag, run in groupby(tag for _, tag in with_tags)
                for place, _ in enumerate(run)
            ]
            _add(fields, kind, [word for word, _ in with_tags], tags, f"{entry.name!r}: {member}, string {number}")
    return fields


def columns(entry: CatalogEntry, paths: Paths) -> Fields:
    """Lines of tab-separated columns, the token first and its BIO tag last; an empty line ends a sentence."""
    fields: Fields = {"texts": [], "labels": [], "annotations": []}
    for kind, member in entry.members.items():
        for first, lines in _blocks(_opened(paths, member).decode("utf-8")):
            rows = [line.split("\t") for line in lines]
            place = f"{entry.name!r}: {member}, line {first}"
            _add(fields, kind, [row[0] for row in rows], [row[-1] for row in rows], place)
    return fields


def conllu(entry: CatalogEntry, paths: Paths) -> Fields:
    """CoNLL-U files, as `conllu_text` reads them; the member "layer" says what is annotated. A genre is a class."""
    fields: Fields = {"texts": [], "labels": [], "annotations": []}
    for path, place in sorted(paths.items()):
        for sentence in conllu_text(place.read_text("utf-8"), entry.member("layer"), path):
            fields["texts"].append(sentence.text)
            fields["labels"].append(sentence.origin.split("-")[0] or Path(path).stem)
            fields["annotations"].append(sentence.annotation)
    return fields


@dataclass(frozen=True)
class Sentence:
    """A sentence of a CoNLL-U file: its words a space apart, what is annotated, and its `sent_id`."""

    text: str
    annotation: Annotation
    origin: str


def conllu_text(text: str, layer: str, place: str) -> Iterator[Sentence]:
    """The sentences of a CoNLL-U text, with one layer of what it annotates.

    `layer`: "roles", the predicates and arguments in the columns after the tenth (Universal PropBank); "upos", "xpos",
    "deprel" or "lemma", one span a word; otherwise an attribute of the tenth column that holds BIO tags ("NER").
    The words are the syntactic ones: the line of a multi-word token ("1-2 don't") and empty nodes ("8.1") are passed
    over. `place` stands in the messages. Raises `CorpusError`, naming the line, for what is no CoNLL-U.
    """
    for first, lines in _blocks(text):
        origin = next((line.partition("=")[2].strip() for line in lines if re.match(r"#\s*sent_id\s*=", line)), "")
        rows: list[list[str]] = []
        for number, line in enumerate(lines, first):
            cells = line.split("\t")
            if line.startswith("#") or re.fullmatch(r"\d+[-.]\d+", cells[0]):
                continue
            if len(cells) < 10 or cells[0] != str(len(rows) + 1):
                raise CorpusError(
                    f"{place}, line {number}: not a line of CoNLL-U: ten columns or more, separated by tabs, the first "
                    f"the number {len(rows) + 1}; found {line[:40]!r}"
                )
            rows.append(cells)
        if not rows:
            raise CorpusError(f"{place}, line {first}: a sentence without a word; take it out")
        words = [re.sub(r"\s+", "_", cells[1].strip()) for cells in rows]  # CoNLL-U allows "10 000" as one word
        at = [Span(start, end) for start, end in word_places(" ".join(words))]
        yield Sentence(" ".join(words), _layer(layer, rows, at, f"{place}, line {first}"), origin)


def _layer(layer: str, rows: Sequence[Sequence[str]], at: Sequence[Span], place: str) -> Annotation:
    if layer == "roles":
        return _roles(rows, at, place)
    one_a_word = {"lemma": 2, "upos": 3, "xpos": 4, "deprel": 7}
    if layer in one_a_word:
        return tuple(Span(s.start, s.end, cells[one_a_word[layer]]) for s, cells in zip(at, rows, strict=True))
    tags = [dict(part.partition("=")[::2] for part in cells[9].split("|")).get(layer, OUTSIDE) for cells in rows]  # type: ignore[misc]
    try:
        return tuple(Span(at[start].start, at[end - 1].end, kind) for start, end, kind in chunks(tags))
    except CorpusError as error:
        raise CorpusError(f"{place}: {layer}={error}") from None


def _roles(rows: Sequence[Sequence[str]], at: Sequence[Span], place: str) -> tuple[PredicateRoles, ...]:
    """The predicates (their senses stand in column 11) and, a column each, their arguments' heads."""
    senses = [
        (number, cells[10]) for number, cells in enumerate(rows) if len(cells) > 10 and cells[10] not in ("_", "")
    ]
    found = []
    for column, (number, sense) in enumerate(senses, 11):
        if any(len(cells) <= column for cells in rows):
            raise CorpusError(f"{place}: {len(senses)} predicates, but no column of roles for {sense!r}")
        arguments = tuple(
            Span(s.start, s.end, cells[column])
            for s, cells in zip(at, rows, strict=True)
            if cells[column] not in ("_", "", "V")
        )
        found.append(PredicateRoles(Span(at[number].start, at[number].end, sense), arguments))
    return tuple(found)


def episodes(entry: CatalogEntry, paths: Paths) -> tuple[Fields, dict[tuple[str, int], list[Task]]]:
    """Published few-shot episodes, `shot_K…json`: `{domain: [{"support": {"seq_ins", "seq_outs"}, "batch": …}]}`.

    Returns each different sentence once, its domain as its class, and by (domain, K) the places of the support and
    query sentences of each episode.
    """
    fields: Fields = {"texts": [], "labels": [], "annotations": []}
    number: dict[tuple[str, ...], int] = {}
    tasks: dict[tuple[str, int], list[Task]] = {}
    for path, place in sorted(paths.items()):
        shots = int(re.search(r"shot_(\d+)", path)[1])  # type: ignore[index]
        for domain, published in json.loads(place.read_text("utf-8")).items():
            for count, episode in enumerate(published):
                parts = []
                for part in (episode["support"], episode["batch"]):
                    sentences = list(zip(part["seq_ins"], part["seq_outs"], strict=True))
                    for tokens, tags in sentences:
                        if (domain, *tokens, *tags) not in number:
                            number[domain, *tokens, *tags] = len(number)
                            _add(fields, domain, tokens, tags, f"{entry.name!r}: {path}, episode {count}")
                    parts.append(tuple(number[domain, *tokens, *tags] for tokens, tags in sentences))
                tasks.setdefault((domain, shots), []).append((parts[0], parts[1]))
    return fields, tasks


def named_pairs(entry: CatalogEntry, paths: Paths) -> Fields:
    """A table `relation, head, tail, text`, tab-separated, in which both names stand once in the text."""
    fields: Fields = {"texts": [], "labels": [], "annotations": []}
    for path, place in paths.items():
        table = csv.DictReader(
            io.StringIO(place.read_text("utf-8"), newline=""), delimiter="\t", quoting=csv.QUOTE_NONE
        )
        for row in table:
            spans = []
            for name in (row["head"], row["tail"]):
                if row["text"].count(name) != 1:
                    raise CorpusError(
                        f"{entry.name!r}: {path}, line {table.line_num}: {name!r} stands {row['text'].count(name)} "
                        "times in the text; once is needed"
                    )
                spans.append(Span(row["text"].index(name), row["text"].index(name) + len(name), name))
            fields["texts"].append(row["text"])
            fields["labels"].append(row["relation"])
            fields["annotations"].append(Relation(spans[0], spans[1], row["relation"]))
    return fields


def _opened(paths: Paths, member: str) -> bytes:
    """A file of the source, or a member of the tar that is its only file."""
    if member in paths:
        return paths[member].read_bytes()
    with tarfile.open(next(iter(paths.values()))) as archive:
        file = archive.extractfile(member)
        assert file is not None  # a folder
        return file.read()


def _blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """Lines between empty lines, and the number of the first."""
    lines = [line.rstrip("\r") for line in text.removeprefix("\ufeff").split("\n")]
    for empty, block in groupby(enumerate(lines, 1), lambda line: not line[1].strip()):
        if not empty:
            numbered = list(block)
            yield numbered[0][0], [line for _, line in numbered]


def _add(fields: Fields, label: str, tokens: Sequence[str], tags: Sequence[str], place: str) -> None:
    try:
        text, spans = joined(tokens, tags)
    except CorpusError as error:
        raise CorpusError(f"{place}: {error}") from None
    fields["texts"].append(text)
    fields["labels"].append(label)
    fields["annotations"].append(spans)
