"""Tables that people and their spreadsheets save: which encoding, which delimiter, where the header is.   Chapter 13"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from .catalog import CorpusError

DELIMITERS = (",", "\t", ";", "|")
_MARKS = {  # what a file begins with, and its encoding; the longer mark first
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
_PACKED = {
    b"\x1f\x8b": "compressed (gzip): unpack it first",
    b"BZh": "compressed (bzip2): unpack it first",
    b"\xfd7zXZ": "compressed (xz): unpack it first",
    b"PK\x03\x04": "compressed (zip), or a workbook (.xlsx, .ods): unpack it, or save it as CSV, first",
}


def read_text(path: Path, encoding: str | None = None) -> str:
    r"""The text of a file with line ends ``\n``, in UTF-8 (with or without a byte order mark) or the given encoding.

    Raises:
        CorpusError: no such file, a compressed one, or one in another encoding; the message names a likely one.
    """
    if not path.is_file():
        raise CorpusError(f"{path} is not a file" if path.exists() else f"{path} does not exist")
    raw = path.read_bytes()
    if packed := next((what for start, what in _PACKED.items() if raw.startswith(start)), None):
        raise CorpusError(f"{path} is {packed}")
    try:
        text = raw.decode(encoding or "utf-8-sig")
    except (LookupError, TypeError):
        raise CorpusError(f"{path}: no encoding is called {encoding!r}; try 'latin-1', 'cp1252' or 'utf-16'") from None
    except UnicodeError as error:
        where = f"byte {error.start} is 0x{raw[error.start]:02x}" if isinstance(error, UnicodeDecodeError) else error
        likely = likely_encoding(raw)
        raise CorpusError(
            f"{path} is not {encoding or 'UTF-8'}: {where}; say what it is, for example encoding="
            + ("'cp1252' (Windows) or 'latin-1'" if likely == "cp1252" else repr(likely))
        ) from None
    if "\0" in text:
        raise CorpusError(f"{path} holds zero bytes, so it is not {encoding or 'UTF-8'} text; try encoding='utf-16'")
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def likely_encoding(raw: bytes) -> str:
    """What a file is probably written in: by its mark or zero bytes; UTF-8; or else as Windows does."""
    for mark, name in _MARKS.items():
        if raw.startswith(mark):
            return name
    start = raw[:1000]
    if b"\0" in start:
        return "utf-16-le" if start[1::2].count(0) >= start[::2].count(0) else "utf-16-be"
    for name in ("utf-8", "cp1252"):
        with suppress(UnicodeDecodeError):
            raw.decode(name)
            return name
    return "latin-1"


def likely_delimiter(text: str, columns: Sequence[str]) -> str:
    """Of comma, tab, semicolon and bar the one that gives a header with these columns, whatever their capitals."""
    header = next((line for line in io.StringIO(text) if line.strip("\n \t,;|")), "")

    def fits(delimiter: str) -> tuple[int, int]:
        cells = [cell.strip().casefold() for cell in next(csv.reader([header], delimiter=delimiter), [])]
        return sum(column.casefold() in cells for column in columns), len(cells)

    return max(DELIMITERS, key=fits)


def read_rows(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, the header first, each with the number of its last line.

    Raises:
        CorpusError: there is no row, or a quotation mark is not closed.
    """
    usual = csv.field_size_limit(2**31 - 1)  # a text may be longer than the 131,072 characters csv allows
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    blank = True
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, [cell.strip() for cell in cells] if blank else cells
                blank = False
    except csv.Error as error:
        raise CorpusError(
            f"{path}, line {reader.line_num}: {error}; a quotation mark is opened and not closed properly"
        ) from None
    finally:
        csv.field_size_limit(usual)
    if blank:
        raise CorpusError(f"{path} is empty; the first line names the columns")
