"""`python -m tests.benchmarks.tagging`: tags, relations and roles from a few examples; more text than chapter 10 reads.

Writes `tagging.json` into data/results/. Every row holds the score of each of its episodes, so that rows of the same
episodes can be compared in pairs. A row that is measured again takes the place of the old one. Nothing is chosen on the
texts that a row is about: C, weights, scales and biases of tags are chosen on the other domains or the other corpora;
layers, training, relations and roles have settings that were fixed before.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from metalearn_lib import ANIL, MAML, EpisodeSampler, MultiTask, TextModel, evaluate, meta_train, mlp
from metalearn_lib.choosing import provenance
from metalearn_lib.corpora import Corpus, CorpusError, PredicateRoles, annotated
from metalearn_lib.corpora.bio import OUTSIDE
from metalearn_lib.encoders import Concatenated, Encoder, Frozen, Projected, Standardised, Transformer, Whitened
from metalearn_lib.files import results_folder, write_rows
from metalearn_lib.learners import Centroid, Learner, LogisticRegression, NearestNeighbour, Prototypical, TfidfCentroid
from metalearn_lib.optimise import seeded
from metalearn_lib.tagging import (
    Alone,
    Dictionary,
    MarkedStates,
    NearestNoun,
    PublishedTags,
    Sentences,
    Shapes,
    Syntax,
    TagEpisodes,
    TagSampler,
    TagTasks,
    Transitions,
    masked,
    relation_view,
    span_f1,
    span_scores,
    tag_sequences,
    unmark,
)

Row = dict[str, Any]
Weights = Mapping[str, float]
LAYER = 3
EPISODES, CHOSEN_ON = 25, 6  # SNIPS: of each domain the first 25 are scored; the last 6 of others choose
STRINGS = {"address": "usaddress", "person": "probablepeople", "company": "probablepeople"}
LEAST = 25  # mentions of a type
CHOOSE = 10  # episodes of each other set
META_STEPS = 500
PROTOCOL = (
    "values: span F1 (relations: accuracy; roles: F1 of head words) of each episode, in %; all rows of a corpus, task "
    "and number of shots are of the same episodes; weights and scales were chosen on other domains or corpora"
)


class First(Encoder):
    """The first numbers of states, so that one pass over the sentences serves several views."""

    def __init__(self, states: MarkedStates, dim: int) -> None:
        super().__init__()
        self.states, self.dim = states, dim

    def inputs(self, pool: Corpus) -> Tensor:
        return self.states.inputs(pool)[:, : self.dim]

    def _prepare(self, texts: Sequence[str]) -> Tensor:
        return self.states.prepare(texts)[:, : self.dim]


class Seen(Encoder):
    """Another view of a marked text, read by a frozen encoder: its two names, or the whole text without marks."""

    def __init__(self, encoder: Encoder, *, names: bool) -> None:
        super().__init__()
        self.encoder, self.names, self.dim = encoder, names, encoder.dim

    def _prepare(self, texts: Sequence[str]) -> Tensor:
        read = [unmark(text) for text in texts]
        views = [" ; ".join(plain[start:end] for start, end in places) for plain, places in read]
        return self.encoder.prepare(views if self.names else [plain for plain, _ in read])


@cache
def transformer(*, cache: bool = True) -> Transformer:
    return Transformer("minilm", progress=False, cache=cache)


@dataclass(frozen=True)
class Votes:
    """What members say of an episode; each is asked once, when a row needs it."""

    episode: TagEpisodes
    members: Mapping[str, Learner]
    said: dict[str, Tensor] = field(default_factory=dict)

    def of(self, member: str) -> Tensor:
        """Log-probabilities [L, N]."""
        if member not in self.said:
            self.said[member] = self.members[member].predict(self.episode)[0].log_softmax(1)
        return self.said[member]

    @cached_property
    def own(self) -> Transitions:
        """Transitions counted on the support set itself."""
        return Transitions.learned(self.episode.known)

    def decoded(self, weights: Weights, decoder: Transitions | None) -> float:
        """The span F1 of a weighted sum of members; the weight `BIAS` is added to the score of O."""
        summed = sum(weight * self.of(name) for name, weight in weights.items() if weight and name != BIAS)
        emissions = torch.as_tensor(summed).log_softmax(1)
        tags = self.episode.tags
        if weights.get(BIAS) and OUTSIDE in tags:
            emissions[:, tags.index(OUTSIDE)] += weights[BIAS]
        parts = emissions.split([len(tags) for tags in self.episode.truth])
        found = (
            [[tags[y] for y in part.argmax(1).tolist()] for part in parts]
            if decoder is None
            else decoder.decode(parts, tags)
        )
        return span_f1(self.episode.truth, found)


def votes(sampler: TagTasks, members: Mapping[str, Learner], numbers: Sequence[int]) -> list[Votes]:
    return [Votes(sampler.sample(first=number), members) for number in numbers]


def taggers(states: MarkedStates) -> dict[str, Learner]:
    """Members by name; a regression has its C behind its name."""
    word = First(states, states.hidden)
    encoders = {
        "shapes": Shapes(),
        "word alone": Alone(replaced(states, neighbours=False)),
        "words alone": Alone(states),
        "regression": word,
        "window": states,
        "window and shapes": Concatenated([states, Shapes()]),
    }
    return {
        "dictionary": Dictionary(),
        "prototypes": Prototypical(word, distance="cosine"),
        "nearest": NearestNeighbour(word),
        "nearest, window": NearestNeighbour(states),
        **{f"{name}, C {C}": LogisticRegression(e, C=C) for name, e in encoders.items() for C in CS},
    }


def replaced(states: MarkedStates, *, neighbours: bool) -> MarkedStates:
    return MarkedStates(states.transformer, layer=states.layer, neighbours=neighbours, progress=False)


CS = (10, 100, 1000)
REGRESSIONS = {  # a row: its member
    "shapes": "shapes",
    "word alone": "word alone",
    "words alone, neighbours": "words alone",
    "logistic regression": "regression",
    "logistic regression, neighbours": "window",
    "logistic regression, neighbours and shapes": "window and shapes",
}
DISTANCES = {
    "prototypes": "prototypes",
    "nearest neighbour": "nearest",
    "nearest neighbour, neighbours": "nearest, window",
}


def grid(distances: Sequence[float], logs: Sequence[float]) -> dict[str, list[Weights]]:
    """A row's candidates. The logits of distances (0 … 2) need a scale beside transitions, regressions a C as well."""
    return {
        "dictionary": [{"dictionary": 1.0}],
        **{row: [{member: scale} for scale in distances] for row, member in DISTANCES.items()},
        **{row: [{f"{m}, C {C}": scale} for C in CS for scale in logs] for row, m in REGRESSIONS.items()},
    }


