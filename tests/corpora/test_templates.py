"""Sentences that templates stand for: drawn with a seed, each once, what only a home knows left open."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest

from metalearn_lib.corpora import CorpusError, catalog
from metalearn_lib.corpora.templates import expanded

from .test_readers import _skip_unless_here

WRITTEN = {
    "language": "es",
    "intents": {
        "TurnOn": {"data": [{"sentences": ["(enciende|prende) [la] luz de {name}", "<please> luz;[en {color}]"]}]},
        "Set": {"data": [{"sentences": ["pon {percent} por ciento"]}]},
        "Nothing": {"data": []},
    },
    "lists": {
        "color": {"values": ["rojo", "azul (claro|oscuro)"]},
        "percent": {"range": {"from": 1, "to": 3}},
        "name": {"wildcard": True},
    },
    "expansion_rules": {"please": "(por favor|venga)"},
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hassil", reason="hassil is not installed: python -m pip install hassil")
    monkeypatch.setenv("METALEARN_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("METALEARN_MIRROR", str(tmp_path / "mirror"))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("x/data/es.json", json.dumps(WRITTEN))
        archive.writestr("x/data/pt-BR.json", json.dumps(WRITTEN))
        archive.writestr("x/about.json", "{}")
    path = tmp_path / "mirror" / "home" / "home.whl"
    path.parent.mkdir(parents=True)
    path.write_bytes(made.getvalue())
    digest = hashlib.sha256(made.getvalue()).hexdigest()
    entries = catalog.parse(
        f'[source.home]\nkind = "pypi"\nrequirement = "home==1"\n'
        f'files = [{{ path = "home.whl", size = 1, sha256 = "{digest}" }}]\n'
        '[corpus.home]\ntitle = "T"\nsource = "home"\nlicence = "L"\ncitation = "C"\ncontent = "templates"\n'
        'members = { language = "x/data/*.json" }\n'
    )
    monkeypatch.setattr(catalog, "_entries", lambda: entries)


@pytest.mark.usefixtures("home")
def test_templates_become_sentences() -> None:
    corpus = expanded("home", per_intent=20, seed=1)
    assert set(corpus.domains or ()) == {"es", "pt_BR"} and corpus.classes == ["Set", "TurnOn"]
    spanish = corpus.only(domains=["es"])
    assert set(spanish.only(["Set"]).texts) == {f"pon {n} por ciento" for n in (1, 2, 3)}
    assert {"enciende luz de …", "prende la luz de …"} <= set(spanish.texts)
    assert any("azul claro" in text for text in spanish.texts) and any("venga" in text for text in spanish.texts)
    assert len(set(spanish.texts)) == len(spanish)


@pytest.mark.usefixtures("home")
def test_the_same_seed_gives_the_same_sentences_whatever_else_is_read() -> None:
    both, one, other = (
        expanded("home", per_intent=3, seed=s, languages=ls) for s, ls in ((0, None), (0, ["es"]), (5, ["es"]))
    )
    assert both.only(domains="es").texts == one.texts != other.texts
    assert max(one.counts().values()) <= 3


@pytest.mark.usefixtures("home")
def test_an_unknown_language_is_named() -> None:
    with pytest.raises(CorpusError, match="'home' has no language 'xx'; it has es, pt_BR"):
        expanded("home", languages=["xx"])


def test_without_hassil_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "hassil", None)
    with pytest.raises(CorpusError, match="python -m pip install hassil"):
        expanded("home_requests")


def test_the_real_templates() -> None:
    pytest.importorskip("hassil", reason="hassil is not installed: python -m pip install hassil")
    _skip_unless_here("home_requests")
    corpus = expanded("home_requests", languages=["es", "gl"], per_intent=5)
    shared = set(corpus.only(domains="es").labels) & set(corpus.only(domains="gl").labels)
    assert len(shared) >= 22 and not any(mark in text for text in corpus.texts for mark in "{}<>[]|")
