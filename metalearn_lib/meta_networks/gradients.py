"""Writers that read the support loss's gradients, one for each example, and answer through attention.   Chapter 05

Both keep a memory of (key, value) pairs, one for each support example; a query looks up what to change. The slow last
layer of the papers knows how many classes there are; here class means take its place, so any number of ways may come.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from metalearn_lib.encoders import Encoder
from metalearn_lib.errors import check_options
from metalearn_lib.meta_networks.base import VectorWriter, Written, means
from metalearn_lib.meta_networks.heads import spread


class _Memory(VectorWriter):
    """What both share: keys, attention over the support set, errors of the class-mean classifier."""

    def __init__(self, encoder: Encoder, keys: int, losses: dict[str, float]) -> None:
        super().__init__(encoder, **losses)
        self.key = nn.Linear(encoder.dim, keys, bias=False)
        self.log_scale, self.log_sharpness = (nn.Parameter(torch.tensor(10.0).log()) for _ in range(2))

    def keys(self, x: Tensor) -> Tensor:
        return normalize(self.key(x), dim=-1)

    def attention(self, written: Written, x: Tensor) -> Tensor:
        """How much each of the T·M vectors x [T, M, D] listens to each support example, [T, M, N·K]."""
        weights: Tensor = self.log_sharpness.exp() * self.keys(x) @ written["keys"].transpose(1, 2)
        return weights.softmax(-1)

    def errors(self, x: Tensor, members: Tensor, classes: Tensor) -> Tensor:
        """p - y [T, N·K, N], the gradient of each support example's loss in its logits, under unit class vectors."""
        return (self.log_scale.exp() * x @ classes.transpose(1, 2)).softmax(-1) - members


class ConditionallyShifted(_Memory):
    """z(x) = x + V [relu(U x) + Σ_i a_i(x) tanh(G(∂L_i/∂z_i))]: neurons shifted by what memory says.   Chapter: 05

    Conditionally shifted neurons (Munkhdalai et al., 2018, section 2): a hidden layer gets a shift for each input, read
    by attention a from the memory of the support examples' error signals. Class means of z classify by cosine. V is
    zero at the start.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        hidden: int = 64,
        keys: int = 32,
        **losses: float,
    ) -> None:
        check_options("ConditionallyShifted", hidden=hidden, keys=keys)
        super().__init__(encoder, keys, losses)
        self.name = "conditionally shifted"
        self.hidden, self.signal = nn.Linear(encoder.dim, hidden), nn.Linear(encoder.dim, hidden)
        self.out = nn.Linear(hidden, encoder.dim)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def write(self, support: Tensor, members: Tensor) -> Written:
        x = normalize(support, dim=-1)
        classes = normalize(means(x, members), dim=-1)
        gradients = self.errors(x, members, classes) @ classes  # ∂L_i/∂z_i, up to the scale [T, N·K, D]
        scaled = gradients * x.shape[-1] ** 0.5
        written = {"keys": self.keys(x), "shifts": self.signal(scaled).tanh()}
        return written | {"classes": means(self._shifted(written, x), members)}

    def logits(self, written: Written, x: Tensor) -> Tensor:
        z = normalize(self._shifted(written, normalize(x, dim=-1)), dim=-1)
        return self.log_scale.exp() * z @ normalize(written["classes"], dim=-1).transpose(1, 2)

    def _shifted(self, written: Written, x: Tensor) -> Tensor:
        shifts = self.attention(written, x) @ written["shifts"]
        return x + self.out(self.hidden(spread(x)).relu() + shifts) / x.shape[-1] ** 0.5


class MetaNetworks(_Memory):
    """logits_c(x) = s x·(w_c + Σ_i a_i(x) m(∂L_i/∂w_c)): slow weights and fast ones from gradients.   Chapter: 05

    Meta Networks (Munkhdalai and Yu, 2017, section 3): the loss of each support example has a gradient in the weights;
    a small network m, the same for every coordinate, turns it into fast weights, which a query reads from memory by
    attention, and adds to the slow ones (layer augmentation). Here the slow w_c is the class mean, and the embedding
    has no fast weights of its own. The last layer of m is zero at the start.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        hidden: int = 20,
        keys: int = 32,
        **losses: float,
    ) -> None:
        check_options("MetaNetworks", hidden=hidden, keys=keys)
        super().__init__(encoder, keys, losses)
        self.name = "Meta Networks"
        self.generator = nn.Sequential(nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        nn.init.zeros_(self.generator[2].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.generator[2].bias)  # type: ignore[arg-type]

    def write(self, support: Tensor, members: Tensor) -> Written:
        x = normalize(support, dim=-1)
        classes = normalize(means(x, members), dim=-1)
        root = x.shape[-1] ** 0.5
        gradients = root * self.errors(x, members, classes)[..., None] * x[:, :, None]  # ∂L_i/∂w_c [T, N·K, N, D]
        slow = (root * classes)[:, None].expand_as(gradients)
        fast = self.generator(torch.stack([gradients, slow], dim=-1)).squeeze(-1) / root
        return {"keys": self.keys(x), "classes": classes, "fast": fast}

    def logits(self, written: Written, x: Tensor) -> Tensor:
        x = normalize(x, dim=-1)
        votes = torch.einsum("tmd,tknd->tmkn", x, written["fast"])  # what each example's fast weights say
        fast = (self.attention(written, x)[..., None] * votes).sum(2)  # [T, M, N]
        return self.log_scale.exp() * (x @ written["classes"].transpose(1, 2) + fast)
