"""Combinations against their definitions; sources with other words and dimensions; what is refused."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from metalearn_lib.meta_embeddings import aligned, average, concatenated, prepared, svd
from metalearn_lib.text import WordVectors

WORDS = "a b c d e f g h"


def test_the_union_of_the_words_in_the_order_of_the_sources(source):
    words, tables = aligned([source("a b", 2), source("c b", 3)])
    assert words == ["a", "b", "c"]
    assert [tuple(t.shape) for t in tables] == [(3, 2), (3, 3)]
    assert not tables[0][2].any()
    assert not tables[1][0].any()


def test_asked_words_keep_their_order_and_unknown_ones_are_zero(source):
    words, (table,) = aligned([source("a b", 2)], ["zzz", "b"])
    assert words == ["zzz", "b"]
    assert not table[0].any()
    assert table[1].any()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda s: aligned([]), "no sources"),
        (lambda s: aligned([s("a", 2)], ["b"]), "no source knows any of the 1 words"),
        (lambda s: aligned([s("a", 2)], []), "no source knows any of the 0 words"),
        (lambda s: aligned([s("a", 2)], ["a", "a"]), "'a' is asked for twice"),
        (lambda s: svd([s("a b", 2)], dim=3), r"svd\(dim=3\)"),
        (lambda s: svd([s("a b", 2)], dim=0), r"svd\(dim=0\)"),
        (lambda s: prepared(s("a b c", 2), remove=2), "3 words have a vector"),
        (lambda s: prepared(s("a b c", 2), remove=-1), "remove=-1"),
    ],
)
def test_bad_input_is_told(source, make, says):
    with pytest.raises(ValueError, match=says):
        make(source)


def test_a_word_that_no_source_knows_is_left_out_of_the_combination(source):
    for combine in (average, concatenated):
        assert list(combine([source("a b", 2), source("b c", 3)], ["b", "zzz", "c"]).words) == ["b", "c"]


def test_the_average_pads_and_leaves_missing_sources_out(source):
    one, two = source("a b", 2, 1), source("b c", 3, 2)
    made = average([one, two])
    by_hand = (torch.cat([one.table[2], torch.zeros(1)]) + two.table[1]) / 2
    torch.testing.assert_close(made.table[made.stoi["b"]], by_hand)
    torch.testing.assert_close(made.table[made.stoi["c"]], two.table[2])


def test_dot_products_of_the_concatenation_are_sums(source):
    one, two = source(WORDS, 3, 1), source(WORDS, 5, 2)
    joined = concatenated([one, two]).table
    torch.testing.assert_close(joined @ joined.T, one.table @ one.table.T + two.table @ two.table.T)


def test_svd_at_full_rank_keeps_all_dot_products_and_cut_is_the_best_approximation(source):
    pair = [source(WORDS, 3, 1), source(WORDS, 4, 2)]
    joined = concatenated(pair).table[1:].double()
    full = svd(pair, dim=7).table[1:].double()
    torch.testing.assert_close(full @ full.T, joined @ joined.T, atol=1e-4, rtol=1e-4)
    u, s, _ = torch.linalg.svd(joined)
    best = u[:, :2] * s[:2]
    cut = svd(pair, dim=2).table[1:].double()
    torch.testing.assert_close(cut @ cut.T, best @ best.T, atol=1e-4, rtol=1e-4)


def test_prepared_has_no_mean_no_top_directions_and_one_spread_of_cosines(source):
    raw = source(" ".join(f"w{i}" for i in range(200)), 12)
    shifted = WordVectors.from_array(raw.words, (raw.table[1:] * torch.arange(1, 13) + 7).numpy())
    made = prepared(shifted, remove=2).table[1:].double()
    lengths = made.norm(dim=1)
    torch.testing.assert_close(lengths, lengths[0].expand(200), atol=1e-4, rtol=1e-4)
    cosines = normalize(made, dim=1) @ normalize(made, dim=1).T
    off = cosines[~torch.eye(200, dtype=torch.bool)]
    assert float(lengths[0]) == pytest.approx(float(off.std(correction=0)) ** -0.5, rel=1e-3)
    centred = (shifted.table[1:] - shifted.table[1:].mean(0)).double()
    top = torch.linalg.svd(centred, full_matrices=False)[2][:2]
    assert (made @ top.T).abs().max() < 1e-4


def test_after_preparation_no_source_drowns_the_other(source):
    words = " ".join(f"w{i}" for i in range(100))
    narrow, wide = source(words, 40, 1), source(words, 3, 2)
    products = [p.table[1:] @ p.table[1:].T for p in (prepared(narrow), prepared(wide, remove=0))]
    off = ~torch.eye(100, dtype=torch.bool)
    assert float(products[0][off].std()) == pytest.approx(float(products[1][off].std()), rel=0.02)


def test_preparation_forgets_words_without_a_vector(source):
    assert "zzz" not in prepared(source(WORDS, 4), words=[*WORDS.split(), "zzz"]).words
