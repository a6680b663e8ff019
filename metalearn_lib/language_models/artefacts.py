"""A language model is trained once: the weights are kept in the data cache, under a key of all they depend on.

Chapters 01, 06 and 09 train the same models at every run; `metalearn data make` trains them beforehand.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import filelock
import torch

from metalearn_lib import corpora, files
from metalearn_lib.language_models.neural import NeuralLanguageModel, fit
from metalearn_lib.language_models.scoring import Sentence

FORMAT = 1  # of the files, and of what `fit` does: a new number, and nothing old is read again


def fit_once(
    model: NeuralLanguageModel,
    sentences: Sequence[Sentence],
    *,
    valid: Sequence[Sentence] | None = None,
    epochs: int = 10,
    lr: float = 3e-3,
    tokens_per_batch: int = 1024,
    weight_decay: float = 0.0,
    seed: int = 0,
    progress: bool = True,
    folder: Path | None = None,
) -> list[float]:
    """`fit`, or where an equal fit was made before, its weights and its losses: the model is the same, to the last bit.

    Equal is what has the same model (kind, sizes, weights to start from, vocabulary), texts, settings, device and
    version of torch. Two processes that ask at once train it once. A damaged file, or a `folder` (by default one in the
    data cache) that cannot be written, costs the time of a training, nothing else.   Chapters: 01, 06, 09
    """
    settings = {"epochs": epochs, "lr": lr, "tokens_per_batch": tokens_per_batch, "weight_decay": weight_decay}
    folder = corpora.cache_folder() / "language_models" if folder is None else folder
    path = folder / f"{_key(model, sentences, valid, {**settings, 'seed': seed})}.safetensors"
    with _locked(path):
        losses = _loaded(model, path)
        if losses is None:
            losses = fit(model, sentences, valid=valid, seed=seed, progress=progress, **settings)  # type: ignore[arg-type]
            kept = {f"weights.{name}": tensor for name, tensor in model.state_dict().items()}
            files.keep_tensors(path, {**kept, "losses": torch.tensor(losses, dtype=torch.float64)}, {})
    return losses


def _key(
    model: NeuralLanguageModel,
    sentences: Sequence[Sentence],
    valid: Sequence[Sentence] | None,
    settings: dict[str, float],
) -> str:
    shape = {"kind": model.kind, "heads": model.heads, "modules": repr(model), "device": model.bias.device.type}
    texts = [model.vocabulary.itos, *([list(s) for s in part] for part in (sentences, valid or [[]]))]
    versions = {"format": FORMAT, "torch": torch.__version__}
    digest = hashlib.sha256(json.dumps([versions, shape, settings, texts], sort_keys=True).encode())
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return f"{model.kind}-{digest.hexdigest()[:16]}"


def _loaded(model: NeuralLanguageModel, path: Path) -> list[float] | None:
    """Put stored weights into the model → the losses of its training; None, and the model as it was, without a file."""
    if not path.is_file():
        return None
    try:
        tensors, _ = files.read_tensors(path)
        losses: list[float] = tensors.pop("losses").tolist()
        shapes = {f"weights.{name}": tensor.shape for name, tensor in model.state_dict().items()}
        if {name: tensor.shape for name, tensor in tensors.items()} != shapes:
            return None
    except (OSError, ValueError, KeyError):
        return None  # damaged: trained again, and written anew
    model.load_state_dict({name.removeprefix("weights."): tensor for name, tensor in tensors.items()})
    model.eval()
    return losses


def _locked(path: Path) -> AbstractContextManager[object]:
    """A lock for this model; none where it is ready, or in a folder that cannot be written."""
    if path.is_file():
        return nullcontext()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return filelock.FileLock(path.with_suffix(".lock")).acquire()
    except OSError:
        return nullcontext()
