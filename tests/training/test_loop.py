"""Meta-training: same seed same numbers, kill and resume, early stopping, bad input."""

import os
import signal
import threading

import pytest
import torch

from metalearn_lib import (
    ANIL,
    MAML,
    EpisodeSampler,
    MetaSGD,
    MultiTask,
    Prototypical,
    Reptile,
    SinusoidSampler,
    TextModel,
    evaluate,
    meta_train,
    mlp,
)
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Convolutional, Frozen
from metalearn_lib.errors import TrainingDiverged
from metalearn_lib.meta_optimizers import LearnedOptimizer
from metalearn_lib.optimise import weights_of
from metalearn_lib.text import WordVectors

WORDS = [f"w{i}" for i in range(40)]


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    random = torch.Generator().manual_seed(0)
    texts, labels = [], []
    for label in range(8):
        for _ in range(12):
            own = [WORDS[label * 5 + int(i)] for i in torch.randint(5, (3,), generator=random)]
            other = [WORDS[int(i)] for i in torch.randint(40, (4,), generator=random)]
            texts.append(" ".join(own + other))
            labels.append(f"class {label}")
    return Corpus("letters", texts, labels)


def cnn(dim: int = 6) -> Convolutional:
    torch.manual_seed(0)
    vectors = WordVectors.from_array(WORDS, torch.randn(40, dim).numpy())
    return Convolutional(vectors, widths=(1, 2), channels=4, max_length=8, dropout=0.3)


def learner(dim: int = 6) -> Prototypical:
    return Prototypical(cnn(dim))


@pytest.fixture
def samplers(corpus):
    options = {"n_way": 3, "k_shot": 2, "n_query": 4}
    return EpisodeSampler(corpus, seed=0, **options), EpisodeSampler(corpus, seed=1, **options)


OPTIONS = {"steps": 30, "tasks_per_step": 2, "lr": 0.01, "validate_every": 10, "valid_episodes": 10, "progress": False}


@pytest.fixture
def train(samplers):
    """Meta-train a learner, by default with validation."""

    def run(model, sampler=samplers[0], **options):
        return meta_train(model, sampler, **{"valid": samplers[1], **OPTIONS, **options})

    return run


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_same_seed_same_numbers(train):
    runs = []
    for seed in (0, 0, 1):
        model = learner()
        runs.append((train(model, seed=seed), weights_of(model)))
    assert runs[0][0] == runs[1][0] and same(runs[0][1], runs[1][1])
    assert runs[0][0].losses != runs[2][0].losses  # dropout differs


class Stop(Exception):
    pass


class StopsAt:
    """A sampler that fails at one step: a process that dies there."""

    error: type[BaseException] = Stop

    def __init__(self, sampler, first: int) -> None:
        self.sampler, self.first, self.key = sampler, first, sampler.key

    def sample(self, tasks=1, *, first=0):
        if first == self.first:
            self.stop()
        return self.sampler.sample(tasks, first=first)

    def stop(self):
        raise self.error


class Interrupts(StopsAt):
    """A sampler during which somebody presses Ctrl-C."""

    error = KeyboardInterrupt

    def stop(self):
        os.kill(os.getpid(), signal.SIGINT)


def over_text(kind, **settings):
    def build():
        model = TextModel(cnn(), torch.nn.Sequential(torch.nn.Linear(8, 6), torch.nn.Dropout(0.2), mlp(6, 4, 3)))
        return kind(model, inner_steps=2, **settings)

    return build


KINDS = {
    "prototypes": learner,
    "MAML": over_text(MAML),
    "ANIL": over_text(ANIL),
    "Meta-SGD": over_text(MetaSGD),
    "Reptile": over_text(Reptile),
    "learned optimizer": lambda: LearnedOptimizer(TextModel(Frozen(cnn()), mlp(8, 4, 3)), horizon=6, unroll=2),
    "joint training": over_text(MultiTask),
    "joint training of classes": over_text(MultiTask, classes=[f"class {i}" for i in range(8)]),
}


STOPS = [*((kind, 17, StopsAt) for kind in KINDS), *(("prototypes", step, StopsAt) for step in (5, 10, 29))]


@pytest.mark.parametrize(("kind", "step", "stop"), [*STOPS, ("prototypes", 13, Interrupts)])
def test_a_stopped_run_resumes_to_the_very_same_numbers(train, samplers, tmp_path, kind, step, stop):
    whole, path, previous = KINDS[kind](), tmp_path / "c.safetensors", signal.getsignal(signal.SIGINT)
    expected = train(whole)
    with pytest.raises(stop.error):
        train(KINDS[kind](), stop(samplers[0], step * 2), checkpoint=path)
    assert signal.getsignal(signal.SIGINT) is previous
    torch.manual_seed(12345)  # whatever happened meanwhile
    resumed = KINDS[kind]()
    assert train(resumed, checkpoint=path) == expected
    assert same(weights_of(resumed), weights_of(whole))
    assert [p.name for p in tmp_path.iterdir()] == ["c.safetensors"]
    never = StopsAt(samplers[0], 0)
    assert train(KINDS[kind](), never, checkpoint=path) == expected  # a finished run is not run again


