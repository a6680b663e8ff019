"""A tiny few-shot world that can be learned: vectors whose first coordinate shouts and whose second tells the class."""

import numpy as np
import pytest
import torch

from metalearn_lib import EpisodeSampler
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Encoder
from metalearn_lib.text import WordVectors, tokenize


class Table(Encoder):
    """Looks the vector of a text up by its number: an encoder without language."""

    def __init__(self, vectors: torch.Tensor) -> None:
        super().__init__()
        self.vectors, self.dim = vectors, vectors.shape[1]

    def _prepare(self, texts):
        return self.vectors[[int(text) for text in texts]]


@pytest.fixture(scope="session")
def puzzle() -> tuple[Corpus, Table]:
    """24 classes × 30 points: coordinates 0-4 carry the class faintly, 5-9 are loud noise that means nothing."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(24, 5))
    labels = np.repeat(np.arange(24), 30)
    signal = centres[labels] + 0.1 * random.normal(size=(720, 5))
    vectors = np.concatenate([signal, 8 * random.normal(size=(720, 5))], axis=1)
    corpus = Corpus("puzzle", [str(i) for i in range(720)], [f"class {c:02d}" for c in labels])
    return corpus, Table(torch.tensor(vectors, dtype=torch.float32))


@pytest.fixture(scope="session")
def halves(puzzle):
    """Samplers over 16 training classes and 8 test classes."""
    corpus, _ = puzzle
    train, test = corpus.only(corpus.classes[:16]), corpus.only(corpus.classes[16:])
    return [EpisodeSampler(half, n_way=5, k_shot=3, n_query=10, seed=i) for i, half in enumerate((train, test))]


@pytest.fixture(scope="session")
def words() -> Corpus:
    """Short real sentences in four classes, eight each."""
    texts = {
        "weather": "will it rain today|is it sunny outside|how cold is it now|do i need an umbrella|"
        "snow is coming tonight|what is the forecast|is there a storm near|how windy is it",
        "music": "play some jazz please|turn the volume up|skip this song|who sings this tune|shuffle my playlist|"
        "play the next album|pause the music now|add this song to favourites",
        "bank": "what is my balance|transfer money to savings|my card was stolen|pay my credit card bill|"
        "how much did i spend|open a new account|block my debit card|show my last payments",
        "food": "order a large pizza|find a sushi restaurant|book a table for two|how long to boil eggs|"
        "is this dish vegan|recipe for tomato soup|what wine goes with fish|reheat the leftover rice",
    }
    pairs = [(text, label) for label, joined in texts.items() for text in joined.split("|")]
    return Corpus("words", [t for t, _ in pairs], [label for _, label in pairs])


@pytest.fixture(scope="session")
def vectors_of():
    """Random vectors for the words of a corpus."""

    def make(corpus, dim, seed=0):
        vocabulary = sorted({word for text in corpus.texts for word in tokenize(text)})
        return WordVectors.from_array(vocabulary, np.random.default_rng(seed).normal(size=(len(vocabulary), dim)))

    return make


@pytest.fixture(scope="session")
def small_vectors(words, vectors_of):
    return vectors_of(words, 8)
