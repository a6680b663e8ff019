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
        inner_loop,
        language_models,
        learners,
        meta_embeddings,
        meta_networks,
        meta_optimizers,
        online,
        plots,
        tagging,
        text,
        transfer,
        translation,
        widgets,
    )
    from metalearn_lib.choosing import recommended
    from metalearn_lib.classification import Classifier
    from metalearn_lib.episodes import (
        DomainSampler,
        Episodes,
        EpisodeSampler,
        RegressionSampler,
        SinusoidSampler,
        guards,
    )
    from metalearn_lib.evaluation import evaluate
    from metalearn_lib.learners import (
        ANIL,
        MAML,
        Blend,
        DistributionalSignatures,
        FineTuned,
        GloveCentroid,
        LabelPrototypes,
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
    from metalearn_lib.optimise import History
    from metalearn_lib.scores import Comparison, Score, above, below, best, every, within
    from metalearn_lib.training import Trainings, meta_train, trainings

__version__ = "0.2.0"

# Public names, by the room in which they live; a room of its own name is a module.
_HOMES = {
    "": "classification corpora distillation encoders inner_loop language_models learners meta_embeddings "
    "meta_networks meta_optimizers online plots tagging text transfer translation widgets",
    "choosing": "recommended",
    "classification": "Classifier",
    "episodes": "DomainSampler Episodes EpisodeSampler RegressionSampler SinusoidSampler",
    "evaluation": "evaluate",
    "learners": "ANIL MAML Blend DistributionalSignatures FineTuned GloveCentroid LabelPrototypes Learner "
    "LogisticRegression Matching MetaSGD MultiTask NearestNeighbour Prototypical Relation Reptile Ridge TextModel "
    "TfidfCentroid mlp",
    "meta_embeddings": "MetaEmbedding",
    "optimise": "History",
    "scores": "Comparison Score above below best every within",
    "training": "Trainings meta_train trainings",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()} | {"guards": "episodes"}
__all__ = [*_HOME_OF]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOME_OF[name]
    if not home or name == "guards":
        return import_module(".".join(filter(None, (__name__, home, name))))
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
