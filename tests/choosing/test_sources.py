"""What can be measured: corpora without a setting, files of one's own with and without lists, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from metalearn_lib.choosing import FLOORS, RECIPES, SETTINGS, Setting, Store, measure_split, sources
from metalearn_lib.choosing.__main__ import main
from metalearn_lib.choosing.measure import TaskShape
from metalearn_lib.choosing.sources import Drawn, Unfit, of_file
from metalearn_lib.corpora import Corpus, CorpusError

CLASSES = [f"c{number}" for number in range(9)]
FLOOR_RECIPES = {name: RECIPES[name] for name in FLOORS}
PARTS = {"train": CLASSES[:4], "valid": CLASSES[4:6], "test": CLASSES[6:]}


def toy(classes: list[str], texts: int = 24) -> Corpus:
    pairs = [(f"{label} word{i} {label}", label) for label in classes for i in range(texts)]
    return Corpus("toy", [text for text, _ in pairs], [label for _, label in pairs])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    corpus, path = toy(CLASSES), tmp_path / "mine.jsonl"
    rows = [{"sentence": text, "label": label} for text, label in zip(corpus.texts, corpus.labels, strict=True)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def write_lists(folder: Path, parts: dict[str, list[str]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for part, labels in parts.items():
        (folder / f"labels.{part}.txt").write_text("\n".join(labels))
    return folder


def run(*words: str) -> tuple[int, str]:
    app = Typer(pretty_exceptions_enable=False)
    app.command()(main)
    learners = ("--episodes", "4", "--learners", "tf-idf")
    result = CliRunner().invoke(app, [*learners, *words], catch_exceptions=False)
    return result.exit_code, " ".join(result.output.split())


def test_parts_of_a_corpus_without_a_setting_are_disjoint_and_have_two_classes_or_more() -> None:
    train, valid, test = (part.classes for part in Drawn(toy(CLASSES)).parts("toy", "1") if part is not None)
    assert sorted(train + valid + test) == CLASSES
    assert len(valid) == len(test) == 2
    assert Drawn(toy(CLASSES)).parts("toy", "1")[0].classes == train
    large = Drawn(toy(CLASSES, texts=160)).parts("toy", "0")[0]
    assert set(large.counts().values()) == {150}


def test_classes_of_few_texts_are_left_out_and_too_few_classes_are_refused() -> None:
    with pytest.raises(Unfit, match="toy: 0 classes have 20 texts or more; train, valid and test need two each"):
        Drawn(toy(CLASSES, texts=19)).parts("toy", "0")


def test_a_corpus_with_published_splits_is_cut_by_them(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = toy(CLASSES)
    published = Corpus("toy", corpus.texts, corpus.labels, published={"x": PARTS})
    monkeypatch.setattr(sources.corpora, "load", lambda name: published)
    source = sources.of_catalog("toy")
    assert isinstance(source, Setting) and source.splits == ("x",)
    assert [part.classes for part in source.parts("toy", "x") if part] == list(PARTS.values())
    assert sources.of_catalog("clinc150") is SETTINGS["clinc150"]


@pytest.mark.parametrize("numbered", [False, True])
def test_lists_are_read_from_a_folder_or_numbered_folders_below(file: Path, tmp_path: Path, numbered: bool) -> None:
    folder = tmp_path / "lists"
    for split in ("01", "02") if numbered else (".",):
        write_lists(folder / split, PARTS)
    name, source = of_file(file, folder)
    assert name.startswith("mine.jsonl@") and source.splits == (("01", "02") if numbered else ("lists",))
    assert [part.classes for part in source.parts(name, source.splits[0]) if part] == list(PARTS.values())


def test_a_name_changes_with_texts_and_with_lists_and_with_nothing_else(file: Path, tmp_path: Path) -> None:
    names = {of_file(file)[0], of_file(file, write_lists(tmp_path / "lists", PARTS))[0]}
    assert len(names) == 2
    (tmp_path / "other").mkdir()
    moved = file.rename(tmp_path / "other" / file.name)
    assert of_file(moved)[0] in names
    moved.write_text(moved.read_text().replace("word1 ", "word "))
    assert of_file(moved)[0] not in names


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"train": CLASSES[:4], "test": ["c7", "klingon"]}, r"labels.test.txt: no text has the label 'klingon'; the f"),
        ({"train": CLASSES[:4], "test": ["c3", "c8"]}, r"'c3' is in .*labels.train.txt, too; a class belongs to one"),
        ({"train": CLASSES[:4], "valid": ["c5"]}, r"labels.test.txt is missing or empty; list the classes"),
        ({"test": CLASSES[:4]}, r"no labels.train.txt in it, nor in a folder below; write the classes of each part"),
    ],
)
def test_lists_that_do_not_fit_are_refused(file: Path, tmp_path: Path, parts: dict[str, list[str]], message: str):
    with pytest.raises(CorpusError, match=message):
        of_file(file, write_lists(tmp_path / "lists", parts))


@pytest.mark.parametrize(
    ("parts", "options", "message"),
    [
        (PARTS, ("--ways", "5"), "3 test classes are too few for 5-way tasks; --ways 3 would do"),
        (PARTS, ("--queries", "20"), "3 of 3 test classes (c6, c7, c8) have fewer than 25 texts, 5 shots and 20 que"),
        (PARTS, ("--shots", "1,x"), "--shots '1,x': give whole numbers ≥ 1"),
        ({"train": ["c0"], "test": ["c1", "c2"]}, (), "one class to train on; list two or more"),
        ({"train": CLASSES[:4], "test": ["c8"]}, (), "1 test classes are too few for 5-way tasks; list two or more"),
    ],
)
def test_what_cannot_be_measured_ends_with_a_way_out(
    file: Path, tmp_path: Path, parts: dict[str, list[str]], options: tuple[str, ...], message: str
) -> None:
    folder = write_lists(tmp_path / "lists", parts)
    code, shown = run("--jsonl", str(file), "--labels", str(folder), "--out", str(tmp_path / "out"), *options)
    assert code == 2 and message in shown
    assert not (tmp_path / "out").exists()


def test_files_and_options_that_do_not_go_together_are_refused(file: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"text": "a", "label": "b"}\nnot json')
    for words, message in (
        (("--jsonl", str(broken)), "broken.jsonl, line 2: not JSON"),
        (("--jsonl", str(tmp_path / "none.jsonl")), "none.jsonl does not exist"),
        (("--labels", str(tmp_path)), "--labels goes with --jsonl"),
        (("--jsonl", str(file), "--corpora", "clinc150"), "give one of the two"),
        (("--corpora", "minilm"), "unknown corpus 'minilm': choose from clinc150"),
    ):
        code, shown = run(*words, "--out", str(tmp_path / "out"))
        assert code == 2 and message in shown


def test_few_test_classes_and_no_validation_classes_are_said_and_measured(file: Path, tmp_path: Path) -> None:
    folder = write_lists(tmp_path / "lists", {"train": CLASSES[:4], "test": CLASSES[7:]})
    code, shown = run("--jsonl", str(file), "--labels", str(folder), "--out", str(tmp_path / "out"))
    rows = json.loads((tmp_path / "out" / "few_shot.json").read_text())["results"]
    assert code == 0 and {row["ways"] for row in rows} == {2}
    assert "the test part has 2 classes, so tasks are 2-way" in shown and "2-way accuracy in %, 1 / 5 shots" in shown
    assert "no validation classes; what is chosen, is chosen on a third of the training classes" in shown


def test_rows_of_other_shapes_stand_side_by_side_and_a_learner_that_cannot_be_made_is_left_out(tmp_path: Path) -> None:
    store, said = Store(tmp_path / "few_shot.json"), list[str]()

    def fails(bench: object) -> None:
        raise ValueError("needs more classes")

    for shape in (TaskShape(), TaskShape(ways=2, queries=5, shots=(2, 10))):
        measure_split(
            store, "mine@1", "0", ["tf-idf centroid, log", "mine"], source=Drawn(toy([*CLASSES, *"abcdefgh"])),
            shape=shape, recipes={**FLOOR_RECIPES, "mine": fails}, remark="why", episodes=4, say=said.append,
        )  # fmt: skip
    cells = [(row["ways"], row["queries"], row["shots"]) for row in store.rows]
    assert cells == [(2, 5, 2), (2, 5, 10), (3, 15, 1), (3, 15, 5)]
    assert {row["note"] for row in store.rows} == {"why"}
    assert sum("mine left out: needs more classes" in line for line in said) == 2
