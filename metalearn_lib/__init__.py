"""metalearn_lib: meta-learning for text, the library behind the course "Learning to Learn from Text".

Corpus → EpisodeSampler → Episodes → Encoder → Learner → meta_train / evaluate → Score.
Names are imported on first use, so that `import metalearn_lib` costs nothing beyond torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metalearn_lib import corpora, encoders, guards, language_models, learners, plots, text, widgets
    from metalearn_lib.domains import DomainSampler, RegressionSampler
    from metalearn_lib.episodes import Episodes, EpisodeSampler
    from metalearn_lib.evaluation import Comparison, Score, evaluate
    from metalearn_lib.learners import (
        Blend,
        DistributionalSignatures,
        FineTuned,
        GloveCentroid,
        Learner,
        LogisticRegression,
        Matching,
        NearestNeighbour,
        Prototypical,
        Relation,
        Ridge,
        TfidfCentroid,
    )
    from metalearn_lib.training import History, meta_train

__version__ = "0.1.0"

_MODULES = ("corpora", "encoders", "guards", "language_models", "learners", "plots", "text", "widgets")
_HOMES = {
    "domains": ("DomainSampler", "RegressionSampler"),
    "episodes": ("Episodes", "EpisodeSampler"),
    "evaluation": ("Comparison", "Score", "evaluate"),
    "training": ("History", "meta_train"),
    "learners": (
        "Blend",
        "DistributionalSignatures",
        "FineTuned",
        "GloveCentroid",
        "Learner",
        "LogisticRegression",
        "Matching",
        "NearestNeighbour",
        "Prototypical",
        "Relation",
        "Ridge",
        "TfidfCentroid",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Blend",
    "Comparison",
    "DistributionalSignatures",
    "DomainSampler",
    "EpisodeSampler",
    "Episodes",
    "FineTuned",
    "GloveCentroid",
    "History",
    "Learner",
    "LogisticRegression",
    "Matching",
    "NearestNeighbour",
    "Prototypical",
    "RegressionSampler",
    "Relation",
    "Ridge",
    "Score",
    "TfidfCentroid",
    "corpora",
    "encoders",
    "evaluate",
    "guards",
    "language_models",
    "learners",
    "meta_train",
    "plots",
    "text",
    "widgets",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _HOME_OF:
        return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
