"""What a corpus marks inside its texts: spans, relations between two spans, predicates with their roles.   Chapter 10

Offsets count characters of the text itself, because every encoder cuts a text into tokens of its own: `text[start:end]`
is the marked stretch. One text has one annotation, of one of the kinds of `Annotation`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from .catalog import CorpusError


@dataclass(frozen=True)
class Span:
    """Characters `start` up to, but not including, `end` of a text, 0 ≤ start < end, and what they are.

    >>> Span(5, 11, "city").cut("from Zürich to Bern")
    'Zürich'
    """

    start: int
    end: int
    label: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise CorpusError(f"Span({self.start}, {self.end}, {self.label!r}): characters need 0 ≤ start < end")

    def cut(self, text: str) -> str:
        """The marked stretch of the text."""
        return text[self.start : self.end]


@dataclass(frozen=True)
class Relation:
    """What holds between two marked entities; the label of `head` and `tail` is the entity's identifier.

    `further` are other places where one of the two is mentioned, told apart by the same identifiers.
    """

    head: Span
    tail: Span
    label: str
    further: tuple[Span, ...] = ()


@dataclass(frozen=True)
class PredicateRoles:
    """A predicate, labelled by its sense ("come.03"), and its arguments, labelled by their roles ("ARG1")."""

    predicate: Span
    arguments: tuple[Span, ...] = ()


@dataclass(frozen=True)
class Details:
    """What a table says of a text as a whole: the cells of its other columns by the column's name."""

    columns: Mapping[str, str]


# Slots or names of a text; its relation; the roles of each of its predicates; what else is known of it.
Annotation: TypeAlias = tuple[Span, ...] | Relation | tuple[PredicateRoles, ...] | Details


def spans(annotation: Annotation) -> Iterator[Span]:
    """Every span of an annotation; raises `CorpusError` for what is no annotation.

    >>> [span.label for span in spans(Relation(Span(0, 4, "Q1"), Span(9, 12, "Q2"), "P26"))]
    ['Q1', 'Q2']
    """
    for part in annotation if isinstance(annotation, tuple) else (annotation,):
        match part:
            case Span():
                yield part
            case Relation(head=head, tail=tail, further=further):
                yield from (head, tail, *further)
            case PredicateRoles(predicate=predicate, arguments=arguments):
                yield from (predicate, *arguments)
            case Details():
                pass
            case _:
                raise CorpusError(
                    "an annotation is a tuple of Span, a Relation, a tuple of PredicateRoles or Details, "
                    f"not {annotation!r}"
                )
