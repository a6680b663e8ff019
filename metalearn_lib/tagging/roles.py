"""Who did what: roles on head words, the rule that a learner must beat, and what syntax tells of a word.   Chapter 10

Both need the parts of speech of the same sentences: corpora.annotated.load("up_ewt", layer="upos").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from metalearn_lib.corpora import Corpus
from metalearn_lib.corpora.annotations import spans
from metalearn_lib.encoders import Encoder
from metalearn_lib.episodes import Episodes
from metalearn_lib.learners import Learner
from metalearn_lib.tagging.episodes import TagEpisodes
from metalearn_lib.tagging.marks import unmark

NOUNS = ("NOUN", "PROPN", "PRON")
_KINDS = (
    *NOUNS, "VERB", "AUX", "ADP", "DET", "ADJ", "ADV", "PART", "SCONJ", "CCONJ", "PUNCT", "NUM", "SYM", "INTJ", "X", "",
)  # fmt: skip
_FAR = (-7, -4, -3, -2, -1, 0, 1, 2, 3, 4, 7)  # places from the predicate, in words: edges of the steps


def nearest_noun(kinds: Sequence[str], verb: int, step: int) -> int:
    """The place of the nearest noun before (`step` = -1) or after (1) the predicate at place `verb`; -1: there is none.

    Chapters: 01, 10

    >>> nearest_noun(["PROPN", "VERB", "DET", "NOUN"], 1, 1)
    3
    """
    places = range(verb + step, len(kinds) if step > 0 else -1, step)
    return next((place for place in places if kinds[place] in NOUNS), -1)


class NearestNoun(Learner):
    """ARG0 is the nearest noun before the predicate, ARG1 the nearest after it; no support example is read.

    For episodes of `Sentences.of_roles`; `speech` is the corpus with the parts of speech.   Chapter: 10
    """

    def __init__(self, speech: Corpus) -> None:
        super().__init__()
        self._speech, self.name = _parts_of_speech(speech), "nearest noun"

    def predict(self, episodes: Episodes) -> Tensor:
        if not isinstance(episodes, TagEpisodes) or episodes.pool is None:
            raise ValueError("NearestNoun tags tokens; give episodes of a TagSampler")
        logits = torch.zeros(1, episodes.query_x.shape[1], episodes.n_way)
        for row, x in enumerate(episodes.query_x[0].tolist()):
            kinds, at, verb = _read(episodes.pool.texts[x], self._speech)
            found = {nearest_noun(kinds, verb, -1): "B-ARG0", nearest_noun(kinds, verb, 1): "B-ARG1"}.get(at, "O")
            if found in episodes.tags:
                logits[0, row, episodes.tags.index(found)] = 10.0
        return logits.to(episodes.query_x.device)


class Syntax(Encoder):
    """Parts of speech of a word and its neighbours, its place from the predicate, and whether the rule picks it.

    Zeros and ones, for texts with two marks: the word, then the predicate. `rule=False` leaves the rule's two numbers
    out.   Chapter: 10
    """

    def __init__(self, speech: Corpus, *, rule: bool = True) -> None:
        super().__init__()
        self._speech, self.rule = _parts_of_speech(speech), rule
        self.dim = 3 * len(_KINDS) + len(_FAR) + 1 + 2 * rule

    def _prepare(self, texts: Sequence[str]) -> Tensor:
        out = torch.zeros(len(texts), self.dim)
        for row, text in enumerate(texts):
            kinds, at, verb = _read(text, self._speech)
            around = ["", *kinds, ""][at : at + 3]
            on = [place * len(_KINDS) + _KINDS.index(kind) for place, kind in enumerate(around)]
            on.append(3 * len(_KINDS) + sum(at - verb >= edge for edge in _FAR))
            if self.rule:
                on += [
                    self.dim - 2 + side for side, step in enumerate((-1, 1)) if nearest_noun(kinds, verb, step) == at
                ]
            out[row, on] = 1.0
        return out


def _parts_of_speech(corpus: Corpus) -> dict[str, list[str]]:
    return {t: [s.label for s in spans(a)] for t, a in zip(corpus.texts, corpus.annotations or (), strict=False)}


def _read(text: str, speech: Mapping[str, list[str]]) -> tuple[list[str], int, int]:
    """The parts of speech of a sentence, and which of its words the two marks mark."""
    plain, places = unmark(text)
    kinds = speech.get(plain, [])
    if len(places) != 2 or len(kinds) != len(plain.split()):
        raise ValueError(f"{text[:60]!r}: needs a word and a predicate marked, and parts of speech for each word")
    at, verb = (len(plain[:start].split()) for start, _ in places)
    return [kind if kind in _KINDS else "X" for kind in kinds], at, verb
