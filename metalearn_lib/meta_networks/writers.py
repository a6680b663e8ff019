"""Writers over any encoder: a head and a tail, or a closed form.   Chapter 05"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from metalearn_lib.encoders import Encoder
from metalearn_lib.meta_networks.base import VectorWriter, Written, finite, means
from metalearn_lib.meta_networks.heads import DeepSets, Head, SetAttention
from metalearn_lib.meta_networks.tails import FiLM, LastLayer, Tail


class Writer(VectorWriter):
    """A head encodes the task, a tail writes the weights: logits are s × cosines, s learned, 10 at the start.

    Chapter: 05. Raises ValueError where the tail reads codes of another size than the head gives.

    >>> from metalearn_lib.encoders import Identity
    >>> Writer(Identity(8), DeepSets(8, hidden=4), LastLayer(8, 8)).name
    'DeepSets → LastLayer'
    """

    def __init__(self, encoder: Encoder, head: Head, tail: Tail, **losses: float) -> None:
        super().__init__(encoder, **losses)
        reads = {layer.in_features for layer in tail.children() if isinstance(layer, nn.Linear)}
        if reads - {head.dim}:
            raise ValueError(f"Writer: the head gives codes of {head.dim} numbers, the tail reads {max(reads)}")
        self.head, self.tail = head, tail
        self.name = f"{type(head).__name__} → {type(tail).__name__}"
        self.log_scale = nn.Parameter(torch.tensor(10.0).log())

    def write(self, support: Tensor, members: Tensor) -> Written:
        x = normalize(support, dim=-1)
        return self.tail(self.head(x, members), means(x, members))  # type: ignore[no-any-return]

    def logits(self, written: Written, x: Tensor) -> Tensor:
        return self.log_scale.exp() * self.tail.cosines(written, normalize(x, dim=-1))


class SetAttentionWriter(Writer):
    """Class means attend to one another and write the last layer (Ye et al., 2020, FEAT).   Chapter: 05"""

    def __init__(self, encoder: Encoder, *, hidden: int = 64, **losses: float) -> None:
        head, tail = SetAttention(encoder.dim, hidden=hidden), LastLayer(2 * hidden, encoder.dim)
        super().__init__(encoder, head, tail, **losses)
        self.name = "set attention"


class FiLMWriter(Writer):
    """A DeepSets head writes a scale and a shift of every feature (Requeima et al., 2019, CNAPs).   Chapter: 05"""

    def __init__(self, encoder: Encoder, *, hidden: int = 64, **losses: float) -> None:
        head, tail = DeepSets(encoder.dim, hidden=hidden), FiLM(2 * hidden, encoder.dim)
        super().__init__(encoder, head, tail, **losses)
        self.name = "FiLM"


class Mahalanobis(VectorWriter):
    """Logits -s/2 (x - μ_c)ᵀ (D Q_c)⁻¹ (x - μ_c), with Q_c = λ Σ_c + (1 - λ) Σ + ρ/D I and λ = K_c / (K_c + 1).

    Simple CNAPS (Bateni et al., 2020, section 3): a closed form writes a mean and a metric for each class, from the
    covariance Σ_c of its support vectors and Σ of all of them. s and ρ are learned.   Chapter: 05
    """

    def __init__(self, encoder: Encoder, **losses: float) -> None:
        super().__init__(encoder, **losses)
        self.name = "Mahalanobis"
        self.log_ridge = nn.Parameter(torch.zeros(()))
        self.log_scale = nn.Parameter(torch.tensor(10.0).log())

    def write(self, support: Tensor, members: Tensor) -> Written:
        x = normalize(support, dim=-1)
        centres, dim = means(x, members), x.shape[-1]  # [T, N, D]
        apart = (x - members @ centres)[:, None] * members.transpose(1, 2)[..., None]  # [T, N, M, D]
        number = members.sum(1)[..., None, None]  # [T, N, 1, 1]
        own = apart.transpose(2, 3) @ apart / (number - 1).clamp(min=1)  # [T, N, D, D]
        around = x - x.mean(1, keepdim=True)
        whole = around.transpose(1, 2) @ around / (x.shape[1] - 1)  # [T, D, D]
        share = number / (number + 1)
        metric = share * own + (1 - share) * whole[:, None]
        ridge = self.log_ridge.exp() * torch.eye(dim, dtype=x.dtype, device=x.device)
        whole_metric = finite({"metric": dim * metric + ridge}, self.name)["metric"]
        return {"centres": centres, "root": torch.linalg.cholesky(whole_metric)}

    def logits(self, written: Written, x: Tensor) -> Tensor:
        apart = normalize(x, dim=-1)[:, None] - written["centres"][:, :, None]  # [T, N, M, D]
        scaled = torch.linalg.solve_triangular(written["root"], apart.transpose(2, 3), upper=False)  # [T, N, D, M]
        return -self.log_scale.exp() / 2 * scaled.square().sum(2).transpose(1, 2)
