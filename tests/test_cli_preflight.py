"""A preflight from the job file to what a site learns of itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from caduceus.cli import app
from caduceus.cli.exits import REFUSED
from caduceus.data.schema import Column, Schema
from caduceus.errors import Refused
from caduceus.market.job_file import read_job_file
from caduceus.market.preflight import questions
from caduceus.market.preflight_file import preflight_text
from caduceus.market.queries_file import query_of
from small_federation import Small, write_small


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def said(result: Result) -> str:
    assert result.exit_code == 0, (result.output, result.stderr, result.exception)
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def flown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Small, Path]:
    """A preflight over three sites, of which East lacks most of its cholesterol."""
    folder = tmp_path_factory.mktemp("preflight")
    small = write_small(folder / "files")
    head, *rows = small.csv("East").read_text().splitlines()
    cells = [row.split(",") for row in rows]
    lost = [",".join((one[0], one[1], one[2] if i % 4 == 0 else "", one[3])) for i, one in enumerate(cells)]
    small.csv("East").write_text("\n".join((head, *lost, "")))
    small.terms.write_text('purposes = ["research"]\nepsilon = 20\nmissing = 0\n')
    job = small.folder / "preflight.toml"
    assert "3 columns" in said(call("preflight", "questions", small.job, "--out", job, "--epsilon", 8, "--bins", 8))
    job.write_text(job.read_text().replace("missing = 20", "missing = 0"))
    assert "passes" in said(call("run", job, small.federation, "--out", folder / "run"))
    return small, folder / "run"


def test_a_site_that_lacks_values_learns_it_and_the_others_that_it_is_not_they(flown: tuple[Small, Path]):
    small, run = flown
    east = said(call("preflight", "own", run, small.federation, "--site", "East"))
    assert "chol warn about 75 % without a value" in east
    north = said(call("preflight", "own", run, small.federation, "--site", "North"))
    assert "chol note about 10 % without a value" in north


def test_what_is_odd_in_all_sites_is_read_without_any_data(flown: tuple[Small, Path]):
    small, run = flown
    for path in (small.folder / "data").glob("*.csv"):
        path.rename(path.with_suffix(".away"))
    try:
        assert "Preflight: Death in a small clinic" in said(call("preflight", "compare", run))
    finally:
        for path in (small.folder / "data").glob("*.away"):
            path.rename(path.with_suffix(".csv"))


def test_a_run_without_a_preflight_is_refused(flown: tuple[Small, Path], tmp_path: Path):
    ran = call("preflight", "compare", flown[1], "--job", "other")
    assert ran.exit_code == REFUSED
    assert "no job 'other'; there are preflight" in ran.stderr
    assert call("preflight", "compare", tmp_path).exit_code == REFUSED


def test_a_file_that_is_there_is_not_written_over(flown: tuple[Small, Path]):
    small, _ = flown
    ran = call("preflight", "questions", small.job, "--out", small.job)
    assert ran.exit_code == REFUSED
    assert "there already" in ran.stderr


JOB = """
[job]
title = 'Says "hello" \\ to all'
purpose = "research"
schema = "s.toml"
[task]
target = "dead"
[model]
kind = "logistic"
[privacy]
epsilon = 1.0
delta = 1e-6
missing = 10
[sites]
min = 4
max = 9
[money]
price = 1_000
[deadlines]
enrol = "2h"
"""


def test_the_preflights_file_asks_the_questions_and_keeps_what_the_job_says():
    wide = Column("crea", "number", "feature", "mg/dL", "", 0.1, 50.0, (), False, None)
    schema = Schema("s", (wide, Column("dead", "boolean", "target", "", "", 0.0, 1.0, (), False, None)))
    analysis = questions(schema, bins=7)
    file = read_job_file(preflight_text(JOB, analysis, epsilon=0.25, where="job.toml"), where="preflight.toml")
    assert tuple(query_of(one) for one in file.query) == analysis.queries
    assert file.job.title == 'Preflight: Says "hello" \\ to all'
    assert file.privacy is not None
    assert (file.privacy.epsilon, file.privacy.delta, file.privacy.missing) == (0.25, 1e-6, 10)
    assert (file.sites.min, file.sites.max, file.money.price, file.deadlines.enrol) == (4, 9, 1000, "2h")
    with pytest.raises(Refused, match=r"job.toml: "):
        preflight_text("[job", analysis, epsilon=0.25, where="job.toml")
