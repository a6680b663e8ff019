"""The door for the user's own files: CSV and JSON lines, checked row by row.   Chapter 13"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .catalog import CorpusError
from .corpus import Corpus
from .tables import likely_delimiter, read_rows, read_text

_MOST_ROWS = 5
_Row = tuple[int, Mapping[Any, Any]]  # the row's number as an editor counts lines of data, and its cells by column


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
) -> Corpus:
    """A corpus from a table with a header: `text`, `label`, `domain` and `rating` name columns.

    UTF-8 (with or without a byte order mark) unless `encoding` says otherwise; the delimiter is found among
    comma, tab, semicolon and bar unless given. A label is missing where it is empty or `nan`; `N/A`, `None` and
    `null` are classes like others (intents and relations are called so). A whole number is one class however it is
    written: `1`, `1.0`. Raises `CorpusError`, naming the lines, for missing columns, ragged rows, missing labels,
    empty texts (unless `drop_empty`), one class only, wrong encodings and compressed files.
    Chapter: 13
    """
    columns, path = _columns(text=text, label=label, domain=domain, rating=rating), Path(path)
    table = read_text(path, encoding)
    if delimiter is None:
        delimiter = likely_delimiter(table, list(columns.values()))
    elif len(delimiter) != 1 or delimiter in '\r\n"':
        raise CorpusError(f"from_csv: delimiter={delimiter!r} must be one character, not a line end or quotation mark")
    rows: list[_Row] = []
    lines = read_rows(path, table, delimiter)
    header = next(lines)[1]
    _require(columns, header, str(path))
    if twice := [column for column in columns.values() if header.count(column) > 1]:
        raise CorpusError(f"{path} has more than one column {twice[0]!r}; rename one")
    for line, cells in lines:
        if len(cells) != len(header):
            raise CorpusError(
                f"{path}, line {line}: {len(cells)} cells, but {len(header)} columns; "
                f"quote texts that hold the delimiter {delimiter!r}, or give delimiter="
            )
        rows.append((line, dict(zip(header, cells, strict=True))))
    return _corpus(path, rows, columns, drop_empty, name)


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
) -> Corpus:
    """A corpus from a file with one JSON object a line; options, labels and errors as in `from_csv`. Chapter: 13"""
    columns, path = _columns(text=text, label=label, domain=domain, rating=rating), Path(path)
    rows: list[_Row] = []
    for number, line in enumerate(read_text(path, encoding).split("\n"), 1):
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise CorpusError(f"{place}: not JSON ({error}); write one object a line") from None
        except RecursionError:
            raise CorpusError(f"{place}: brackets are nested too deep to be read; write a text and a label") from None
        if not isinstance(row, dict):
            raise CorpusError(f"{place}: a {type(row).__name__}, not an object with keys")
        _require(columns, list(row), place)
        rows.append((number, row))
    return _corpus(path, rows, columns, drop_empty, name)


def _columns(**options: str | None) -> dict[str, str]:
    """The names of the columns that hold the text and the label and, where there are any, the domain and the rating."""
    for option, column in options.items():
        if not isinstance(column, str) and (column is not None or option in ("text", "label")):
            raise CorpusError(f"{option}={column!r} is no column; give its name as a string")
    return {option: column for option, column in options.items() if column is not None}


def _require(columns: Mapping[str, str], present: Sequence[str], place: str) -> None:
    if missing := [column for column in columns.values() if column not in present]:
        asked, found = (", ".join(map(repr, names)) for names in (missing, present))
        raise CorpusError(f"{place}: no column {asked}; found {found or 'none'}. Name yours: text=, label=")


def _corpus(path: Path, rows: list[_Row], columns: Mapping[str, str], drop_empty: bool, name: str | None) -> Corpus:
    text, label, domain, rating = (columns.get(option) for option in ("text", "label", "domain", "rating"))

    def refuse(column: str | None, is_bad: Callable[[Any], bool], what: str, way_out: str) -> None:
        if bad := [line for line, row in rows if is_bad(row[column])]:
            shown = ", ".join(map(str, bad[:_MOST_ROWS])) + (", …" if len(bad) > _MOST_ROWS else "")
            raise CorpusError(f"{path}: column {column!r} {what} in {len(bad)} rows (line {shown}); {way_out}")

    if not rows:
        raise CorpusError(f"{path} has no rows of data")
    refuse(text, lambda value: not isinstance(value, str | None), "holds something that is no text", "give strings")
    if drop_empty:
        rows = [(line, row) for line, row in rows if not _is_empty(row[text])]
    refuse(text, _is_empty, "is empty", "fill in the texts, or leave them out with drop_empty=True")
    for column in filter(None, (text, label, domain)):
        what = "holds half a character (a lone surrogate, such as \\ud800)"
        refuse(column, _is_broken, what, "write the file again from its source, or take the character out")
    refuse(
        label, lambda value: not _label(value), "holds no usable label", "give every text a string or a whole number"
    )
    labels = [_label(row[label]) for _, row in rows]
    if len(set(labels)) < 2:
        what = f"all {len(rows)} texts have the label {labels[0]!r}" if rows else "no text is left"
        raise CorpusError(f"{path}: {what}")
    return Corpus(
        name=name or path.stem,
        texts=[row[text] for _, row in rows],
        labels=labels,
        domains=[str(row[domain]) for _, row in rows] if domain else None,
        ratings=[_number(path, line, rating, row[rating]) for line, row in rows] if rating else None,
    )


def _is_empty(value: str | None) -> bool:
    return not (value or "").strip()


def _is_broken(value: Any) -> bool:
    return isinstance(value, str) and re.search("[\ud800-\udfff]", value) is not None


def _label(value: Any) -> str:
    """The name of a class; empty where the value is none."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    label = value.strip() if isinstance(value, str) else ""
    if re.fullmatch(r"-?[0-9]+\.0+", label):
        return label.partition(".")[0]
    return "" if label.lower() == "nan" else label  # what tables write where a label is missing


def _number(path: Path, line: int, column: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise CorpusError(f"{path}, line {line}: column {column!r} is {value!r}, not a number")
    return number
