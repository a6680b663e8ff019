"""Small tagged corpora, and an encoder of marked tokens that needs no pretrained model."""

from __future__ import annotations

import random

import pytest
import torch

from metalearn_lib.corpora import Corpus
from metalearn_lib.corpora.bio import joined
from metalearn_lib.encoders import Encoder
from metalearn_lib.tagging import Sentences, marked

TYPES = {"city": ["bern", "rome", "oslo"], "date": ["may", "june"], "food": ["rice", "tea", "bread", "figs"]}


@pytest.fixture
def travels() -> Corpus:
    """120 sentences with cities, dates and foods of one or two words among fillers."""
    rng = random.Random(0)
    texts, annotations = [], []
    for _ in range(120):
        tokens, tags = [], []
        for kind in rng.sample(list(TYPES), rng.randint(0, 3)):
            filler = [rng.choice(["to", "in", "we", "go"]) for _ in range(rng.randint(1, 3))]
            words = rng.choices(TYPES[kind], k=rng.randint(1, 2))
            tokens += filler + words
            tags += ["O"] * len(filler) + [f"B-{kind}", f"I-{kind}"][: len(words)]
        text, spans = joined([*tokens, "now"], [*tags, "O"])
        texts.append(text)
        annotations.append(spans)
    return Corpus("travels", texts, ["travel"] * len(texts), annotations=annotations)


@pytest.fixture
def sentences(travels: Corpus) -> Sentences:
    return Sentences.of(travels)


class Words(Encoder):
    """A random vector for each marked word and, smaller, for the word before it."""

    dim = 32

    def _prepare(self, texts):
        def vector(word):
            seed = int.from_bytes(word.encode()[:6], "little")
            return torch.randn(self.dim, generator=torch.Generator().manual_seed(seed))

        before = [text.split("⟦")[0].split() for text in texts]
        return torch.stack(
            [vector(marked(t)) + 0.5 * vector(b[-1] if b else "-") for t, b in zip(texts, before, strict=True)]
        )


@pytest.fixture
def words() -> Words:
    return Words()
