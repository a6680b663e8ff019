"""No language has two roles in one experiment of chapter 11."""

from __future__ import annotations

from itertools import combinations

import pytest

from metalearn_lib.translation.languages import EDITING, INTO_ENGLISH, RELATIVES, REQUESTS, languages_of


@pytest.mark.parametrize("roles", [INTO_ENGLISH, REQUESTS])
def test_the_parts_share_no_language(roles: dict[str, tuple[str, ...]]) -> None:
    for one, other in combinations(roles.values(), 2):
        assert not set(one) & set(other)
    assert len(languages_of(roles)) == sum(map(len, roles.values()))


def test_nothing_is_learned_from_a_target_of_the_test() -> None:
    learned = {language for pair in EDITING["train"] for language in pair}
    chosen = {target for _, target in EDITING["valid"]}
    new = {target for _, target in EDITING["test"]}
    assert not learned & (chosen | new) and not chosen & new
    assert learned == {language for family in RELATIVES.values() for language in family}
    assert all(source in learned for source, _ in EDITING["valid"] + EDITING["test"])
