"""The door for the user's own files: CSV and JSON lines, checked row by row.   Chapter 13"""

from __future__ import annotations

import codecs
import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .catalog import CorpusError
from .corpus import Corpus

_DELIMITERS = (",", "\t", ";", "|")
_MISSING = {"", "nan"}  # what tables write where a label is missing
_MOST_ROWS = 5
_Row = tuple[int, Mapping[str, Any]]  # the row's number as an editor counts lines of data, and its cells by column


def from_csv(
    path: str | Path,
    *,
    text: str = "text",
    label: str = "label",
    domain: str | None = None,
    rating: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    drop_empty: bool = False,
    name: str | None = None,
    licence: str = "",
    citation: str = "",
) -> Corpus:
    """A corpus from a table with a header: `text`, `label`, `domain` and `rating` name columns.

    UTF-8 (with or without a byte order mark) unless `encoding` says otherwise; the delimiter is found among
    comma, tab, semicolon and bar unless given. Raises `CorpusError`, naming the lines, for missing columns,
    ragged rows, missing labels, empty texts (unless `drop_empty`), one class only and wrong encodings.
    Chapter: 13
    """
    table = _decoded(Path(path), encoding)
    wanted = [column for column in (text, label, domain, rating) if column is not None]
    if delimiter is None:
        delimiter = _found_delimiter(table, wanted)
    elif len(delimiter) != 1:
        raise CorpusError(f"from_csv: delimiter={delimiter!r} must be one character")
    rows = list(_csv_rows(Path(path), table, delimiter, wanted))
    return _corpus(Path(path), rows, text, label, domain, rating, drop_empty, name, licence, citation)


def from_jsonl(
    path: str | Path,
    *,
    text: str = "text",
    label: str = "label",
    domain: str | None = None,
    rating: str | None = None,
    encoding: str | None = None,
    drop_empty: bool = False,
    name: str | None = None,
    licence: str = "",
    citation: str = "",
) -> Corpus:
    """A corpus from a file with one JSON object a line; options and errors as in `from_csv`. Chapter: 13"""
    rows: list[_Row] = []
    for number, line in enumerate(_decoded(Path(path), encoding).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise CorpusError(f"{path}, line {number}: not JSON ({error}); write one object a line") from None
        if not isinstance(row, dict):
            raise CorpusError(f"{path}, line {number}: a {type(row).__name__}, not an object with keys")
        _require(Path(path), [c for c in (text, label, domain, rating) if c is not None], list(row), number)
        rows.append((number, row))
    return _corpus(Path(path), rows, text, label, domain, rating, drop_empty, name, licence, citation)


def _decoded(path: Path, encoding: str | None) -> str:
    if not path.is_file():
        raise CorpusError(f"{path} is not a file" if path.exists() else f"{path} does not exist")
    raw = path.read_bytes()
    wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in raw[:1000]
    try:
        table = raw.decode(encoding or "utf-8-sig")
    except LookupError:
        raise CorpusError(f"{path}: no encoding is called {encoding!r}; try 'latin-1', 'cp1252' or 'utf-16'") from None
    except UnicodeDecodeError as error:
        likely = "'utf-16'" if wide else "'cp1252' (Windows) or 'latin-1'"
        raise CorpusError(
            f"{path} is not {encoding or 'UTF-8'}: byte {error.start} is 0x{raw[error.start]:02x}; "
            f"say what it is, for example encoding={likely}"
        ) from None
    if "\0" in table:
        raise CorpusError(f"{path} holds zero bytes, so it is not {encoding or 'UTF-8'} text; try encoding='utf-16'")
    return table.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _found_delimiter(table: str, wanted: Sequence[str]) -> str:
    header = table.split("\n", 1)[0]
    splits = {mark: next(csv.reader([header], delimiter=mark), []) for mark in _DELIMITERS}
    fits = [mark for mark in _DELIMITERS if all(column in map(str.strip, splits[mark]) for column in wanted)]
    return fits[0] if fits else max(_DELIMITERS, key=lambda mark: len(splits[mark]))


@contextmanager
def _long_fields() -> Iterator[None]:
    usual = csv.field_size_limit(2**31 - 1)  # a text may be longer than the 131,072 characters csv allows
    try:
        yield
    finally:
        csv.field_size_limit(usual)


def _csv_rows(path: Path, table: str, delimiter: str, wanted: Sequence[str]) -> Iterator[_Row]:
    with _long_fields():
        reader = csv.reader(io.StringIO(table, newline=""), delimiter=delimiter, strict=True)
        try:
            header = [column.strip() for column in next(reader, [])]
            if not any(header):
                raise CorpusError(f"{path} is empty; the first line names the columns")
            _require(path, wanted, header, None)
            if twice := [column for column in wanted if header.count(column) > 1]:
                raise CorpusError(f"{path} has more than one column {twice[0]!r}; rename one")
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) != len(header):
                    raise CorpusError(
                        f"{path}, line {reader.line_num}: {len(cells)} cells, but {len(header)} columns; "
                        f"quote texts that hold the delimiter {delimiter!r}, or give delimiter="
                    )
                yield reader.line_num, dict(zip(header, cells, strict=True))
        except csv.Error as error:
            raise CorpusError(
                f"{path}, line {reader.line_num}: {error}; a quotation mark is opened and not closed properly"
            ) from None