OF_SNIPS = grid((8.0, 16.0, 32.0), (0.5, 1.0, 2.0))
# On names transitions hardly help: the largest scales are as good as BIO alone.
OF_STRINGS = grid((2.0, 4.0, 8.0, 16.0, 32.0, 64.0), (0.25, 0.5, 1.0, 2.0, 4.0))
NOT_ON_SNIPS = ("shapes", "word alone", "words alone, neighbours", "logistic regression, neighbours and shapes")
BLENDED = tuple(product((0.5, 1.0), (0.5, 1.0, 2.0), (0.0, 10.0, 20.0)))  # word, window, both nearest neighbours
OWN = ("nearest neighbour", "logistic regression", "logistic regression, neighbours")  # with their own transitions, too
BIAS = "bias of O"
BIASES = (-2.0, -1.0, -0.5, -0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)

Rule = Callable[[str, Votes], Transitions | None]  # how an episode of a source is decoded


def chosen(candidates: Sequence[Weights], sources: Mapping[str, Sequence[Votes]], rule: Rule) -> Weights:
    """The candidate with the best mean over the episodes of the sources."""
    if len(candidates) == 1:
        return candidates[0]

    def reached(weights: Weights) -> float:
        return sum(v.decoded(weights, rule(source, v)) for source, each in sources.items() for v in each)

    return max(candidates, key=reached)


