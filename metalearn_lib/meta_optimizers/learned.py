"""Learned optimizers: update rules with parameters of their own, trained by truncated unrolls.   Chapter 02

The LSTM of Andrychowicz et al. (2016) reads the gradient of a weight and says how the weight should move. The same
small LSTM serves every weight, each with a memory of its own, so what was learned on one model can be used on others.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from metalearn_lib.episodes import Episodes
from metalearn_lib.errors import check_options
from metalearn_lib.learners.base import Learner
from metalearn_lib.meta_optimizers.problems import Problems
from metalearn_lib.meta_optimizers.rules import State, advance

KEEP = (0.9, 0.98, 0.95)  # how much a running mean keeps in a step: a fast and a slow one, and that of the squares


class RuleLearner(Learner):
    """An update rule whose parameters are meta-learned; a subclass says how it moves (`start`, `move`: see `Rule`).

    `model` is what it learns to train, by mini-batches of `batch` and with `decay` (see `Problems`). For its meta-loss
    it runs to a random multiple of `unroll` steps below `horizon`, without a graph, and then takes the mean training
    loss of `unroll` more, through which the gradient flows; the gradients that the rule reads count as constants
    (Andrychowicz et al., 2016, figure 2). Raises ValueError for a model without trainable parameters.   Chapter: 02
    """

    def __init__(
        self, model: nn.Module, *, horizon: int = 100, unroll: int = 20, batch: int | None = None, decay: float = 0.0
    ) -> None:
        super().__init__()
        if not 1 <= unroll <= horizon:
            raise ValueError(f"{type(self).__name__}(horizon={horizon}, unroll={unroll}): need 1 ≤ unroll ≤ horizon")
        if not any(p.requires_grad for p in model.parameters()):
            raise ValueError(f"{type(self).__name__}: {type(model).__name__} has no trainable parameter to optimise")
        self.trains = (model,)  # in a tuple, so that its weights are no part of what is learned
        self.horizon, self.unroll, self.batch, self.decay = horizon, unroll, batch, decay

    def start(self, phi: Tensor) -> State:
        """An empty memory for the weights φ [T, P]."""
        raise NotImplementedError

    def move(self, gradients: Tensor, state: State, number: int) -> tuple[Tensor, State]:
        """Gradients [T, P] at step `number` → moves [T, P] and the new memory."""
        raise NotImplementedError

    def meta_loss(self, episodes: Episodes) -> Tensor:
        """Mean training loss over `unroll` steps from a random point of the run, averaged over the tasks."""
        problems = self._problems(episodes)
        seed, segments = int(torch.randint(2**31, ())), self.horizon // self.unroll
        phi, random = problems.start(seed=seed), torch.Generator().manual_seed(seed)
        state, first = self.start(phi), self.unroll * int(torch.randint(segments, ()))
        for number in range(1, first + 1):
            phi, state = advance(self, problems, phi, state, random, number)
        losses, slopes = phi.new_zeros(()), phi.new_zeros(())
        _, gradients = problems.gradients(phi, *problems.draw(random))
        for number in range(first + 1, first + self.unroll + 1):
            moves, state = self.move(gradients, state, number)
            phi = phi + moves
            # One gradient serves twice: the LSTM reads it next, and with it d loss/d LSTM = ∇F(φ) · dφ/d LSTM.
            now, gradients = problems.gradients(phi, *problems.draw(random))
            losses, slopes = losses + now.mean(), slopes + (gradients * phi).sum() / len(problems)
        return (losses + slopes - slopes.detach()) / self.unroll

    def predict(self, episodes: Episodes, *, steps: int | None = None) -> Tensor:
        """Outputs [T, Q, N] on the queries after `steps` (default `horizon`) steps on the support sets, from seed 0."""
        problems, random = self._problems(episodes), torch.Generator().manual_seed(0)
        phi = problems.start(seed=0)
        state = self.start(phi)
        for number in range(1, 1 + (self.horizon if steps is None else steps)):
            phi, state = advance(self, problems, phi, state, random, number)
        with torch.no_grad():
            return problems.outputs(phi)

    def _problems(self, episodes: Episodes) -> Problems:
        return Problems(self.trains[0], episodes, batch=self.batch, decay=self.decay)


class LearnedOptimizer(RuleLearner):
    """Two LSTM layers for each weight.

    `inputs`: "gradient", the paper's logarithm and sign, or "moments": these, and what Adam knows, the gradient and two
    running means of it divided by its running size (in the spirit of Lv et al., 2017). A move is at most `scale` long.
    `settings` are those of `RuleLearner`. Raises ValueError for options out of range.   Chapter: 02
    """

    name = "learned optimizer"

    def __init__(
        self,
        model: nn.Module,
        *,
        inputs: Literal["gradient", "moments"] = "moments",
        hidden: int = 8,
        scale: float = 0.1,
        **settings: Any,
    ) -> None:
        super().__init__(model, **settings)
        check_options("LearnedOptimizer", hidden=hidden)
        if not scale > 0:
            raise ValueError(f"LearnedOptimizer(scale={scale}): must be > 0")
        if inputs not in ("gradient", "moments"):
            raise ValueError(f"LearnedOptimizer(inputs={inputs!r}): use 'gradient' or 'moments'")
        self.inputs, self.scale = inputs, scale
        self.cells = nn.ModuleList([nn.LSTMCell(2 if inputs == "gradient" else 6, hidden), nn.LSTMCell(hidden, hidden)])
        self.out = nn.Linear(hidden, 1)
        nn.init.normal_(self.out.weight, std=0.01)  # the first moves are small
        nn.init.zeros_(self.out.bias)

    def start(self, phi: Tensor) -> State:
        """An empty memory for each weight of φ [T, P]: hidden and cell states [T·P, H], running means [3, T, P]."""
        empty = phi.new_zeros(phi.numel(), self.out.in_features)
        return empty, empty, empty, empty, phi.new_zeros(3, *phi.shape)

    def move(self, gradients: Tensor, state: State, number: int) -> tuple[Tensor, State]:
        """Gradients [T, P] → moves [T, P] and the new memory; raises ValueError for the memory of another model."""
        hidden_1, cell_1, hidden_2, cell_2, means = state
        if means.shape[1:] != gradients.shape:
            raise ValueError(
                f"LearnedOptimizer: the state is of another model or batch, with weights {tuple(means.shape[1:])}; "
                f"these gradients are {tuple(gradients.shape)}: call start() first"
            )
        with torch.no_grad():
            seen, means = self._read(gradients, means, number)
        layer_1, layer_2 = self.cells if torch.is_grad_enabled() else (partial(_remember, cell) for cell in self.cells)
        hidden_1, cell_1 = layer_1(seen.flatten(0, 1), (hidden_1, cell_1))
        hidden_2, cell_2 = layer_2(hidden_1, (hidden_2, cell_2))
        moves = self.scale * self.out(hidden_2).tanh().view_as(gradients)
        return moves, (hidden_1, cell_1, hidden_2, cell_2, means)

    def _read(self, g: Tensor, means: Tensor, number: int) -> tuple[Tensor, Tensor]:
        """What the LSTM sees of each weight, [T, P, 2 or 6], and the new running means."""
        if self.inputs == "gradient":
            return preprocess(g), means
        keep = g.new_tensor(KEEP).view(3, 1, 1)
        means = torch.stack([g, g, g.square()]).lerp(means, keep)
        fast, slow, square = means / (1 - keep**number)
        seen = torch.stack([g, fast, slow])
        logarithms, signs = preprocess(seen[:2]).unbind(-1)  # [2, T, P]
        relative = seen / (square.sqrt() + 1e-12)
        return torch.cat([relative, logarithms[:1], signs[:1], logarithms[1:]]).movedim(0, -1), means


def _remember(cell: Any, x: Tensor, memory: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """`cell(x, memory)` without a graph, and faster: the weights of a gate lie side by side, in long rows."""
    hidden, kept = (part.t() for part in memory)  # [H, R]
    bias = (cell.bias_ih + cell.bias_hh).unsqueeze(1)
    gates = torch.addmm(bias, cell.weight_ih, x.t()).addmm_(cell.weight_hh, hidden)  # [4H, R]
    write, forget, new, show = gates.chunk(4)
    kept = forget.sigmoid_().mul_(kept).addcmul_(write.sigmoid_(), new.tanh_())
    return show.sigmoid_().mul_(kept.tanh()).t(), kept.t()


def preprocess(gradient: Tensor, *, p: float = 10.0) -> Tensor:
    """A gradient [...] as two numbers of moderate size [..., 2]: its magnitude as a logarithm, and its sign.

    Andrychowicz et al. (2016), appendix A: (log|g| / p, sign g) where |g| ≥ e⁻ᵖ, else (−1, eᵖ g).   Chapter: 02

    >>> preprocess(torch.tensor([1.0, -1.0, 0.0]))
    tensor([[ 0.,  1.],
            [ 0., -1.],
            [-1.,  0.]])
    """
    magnitude = gradient.abs().clamp(min=math.exp(-p)).log() / p
    return torch.stack([magnitude, (gradient * math.exp(p)).clamp(-1, 1)], -1)