def _require(path: Path, wanted: Sequence[str], present: Sequence[str], line: int | None) -> None:
    if missing := [column for column in wanted if column not in present]:
        place = f"{path}, line {line}" if line else str(path)
        raise CorpusError(
            f"{place}: no column {', '.join(map(repr, missing))}; "
            f"found {', '.join(map(repr, present)) or 'none'}. "
            "Name yours: text=, label="
        )


def _corpus(
    path: Path,
    rows: list[_Row],
    text: str,
    label: str,
    domain: str | None,
    rating: str | None,
    drop_empty: bool,
    name: str | None,
    licence: str,
    citation: str,
) -> Corpus:
    if not rows:
        raise CorpusError(f"{path} has no rows of data")
    bad = [line for line, row in rows if not isinstance(row[text], str) and row[text] is not None]
    _refuse(path, bad, f"column {text!r} holds something that is no text", "give strings")
    if drop_empty:
        rows = [(line, row) for line, row in rows if (row[text] or "").strip()]
    bad = [line for line, row in rows if not (row[text] or "").strip()]
    _refuse(path, bad, f"column {text!r} is empty", "fill in the texts, or leave them out with drop_empty=True")
    labels = [_label(row[label]) for _, row in rows]
    bad = [line for (line, _), value in zip(rows, labels, strict=True) if value is None]
    _refuse(path, bad, f"column {label!r} holds no usable label", "give every text a string or a whole number")
    if len(set(labels)) < 2:
        raise CorpusError(
            f"{path}: all {len(rows)} texts have the label {labels[0]!r}" if rows else f"{path}: no text is left"
        )
    return Corpus(
        name=name or path.stem,
        texts=[row[text] for _, row in rows],
        labels=[value for value in labels if value is not None],
        domains=[str(row[domain]) for _, row in rows] if domain else None,
        ratings=[_number(path, line, rating, row[rating]) for line, row in rows] if rating else None,
        licence=licence,
        citation=citation,
    )


def _refuse(path: Path, lines: Sequence[int], what: str, way_out: str) -> None:
    if lines:
        shown = ", ".join(map(str, lines[:_MOST_ROWS])) + (", …" if len(lines) > _MOST_ROWS else "")
        raise CorpusError(f"{path}: {what} in {len(lines)} rows (line {shown}); {way_out}")


def _label(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return str(int(value))
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str) and value.strip().lower() not in _MISSING:
        return value.strip()
    return None


def _number(path: Path, line: int, column: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise CorpusError(f"{path}, line {line}: column {column!r} is {value!r}, not a number")
    return number
