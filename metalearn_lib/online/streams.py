"""A stream: tasks that arrive one after another, each with texts to learn from and texts to be judged on.   Chapter 07

Class-incremental: every task brings classes of its own, and at the end one head must tell all of them apart.
Domain-incremental: the classes stay, the kind of text changes (van de Ven and Tolias, 2019).
"""

from __future__ import annotations

import hashlib
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from torch import Tensor

from metalearn_lib.corpora import Corpus
from metalearn_lib.errors import check_options

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Task:
    """Vectors x [n, D] and class numbers y [n] to learn from, in their order; test_x [m, D], test_y [m] to judge on."""

    name: str
    x: Array
    y: Array
    test_x: Array
    test_y: Array

    def __post_init__(self) -> None:
        for x, y in ((self.x, self.y), (self.test_x, self.test_y)):
            if x.ndim != 2 or y.ndim != 1 or not len(x) or len(x) != len(y):
                raise ValueError(f"task {self.name!r}: vectors {x.shape} with labels {y.shape}; give [n, D] and [n]")
            if not np.isfinite(x).all():
                raise ValueError(f"task {self.name!r}: a vector holds NaN or infinity; check the encoder")

    @property
    def classes(self) -> list[int]:
        """The numbers of the classes that are learned here, sorted."""
        return np.unique(self.y).tolist()

    def batches(self, size: int) -> Iterator[tuple[Array, Array]]:
        """The texts in their order, `size` at a time; the last batch may be smaller."""
        for start in range(0, len(self.y), size):
            yield self.x[start : start + size], self.y[start : start + size]


@dataclass(frozen=True, eq=False)
class Stream:
    """Tasks in the order in which they arrive, and the names of all their classes.

    A class may come back in a later task: what is said of "the classes seen so far" then counts it once. Raises
    ValueError for no task, vectors of different sizes, a class number outside `classes`, and two tasks with the same
    texts (which would be learned in one and judged in the other).
    """

    tasks: tuple[Task, ...]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.tasks:
            raise ValueError("Stream: no task; give one or more")
        if len(sizes := {x.shape[1] for task in self.tasks for x in (task.x, task.test_x)}) > 1:
            raise ValueError(f"Stream: vectors of {sorted(sizes)} numbers; encode all tasks alike")
        largest = max(int(max(task.y.max(), task.test_y.max())) for task in self.tasks)
        if largest >= len(self.classes):
            raise ValueError(f"Stream: class number {largest}, but {len(self.classes)} classes; numbers start at 0")
        seen: dict[bytes, str] = {}
        for task in self.tasks:
            if (first := seen.setdefault(_content(task.x, task.y), task.name)) != task.name:
                raise ValueError(f"Stream: {first!r} and {task.name!r} hold the same texts; leave one of them out")

    @property
    def dim(self) -> int:
        return int(self.tasks[0].x.shape[1])

    @cached_property
    def key(self) -> str:
        """A hash of all vectors and labels in their order: what was computed on one stream belongs to no other."""
        parts = [_content(*pair) for task in self.tasks for pair in ((task.x, task.y), (task.test_x, task.test_y))]
        return hashlib.sha256(b"".join(parts)).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.tasks)

    def joined(self, *, seed: int = 0) -> Stream:
        """All tasks as one, texts shuffled: what joint training sees. The tests stay one after another."""
        x, y, test_x, test_y = (
            np.concatenate([getattr(task, part) for task in self.tasks]) for part in ("x", "y", "test_x", "test_y")
        )
        order = np.random.default_rng(seed).permutation(len(y))
        return replace(self, tasks=(Task("all at once", x[order], y[order], test_x, test_y),))


def class_stream(
    corpus: Corpus,
    vectors: Tensor | Array,
    groups: Mapping[str, Sequence[str]],
    *,
    seed: int = 0,
    per_class: int = 100,
    test_share: float = 0.3,
    shuffle: bool = True,
) -> Stream:
    """A task for each group of classes, in an order drawn with `seed`; within a task the texts are shuffled.

    `vectors` [n, D] are those of the corpus's texts; of each class at most `per_class` texts are used, and
    `test_share` of these for the test. With `shuffle=False` the groups come in the order given. Raises ValueError for a
    class in two groups, an unknown class, a class too small to be divided.   Chapter: 07
    """
    check_options("class_stream", seed=seed, per_class=per_class, least=2)
    labels = Counter(label for group in groups.values() for label in group)
    if twice := sorted(label for label, times in labels.items() if times > 1):
        raise ValueError(f"class_stream: {twice[0]!r} is in two groups; a class that comes back is made with Stream(…)")
    keys = {label: (group, label) for group, members in groups.items() for label in members}
    if unknown := sorted(set(keys).difference(corpus.labels)):
        raise ValueError(f"class_stream: {corpus.name!r} has no class {unknown[0]!r}")
    pairs = [keys.get(label) for label in corpus.labels]
    return _stream(pairs, vectors, seed, per_class, test_share, None if shuffle else list(groups))


