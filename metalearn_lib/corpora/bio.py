"""One tag a token, and what the tags mark: BIO tags ↔ spans of characters.   Chapter 10

A tagged text is its tokens a space apart, so that every reader of it finds the same ones. "B-city" begins a span,
"I-city" continues it, "O" is outside (Ramshaw and Marcus, 1995).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .annotations import Span
from .catalog import CorpusError

OUTSIDE = "O"


def chunks(tags: Sequence[str]) -> list[tuple[int, int, str]]:
    """The spans that tags mark, as tokens (first, the one after the last, type).

    Any sequence can be read: an "I-x" after anything but "B-x" and "I-x" begins a span, as conlleval and seqeval have
    it. Raises `CorpusError` for what is no BIO tag.

    >>> chunks(["B-city", "I-city", "O", "I-date", "B-date"])
    [(0, 2, 'city'), (3, 4, 'date'), (4, 5, 'date')]
    """
    found: list[tuple[int, int, str]] = []
    before = ""
    for place, tag in enumerate(tags):
        prefix, _, kind = tag.partition("-")
        if tag != OUTSIDE and (prefix not in ("B", "I") or not kind):
            raise CorpusError(f"{tag!r} is no BIO tag; write 'O', 'B-type' or 'I-type'")
        if prefix == "I" and kind == before:
            found[-1] = (found[-1][0], place + 1, kind)
        elif tag != OUTSIDE:
            found.append((place, place + 1, kind))
        before = kind
    return found


def joined(tokens: Sequence[str], tags: Sequence[str]) -> tuple[str, tuple[Span, ...]]:
    """The text of tagged tokens and the spans of its characters; tokens of white space alone are left out.

    Raises `CorpusError` for no token, another number of tags, and white space inside a token.

    >>> joined(["to", "New", "York"], ["O", "B-city", "I-city"])
    ('to New York', (Span(start=3, end=11, label='city'),))
    """
    if len(tokens) != len(tags):
        raise CorpusError(f"{len(tags)} tags for {len(tokens)} tokens; give one a token")
    kept = [(token, tag) for token, tag in zip(tokens, tags, strict=True) if token.strip()]
    if not kept:
        raise CorpusError("a sentence without a token; leave it out")
    if split := [token for token, _ in kept if len(token.split()) != 1]:
        raise CorpusError(f"white space inside the token {split[0]!r}; tokens stand a space apart")
    words = [token for token, _ in kept]
    places = word_places(" ".join(words))
    spans = chunks([tag for _, tag in kept])
    return " ".join(words), tuple(Span(places[first][0], places[end - 1][1], kind) for first, end, kind in spans)


def word_places(text: str) -> list[tuple[int, int]]:
    """Where each word of a text begins and ends; white space separates words.

    >>> word_places("to  Bern")
    [(0, 2), (4, 8)]
    """
    return [word.span() for word in re.finditer(r"\S+", text)]


def tagged(text: str, spans: Sequence[Span]) -> tuple[list[str], list[str]]:
    """The tokens of a text (white space separates them) and their BIO tags: the inverse of `joined`.

    Raises `CorpusError` for spans that overlap, lie outside the text, or begin or end inside a token.

    >>> tagged("to New York", [Span(3, 11, "city")])
    (['to', 'New', 'York'], ['O', 'B-city', 'I-city'])
    """
    places = word_places(text)
    starts = {start: number for number, (start, _) in enumerate(places)}
    ends = {end: number for number, (_, end) in enumerate(places)}
    tags = [OUTSIDE] * len(places)
    for span in sorted(spans, key=lambda span: span.start):
        if span.start not in starts or span.end not in ends:
            why = "ends outside the text" if span.end > len(text) else "begins or ends inside a token"
            raise CorpusError(f"{span} {why}: {text[:60]!r}; a tag stands for a whole token")
        covered = range(starts[span.start], ends[span.end] + 1)
        if any(tags[number] != OUTSIDE for number in covered):
            raise CorpusError(f"{span} overlaps another span of {text[:60]!r}; BIO tags mark each token once")
        for number in covered:
            tags[number] = f"{'B' if number == covered[0] else 'I'}-{span.label}"
    return text.split(), tags
