"""Parallel texts: from archives of the catalog, from one's own files, and how they are cut."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from metalearn_lib.corpora import CorpusError, catalog
from metalearn_lib.corpora.translations import Pair, Parallel, from_parallel, parallel
from tests.corpora.archives import packed

from .test_readers import _skip_unless_here

OWN = Parallel("own", {"es": {"exit": "salida", "open": "abierto"}, "gl": {"exit": "saída"}, "fi": {"Open": "auki"}})


def entry(english: str, translation: str) -> str:
    return f'msgid "{english}"\nmsgstr "{translation}"\n\n'


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two programs, "one" and "two", whose archives lie in a mirror."""
    monkeypatch.setenv("METALEARN_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("METALEARN_MIRROR", str(tmp_path / "mirror"))
    contents = {
        "one": {
            "a/locale/es/LC_MESSAGES/a.po": entry("exit", "salida"),
            "b/locale/es/LC_MESSAGES/b.po": entry("exit", "sale") + entry("open", "abrir"),
            "a/locale/sk_SK/LC_MESSAGES/a.po": entry("exit", "von"),
            "a/locale/en_GB/LC_MESSAGES/a.po": entry("color", "colour"),
            "a/locale/nb_NO/LC_MESSAGES/a.po": entry("exit", "ut (NO)"),
            "a/locale/nb/LC_MESSAGES/a.po": entry("exit", "ut"),
            "a/locale/es/LC_MESSAGES/a.pot": "no catalogue",
        },
        "two": {
            "a/locale/es/LC_MESSAGES/a.po": entry("open", "abierto") + entry("shut", "cerrado"),
            "a/locale/gl/LC_MESSAGES/a.po": entry("shut", ""),
        },
    }
    toml = ""
    for name, members in contents.items():
        raw = packed(members)
        path = tmp_path / "mirror" / name / f"{name}.whl"
        path.parent.mkdir(parents=True)
        path.write_bytes(raw)
        toml += (
            f'[source.{name}]\nkind = "pypi"\nrequirement = "{name}==1"\n'
            f'files = [{{ path = "{name}.whl", size = {len(raw)}, sha256 = "{hashlib.sha256(raw).hexdigest()}" }}]\n'
            f'[corpus.{name}]\ntitle = "T"\nsource = "{name}"\nlicence = "L {name}"\ncitation = "C."\n'
            'content = "parallel"\nmembers = { messages = "*/locale/*/LC_MESSAGES/*.po" }\n'
        )
    entries = catalog.parse(toml)
    monkeypatch.setattr(catalog, "_entries", lambda: entries)


@pytest.mark.usefixtures("programs")
def test_catalogues_of_programs_become_one() -> None:
    both = parallel("one", "two")
    assert both.languages == ["es", "nb", "sk"]
    assert both.translations["es"] == {"exit": "salida", "open": "abrir", "shut": "cerrado"}  # the first name counts
    assert both.translations["nb"] == {"exit": "ut"}  # the usual code before others that mean the same
    assert (both.name, both.licence, both.citation) == ("one + two", "L one; L two", "C.")
    assert parallel("two", "one").translations["es"]["open"] == "abierto"


@pytest.mark.usefixtures("programs")
def test_only_the_languages_asked_for_are_read() -> None:
    assert parallel("one", languages=["sk"]).translations == {"sk": {"exit": "von"}}
    with pytest.raises(CorpusError, match="no translation into gl, xx"):
        parallel("two", languages=["es", "gl", "xx"])


def test_the_wrong_verb_names_the_right_one() -> None:
    with pytest.raises(CorpusError, match=r"'reuters' is not a parallel but corpus; use corpora\.load\('reuters'\)"):
        parallel("reuters")
    with pytest.raises(CorpusError, match=r"use corpora\.translations\.parallel\('django_messages'\)"):
        sys.modules["metalearn_lib.corpora"].load("django_messages")
    with pytest.raises(CorpusError, match=r"name one or more of django_messages, wagtail_messages"):
        parallel()
    with pytest.raises(CorpusError, match="no corpus is called 'xyz'"):
        parallel("xyz")


def test_pairs_are_what_both_languages_have() -> None:
    assert OWN.pairs("es", "gl") == [Pair("exit", "salida", "saída")]
    assert OWN.pairs("es", "en") == [Pair("exit", "salida", "exit"), Pair("open", "abierto", "open")]
    assert OWN.pairs("en", "gl") == [Pair("exit", "exit", "saída")]
    assert [pair[:0:-1] for pair in OWN.pairs("gl", "es")] == [pair[1:] for pair in OWN.pairs("es", "gl")]
    with pytest.raises(CorpusError, match="'own' has no string in both 'es' and 'fi'"):
        OWN.pairs("es", "fi")
    with pytest.raises(CorpusError, match="no language 'xx'; it has en, es, fi, gl"):
        OWN.pairs("en", "xx")
    with pytest.raises(CorpusError, match="no translation of itself"):
        OWN.pairs("en", "en")


def test_cutting_leaves_no_empty_language() -> None:
    assert OWN.only(english=["exit"]).translations == {"es": {"exit": "salida"}, "gl": {"exit": "saída"}}
    assert OWN.only(["gl"]).languages == ["gl"] and len(OWN) == 4 and OWN.english == ["Open", "exit", "open"]
    assert OWN.short(least=5).translations == {} and OWN.short(characters=6).translations["es"] == {"exit": "salida"}
    assert OWN.lower().translations["fi"] == {"open": "auki"}
    with pytest.raises(CorpusError, match="no language 'xx'"):
        OWN.only(["xx"])


def test_identity_is_that_of_the_translations() -> None:
    again = Parallel("other name", {code: dict(reversed(texts.items())) for code, texts in OWN.translations.items()})
    assert again.identity == OWN.identity != OWN.only(["es"]).identity


@pytest.mark.parametrize("texts", [{"es": {"exit": " "}}, {"es": {"": "salida"}}, {"en": {"exit": "exit"}}])
def test_empty_texts_and_english_itself_are_refused(texts: dict[str, dict[str, str]]) -> None:
    with pytest.raises(CorpusError, match="Parallel 'x'"):
        Parallel("x", texts)


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "signs.csv"
    path.write_text("en;es;he\nexit; salida ;\u200fיציאה\nopen;;\nexit;otra;\n\n;x;\n", "utf-8-sig")
    assert from_parallel(path).translations == {"es": {"exit": "salida"}, "he": {"exit": "יציאה"}}
    assert from_parallel(path).name == "signs" and from_parallel(path, name="own").name == "own"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("de,es\na,b\n", r"need the codes of their languages, each once, 'en' among them"),
        ("en,es,es\na,b,c\n", r"each once"),
        ("en,es\na,b,c\n", r"line 2: 3 cells, but 2 columns"),
        ("en,es\na,\n", r"no string has a translation into 'es'"),
        ("en\na\n", r"there is no language beside English"),
        ("", r"is empty"),
        ('en,es\n"a,b\n', r"quotation mark"),
    ],
)
def test_a_table_that_cannot_be_read_is_explained(tmp_path: Path, table: str, said: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(table)
    with pytest.raises(CorpusError, match=said):
        from_parallel(path)


def test_files_of_ones_own_by_line_and_as_catalogue(tmp_path: Path) -> None:
    for name, text in {"a.en": "exit\nopen\n", "a.es": "salida\n\n", "gl.po": entry("exit", "saída")}.items():
        (tmp_path / name).write_text(text, "utf-8")
    files = {"en": tmp_path / "a.en", "es": tmp_path / "a.es", "gl": tmp_path / "gl.po"}
    assert from_parallel(files).pairs("es", "gl") == [Pair("exit", "salida", "saída")]
    assert from_parallel({"gl": files["gl"]}).languages == ["gl"]
    with pytest.raises(CorpusError, match="lack 'en'"):
        from_parallel({"es": files["es"]})
    with pytest.raises(CorpusError, match="does not exist"):
        from_parallel({"fi": tmp_path / "fi.po"})
    (tmp_path / "a.es").write_text("salida\n")
    with pytest.raises(CorpusError, match=r"as many lines \(en 2, es 1\)"):
        from_parallel(files)


@pytest.mark.parametrize(
    ("name", "pair", "count"),
    [
        ("django_messages", ("es", "gl"), 628),
        ("wagtail_messages", ("pt", "gl"), 980),
        ("sphinx_messages", ("da", "nb"), 107),
        ("gramps_messages", ("cs", "sk"), 5_388),
    ],
)
def test_the_real_catalogues(name: str, pair: tuple[str, str], count: int) -> None:
    _skip_unless_here(name)
    found = parallel(name, languages=pair)
    pairs = found.pairs(*pair)
    assert len(pairs) == count
    for text in (text for pair in pairs for text in pair):
        assert text == text.strip() and not any(mark in text for mark in ("%(", "{", "<b>", "_", "\u200f"))
    assert found.licence.startswith(("BSD", "GPL")) and found.citation
