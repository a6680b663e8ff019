"""The same sentences in many languages: every translation stands under its English string.   Chapter 11"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from .catalog import CONTENTS, CatalogEntry, CorpusError, describe
from .catalog import names as catalog_names
from .fetch import paths
from .readers.messages import messages, normal
from .tables import likely_delimiter, read_rows, read_text

ENGLISH = "en"
_CODES = {  # what packages call a language, where it is not its usual code
    "no": "nb", "nb_NO": "nb", "he_IL": "he", "uk_UA": "uk", "hi_IN": "hi", "sr_RS": "sr", "sr@latin": "sr_Latn",
    "zh": "zh_Hans", "zh_CN": "zh_Hans", "zh_TW": "zh_Hant",
}  # fmt: skip


class Pair(NamedTuple):
    """A source text, what it means in the target language, and the English string that both translate."""

    english: str
    source: str
    target: str


@dataclass(frozen=True, eq=False)
class Parallel:
    """By language (never English itself): the translation of each English string.   Chapter: 11

    >>> signs = Parallel("signs", {"es": {"exit": "salida"}, "gl": {"exit": "saída", "open": "aberto"}})
    >>> signs, signs.pairs("es", "gl")
    (Parallel('signs': 3 pairs with English, 2 languages), [Pair(english='exit', source='salida', target='saída')])
    """

    name: str
    translations: Mapping[str, Mapping[str, str]]
    licence: str = ""
    citation: str = ""

    def __post_init__(self) -> None:
        if ENGLISH in self.translations:
            raise CorpusError(f"Parallel {self.name!r}: English is what the others translate, not one of them")
        for language, texts in self.translations.items():
            if empty := [english for english, text in texts.items() if not text.strip() or not english.strip()]:
                raise CorpusError(f"Parallel {self.name!r}: {empty[0]!r} has no text in {language!r}; leave it out")

    def __len__(self) -> int:
        return sum(map(len, self.translations.values()))

    def __repr__(self) -> str:
        return f"Parallel({self.name!r}: {len(self):,} pairs with English, {len(self.translations)} languages)"

    @cached_property
    def identity(self) -> str:
        """A hash of all translations, the same in every process; the name does not count."""
        rows = [[language, sorted(texts.items())] for language, texts in sorted(self.translations.items())]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]

    @property
    def languages(self) -> list[str]:
        """The codes of the languages that English is translated into, sorted."""
        return sorted(self.translations)

    @cached_property
    def english(self) -> list[str]:
        """Every English string that is translated into some language, sorted."""
        return sorted({english for texts in self.translations.values() for english in texts})

    def pairs(self, source: str, target: str) -> list[Pair]:
        """What both languages have, sorted by the English string; either may be English ("en").

        Raises CorpusError for a language that is not there, and for two that have no string in common.
        """
        if source == target:
            raise CorpusError(f"pairs({source!r}, {target!r}): a language is no translation of itself; name two")
        of_source, of_target = self._texts(source), self._texts(target)
        if of_source is None or of_target is None:
            either = of_source or of_target or {}
            found = [
                Pair(e, of_source[e] if of_source else e, of_target[e] if of_target else e) for e in sorted(either)
            ]
        else:
            found = [Pair(e, of_source[e], of_target[e]) for e in sorted(of_source.keys() & of_target)]
        if not found:
            raise CorpusError(f"{self.name!r} has no string in both {source!r} and {target!r}")
        return found

    def only(self, languages: Iterable[str] | None = None, *, english: Iterable[str] | None = None) -> Parallel:
        """Some languages, some English strings, or both; CorpusError for a language that is not there."""
        chosen = self.languages if languages is None else list(languages)
        kept = None if english is None else set(english)
        return self._with(
            {
                language: {e: t for e, t in (self._texts(language) or {}).items() if kept is None or e in kept}
                for language in chosen
            }
        )

    def short(self, *, characters: int = 45, words: int = 7, least: int = 3) -> Parallel:
        """The pairs whose two texts have `least` … `characters` characters, and at most `words` words."""

        def fits(text: str) -> bool:
            return least <= len(text) <= characters and len(text.split()) <= words

        return self._with(
            {name: {e: t for e, t in texts.items() if fits(e) and fits(t)} for name, texts in self.translations.items()}
        )

    def lower(self) -> Parallel:
        """Everything in lower case; where English strings become the same, the first one counts."""
        lowered: dict[str, dict[str, str]] = {}
        for language, texts in self.translations.items():
            for english, text in texts.items():
                lowered.setdefault(language, {}).setdefault(english.lower(), text.lower())
        return self._with(lowered)

    def _texts(self, language: str) -> Mapping[str, str] | None:
        """The translations of a language by their English strings; None for English."""
        if language != ENGLISH and language not in self.translations:
            raise CorpusError(f"{self.name!r} has no language {language!r}; it has en, {', '.join(self.languages)}")
        return None if language == ENGLISH else self.translations[language]

    def _with(self, translations: Mapping[str, Mapping[str, str]]) -> Parallel:
        return replace(self, translations={name: texts for name, texts in translations.items() if texts})


def parallel(*names: str, languages: Iterable[str] | None = None) -> Parallel:
    """The message catalogues of programs in one; of several translations of a string that of the first name counts.

    `languages` reads these only. How messages become sentences: see `readers.messages`. Raises CorpusError for an
    unknown name, a file that cannot be had, and a language that none of them has.   Chapter: 11
    """
    if not names:
        known = [name for name in catalog_names() if describe(name).content == "parallel"]
        raise CorpusError(f"parallel: name one or more of {', '.join(known)}")
    asked = None if languages is None else set(languages)
    found: dict[str, dict[str, str]] = {}
    entries = [expected(name, "parallel") for name in dict.fromkeys(names)]
    for entry in entries:
        for language, raw, place in _catalogues(entry, lambda code: asked is None or code in asked):
            texts = found.setdefault(language, {})
            for english, text in messages(raw, place).items():
                texts.setdefault(english, text)
    if missing := sorted((asked or set()).difference(name for name, texts in found.items() if texts)):
        raise CorpusError(f"{' + '.join(names)}: no translation into {', '.join(missing)}; languages=None reads all")
    return Parallel(
        " + ".join(entry.name for entry in entries),
        {language: found[language] for language in sorted(found) if found[language]},
        "; ".join(dict.fromkeys(entry.licence for entry in entries)),
        " ".join(dict.fromkeys(entry.citation for entry in entries)),
    )


def from_parallel(
    files: str | Path | Mapping[str, str | Path], *, encoding: str | None = None, name: str | None = None
) -> Parallel:
    """Translations of one's own: a table with a column for each language, or a file for each language.

    A table (comma, tab, semicolon or bar) has the codes of its languages as header, "en" among them. Files are given as
    {"en": …, "es": …}: texts whose lines correspond, or .po and .mo files, which need no English one. An empty cell or
    line is a missing translation; of English strings that stand twice the first translation counts. White space and
    invisible marks are normalised. Raises CorpusError for missing English, ragged rows, files of different length, and
    a language without a translation.   Chapter: 11
    """
    if isinstance(files, str | Path):
        path = Path(files)
        columns, title = _table(path, encoding), path.stem
    else:
        columns, title = {}, "own files"
        for language, file in files.items():
            place = Path(file)
            if place.suffix in (".po", ".mo"):
                if not place.is_file():
                    raise CorpusError(f"{place} is not a file" if place.exists() else f"{place} does not exist")
                columns[language] = messages(place.read_bytes(), str(place))
        lines = {code: Path(file) for code, file in files.items() if code not in columns}
        columns |= _lines(lines, encoding) if lines else {}
    if without := [language for language, texts in columns.items() if not texts]:
        raise CorpusError(f"{name or title}: no string has a translation into {without[0]!r}; leave the language out")
    if not columns:
        raise CorpusError(f"{name or title}: there is no language beside English; add a column or a file")
    return Parallel(name or title, columns)


def expected(name: str, content: str) -> CatalogEntry:
    """The catalog's entry of a name; CorpusError where it holds something else."""
    entry = describe(name)
    if entry.content != content:
        raise CorpusError(
            f"{name!r} is not a {content} but {entry.content}; use {CONTENTS[entry.content].format(name)}"
        )
    return entry


