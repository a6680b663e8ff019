"""Tails: class codes → the weights of a classifier, and that classifier.

Each is a residual whose last layer starts at zero: an untrained writer is the nearest class mean by cosine. Over an
encoder that stays as it is, training then adds what is written, and a scale.   Chapter 05
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import normalize

from metalearn_lib.errors import check_options
from metalearn_lib.meta_networks.base import Written


class Tail(nn.Module):
    """Writes from class codes [T, N, H] and class means [T, N, D]; classifies vectors by cosine to written weights.

    Chapter: 05
    """

    def forward(self, codes: Tensor, centres: Tensor) -> Written:
        """Weights by name; "classes" [T, N, D] is one of them."""
        raise NotImplementedError

    def cosines(self, written: Written, x: Tensor) -> Tensor:
        """Unit vectors x [T, M, D] → cosines [T, M, N] to the written class vectors."""
        changed = self.changed(written, x)
        unit = x if changed is x else normalize(changed, dim=-1)
        return unit @ normalize(written["classes"], dim=-1).transpose(1, 2)

    def changed(self, written: Written, x: Tensor) -> Tensor:
        """What the written weights make of a vector before it is compared: here nothing."""
        return x


class LastLayer(Tail):
    """w_c = mean_c + B code_c / √D: the weights of the last layer, a vector for each class.   Chapter: 05"""

    def __init__(self, codes: int, dim: int) -> None:
        super().__init__()
        check_options("LastLayer", codes=codes, dim=dim)
        self.out = _zero(nn.Linear(codes, dim))

    def forward(self, codes: Tensor, centres: Tensor) -> Written:
        return {"classes": centres + self.out(codes) / centres.shape[-1] ** 0.5}  # a mean has length ≤ 1


class FiLM(Tail):
    """x → γ ⊙ x + β for every text of the task, γ and β written from the mean code (Perez et al., 2018, eq. 1-2).

    2 · D numbers a task; class vectors are the class means after it. That is how CNAPs adapts (Requeima et al., 2019),
    there in every layer of a deep network, here on its output.   Chapter: 05
    """

    def __init__(self, codes: int, dim: int) -> None:
        super().__init__()
        check_options("FiLM", codes=codes, dim=dim)
        self.out = _zero(nn.Linear(codes, 2 * dim))
        self.dim = dim

    def forward(self, codes: Tensor, centres: Tensor) -> Written:
        scale, shift = (self.out(codes.mean(1)) / self.dim**0.5).split(self.dim, dim=-1)
        written = {"scale": 1 + scale, "shift": shift}  # [T, D] each
        return written | {"classes": self.changed(written, centres)}

    def changed(self, written: Written, x: Tensor) -> Tensor:
        return written["scale"][:, None] * x + written["shift"][:, None]


class LowRank(Tail):
    """x → x + (x A) B with A [D, r] and B [r, D] from the mean code: a linear map for each task.   Chapter: 05"""

    def __init__(self, codes: int, dim: int, *, rank: int = 4) -> None:
        super().__init__()
        check_options("LowRank", codes=codes, dim=dim, rank=rank)
        self.down, self.up = nn.Linear(codes, dim * rank), _zero(nn.Linear(codes, dim * rank))
        self.rank, self.dim = rank, dim

    def forward(self, codes: Tensor, centres: Tensor) -> Written:
        code = codes.mean(1)
        written = {
            "down": self.down(code).unflatten(-1, (self.dim, self.rank)),  # [T, D, r]
            "up": self.up(code).unflatten(-1, (self.rank, self.dim)) / self.dim**0.5,  # [T, r, D]
        }
        return written | {"classes": self.changed(written, centres)}

    def changed(self, written: Written, x: Tensor) -> Tensor:
        return x + x @ written["down"] @ written["up"]


def _zero(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
