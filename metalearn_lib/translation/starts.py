"""Weights from which a model adapts to a new pair of languages: the tasks they come from, and adapting.   Chapter 11

A pair of languages is a task (Gu et al., 2018). Both models of this room answer rows: the editor one for each
character, the sequence-to-sequence model one for each position of the target. So a batch of tasks is a batch of rows,
and what learns a start is what chapter 03 uses: `MAML(first_order=True)`, `Reptile` or `MultiTask` under `meta_train`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from metalearn_lib.episodes import Episodes
from metalearn_lib.errors import check_options
from metalearn_lib.fingerprint import digest
from metalearn_lib.modules import tensor_digest
from metalearn_lib.optimise import descend, in_training

Model = TypeVar("Model", bound=nn.Module)
Example = tuple[Tensor, Tensor]  # the rows of one pair of texts: inputs [R, …] and right answers [R], whole numbers


class PairSampler:
    """Draws tasks, and for each a support and a query set that share no pair of texts.   Chapter: 11

    `tasks`: the examples of each task by its name. A set has as many rows as `k_support` (`n_query`) pairs of `rows`
    rows: pairs are taken in random order until there are enough, and the last one is cut. An episode depends on `seed`
    and its number alone. Raises ValueError for a task that has too few rows.
    """

    def __init__(
        self, tasks: Mapping[str, Sequence[Example]], *, k_support: int, n_query: int, rows: int, seed: int = 0
    ) -> None:
        check_options("PairSampler", k_support=k_support, n_query=n_query, rows=rows, seed=seed)
        self.names, self.seed = sorted(tasks), seed
        self.sizes = (k_support * rows, n_query * rows)
        self._tasks = [list(tasks[name]) for name in self.names]
        for name, examples in zip(self.names, self._tasks, strict=True):
            lengths = [len(y) for _, y in examples]
            if sum(lengths) < sum(self.sizes) + max(lengths, default=0):
                raise ValueError(
                    f"PairSampler: the task {name!r} has {sum(lengths)} rows in {len(lengths)} pairs, too few for "
                    f"{self.sizes[0]} of support and {self.sizes[1]} of queries; ask for fewer, or leave it out"
                )
        if not self.names:
            raise ValueError("PairSampler: there are no tasks; give one pair of languages at least")
        contents = [[tensor_digest(part) for pair in examples for part in pair] for examples in self._tasks]
        self._contents = digest([self.names, contents])[:16]

    @property
    def key(self) -> tuple[object, ...]:
        """Samplers with equal keys draw the same episodes."""
        return (type(self).__name__, self._contents, *self.sizes, self.seed)

    def sample(self, tasks: int = 1, *, first: int = 0) -> Episodes:
        """Episodes number `first` … `first + tasks - 1`, as tensors: [T, rows, …] and [T, rows]."""
        check_options("sample", tasks=tasks)
        check_options("sample", least=0, first=first)
        drawn = [self._drawn(number) for number in range(first, first + tasks)]
        support_x, support_y, query_x, query_y = (torch.stack(parts) for parts in zip(*drawn, strict=True))
        return Episodes(support_x, support_y, query_x, query_y, n_way=1, k_shot=self.sizes[0])

    def _drawn(self, number: int) -> tuple[Tensor, ...]:
        rng = np.random.default_rng((self.seed, number))
        examples = self._tasks[rng.integers(len(self._tasks))]
        order = iter(rng.permutation(len(examples)))
        found: list[Tensor] = []
        for size in self.sizes:
            taken, total = list[Example](), 0
            while total < size:
                taken.append(examples[next(order)])
                total += len(taken[-1][1])
            found += [torch.cat(parts)[:size] for parts in zip(*taken, strict=True)]
        return tuple(found)


def fine_tuned(
    model: Model,
    examples: Sequence[Example],
    *,
    steps: int,
    lr: float = 1e-3,
    pairs_per_step: int = 32,
    mixed: Sequence[Example] = (),
    mixed_share: float = 0.5,
    clip: float = 1.0,
    seed: int = 0,
) -> Model:
    """A copy of the model after `steps` steps of Adam on the examples of a task; the model itself stays.   Chapter: 11

    From a trained start that is adapting, from random weights training from scratch. `mixed`: examples of older tasks,
    which fill `mixed_share` of each step, so that they are not forgotten. 0 steps give a copy. Same seed, same result.
    Raises ValueError for no examples, and TrainingDiverged.
    """
    check_options("fine_tuned", least=0, steps=steps)
    check_options("fine_tuned", lr=lr, pairs_per_step=pairs_per_step, clip=clip, seed=seed)
    if not examples:
        raise ValueError("fine_tuned: there are no examples to adapt to; without pairs use the start as it is")
    if not 0 < mixed_share < 1:
        raise ValueError(f"fine_tuned(mixed_share={mixed_share}): must be a share, 0 < mixed_share < 1")
    adapted = copy.deepcopy(model)
    optimizer = torch.optim.Adam([p for p in adapted.parameters() if p.requires_grad], lr=lr)
    old = round(pairs_per_step * mixed_share) if mixed else 0
    rng = np.random.default_rng(seed)

    def batches() -> Iterator[list[Example]]:
        new, before = _shuffled(examples, rng), _shuffled(mixed, rng)
        for _ in range(steps):
            yield [next(new) for _ in range(pairs_per_step - old)] + [next(before) for _ in range(old)]

    def loss(batch: list[Example]) -> Tensor:
        x, y = (torch.cat(parts) for parts in zip(*batch, strict=True))
        device = next(adapted.parameters()).device
        return cross_entropy(adapted(x.to(device)), y.to(device))

    with in_training(adapted, seed=seed):
        for _ in descend(loss, batches(), optimizer, who="fine_tuned", clip=clip):
            pass
    return adapted


def _shuffled(examples: Sequence[Example], rng: np.random.Generator) -> Iterator[Example]:
    """All examples in random order, again and again."""
    while examples:
        yield from (examples[place] for place in rng.permutation(len(examples)))
