"""Clinical records into a table: against a plain model of what a cohort means, one patient and one event at a time."""

from __future__ import annotations

import datetime as dt
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus.data.cohort import Cohort, Criterion, Draw, Window
from caduceus.data.cohort_flow import Loss
from caduceus.data.patients import patients
from caduceus.data.records import EVENTS, PEOPLE, Records
from caduceus.data.schema import Column, Schema
from caduceus.data.schema_file import read_schema_file
from caduceus.edges.cohort import INDEX_DATE, Built, build
from caduceus.edges.cohort_engine import engine, short_of_memory
from caduceus.errors import Refused, Unavailable

DAY0 = dt.date(2010, 1, 1)
KINDS = {"K:all": ("K:all", "K:some", "K:other"), "K:some": ("K:some",)}
CODES = ("I:1", "K:all", "K:some", "K:other", "V:1", "T:1", "A:q")


def day(number: int) -> dt.date:
    return DAY0 + dt.timedelta(days=number)


def person(name: str, **said: Any) -> dict[str, Any]:
    return {"patient": name, "born": None, "died": None, "sex": None, "observed_from": None, "observed_to": None} | said


def event(name: str, code: str, number: int | None, **said: Any) -> dict[str, Any]:
    start = None if number is None else dt.datetime.combine(day(number), dt.time(said.pop("hour", 0)))
    plain = {"patient": name, "domain": "observation", "code": code, "start": start, "end": None}
    return plain | {"value": None, "unit": None, "answer": None} | said


def kinds(codes: Iterable[str]) -> frozenset[str]:
    return frozenset(one for code in codes for one in KINDS.get(code, (code,)))


def records(people: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]) -> Records:
    return Records(
        pa.Table.from_pylist([dict(one) for one in people], PEOPLE),
        pa.Table.from_pylist([dict(one) for one in events], EVENTS),
        kinds,
    )


# ---------------------------------------------------------------- the model


def model(people: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]], schema: Schema) -> dict[Any, Any]:
    """The rows of a cohort by patient and date, each a list of values; None is missing."""
    cohort = schema.cohort
    assert cohort is not None
    rows: dict[Any, Any] = {}
    for who in people:
        own = [one for one in events if one["patient"] == who["patient"] and one["start"] is not None]
        days = sorted({one["start"].date() for one in own if one["code"] in meant(cohort, cohort.index)})
        days = [one for i, one in enumerate(days) if i == 0 or (one - days[i - 1]).days > cohort.gap]
        if cohort.which in ("first", "last"):
            days = days[:1] if cohort.which == "first" else days[-1:]
        days = [one for one in days if eligible(who, own, one, cohort)]
        if cohort.which in ("first eligible", "last eligible"):
            days = days[:1] if cohort.which == "first eligible" else days[-1:]
        for one in days:
            values = [value(who, own, one, cohort, draw, schema.column(draw.column)) for draw in cohort.draws]
            required = [schema.column(draw.column).required for draw in cohort.draws]
            if not any(need and found is None for need, found in zip(required, values, strict=True)):
                rows[who["patient"], one.isoformat()] = values
    return rows


def meant(cohort: Cohort, codes: tuple[str, ...]) -> frozenset[str]:
    return kinds(codes) if cohort.descendants else frozenset(codes)


def around(own: list[Any], codes: frozenset[str], index: dt.date, window: Window) -> list[Any]:
    first = -(10**6) if window.first is None else window.first
    last = 10**6 if window.last is None else window.last
    return [one for one in own if one["code"] in codes and first <= (one["start"].date() - index).days <= last]


