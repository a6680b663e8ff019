"""What holds of every learner, on two episodes of three ways, three shots and twelve queries."""

from dataclasses import replace

import torch
from torch.testing import assert_close

from metalearn_lib.episodes import Episodes
from metalearn_lib.learners import Learner


def renaming_the_classes_renames_the_logits(learner: Learner, episodes: Episodes, **tolerance: float) -> None:
    order = torch.tensor([2, 0, 1])
    renamed = replace(episodes, support_y=order[episodes.support_y])
    assert_close(learner.predict(renamed)[..., order], learner.predict(episodes), **tolerance)


def the_order_of_the_support_set_does_not_matter(learner: Learner, episodes: Episodes, **tolerance: float) -> None:
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    shuffled = replace(episodes, support_x=episodes.support_x[:, order], support_y=episodes.support_y[:, order])
    assert_close(learner.predict(shuffled), learner.predict(episodes), **tolerance)


def other_queries_and_tasks_do_not_matter(learner: Learner, episodes: Episodes, second: Episodes) -> None:
    """`second`: the second of the episodes, drawn alone."""
    logits = learner.predict(episodes)
    assert logits.shape == (2, 12, 3) and torch.isfinite(logits).all()
    assert_close(learner.predict(second)[0], logits[1], atol=1e-4, rtol=1e-4)
    first = replace(episodes, query_x=episodes.query_x[:, :1], query_y=episodes.query_y[:, :1])
    assert_close(learner.predict(first), logits[:, :1], atol=1e-4, rtol=1e-4)
