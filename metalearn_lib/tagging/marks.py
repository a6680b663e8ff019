"""A place in a text, written into the text: what every encoder of texts can read, keep and whiten.   Chapter 10

A token in its sentence is a text, "to ⟦Bern⟧ tomorrow", and so are two entities, "⟪Turin⟫ lies on the ⟦Po⟧".
Baldini Soares et al. (2019), section 3.2: entity markers.
"""

from __future__ import annotations

from collections.abc import Sequence

from metalearn_lib.corpora import Span

OPEN, CLOSE = "⟦⟪", "⟧⟫"  # of the first mark and of the second


def mark(text: str, spans: Sequence[Span]) -> str:
    """The text with a pair of marks around each of one or two spans.

    Raises ValueError for another number of spans, one outside the text, and a text that holds such signs itself.

    >>> mark("Turin lies on the Po", [Span(18, 20), Span(0, 5)])
    '⟪Turin⟫ lies on the ⟦Po⟧'
    """
    if not 1 <= len(spans) <= len(OPEN):
        raise ValueError(f"mark: {len(spans)} spans; mark one or two places of a text")
    if any(sign in text for sign in OPEN + CLOSE):
        raise ValueError(f"mark: {text[:60]!r} holds one of the signs {OPEN + CLOSE} itself; replace it first")
    if outside := [span for span in spans if span.end > len(text)]:
        raise ValueError(f"mark: {outside[0]} ends outside its text of {len(text)} characters")
    signs = [(span.end, 0, -span.start, number, CLOSE[number]) for number, span in enumerate(spans)]
    signs += [(span.start, 1, -span.end, -number, OPEN[number]) for number, span in enumerate(spans)]
    for place, *_, sign in sorted(signs, reverse=True):
        text = text[:place] + sign + text[place:]
    return text


def unmark(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without its marks, and where each marked stretch begins and ends in it, the first mark first.

    Raises ValueError for a text without marks, or with a mark that is not closed.

    >>> unmark("⟪Turin⟫ lies on the ⟦Po⟧")
    ('Turin lies on the Po', [(18, 20), (0, 5)])
    """
    places: dict[str, int] = {}
    kept = ""
    for part in text:
        if part in OPEN or part in CLOSE:
            places[part] = len(kept)
        else:
            kept += part
    found = [(places.get(o, -1), places.get(c, -1)) for o, c in zip(OPEN, CLOSE, strict=True) if {o, c} & set(places)]
    if not found or OPEN[0] not in places or any(start < 0 or end <= start for start, end in found):
        raise ValueError(
            f"no place is marked in {text[:60]!r}; mark(text, spans) writes {OPEN[0]}…{CLOSE[0]} around one"
        )
    return kept, found


def marked(text: str) -> str:
    """What the first mark marks.

    >>> marked("to ⟦Bern⟧ tomorrow")
    'Bern'
    """
    plain, places = unmark(text)
    return plain[slice(*places[0])]
