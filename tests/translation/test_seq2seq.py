"""The sequence model: padding changes nothing, what is written depends on what came before alone, and it learns."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from metalearn_lib.corpora.translations import Pair
from metalearn_lib.translation import PieceCodec, Seq2Seq, Writer, fine_tuned
from metalearn_lib.translation.seq2seq import BEGIN, END, PAD

NUMBERS = {"uno": "one", "dos": "two", "tres": "three", "seis": "six"}
PAIRS = [Pair("", f"{a} y {b}", f"{NUMBERS[a]} and {NUMBERS[b]}") for a in NUMBERS for b in NUMBERS]
CODEC = PieceCodec([text for pair in PAIRS for text in pair[1:]], pieces=300, length=8)


def test_every_script_survives_the_pieces() -> None:
    long = PieceCodec(["uno dos"], pieces=259, length=60)
    for text in ("uno y dos", "Ελλάδα", "חיבור", "漢字 🍕"):
        assert long.decode(long.encode(text)) == text and long.encode(text)[-1] == END
    again = PieceCodec([text for pair in PAIRS for text in pair[1:]], pieces=300, length=8)
    assert again.identity == CODEC.identity != long.identity
    assert len(CODEC.encode("x" * 100)) == 8 and CODEC.encode("") == [END] and CODEC.decode([END, 5, 6]) == ""


def test_an_example_has_a_row_for_each_position() -> None:
    x, y = CODEC.example(PAIRS[0])
    assert x.shape == (8, 2) and y.shape == (8,)
    target = CODEC.encode("one and one")
    assert y.tolist() == target + [PAD] * (8 - len(target))
    assert x[:, 1].tolist() == [BEGIN, *target[:-1]] + [PAD] * (8 - len(target))


def test_padding_costs_nothing_and_moves_nothing() -> None:
    model = Seq2Seq(len(CODEC), 8, dim=16)
    x, y = CODEC.example(PAIRS[0])
    losses = cross_entropy(model(x), y, reduction="none")
    assert losses[y == PAD].max() < 1e-8 and losses[y != PAD].min() > 0.1


def test_a_position_sees_only_what_was_written_before_and_its_own_pair() -> None:
    model = Seq2Seq(len(CODEC), 8, dim=16).eval()
    first, second = (CODEC.example(pair)[0] for pair in (PAIRS[1], PAIRS[6]))
    together = model(torch.cat([first, second]))
    assert torch.allclose(together[:8], model(first), atol=1e-6)
    changed = first.clone()
    changed[3, 1] = 77
    assert torch.allclose(model(changed)[:3], model(first)[:3], atol=1e-6)
    assert not torch.allclose(model(changed)[3], model(first)[3], atol=1e-3)


def test_it_learns_to_translate_and_writes_what_it_would_have_been_taught() -> None:
    model = Seq2Seq(len(CODEC), 8, dim=32)
    held_out = PAIRS[5]
    learned = fine_tuned(
        model, CODEC.examples(pair for pair in PAIRS if pair != held_out), steps=150, lr=1e-2, pairs_per_step=8
    )
    writer = Writer(CODEC, learned, batch=3)
    assert writer.translate([pair.source for pair in PAIRS[:4]]) == [pair.target for pair in PAIRS[:4]]
    assert writer.translate([]) == [] and isinstance(writer.translate([""])[0], str)
    assert Writer(CODEC, model).translate(["uno y dos"]) != ["one and two"]


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Seq2Seq(300, 8, dim=7), "must be even"),
        (lambda: Seq2Seq(2, 8), "pieces=2"),
        (lambda: Seq2Seq(300, 1), "length=1"),
        (lambda: PieceCodec(["a"], pieces=100), "pieces=100"),
        (lambda: PieceCodec(["a"], length=0), "length=0"),
    ],
)
def test_sizes_that_cannot_be(build: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build()  # type: ignore[operator]
