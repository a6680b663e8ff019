"""Everyone who computes a meta-gradient here: the engines of the inner loop, and the peers that are installed."""

from __future__ import annotations

from typing import get_args

import torch

from metalearn_lib.inner_loop import EngineRefused, InnerLoop
from metalearn_lib.inner_loop.choice import EngineName

from . import peers
from .peers import Gradient, MetaGradient
from .problems import ANIL, FIRST, REPTILE, Problem, Setting, problem

ENGINES: tuple[EngineName, ...] = tuple(name for name in get_args(EngineName) if name != "auto")
TOLERANCE = 1e-9  # how far a meta-gradient may be from the loop by hand, in float64


def contestants(given: Problem, method: str) -> tuple[dict[str, MetaGradient], dict[str, str]]:
    """Everyone who computes this meta-gradient, our engines first, then the peers; and who fails, with the reason.

    All have done it once, so that what a first call builds is there.
    """
    everyone = {engine: made[0] for engine in ENGINES if (made := ours(given, method, engine))}
    for run in everyone.values():
        run()
    failed, missing = dict[str, str](), peers.missing()
    for name, (package, make) in peers.PEERS.items():
        if package in missing:
            continue
        try:
            if run_peer := make(given, method):
                run_peer()
                everyone[name] = run_peer
        except Exception as error:  # the others can still be compared
            if package is None:
                raise
            failed[name] = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    return everyone, failed


def one(given: Problem, method: str, name: str) -> MetaGradient:
    """One contestant, who has not done anything yet."""
    engine = next((engine for engine in ENGINES if engine == name), None)
    made = ours(given, method, engine) if engine else None
    run = made[0] if made else peers.PEERS[name][1](given, method)
    assert run is not None, f"{name} cannot compute {method}"
    return run


def ours(given: Problem, method: str, engine: EngineName) -> tuple[MetaGradient, str] | None:
    """The meta-gradient by one engine of the inner loop, and the engine's name; None where it refuses the model."""
    adapt = "head" if method == ANIL else "all"
    try:
        loop = InnerLoop(given.model, steps=given.steps, first_order=method == FIRST, adapt=adapt, engine=engine)
    except EngineRefused:
        return None
    run = loop.displacement if method == REPTILE else loop.gradients
    return lambda: run(given.tasks, given.rate)[1], loop.engine_for(len(given.tasks.support_x))


def differences(model: str, method: str, setting: Setting) -> dict[str, float]:
    """How far each contestant's meta-gradient of two tasks is from the loop by hand, in float64.

    Raises:
        RuntimeError: one is further away than 1e-9, or lacks a parameter; then there is nothing to compare.
    """
    everyone, _ = contestants(problem(model, setting, tasks=2, steps=setting.steps, dtype=torch.float64), method)
    reference = {name: value.clone() for name, value in everyone["loop by hand"]().items()}
    apart = {name: _distance(run(), reference) for name, run in everyone.items()}
    for name, distance in apart.items():
        if not distance <= TOLERANCE:
            raise RuntimeError(f"{name} is {distance:.1e} from the loop by hand ({model}, {method}); "
                               f"what differs by more than {TOLERANCE:.0e} must not be timed against it")  # fmt: skip
    return apart


def _distance(gradient: Gradient, reference: Gradient) -> float:
    """The largest difference of any entry; infinite where the parameters are not the same."""
    if gradient.keys() != reference.keys():
        return float("inf")
    return max(float((gradient[name] - reference[name]).abs().max()) for name in reference)