def eligible(who: Mapping[str, Any], own: list[Any], index: dt.date, cohort: Cohort) -> bool:
    born, died = who["born"], who["died"]
    if (born and index < born) or (died and index > died):
        return False
    if cohort.sexes and (who["sex"] or "unknown") not in cohort.sexes:
        return False
    if cohort.date_from and not cohort.date_from <= index.isoformat() <= cohort.date_to:
        return False
    young, old = (0, 200) if cohort.age_from is None or cohort.age_to is None else (cohort.age_from, cohort.age_to)
    if cohort.age_from is not None and not (born and young <= years(born, index) <= old):
        return False
    begun, ended = who["observed_from"], who["observed_to"]
    if cohort.prior_observation is not None and (begun is None or (ended and index > ended)):
        return False
    if cohort.prior_observation is not None and (index - begun).days < cohort.prior_observation:
        return False
    if cohort.follow_up is not None:
        end = index + dt.timedelta(days=cohort.follow_up)
        if not ((ended and ended >= end) or (died and died <= end)):
            return False
    wanted = [(one, True) for one in cohort.required] + [(one, False) for one in (*cohort.excluded, *cohort.washout)]
    return all(holds(own, index, one, cohort) == want for one, want in wanted)


def holds(own: list[Any], index: dt.date, one: Criterion, cohort: Cohort) -> bool:
    found = around(own, meant(cohort, one.codes), index, one.window)
    if one.low is not None or one.high is not None:
        low, high = -math.inf if one.low is None else one.low, math.inf if one.high is None else one.high
        found = [each for each in found if (x := number(each, one.unit)) is not None and low <= x <= high]
    return len({each["start"].date() for each in found}) >= one.times


def years(born: dt.date, index: dt.date) -> int:
    return index.year - born.year - ((index.month, index.day) < (born.month, born.day))


def number(one: Mapping[str, Any], unit: str) -> float | None:
    if one["value"] is None:
        return None
    factor = {("g", "g"): 1.0, ("mg", "g"): 0.001, ("kg", "g"): 1000.0, (None, ""): 1.0}.get((one["unit"], unit))
    return None if factor is None else one["value"] * factor


def value(who: Any, own: list[Any], index: dt.date, cohort: Cohort, draw: Draw, column: Column) -> float | None:
    if draw.source == "sex":
        return column.levels.index(who["sex"]) if who["sex"] in column.levels else None
    if draw.source == "age":
        return None if who["born"] is None else years(who["born"], index)
    if draw.source == "observed_before":
        begun = who["observed_from"]
        return None if begun is None or index < begun else min((index - begun).days, column.high or 0)
    assert draw.window is not None
    found = around(own, meant(cohort, column.codes), index, draw.window)
    days = sorted({(one["start"].date() - index).days for one in found})
    if draw.source == "died":
        after = None if who["died"] is None else (who["died"] - index).days
        days = [after] if after is not None and (draw.window.first or 0) <= after <= (draw.window.last or 0) else []
    if draw.take == "time":
        return time(who, index, days, draw.window)
    if draw.answers:
        return answer(found, draw, cohort)
    if draw.take in ("any", "count"):
        count = float(bool(days)) if draw.take == "any" else float(len(days))
        unseen = column.role == "target" and not seen(who, index, draw.window)
        return None if unseen and (draw.take == "count" or not count) else count
    pairs = sorted({(one["start"], x) for one in found if (x := number(one, column.unit)) is not None})
    xs = [x for _, x in pairs if column.low is None or column.low <= x <= (column.high or 0)]
    if not xs:
        return None
    return {"first": xs[0], "last": xs[-1], "min": min(xs), "max": max(xs), "mean": math.fsum(xs) / len(xs)}[draw.take]


def seen(who: Any, index: dt.date, window: Window) -> bool:
    if window.last is None or who["observed_to"] is None:
        return True
    end = index + dt.timedelta(days=window.last)
    return who["observed_to"] >= end or (who["died"] is not None and who["died"] <= end)


def time(who: Any, index: dt.date, days: list[int], window: Window) -> float | None:
    if days:
        return days[0]
    ends = [(one - index).days for one in (who["observed_to"], who["died"]) if one is not None]
    ends += [] if window.last is None else [window.last]
    return max(min(ends), 0) if ends else None


def answer(found: list[Any], draw: Draw, cohort: Cohort) -> float | None:
    levels = {code: i for i, codes in enumerate(draw.answers) for code in sorted(meant(cohort, codes), reverse=True)}
    levels |= {code: i for i, codes in enumerate(draw.answers) for code in codes}
    said = [(one["start"], levels[key]) for one in found if (key := one["answer"] or one["code"]) in levels]
    if not said:
        return next((float(i) for i, codes in enumerate(draw.answers) if not codes), None)
    return min(said)[1] if draw.take == "first" else max(said)[1]


