"""What a report says of an analysis and of a private job, held against the chain, the specification and the state."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from caduceus.edges.network import Network
from caduceus.edges.workspace import Workspace
from caduceus.learn.inquiry.cells import Axis, Condition
from caduceus.learn.inquiry.queries import Contingency, Histogram, Mean, Quantiles, Query, Survival
from caduceus.market.terms import costs_of
from caduceus.report.facts import JobFacts
from caduceus.report.page import page
from caduceus.wiring.answer_facts import in_words
from caduceus.wiring.recall import Recalled, look_at, recall
from caduceus.wiring.remembered import Memory
from caduceus.wiring.telling import tell
from command import Ran, caduceus
from small_federation import JOB, SITES, write_small

EPSILON, BUDGET, DELTA, DELTA_BUDGET = 4_000_000, 9_000_000, 10**9, 10**10

TERMS = """
purposes = ["research"]
price_floor = 1_000
epsilon = 9.0
delta = 1e-2
"""

PRIVACY = """
[privacy]
epsilon = 4.0
delta = 1e-3
missing = 20
"""

ASK = f"""
[job]
kind = "analysis"
title = "Who is in the clinics"
purpose = "research"
schema = "schema.toml"
{PRIVACY}
[analysis]
minimum_cell = 20

[[query]]
name = "old"
kind = "count"
where = [{{ column = "age", from = 60 }}]

[[query]]
name = "cholesterol"
kind = "table"
columns = [{{ column = "chol", edges = [100, 210, 900] }}, "dead"]
weight = 2.0

[sites]
min = 3
max = 8

[money]
price = 100_001
fee = 5_000
stake = 700
bond = 900
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """An analysis and then a private training job, on one chain."""

    workspace: Workspace
    said: tuple[Ran, Ran]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    folder = tmp_path_factory.mktemp("noisy")
    small = write_small(folder / "files")
    small.terms.write_text(TERMS)
    small.federation.write_text(small.federation.read_text().replace("schema =", 'terms = "terms.toml"\nschema =', 1))
    (small.folder / "ask.toml").write_text(ASK)
    judged = PRIVACY + '\n[evaluation]\nmethod = "holdout"\nrepeats = 1\nfraction = 0.25\n'
    head, tail = JOB.split("[evaluation]")
    small.job.write_text(
        head.replace("tolerance = 1e-6\nrounds = 20\n", "") + judged + tail[tail.index("[sites]") - 1 :]
    )
    said = (
        caduceus("run", small.folder / "ask.toml", small.federation, "--out", "run", "--no-report", at=folder),
        caduceus("run", small.job, small.federation, "--out", "run", at=folder),
    )
    assert [one.code for one in said] == [0, 0], [one.err for one in said]
    return Asked(Workspace(folder / "run"), said)


@pytest.fixture(scope="module")
def network(asked: Asked) -> Iterator[Network]:
    with look_at(asked.workspace, None) as opened:
        yield opened


@pytest.fixture(scope="module")
def recalled(asked: Asked, network: Network) -> dict[str, Recalled]:
    return {order.label: recall(asked.workspace, network, order) for order in Memory(asked.workspace).orders()}


@pytest.fixture(scope="module")
def told(asked: Asked) -> tuple[JobFacts, ...]:
    return tell(asked.workspace, ())


# ---------------------------------------------------------------- budgets


def test_both_jobs_state_what_they_spend_and_the_noise_for_it(told, recalled):
    for facts, label in zip(told, ("ask", "job"), strict=True):
        job = recalled[label]
        assert facts.privacy is not None
        assert (facts.privacy.epsilon, facts.privacy.delta) == (EPSILON, DELTA)
        assert facts.privacy.missing_percent == 20
        assert facts.privacy.costs == tuple(epsilon for epsilon, _ in costs_of(job.spec).steps)
        assert facts.privacy.opened == len(facts.rounds) == facts.privacy.releases[-1].last
        spending = job.spec.privacy.spending
        for one in facts.privacy.releases:
            for sum_ in range(one.first, one.last + 1):
                event = spending.event(sum_ - 1)
                assert (one.multiplier, one.rate) == (event.multiplier, event.rate)


def test_budgets_before_and_after_a_job_are_those_of_the_chain(told, recalled, network):
    first, second = (facts.privacy.budgets for facts in told)
    assert [one.site for one in first] == [site.name for site in told[0].sites]
    assert {one.site for one in first} == {one.site for one in second} == set(SITES)
    for one in first:
        assert (one.epsilon, one.delta) == (BUDGET, DELTA_BUDGET)
        assert (one.epsilon_before, one.epsilon_spent, one.epsilon_left) == (0, EPSILON, BUDGET - EPSILON)
        assert (one.delta_before, one.delta_spent, one.delta_left) == (0, DELTA, DELTA_BUDGET - DELTA)
    by_site = {recalled["job"].name(one.site): one.dataset for one in recalled["job"].enrolments}
    for one in second:
        entry = network.chain.dataset(by_site[one.site])
        assert one.epsilon_before == EPSILON
        assert one.epsilon_before + one.epsilon_spent == entry.epsilon_spent_micro
        assert one.delta_before + one.delta_spent == entry.delta_spent_pico
        assert one.epsilon_left == BUDGET - entry.epsilon_spent_micro


