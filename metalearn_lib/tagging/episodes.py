"""Few-shot episodes of tagged sentences: as few sentences as hold every type K times, and others to tag.   Chapter 10

An episode is an `Episodes` of its tokens, so every learner of the course labels tokens as it labels texts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from metalearn_lib.corpora import Annotation, Corpus, CorpusError, PredicateRoles, Span
from metalearn_lib.corpora.annotated import PublishedEpisodes
from metalearn_lib.corpora.bio import OUTSIDE, chunks, tagged, word_places
from metalearn_lib.episodes import Episodes
from metalearn_lib.errors import check_options
from metalearn_lib.tagging.marks import mark

UNKNOWN = -100  # the class of a query token whose tag no support token has; losses pass it over


@dataclass(frozen=True, eq=False)
class Sentences:
    """Tagged sentences, and each of their tokens as a text: the sentence with the token marked.   Chapter: 10

    `tokens` labels a token with its BIO tag. The tokens of sentence s are number `starts[s]` … `starts[s + 1] - 1`.

    >>> two = Sentences.of(Corpus("two", ["to New York", "now"], ["a", "a"], annotations=[(Span(3, 11, "city"),), ()]))
    >>> two.tokens.texts[1], two.tags(0), two.types()
    ('to ⟦New⟧ York', ['O', 'B-city', 'I-city'], ['city'])
    """

    tokens: Corpus
    starts: Sequence[int]

    @classmethod
    def of(cls, corpus: Corpus) -> Sentences:
        """The sentences of a corpus whose annotations are spans; white space separates tokens.

        Raises `CorpusError` for other annotations, a text without a token, spans that overlap or cut a token.
        """
        sentences = []
        for text, annotation in zip(corpus.texts, _annotations(corpus), strict=True):
            parts = annotation if isinstance(annotation, tuple) else (annotation,)
            spans = [part for part in parts if isinstance(part, Span)]
            if len(spans) < len(parts):
                raise CorpusError(
                    f"{corpus.name!r} marks something else than spans: {annotation!r:.80}; "
                    "use Sentences.of_roles for roles, relation_view for relations"
                )
            sentences.append((*tagged(text, spans), None))
        return cls._made(corpus.name, sentences)

    @classmethod
    def of_roles(cls, corpus: Corpus, sense: str, roles: Sequence[str] = ("ARG0", "ARG1", "ARG2")) -> Sentences:
        """A sentence for each use of a predicate ("come.03") in a corpus with roles; the predicate is the second mark.

        A role marks the head word of an argument alone, so every tag is "O" or "B-role", and the F1 of spans is that of
        words. Uses without one of the roles are left out. Raises `CorpusError` where no use is left.
        """
        sentences = []
        for text, annotation in zip(corpus.texts, _annotations(corpus), strict=True):
            for use in annotation if isinstance(annotation, tuple) else ():
                if isinstance(use, PredicateRoles) and use.predicate.label == sense:
                    spans = [span for span in use.arguments if span.label in roles]
                    if spans:
                        sentences.append((*tagged(text, spans), use.predicate))
        if not sentences:
            raise CorpusError(f"{corpus.name!r} has no use of {sense!r} with one of the roles {list(roles)}")
        return cls._made(f"{corpus.name}, {sense}", sentences)

    @classmethod
    def _made(cls, name: str, sentences: Iterable[tuple[list[str], list[str], Span | None]]) -> Sentences:
        texts: list[str] = []
        labels: list[str] = []
        starts = [0]
        for words, tags, predicate in sentences:
            if not words:
                raise CorpusError(f"{name!r}: a text without a token; leave it out")
            text, also = " ".join(words), [predicate] if predicate else []
            texts += [mark(text, [Span(*place), *also]) for place in word_places(text)]
            labels += tags
            starts.append(len(texts))
        return cls(Corpus(name, texts, labels), starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def tags(self, sentence: int) -> list[str]:
        """The BIO tags of a sentence."""
        return list(self.tokens.labels[self.starts[sentence] : self.starts[sentence + 1]])

    @cached_property
    def counts(self) -> list[Counter[str]]:
        """How many spans of each type each sentence holds."""
        return [Counter(kind for _, _, kind in chunks(self.tags(s))) for s in range(len(self))]

    def types(self, least: int = 1) -> list[str]:
        """The types with at least so many spans, sorted."""
        total = sum(self.counts, Counter())
        return sorted(kind for kind, number in total.items() if number >= least)


def _annotations(corpus: Corpus) -> Sequence[Annotation]:
    if corpus.annotations is None:
        raise CorpusError(f"{corpus.name!r} has no annotations; load it with corpora.annotated.load")
    return corpus.annotations


def masked(tags: Sequence[str], types: Iterable[str]) -> list[str]:
    """The tags as an episode with these types sees them: all other spans are outside.

    >>> masked(["B-city", "I-city", "B-date"], ["date"])
    ['O', 'O', 'B-date']
    """
    kept = set(types)
    return [tag if tag.partition("-")[2] in kept else OUTSIDE for tag in tags]


@dataclass(frozen=True, eq=False)
class TagEpisodes(Episodes):
    """One episode: the tokens of its sentences, one after another, as examples of the N classes `tags`.

    support_x [1, M] and query_x [1, L] are tokens, support_y and query_y their tags; a query token whose tag is not
    among `tags` has the class -100. `known` and `truth` hold the BIO tags of each support and query sentence, also
    those without a class.   Chapter: 10
    """

    tags: tuple[str, ...] = ()
    known: tuple[tuple[str, ...], ...] = ()
    truth: tuple[tuple[str, ...], ...] = ()

    @property
    def classes(self) -> list[list[str]]:
        return [list(self.tags)]


class TagTasks:
    """What draws numbered episodes of tagged sentences; a subclass says which sentences and types (`task`).

    The classes of an episode are the tags that its support set holds; with `every_tag=True` they are O, B and I of
    every type, as a head of fixed size needs them (MAML), even if no support token is an example of one.
    """

    def __init__(self, sentences: Sentences, *, k_shot: int, every_tag: bool = False) -> None:
        self.sentences, self.k_shot, self.every_tag = sentences, k_shot, every_tag

    @property
    def key(self) -> tuple[object, ...]:
        """Samplers with equal keys draw the same episodes."""
        return (type(self).__name__, self.sentences.tokens.identity, self.k_shot, self.every_tag)

    def task(self, number: int) -> tuple[Sequence[int], Sequence[int], Sequence[str]]:
        """Support sentences, query sentences and types of an episode."""
        raise NotImplementedError

    def sample(self, tasks: int = 1, *, first: int = 0) -> TagEpisodes:
        """Episode number `first`; one at a time, because sentences differ in length."""
        check_options("sample", least=0, first=first)
        if tasks != 1:
            raise ValueError(
                f"sample(tasks={tasks}): sentences differ in length, so an episode comes alone; score with "
                "span_scores, meta-train with tasks_per_step=1"
            )
        support, query, types = self.task(int(first))
        known = [masked(self.sentences.tags(s), types) for s in support]
        truth = [masked(self.sentences.tags(s), types) for s in query]
        seen = {tag for tags in known for tag in tags}
        every = [OUTSIDE, *(f"{prefix}-{kind}" for kind in types for prefix in "BI")]
        tags = every if self.every_tag else [tag for tag in every if tag in seen]
        number = {tag: place for place, tag in enumerate(tags)}

        def classes(sequences: Sequence[Sequence[str]]) -> torch.Tensor:
            return torch.tensor([[number.get(tag, UNKNOWN) for tags in sequences for tag in tags]])

        return TagEpisodes(
            self._tokens(support), classes(known), self._tokens(query), classes(truth), len(tags), self.k_shot,
            self.sentences.tokens, tuple(tags), tuple(map(tuple, known)), tuple(map(tuple, truth)),
        )  # fmt: skip

    def _tokens(self, sentences: Sequence[int]) -> torch.Tensor:
        starts = self.sentences.starts
        return torch.tensor([[token for s in sentences for token in range(starts[s], starts[s + 1])]])


class TagSampler(TagTasks):
    """Draw minimum-including episodes: every type K times or more, and no support sentence could be left out.

    Hou et al. (2020), section 4.1; Yang and Katiyar (2020), algorithm 1: rare types first, sentences are added until
    each type has K spans, then taken away where all types keep K without them. `n_types` of `types` (by default all)
    are drawn for each episode, and spans of others are outside. The queries are other sentences, whatever they hold.
    Raises ValueError for a type with fewer than K spans, or too few sentences.   Chapter: 10

    >>> letters = Corpus("ab", ["a b", "a", "b b"], ["x"] * 3,
    ...                  annotations=[(Span(0, 1, "a"), Span(2, 3, "b")), (Span(0, 1, "a"),), (Span(0, 1, "b"),)])
    >>> TagSampler(Sentences.of(letters), k_shot=1, n_query=1, seed=0).sample().tags
    ('B-a', 'B-b')
    """

    def __init__(
        self,
        sentences: Sentences,
        *,
        k_shot: int = 5,
        n_query: int = 20,
        n_types: int | None = None,
        types: Sequence[str] | None = None,
        every_tag: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(sentences, k_shot=k_shot, every_tag=every_tag)
        self.types = sentences.types() if types is None else list(types)
        self.n_types = len(self.types) if n_types is None else n_types
        check_options("TagSampler", k_shot=k_shot, n_query=n_query, n_types=self.n_types, seed=seed)
        if self.n_types > len(self.types):
            raise ValueError(f"TagSampler(n_types={n_types}): {sentences.tokens.name!r} has {len(self.types)} types")
        total = sum(sentences.counts, Counter())
        if rare := [f"{kind} ({total[kind]})" for kind in self.types if total[kind] < k_shot]:
            raise ValueError(
                f"TagSampler(k_shot={k_shot}): {sentences.tokens.name!r} has fewer spans of {', '.join(rare[:8])}; "
                f"leave them out: types=sentences.types({k_shot})"
            )
        self.n_query, self.seed = n_query, seed

    @property
    def key(self) -> tuple[object, ...]:
        return (*super().key, self.n_query, self.n_types, tuple(self.types), self.seed)

    def task(self, number: int) -> tuple[Sequence[int], Sequence[int], Sequence[str]]:
        rng = np.random.default_rng([self.seed % 2**32, number])
        types = [self.types[place] for place in rng.permutation(len(self.types))[: self.n_types]]
        order = rng.permutation(len(self.sentences)).tolist()
        support = self._support(order, types)
        query = [s for s in order if s not in set(support)][: self.n_query]
        if len(query) < self.n_query:
            raise ValueError(
                f"TagSampler(n_query={self.n_query}): {len(query)} of {len(order)} sentences are left beside a support "
                f"set of {len(support)}; use fewer queries or shots"
            )
        return support, query, types

    def _support(self, order: Sequence[int], types: Sequence[str]) -> list[int]:
        """Sentences in this order, as few as hold every type `k_shot` times."""
        counts = self.sentences.counts
        holding = {kind: [s for s in order if counts[s][kind]] for kind in types}
        have: Counter[str] = Counter()
        chosen: dict[int, None] = {}
        for kind in sorted(types, key=lambda kind: len(holding[kind])):
            for s in holding[kind]:
                if have[kind] >= self.k_shot:
                    break
                if s not in chosen:
                    chosen[s] = None
                    have.update({t: counts[s][t] for t in types})
        for s in list(chosen):
            if all(have[kind] - counts[s][kind] >= self.k_shot for kind in types):
                del chosen[s]
                have.subtract({t: counts[s][t] for t in types})
        return list(chosen)


class PublishedTags(TagTasks):
    """The published episodes of a domain, in their order: number 0 is the first.   Chapter: 10

    `episodes`: how many of them are used; only their sentences are kept, so that nothing else is encoded. Raises
    ValueError for a domain or number of shots that was not published.
    """

    def __init__(
        self,
        published: PublishedEpisodes,
        domain: str,
        *,
        k_shot: int,
        episodes: int | None = None,
        every_tag: bool = False,
    ) -> None:
        if (domain, k_shot) not in published.tasks:
            raise ValueError(f"PublishedTags({domain!r}, k_shot={k_shot}): published are {sorted(published.tasks)}")
        tasks = published.tasks[domain, k_shot][:episodes]
        used = sorted({s for parts in tasks for part in parts for s in part})
        place = {s: number for number, s in enumerate(used)}
        super().__init__(Sentences.of(published.corpus.subset(used, domain)), k_shot=k_shot, every_tag=every_tag)
        self.domain = domain
        self.tasks = [([place[s] for s in support], [place[s] for s in query]) for support, query in tasks]

    def __len__(self) -> int:
        return len(self.tasks)

    def task(self, number: int) -> tuple[Sequence[int], Sequence[int], Sequence[str]]:
        if number >= len(self):
            raise ValueError(f"episode {number} of {self.domain}: {len(self)} are here, numbered from 0")
        return *self.tasks[number], self.sentences.types()