def domain_stream(
    corpus: Corpus,
    vectors: Tensor | Array,
    *,
    seed: int = 0,
    per_class: int = 100,
    test_share: float = 0.3,
) -> Stream:
    """A task for each domain, in an order drawn with `seed`; `per_class` texts of every class and domain.   Chapter: 07

    Raises ValueError for a corpus without domains.
    """
    check_options("domain_stream", seed=seed, per_class=per_class, least=2)
    if corpus.domains is None:
        raise ValueError(f"domain_stream: {corpus.name!r} has no domains; use one that has, or class_stream")
    keys = list(zip(corpus.domains, corpus.labels, strict=True))
    return _stream(keys, vectors, seed, per_class, test_share, order=None)


def news_groups(corpus: Corpus, *, seed: int = 0) -> dict[str, list[str]]:
    """Seven groups of the classes of "news46": four families of newsgroups, three random thirds of Reuters' topics."""
    families = {
        "computers": ("comp.",),
        "recreation": ("rec.",),
        "science": ("sci.",),
        "society": ("alt.", "misc.", "soc.", "talk."),
    }
    groups = {name: [c for c in corpus.classes if c.startswith(prefix)] for name, prefix in families.items()}
    topics = sorted(set(corpus.classes).difference(*groups.values()))
    mixed = np.random.default_rng(seed).permutation(topics).tolist()
    return groups | {f"wire {number + 1}": sorted(mixed[number::3]) for number in range(3)}


def clinc_domains() -> dict[str, list[str]]:
    """The ten domains of CLINC150, fifteen intents each (Larson et al., 2019)."""
    return tomllib.loads((Path(__file__).parent / "clinc_domains.toml").read_text(encoding="utf-8"))


def _stream(
    keys: Sequence[tuple[str, str] | None],
    vectors: Tensor | Array,
    seed: int,
    per_class: int,
    test_share: float,
    order: Sequence[str] | None,
) -> Stream:
    """A stream of the texts that have a key (task, class), the tasks in this order or in one drawn with the seed."""
    x = np.asarray(vectors, dtype=np.float32)
    if len(x) != len(keys):
        raise ValueError(f"stream: {len(x)} vectors for {len(keys)} texts; give one a text")
    if not 0 < test_share < 1:
        raise ValueError(f"stream(test_share={test_share}): must be a share between 0 and 1")
    random = np.random.default_rng(seed)
    places: dict[tuple[str, str], list[int]] = {}
    for place, key in enumerate(keys):
        if key is not None:
            places.setdefault(key, []).append(place)
    names = tuple(sorted({label for _, label in places}))
    parts: dict[str, tuple[list[int], list[int]]] = {}
    for (task, label), rows in sorted(places.items()):
        chosen = random.permutation(rows)[:per_class].tolist()
        cut = round(test_share * len(chosen))
        if not 0 < cut < len(chosen):
            raise ValueError(f"stream: {label!r} in {task!r} has {len(chosen)} texts; too few to learn and to test")
        learn, test = parts.setdefault(task, ([], []))
        test += chosen[:cut]
        learn += chosen[cut:]
    number = {label: place for place, label in enumerate(names)}
    y = np.array([-1 if key is None else number[key[1]] for key in keys])
    tasks = []
    for task in random.permutation(sorted(parts)).tolist() if order is None else order:
        learned, tested = random.permutation(parts[task][0]), np.array(parts[task][1])
        tasks.append(Task(task, x[learned], y[learned], x[tested], y[tested]))
    return Stream(tuple(tasks), names)


def _content(x: Array, y: Array) -> bytes:
    """A hash of the rows as a set of texts with labels, in their order."""
    return hashlib.sha256(x.tobytes() + np.asarray(y, np.int64).tobytes()).digest()
