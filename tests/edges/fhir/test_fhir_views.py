"""ViewDefinitions: how malformed ones are refused, what a view does to resources, and its Arrow columns."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from caduceus.edges.fhir import load_view, read_view, view_batches
from caduceus.edges.fhir import rows as rows_module
from caduceus.edges.fhir.view import compile_view
from caduceus.errors import Refused

ID = {"name": "id", "path": "id", "type": "id"}


def view(*selects: dict, resource: object = "Patient", **more: object) -> dict:
    return {"resourceType": "ViewDefinition", "name": "v", "resource": resource, "select": list(selects), **more}


def columns(*some: dict, **more: object) -> dict:
    return {"column": list(some), **more}


def nested(depth: int) -> dict:
    inner = columns(ID)
    for _ in range(depth):
        inner = {"select": [inner]}
    return inner


@pytest.mark.parametrize(
    ("definition", "says"),
    [
        ([], r"view: a ViewDefinition is an object"),
        (view(columns(ID), resource=7), r"view 'v': 'resource'"),
        (view(), r"view 'v': select: is empty"),
        ({"name": "v", "resource": "Patient"}, r"view 'v': select: has to be a list"),
        (view(7), r"select\[0\]: has to be an object"),
        (view(columns()), r"select\[0\]: has no column"),
        (view(columns(ID, colum=[])), r"select\[0\]: 'colum' is nothing that a select has"),
        (view(columns(ID, forEach="name", repeat=["a"])), r"has both 'forEach' and 'repeat'"),
        (view(columns(ID, repeat=[])), r"'repeat' names no path"),
        (view(columns(ID, repeat="item")), r"select\[0\].repeat: has to be a list"),
        (view(columns(ID, forEach=1)), r"select\[0\].forEach: has to be a FHIRPath"),
        (view(columns({"name": "a b", "path": "id"})), r"column\[0\]: 'name' has to be"),
        (view(columns({"name": "a"})), r"column\[0\] 'a'.path: has to be a FHIRPath"),
        (view(columns({"name": "a", "path": "id", "type": 4})), r"column\[0\] 'a': 'type'"),
        (view(columns({"name": "a", "path": "id", "collection": "no"})), r"column\[0\] 'a': 'collection'"),
        (view(columns({"name": "a", "path": "@@"})), r"view 'v': column 'a' '@@': it is no FHIRPath"),
        (view(columns({"name": "a", "path": "x.y("})), r"column 'a' 'x.y\(': it is no FHIRPath"),
        (view(columns(ID, forEach="a..b")), r"forEach 'a..b': it is no FHIRPath"),
        (view(columns(ID), where=[{"path": "a = "}]), r"where 'a = ': it is no FHIRPath"),
        (view(columns(ID), where=["a"]), r"where\[0\].path"),
        (view(columns(ID, ID)), r"column 'id' is there twice"),
        (view(columns(ID), {"select": [columns(ID)]}), r"column 'id' is there twice"),
        (view({"unionAll": [columns(ID), columns({"name": "b", "path": "id"})]}), r"unionAll\[1\] has the columns b"),
        (view(columns(ID), constant=[{"name": "c"}]), r"constant\[0\] 'c': needs exactly one value"),
        (view(columns(ID), constant=[{"name": "c", "valueInteger": "1"}]), r"'valueInteger' is no type of constant"),
        (view(columns(ID), constant=[{"name": "c", "valueQuantity": {}}]), r"'valueQuantity' is no type of constant"),
        (view(columns({"name": "a", "path": "%c"})), r"column 'a' '%c': there is no constant 'c'"),
        (view(nested(40)), r"nested more than 32 deep"),
    ],
)
def test_a_malformed_view_is_refused_with_its_place(definition: object, says: str):
    with pytest.raises(Refused, match=says):
        compile_view(definition)


def test_a_null_row_is_given_where_a_nested_walk_finds_nothing_in_what_is_not_there():
    inner = columns({"name": "a", "path": "use"}, select=[columns({"name": "b", "path": "$this"}, forEach="given")])
    made = compile_view(view(columns(ID), inner | {"forEachOrNull": "name"}))
    assert list(made.rows({"resourceType": "Patient", "id": "1"})) == [("1", None, None)]


def test_after_a_nested_walk_the_row_index_is_that_of_the_outer_one_again():
    inner = [
        columns({"name": f"{walk}", "path": "%rowIndex"}, **{walk: ["given"] if walk == "repeat" else "given"})
        for walk in ("forEachOrNull", "forEach", "repeat")
    ]
    names = [{"given": ["a"]}, {"given": []}, {"given": ["b", "c"]}]
    for nested_walk, expected in zip(
        inner, ([(0, 0), (0, 1), (0, 2), (1, 2)], [(0, 0), (0, 2), (1, 2)], [(0, 0), (0, 2), (1, 2)]), strict=True
    ):
        outer = {"forEach": "name", "select": [nested_walk, columns({"name": "n", "path": "%rowIndex"})]}
        rows = compile_view(view(outer)).rows({"resourceType": "Patient", "name": names})
        assert list(rows) == expected


def test_a_column_may_be_a_constant_an_element_or_a_calculation():
    paths = {"a": "true", "b": "id", "c": "1.5 * 2", "d": "%rowIndex", "e": "'x'", "f": "meta.versionId", "g": "{}"}
    made = compile_view(view(columns(*({"name": name, "path": path} for name, path in paths.items()))))
    patient = {"resourceType": "Patient", "id": "1", "meta": {"versionId": "7"}}
    assert list(made.rows(patient)) == [(True, "1", 3.0, 0, "x", "7", None)]


def test_several_values_and_conditions_that_are_none_are_refused_without_the_values():
    patient = {"resourceType": "Patient", "id": "1", "name": [{"family": "Secret"}, {"family": "Hidden"}]}
    made = compile_view(view(columns({"name": "a", "path": "name.family"})))
    with pytest.raises(
        Refused, match=r"^view 'v': column 'a', path 'name.family': there are several values"
    ) as refusal:
        made.rows(patient)
    assert "Secret" not in str(refusal.value)
    made = compile_view(view(columns(ID), where=[{"path": "name.family.first()"}]))
    with pytest.raises(Refused, match=r"^view 'v': where 'name.family.first\(\)': gives no boolean$"):
        made.rows(patient)


def test_one_resource_makes_no_more_rows_than_a_table_can_bear(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rows_module, "MOST_ROWS", 1000)
    walks = [columns({"name": name, "path": "$this"}, forEach="name.given") for name in "abcd"]
    made = compile_view(view(*walks))
    patient = {"resourceType": "Patient", "name": [{"given": ["x"] * 6}]}
    with pytest.raises(Refused, match=r"more than 1000 rows"):
        made.rows(patient)
    deep = {"item": []}
    for _ in range(900):
        deep = {"item": [deep]}
    repeated = compile_view(view(columns({"name": "n", "path": "%rowIndex"}, repeat=["item"])))
    assert len(repeated.rows({"resourceType": "Patient"} | deep)) == 900
    twice = compile_view(view(columns({"name": "n", "path": "%rowIndex"}, repeat=["item", "item"])))
    with pytest.raises(Refused, match=r"more than 1000 rows"):
        twice.rows({"resourceType": "Patient"} | deep)


PATIENTS = [
    {"resourceType": "Patient", "id": "1", "active": True, "multipleBirthInteger": 2, "name": [{"given": ["A", "B"]}]},
    {"resourceType": "Observation", "id": "o", "valueQuantity": {"value": 1.5}},
    {"resourceType": "Patient", "id": "2"},
]


def write(folder: Path, *resources: object, name: str = "Patient.ndjson") -> Path:
    (folder / name).write_text("".join(json.dumps(one) + "\n" for one in resources))
    return folder


def test_a_view_over_a_folder_becomes_arrow_columns_of_its_types(tmp_path: Path):
    definition = view(
        columns(
            ID,
            {"name": "active", "path": "active", "type": "boolean"},
            {"name": "births", "path": "multipleBirth.ofType(integer)", "type": "integer"},
            {"name": "given", "path": "name.given", "type": "string", "collection": True},
            {"name": "plain", "path": "name.given.first()"},
        )
    )
    place = write(tmp_path, *PATIENTS, name="all.ndjson")
    table = read_view(place, definition)
    assert table.schema.types == [pa.string(), pa.bool_(), pa.int32(), pa.list_(pa.string()), pa.string()]
    assert table.to_pylist() == [
        {"id": "1", "active": True, "births": 2, "given": ["A", "B"], "plain": "A"},
        {"id": "2", "active": None, "births": None, "given": [], "plain": None},
    ]
    assert pa.Table.from_batches(view_batches(place, definition)).equals(table)
    other = view(
        columns({"name": "value", "path": "value.ofType(Quantity).value", "type": "decimal"}), resource="Observation"
    )
    assert read_view(place, other)["value"].to_pylist() == [1.5]
    assert read_view(place, view(columns(ID), resource="Device")).num_rows == 0


def test_a_boundary_knows_the_digits_that_the_file_has(tmp_path: Path):
    (tmp_path / "Observation.ndjson").write_text('{"resourceType":"Observation","valueQuantity":{"value":1.50}}\n')
    definition = view(
        columns({"name": "low", "path": "value.ofType(Quantity).value.lowBoundary()", "type": "decimal"}),
        resource="Observation",
    )
    assert read_view(tmp_path, definition)["low"].to_pylist() == [1.495]


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("string", 5),
        ("integer", "5"),
        ("integer", 1.5),
        ("boolean", 1),
        ("decimal", "1"),
        ("decimal", True),
        (None, {}),
        ("integer", 1 << 40),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_column_and_not_shown(
    tmp_path: Path, type_: str | None, value: object
):
    column = {"name": "a", "path": "x"} | ({"type": type_} if type_ else {})
    place = write(tmp_path, {"resourceType": "Patient", "x": value})
    with pytest.raises(
        Refused, match=r"^Patient.ndjson, from line 1: view 'v': column 'a', path 'x': there is a value"
    ):
        read_view(place, view(columns(column)))


def test_a_view_is_loaded_from_its_file_and_checked(tmp_path: Path):
    path = tmp_path / "view.json"
    path.write_text(json.dumps(view(columns(ID))))
    assert load_view(path)["name"] == "v"
    path.write_text("{")
    with pytest.raises(Refused, match=r"view.json: no JSON"):
        load_view(path)
    path.write_text(json.dumps(view(columns())))
    with pytest.raises(Refused, match=r"view.json: view 'v': select\[0\]"):
        load_view(path)
    with pytest.raises(Refused, match=r"absent.json"):
        load_view(tmp_path / "absent.json")
