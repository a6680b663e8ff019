"""Transfer: what one corpus taught a model, used on another.   Chapter 09

Parameters, features or structure are carried over (`carry_over`); `carried` tries all kinds beside random weights.
Layers wake one by one, each at its own rate (`gradual`, `discriminative`); a measure tells beforehand whether it will
help (`h_score`, `leep`, `proxy_a_distance`). Class names as first examples: `learners.LabelPrototypes`.
"""

from metalearn_lib.transfer.carry import carry_over
from metalearn_lib.transfer.measures import h_score, leep, proxy_a_distance
from metalearn_lib.transfer.rates import discriminative, gradual, layer_groups, slanted_triangular
from metalearn_lib.transfer.trials import KINDS, carried, frozen_vectors, mean_over_draws

__all__ = [
    "KINDS", "carried", "carry_over", "discriminative", "frozen_vectors", "gradual", "h_score", "layer_groups", "leep",
    "mean_over_draws", "proxy_a_distance", "slanted_triangular",
]  # fmt: skip