# ---------------------------------------------------------------- made-up patients and cohorts

dates = st.one_of(st.none(), st.integers(-60, 60).map(day))
people = st.lists(
    st.fixed_dictionaries(
        {
            "patient": st.text("ab1", min_size=1, max_size=2),
            "born": st.one_of(st.none(), st.sampled_from([dt.date(1980, 2, 29), dt.date(1990, 1, 1), day(5)])),
            "died": dates,
            "sex": st.sampled_from([None, "male", "female", "other", "unknown"]),
            "observed_from": dates,
            "observed_to": dates,
        }
    ),
    max_size=8,
    unique_by=lambda one: one["patient"],
)
happened = st.lists(
    st.builds(
        lambda name, code, number, hour, value, unit, said: event(
            name, code, number, hour=hour, value=value, unit=unit, answer=said
        ),
        st.text("ab1", min_size=1, max_size=2),
        st.sampled_from(CODES),
        st.one_of(st.none(), st.integers(-40, 40)),
        st.sampled_from([0, 9]),
        st.sampled_from([None, 1.0, 2.0, 5.0, math.nan, math.inf]),
        st.sampled_from([None, "g", "mg", "kg", "C"]),
        st.sampled_from([None, "A:yes", "A:no", "K:some"]),
    ),
    max_size=80,
)
windows = st.tuples(st.one_of(st.none(), st.integers(-20, 20)), st.one_of(st.none(), st.integers(20, 40))).map(
    lambda ends: Window(*ends)
)
criteria = st.lists(
    st.builds(
        Criterion,
        st.sampled_from([("K:all",), ("K:some", "V:1")]),
        windows,
        st.integers(1, 2),
        st.sampled_from([None, 1.0]),
        st.sampled_from([None, 2000.0]),
        st.just("g"),
    ),
    max_size=1,
).map(tuple)
cohorts = st.builds(
    Cohort,
    index=st.sampled_from([("I:1",), ("K:all",)]),
    which=st.sampled_from(["first", "last", "every", "first eligible", "last eligible"]),
    gap=st.sampled_from([0, 0, 7]),
    descendants=st.booleans(),
    age_from=st.sampled_from([None, None, 20]),
    age_to=st.just(29),
    sexes=st.sampled_from([(), (), ("male", "unknown")]),
    date_from=st.sampled_from(["", "", "2009-12-20"]),
    date_to=st.just("2010-01-20"),
    prior_observation=st.sampled_from([None, None, 0, 10]),
    follow_up=st.sampled_from([None, None, 0, 10]),
    required=criteria,
    excluded=criteria,
    washout=st.sampled_from([(), (Criterion(("T:1",), Window(None, 0), 1, None, None, ""),)]),
    draws=st.just(()),
)


def column(name: str, kind: str, codes: tuple[str, ...], low: float | None, high: float | None, **said: Any) -> Column:
    levels, unit = said.get("levels", ()), said.get("unit", "")
    role = said.get("role", "feature")
    return Column(name, kind, role, unit, "", low, high, levels, said.get("required", False), None, codes)


def drawn(source: str, take: str, window: Window | None, answers: Any = (), outside: str = "missing") -> Any:
    return lambda name: Draw(name, source, take, window, "", answers, outside)


