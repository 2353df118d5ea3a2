"""CSV and Parquet files into canonical tables: what is read, and every way in which a file is refused."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caduceus.data.schema_file import SchemaFile, read_schema_file
from caduceus.data.table import check_values
from caduceus.edges.tabular import load_schema, read_table
from caduceus.errors import Refused

NAN = np.nan
TOML = """
title = "Small"

[file]
missing = ["?", -9]

[[column]]
name = "patient"
role = "identifier"

[[column]]
name = "ward"
role = "site"

[[column]]
name = "age"
source = "AGE"
kind = "integer"
range = [0, 120]
required = true

[[column]]
name = "chol"
kind = "number"
impossible = [0]
range = [10, 1000]

[[column]]
name = "pain"
kind = "category"
levels = ["N", "Y", { name = "unrecorded", codes = [""] }]

[[column]]
name = "class"
kind = "category"
levels = [{ name = "one", codes = [1] }, { name = "two or three", codes = [2, 3] }]

[[column]]
name = "dead"
kind = "boolean"
role = "target"
positive = ["yes"]
negative = ["no"]

[[derived]]
name = "age2"
of = "age"
center = 70
scale = 100
"""
GOOD = """patient,ward,AGE,chol,pain,class,dead
p1,A,60,200.5,N,1,yes
p2,A,70,?,Y,2.0,no
p3,B,80.0,0,,3,?
p4,B, 90 ,-9,"N",,  yes
"""


def schema(text: str = TOML) -> SchemaFile:
    return read_schema_file(text, where="schema.toml")


def read(folder: Path, text: str | bytes = GOOD, toml: str = TOML):
    path = folder / "ward.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_table(path, schema(toml))


def refusal(folder: Path, text: str | bytes, toml: str = TOML) -> str:
    with pytest.raises(Refused) as caught:
        read(folder, text, toml)
    return str(caught.value)


def test_a_file_becomes_the_canonical_table(tmp_path: Path):
    table = read(tmp_path)
    assert table.schema == schema().public()
    np.testing.assert_array_equal(table.column("age"), [60, 70, 80, 90])
    np.testing.assert_array_equal(table.column("chol"), [200.5, NAN, NAN, NAN])
    np.testing.assert_array_equal(table.column("pain"), [0, 1, 2, 0])
    np.testing.assert_array_equal(table.column("class"), [0, 1, 1, NAN])
    np.testing.assert_array_equal(table.column("dead"), [1, 0, NAN, 1])
    np.testing.assert_array_equal(table.column("age2"), [1, 0, 1, 4])
    assert table.labels["patient"].tolist() == ["p1", "p2", "p3", "p4"]
    assert table.labels["ward"].tolist() == ["A", "A", "B", "B"]
    check_values(table, "ward.csv")


@pytest.mark.parametrize(
    "same",
    [
        GOOD.replace("\n", "\r\n"),
        "\ufeff" + GOOD,
        GOOD.rstrip("\n"),
        GOOD.replace("\np3", "\n\np3"),
        GOOD.replace("200.5", "2.005e2"),
        GOOD.replace("?", "nan", 1),
        GOOD.replace("p2,A", '"p2","A"'),
        "AGE,patient,extra,ward,chol,pain,class,dead\n"
        "60,p1,x,A,200.5,N,1,yes\n70,p2,x,A,,Y,2,no\n80,p3,,B,0,,3,\n90,p4,é,B,-9.0,N,-9,yes\n",
    ],
)
def test_other_ways_to_write_the_same_file_give_the_same_table(tmp_path: Path, same: str):
    assert (read(tmp_path, same).record_bytes() == read(tmp_path).record_bytes()).all()


def test_a_missing_code_is_missing_even_where_an_empty_field_is_a_level(tmp_path: Path):
    np.testing.assert_array_equal(read(tmp_path, GOOD.replace(",Y,", ",?,")).column("pain"), [0, NAN, 2, 0])


def test_parquet_gives_the_same_table_as_csv(tmp_path: Path):
    columns = {
        "patient": pa.array(["p1", "p2", "p3", "p4"], pa.large_string()),
        "ward": pa.array(["A", "A", "B", "B"]).dictionary_encode(),
        "AGE": pa.array([60, 70, 80, 90], pa.int16()),
        "chol": pa.array([200.5, NAN, 0.0, None]),
        "pain": pa.array(["N", "Y ", None, "N"]),
        "class": pa.array([1, 2, 3, None], pa.int64()),
        "dead": pa.array(["yes", "no", None, "yes"]).dictionary_encode(),
        "unread": pa.array([[1], [2], [3], [4]]),
    }
    pa.parquet.write_table(pa.table(columns), tmp_path / "ward.parquet")
    parquet = read_table(tmp_path / "ward.parquet", schema(TOML.replace("[file]", '[file]\nformat = "parquet"')))
    assert (parquet.record_bytes() == read(tmp_path).record_bytes()).all()
    assert parquet.labels["ward"].tolist() == ["A", "A", "B", "B"]


HEADLESS = TOML.replace("[file]", "[file]\nheader = false\nskip = 1").replace('source = "AGE"\n', "")


def test_a_file_without_a_header_is_read_by_position(tmp_path: Path):
    assert (read(tmp_path, GOOD, HEADLESS).record_bytes() == read(tmp_path).record_bytes()).all()


def test_positions_may_be_given_and_other_fields_are_then_not_read(tmp_path: Path):
    toml = 'title = "t"\n[file]\nheader = false\n[[column]]\nname = "x"\nsource = 3\nkind = "number"\nrange = [0, 9]\n'
    assert read(tmp_path, "a,b,1,c\nd,e,2,f\n", toml).column("x").tolist() == [1, 2]
    assert "row 1 has 2 fields, but the schema reads 3" in refusal(tmp_path, "a,b\n", toml)


def test_another_delimiter_is_used_if_the_schema_says_so(tmp_path: Path):
    toml = TOML.replace("[file]", '[file]\ndelimiter = ";"')
    assert (read(tmp_path, GOOD.replace(",", ";"), toml).record_bytes() == read(tmp_path).record_bytes()).all()
    assert "column 'patient' is missing" in refusal(tmp_path, GOOD, toml)


def test_a_header_without_rows_is_an_empty_table(tmp_path: Path):
    assert read(tmp_path, GOOD.split("\n")[0]).rows == 0
    assert read(tmp_path, GOOD.split("\n")[0] + "\n\n").rows == 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("chol,pain", "cholesterol,pain", "column 'chol' is missing; known: "),
        ("chol,pain", "choll,pain", "column 'chol' is missing; did you mean 'choll'?"),
        ("chol,pain", "pain,pain", "two columns are named 'pain'"),
        ("200.5", "abc", "row 1, column 'chol': not a number"),
        ("2.0", "two", "row 2, column 'class': not a number"),
        ("2.0", "4", "row 2, column 'class': not one of the levels of the schema"),
        (",Y,", ",J,", "row 2, column 'pain': not one of the levels of the schema"),
        (",no", ",maybe", "row 2, column 'dead': not one of the positive and negative codes of the schema"),
        ("80.0", "80.5", "row 3, column 'age' (source 'AGE'): not a whole number"),
        ("80.0", "121", "row 3, column 'age' (source 'AGE'): outside the plausible range 0 to 120 of the schema"),
        ("80.0", "", "row 3, column 'age' (source 'AGE'): missing, but the schema requires a value"),
        ("80.0", "NaN", "row 3, column 'age' (source 'AGE'): missing, but the schema requires a value"),
        ("200.5", "inf", "row 1, column 'chol': not a finite number"),
        ("200.5", "1e999", "row 1, column 'chol': not a finite number"),
        ("p3,", "p1,", "row 3, column 'patient': the same identifier as in row 1"),
        ("p3,", ",", "row 3, column 'patient': the identifier is missing"),
        (",B,80", ",,80", "row 3, column 'ward': the site is missing"),
        ("p3,B", "p3", "row 3 has 6 fields instead of 7"),
        ("p3,B", "p3,B,B", "row 3 has 8 fields instead of 7"),
    ],
)
def test_a_bad_field_is_named_by_file_row_and_column_and_its_value_is_not_repeated(
    tmp_path: Path, old: str, new: str, message: str
):
    assert old in GOOD
    said = refusal(tmp_path, GOOD.replace(old, new, 1))
    assert said.startswith(f"ward.csv: {message}")
    for value in ("abc", "maybe", "80.5", "200.5", "121"):
        assert value not in said


def test_the_first_bad_row_is_named_however_many_there_are(tmp_path: Path):
    rows = [f"p{i},A,{i % 90},{100 + i},N,1,yes" for i in range(1, 3001)]
    for bad in (2500, 1234, 2999):
        rows[bad - 1] = rows[bad - 1].replace(f",{100 + bad},", ",x,")
    said = refusal(tmp_path, "\n".join([GOOD.split("\n")[0], *rows]))
    assert said == "ward.csv: row 1234, column 'chol': not a number"


def test_quoted_line_breaks_are_part_of_a_field_in_a_file_of_any_size(tmp_path: Path):
    rows = [f'{i % 90},"two\nlines",{i}' for i in range(120_000)]  # more than the parser reads at a time
    table = read(tmp_path, "\n".join(["x,note,id", *rows]), LAW)
    np.testing.assert_array_equal(table.column("x"), np.arange(120_000) % 90)


def test_rows_are_counted_without_header_skipped_and_blank_lines(tmp_path: Path):
    with_blank = GOOD.replace("\np3", "\n\np3").replace("80.0", "old")
    assert "row 3, column 'age'" in refusal(tmp_path, with_blank)
    skipped = TOML.replace("[file]", "[file]\nskip = 2")
    assert "row 3, column 'age'" in refusal(tmp_path, "counts\n\n" + with_blank, skipped)
    assert "row 3 has 6 fields" in refusal(tmp_path, "counts\n\n" + GOOD.replace("p3,B", "p3"), skipped)
    assert "row 3 has 6 fields" in refusal(tmp_path, GOOD.replace("p3,B", "p3"), HEADLESS)
    assert "row 3 has 6 fields" in refusal(tmp_path, GOOD.replace("\np3,B", "\n\np3"))


def test_a_column_that_the_schema_does_not_name_is_refused_only_if_the_schema_is_strict(tmp_path: Path):
    extra = "\n".join(line + (",new" if i == 0 else ",1") for i, line in enumerate(GOOD.strip().split("\n")))
    assert read(tmp_path, extra).rows == 4
    strict = TOML.replace("[file]", "[file]\nstrict = true")
    assert refusal(tmp_path, extra, strict).startswith("ward.csv: column 'new' is not in the schema")
    assert read(tmp_path, GOOD, strict).rows == 4


def test_a_headless_file_with_a_field_too_many_or_too_few_is_refused(tmp_path: Path):
    lines = GOOD.strip().split("\n")
    assert "8 fields, but the schema lists 7" in refusal(tmp_path, "\n".join(f"{line},1" for line in lines), HEADLESS)
    shorter = "\n".join(line.rsplit(",", 1)[0] for line in lines)
    assert "6 fields, but the schema reads 7" in refusal(tmp_path, shorter, HEADLESS)


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_an_empty_file_is_refused(tmp_path: Path, content: bytes):
    assert refusal(tmp_path, content) == "ward.csv: the file is empty"


def test_a_file_that_ends_before_its_header_is_refused(tmp_path: Path):
    skipped = TOML.replace("[file]", "[file]\nskip = 9")
    assert "ends before its first row" in refusal(tmp_path, GOOD, skipped)


def test_a_file_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path):
    assert refusal(tmp_path, GOOD.replace("p3", "é").encode("latin-1")).startswith("ward.csv: line 4 is not UTF-8")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path):
    for path in (tmp_path / "absent.csv", tmp_path / "a.csv" / "b.csv"):
        with pytest.raises(Refused, match="no such file; check the path and the data root"):
            read_table(path, schema())
    with pytest.raises(Refused, match="a folder, not a file"):
        read_table(tmp_path, schema())
    with pytest.raises(Refused, match="no such file"):
        load_schema(tmp_path / "schema.toml")


def test_a_parquet_file_that_was_cut_off_is_refused_at_any_length(tmp_path: Path):
    toml = 'title = "t"\n[file]\nformat = "parquet"\n[[column]]\nname = "x"\nkind = "number"\nrange = [0, 999]\n'
    whole, cut = tmp_path / "whole.parquet", tmp_path / "cut.parquet"
    pa.parquet.write_table(pa.table({"x": np.arange(500.0)}), whole)
    data = whole.read_bytes()
    assert read_table(whole, schema(toml)).rows == 500
    for length in range(1, len(data), 97):
        cut.write_bytes(data[:length])
        with pytest.raises(Refused, match=r"cut.parquet: not a whole Parquet file"):
            read_table(cut, schema(toml))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([[1.0]]), "is stored as list"),
        (pa.array([2**60 + 1]), "too large to be exact"),
        (pa.array(["a"]), "row 1, column 'x': not a number"),
        (pa.array([5000]), "row 1, column 'x': outside the plausible range"),
    ],
)
def test_a_parquet_column_of_the_wrong_type_is_refused(tmp_path: Path, column: pa.Array, message: str):
    toml = 'title = "t"\n[file]\nformat = "parquet"\n[[column]]\nname = "x"\nkind = "number"\nrange = [0, 999]\n'
    pa.parquet.write_table(pa.table({"x": column}), tmp_path / "x.parquet")
    with pytest.raises(Refused, match=r"x\.parquet: ") as caught:
        read_table(tmp_path / "x.parquet", schema(toml))
    assert message in str(caught.value)


def test_numbers_where_the_schema_lists_texts_are_refused(tmp_path: Path):
    toml = 'title = "t"\n[file]\nformat = "parquet"\n[[column]]\nname = "x"\nkind = "category"\nlevels = ["a", "b"]\n'
    pa.parquet.write_table(pa.table({"x": [1, 2]}), tmp_path / "x.parquet")
    with pytest.raises(Refused, match="column 'x' holds numbers, but the schema lists texts"):
        read_table(tmp_path / "x.parquet", schema(toml))


def test_a_parquet_column_without_a_type_is_missing_everywhere(tmp_path: Path):
    head = 'title = "t"\n[file]\nformat = "parquet"\n'
    texts = '[[column]]\nname = "x"\nkind = "category"\nlevels = ["a", "b"]\n'
    numbers = '[[column]]\nname = "y"\nkind = "number"\nrange = [0, 9]\n'
    pa.parquet.write_table(pa.table({"x": pa.nulls(2), "y": pa.nulls(2)}), tmp_path / "x.parquet")
    table = read_table(tmp_path / "x.parquet", schema(head + texts + numbers))
    assert np.isnan(table.values).all()
    assert table.rows == 2


def test_truth_values_and_whole_identifiers_of_parquet_are_understood(tmp_path: Path):
    toml = (
        'title = "t"\n[file]\nformat = "parquet"\n[[column]]\nname = "x"\nkind = "boolean"\n'
        '[[column]]\nname = "id"\nrole = "identifier"\n'
    )
    pa.parquet.write_table(
        pa.table({"x": [True, None, False], "id": [2**60 + 1, 2**60 + 2, 3]}), tmp_path / "x.parquet"
    )
    table = read_table(tmp_path / "x.parquet", schema(toml))
    np.testing.assert_array_equal(table.column("x"), [1, NAN, 0])
    assert table.labels["id"].tolist() == [str(2**60 + 1), str(2**60 + 2), "3"]


# ---------------------------------------------------------------- laws

FIELDS = st.sampled_from(["1", "2.5", "-3e1", "", " 7 ", "?", "0", "x,y", 'say "a"', "two\nlines", "é"])
LAW = (
    'title = "t"\n[file]\nmissing = ["?"]\n[[column]]\nname = "x"\nkind = "number"\nrange = [-99, 99]\n'
    '[[column]]\nname = "note"\nrole = "ignore"\n[[column]]\nname = "id"\nrole = "identifier"\n'
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(FIELDS.filter(lambda text: text.strip() in ("1", "2.5", "-3e1", "", "7", "?", "0")), FIELDS),
        max_size=12,
    )
)
def test_what_another_csv_writer_wrote_is_read_back(tmp_path: Path, rows: list[tuple[str, str]]):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([("x", "note", "id"), *[(x, note, i) for i, (x, note) in enumerate(rows)]])
    table = read(tmp_path, text.getvalue(), LAW)
    expected = [float(x) if x.strip() not in ("", "?") else NAN for x, _ in rows]
    np.testing.assert_array_equal(table.column("x"), expected)
    assert table.labels["id"].tolist() == [str(i) for i in range(len(rows))]


def test_rows_that_end_with_a_lone_carriage_return_are_refused(tmp_path: Path):
    assert "the first row cannot be read" in refusal(tmp_path, GOOD.replace("\n", "\r"))
    assert read(tmp_path, GOOD.replace("\n", "\r\n")).rows == 4


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else_happens(tmp_path: Path, data: st.DataObject):
    damaged = bytearray(GOOD.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        table = read(tmp_path, bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))
    except Refused:
        return
    check_values(table, "ward.csv")
