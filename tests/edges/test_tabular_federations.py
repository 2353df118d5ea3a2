"""Federation files and their sites, and the three federations that come with the package on the real data."""

from __future__ import annotations

import csv
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from caduceus.data.schema import CATEGORY
from caduceus.data.table import Table, check_values
from caduceus.edges.federation import DATA_ROOT, EXAMPLES, example, locate, open_federation, read_site, read_sites
from caduceus.errors import Refused
from caduceus.kinds import Floats

SCHEMA = """
title = "Small"
[[column]]
name = "ward"
role = "site"
[[column]]
name = "age"
kind = "number"
range = [0, 120]
[[column]]
name = "dead"
kind = "boolean"
role = "target"
"""
ROWS = "ward,age,dead\nA,50,1\nA,60,0\nB,70,1\nB,80,0\nB,90,0\n"


def write(folder: Path, tail: str, *, rows: str = ROWS, schema: str = SCHEMA) -> Path:
    (folder / "wards.csv").write_text(rows)
    (folder / "schema.toml").write_text(schema)
    head = '[federation]\ntitle = "t"\nschema = "schema.toml"\n'
    (folder / "federation.toml").write_text(head + tail)
    return folder / "federation.toml"


SPLIT = 'data = "wards.csv"\nsplit = { column = "ward", prefix = "Ward " }\n'


def test_one_file_is_split_into_sites(tmp_path: Path):
    sites = read_sites(open_federation(write(tmp_path, SPLIT)), data_root=tmp_path)
    assert [(site.name, site.table.column("age").tolist()) for site in sites] == [
        ("Ward A", [50, 60]),
        ("Ward B", [70, 80, 90]),
    ]