def rows_of(
    about: Row,
    grid: Mapping[str, Sequence[Weights]],
    scored: Sequence[Votes],
    sources: Mapping[str, Sequence[Votes]],
    learned: Callable[[Sequence[str]], Transitions],
    extra: Mapping[str, Transitions] | None = None,
) -> Iterator[Row]:
    """All rows under each decoder; `learned` makes transitions of some sources. Last a blend of four of them."""
    transferred, plain = learned(list(sources)), Transitions()
    # A source is decoded with what the rest of them taught.
    teachers = {source: learned([other for other in sources if other != source] or [source]) for source in sources}
    rules: dict[str, Rule] = {
        "BIO": lambda source, v: plain,
        "transferred": lambda source, v: teachers[source],
        "of the support set": lambda source, v: v.own,
    }
    best: dict[tuple[str, str], Weights] = {}
    for name in (*grid, "blend"):
        own = name in OWN
        if name == "blend":
            word, window = (next(iter(best[row, "BIO"])) for row in OWN[1:])
            blends = [{word: a, window: b, "nearest": c, "nearest, window": c} for a, b, c in BLENDED]
            best[name, "BIO"] = chosen(blends, sources, rules["BIO"])
            best[name, "transferred"] = chosen(blends, sources, rules["transferred"])
        else:
            # A scale changes no path where nothing but BIO counts: first the C, then the scale.
            members = dict.fromkeys(member for weights in grid[name] for member in weights)
            best[name, "BIO"] = chosen([{member: 1.0} for member in members], sources, rules["BIO"])
            scaled = [weights for weights in grid[name] if weights.keys() == best[name, "BIO"].keys()]
            for said in ("transferred", *(("of the support set",) if own else ())):
                best[name, said] = chosen(scaled, sources, rules[said])
        of_bio = best[name, "BIO"]
        biased = chosen([{**of_bio, BIAS: bias} for bias in BIASES], sources, rules["BIO"])
        decoders: list[tuple[str, Weights, Callable[[Votes], Transitions | None]]] = [
            *((("greedy", of_bio, lambda v: None),) if name != "blend" else ()),
            ("BIO", of_bio, lambda v: plain),
            ("BIO, bias of O", biased, lambda v: plain),
            *((("of the support set", best[name, "of the support set"], lambda v: v.own),) if own else ()),
            ("transferred", best[name, "transferred"], lambda v: transferred),
            *((said, best[name, "transferred"], lambda v, t=other: t) for said, other in (extra or {}).items()),
        ]
        for said, weights, decoder in decoders:
            values = [100 * v.decoded(weights, decoder(v)) for v in scored]
            yield about | {"learner": name, "decoder": said, "note": _note(weights), "values": _rounded(values)}


def _note(weights: Weights) -> str:
    return ", ".join(f"{name} × {weight:g}" for name, weight in weights.items() if weight)


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(float(value), 2) for value in values]


def snips() -> Iterator[Row]:
    """The published episodes: of each domain the first 25; the last 6 of the other domains choose."""
    published = annotated.published_episodes("snips_episodes")
    domains = sorted({domain for domain, _ in published.tasks})
    rows = {name: row for name, row in OF_SNIPS.items() if name not in NOT_ON_SNIPS}
    for k_shot in (5, 1):
        samplers, said = {}, {}
        for domain in domains:
            tasks = published.tasks[domain, k_shot]
            few = replace(published, tasks={(domain, k_shot): [*tasks[:EPISODES], *tasks[-CHOSEN_ON:]]})
            samplers[domain] = PublishedTags(few, domain, k_shot=k_shot)
            members = taggers(MarkedStates(transformer(cache=False), layer=LAYER, neighbours=True, progress=False))
            said[domain] = votes(samplers[domain], members, range(EPISODES + CHOSEN_ON))
        sequences = {d: tag_sequences(s, episodes=len(s)) for d, s in samplers.items()}

        def learned(sources: Sequence[str], sequences: Any = sequences) -> Transitions:
            return Transitions.learned([tags for source in sources for tags in sequences[source]])

        for domain in domains:
            sources = {d: said[d][EPISODES:] for d in domains if d != domain}
            about = {"corpus": "snips", "task": domain, "shots": k_shot}
            yield from rows_of(about, rows, said[domain][:EPISODES], sources, learned)


def string_sets() -> dict[str, Sentences]:
    sets = {}
    for name, corpus in STRINGS.items():
        texts = annotated.load(corpus).without_duplicates()
        sets[name] = Sentences.of(texts.only([name]) if len(texts.classes) > 1 else texts)
    return sets


