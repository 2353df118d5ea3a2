"""Sites whose tables are made of clinical records: splits, sites with a source each, the examples, and a whole job."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import numpy as np
import pytest

from caduceus.data.patients import patients
from caduceus.data.table import check_values
from caduceus.edges.cohort_sources import shown
from caduceus.edges.federation import EXAMPLES, example, open_federation, read_cohorts, read_site, read_sites
from caduceus.errors import Refused
from command import caduceus

SCHEMA = """
title = "t"
file = { format = "omop" }
cohort = { index = ["SNOMED:1"], which = "every" }
column = [ { name = "sex", from = "sex" }, { name = "ill", role = "target", codes = ["SNOMED:2"], when = [1, 30] } ]
"""


def hospital(folder: Path, *, first: int, count: int) -> None:
    """A small OMOP database: every person has two index events, and every other one falls ill after the second."""
    folder.mkdir(parents=True)
    people = range(first, first + count)
    sexes = "".join(f"{one},{8507 if one % 2 else 8532},19{40 + one % 50}\n" for one in people)
    (folder / "person.csv").write_text(f"person_id,gender_concept_id,year_of_birth\n{sexes}")
    (folder / "concept.csv").write_text("concept_id,vocabulary_id,concept_code\n11,SNOMED,1\n12,SNOMED,2\n")
    seen = [(one, 11, f"20{10 + year}-06-01") for one in people for year in (0, 1)]
    seen += [(one, 12, "2011-06-20") for one in people if one % 2]
    rows = "".join(f"{','.join(map(str, one))}\n" for one in seen)
    (folder / "condition_occurrence.csv").write_text(f"person_id,condition_concept_id,condition_start_date\n{rows}")


def federation(folder: Path, tail: str, *, schema: str = SCHEMA) -> Path:
    (folder / "schema.toml").write_text(schema)
    (folder / "federation.toml").write_text(f'[federation]\ntitle = "t"\nschema = "schema.toml"\n{tail}')
    return folder / "federation.toml"


def test_patients_are_split_into_blocks_and_keep_their_rows_together(tmp_path: Path):
    hospital(tmp_path / "all", first=1, count=11)
    opened = open_federation(federation(tmp_path, 'data = "all"\nsplit = { names = ["A", "B", "C"] }\n'))
    sites = read_sites(opened, data_root=tmp_path)
    assert [(site.name, site.table.rows, patients(site.table).count) for site in sites] == [
        ("A", 8, 4),
        ("B", 8, 4),
        ("C", 6, 3),
    ]
    everybody = [name for site in sites for name in sorted(set(site.table.labels["patient"].tolist()))]
    assert everybody == sorted(everybody)
    assert len(set(everybody)) == 11
    alone = read_site(opened, "B", data_root=tmp_path)
    assert alone.table.record_bytes().tobytes() == sites[1].table.record_bytes().tobytes()
    ((title, built),) = read_cohorts(opened, data_root=tmp_path)
    assert (title, built.table.rows, built.flow[-1].patients) == ("t", 22, 11)


def test_every_site_has_a_source_of_its_own_and_touches_no_other(tmp_path: Path):
    hospital(tmp_path / "data" / "ash", first=1, count=4)
    tail = 'data = "data"\n[[site]]\nname = "Ash"\nfile = "ash"\n[[site]]\nname = "Birch"\nfile = "birch"\n'
    opened = open_federation(federation(tmp_path, tail))
    assert read_site(opened, "Ash", data_root=tmp_path).table.column("ill").tolist() == [0, 1, 0, 0, 0, 1, 0, 0]
    assert [name for name, _ in read_cohorts(opened, data_root=tmp_path, site="Ash")] == ["Ash"]
    with pytest.raises(Refused, match="birch: no such folder"):
        read_sites(opened, data_root=tmp_path)
    with pytest.raises(Refused, match="no site 'Ahs'; did you mean 'Ash'"):
        read_cohorts(opened, data_root=tmp_path, site="Ahs")


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        ('data = "all"\nsplit = { names = ["A", "B", "C", "D", "E"] }\n', "all: has fewer patients than the split has"),
        ('data = "all"\nsplit = { column = "patient" }\n', "'patient' is no column with role 'site'"),
        ('data = "all"\nsplit = { names = ["A"], min_rows = 2 }\n', "belong to a split by 'column'"),
        ('data = "all"\nsplit = { prefix = "A" }\n', "either a 'column' or 'sizes', or only the 'names'"),
        ('data = "mysql://h/cdm"\nsplit = { names = ["A"] }\n', "'mysql://' is no place for an OMOP database"),
        ('data = "postgresql://h/cdm"\n[[site]]\nname = "A"\nfile = "a"\n', "a database holds clinical records of one"),
    ],
)
def test_a_source_that_cannot_be_read_or_split_is_refused(tmp_path: Path, tail: str, message: str):
    hospital(tmp_path / "all", first=1, count=4)
    with pytest.raises(Refused, match=message):
        read_sites(open_federation(federation(tmp_path, tail)), data_root=tmp_path)


def test_a_database_is_no_table_and_a_table_no_cohort(tmp_path: Path):
    plain = 'title = "t"\ncolumn = [{ name = "a", kind = "boolean" }]\n'
    opened = open_federation(
        federation(tmp_path, 'data = "postgresql://h/d"\nsplit = { names = ["A"] }\n', schema=plain)
    )
    with pytest.raises(Refused, match="a database holds clinical records"):
        read_sites(opened, data_root=tmp_path)
    with pytest.raises(Refused, match="its tables are read from files; a cohort is made of FHIR or OMOP records"):
        read_cohorts(opened, data_root=tmp_path)
    fhir = open_federation(
        federation(
            tmp_path, 'data = "postgresql://h/d"\nsplit = { names = ["A"] }\n', schema=SCHEMA.replace("omop", "fhir")
        )
    )
    with pytest.raises(Refused, match="postgresql://h/d: FHIR resources are read from files"):
        read_sites(fhir, data_root=tmp_path)
    assert shown("postgresql://me@h:5432/d?sslmode=require") == "postgresql://h/d"


SAME = """
title = "t"
file = { format = "omop" }
cohort = { index = ["SNOMED:44054006"] }
column = [
  { name = "age", from = "age" }, { name = "sex", from = "sex" },
  { name = "glucose", codes = ["LOINC:2345-7"], when = [-30, 0], take = "last", unit = "mg/dL", range = [20, 600] },
  { name = "died", role = "target", from = "died", when = [1, 365] } ]
