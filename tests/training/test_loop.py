"""Meta-training: same seed same numbers, kill and resume, early stopping, bad input."""

import os
import signal
import threading

import pytest
import torch

from metalearn_lib import MAML, EpisodeSampler, Prototypical, SinusoidSampler, evaluate, meta_train
from metalearn_lib.corpora import Corpus
from metalearn_lib.encoders import Convolutional
from metalearn_lib.errors import TrainingDiverged
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


@pytest.fixture
def learner():
    def fresh(dim: int = 6) -> Prototypical:
        torch.manual_seed(0)
        vectors = WordVectors.from_array(WORDS, torch.randn(40, dim).numpy())
        return Prototypical(Convolutional(vectors, widths=(1, 2), channels=4, max_length=8, dropout=0.3))

    return fresh


@pytest.fixture
def samplers(corpus):
    options = {"n_way": 3, "k_shot": 2, "n_query": 4}
    return EpisodeSampler(corpus, seed=0, **options), EpisodeSampler(corpus, seed=1, **options)


OPTIONS = {
    "steps": 30,
    "tasks_per_step": 2,
    "lr": 0.01,
    "validate_every": 10,
    "valid_episodes": 10,
    "progress": False,
}


def weights(learner) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in learner.state_dict().items()}


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_same_seed_same_numbers(learner, samplers):
    runs = []
    for seed in (0, 0, 1):
        model = learner()
        history = meta_train(model, samplers[0], valid=samplers[1], seed=seed, **OPTIONS)
        runs.append((history, weights(model)))
    assert runs[0][0] == runs[1][0] and same(runs[0][1], runs[1][1])
    assert runs[0][0].losses != runs[2][0].losses  # dropout differs


class Stop(Exception):
    pass


class StopsAt:
    """A sampler that fails at one step: a process that dies there."""

    def __init__(self, sampler, first: int) -> None:
        self.sampler, self.first, self.key = sampler, first, sampler.key

    def sample(self, tasks=1, *, first=0):
        if first == self.first:
            raise Stop
        return self.sampler.sample(tasks, first=first)


@pytest.mark.parametrize("step", [5, 10, 17, 29])
def test_a_killed_run_resumes_to_the_very_same_numbers(learner, samplers, tmp_path, step):
    whole = learner()
    expected = meta_train(whole, samplers[0], valid=samplers[1], **OPTIONS)
    with pytest.raises(Stop):
        meta_train(
            learner(),
            StopsAt(samplers[0], step * 2),
            valid=samplers[1],
            checkpoint=tmp_path / "c.safetensors",
            **OPTIONS,
        )
    torch.manual_seed(12345)  # whatever happened meanwhile
    resumed = learner()
    history = meta_train(resumed, samplers[0], valid=samplers[1], checkpoint=tmp_path / "c.safetensors", **OPTIONS)
    assert history == expected
    assert same(weights(resumed), weights(whole))
    assert [p.name for p in tmp_path.iterdir()] == ["c.safetensors"]


def test_ctrl_c_saves_a_whole_step_and_resumes(learner, samplers, tmp_path):
    whole = learner()
    expected = meta_train(whole, samplers[0], valid=samplers[1], **OPTIONS)

    class Interrupts(StopsAt):
        def sample(self, tasks=1, *, first=0):
            if first == self.first:
                os.kill(os.getpid(), signal.SIGINT)
            return self.sampler.sample(tasks, first=first)

    previous = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        meta_train(
            learner(),
            Interrupts(samplers[0], 26),
            valid=samplers[1],
            checkpoint=tmp_path / "c.safetensors",
            **OPTIONS,
        )
    assert signal.getsignal(signal.SIGINT) is previous
    resumed = learner()
    assert (
        meta_train(resumed, samplers[0], valid=samplers[1], checkpoint=tmp_path / "c.safetensors", **OPTIONS)
        == expected
    )
    assert same(weights(resumed), weights(whole))


def test_it_also_trains_in_another_thread(learner, samplers):
    done = []
    thread = threading.Thread(target=lambda: done.append(meta_train(learner(), samplers[0], **{**OPTIONS, "steps": 2})))
    thread.start()
    thread.join()
    assert len(done[0].losses) == 2


