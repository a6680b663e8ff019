"""metalearn_lib: meta-learning for text, the library behind the course "Learning to Learn from Text".

Corpus → EpisodeSampler → Episodes → Encoder → Learner → meta_train / evaluate → Score.
Names are imported on first use, so that `import metalearn_lib` costs nothing beyond torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metalearn_lib import (
        classification,
        corpora,
        distillation,
        encoders,
        guards,
        inner_loop,
        language_models,
        learners,
        meta_embeddings,
        meta_optimizers,
        plots,
        text,
        transfer,
        widgets,
    )
    from metalearn_lib.classification import Classifier
    from metalearn_lib.domains import DomainSampler, RegressionSampler, SinusoidSampler
    from metalearn_lib.episodes import Episodes, EpisodeSampler
    from metalearn_lib.evaluation import Comparison, Score, evaluate
    from metalearn_lib.learners import (
        ANIL,
        MAML,
        Blend,
        DistributionalSignatures,
        FineTuned,
        GloveCentroid,
        Learner,
        LogisticRegression,
        Matching,
        MetaSGD,
        MultiTask,
        NearestNeighbour,
        Prototypical,
        Relation,
        Reptile,
        Ridge,
        TextModel,
        TfidfCentroid,
        mlp,
    )
    from metalearn_lib.meta_embeddings import MetaEmbedding
    from metalearn_lib.training import History, meta_train
    from metalearn_lib.transfer import LabelPrototypes

__version__ = "0.1.0"

_MODULES = (
    "classification",
    "corpora",
    "distillation",
    "encoders",
    "guards",
    "inner_loop",
    "language_models",
    "learners",
    "meta_embeddings",
    "meta_optimizers",
    "plots",
    "text",
    "transfer",
    "widgets",
)
_HOMES = {
    "classification": ("Classifier",),
    "domains": ("DomainSampler", "RegressionSampler", "SinusoidSampler"),
    "episodes": ("Episodes", "EpisodeSampler"),
    "evaluation": ("Comparison", "Score", "evaluate"),
    "meta_embeddings": ("MetaEmbedding",),
    "training": ("History", "meta_train"),
    "transfer": ("LabelPrototypes",),
    "learners": (
        "ANIL",
        "MAML",
        "Blend",
        "DistributionalSignatures",
        "FineTuned",
        "GloveCentroid",
        "Learner",
        "LogisticRegression",
        "Matching",
        "MetaSGD",
        "MultiTask",
        "NearestNeighbour",
        "Prototypical",
        "Relation",
        "Reptile",
        "Ridge",
        "TextModel",
        "TfidfCentroid",
        "mlp",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ANIL",
    "MAML",
    "Blend",
    "Classifier",
    "Comparison",
    "DistributionalSignatures",
    "DomainSampler",
    "EpisodeSampler",
    "Episodes",
    "FineTuned",
    "GloveCentroid",
    "History",
    "LabelPrototypes",
    "Learner",
    "LogisticRegression",
    "Matching",
    "MetaEmbedding",
    "MetaSGD",
    "MultiTask",
    "NearestNeighbour",
    "Prototypical",
    "RegressionSampler",
    "Relation",
    "Reptile",
    "Ridge",
    "Score",
    "SinusoidSampler",
    "TextModel",
    "TfidfCentroid",
    "classification",
    "corpora",
    "distillation",
    "encoders",
    "evaluate",
    "guards",
    "inner_loop",
    "language_models",
    "learners",
    "meta_embeddings",
    "meta_optimizers",
    "meta_train",
    "mlp",
    "plots",
    "text",
    "transfer",
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