def strings(k_shot: int = 5) -> Iterator[Row]:
    """Addresses, names of persons and of companies, all types and 5 types; the other two sets choose."""
    sets = string_sets()
    names = annotated.load(STRINGS["person"]).without_duplicates().only(["person"])
    longer = Sentences.of(names.subset([n for n, text in enumerate(names.texts) if len(text.split()) > 1]))
    types = {name: sentences.types(LEAST) for name, sentences in sets.items()}
    members = {
        name: taggers(MarkedStates(transformer(), layer=LAYER, neighbours=True, progress=False)) for name in sets
    }
    for n_types in (None, 5):

        def drawn(
            name: str,
            sentences: Sentences | None = None,
            n_types: int | None = n_types,
            seed: int = 1,
        ) -> TagSampler:
            return TagSampler(
                sentences or sets[name], k_shot=k_shot, n_query=20, n_types=n_types, types=types[name], seed=seed
            )

        sequences = {name: tag_sequences(drawn(name, seed=2), episodes=50) for name in sets}
        unmasked = {name: tag_sequences(drawn(name, n_types=None, seed=2), episodes=50) for name in sets}

        def learned(sources: Sequence[str], sequences: Any = sequences) -> Transitions:
            return Transitions.learned([tags for source in sources for tags in sequences[source]])

        choose = {name: votes(drawn(name, seed=2), members[name], range(CHOOSE)) for name in sets}
        many, task = (30, "all types") if n_types is None else (60, f"{n_types} types")
        for name in sets:
            others = [other for other in sets if other != name]
            extra = {"transferred, not masked": learned(others, unmasked)} if n_types else {}
            sources = {other: choose[other] for other in others}
            parts = {task: votes(drawn(name), members[name], range(many))}
            if name == "person" and n_types is None:
                parts[f"{task}, two words or more"] = votes(drawn(name, longer), members[name], range(many))
            for part, scored in parts.items():
                about = {"corpus": name, "task": part, "shots": k_shot}
                yield from rows_of(about, OF_STRINGS, scored, sources, learned, extra)


def layers() -> Iterator[Row]:
    """The three sets, 5 types, 5 shots, the episodes of `strings`: logistic regression on each layer, BIO."""
    for name, sentences in string_sets().items():
        sampler = TagSampler(sentences, k_shot=5, n_query=20, n_types=5, types=sentences.types(LEAST), seed=1)
        for layer in range(7):
            learner = LogisticRegression(MarkedStates(transformer(), layer=layer, progress=False), C=100)
            score = span_scores(learner, sampler, {"BIO": Transitions()}, episodes=60)["BIO"]
            about = {"corpus": name, "task": "layers", "shots": 5, "learner": f"layer {layer}", "decoder": "BIO"}
            yield about | {"note": "C 100", "values": _rounded([100 * v for v in score.values])}