def test_a_finished_run_is_not_run_again(learner, samplers, tmp_path):
    first = meta_train(learner(), samplers[0], valid=samplers[1], checkpoint=tmp_path / "c", **OPTIONS)
    again = learner()
    never = StopsAt(samplers[0], 0)
    assert meta_train(again, never, valid=samplers[1], checkpoint=tmp_path / "c", **OPTIONS) == first


def test_early_stopping_keeps_the_best_weights(learner, samplers):
    model = learner()
    options = {**OPTIONS, "steps": 400, "lr": 0.3, "validate_every": 2}
    history = meta_train(model, samplers[0], valid=samplers[1], patience=3, **options)
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
    assert history == whole and same(weights(again), weights(learner))


def test_a_validation_corpus_stands_for_episodes_of_the_same_shape(learner, samplers, corpus):
    by_corpus = meta_train(learner(), samplers[0], valid=corpus, **OPTIONS)
    assert by_corpus == meta_train(learner(), samplers[0], valid=samplers[1], **OPTIONS)
    with pytest.raises(ValueError, match="give valid= a sampler"):
        meta_train(learner(), StopsAt(samplers[0], 0), valid=corpus, **OPTIONS)


def test_a_checkpoint_of_another_run_is_refused(learner, samplers, tmp_path):
    meta_train(learner(), samplers[0], checkpoint=tmp_path / "c", **OPTIONS)
    with pytest.raises(ValueError, match=r"another run \(different: lr\)"):
        meta_train(learner(), samplers[0], checkpoint=tmp_path / "c", **{**OPTIONS, "lr": 0.02})
    with pytest.raises(ValueError, match="different: learner"):
        meta_train(learner(7), samplers[0], checkpoint=tmp_path / "c", **OPTIONS)
    with pytest.raises(ValueError, match="different: sampler"):
        meta_train(learner(), samplers[1], checkpoint=tmp_path / "c", **OPTIONS)


def test_a_truncated_checkpoint_is_refused(learner, samplers, tmp_path):
    path = tmp_path / "c"
    meta_train(learner(), samplers[0], checkpoint=path, **OPTIONS)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="cannot be read"):
        meta_train(learner(), samplers[0], checkpoint=path, **OPTIONS)


def test_a_full_disk_leaves_the_last_checkpoint(learner, samplers, tmp_path, monkeypatch):
    path = tmp_path / "c"
    meta_train(learner(), samplers[0], checkpoint=path, **{**OPTIONS, "steps": 10})
    before = path.read_bytes()

    def full(tensors, filename, metadata=None):
        filename.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(OSError, match="No space left"):
        meta_train(learner(), StopsAt(samplers[0], 999), checkpoint=tmp_path / "d", **OPTIONS)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c"]


def test_divergence_is_caught_at_its_step(learner, samplers):
    model = learner()

    def explode(episodes):
        return sum(p.sum() for p in model.parameters()) * float("nan")

    model.meta_loss = explode
    with pytest.raises(TrainingDiverged, match="nan at step 1"):
        meta_train(model, samplers[0], **OPTIONS)


@pytest.mark.parametrize("name", ["steps", "tasks_per_step", "validate_every", "valid_episodes"])
def test_bad_numbers_are_refused(learner, samplers, name):
    with pytest.raises(ValueError, match=f"{name}=0"):
        meta_train(learner(), samplers[0], **{**OPTIONS, name: 0})


def test_progress_goes_to_stdout_and_leaves_no_trace_on_stderr(learner, samplers, capsys, monkeypatch):
    monkeypatch.delenv("METALEARN_HEADLESS", raising=False)
    meta_train(learner(), samplers[0], **{**OPTIONS, "progress": True})
    captured = capsys.readouterr()
    assert "meta-train prototypes" in captured.out
    assert captured.err == ""
    monkeypatch.setenv("METALEARN_HEADLESS", "1")
    meta_train(learner(), samplers[0], **{**OPTIONS, "progress": True})
    assert capsys.readouterr().out == ""
