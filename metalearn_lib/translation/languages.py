"""Which languages are learned from, which choose settings, and which are new: none has two roles in one experiment.

Chapter: 11
"""

from __future__ import annotations

from itertools import permutations

RELATIVES = {
    "Romance": ("es", "pt", "it", "fr", "ro"),
    "Germanic": ("da", "sv", "nl", "de"),
    "Slavic": ("cs", "pl", "sl"),
}
EDITING = {
    "train": [pair for family in RELATIVES.values() for pair in permutations(family, 2)],
    "valid": [("es", "ca"), ("it", "ca"), ("sl", "hr")],
    "test": [("es", "gl"), ("pt", "gl"), ("da", "nb"), ("cs", "sk")],
}
"""Pairs of languages, source and target. Nothing is learned from texts of a target of `valid` or `test`."""

INTO_ENGLISH = {
    "train": ("fr", "it", "pt", "ca", "ro", "de", "nl", "sv", "da", "cs", "pl", "hr", "sl"),
    "valid": ("sk",),
    "test": ("es", "gl", "nb", "fi"),
}
REQUESTS = {
    "train": ("fr", "it", "pt", "ro", "de", "nl", "sv", "cs", "pl", "sl", "bg", "ru"),
    "valid": ("ca", "hr", "hu"),
    "test": ("es", "gl", "da", "nb", "sk", "fi"),
}
"""In each test the last language, Finnish, has no relative among those of training."""


def languages_of(*roles: dict[str, tuple[str, ...]]) -> list[str]:
    """All languages of some experiments, sorted; of `EDITING` both sides.

    >>> languages_of({"train": ("pt",), "valid": ("ca",), "test": ("es", "pt")})
    ['ca', 'es', 'pt']
    """
    return sorted({language for role in roles for part in role.values() for language in part})