class Mixed:
    """Episodes of two sources in turn."""

    def __init__(self, *parts: TagSampler) -> None:
        self.parts, self.key = parts, ("mixed", *(part.key for part in parts))

    def sample(self, tasks: int = 1, *, first: int = 0) -> TagEpisodes:
        return self.parts[first % len(self.parts)].sample(tasks, first=first // len(self.parts))


def meta() -> Iterator[Row]:
    """Names of persons, five types that nothing trains on: learners trained on other texts, or on their other types."""
    names = annotated.load(STRINGS["person"]).without_duplicates().only(["person"])
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(0)).tolist()
    train, test = (Sentences.of(names.subset(half)) for half in (order[::2], order[1::2]))
    sets = string_sets()
    types = sets["person"].types(LEAST)
    states = MarkedStates(transformer(), layer=LAYER, progress=False)
    scaled = Frozen(Standardised(states, sets["address"].tokens))

    def drawn(sentences: Sentences, types: Sequence[str], *, seed: int, fixed: bool) -> TagSampler:
        return TagSampler(sentences, k_shot=5, n_query=20, n_types=5, types=types, every_tag=fixed, seed=seed)

    def model() -> TextModel:
        return TextModel(scaled, mlp(scaled.dim, 64, 11))

    def joint(classes: Sequence[str]) -> Learner:
        return MultiTask(model(), classes=classes, inner_lr=0.1, test_steps=20)

    makers: dict[str, Callable[[Sequence[str]], Learner]] = {
        "prototypes": lambda _: Prototypical(Projected(states, normalise=True), distance="cosine"),
        "MAML": lambda _: MAML(model(), inner_lr=0.1, inner_steps=3, test_steps=20),
        "ANIL": lambda _: ANIL(model(), inner_lr=0.1, inner_steps=5, test_steps=20),
        "joint training": joint,
    }
    pair = ("address", "company")
    where = {"corpus": "person", "shots": 5, "decoder": "BIO"}
    for way in range(2):  # the types that are tested are those of every other place
        tested, others = types[way::2], types[1 - way :: 2]
        # Joint training reads the labels of the texts themselves: the tested types must not be among them.
        labels = [tag for place in range(len(train)) for tag in masked(train.tags(place), others)]
        known = Sentences(replace(train.tokens, labels=labels), train.starts)

        def reached(learner: Learner, *, fixed: bool, tested: Sequence[str] = tested) -> list[float]:
            sampler = drawn(test, tested, seed=1, fixed=fixed)
            return _rounded(
                [100 * v for v in span_scores(learner, sampler, {"": Transitions()}, episodes=30)[""].values]
            )

        about = where | {"task": f"meta {way}", "note": f"tested on {', '.join(tested)}"}
        for name, floor in {
            "dictionary": Dictionary(),
            "logistic regression": LogisticRegression(states, C=100),
        }.items():
            yield about | {"learner": name, "values": reached(floor, fixed=False)}
        for name, make in makers.items():
            fixed = name != "prototypes"
            for training in range(3):
                sources: dict[str, tuple[Any, list[str]]] = {
                    "addresses and companies": (
                        Mixed(*(drawn(sets[n], sets[n].types(LEAST), seed=2 + training, fixed=fixed) for n in pair)),
                        sorted({tag for n in pair for tag in sets[n].tokens.labels}),
                    ),
                    "other types of persons": (
                        drawn(known, others, seed=2 + training, fixed=fixed),
                        sorted(set(known.tokens.labels)),
                    ),
                }
                for source, (sampler, classes) in sources.items():
                    with seeded(training):
                        learner = make(classes)
                    if source == "addresses and companies":
                        before = reached(learner, fixed=fixed)
                        yield about | {"learner": f"{name}, untrained, {training}", "values": before}
                    rate = 1e-3 if fixed else 3e-4
                    meta_train(
                        learner, sampler, steps=META_STEPS, tasks_per_step=1, lr=rate, progress=False, seed=training
                    )
                    yield about | {"learner": f"{name}, {source}, {training}", "values": reached(learner, fixed=fixed)}


def relations() -> Iterator[Row]:
    """FewRel's three sources: views, states, and states whitened by relations of Wikipedia that are not tested."""
    corpus = annotated.load("fewrel")
    wiki = corpus.only(domains="wiki").at_most(30, seed=0)
    for part in ("wiki", "nyt", "pubmed"):
        for split in range(3) if part == "wiki" else (0,):
            if part == "wiki":
                order = torch.randperm(len(wiki.classes), generator=torch.Generator().manual_seed(split)).tolist()
                labels = [wiki.classes[place] for place in order]
                source, target = wiki.only(labels[:8]), wiki.only(labels[8:])
            else:
                source, target = wiki, corpus.only(domains=part).at_most(30, seed=0)
            yield from _relation_rows(f"fewrel {part}", f"split {split}", source, target)


