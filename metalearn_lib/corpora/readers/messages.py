"""Message catalogues of programs (gettext): .po as translators write them, .mo as programs read them.   Chapter 11

What is a sentence is kept, what only a program understands is not:

    fuzzy and obsolete entries          left out: nobody has confirmed them (a .mo holds none)
    empty translations                  left out; one that equals the English is kept, as a translator's choice
    plural entries                      the singular, with the form that the catalogue's own rule gives for n = 1
    contexts                            of several translations of one English string the first one counts
    placeholders, markup, addresses     the pair is left out: `%(name)s`, `{0}`, `<b>`, `&nbsp;`, `:ref:`, `https://`
    mnemonics                           taken out: `_Edit`, `Ed_itar`, `編集(_E)`; other pairs with a `_` are left out
    right-to-left text                  in logical order, as it is stored; invisible marks of direction are taken out
    white space, accents                single spaces; one character for a letter with its accent (NFC)
"""

from __future__ import annotations

import gettext
import io
import re
import unicodedata
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from metalearn_lib.corpora.catalog import CorpusError

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog

_MO = (b"\xde\x12\x04\x95", b"\x95\x04\x12\xde")  # how a .mo begins
_INVISIBLE = re.compile("[\u00ad\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_FOR_PROGRAMS = re.compile(
    r"%\(|%[-+#0]*[\d.*]*[hlL]?[diouxXeEfFgGcrsa]|[{}]|\$\w|</?\w|&#?\w+;|`|:\w+:|\w+://|\||\\[nt]|\*\*"
)


def messages(raw: bytes, place: str) -> dict[str, str]:
    """A catalogue, .po or .mo by its first bytes → the translation of each English string, in the order of the file.

    Raises CorpusError, naming `place`, for what is neither, is damaged, or is not in the encoding that it names.

    >>> messages(b'msgid "Log in"\\nmsgstr "Entrar"\\n\\n#, fuzzy\\nmsgid "Log out"\\nmsgstr "Fora"\\n', "es.po")
    {'Log in': 'Entrar'}
    """
    catalogue = _catalogue(raw, place)
    try:
        singular = gettext.c2py(catalogue.plural_expr.rstrip("; "))(1)
    except (ValueError, RecursionError) as error:
        raise CorpusError(
            f"{place}: its rule for plurals, {catalogue.plural_expr!r}, cannot be read: {error}"
        ) from None
    found: dict[str, str] = {}
    for message in catalogue:
        if not message.id or message.fuzzy:
            continue
        if isinstance(message.id, str):
            pair = plain(message.id, str(message.string or ""))
        else:
            forms = [str(form or "") for form in message.string or ()]
            pair = plain(message.id[0], forms[singular] if len(forms) > singular else "")
        if pair is not None:
            found.setdefault(*pair)
    return found


def plain(english: str, translation: str) -> tuple[str, str] | None:
    """A pair of messages as people would say them; None where one is empty or only a program understands it.

    >>> plain("_Edit  person", "Ed_itar persona"), plain("%(n)s people", "%(n)s personas")
    (('Edit person', 'Editar persona'), None)
    """
    english, translation = normal(english), normal(translation)
    if _mnemonic(english, translation):
        english, translation = (re.sub(r"\s?\(_\w\)", "", text).replace("_", "") for text in (english, translation))
    for text in (english, translation):
        if "_" in text or not any(map(str.isalpha, text)) or _FOR_PROGRAMS.search(text):
            return None
    return english, translation


def normal(text: str) -> str:
    """Single spaces, no invisible marks, one character for a letter with its accent.

    >>> normal(" e\\u0301t\\u00e9\\n\\u200f ")
    'été'
    """
    return " ".join(unicodedata.normalize("NFC", _INVISIBLE.sub("", text)).split())


def _mnemonic(english: str, translation: str) -> bool:
    """Whether the `_` of a pair marks a key to press: before a word, or inside one and elsewhere in the translation."""
    if english.count("_") != 1 or translation.count("_") > 1:
        return False
    word = next(word for word in english.split() if "_" in word).strip(".,:;()'\"")
    return word.startswith("_") or (not word.endswith("_") and "_" in translation and word not in translation)


def _catalogue(raw: bytes, place: str) -> Catalog:
    from babel.messages.mofile import read_mo
    from babel.messages.pofile import read_po

    said = io.StringIO()
    try:
        if raw.startswith(_MO):
            return read_mo(io.BytesIO(raw))
        # For a language that is named, Babel may unpickle its tables of locales, and nothing here needs them.
        unnamed = re.sub(rb'(?m)^"Language:.*\r?\n', b"", raw, count=1)
        with redirect_stdout(said):  # where Babel complains of a line, and reads on
            catalogue = read_po(io.BytesIO(unnamed), ignore_obsolete=True)
    except Exception as error:
        raise CorpusError(f"{place} is no catalogue that can be read: {type(error).__name__}: {error}") from error
    complaints = [line for line in said.getvalue().splitlines() if "num_plurals" not in line]
    faults = [line for line in complaints if not line.startswith("WARNING: Problem on line")]
    if faults or not len(catalogue):  # a form too many for the header's count is in many files, and does no harm
        raise CorpusError(f"{place} is no catalogue that can be read: {' '.join(faults) or 'it holds no entry'}")
    return catalogue
