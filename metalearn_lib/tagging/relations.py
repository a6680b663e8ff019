"""What of a sentence decides a relation: four views of the same examples, each a corpus of its own.   Chapter 10

Names alone often do (Peng et al., 2020, *Learning from context or names?*): a score without them beside it says little.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from metalearn_lib.corpora import Corpus, CorpusError, Relation, Span
from metalearn_lib.tagging.marks import mark

View = Literal["sentence", "names", "masked", "marked"]
PLACES = ("X", "Y")  # what stands for the head and for the tail in the masked view


def relation_view(corpus: Corpus, view: View) -> Corpus:
    """The same examples with other texts: every encoder and learner of texts can take them.

    "sentence" is the text as it is; "names" the head and the tail alone, "Po ; Turin"; "masked" the text with X for
    each mention of the head and Y for the tail; "marked" the text with its head and tail marked, for
    `MarkedStates(…, marks=2)`. Raises `CorpusError` for annotations that are no relations, and where head and tail
    overlap; ValueError for another view.   Chapter: 10

    >>> po = Corpus("po", ["the Po crosses Turin"], ["crosses"],
    ...             annotations=[Relation(Span(4, 6, "Po"), Span(15, 20, "Turin"), "crosses")])
    >>> [relation_view(po, view).texts[0] for view in ("names", "masked", "marked")]
    ['Po ; Turin', 'the X crosses Y', 'the ⟦Po⟧ crosses ⟪Turin⟫']
    """
    if view not in ("sentence", "names", "masked", "marked"):
        raise ValueError(f"relation_view({view!r}): use 'sentence', 'names', 'masked' or 'marked'")
    if corpus.annotations is None:
        raise CorpusError(f"{corpus.name!r} has no annotations; load it with corpora.annotated.load")
    texts = []
    for text, relation in zip(corpus.texts, corpus.annotations, strict=True):
        if not isinstance(relation, Relation):
            raise CorpusError(f"{corpus.name!r} marks {type(relation).__name__}, not relations")
        if relation.head.start < relation.tail.end and relation.tail.start < relation.head.end:
            raise CorpusError(f"head and tail overlap in {text[:60]!r}: {relation.head}, {relation.tail}; leave it out")
        texts.append(_seen(text, relation, view))
    return replace(corpus, name=f"{corpus.name}, {view}", texts=texts, annotations=None)


def _seen(text: str, relation: Relation, view: View) -> str:
    if view == "names":
        return f"{relation.head.cut(text)} ; {relation.tail.cut(text)}"
    if view == "marked":
        return mark(text, [relation.head, relation.tail])
    if view == "masked":
        letter = {relation.tail.label: PLACES[1], relation.head.label: PLACES[0]}
        mentions: list[tuple[Span, str]] = [(relation.head, PLACES[0]), (relation.tail, PLACES[1])]
        mentions += [(span, letter[span.label]) for span in relation.further]
        behind = len(text) + 1
        for span, sign in sorted(mentions, key=lambda mention: -mention[0].start):
            if span.end <= behind:  # of mentions that overlap the last one counts
                text, behind = text[: span.start] + sign + text[span.end :], span.start
    return text