def _relation_rows(name: str, task: str, source: Corpus, target: Corpus) -> Iterator[Row]:
    views = {view: relation_view(target, view) for view in ("sentence", "names", "masked", "marked")}
    known = {view: relation_view(source, view) for view in ("names", "marked")}
    read = MarkedStates(transformer(), layer=LAYER, marks=2, sentence=True, progress=False)
    whole, states = Frozen(read), First(read, 2 * read.hidden)
    deeper = MarkedStates(transformer(), layer=6, marks=2, progress=False)
    named = Concatenated([whole, Seen(transformer(), names=True)])
    together = Concatenated([whole, deeper, Seen(transformer(), names=True), Seen(transformer(), names=False)])
    found: dict[str, tuple[str, Encoder]] = {
        **{view: (view, Frozen(transformer())) for view in ("sentence", "names", "masked")},
        "states": ("marked", states),
        "states and sentence": ("marked", whole),
        "states, whitened": ("marked", Frozen(Whitened(states, known["marked"], shrink=0.3))),
        "states, sentence and names": ("marked", named),
        "states, sentence and names, whitened": ("marked", Frozen(Whitened(named, known["marked"], shrink=0.3))),
        "all views": ("marked", together),
        "all views, whitened": ("marked", Frozen(Whitened(together, known["marked"], shrink=0.3))),
        "states and sentence, whitened": ("marked", Frozen(Whitened(whole, known["marked"], shrink=0.3))),
    }
    for k_shot in (1, 5):
        rows = [(learner, view, Centroid(encoder)) for learner, (view, encoder) in found.items()]
        tfidf = [
            (f"{view}, tf-idf", view, TfidfCentroid(relation_view(source, view))) for view in ("sentence", "masked")
        ]
        for learner, view, classifier in [*rows, *tfidf]:
            sampler = EpisodeSampler(views[view], n_way=5, k_shot=k_shot, n_query=10, seed=1)
            score = evaluate(classifier, sampler, episodes=300)
            yield {
                "corpus": name, "task": task, "shots": k_shot, "learner": learner, "decoder": "", "note": "",
                "values": _rounded([100 * v for v in score.values]),
            }  # fmt: skip


def roles() -> Iterator[Row]:
    """Predicates with most uses: the rule beside learners on syntax, on states, and on both."""
    corpus, speech = annotated.load("up_ewt"), annotated.load("up_ewt", layer="upos")
    uses = Counter(use.predicate.label for uses in corpus.annotations or () for use in _uses(uses))
    syntax, bare = Syntax(speech), Syntax(speech, rule=False)
    states = MarkedStates(transformer(), layer=LAYER, marks=2, progress=False)
    learners = {
        "nearest noun": NearestNoun(speech),
        "syntax": LogisticRegression(syntax, C=100),
        "syntax, rule left out": LogisticRegression(bare, C=100),
        "states": LogisticRegression(states, C=100),
        "syntax and states": LogisticRegression(Concatenated([syntax, states], weights=[1.0, 0.5]), C=100),
    }
    taken = 0
    for sense, _ in uses.most_common(120):
        try:
            sentences = Sentences.of_roles(corpus, sense)
        except CorpusError:  # none of the three roles
            continue
        types = sentences.types(15)
        if len(types) < 2 or len(sentences) < 40:
            continue
        taken += 1
        for k_shot in (1, 5, 10):
            sampler = TagSampler(sentences, k_shot=k_shot, n_query=10, types=types, seed=1)
            for name, learner in learners.items():
                score = span_scores(learner, sampler, {"": None}, episodes=10)[""]
                yield {
                    "corpus": "roles", "task": sense, "shots": k_shot, "learner": name, "decoder": "", "note": "",
                    "values": _rounded([100 * v for v in score.values]),
                }  # fmt: skip
        if taken == 14:
            return


def _uses(annotation: Any) -> list[PredicateRoles]:
    return [use for use in annotation if isinstance(use, PredicateRoles)] if isinstance(annotation, tuple) else []


GROUPS: dict[str, Callable[[], Iterator[Row]]] = {
    "snips": snips,
    "strings": strings,
    "one shot": partial(strings, 1),
    "layers": layers,
    "meta": meta,
    "relations": relations,
    "roles": roles,
}


def main(
    out: Annotated[Path | None, typer.Option(help="data/results/tagging.json")] = None,
    group: Annotated[list[str] | None, typer.Option(help=f"{', '.join(GROUPS)}; all of them.")] = None,
) -> None:
    """Rows of each group, written as they come."""
    torch.set_num_threads(1)
    path = out or results_folder() / "tagging.json"
    rows: list[Row] = json.loads(path.read_text(encoding="utf-8"))["results"] if path.exists() else []
    for name in group or GROUPS:
        for row in GROUPS[name]():
            key = {part: row[part] for part in ("corpus", "task", "shots", "learner", "decoder")}
            rows = [old for old in rows if not key.items() <= old.items()] + [row]
            mean = sum(row["values"]) / len(row["values"])
            print(*key.values(), f"{mean:.1f} of {len(row['values'])} {row['note']}", flush=True)
            write_rows(path, {"about": {"protocol": PROTOCOL} | provenance()}, results=rows)


if __name__ == "__main__":
    typer.run(main)