# ---------------------------------------------------------------- answers


def test_answers_are_those_of_the_jobs_state(told, recalled):
    analysis, state = told[0].analysis, recalled["ask"].state
    assert analysis is not None
    assert told[1].analysis is None
    assert (analysis.questions, analysis.minimum_cell) == (2, 20)
    assert analysis.deviation == state.answers.deviation
    for facts, answer in zip(analysis.answers, state.answers.answers, strict=True):
        assert (facts.name, facts.kind) == (answer.name, answer.kind)
        for one, numbers in zip(facts.numbers, answer.numbers, strict=True):
            assert one.what == numbers.heading.what
            for name in ("value", "error", "low", "high"):
                array = getattr(numbers, name if name in ("low", "high") else f"{name}s")
                found = [np.nan if getattr(each, name) is None else getattr(each, name) for each in one.figures]
                assert np.array_equal(found, array, equal_nan=True)
            assert [each.withheld for each in one.figures] == numbers.withheld.astype(bool).tolist()


def test_cells_stand_in_the_order_of_the_axes(told):
    table = told[0].analysis.answers[1]
    assert [axis.column for axis in table.axes] == ["chol", "dead"]
    labels = [f"{chol}, {dead}" for chol in table.axes[0].labels for dead in table.axes[1].labels]
    assert [one.label for one in table.numbers[0].figures] == labels
    shown = [one for one in table.numbers[0].figures if not one.withheld]
    assert shown  # the cells in the middle hold many of the 135 patients
    assert len(shown) < len(labels)  # nobody has a cholesterol below 100 or above 900


def test_the_page_and_the_answers_of_the_buyer_say_the_same(told, asked):
    taken = json.loads((asked.workspace.answers / "ask.json").read_text())
    entries = [one for query in taken["queries"] for numbers in query["numbers"] for one in numbers["entries"]]
    (section,) = [e for e in ElementTree.fromstring(page(told)).iter("section") if e.get("id") == "job-1-answers"]
    rows = [["".join(cell.itertext()) for cell in row] for body in section.iter("tbody") for row in body]
    assert len(rows) == len(entries)
    for (label, value, error, _), entry in zip(rows, entries, strict=True):
        assert label == entry["label"]
        if entry["withheld"]:
            assert value == "withheld"
            assert not re.search(r"\d", error)
        else:
            assert float(value.replace("\u202f", "")) == pytest.approx(entry["value"], abs=entry["standard_error"] / 10)
            assert float(error.replace("\u202f", "")) == pytest.approx(entry["standard_error"], rel=0.05)
    assert not re.search(r"\bnan\b", " ".join(section.itertext()), flags=re.IGNORECASE)


def test_an_analysis_names_its_columns_and_no_target(told, recalled):
    assert told[0].target == ""
    assert set(told[0].features) == {"age", "chol", "dead"}
    assert [one.phase for one in told[0].rounds] == ["questions"]
    assert all(site.federated.auroc is None for site in told[0].sites)
    assert told[1].target == "dead"


def test_a_private_model_has_weights_and_an_error_of_its_auroc(told, recalled):
    quality = recalled["job"].state.quality
    assert [one.weight for one in told[1].coefficients] == recalled["job"].state.noisy.weights[:-1].tolist()
    assert told[1].auroc_error == pytest.approx(float(quality.auroc_error.mean()))


def test_the_terminal_tells_epsilon_and_where_the_answers_lie(asked):
    alone, both = asked.said
    assert f"Answers: {Path('run') / 'answers' / 'ask.txt'}, and ask.json for programs" in alone.out
    assert "Epsilon, delta" in both.out
    assert "4, 0.001" in both.out
    assert "2 of 2" in both.out
    assert "noisy histogram" in " ".join(both.out.split())
    (line,) = [one for one in both.out.splitlines() if "AUROC over all rows" in one and "±" in one]
    assert "–" in line  # the analysis beside it has none


AGE, SEX = Axis("age", 4, ()), Axis("sex", 0, ())
NOTHING = (None, None, None, None, None)


@pytest.mark.parametrize(
    ("where", "asked", "said"),
    [
        ((), NOTHING, "number of patients"),
        (
            (Condition("age", (), None, 60.0, None), Condition("chol", (), None, 1.5, 9.0)),
            (Mean("chol", True), None, None, None, None),
            "mean and standard deviation of chol, of rows with age from 60; chol from 1.5 up to 9",
        ),
        (
            (Condition("sex", ("f", "x"), None, None, None), Condition("dead", (), False, None, None)),
            (None, Histogram(AGE, True), None, None, None),
            "number of patients by age, of rows with sex: f or x; dead: no",
        ),
        ((), (None, None, Quantiles(AGE, (0.5,)), None, None), "quantiles of age"),
        (
            (),
            (None, None, None, Contingency((AGE, SEX, Axis("dead", 0, ())), True), None),
            "number of patients by age, sex and dead",
        ),
        ((), (None, None, None, None, Survival(AGE, "dead", "sex")), "share without dead over age, by sex"),
    ],
)
def test_questions_are_told_in_words(where, asked, said):
    assert in_words(Query("q", where, 1.0, *asked)) == said
