"""Hidden states as targets: a student's inner layer follows a teacher's middle layer, its output the last.   Chapter 08

FitNets (Romero et al., 2015), whose "hint" is a middle layer; texts stand in the place of images, and both parts of the
loss are learned at once, where the paper learns the hint first.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, normalize

from metalearn_lib.corpora import Corpus
from metalearn_lib.distillation.soft_targets import check_pool
from metalearn_lib.encoders import Encoder, Transformer
from metalearn_lib.encoders.base import OnTop
from metalearn_lib.encoders.cache import EncodingCache
from metalearn_lib.errors import check_options
from metalearn_lib.optimise import descend, in_training
from metalearn_lib.progress import progress_bar


class MiddleLayer(Transformer):
    """The mean of a frozen Transformer's hidden states after its first `layer` layers, scaled to length 1.

    The layers above it are left out, so it costs their time less. For models that keep their layers in
    `encoder.layer`, as BERT and MiniLM do. Raises ValueError for a layer that the model does not have.   Chapter: 08
    """

    def __init__(self, layer: int, *, max_length: int = 128, cache: bool = True, progress: bool = True) -> None:
        super().__init__("minilm", max_length=max_length, cache=False, progress=progress)
        layers = self.model.encoder.layer
        if not 1 <= layer <= len(layers):
            raise ValueError(f"MiddleLayer(layer={layer}): the model has the layers 1 … {len(layers)}")
        self.model.encoder.layer = layers[:layer]
        self.layer = layer
        self.cache = EncodingCache(f"{self._key()}-layer{layer}") if cache else None


class Hinted(OnTop):
    """A student encoder, a hidden layer on top of it, and a linear map into its teacher's space.   Chapter: 08

    `hint` maps the student's own vectors into the space of the teacher's middle layer; it is needed while learning.
    """

    def __init__(self, encoder: Encoder, *, hidden: int, middle_dim: int, dim: int) -> None:
        super().__init__(encoder)
        self.dim = dim
        self.hint = nn.Linear(encoder.dim, middle_dim)
        self.inner = nn.Linear(encoder.dim, hidden)
        self.projection = nn.Linear(hidden, dim)

    def encode(self, prepared: Tensor) -> Tensor:
        return self._output(self.encoder.encode(prepared))

    def both(self, prepared: Tensor) -> tuple[Tensor, Tensor]:
        """Prepared inputs → what follows the middle layer [B, D'], and what follows the last [B, D]."""
        own = self.encoder.encode(prepared)
        return self.hint(own), self._output(own)

    def _output(self, own: Tensor) -> Tensor:
        return normalize(self.projection(self.inner(own).relu()), dim=-1)


def match_hidden(
    student: Encoder,
    teacher: Encoder,
    middle: Encoder,
    pool: Corpus,
    *,
    weight: float = 1.0,
    hidden: int = 128,
    epochs: int,
    rate: float = 1e-2,
    batch_size: int = 64,
    seed: int = 0,
    progress: bool = True,
) -> Hinted:
    """Train a deeper student: its output follows the teacher's, and its inner vectors the teacher's `middle` layer.

    The loss is 1 − cosine at the output plus `weight` times 1 − cosine at the hint; no label is used. With `weight=0`
    the same student, from the same start, follows the output alone: the control. Raises ValueError for an empty pool,
    a negative weight or options out of range, or TrainingDiverged.   Chapter: 08
    """
    check_options("match_hidden", hidden=hidden, epochs=epochs, rate=rate, batch_size=batch_size, seed=seed)
    check_pool(pool, "match_hidden")
    if weight < 0:
        raise ValueError(f"match_hidden(weight={weight}): 0 leaves the hint out; a negative weight would drive it away")
    last, inside = teacher.embed(pool), middle.embed(pool)
    prepared = student.inputs(pool)
    generator = torch.Generator().manual_seed(seed)
    with in_training(student, seed=seed):
        hinted = Hinted(student, hidden=hidden, middle_dim=middle.dim, dim=teacher.dim).to(prepared.device)

        def loss(rows: Tensor) -> Tensor:
            own, output = hinted.both(hinted.trimmed(prepared[rows]))
            far = (1 - cosine_similarity(output, last[rows], dim=-1)).mean()
            if not weight:
                return far
            return far + weight * (1 - cosine_similarity(own, inside[rows], dim=-1)).mean()

        parameters = [p for name, p in hinted.named_parameters() if weight or not name.startswith("hint.")]
        optimizer = torch.optim.Adam(parameters, lr=rate, fused=True)  # faster on a table of words
        for _ in progress_bar(range(epochs), "match", show=progress):
            batches = torch.randperm(len(pool), generator=generator).split(batch_size)
            list(descend(loss, batches, optimizer, who="match_hidden"))
    return hinted.eval()
