"""Message catalogues: what becomes a sentence, what is left out, and what is refused."""

from __future__ import annotations

import io
import pickle

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from hypothesis import given
from hypothesis import strategies as st

from metalearn_lib.corpora import CorpusError
from metalearn_lib.corpora.readers.messages import messages, normal, plain

HEADER = (
    'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n"Language: sr\\n"\n'
    '"Plural-Forms: nplurals=3; plural=(n%10==1 && n%100!=11 ? 1 : n==0 ? 2 : 0);\\n"\n\n'
)


def po(body: str) -> dict[str, str]:
    return messages((HEADER + body).encode(), "test.po")


def entry(english: str, translation: str, before: str = "") -> str:
    return f'{before}msgid "{english}"\nmsgstr "{translation}"\n\n'


def test_fuzzy_obsolete_and_empty_entries_are_left_out() -> None:
    body = entry("Log in", "Entrar") + entry("Log out", "Saír", "#, fuzzy\n") + entry("Open", "") + entry("Shut", "  ")
    assert po(body + '#~ msgid "Gone"\n#~ msgstr "Ido"\n') == {"Log in": "Entrar"}


def test_a_translation_that_equals_the_english_is_kept() -> None:
    assert po(entry("Menu", "Menu")) == {"Menu": "Menu"}


def test_of_a_plural_the_form_for_one_is_taken_by_the_files_own_rule() -> None:
    forms = 'msgid "person"\nmsgid_plural "people"\nmsgstr[0] "osoba-mnogo"\nmsgstr[1] "osoba"\nmsgstr[2] "nula"\n'
    assert po(forms) == {"person": "osoba"}
    assert po(forms.replace('"osoba"', '""')) == {}


def test_a_form_too_many_does_no_harm() -> None:
    forms = "".join(f'msgstr[{k}] "f{k}"\n' for k in range(5))
    assert po(f'msgid "one"\nmsgid_plural "many"\n{forms}') == {"one": "f1"}


def test_of_several_contexts_the_first_counts() -> None:
    body = entry("May", "maio", 'msgctxt "month"\n') + entry("May", "poder", 'msgctxt "verb"\n')
    assert po(body) == {"May": "maio"}


@pytest.mark.parametrize(
    "text",
    [
        "%(name)s left", "%s left", "%d of 3", "%dU", "{0} left", "{name} left", "$name left", "<b>bold</b>",
        "one<br>two", "a&nbsp;b", "see `x`", "see :ref:`x`", "see https://x.org", "a|b", "**bold**", "max_length",
        "123", "…", "a\\\\nb",
    ],
)  # fmt: skip
def test_what_only_a_program_understands_is_left_out(text: str) -> None:
    assert po(entry(text, "xyz")) == {} and po(entry("xyz", text)) == {}


@pytest.mark.parametrize("text", ["100 % sure", "R & D", "5 < 6, honestly", "50% off", "don't", "C#", "it costs 5 $"])
def test_what_people_say_is_kept(text: str) -> None:
    assert plain(text, text) == (text, text)


@pytest.mark.parametrize(
    ("english", "translation", "expected"),
    [
        ("_Edit", "Ed_itar", ("Edit", "Editar")),
        ("_Edit", "編集(_E)", ("Edit", "編集")),
        ("E_xit now", "_Saír", ("Exit now", "Saír")),
        ("E_xit now", "Saír", None),
        ("max_length here", "aquí max_length", None),
        ("_Edit", "_Editar _todo", None),
        ("Edit", "_Editar", None),
    ],
)
def test_keys_to_press_are_taken_out(english: str, translation: str, expected: object) -> None:
    assert plain(english, translation) == expected


def test_right_to_left_text_keeps_its_logical_order_without_marks_of_direction() -> None:
    assert po(entry("Exit", "\u200fיציאה\u200e")) == {"Exit": "יציאה"}
    assert normal("می\u200cشود") == "می\u200cشود"  # a joiner is part of the spelling


@given(st.text())
def test_normal_text_stays_as_it_is(text: str) -> None:
    assert normal(normal(text)) == normal(text)


def test_a_mo_file_gives_what_its_po_file_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle, "load", lambda *_, **__: pytest.fail("something was unpickled"))
    catalogue = Catalog(charset="utf-8")
    catalogue.add("Log in", "Entrar")
    catalogue.add("Log out", "Saír", flags=["fuzzy"])
    catalogue.add(("person", "people"), ("persoa", "persoas"))
    catalogue.add("%(n)s pages", "%(n)s páxinas")
    written = io.BytesIO()
    write_mo(written, catalogue)
    assert messages(written.getvalue(), "gl.mo") == {"Log in": "Entrar", "person": "persoa"}
    assert po(entry("Log in", "Entrar")) == {"Log in": "Entrar"}  # the header names a language


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "it holds no entry"),
        (b"just text\n", "Unknown or misformatted keyword"),
        (b'msgid "a\nmsgstr "b"\n', "gl.po is no catalogue"),
        (b'msgid "a"\nmsgstr "\xff"\n', "UnicodeDecodeError"),
        (b"\xde\x12\x04\x95 cut", "is no catalogue that can be read"),
        (HEADER.replace("n==0", "n=0").encode() + b'msgid "a"\nmsgstr "b"\n', "its rule for plurals"),
        (HEADER.replace("n==0", "__import__").encode() + b'msgid "a"\nmsgstr "b"\n', "its rule for plurals"),
    ],
)
def test_damaged_catalogues_are_named(raw: bytes, said: str) -> None:
    with pytest.raises(CorpusError, match=said) as error:
        messages(raw, "gl.po")
    assert "gl.po" in str(error.value)
