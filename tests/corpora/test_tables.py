"""What people's spreadsheets save: the likely encoding and delimiter."""

from __future__ import annotations

from pathlib import Path

import pytest

from metalearn_lib.corpora.tables import DELIMITERS, likely_delimiter, likely_encoding, read_text

TEXT = "student;points\nJörg;3,5\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"]
)
def test_a_file_is_read_with_its_likely_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(TEXT.replace("\n", "\r\n").encode(encoding))
    assert read_text(path, likely_encoding(path.read_bytes())) == TEXT


def test_likely_encodings_have_their_usual_names() -> None:
    assert [likely_encoding(raw) for raw in (b"", b"abc", "ö".encode(), b"\xf6", b"\x81")] == [
        "utf-8", "utf-8", "utf-8", "cp1252", "latin-1"
    ]  # fmt: skip


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_the_delimiter_that_gives_the_columns(delimiter: str) -> None:
    header = delimiter.join(["Student", '"points, in all; of\t4|"', " ANSWER "])
    assert likely_delimiter(f"\n{delimiter}{delimiter}\n{header}\n", ["student", "answer"]) == delimiter