def test_every_site_may_have_its_own_file(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(ROWS)
    tail = 'data = "."\n[[site]]\nname = "A"\nfile = "a.csv"\n[[site]]\nname = "B"\nfile = "b.csv"\n'
    sites = read_sites(open_federation(write(tmp_path, tail)), data_root=tmp_path)
    assert [(site.name, site.table.rows) for site in sites] == [("A", 5), ("B", 5)]


def test_one_site_is_read_without_touching_the_files_of_others(tmp_path: Path):
    (tmp_path / "a.csv").write_text(ROWS)
    tail = 'data = "."\n[[site]]\nname = "A"\nfile = "a.csv"\n[[site]]\nname = "B"\nfile = "absent.csv"\n'
    federation = open_federation(write(tmp_path, tail))
    assert read_site(federation, "A", data_root=tmp_path).table.rows == 5
    with pytest.raises(Refused, match=r"absent.csv: no such file"):
        read_site(federation, "B", data_root=tmp_path)
    with pytest.raises(Refused, match=r"federation.toml: no site 'a'; known: A, B"):
        read_site(federation, "a", data_root=tmp_path)


def test_one_site_of_a_split_is_read_by_its_name(tmp_path: Path):
    federation = open_federation(write(tmp_path, SPLIT))
    assert read_site(federation, "Ward B", data_root=tmp_path).table.column("age").tolist() == [70, 80, 90]
    with pytest.raises(Refused, match="no site 'Ward C'; did you mean 'Ward "):
        read_site(federation, "Ward C", data_root=tmp_path)


def test_a_folder_stands_for_the_federation_in_it(tmp_path: Path):
    path = write(tmp_path, SPLIT)
    assert open_federation(tmp_path).path == path


def test_the_data_root_is_an_option_or_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    federation = open_federation(write(tmp_path, SPLIT))
    monkeypatch.delenv(DATA_ROOT, raising=False)
    with pytest.raises(Refused, match=f"no.* data root|none is given; set {DATA_ROOT}"):
        read_sites(federation)
    monkeypatch.setenv(DATA_ROOT, str(tmp_path))
    assert len(read_sites(federation)) == 2
    with pytest.raises(Refused, match="no such folder"):
        read_sites(federation, data_root=tmp_path / "absent")
    monkeypatch.delenv(DATA_ROOT)
    absolute = write(tmp_path, SPLIT.replace("wards.csv", str(tmp_path / "wards.csv")))
    assert len(read_sites(open_federation(absolute))) == 2


@pytest.mark.parametrize(
    ("tail", "rows", "message"),
    [
        (SPLIT, ROWS.replace("A,60,0", "A,60,1"), "site 'Ward A': column 'dead' .* same value in every row"),
        (SPLIT, ROWS.replace("A,60,0", "A,x,0"), r"wards.csv: row 2, column 'age': not a number"),
        (SPLIT, "ward,age,dead\n", r"wards.csv: no site of column 'ward'"),
        (SPLIT.replace('"ward"', '"age"'), ROWS, "'age' is no column with role 'site'"),
        (SPLIT.replace("wards.csv", "absent.csv"), ROWS, r"absent.csv: no such file"),
        ('data = "."\n[[site]]\nname = "A"\nfile = "absent.csv"\n', ROWS, r"absent.csv: no such file"),
        ('data = "."\n[[site]]\nname = "A"\nfile = "wards.csv"\n', "ward,age,dead\n", "site 'A': no rows"),
        (SPLIT + "seed = 1\n", ROWS, r"federation.toml: federation: unknown key 'seed'"),
        ('data = "sklearn:absent"\nsplit = { sizes = [1], names = ["A"] }\n', ROWS, "has no such data set"),
    ],
)
def test_a_federation_that_cannot_be_read_is_refused(tmp_path: Path, tail: str, rows: str, message: str):
    with pytest.raises(Refused, match=message):
        read_sites(open_federation(write(tmp_path, tail, rows=rows)), data_root=tmp_path)


def test_an_empty_site_is_refused_even_if_its_schema_has_no_target(tmp_path: Path):
    tail = 'data = "."\n[[site]]\nname = "A"\nfile = "wards.csv"\n'
    path = write(tmp_path, tail, rows="ward,age,dead\n", schema=SCHEMA.replace('role = "target"', ""))
    with pytest.raises(Refused, match="site 'A': no rows"):
        read_sites(open_federation(path), data_root=tmp_path)


def test_only_the_target_of_the_job_needs_to_vary(tmp_path: Path):
    schema = SCHEMA + '[[column]]\nname = "ill"\nkind = "boolean"\nrole = "target"\n'
    rows = "\n".join(line + (",ill" if i == 0 else ",1") for i, line in enumerate(ROWS.strip().split("\n")))
    federation = open_federation(write(tmp_path, SPLIT, rows=rows, schema=schema))
    assert len(read_sites(federation, data_root=tmp_path, target="dead")) == 2
    with pytest.raises(Refused, match="column 'ill'"):
        read_sites(federation, data_root=tmp_path)
    with pytest.raises(Refused, match="no column 'deat'; did you mean 'dead'"):
        read_sites(federation, data_root=tmp_path, target="deat")


def test_the_built_in_source_says_what_to_install_when_it_is_absent(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Refused, match=r"pip install 'caduceus\[demo\]'"):
        locate("sklearn:breast_cancer", None)


def test_an_unknown_example_names_those_that_exist():
    with pytest.raises(Refused, match=r"breast/federation.toml, .*heart/federation.toml, stroke/"):
        example("lung")


def test_reading_the_built_in_source_imports_neither_scikit_learn_nor_torch():
    # pyarrow imports pandas by itself, where it is installed
    program = (
        "import sys; from caduceus.edges.federation import *; read_sites(open_federation(example('breast')));"
        "print([name for name in ('sklearn', 'torch', 'scipy', 'web3') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------- the federations of the package


def indicators(table: Table) -> dict[str, Floats]:
    """The columns, each category as one indicator per level that is not the reference."""
    made: dict[str, Floats] = {}
    for column in table.schema.columns:
        values = table.column(column.name)
        if column.kind != CATEGORY:
            made[column.name] = values
        for i, level in enumerate(column.levels[1:], 1):
            made[f"{column.name}={level}"] = np.where(np.isnan(values), np.nan, values == i)
    return made


@pytest.mark.parametrize(
    "path", sorted(EXAMPLES.glob("*/federation*.toml")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_every_federation_of_the_package_names_its_origin_and_describes_its_columns(path: Path):
    federation = open_federation(path)
    about = federation.file.federation
    assert about.licence
    assert about.citation
    assert len(federation.public_schema.targets) >= 1
    assert all(column.range for column in federation.public_schema.columns if column.kind != CATEGORY)


@pytest.mark.parametrize(("file", "sites"), [("federation.toml", 5), ("federation-10.toml", 10)])
def test_breast_holds_what_scikit_learn_loads(file: str, sites: int):
    from sklearn.datasets import load_breast_cancer  # imported here: it takes a second

    bundle = load_breast_cancer()
    tables = [site.table for site in read_sites(open_federation(example("breast", file=file)))]
    assert len(tables) == sites
    assert sum(table.rows for table in tables) == 569
    schema = tables[0].schema
    assert schema.names[:-1] == tuple(
        str(name).replace(" error", "").replace("mean ", "").replace("worst ", "").replace(" ", "_")
        + ("_mean" if "mean" in name else "_worst" if "worst" in name else "_error")
        for name in bundle.feature_names
    )
    np.testing.assert_array_equal(np.hstack([table.values[:-1] for table in tables]).T, bundle.data)
    malignant = list(bundle.target_names).index("malignant")
    np.testing.assert_array_equal(
        np.hstack([table.column("malignant") for table in tables]), bundle.target == malignant
    )


@pytest.mark.data
def test_heart_holds_what_the_four_hospitals_wrote(clinical_data: Path):
    federation = open_federation(example("heart"))
    sites = read_sites(federation, data_root=clinical_data)
    assert [site.table.rows for site in sites] == [303, 294, 123, 200]
    names = ("age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak")
    for entry, site in zip(federation.file.site, sites, strict=True):
        with (clinical_data / "uci_heart_disease" / entry.file).open() as file:
            rows = list(csv.reader(file))
        raw = np.array([[np.nan if field == "?" else float(field) for field in row] for row in rows]).T
        for name in ("trestbps", "chol"):
            raw[names.index(name)][raw[names.index(name)] == 0] = np.nan
        raw[2] -= 1  # chest pain types are counted from 1
        np.testing.assert_array_equal(site.table.values[:10], raw[:10])
        np.testing.assert_array_equal(site.table.column("disease"), raw[13] > 0)
        check_values(site.table, site.name)
    assert np.isnan(sites[2].table.column("chol")).all()


@pytest.mark.data
def test_stroke_gives_the_37_baseline_features_exactly(clinical_data: Path):
    raw = pyarrow.parquet.read_table(clinical_data / "ist_stroke" / "ist.parquet")

    def text(name: str) -> np.ndarray:
        return np.array([one.strip() for one in raw[name].to_pylist()])

    def number(name: str) -> Floats:
        return raw[name].to_numpy().astype(np.float64)

    expected = {"age": number("AGE"), "sbp": number("RSBP"), "delay": number("RDELAY"), "female": text("SEX") == "F"}
    expected |= {f"consciousness={v}": text("RCONSC") == c for v, c in (("drowsy", "D"), ("unconscious", "U"))}
    expected["on_waking"] = text("RSLEEP") == "Y"
    expected |= {f"atrial_fibrillation={v}": text("RATRIAL") == c for v, c in (("yes", "Y"), ("not recorded", ""))}
    expected |= {"ct": text("RCT") == "Y", "infarct_visible": text("RVISINF") == "Y"}
    deficits = ("deficit_face", "deficit_arm", "deficit_leg", "dysphasia", "hemianopia", "visuospatial", "brainstem")
    for i, name in enumerate((*deficits, "deficit_other"), 1):
        expected |= {f"{name}={v}": text(f"RDEF{i}") == c for v, c in (("yes", "Y"), ("cannot be assessed", "C"))}
    expected |= {f"subtype={v}": text("STYPE") == v for v in ("TACS", "PACS", "POCS", "LACS")}
    expected["aspirin"] = text("RXASP") == "Y"
    expected |= {f"heparin={v}": text("RXHEP") == c for v, c in (("low", "L"), ("medium", "M"), ("high", "H"))}
    expected["age2"] = (number("AGE") - 70) ** 2 / 100
    expected["sbp2"] = (number("RSBP") - 160) ** 2 / 1000
    assert len(expected) == 37

    federation = open_federation(example("stroke"))
    sites = read_sites(federation, data_root=clinical_data)
    hospital = raw["HOSPNUM"].to_numpy()
    counted = dict(zip(*np.unique(hospital, return_counts=True), strict=True))
    large = [number for number, rows in counted.items() if rows >= 100]
    assert [site.name for site in sites] == [f"Hospital {number}" for number in large]
    assert len(sites) == 49
    for number_, site in zip(large, sites, strict=True):
        here = hospital == number_
        made = indicators(site.table)
        assert set(made) == set(expected) | set(federation.public_schema.targets)
        for name, values in expected.items():
            np.testing.assert_array_equal(made[name], values[here].astype(np.float64), err_msg=name)
        np.testing.assert_array_equal(site.table.column("death_14_days"), number("ID14")[here])
        code = number("OCCODE")[here]
        known = np.isin(code, [1, 2, 3, 4])
        np.testing.assert_array_equal(
            site.table.column("dead_or_dependent_6_months"), np.where(known, code <= 2, np.nan)
        )
        check_values(site.table, site.name)


@pytest.mark.data
def test_stroke_by_country_keeps_every_patient(clinical_data: Path):
    sites = read_sites(open_federation(example("stroke", file="federation-countries.toml")), data_root=clinical_data)
    assert len(sites) == 19
    assert sites[-1].name == "Other countries"
    assert sum(site.table.rows for site in sites) == 19_435
    assert min(site.table.rows for site in sites) >= 150