past, ahead = Window(-10, 0), Window(1, 30)
COLUMNS = [
    (column("age", "integer", (), 0, 120), drawn("age", "", None)),
    (column("sex", "category", (), None, None, levels=("female", "male")), drawn("sex", "", None)),
    (column("before", "integer", (), 0, 30), drawn("observed_before", "", None, outside="clip")),
    (column("any", "boolean", ("K:all",), 0, 1), drawn("codes", "any", past)),
    (column("count", "integer", ("K:all", "V:1"), 0, 50), drawn("codes", "count", Window(None, 0), outside="clip")),
    *(
        (column(take, "number", ("V:1", "K:all"), 0.5, 2000, unit="g"), drawn("codes", take, Window(-20, 0)))
        for take in ("first", "last", "min", "max", "mean")
    ),
    (
        column("reply", "category", ("A:q", "K:all"), None, None, levels=("no", "yes")),
        drawn("codes", "last", Window(None, 0), (("A:no",), ("A:yes", "K:all"))),
    ),
    (
        column("asked", "category", ("A:q",), None, None, levels=("not", "yes")),
        drawn("codes", "first", Window(None, 0), ((), ("A:yes",))),
    ),
    (column("target", "boolean", ("T:1",), 0, 1, role="target"), drawn("codes", "any", ahead)),
    (column("times", "integer", ("T:1",), 0, 50, role="target"), drawn("codes", "count", ahead)),
    (column("until", "integer", ("T:1",), 0, 30, role="target"), drawn("codes", "time", ahead, outside="clip")),
    (column("died", "boolean", (), 0, 1, role="target"), drawn("died", "any", ahead)),
    (column("alive", "integer", (), 0, 30, role="target"), drawn("died", "time", ahead, outside="clip")),
]


def whole(cohort: Cohort, required: str) -> Schema:
    columns = []
    for one, _ in COLUMNS:
        said = [one.name, one.kind, one.role, one.unit, "", one.low, one.high, one.levels, one.name == required, None]
        columns.append(Column(*said, one.codes))  # type: ignore[arg-type]
    draws = tuple(draw(one.name) for one, draw in COLUMNS)
    values = [getattr(cohort, name) for name in Cohort.__dataclass_fields__ if name != "draws"]  # type: ignore[attr-defined]
    return Schema("made up", tuple(columns), Cohort(*values, draws))


@settings(max_examples=10, deadline=None)
@given(people, happened, cohorts, st.sampled_from(["", "age", "last", "target"]), st.randoms(use_true_random=False))
def test_a_table_is_what_the_cohort_says_of_every_patient(
    who: list[Any], what: list[Any], cohort: Cohort, required: str, chance: Any
):
    schema = whole(cohort, required)
    what = [
        one | {"value": None} if one["value"] is not None and not math.isfinite(one["value"]) else one for one in what
    ]
    expected = model(who, what, schema)
    built = build(records(who, what), schema, where="here")
    rows = list(zip(built.table.labels["patient"].tolist(), built.table.labels[INDEX_DATE].tolist(), strict=True))
    assert rows == sorted(expected)
    wanted = np.array([[math.nan if x is None else x for x in expected[row]] for row in rows], dtype=np.float64)
    if rows:
        np.testing.assert_allclose(built.table.values.T, wanted, rtol=1e-12)
    assert (built.flow[-1].rows, built.flow[-1].patients) == (len(rows), len({name for name, _ in rows}))
    chance.shuffle(what)
    chance.shuffle(who)
    again = build(records(who, what), schema, where="here")
    assert again.table.record_bytes().tobytes() == built.table.record_bytes().tobytes()


# ---------------------------------------------------------------- single facts, written out

PLAIN = """
title = "t"
file = { format = "omop" }
cohort = { index = ["I:1"] COHORT }
column = [
  { name = "glucose", codes = ["LOINC:2345-7"], when = ["ever", 0], take = "last", unit = "mg/dL", range = [20, 600] },
  { name = "target", role = "target", codes = ["T:1"], when = [1, 30] } ]
"""


def made(who: Sequence[Any], what: Sequence[Any], cohort: str = "", *, also: tuple[str, str] = ("", "")) -> Built:
    text = PLAIN.replace("COHORT", cohort).replace(*also)
    return build(records(who, what), read_schema_file(text, where="s").public(), where="here")


def glucose(name: str, number: int, value: float, unit: str | None) -> dict[str, Any]:
    return event(name, "LOINC:2345-7", number, value=value, unit=unit)


