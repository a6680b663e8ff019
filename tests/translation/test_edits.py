"""Edits: their labels give the target; a tagger starts from copying and learns a rule; the table and it together."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metalearn_lib.corpora.translations import Pair
from metalearn_lib.translation import EditCodec, Editor, WordsOrEdits, WordTable, edited, edits, fine_tuned
from metalearn_lib.translation.edits import SAME

SYLLABLES = [a + b for a in "bdfgl" for b in "aeo"]
# A rule that takes context: j is x, but before an e it is a g; a final n falls away.
WORDS = [f"{x}{j}{y}" for x in SYLLABLES for j in "jn" for y in SYLLABLES[::2]] + [
    f"{x}je{n}" for x in SYLLABLES for n in ("", "n")
]


def rule(word: str) -> str:
    return word.replace("je", "ge").replace("j", "x").removesuffix("n")


PAIRS = [Pair(word, word, rule(word)) for word in WORDS]
TEXT = st.text(alphabet="abcé ", max_size=12)


@given(TEXT, TEXT, st.integers(1, 4))
def test_the_labels_give_the_target(source: str, target: str, longest: int) -> None:
    labels = edits(source, target)
    assert len(labels) == len(source) + 1
    assert "".join(edited(source, labels)) == target
    assert edits(source, source) == [SAME] * (len(source) + 1)
    short = edits(source, target, longest=longest)
    assert all(one in (None, label) for one, label in zip(short, labels, strict=True))
    assert all(len(label.replace(SAME, "")) <= longest for label in short if label is not None)


def test_another_word_is_no_edit() -> None:
    assert edits("un gato", "un felino", longest=3) == [SAME] * 4 + [None] * 3 + [SAME]
    codec = EditCodec([Pair("", "casa", "case"), Pair("", "gato", "minino"), Pair("", "si", "si que non")], longest=2)
    assert codec.labels == [SAME, "e"]
    assert [len(y) for _, y in codec.examples([Pair("", "gato", "minino"), Pair("", "si", "si que non")])] == [2, 2]


def test_a_cautious_editor_changes_only_what_it_is_sure_of() -> None:
    codec = EditCodec(PAIRS, coverage=1.0)
    model = codec.model(keep=0.0)
    with torch.no_grad():
        model[4].weight.zero_()
        model[4].bias[codec.labels.index("x")] = 1.0  # the probability of x is e / (e + 3)
    assert Editor(codec, model, caution=0.4).translate(["ab"]) == ["xxx"]
    assert Editor(codec, model, caution=0.5).translate(["ab"]) == ["ab"]
    with pytest.raises(ValueError, match=r"caution=1.0"):
        Editor(codec, model, caution=1.0)


def test_the_codec_keeps_the_frequent_labels() -> None:
    everything = EditCodec(PAIRS, coverage=1.0)
    assert everything.labels[0] == SAME and set(everything.labels[1:]) == {"x", "g", ""}
    assert len(EditCodec(PAIRS, coverage=0.5).labels) < 4
    assert EditCodec(PAIRS[::-1], coverage=1.0).identity == everything.identity != EditCodec(PAIRS[:9]).identity
    x, y = everything.example(Pair("", "baja", "baxa"))
    assert x.shape == (5, 13) and y.tolist() == [0, 0, 0, everything.labels.index("x"), 0]
    x, y = everything.example(Pair("", "baja", "bazza"))  # a label that is not known teaches nothing
    assert len(x) == len(y) == 4
    assert everything.examples([Pair("", "", "new")]) == []


def test_windows_see_what_is_around_each_character() -> None:
    codec = EditCodec(PAIRS, radius=1)
    edge, unknown, a, b = 0, 1, 2 + codec.characters.index("a"), 2 + codec.characters.index("b")
    assert codec.windows("aZb").tolist() == [[edge, edge, a], [edge, a, unknown], [a, unknown, b], [unknown, b, edge]]
    assert codec.windows("").tolist() == [[edge, edge, edge]]


@pytest.mark.parametrize(("pairs", "options"), [([], {}), (PAIRS, {"coverage": 0.0}), (PAIRS, {"radius": 0})])
def test_a_codec_without_sense_is_refused(pairs: list[Pair], options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="EditCodec"):
        EditCodec(pairs, **options)  # type: ignore[arg-type]


def test_the_tagger_starts_from_copying_and_learns_a_rule_from_few_pairs() -> None:
    codec = EditCodec(PAIRS, coverage=1.0, radius=3)
    model = codec.model(hidden=64)
    texts = [pair.source for pair in PAIRS[2::3]] + ["", "漢字 ab"]
    assert Editor(codec, model).translate(texts) == texts and Editor(codec, model).translate([]) == []
    before = torch.get_rng_state()
    learned = fine_tuned(model, codec.examples(PAIRS[::3] + PAIRS[1::3]), steps=150, lr=5e-3)
    assert torch.equal(before, torch.get_rng_state()) and torch.equal(model[4].bias, codec.model(hidden=64)[4].bias)
    right = [a == rule(b) for a, b in zip(Editor(codec, learned).translate(texts[:-2]), texts, strict=False)]
    assert sum(right) / len(right) > 0.95
    assert Editor(codec, learned).translate(["漢"]) == ["漢"]


def test_known_words_come_from_the_table_and_others_from_the_editor() -> None:
    codec = EditCodec(PAIRS, coverage=1.0)
    model = codec.model(seed=1)
    with torch.no_grad():
        model[4].bias[codec.labels.index("x")] = 100.0  # an editor that writes x for everything
    editor, table = Editor(codec, model), WordTable([Pair("", "uno dos", "un dous")])
    assert editor.translate(["ab"]) == ["xxx"]
    assert WordsOrEdits(table, editor).translate(["uno, ab dos"]) == ["xunxxxxxdous"]
    assert WordsOrEdits(table, editor).translate(["", "dos"]) == ["x", "xdous"]
    assert WordsOrEdits(table, editor).translate([]) == []
