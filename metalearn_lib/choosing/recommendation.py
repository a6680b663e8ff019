"""The course's recommendation as one call: several views of a text blended, their shape chosen on validation classes.

Counted words, averaged word vectors, a small network and, where one is given, a pretrained encoder see different
things. Which of them to use, in which variant and with which weight, is decided by a search that anyone can run again:
nothing is declared by hand.   Chapters 04, 12
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from metalearn_lib.choosing import views
from metalearn_lib.choosing.bench import Bench
from metalearn_lib.choosing.search import Chosen, Shape, View, choose, judges
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Averaged, Encoder
from metalearn_lib.errors import check_options

COVERED = 0.5  # of the training texts must have a word with a vector, or word vectors are left out


def recommended(
    train: Corpus,
    valid: Corpus | None = None,
    encoder: Encoder | None = None,
    *,
    episodes: int = 400,
    seed: int = 0,
) -> Chosen:
    """Build the blend from the training classes and choose its shape on the validation classes.

    `encoder`: a pretrained, frozen encoder; without one, counted words, GloVe vectors and a small CNN are blended. The
    search draws `episodes` validation episodes at 1 and as many at 5 shots, and takes the shape with the best mean
    accuracy (see `choose`, also for few or no validation classes). Views of word vectors are left out where most texts
    have no word with a vector; those that are trained, where fewer than two classes have ten texts.

    Returns a learner that is ready; `print` it to see its shape. Raises ValueError for fewer than two classes on either
    side, classes with a single text, and an encoder that tells no texts apart.   Chapters: 04, 12
    """
    check_options("recommended", episodes=episodes)
    return choose(Bench(train, valid, encoder), shapes if encoder is None else shapes_with_encoder,
                  episodes=episodes, seed=seed)  # fmt: skip


class _Slot(NamedTuple):
    """A place in the blend: the views to choose from, and their weights beside the first slot's 1; 0: left out."""

    views: tuple[View, ...]
    weights: tuple[float, ...]


_COUNTED: tuple[View, ...] = tuple((views.counted, (power,)) for power in (1.0, 1.5, 2.0))


def shapes(bench: Bench) -> Iterator[Shape]:
    """What may be blended without a pretrained encoder."""
    slots = [_Slot(_COUNTED, (1.0,)), _Slot(_words(bench), (0.0, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0))]
    if _covered(bench.train) and _trainable(bench):
        slots.append(_Slot(((views.network, ()),), (0.0, 0.25, 0.5, 1.0, 2.0)))
    return _every_choice(slots)


def shapes_with_encoder(bench: Bench) -> Iterator[Shape]:
    """What may be blended with one. Raises ValueError for an encoder that tells no texts apart."""
    assert bench.encoder is not None, "the bench has no pretrained encoder"
    _check(bench.encoder, bench.train)
    slots = [_Slot(((views.pretrained, ()), (views.centred, ())), (1.0,))]
    if _trainable(bench):
        slots.append(_Slot(((views.mapped, ()),), (0.0, 0.5, 1.0, 2.0)))
    slots.append(_Slot(_COUNTED, (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)))
    return _every_choice([*slots, _Slot(_words(bench), (0.0, 0.1, 0.2, 0.4))])


def _every_choice(slots: list[_Slot]) -> Iterator[Shape]:
    """A view and a weight for each slot; a weight of 0 leaves the slot out."""
    choices = []
    for slot in slots:
        some = [((view, weight),) for view, weight in product(slot.views, slot.weights) if weight]
        choices.append([(), *some] if 0.0 in slot.weights else some)
    for parts in product(*choices):
        yield tuple(member for part in parts for member in part)


def _words(bench: Bench) -> tuple[View, ...]:
    """Views of word vectors, those with a meta-trained map last; none where the vectors know too few words."""
    if not _covered(bench.train):
        return ()
    plain: list[View] = [(views.words, pair) for pair in product(("sif", "idf"), (0.3, 0.5))]
    maps: list[View] = [(views.mapped_words, (weighting, 0.3)) for weighting in ("sif", "idf")]
    return (*plain, *(maps if _trainable(bench) else ()))


def _covered(corpus: Corpus) -> bool:
    return float((Averaged().embed(corpus.texts) != 0).any(1).double().mean()) >= COVERED


def _trainable(bench: Bench) -> bool:
    """Whether all who judge have two classes with texts enough for the episodes that train a view."""
    return all(len(judge.train.min_size(10).classes) >= 2 for judge, _ in judges(bench))


def _check(encoder: Encoder, corpus: Corpus) -> None:
    vectors = encoder.embed(corpus.texts[:200])
    if bool((vectors == vectors[:1]).all()):
        raise ValueError(
            f"recommended: the encoder tells no texts apart (the first {len(vectors)} of {corpus.name!r}); does it "
            "know the words of these texts?"
        )