def test_values_are_converted_and_what_cannot_be_is_missing_and_counted():
    who = [person(name) for name in ("a", "b", "c", "d")]
    what = [event(one["patient"], "I:1", 0) for one in who]
    what += [glucose("a", -3, 5.5, "mmol/L"), glucose("b", -1, 99, "mg/dL"), glucose("b", 0, 7, "furlong")]
    what += [glucose("c", 0, 90, None), glucose("d", 0, 9999, "mg/dL")]
    built = made(who, what)
    np.testing.assert_allclose(built.table.column("glucose"), [5.5 * 18.0156, 99, np.nan, np.nan])
    assert built.losses == (Loss("glucose", 2, 1, 0),)
    clipped = made(who, what, also=("range = [20, 600]", 'outside = "clip", range = [20, 600]'))
    assert clipped.table.column("glucose")[3] == 600


def test_an_event_that_a_source_writes_under_two_codes_counts_once():
    columns = ('take = "last", unit = "mg/dL"', 'take = "mean", unit = "mg/dL"')
    twin = event("a", "LOINC:14749-6", 0, value=100.0, unit="mg/dL")
    what = [event("a", "I:1", 0), glucose("a", 0, 100.0, "mg/dL"), twin, glucose("a", -1, 40.0, "mg/dL")]
    built = made([person("a")], what, also=('"LOINC:2345-7"', '"LOINC:2345-7", "LOINC:14749-6"'))
    assert built.table.column("glucose").tolist() == [100.0]
    text = PLAIN.replace("COHORT", "").replace(*columns).replace('"LOINC:2345-7"', '"LOINC:2345-7", "LOINC:14749-6"')
    mean = build(records([person("a")], what), read_schema_file(text, where="s").public(), where="here")
    assert mean.table.column("glucose").tolist() == [70.0]


def test_a_target_that_nobody_looked_for_to_the_end_is_missing_unless_it_came_or_the_patient_died():
    who = [person(name, observed_to=day(10)) for name in ("a", "b")]
    who += [person("c", observed_to=day(10), died=day(10)), person("d", observed_to=day(30)), person("e")]
    what = [event(one["patient"], "I:1", 0) for one in who] + [event("b", "T:1", 5)]
    assert made(who, what).table.column("target").tolist() == pytest.approx([np.nan, 1, 0, 0, 0], nan_ok=True)


def test_a_patient_with_several_index_events_stays_one_patient():
    what = [event(name, "I:1", number) for name, number in (("b", 30), ("a", 0), ("b", 0), ("b", 2))]
    table = made([person("a"), person("b")], what, ', which = "every", gap = 7').table
    assert table.labels["patient"].tolist() == ["a", "b", "b"]
    assert table.labels[INDEX_DATE].tolist() == ["2010-01-01", "2010-01-01", "2010-01-31"]
    assert patients(table).count == 2


def test_no_patient_is_no_error_here_and_the_flow_says_where_all_went():
    built = made([person("a", sex="male")], [event("a", "I:1", 0)], ', sex = ["female"]')
    assert built.table.rows == 0
    assert [(step.says, step.patients) for step in built.flow] == [
        ("patients in the records", 1),
        ("an index event is recorded", 1),
        ("the first index event", 1),
        ("the index date is neither before birth nor after death", 1),
        ("sex is female", 0),
    ]
    assert made([], []).table.rows == 0


def test_what_is_missing_of_the_program_or_the_memory_is_said(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(Unavailable, match="here: there is not enough memory"), short_of_memory("here"):
        raise duckdb.OutOfMemoryException("a value of a record")
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(Refused, match=r"pip install 'caduceus\[health\]'"):
        made([person("a")], [event("a", "I:1", 0)])


def test_nothing_of_a_record_can_be_written_to_a_disk_or_fetched_from_a_network(tmp_path: Path):
    (tmp_path / "other.csv").write_text("a\n1\n")
    with engine() as connection:
        for query in (
            f"copy (select 1) to '{tmp_path}/out.csv'",
            f"attach '{tmp_path}/out.duckdb'",
            f"select * from read_csv('{tmp_path}/other.csv')",
            "install httpfs",
            "set temp_directory = '/tmp'",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(query)
        assert connection.execute("select current_setting('temp_directory')").fetchone() == ("",)
