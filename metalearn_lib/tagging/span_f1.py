"""The F1 of spans: a span counts only where both ends and the type are right.   Chapter 10

Tjong Kim Sang and De Meulder (2003), as conlleval and seqeval count it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from metalearn_lib.corpora.bio import chunks
from metalearn_lib.errors import check_options
from metalearn_lib.evaluation import Learner
from metalearn_lib.modules import evaluating
from metalearn_lib.progress import progress_bar
from metalearn_lib.scores import Score
from metalearn_lib.tagging.episodes import TagEpisodes, TagTasks
from metalearn_lib.tagging.transitions import Transitions


def span_f1(truth: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> float:
    """2 · hits / (spans predicted + true spans) over all sentences, 0 … 1; 0 where there is no span at all.

    Any tags can be scored: an "I-x" after anything but "B-x" and "I-x" begins a span. Raises ValueError where a
    sentence has another number of tags than its truth.   Chapter: 10

    >>> span_f1([["B-city", "I-city", "O"]], [["B-city", "O", "O"]])
    0.0
    """
    if [len(tags) for tags in truth] != [len(tags) for tags in predicted]:
        raise ValueError("span_f1: predicted and true tags differ in number; give one a token, sentence by sentence")
    hits = total = 0
    for right, guess in zip(truth, predicted, strict=True):
        true, found = set(chunks(right)), set(chunks(guess))
        hits += len(true & found)
        total += len(true) + len(found)
    return 2 * hits / total if total else 0.0


def tag(
    learner: Learner, episode: TagEpisodes, transitions: Transitions | None = None, *, scale: float = 1.0
) -> list[list[str]]:
    """The tags that a learner of tokens gives to each query sentence; without transitions each token's best one.

    `scale` multiplies the logits before they become log-probabilities: those of distances need it beside transitions.
    """
    (decoded,) = _decoded(learner, episode, [transitions], scale)
    return decoded


def span_scores(
    learner: Learner,
    sampler: TagTasks,
    decoders: Mapping[str, Transitions | None],
    *,
    episodes: int = 100,
    first: int = 0,
    scale: float = 1.0,
    progress: bool = False,
) -> dict[str, Score]:
    """The span F1 of each episode, decoded in several ways from the same predictions: name → `Score`.   Chapter: 10

    The scores of all decoders, and of learners on the same episodes, are compared in pairs. Raises ValueError for a
    prediction that is not finite, a class too many, and fewer than two episodes.
    """
    check_options("span_scores", episodes=episodes)
    check_options("span_scores", least=0, first=first)
    values: dict[str, list[float]] = {name: [] for name in decoders}
    with evaluating(learner):
        for number in progress_bar(range(first, first + episodes), f"tag with {learner.name}", show=progress):
            episode = sampler.sample(first=number)
            decoded = _decoded(learner, episode, list(decoders.values()), scale)
            for name, tags in zip(decoders, decoded, strict=True):
                values[name].append(span_f1(episode.truth, tags))
    key = (*sampler.key, first, "span F1")
    return {
        name: Score.of(found, name=f"{learner.name}, {name}", key=key, over="episodes")
        for name, found in values.items()
    }


def _decoded(
    learner: Learner, episode: TagEpisodes, decoders: Sequence[Transitions | None], scale: float
) -> list[list[list[str]]]:
    if not scale > 0:
        raise ValueError(f"scale={scale}: must be > 0; at 0 the transitions alone decide")
    moved: Any = episode.to(learner.device)
    logits = learner.predict(moved)[0].detach().cpu()  # [L, N]
    if logits.shape != (episode.query_x.shape[1], len(episode.tags)):
        raise ValueError(
            f"{learner.name} gave logits {list(logits.shape)} for {episode.query_x.shape[1]} tokens and "
            f"{len(episode.tags)} tags: was it made for the tags of another episode? every_tag=True gives all as many"
        )
    if torch.isnan(logits).any() or not torch.isfinite(logits.max(1).values).all():
        raise ValueError(f"{learner.name} predicted NaN or infinity; check its inputs")
    emissions: Tensor = (scale * logits).log_softmax(1)
    parts = emissions.split([len(tags) for tags in episode.truth])
    greedy = [[episode.tags[y] for y in part.argmax(1).tolist()] for part in parts]
    return [greedy if decoder is None else decoder.decode(parts, episode.tags) for decoder in decoders]
