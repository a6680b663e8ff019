"""What tag follows what, whatever the types are called: counted on source corpora, used on new types.   Chapter 10

Hou et al. (2020), section 3.1, collapse the transitions of all tags to those of three abstract ones, O, B and I, with a
next tag of the same type or another one; Yang and Katiyar (2020), section 3.2, decode with them (StructShot).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from metalearn_lib.corpora.bio import OUTSIDE
from metalearn_lib.tagging.episodes import TagTasks

ROWS = ("start", "O", "B", "I")
COLUMNS = ("O", "same B", "other B", "same I", "other I")
# In BIO, I-x stands after B-x or I-x; after the start and O every type is another one.
_ALLOWED = torch.tensor([[1, 0, 1, 0, 0], [1, 0, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 0]], dtype=torch.bool)


@dataclass(frozen=True, eq=False)
class Transitions:
    """How likely each abstract step is: `table` [4, 5], rows `ROWS`, columns `COLUMNS`; None: all that BIO allows.

    The score of a step between two tags is the logarithm of its abstract step, whatever number of tags it may lead to
    (Hou et al. fill their table alike): the log-probabilities of a learner know already how rare each single tag is.
    Without a table it is 0, or −∞ for a step that BIO forbids.   Chapter: 10
    """

    table: Tensor | None = None

    @classmethod
    def learned(cls, sequences: Iterable[Sequence[str]], *, smoothing: float = 0.1) -> Transitions:
        """Shares of the steps in BIO sequences, `smoothing` added to each count that BIO allows.

        Give sequences that are masked as the episodes will be (`tag_sequences`): a source whose tokens all have types
        teaches that nothing is ever outside. Raises ValueError for no sequence, or one that BIO forbids.

        >>> Transitions.learned([["O", "B-x", "I-x", "O"]], smoothing=0).table[1:3].tolist()
        [[0.0, 0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 0.0]]
        """
        if not 0 <= smoothing < math.inf:
            raise ValueError(f"Transitions.learned(smoothing={smoothing}): must be a finite number ≥ 0")
        counts = torch.zeros(len(ROWS), len(COLUMNS))
        for tags in sequences:
            for before, tag in zip(["", *tags], tags, strict=False):
                counts[_step(before, tag)] += 1
        if not counts.sum():
            raise ValueError("Transitions.learned: no tag was given")
        if (counts * ~_ALLOWED).sum():
            raise ValueError(
                "Transitions.learned: an I-x stands after something else than B-x or I-x; spans give BIO tags"
            )
        counts += smoothing * _ALLOWED
        return cls(counts / counts.sum(1, keepdim=True).clamp(min=1e-9))

    def scores(self, tags: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Scores of a first tag [N] and of each step [N, N] from row to column, for the tags of an episode."""
        table = (_ALLOWED.float() if self.table is None else self.table * _ALLOWED).log().tolist()
        places = [[_step(before, tag) for tag in tags] for before in ("", *tags)]
        steps = torch.tensor([[table[row][column] for row, column in line] for line in places])
        return steps[0], steps[1:]

    def decode(self, sentences: Sequence[Tensor], tags: Sequence[str]) -> list[list[str]]:
        """The best tags of each sentence: emissions [L, N] are the log-probabilities of its L tokens.   Chapter: 10"""
        start, steps = self.scores(tags)
        return [[tags[place] for place in viterbi(emissions, start, steps)] for emissions in sentences]


def _step(before: str, tag: str) -> tuple[int, int]:
    """The abstract step from a tag ("" is the start) to the next."""
    row = 0 if not before else ROWS.index(before[0])
    if tag == OUTSIDE:
        return row, 0
    same = row > 1 and before[2:] == tag[2:]
    return row, {("B", True): 1, ("B", False): 2, ("I", True): 3, ("I", False): 4}[tag[0], same]


def viterbi(emissions: Tensor, start: Tensor, steps: Tensor) -> list[int]:
    """The path y with the largest start[y₁] + Σ emissions[i, yᵢ] + Σ steps[yᵢ, yᵢ₊₁] (Viterbi, 1967).

    emissions [L, N], start [N], steps [N, N] → L classes. Where every path is forbidden, the best of each token.

    >>> viterbi(torch.tensor([[0.0, -1.0], [0.0, -2.0]]), torch.zeros(2), torch.tensor([[-9.0, 0.0], [0.0, -9.0]]))
    [1, 0]
    """
    best = start + emissions[0]  # [N]: of the best path that ends here
    came_from = []
    for scores in emissions[1:]:
        paths = best[:, None] + steps  # [N, N]
        best, origin = paths.max(0)
        best = best + scores
        came_from.append(origin)
    if not bool(best.max() > -torch.inf):
        return emissions.argmax(1).tolist()
    path = [int(best.argmax())]
    for origin in reversed(came_from):
        path.append(int(origin[path[-1]]))
    return path[::-1]


def tag_sequences(sampler: TagTasks, *, episodes: int = 50) -> list[list[str]]:
    """The tags of all sentences in the first `episodes` episodes of a source, masked as its episodes are."""
    drawn = [sampler.sample(first=number) for number in range(episodes)]
    return [list(tags) for episode in drawn for tags in (*episode.known, *episode.truth)]
