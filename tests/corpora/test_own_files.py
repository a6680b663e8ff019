"""The user's own files: what is good is read as it is, what is bad is named by line and has a way out."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metalearn_lib.corpora import CorpusError, from_csv, from_jsonl, tables

ROWS = "text,label\nthe café is open,good\nit is closed,bad\n"
TEXTS = ["the café is open", "it is closed"]


@pytest.fixture
def write(tmp_path):
    def written(content, name="mine.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return written


def test_a_plain_table(write):
    corpus = from_csv(write(ROWS))
    assert (corpus.name, corpus.texts, corpus.labels) == ("mine", TEXTS, ["good", "bad"])
    assert from_csv(str(write(ROWS)), name="other").name == "other"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-16-le", "utf-32"])
def test_encodings(write, encoding):
    assert from_csv(write(ROWS, encoding=encoding), encoding=encoding).texts == TEXTS
    if encoding.startswith("utf-8"):
        assert from_csv(write(ROWS, encoding=encoding)).texts == TEXTS
    else:
        offered = "utf-16" if encoding.startswith("utf-16") else "utf-32" if encoding == "utf-32" else "cp1252"
        with pytest.raises(CorpusError, match=f"encoding='{offered}"):
            from_csv(write(ROWS, encoding=encoding))


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ("undefined", "undefined"),
        (5, "5"),
        ("base64", "base64"),
        ("utf-9", "no encoding is called 'utf-9'"),
        ("ascii", "is not ascii: byte 1"),
    ],
)
@pytest.mark.parametrize("read", [from_csv, from_jsonl])
def test_an_unknown_or_wrong_encoding_is_explained(write, read, encoding, message):
    with pytest.raises(CorpusError, match=message):
        read(write(ROWS), encoding=encoding)


@pytest.mark.parametrize("read", [from_csv, from_jsonl])
@pytest.mark.parametrize("columns", [{"text": None}, {"label": 1}, {"domain": 2}, {"rating": b"stars"}])
def test_a_column_is_named_by_a_string(write, read, columns):
    with pytest.raises(CorpusError, match=rf"{next(iter(columns))}=.* is no column; give its name as a string"):
        read(write(ROWS), **columns)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (gzip.compress(ROWS.encode()), r"compressed \(gzip\): unpack it first"),
        (bz2.compress(ROWS.encode()), r"compressed \(bzip2\): unpack it first"),
        (lzma.compress(ROWS.encode()), r"compressed \(xz\): unpack it first"),
        (b"PK\x03\x04\x14\0", r"workbook \(\.xlsx, \.ods\): unpack it, or save it as CSV, first"),
    ],
    ids=["gzip", "bzip2", "xz", "zip"],
)
def test_a_compressed_file_is_called_so(write, raw, says):
    for read in (from_csv, from_jsonl):
        with pytest.raises(CorpusError, match=says):
            read(write(raw))


def test_any_delimiter_by_parameter(write):
    assert from_csv(write("text~label\na~x\nb~y\n"), delimiter="~").labels == ["x", "y"]
    for wrong in (", ", "\n", "\r", '"'):
        with pytest.raises(CorpusError, match=r"must be one character, not a line end or quotation mark"):
            from_csv(write(ROWS), delimiter=wrong)


def test_line_ends_quotes_and_blank_lines(write):
    table = 'text,label\r\n"said ""no"", twice\r\nand left",x\r\n\r\n , \r\nb,y\r\n'
    assert from_csv(write(table)).texts == ['said "no", twice\nand left', "b"]
    assert from_csv(write("text,label\ra,x\rb,y\r")).labels == ["x", "y"]


@pytest.mark.parametrize("delimiter", tables.DELIMITERS)
def test_the_delimiter_is_found_and_blank_lines_left_out(write, delimiter):
    table = "\n  \n,,\nid,text,label\n1,a,x\n2,b,y\n".replace(",", delimiter)
    assert from_csv(write(table)).texts == ["a", "b"]
    with pytest.raises(CorpusError, match=r"'text' is empty in 1 rows \(line 7\)"):
        from_csv(write(f"{table}3{delimiter}{delimiter}y\n"))


def test_columns_by_name_with_domain_and_rating(write):
    table = "review,stars,film,verdict\ngood,4.5,Alien,pos\nbad,-1,Brazil,neg\n"
    corpus = from_csv(write(table), text="review", label="verdict", domain="film", rating="stars")
    assert (corpus.domains, corpus.ratings) == (["Alien", "Brazil"], [4.5, -1.0])
    with pytest.raises(CorpusError, match=r"line 2: column 'film' is 'Alien', not a number"):
        from_csv(write(table), text="review", label="verdict", rating="film")


def test_empty_texts_are_refused_by_line_or_dropped(write):
    path = write('text,label\na,x\n ,x\nb,y\n"",y\n')
    with pytest.raises(CorpusError, match=r"'text' is empty in 2 rows \(line 3, 5\); .*drop_empty=True"):
        from_csv(path)
    assert from_csv(path, drop_empty=True).texts == ["a", "b"]


def test_labels_that_are_words_for_nothing_truth_values_or_whole_numbers(write):
    """Intents, relations and answers are called "None" and "N/A"; a whole number is one class however it is written."""
    written = ["N/A", "None", "null", "NA", "1", "1.0", "-2.00", "1.5", "v1.0", "1.0.0", "s "]
    labels = ["N/A", "None", "null", "NA", "1", "1", "-2", "1.5", "v1.0", "1.0.0", "s"]
    assert from_csv(write("text,label\n" + "".join(f"a,{label}\n" for label in written))).labels == labels
    rows = [{"text": "a", "label": label} for label in (*written, 0, 1, 1.0, -2.0, True, False)]
    assert from_jsonl(write(_lines(*rows))).labels == [*labels, "0", "1", "1", "-2", "true", "false"]


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ("body,topic\na,x\n", {}, r"no column 'text', 'label'; found 'body', 'topic'.*text=, label="),
        (ROWS, {"domain": "film"}, "no column 'film'"),
        ("text,text,label\na,b,x\n", {}, "more than one column 'text'"),
        ("text,label\n" + "a,\n" * 30, {}, r"in 30 rows \(line 2, 3, 4, 5, 6, …\)"),
        ("text,label\na,x\nb,x\n", {}, "all 2 texts have the label 'x'"),
        ("text,label\n,x\n,y\n", {"drop_empty": True}, "no text is left"),
        ("", {}, "is empty; the first line names the columns"),
        ("\n\n", {}, "is empty; the first line names the columns"),
        ("text,label\n\n\n", {}, "no rows of data"),
        ("text,label\na,x\nb, really,y\n", {}, "line 3: 3 cells, but 2 columns; quote"),
        ("text,label\na,x\nb\n", {}, "line 3: 1 cells"),
        ('text,label\n"a,x\nb,y\n', {}, "quotation mark"),
    ],
)
def test_tables_that_cannot_be_read_are_explained(write, table, options, message):
    with pytest.raises(CorpusError, match=message):
        from_csv(write(table), **options)


def test_a_very_long_text_is_read_and_the_limit_of_csv_left_alone(write):
    limit = csv.field_size_limit()
    assert len(from_csv(write(f"text,label\n{'a' * 300_000},x\nb,y\n")).texts[0]) == 300_000
    assert csv.field_size_limit() == limit


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(CorpusError, match=r"does not exist"):
        from_csv(tmp_path / "none.csv")
    with pytest.raises(CorpusError, match=r"not a file"):
        from_csv(tmp_path)


CELL = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\r\ufeff"), min_size=1).filter(
    str.strip
)


@given(st.lists(CELL, min_size=2, max_size=20), st.sampled_from(tables.DELIMITERS))
def test_whatever_csv_writes_is_read_back(tmp_path_factory, texts, delimiter):
    stream = io.StringIO(newline="")
    rows = [("text", "label"), *((text, f"l{i % 2}") for i, text in enumerate(texts))]
    csv.writer(stream, delimiter=delimiter).writerows(rows)
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_bytes(stream.getvalue().encode())
    assert from_csv(path).texts == texts


def _lines(*rows):
    return "\n".join(json.dumps(row) for row in rows)


def test_json_lines(write):
    path = write(
        "\ufeff" + _lines({"text": "é\u2028", "label": "x", "more": 1}, {"text": "b", "label": "y"}) + "\n\n",
        "a.jsonl",
    )
    corpus = from_jsonl(path)
    assert (corpus.texts, corpus.labels) == (["é\u2028", "b"], ["x", "y"])


@pytest.mark.parametrize("label", [None, float("nan"), float("inf"), 0.5, [], {}, "", "nan", "NaN", " "])
def test_labels_that_are_none_are_refused_even_when_empty_texts_are_dropped(write, label):
    rows = [{"text": "a", "label": "x"}, {"text": "b", "label": label}, {"text": "c", "label": "y"}]
    with pytest.raises(CorpusError, match=r"'label' holds no usable label in 1 rows \(line 2\)"):
        from_jsonl(write(_lines(*rows)), drop_empty=True)
    if isinstance(label, str):
        with pytest.raises(CorpusError, match=r"'label' holds no usable label in 1 rows \(line 3\)"):
            from_csv(write(f"text,label\na,x\nb,{label}\nc,y\n"), drop_empty=True)


def test_a_null_text_is_an_empty_text_and_another_value_none(write):
    path = write(_lines({"text": None, "label": "x"}, {"text": "b", "label": "y"}, {"text": "c", "label": "x"}))
    with pytest.raises(CorpusError, match=r"empty"):
        from_jsonl(path)
    assert from_jsonl(path, drop_empty=True).texts == ["b", "c"]
    for value in (3, ["a"], {"a": 1}):
        with pytest.raises(CorpusError, match=r"holds something that is no text"):
            from_jsonl(write(_lines({"text": value, "label": "x"}, {"text": "b", "label": "y"})))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a", "label": "x"}\n{"text": ', "line 2: not JSON"),
        ('["a", "x"]', "line 1: a list, not an object"),
        ('{"body": "a", "label": "x"}', "line 1: no column 'text'; found 'body', 'label'"),
        ("", "no rows"),
        ('{"text": "a", "label": "x"}\n' + "[" * 100_000 + "]" * 100_000, "line 2: brackets are nested too deep"),
    ],
)
def test_bad_json_lines_are_named(write, content, message):
    with pytest.raises(CorpusError, match=message):
        from_jsonl(write(content))


@pytest.mark.parametrize("column", ["text", "label", "film"])
def test_half_a_character_is_refused_by_line(write, column):
    """A lone surrogate cannot be written to any file, so it would stop something later."""
    rows = [{"text": "a", "label": "x", "film": "f"}, {"text": "b", "label": "y", "film": "g"} | {column: "b\ud800"}]
    with pytest.raises(CorpusError, match=rf"'{column}' holds half a character .*in 1 rows \(line 2\)"):
        from_jsonl(write(_lines(*rows)), domain="film")
    whole = [rows[0], {"text": "b😀", "label": "y", "film": "g"}]
    assert from_jsonl(write(_lines(*whole)), domain="film").texts == ["a", "b😀"]
