"""Formats whose texts hold marked stretches: slots of a request, the two entities of a relation.   Chapter 10"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

from metalearn_lib.corpora.annotations import Relation, Span
from metalearn_lib.corpora.catalog import CatalogEntry

Fields = dict[str, list[Any]]


def slots(entry: CatalogEntry, paths: Mapping[str, Path]) -> Fields:
    """Intents with slots: `{intent: [{"data": pieces}]}`; a piece with an "entity" becomes a span of its text.

    Files whose name begins with "train" are the official training part, the others the test part.
    """
    fields: Fields = {"texts": [], "labels": [], "annotations": [], "official": []}
    for path, place in sorted(paths.items()):
        part = "train" if Path(path).name.startswith("train") else "test"
        for intent, queries in json.loads(decode_surrogates(place.read_bytes())).items():
            for query in queries:
                pieces = [piece["text"] for piece in query["data"]]
                ends = list(accumulate(map(len, pieces)))
                fields["texts"].append("".join(pieces))
                fields["labels"].append(intent)
                fields["official"].append(part)
                fields["annotations"].append(
                    tuple(
                        Span(end - len(piece["text"]), end, piece["entity"])
                        for piece, end in zip(query["data"], ends, strict=True)
                        if piece.get("entity")
                    )
                )
    return fields


def relations(entry: CatalogEntry, paths: Mapping[str, Path]) -> Fields:
    """Relations between two marked entities: `{relation: [{"tokens", "h", "t"}]}`, one file for each domain.

    The members of the entry name the file of each domain, and under "names" one that maps relations to
    readable names, `{relation: [name, description]}`.
    """
    readable = {r: name for r, (name, _) in json.loads(paths[entry.member("names")].read_text("utf-8")).items()}
    fields: Fields = {"texts": [], "labels": [], "domains": [], "annotations": []}
    for domain, file in entry.members.items():
        if domain == "names":
            continue
        for relation, examples in json.loads(paths[file].read_text("utf-8")).items():
            for example in examples:
                fields["texts"].append(" ".join(example["tokens"]))
                fields["labels"].append(readable.get(relation, relation.replace("_", " ")))
                fields["domains"].append(domain)
                fields["annotations"].append(_relation(example, relation))
    return fields


def _relation(example: dict[str, Any], label: str) -> Relation:
    starts = list(accumulate((len(token) + 1 for token in example["tokens"]), initial=0))  # tokens stand a space apart
    heads, tails = (
        [Span(starts[tokens[0]], starts[tokens[-1] + 1] - 1, identifier) for tokens in mentions]
        for _, identifier, mentions in (example["h"], example["t"])
    )
    return Relation(heads[0], tails[0], label, (*heads[1:], *tails[1:]))


def decode_surrogates(raw: bytes) -> str:
    """UTF-8 in which characters beyond U+FFFF are written as two surrogates, as some SNIPS files do (CESU-8).

    >>> decode_surrogates(b"pop punk \\xed\\xa0\\xbc\\xed\\xbd\\x95") == "pop punk \\N{SLICE OF PIZZA}"
    True
    """
    return raw.decode("utf-8", "surrogatepass").encode("utf-16", "surrogatepass").decode("utf-16")
