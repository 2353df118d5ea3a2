"""Schemas: what a table means, and the file that says so."""

from __future__ import annotations

import pytest

from caduceus import canon
from caduceus.data.schema import Schema, Square
from caduceus.data.schema_file import SchemaFile, read_schema_file
from caduceus.errors import Refused

GOOD = """
title = "Small"

[file]
missing = ["?"]

[[column]]
name = "patient"
role = "identifier"

[[column]]
name = "age"
source = "AGE"
kind = "number"
unit = "a"
range = [0, 120]
required = true

[[column]]
name = "pain"
kind = "category"
levels = ["none", { name = "some", codes = ["a", "b"] }]

[[column]]
name = "dead"
kind = "boolean"
role = "target"
positive = [1, 2]
negative = [0]

[[derived]]
name = "age2"
of = "age"
center = 70
scale = 100
"""


def read(text: str = GOOD) -> SchemaFile:
    return read_schema_file(text, where="schema.toml")


def refusal(text: str) -> str:
    with pytest.raises(Refused) as caught:
        read(text)
    assert str(caught.value).startswith("schema.toml: ")
    return str(caught.value).removeprefix("schema.toml: ")


def test_the_public_schema_holds_values_and_derived_columns_but_no_identifier():
    schema = read().public()
    assert schema.names == ("age", "pain", "dead", "age2")
    assert schema.features == ("age", "pain", "age2")
    assert schema.targets == ("dead",)
    assert schema.column("pain").levels == ("none", "some")
    assert schema.column("age").range == (0.0, 120.0)
    assert schema.column("dead").range == (0.0, 1.0)
    assert schema.column("age2").derived == Square(of="age", center=70.0, scale=100.0)


def test_a_derived_column_has_the_range_that_its_formula_gives():
    assert read().public().column("age2").range == (0.0, 49.0)
    off_centre = read(GOOD.replace("center = 70", "center = 130")).public()
    assert off_centre.column("age2").range == (1.0, 169.0)


def test_a_schema_survives_its_canonical_bytes():
    schema = read().public()
    assert canon.unpack(Schema, canon.pack(schema)) == schema
    assert canon.unpack(Schema, canon.pack(schema)).digest() == schema.digest()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('source = "AGE"', 'source = "alter"'),
        ('missing = ["?"]', 'missing = ["NA"]'),
        ('codes = ["a", "b"]', 'codes = ["c"]'),
        ("positive = [1, 2]", "positive = [1]"),
        ('name = "patient"', 'name = "nummer"'),
    ],
)
def test_where_columns_stand_in_a_file_does_not_change_the_digest(old: str, new: str):
    assert old in GOOD
    assert read(GOOD.replace(old, new)).public().digest() == read().public().digest()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('unit = "a"', 'unit = "mo"'),
        ("range = [0, 120]", "range = [0, 121]"),
        ('"none", {', '"never", {'),
        ("required = true", "required = false"),
        ('role = "target"', 'role = "target"\ndescription = "within a year"'),
        ("scale = 100", "scale = 10"),
    ],
)
def test_what_columns_mean_changes_the_digest(old: str, new: str):
    assert old in GOOD
    assert read(GOOD.replace(old, new)).public().digest() != read().public().digest()


def test_an_unknown_column_is_refused_with_the_nearest_name():
    with pytest.raises(Refused, match="has no column 'agee'; did you mean 'age'"):
        read().public().column("agee")


def test_an_unknown_key_names_the_column_and_the_nearest_key():
    message = refusal(GOOD.replace('unit = "a"', 'units = "a"'))
    assert message == "column 'age': unknown key 'units'; did you mean 'unit'?"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('kind = "number"', 'kind = "nummer"', "column 'age' kind: "),
        ('kind = "number"\n', "", "column 'age': key 'kind' is missing"),
        ("range = [0, 120]\n", "", "needs a plausible 'range'"),
        ("range = [0, 120]", "range = [120, 0]", "low <= high"),
        ("range = [0, 120]", "range = [5, 5]", "empty"),
        ("range = [0, 120]", "range = [0, 120]\nlevels = [1, 2]", "has no levels"),
        ('role = "identifier"', 'role = "identifier"\nkind = "number"', "role 'identifier' has no 'kind'"),
        ('"none", ', "", "column 'pain': a category needs two levels or more"),
        ('codes = ["a", "b"]', 'codes = ["a", "none"]', "listed twice"),
        ('codes = ["a", "b"]', 'codes = ["a", 1]', "all numbers or all texts"),
        ("negative = [0]", "negative = [1]", "listed twice"),
        ("negative = [0]\n", "", "both its positive and its negative"),
        ("negative = [0]", 'negative = ["no"]', "all numbers or all texts"),
        ("positive = [1, 2]", "range = [0, 1]\npositive = [1, 2]", "has no range"),
        ('name = "pain"', 'name = "age"', "two columns are named 'age'"),
        ('name = "pain"', 'name = "pain"\nsource = "AGE"', "two columns are read from 'AGE'"),
        ('name = "pain"', 'name = "pain!"', "pattern"),
        ('of = "age"', 'of = "pain"', "not a number with a range"),
        ("scale = 100", "scale = 0", "derived 'age2' scale"),
        ('source = "AGE"', "source = 2", "without a header"),
        ('missing = ["?"]', 'missing = ["?"]\nheader = false', "has no column names"),
    ],
)
def test_a_schema_that_does_not_fit_together_is_refused(old: str, new: str, why: str):
    assert old in GOOD
    assert why in refusal(GOOD.replace(old, new, 1))


def test_positions_are_given_for_every_column_or_for_none():
    text = 'title = "x"\n[file]\nheader = false\n'
    column = '[[column]]\nname = "{}"\nkind = "boolean"\n{}\n'
    assert read(text + column.format("a", "source = 2") + column.format("b", "source = 1"))
    message = refusal(text + column.format("a", "source = 2") + column.format("b", ""))
    assert "every column a position" in message


def test_a_schema_without_a_feature_is_refused():
    assert "no column has the role 'feature'" in refusal('title = "x"\n[[column]]\nname = "id"\nrole = "identifier"\n')