def code_of(folder: str) -> str:
    """The usual code of a language by the name of its folder.

    >>> [code_of(folder) for folder in ("sk_SK", "pt_BR", "nb_NO", "zh_TW")]
    ['sk', 'pt_BR', 'nb', 'zh_Hant']
    """
    language, _, region = folder.partition("_")
    return language if region.lower() == language else _CODES.get(folder, folder)


def _catalogues(entry: CatalogEntry, wanted: Callable[[str], bool]) -> Iterable[tuple[str, bytes, str]]:
    """Language, bytes and place of each wanted catalogue in the archive of an entry; those of English are none.

    The folder of a language's usual code comes before others that mean the same.
    """
    (archive,) = paths(entry.name).values()
    pattern, found = entry.member("messages"), []
    with zipfile.ZipFile(archive) as opened:
        for member in opened.namelist():
            folder = re.search(r"([^/]+)/LC_MESSAGES/", member)
            if folder and fnmatch(member, pattern) and not re.match(r"en\b|en_", folder[1]):
                code = code_of(folder[1])
                if wanted(code):
                    found.append((code, folder[1] != code, member))
        for code, _, member in sorted(found):
            yield code, opened.read(member), f"{entry.name}: {member}"


def _table(path: Path, encoding: str | None) -> dict[str, dict[str, str]]:
    text = read_text(path, encoding)
    rows = read_rows(path, text, likely_delimiter(text, [ENGLISH]))
    header = next(rows)[1]
    if ENGLISH not in header or len(set(header)) < len(header):
        raise CorpusError(f"{path}: the columns {header} need the codes of their languages, each once, 'en' among them")
    columns: dict[str, dict[str, str]] = {code: {} for code in header if code != ENGLISH}
    for line, cells in rows:
        if len(cells) != len(header):
            raise CorpusError(
                f"{path}, line {line}: {len(cells)} cells, but {len(header)} columns; quote the delimiter"
            )
        _add(columns, dict(zip(header, map(normal, cells), strict=True)))
    return columns


def _lines(files: Mapping[str, Path], encoding: str | None) -> dict[str, dict[str, str]]:
    if ENGLISH not in files:
        raise CorpusError(f"from_parallel: {sorted(files)} lack 'en', the lines that they translate")
    texts = {code: read_text(file, encoding).removesuffix("\n").split("\n") for code, file in files.items()}
    if len(set(map(len, texts.values()))) > 1:
        sizes = ", ".join(f"{code} {len(lines)}" for code, lines in texts.items())
        raise CorpusError(f"from_parallel: the files do not have as many lines ({sizes}); line k must translate line k")
    columns: dict[str, dict[str, str]] = {code: {} for code in files if code != ENGLISH}
    for row in zip(*texts.values(), strict=True):
        _add(columns, dict(zip(texts, map(normal, row), strict=True)))
    return columns


def _add(columns: dict[str, dict[str, str]], row: Mapping[str, str]) -> None:
    for code, texts in columns.items():
        if row[ENGLISH] and row[code]:
            texts.setdefault(row[ENGLISH], row[code])
