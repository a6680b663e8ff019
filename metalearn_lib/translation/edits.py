"""Translating between relatives by editing: what becomes of each character of the source.   Chapter 11

A tagger over characters (as Malmi et al., 2019, over words): each character is kept, deleted or replaced, or something
is put after it. It starts from copying, needs no decoder, and sees a window of characters around the one it labels.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

from metalearn_lib.corpora.translations import Pair
from metalearn_lib.errors import check_options
from metalearn_lib.fingerprint import digest
from metalearn_lib.modules import evaluating
from metalearn_lib.optimise import seeded
from metalearn_lib.translation.floors import WORD, WordTable
from metalearn_lib.translation.starts import Example

SAME = "\0"  # in a label: the character itself
_EDGE, _UNKNOWN = 0, 1  # numbers of what lies outside a text, and of a character that training never saw


def edits(source: str, target: str, *, longest: float = math.inf) -> list[str | None]:
    """The label of the beginning, then of each character: what stands in its place, `SAME` for itself.   Chapter: 11

    Of the alignment with the longest common runs (difflib). The labels applied to the source give the target; a change
    of more than `longest` characters is no other spelling but another word, and its characters have no label (None).

    >>> [(label or "").replace(SAME, "=") for label in edits("os gatos", "los gatto")]
    ['=l', '=', '=', '=', '=', '=', '=t', '=', '']
    """
    labels: list[str | None] = [SAME] * (len(source) + 1)
    for kind, start, end, from_, to in SequenceMatcher(None, source, target, autojunk=False).get_opcodes():
        if kind != "equal" and max(end - start, to - from_) > longest:
            labels[start if kind == "insert" else start + 1 : end + 1] = [None] * (end - start + (kind == "insert"))
        elif kind == "insert":
            labels[start] = (labels[start] or "") + target[from_:to]
        elif kind != "equal":
            cuts = [min(from_ + place, to) for place in range(end - start)] + [to]
            labels[start + 1 : end + 1] = [target[a:b] for a, b in pairwise(cuts)]
    return labels


def edited(source: str, labels: Sequence[str | None]) -> list[str]:
    """What the labels make of the beginning and of each character of the source; without a label it is kept.

    >>> "".join(edited("gato", edits("gato", "gatto!")))
    'gatto!'
    """
    kept = (SAME if label is None else label for label in labels)
    return [label.replace(SAME, character) for label, character in zip(kept, ["", *source], strict=True)]


class EditCodec:
    """Between texts and the numbers of the tagger: characters, and the labels that occur often enough.   Chapter: 11

    From the pairs of all training tasks: every character of a source, and the most frequent labels that together make
    `coverage` of all edits (keeping a character is none, and is always there). `radius`: characters that the tagger
    sees on each side. `longest`: see `edits`. Raises ValueError for no pairs, or a coverage that is no share.
    """

    def __init__(self, pairs: Iterable[Pair], *, coverage: float = 0.95, radius: int = 6, longest: int = 3) -> None:
        check_options("EditCodec", radius=radius, longest=longest)
        if not 0 < coverage <= 1:
            raise ValueError(f"EditCodec(coverage={coverage}): must be a share of the edits, 0 < coverage ≤ 1")
        counts, characters = Counter[str | None](), set[str]()
        for pair in pairs:
            characters.update(pair.source)
            counts.update(edits(pair.source, pair.target, longest=longest))
        if not characters:
            raise ValueError("EditCodec: there are no pairs; give those of the training tasks")
        changes = [(label, number) for label, number in counts.items() if label is not None and label != SAME]
        often = sorted(changes, key=lambda change: (-change[1], change[0]))
        enough = accumulate((number for _, number in often), initial=0)
        needed = coverage * sum(number for _, number in changes)
        kept = [label for (label, _), before in zip(often, enough, strict=False) if before < needed]
        self.radius, self.longest, self.labels = radius, longest, [SAME, *kept]
        self.characters = sorted(characters)
        self._numbers = {character: number for number, character in enumerate(self.characters, 2)}
        self._places = {label: number for number, label in enumerate(self.labels)}

    @property
    def identity(self) -> str:
        """A hash of all that its numbers mean: a model's weights are good for codecs of the same identity alone."""
        return digest([self.radius, self.longest, self.labels, self.characters])[:16]

    def windows(self, text: str) -> Tensor:
        """The window around the beginning and around each character, [L + 1, 2·radius + 1] numbers of characters."""
        inside = [self._numbers.get(character, _UNKNOWN) for character in text]
        padded = torch.tensor([_EDGE] * (self.radius + 1) + inside + [_EDGE] * self.radius)
        return padded.unfold(0, 2 * self.radius + 1, 1)

    def example(self, pair: Pair) -> Example:
        """Windows and the numbers of their labels; a character without a label, or with a rare one, teaches nothing."""
        labels = edits(pair.source, pair.target, longest=self.longest)
        places = [None if label is None else self._places.get(label) for label in labels]
        known = [row for row, place in enumerate(places) if place is not None]
        return self.windows(pair.source)[known], torch.tensor([places[row] for row in known], dtype=torch.long)

    def examples(self, pairs: Iterable[Pair]) -> list[Example]:
        """The examples of all pairs that teach something."""
        return [example for example in map(self.example, pairs) if len(example[1])]

    def model(self, *, dim: int = 24, hidden: int = 192, keep: float = 3.0, seed: int = 0) -> nn.Sequential:
        """An untrained tagger: windows [B, 2·radius + 1] → logits [B, labels]; it keeps most characters (bias `keep`).

        Same `seed`, same weights.
        """
        check_options("EditCodec.model", dim=dim, hidden=hidden, seed=seed)
        with seeded(seed):
            last = nn.Linear(hidden, len(self.labels))
            model = nn.Sequential(
                nn.Embedding(len(self.characters) + 2, dim),
                nn.Flatten(1),
                nn.Linear(dim * (2 * self.radius + 1), hidden),
                nn.ReLU(),
                last,
            )
        with torch.no_grad():
            last.weight.mul_(0.1)
            last.bias.zero_()
            last.bias[0] = keep
        return model


