"""What the command line says about privacy: its plan, and what is left of budgets."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from caduceus.cli import app
from caduceus.cli.budget import Charge, add_up
from caduceus.cli.exits import REFUSED
from caduceus.cli.privacy import MOST_ROWS
from caduceus.cli.privacy_words import bar, interval
from caduceus.errors import Refused
from caduceus.kinds import JobId
from caduceus.ports import BudgetMove
from caduceus.privacy import accountant
from caduceus.wiring.privacy_plan import LOGISTIC, Shape, plan
from small_federation import Small, write_small

QUICK = ("--rows", 400, "--sites", 4, "--features", 4, "--rate", 0.3, "--seeds", 2)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["privacy", *(str(one) for one in arguments)])


def said(result: Result) -> str:
    assert result.exit_code == 0, result.stderr
    return " ".join(result.stdout.split())


def test_the_plan_says_noise_price_and_cost():
    result = call("plan", *QUICK)
    words = said(result)
    for expected in (
        "400 patients, 4 sites, 4 columns, 5 noisy sums",
        "within a factor of 2.72",
        "1 000 000 micro of epsilon and 10 000 000 pico of delta",
        "budget of epsilon 3 and delta 3e-05 bears 3 such jobs",
        "no noise",
        "mean of 2 runs from seed 0",
        "kind = 'logistic' and [privacy] epsilon = 1, delta = 1e-05, missing = 20",
    ):
        assert expected in words
    assert max(len(line) for line in result.stdout.splitlines()) <= 80
    assert "\n" in result.stderr  # progress is told apart from the result


def test_the_figures_are_those_of_the_job():
    told = json.loads(said(call("plan", *QUICK, "--epsilon", 0.5, "--missing", 50, "--budget", 1.6, "--json")))
    one = plan(Shape(LOGISTIC, 1e-5, 400, 4, 50, 4, 0.3), 0.5)
    assert told["epsilon_micro"] == 500_000
    assert told["jobs"] == 3
    assert told["noisy_sites"] == 2
    assert [line["epsilon_micro"] for line in told["sums"]] == list(accountant.table(one.privacy.spending, 10**7)[1:])
    first = told["sums"][0]
    assert first["multiplier"] == one.privacy.spending.event(0).multiplier
    assert first["deviation_in_patients"] == first["deviation"]  # of the number of patients itself
    assert told["epsilon_with_all_sites"] < 0.4
    ladder = told["simulation"]["ladder"]
    assert [line["epsilon_micro"] for line in ladder] == [100_000, 300_000, 500_000, 1_000_000, 3_000_000, 8_000_000]
    assert all(a["multiplier"] > b["multiplier"] for a, b in pairwise(ladder))
    for line in ladder:
        assert line["loss"] == pytest.approx(told["simulation"]["auroc_without_noise"] - line["auroc"])
        assert line["loss_95"][0] <= line["loss"] <= line["loss_95"][1]


def test_the_same_seed_says_the_same_and_another_seed_something_else():
    once, again, other = (call("plan", *QUICK, "--seed", seed, "--json") for seed in (1, 1, 2))
    assert once.stdout == again.stdout
    assert json.loads(once.stdout)["simulation"] != json.loads(other.stdout)["simulation"]


def test_noise_is_turned_into_epsilon():
    told = json.loads(said(call("plan", *QUICK, "--noise", 6, "--seeds", 0, "--json")))
    assert told["multiplier"] == pytest.approx(6, rel=1e-5)
    assert told["epsilon_micro"] / 1e6 == pytest.approx(0.594499, abs=2e-6)
    assert "simulation" not in told


def test_an_epsilon_near_one_of_the_row_stands_in_its_place():
    told = json.loads(said(call("plan", *QUICK, "--epsilon", 0.99, "--json")))
    assert [line["epsilon_micro"] for line in told["simulation"]["ladder"]] == [
        *(100_000, 300_000, 990_000, 3_000_000, 8_000_000)
    ]


def test_without_runs_only_noise_and_price_are_said():
    words = said(call("plan", "--seeds", 0))
    assert "Noise of each sum" in words
    assert "AUROC" not in words


def test_if_no_noise_may_be_missing_none_is_spare():
    words = said(call("plan", *QUICK, "--missing", 0, "--seeds", 0))
    assert "none may be missing from a sum" in words


def test_more_patients_than_are_made_up_are_admitted_to():
    result = call("plan", "--rows", MOST_ROWS + 5, "--features", 2, "--seeds", 1)
    assert f"Played with 30 000 of the {MOST_ROWS + 5:,} patients".replace(",", " ") in said(result)


def test_sampled_steps_are_planned_and_long_lists_are_shortened():
    words = said(call("plan", *QUICK, "--model", "dp-sgd", "--rounds", 12, "--sampling", 0.5, "--seeds", 0))
    assert "13 noisy sums" in words
    assert "about 200 are in a step" in words
    assert words.count("…") == 4


def test_the_curve_is_a_drawing_of_the_same_figures(tmp_path):
    target = tmp_path / "cost.svg"
    told = json.loads(said(call("plan", *QUICK, "--curve", target, "--json")))
    desc = ElementTree.parse(target).getroot().find("{http://www.w3.org/2000/svg}desc").text
    for line in told["simulation"]["ladder"]:
        assert f"noise {line['multiplier']:.3g}" in desc
        assert f"AUROC {line['auroc']:.3f}".replace("0.", ".") in desc


@pytest.mark.parametrize(
    ("option", "arguments"),
    [
        ("--epsilon, --noise", ("--epsilon", 1, "--noise", 2)),
        ("--epsilon", ("--epsilon", 0)),
        ("--epsilon", ("--epsilon", "nan")),
        ("--epsilon", ("--epsilon", 101)),
        ("--noise", ("--noise", -1)),
        ("--noise: 0.05 gives an epsilon of 284", ("--noise", 0.05)),
        ("--noise", ("--noise", 0.0001)),
        ("--delta", ("--delta", 0.5)),
        ("--rows", ("--rows", 5)),
        ("--sites", ("--sites", 2)),
        ("--missing", ("--missing", 100)),
        ("--features", ("--features", 0)),
        ("--rate: a share", ("--rate", 1.5)),
        ("choose more --rows", ("--rate", 0.0001)),
        ("--model", ("--model", "mlp")),
        ("--rounds", ("--rounds", 0)),
        ("--sampling: for --model dp-sgd", ("--sampling", 0.1)),
        ("--sampling", ("--model", "dp-sgd", "--sampling", 0)),
        ("--budget", ("--budget", 0)),
        ("--seeds", ("--seeds", -1)),
        ("--seed", ("--seed", -1)),
        ("--curve: the folder", ("--curve", "/nowhere/at/all/x.svg")),
        ("--curve: there is nothing to draw", ("--curve", "x.svg", "--seeds", 0)),
    ],
)
def test_what_cannot_be_planned_is_refused_in_a_line_that_names_the_option(option, arguments):
    result = call("plan", *arguments)
    assert result.exit_code == REFUSED
    (line,) = result.stderr.splitlines()
    assert line.startswith("caduceus: refused: --")
    assert option in line
    assert not result.stdout


def refusing(monkeypatch, *epsilons):
    def some(shape, epsilon):
        if epsilon in epsilons:
            raise Refused("plan: no such noise")
        return plan(shape, epsilon)

    monkeypatch.setattr("caduceus.cli.privacy.plan", some)


def test_where_there_is_no_such_job_the_option_is_named_and_in_the_row_it_is_left_out(monkeypatch):
    refusing(monkeypatch, 8.0)
    words = said(call("plan", *QUICK))
    assert "No job spends as much as epsilon 8 on these sums" in words
    refusing(monkeypatch, 2.0)
    result = call("plan", *QUICK, "--epsilon", 2)
    assert result.exit_code == REFUSED
    assert result.stderr.splitlines()[-1] == "caduceus: refused: --epsilon: no such noise"


def test_an_epsilon_that_is_not_spent_whole_is_advised_against():
    words = said(call("plan", "--seeds", 0, "--epsilon", 60))
    assert "No sum has less noise than 0.5" in words
    assert "No sum has less" not in said(call("plan", "--seeds", 0, "--epsilon", 8))


def test_an_interval_is_students():
    found = interval(np.array([1.0, 2.0, 3.0, 4.0]))  # deviation sqrt(5/3), 3 degrees of freedom
    assert (found.mean, found.low, found.high) == pytest.approx((2.5, 2.5 - 2.0540, 2.5 + 2.0540), abs=1e-3)
    assert interval(np.array([1.0])).low is None


def test_a_bar_begins_at_chance_and_is_full_without_noise():
    assert bar(0.5, 0.8) == bar(0.4, 0.8) == ""
    assert bar(0.8, 0.8) == bar(0.9, 0.8) == "█" * 16
    assert bar(0.65, 0.8) == "█" * 8


@pytest.mark.parametrize(
    ("command", "taught"),
    [(("plan",), ("Epsilon bounds", "Delta is the chance")), (("budget",), ("for its whole life",))],
)
def test_help_teaches_with_examples(command, taught):
    words = said(call(*command, "--help"))
    for sentence in taught:
        assert sentence in words
    assert len(re.findall(rf"caduceus privacy {command[0]} ", words)) >= len(taught)


# ---------------------------------------------------------------- budgets


def private(folder: Path) -> Small:
    """The small hospitals with a budget, and a private job for them."""
    small = write_small(folder)
    job = small.job.read_text()
    job = job.replace("tolerance = 1e-6\nrounds = 20", "\n[privacy]\nepsilon = 0.75\ndelta = 1e-6")
    job = job.replace('method = "cross"\nrepeats = 2\nfolds = 3', 'method = "none"')
    assert "[privacy]" in job
    assert "folds" not in job
    small.job.write_text(job)
    small.terms.write_text('purposes = ["research"]\nepsilon = 2.0\ndelta = 1e-5\n')
    return small


def test_what_a_job_spent_and_what_is_left_is_shown_for_every_data_set(tmp_path):
    small = private(tmp_path / "files")
    ran = CliRunner().invoke(app, ["run", str(small.job), str(small.federation), "--out", str(tmp_path / "run")])
    assert ran.exit_code == 0, ran.stderr
    result = call("budget", tmp_path / "run")
    words = said(result)
    for name in ("North", "East", "South"):
        assert re.search(rf"{name} 2 0\.75 1\.25 job: 0\.75 ", words), words
    assert words.count("1e-05 1e-06 9e-06") == 3
    assert "3 with a budget, of which 3 have spent" in words
    assert max(len(line) for line in result.stdout.splitlines()) <= 80


def test_data_sets_without_a_budget_say_so(small_run):
    words = said(call("budget", small_run[1].folder / "run"))
    assert words.count("none set") == 3
    assert "0 with a budget" in words


def test_what_a_job_gave_back_is_taken_off_what_it_took():
    first, second = JobId(b"a" * 32), JobId(b"b" * 32)
    moves = [
        BudgetMove(first, 500, 70, False),
        BudgetMove(second, 300, 70, False),
        BudgetMove(first, 200, 0, True),
    ]
    charges = add_up(moves)
    assert charges == (Charge(first, 500, 70, 200), Charge(second, 300, 70, 0))
    assert [one.kept_micro for one in charges] == [300, 300]


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    result = call("budget", tmp_path)
    assert result.exit_code == REFUSED
    assert "not the folder of a run" in result.stderr