"""


def as_omop(folder: Path) -> None:
    folder.mkdir()
    (folder / "person.csv").write_text(
        "person_id,gender_concept_id,year_of_birth,month_of_birth,day_of_birth\n1,8507,1950,3,4\n2,8532,1960,5,6\n"
    )
    (folder / "concept.csv").write_text(
        "concept_id,vocabulary_id,concept_code\n1,SNOMED,44054006\n2,LOINC,2345-7\n3,UCUM,mmol/L\n4,UCUM,mg/dL\n"
    )
    (folder / "condition_occurrence.csv").write_text(
        "person_id,condition_concept_id,condition_start_date\n1,1,2010-02-01\n2,1,2011-02-01\n"
    )
    (folder / "measurement.csv").write_text(
        "person_id,measurement_concept_id,measurement_date,value_as_number,unit_concept_id\n"
        "1,2,2010-01-20,5.5,3\n1,2,2010-01-21,6.5,3\n2,2,2011-01-30,110,4\n"
    )
    (folder / "observation_period.csv").write_text(
        "person_id,observation_period_start_date,observation_period_end_date\n"
        "1,2009-01-01,2012-06-01\n2,2009-01-01,2011-12-01\n"
    )
    (folder / "death.csv").write_text("person_id,death_date\n2,2011-12-01\n")


def as_fhir(folder: Path) -> None:
    folder.mkdir()
    loinc, snomed = "http://loinc.org", "http://snomed.info/sct"

    def write(kind: str, rows: list[dict[str, object]]) -> None:
        (folder / f"{kind}.ndjson").write_text("".join(json.dumps({"resourceType": kind} | row) + "\n" for row in rows))

    def of(kind: str, whose: str, system: str, code: str) -> dict[str, object]:
        return {"code": {"coding": [{"system": system, "code": code}]}, "subject": {"reference": f"Patient/{whose}"}}

    write(
        "Patient",
        [
            {"id": "1", "gender": "male", "birthDate": "1950-03-04"},
            {"id": "2", "gender": "female", "birthDate": "1960-05-06", "deceasedDateTime": "2011-12-01"},
        ],
    )
    seen = (("1", "2009-01-01"), ("1", "2012-06-01"), ("2", "2009-01-01"), ("2", "2011-12-01"))
    write(
        "Encounter",
        [
            {"id": f"e{at}", "status": "finished", "class": {"code": "AMB"}, "period": {"start": day, "end": day}}
            | {"subject": {"reference": f"Patient/{one}"}}
            for at, (one, day) in enumerate(seen)
        ],
    )
    dates = (("1", "2010-02-01"), ("2", "2011-02-01"))
    write(
        "Condition",
        [{"id": f"c{one}"} | of("Condition", one, snomed, "44054006") | {"onsetDateTime": day} for one, day in dates],
    )
    values = (("1", "2010-01-20", 5.5, "mmol/L"), ("1", "2010-01-21", 6.5, "mmol/L"), ("2", "2011-01-30", 110, "mg/dL"))
    write(
        "Observation",
        [
            {"id": f"o{at}", "status": "final", "effectiveDateTime": day}
            | of("Observation", one, loinc, "2345-7")
            | {"valueQuantity": {"value": value, "system": "http://unitsofmeasure.org", "code": unit, "unit": unit}}
            for at, (one, day, value, unit) in enumerate(values)
        ],
    )


def test_a_hospital_with_fhir_and_one_with_omop_make_the_same_table_of_the_same_patients(tmp_path: Path):
    tables = []
    for form, write in (("omop", as_omop), ("fhir", as_fhir)):
        write(tmp_path / form)
        tail = f'data = "."\n[[site]]\nname = "A"\nfile = "{form}"\n'
        path = federation(tmp_path, tail, schema=SAME.replace("omop", form))
        tables.append(read_site(open_federation(path), "A", data_root=tmp_path).table)
    one, other = tables
    assert one.schema.digest() == other.schema.digest()
    np.testing.assert_allclose(one.values, [[59, 50], [1, 0], [6.5 * 18.0156, 110], [0, 1]], rtol=1e-12)
    assert one.record_bytes().tobytes() == other.record_bytes().tobytes()
    assert one.labels["index_date"].tolist() == other.labels["index_date"].tolist() == ["2010-02-01", "2011-02-01"]


# ---------------------------------------------------------------- the examples on the shared data sets


@pytest.mark.parametrize("name", ["gibleed", "fhir_hiv"])
def test_the_cohorts_of_the_examples_fit_in_ten_lines(name: str):
    assert len((EXAMPLES / name / "schema.toml").read_text().strip().splitlines()) <= 10


@pytest.mark.data
def test_gibleed_holds_what_the_database_says(clinical_data: Path):
    sites = read_sites(open_federation(example("gibleed")), data_root=clinical_data)
    assert [site.table.rows for site in sites] == [511, 510, 510, 510, 510]
    for site in sites:
        check_values(site.table, site.name)
    at = clinical_data / "omop_gibleed"
    drugs = "drug_exposure_start_date as day, drug_concept_id as drug"
    query = f"""
        with first as (
            select person_id, min(day) as day, min_by(drug, day) as drug from (
                select person_id, {drugs} from '{at}/drug_exposure.parquet' where drug_concept_id in (1118084, 1124300)
            ) group by person_id
        )
        select cast(cast(person_id as bigint) as varchar) as patient, cast(day as varchar),
            date_sub('year', cast(birth_datetime as date), day), gender_concept_id = 8507, drug = 1118084,
            exists (
                select 1 from '{at}/condition_occurrence.parquet' c where c.person_id = first.person_id
                and condition_concept_id = 192671 and condition_start_date between day + 1 and day + 365
            )
        from first join '{at}/person.parquet' p using (person_id)
        join '{at}/observation_period.parquet' o using (person_id)
        where observation_period_start_date <= day - 365 and observation_period_end_date >= day + 365 order by 1
    """
    expected = [tuple(row) for row in duckdb.sql(query).fetchall()]
    made = [
        (*labels, *(int(one) for one in values))
        for site in sites
        for labels, values in zip(
            zip(site.table.labels["patient"].tolist(), site.table.labels["index_date"].tolist(), strict=True),
            zip(*(site.table.column(name) for name in ("age", "sex", "celecoxib", "bleeding")), strict=True),
            strict=True,
        )
    ]
    assert made == expected
    assert sum(row[-1] for row in made) == 452


@pytest.mark.data
def test_fhir_hiv_has_a_row_per_visit_and_keeps_patients_together(clinical_data: Path):
    sites = read_sites(open_federation(example("fhir_hiv")), data_root=clinical_data)
    assert [patients(site.table).count for site in sites] == [26, 26, 26]
    assert sum(site.table.rows for site in sites) == 264
    assert len({name for site in sites for name in site.table.labels["patient"].tolist()}) == 78
    for site in sites:
        check_values(site.table, site.name)


@pytest.mark.data
def test_five_hospitals_train_on_an_omop_database_are_paid_and_audited(clinical_data: Path, tmp_path: Path):
    ran = caduceus("run", "gibleed", "gibleed", "--data", clinical_data, "--out", "run", "--no-report", at=tmp_path)
    assert (ran.code, ran.err) == (0, ran.err)
    audit = caduceus("audit", "run", at=tmp_path)
    assert audit.code == 0
    assert "passes" in audit.out
    shown_ = caduceus("cohort", "gibleed", "--data", clinical_data, at=tmp_path)
    assert shown_.code == 0
    assert "2,551" in shown_.out
    assert "whether there is SNOMED:74474003 from day 1" in shown_.out
