"""Episodes: small tasks drawn from corpora, seeded and numbered; guards against leaks.   Chapters 01, 03, 04"""

from metalearn_lib.episodes.batch import Episodes
from metalearn_lib.episodes.domains import DomainSampler, RegressionSampler, SinusoidSampler
from metalearn_lib.episodes.sampling import EpisodeSampler, Sampler, TaskSampler, positions

__all__ = [
    "DomainSampler",
    "EpisodeSampler",
    "Episodes",
    "RegressionSampler",
    "Sampler",
    "SinusoidSampler",
    "TaskSampler",
    "positions",
]