def test_it_also_trains_in_another_thread(train):
    done = []
    thread = threading.Thread(target=lambda: done.append(train(learner(), steps=2)))
    thread.start()
    thread.join()
    assert len(done[0].losses) == 2


def test_early_stopping_keeps_the_best_weights(train, samplers):
    model = learner()
    history = train(model, steps=400, lr=0.3, validate_every=2, patience=3)
    assert history.stopped_early and len(history.losses) < 400
    assert history.valid_steps[-1] - history.best_step == 6
    assert evaluate(model, samplers[1], episodes=10).mean == pytest.approx(max(history.valid_scores))


def sinusoids(**options):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(1, 10), torch.nn.Tanh(), torch.nn.Linear(10, 1))
    learner = MAML(model, inner_steps=1, inner_lr=0.01)
    settings = {**OPTIONS, "steps": 60, "validate_every": 5, **options}
    return learner, meta_train(learner, SinusoidSampler(seed=0), valid=SinusoidSampler(seed=1), **settings)


def test_validation_of_a_regression_keeps_the_lowest_error():
    learner, history = sinusoids(lr=0.5)  # so high that the last weights are not the best ones
    errors = history.valid_scores
    assert history.lower_is_better and history.valid_steps[errors.index(min(errors))] == history.best_step
    assert min(errors) < errors[-1] and history.best_step < 60
    assert evaluate(learner, SinusoidSampler(seed=1), episodes=10).mean == pytest.approx(min(errors))


def test_patience_waits_for_a_lower_error():
    learner, history = sinusoids(lr=0.5, steps=600, patience=2)
    assert history.stopped_early and history.valid_steps[-1] - history.best_step == 10
    assert len(history.losses) < 600 and history.valid_scores[history.best] == min(history.valid_scores)
    assert evaluate(learner, SinusoidSampler(seed=1), episodes=10).mean == pytest.approx(min(history.valid_scores))


def test_a_regression_resumes_with_its_best_error(tmp_path):
    expected, (learner, whole) = sinusoids(lr=0.5), sinusoids(lr=0.5, checkpoint=tmp_path / "c")
    assert whole == expected[1]
    again, history = sinusoids(lr=0.5, checkpoint=tmp_path / "c")  # finished: only read
    assert history == whole and same(weights_of(again), weights_of(learner))


def test_a_validation_corpus_stands_for_episodes_of_the_same_shape(train, samplers, corpus):
    assert train(learner(), valid=corpus) == train(learner())
    with pytest.raises(ValueError, match="give valid= a sampler"):
        train(learner(), StopsAt(samplers[0], 0), valid=corpus)


def test_a_checkpoint_of_another_run_is_refused(train, samplers, tmp_path):
    path = tmp_path / "c"
    train(learner(), checkpoint=path)
    for model, options, what in (
        (learner(), {"lr": 0.02}, "lr"),
        (learner(7), {}, "learner"),
        (learner(), {"sampler": samplers[1]}, "sampler"),
    ):
        with pytest.raises(ValueError, match=rf"another run \(different: {what}\)"):
            train(model, checkpoint=path, **options)


def test_a_full_disk_leaves_the_last_checkpoint(train, samplers, tmp_path, monkeypatch):
    path = tmp_path / "c"
    train(learner(), checkpoint=path, steps=10)
    before = path.read_bytes()

    def full(tensors, filename, metadata=None):
        filename.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(OSError, match="No space left"):
        train(learner(), checkpoint=tmp_path / "d")
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c"]


def test_divergence_is_caught_at_its_step(train):
    model = learner()
    model.meta_loss = lambda episodes: sum(p.sum() for p in model.parameters()) * float("nan")
    with pytest.raises(TrainingDiverged, match="nan at step 1"):
        train(model)


@pytest.mark.parametrize("name", ["steps", "tasks_per_step", "validate_every", "valid_episodes"])
def test_bad_numbers_are_refused(train, name):
    with pytest.raises(ValueError, match=f"{name}=0"):
        train(learner(), **{name: 0})


def test_progress_goes_to_stdout_and_leaves_no_trace_on_stderr(train, capsys, monkeypatch):
    monkeypatch.delenv("METALEARN_HEADLESS", raising=False)
    train(learner(), progress=True)
    captured = capsys.readouterr()
    assert "meta-train prototypes" in captured.out
    assert captured.err == ""
    monkeypatch.setenv("METALEARN_HEADLESS", "1")
    train(learner(), progress=True)
    assert capsys.readouterr().out == ""
