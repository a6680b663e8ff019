"""A trained classifier on disk: safetensors and what it must agree in with the one that reads it.   Chapter 09"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from torch import nn

from metalearn_lib import files
from metalearn_lib.classification.model import Classifier


def save(classifier: Classifier, path: Path | str) -> None:
    """Write weights, classes and architecture as safetensors, beside the place first and then renamed.   Chapter: 09"""
    meta = {key: json.dumps(value) for key, value in _signature(classifier).items()}
    files.write_tensors(Path(path), classifier.state_dict(), meta)


def load(classifier: Classifier, path: Path | str, *, part: Literal["all", "encoder"] = "all") -> Classifier:
    """Read a saved classifier's weights into `classifier`, and return it; `part="encoder"` leaves the head as it is.

    Raises FileNotFoundError, or ValueError that names the difference where the file is no checkpoint or belongs to
    another architecture, other word vectors or (unless only the encoder is asked for) other classes.   Chapter: 09
    """
    path = Path(path)
    if part not in ("all", "encoder"):
        raise ValueError(f"load(part={part!r}): use 'all' or 'encoder'")
    if not path.is_file():
        raise FileNotFoundError(f"load: there is no checkpoint {path.name!r}; write one with save(classifier, path)")
    wanted = _signature(classifier)
    try:
        tensors, meta = files.read_tensors(path)
        found = {key: json.loads(meta[key]) for key in wanted if key in meta}
    except ValueError as error:
        raise ValueError(f"load: {path.name} cannot be read ({error}); it may be cut short: save it again") from error
    if missing := set(wanted) - set(found):
        raise ValueError(f"load: {path.name} is no saved classifier, it lacks {', '.join(sorted(missing))}")
    for key in ("classes", "encoder", "head", "words") if part == "all" else ("encoder", "words"):
        if found[key] != wanted[key]:
            raise ValueError(f"load: {path.name} has {_difference(key, found[key], wanted[key])}")
    chosen = {k: v for k, v in tensors.items() if part == "all" or k.startswith("encoder.")}
    here = {k: v for k, v in classifier.state_dict().items() if part == "all" or k.startswith("encoder.")}
    if {k: v.shape for k, v in chosen.items()} != {k: v.shape for k, v in here.items()}:
        raise ValueError(f"load: {path.name} does not hold the weights that it names; save it again")
    classifier.load_state_dict(chosen, strict=part == "all")
    return classifier


def _signature(classifier: Classifier) -> dict[str, Any]:
    """What a checkpoint must agree in; `words` is a hash of what the weights rely on but do not hold: the vectors."""
    kept = set(classifier.state_dict())
    digest = hashlib.sha256()
    for name, table in sorted(classifier.shipped().items()):
        if name not in kept and table.numel():
            digest.update(name.encode() + table.detach().cpu().contiguous().numpy().tobytes())
    return {
        "classes": list(classifier.classes),
        "encoder": {"type": type(classifier.encoder).__name__, **_shapes(classifier.encoder)},
        "head": _shapes(classifier.head),
        "words": digest.hexdigest()[:16],
    }


def _shapes(module: nn.Module) -> dict[str, list[int]]:
    return {name: list(value.shape) for name, value in module.state_dict().items()}


def _difference(key: str, found: Any, wanted: Any) -> str:
    if key == "words":
        return "been trained on other word vectors or another vocabulary than this encoder has; give it the same ones"
    if key == "classes":
        extra, lacking = sorted(set(found) - set(wanted)), sorted(set(wanted) - set(found))
        if not extra and not lacking:
            return "the same classes in another order; give Classifier(classes=…) the order of the checkpoint"
        return (
            f"other classes: only in the file {extra[:5]}, only here {lacking[:5]}; "
            "load(…, part='encoder') takes the encoder alone"
        )
    name = next(n for n in {**found, **wanted} if found.get(n) != wanted.get(n))
    return (
        f"another architecture: {key} {name} is {found.get(name, 'absent')} in the file and "
        f"{wanted.get(name, 'absent')} here; build the classifier as it was when it was saved"
    )
