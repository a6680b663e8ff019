"""Self-checks of the exercises: `check.NAME(your_answer)` says what holds, or what is wrong and where to look.

A chapter's checks are imported when one of them is first used.   Every chapter with exercises
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .core import CheckFailed, SelfCheck

__all__ = ["CheckFailed"]

CHAPTERS = {
    "chapter_00": ("episode_size", "disjoint_split", "leaky_episode", "episodes_needed", "evaluation_loop"),
    "chapter_01": ("perplexity", "related_episode", "leaky_split", "learn_exponent", "honest_gain"),
    "chapter_02": ("layer_rates", "momentum_hypergradient", "windowed_hypergradient", "learn_rate", "loss_ratio"),
    "chapter_03": ("anil_adapted", "regression_meta_gradient", "is_second_order", "reptile_training", "gain_of_steps"),
    "chapter_04": ("median_prototypes", "ridge_logits", "peeking_logits", "paired_gain", "prototype_training"),
    "chapter_05": ("rival_codes", "corrected_weights", "share_that_changes", "writer_training"),
    "chapter_06": ("average_of_known", "masked_dynamic", "fit_a_la_carte", "flattering_and_honest", "learn_weights"),
    "chapter_07": ("stream_measures", "one_text_more", "unopposed", "mer_training"),
    "chapter_08": ("effective_classes", "mixed_loss", "unscaled_loss", "clearly_beaten", "learn_to_teach"),
    "chapter_09": ("concat_pool", "leep_score", "chosen_on_test", "worth_in_labels", "gentle_fine_tuning"),
    "chapter_10": ("spans_of", "precision_recall_f1", "viterbi_path", "tagger_training"),
    "chapter_11": ("chrf_of_all", "without_leaks", "mixed_states", "learned_start"),
}
_MODULES = {name: module for module, names in CHAPTERS.items() for name in names}


def all_checks() -> dict[str, SelfCheck]:
    """Every check of every chapter, by name."""
    return {name: __getattr__(name) for name in _MODULES}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"there is no check called {name!r}; the checks are {', '.join(sorted(_MODULES))}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
