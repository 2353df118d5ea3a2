"""What the command line says about plans for secure aggregation."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner, Result

from caduceus.cli import app
from caduceus.cli.exits import REFUSED
from caduceus.cli.planning import SIZES
from caduceus.cli.tables import whole
from caduceus.protocol.secagg_plan import A_THIRD, Assumptions, default_assumptions, plan


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["secagg", "plan", *(str(one) for one in arguments)])


def test_without_a_number_of_sites_a_row_of_sizes_is_planned_as_usual():
    result = call()
    assert result.exit_code == 0, result.stderr
    for sites in SIZES:
        chosen = plan(sites, default_assumptions(sites))
        for number in (chosen.sites, chosen.degree, chosen.committee, chosen.threshold):
            assert whole(number) in result.stdout
    assert max(len(line) for line in result.stdout.splitlines()) <= 80


def test_the_assumptions_that_are_said_are_the_ones_planned_for():
    result = call(
        "--sites", 1000, "--corrupt", 0.1, "--dropout", 0.05, "--security", 30, "--correctness", 25, "--no-adaptive"
    )
    assert result.exit_code == 0, result.stderr
    chosen = plan(1000, Assumptions(100, 50, 30, 25, False))
    for said in (
        "100 lie",
        "50 silent",
        f"{chosen.degree}",
        f"{chosen.committee}",
        f"{chosen.threshold} open",
        "(at most 2^-30)",
        "2^-25)",
        "on a ring",
    ):
        assert said in result.stdout


@pytest.mark.parametrize("third", ["0.333", "0.3333", "0.33333333"])
def test_a_third_as_people_write_it_is_the_third_that_a_threshold_bears(third):
    result = call("--sites", 300, "--corrupt", third, "--dropout", 0.1)
    assert result.exit_code == 0, result.stderr
    assert f"{Assumptions(A_THIRD, 100, 40, 20, True).corrupt(300)} lie" in result.stdout


@pytest.mark.parametrize(
    ("why", "arguments"),
    [
        ("more than a third", ("--sites", 10, "--corrupt", 0.4)),
        ("at most 3 can be spared", ("--sites", 10, "--dropout", 0.5)),
        ("fewer than 3", ("--sites", 2)),
        ("fewer than 3", ("--sites", -5)),
        ("bits", ("--security", 0, "--sites", 10)),
    ],
)
def test_where_there_is_no_plan_one_line_says_what_to_change(why, arguments):
    result = call(*arguments)
    assert result.exit_code == REFUSED
    assert why in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not result.stdout


def test_in_a_row_the_sizes_without_a_plan_say_so_and_the_others_are_shown():
    result = call("--dropout", 0.34)
    assert result.exit_code == 0
    assert "34 of 100 sites silent" in result.stdout
    assert "16 silent" in result.stdout
    assert result.stdout.count("–") >= 4 * 6


def test_a_share_that_is_none_is_refused():
    assert call("--sites", 10, "--corrupt", 1.5).exit_code == REFUSED