class Editor:
    """A tagger as a translator: every text is edited at once, character by character.   Chapter: 11

    `caution`: a character is changed only where the change has at least this probability (0: the most probable label
    is taken, whatever it is). Choose it on validation pairs.
    """

    def __init__(self, codec: EditCodec, model: nn.Module, *, caution: float = 0.0, name: str = "editor") -> None:
        if not 0 <= caution < 1:
            raise ValueError(f"Editor(caution={caution}): must be a probability, 0 ≤ caution < 1")
        self.codec, self.model, self.caution, self.name = codec, model, caution, name

    def pieces(self, texts: Sequence[str]) -> list[list[str]]:
        """For each text what becomes of its beginning and of each character."""
        if not texts:
            return []
        windows = [self.codec.windows(text) for text in texts]
        device = next(self.model.parameters()).device
        with evaluating(self.model):
            parts = torch.cat(windows).split(4096)
            best = [self.model(part.to(device)).softmax(1).max(1) for part in parts]
            places = torch.cat([torch.where(b.values < self.caution, 0, b.indices).cpu() for b in best])
        labels = [[self.codec.labels[place] for place in part] for part in places.split([len(w) for w in windows])]
        return [edited(text, each) for text, each in zip(texts, labels, strict=True)]

    def translate(self, texts: Sequence[str]) -> list[str]:
        return ["".join(pieces) for pieces in self.pieces(texts)]


class WordsOrEdits:
    """The word table for the words that it knows, the editor for all else.   Chapter: 11

    The editor still sees the whole text; its edits of a known word are put aside.
    """

    def __init__(self, table: WordTable, editor: Editor, *, name: str = "word table, else editor") -> None:
        self.table, self.editor, self.name = table, editor, name

    def translate(self, texts: Sequence[str]) -> list[str]:
        found = []
        for text, pieces in zip(texts, self.editor.pieces(texts), strict=True):
            pieces = list(pieces)
            for word in WORD.finditer(text):
                if word[0] in self.table.words:
                    first, *rest = range(word.start() + 1, word.end() + 1)
                    pieces[first] = self.table.words[word[0]]
                    pieces[first + 1 : first + 1 + len(rest)] = [""] * len(rest)
            found.append("".join(pieces))
        return found
