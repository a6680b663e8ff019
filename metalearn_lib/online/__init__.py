"""Online learning: texts come once, in tasks, and what was learned must not be lost.   Chapter 07

`class_stream` and `domain_stream` make a stream, `run` leads a learner through it → `AccuracyMatrix`. Learners that
are networks: `FineTuning`, `Replay`, `MetaExperienceReplay`, `AGem`, `ElasticWeights`; class statistics:
`NearestClassMean`, `StreamingLda`. `meta_train_online` is OML; `TaskGraph` tells from which task to start.
"""

from metalearn_lib.online.aware import Representation, meta_train_online, online_head, pretrain_jointly
from metalearn_lib.online.graph import LIKENESSES, STARTS, TaskGraph
from metalearn_lib.online.learners import (
    AGem,
    ElasticWeights,
    FineTuning,
    MetaExperienceReplay,
    OnlineLearner,
    Replay,
    Reservoir,
)
from metalearn_lib.online.measures import AccuracyMatrix, run
from metalearn_lib.online.network import Network
from metalearn_lib.online.statistics import NearestClassMean, StreamingLda
from metalearn_lib.online.streams import Stream, Task, class_stream, clinc_domains, domain_stream, news_groups

__all__ = [
    "LIKENESSES", "STARTS", "AGem", "AccuracyMatrix", "ElasticWeights", "FineTuning", "MetaExperienceReplay",
    "NearestClassMean", "Network", "OnlineLearner", "Replay", "Representation", "Reservoir", "Stream",
    "StreamingLda", "Task", "TaskGraph", "class_stream", "clinc_domains", "domain_stream", "meta_train_online",
    "news_groups", "online_head", "pretrain_jointly", "run",
]  # fmt: skip
