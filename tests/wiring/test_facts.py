"""What a report says, held against the chain, the transcript and the models themselves."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from anvil_node import AnvilNode
from caduceus.edges.network import Network
from caduceus.edges.workspace import Workspace
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Stage
from caduceus.learn import control
from caduceus.learn.evaluate import own_quality
from caduceus.report.facts import JobFacts
from caduceus.report.reading import balance, gain
from caduceus.wiring.arms import compare
from caduceus.wiring.audit import audit_run
from caduceus.wiring.flows import flows_of
from caduceus.wiring.recall import Recalled, look_at, recall
from caduceus.wiring.remembered import Memory, Times, without_secrets
from caduceus.wiring.telling import tell
from caduceus.wiring.transactions import Happened, Transaction, read_transactions
from command import Ran, caduceus
from small_federation import SITES, Small

PRICE, FEE, STAKE, BOND = 100_001, 5_000, 700, 900


@pytest.fixture(scope="module")
def workspace(small_run: tuple[Small, Ran]) -> Workspace:
    return Workspace(small_run[1].folder / "run")


@pytest.fixture(scope="module")
def network(workspace: Workspace) -> Iterator[Network]:
    with look_at(workspace, None) as opened:
        yield opened


@pytest.fixture(scope="module")
def job(workspace: Workspace, network: Network) -> Recalled:
    (order,) = Memory(workspace).orders()
    return recall(workspace, network, order)


@pytest.fixture(scope="module")
def transactions(network: Network) -> tuple[Transaction, ...]:
    return read_transactions(network.node, network.deployment)


@pytest.fixture(scope="module")
def facts(workspace: Workspace) -> JobFacts:
    audits = audit_run(workspace.root / "transcript", chain=workspace.chain, url=None)
    (told,) = tell(workspace, audits)
    return told


# ---------------------------------------------------------------- the chain


def test_every_transaction_of_the_chain_has_a_name_and_counts_for_the_job(network, transactions, job):
    blocks = [network.node.request("eth_getBlockByNumber", [hex(n), True]) for n in range(network.node.height() + 1)]
    sent = [one["hash"] for block in blocks for one in block["transactions"]]
    assert [f"0x{one.hash.hex()}" for one in transactions] == sent
    assert {one.job for one in transactions} == {job.entry.id}


def test_gas_is_what_the_receipts_say(network, transactions, facts):
    total = sum(
        int(network.node.request("eth_getTransactionReceipt", [f"0x{one.hash.hex()}"])["gasUsed"], 16)
        for one in transactions
    )
    assert sum(one.gas for one in transactions) == total
    assert sum(kind.count for kind in facts.gas) == len(transactions)
    assert all(kind.least <= kind.mean <= kind.most for kind in facts.gas)
    counts = {kind.what: kind.count for kind in facts.gas}
    assert counts["Jobs.enrol"] == counts["Datasets.register"] == len(SITES)
    assert counts["Jobs.claim"] == len(SITES) + 1
    assert counts["Jobs.openAndFund"] == counts["Jobs.settle"] == counts["Jobs.complete"] == 1


def test_every_round_is_told_as_anchored(facts, job):
    assert [one.number for one in facts.rounds] == [anchor.round for anchor in job.anchors]
    assert [one.model for one in facts.rounds] == [anchor.model.hex() for anchor in job.anchors]
    phases = [one.phase for one in facts.rounds]
    assert phases[0] == "moments"
    assert phases[-1] == "evaluation"
    assert set(phases[1:-1]) == {"training"}
    assert all(one.survivors == one.invited == len(SITES) and not one.silent for one in facts.rounds)
    assert facts.rounds[0].entries == job.task.length(job.task.opening())
    assert all(one.gas > 20_000 and one.block > 0 for one in facts.rounds)


def test_the_story_is_told_in_order_and_ends_with_everybody_paid(facts):
    assert [step.block for step in facts.steps] == sorted(step.block for step in facts.steps)
    said = [step.what for step in facts.steps]
    assert said.index("posted the job and locked the price") < said.index("closed the enrolment at 3 sites")
    assert said.index("closed the enrolment at 3 sites") < said.index("anchored round 0")
    assert said.index("made the settlement final") < len(said) - len(SITES)
    assert Counter(step.who for step in facts.steps if step.what.startswith("pulled")) == Counter(
        (*SITES, "coordinator")
    )


# ---------------------------------------------------------------- money


def test_the_money_adds_up_and_is_split_by_rows_and_rounds(facts):
    books = balance(facts.flows)
    assert books.put == books.got == PRICE + len(SITES) * STAKE + BOND
    assert not books.aside
    assert sum(site.paid for site in facts.sites) == PRICE - FEE
    assert all(site.returned == STAKE for site in facts.sites)
    shares = [site.paid / (PRICE - FEE) for site in facts.sites]
    coarse = [60, 40, 30]  # rows as on the cards
    assert shares == pytest.approx([rows / sum(coarse) for rows in coarse], abs=1e-4)


@pytest.fixture
def own(transactions, job) -> list[Transaction]:
    return [one for one in transactions if one.job == job.entry.id]


def replaced(own: list[Transaction], what: str, change) -> list[Transaction]:
    """The same, with the first transaction of a kind changed."""
    place = next(i for i, one in enumerate(own) if one.what == what)
    return [*own[:place], dataclasses.replace(own[place], events=change(own[place].events)), *own[place + 1 :]]


def test_flows_of_what_happened_are_accepted(own, job, network):
    assert flows_of(job.entry, network, own, job.names)


def test_a_claim_that_moves_something_else_than_it_says_is_found(own, job, network):
    def more(events: tuple[Happened, ...]) -> tuple[Happened, ...]:
        return tuple(raised(one) if one.name == "Jobs.Claimed" else one for one in events)

    def raised(one: Happened) -> Happened:
        job_id, account, amount, returned = one.values
        return Happened(one.name, (job_id, account, amount + 1, returned))

    with pytest.raises(PeerFault, match="moved"):
        flows_of(job.entry, network, replaced(own, "Jobs.claim", more), job.names)


def test_money_that_came_from_nowhere_is_found(own, job, network):
    without_price = replaced(own, "Jobs.openAndFund", lambda events: ())
    with pytest.raises(PeerFault, match="went into the job's escrow"):
        flows_of(job.entry, network, without_price, job.names)


def test_money_that_stays_behind_when_all_is_over_is_found(own, job, network):
    def twice(events: tuple[Happened, ...]) -> tuple[Happened, ...]:
        return (*events, *(one for one in events if one.name == "DemoToken.Transfer"))

    with pytest.raises(PeerFault, match="still held"):
        flows_of(job.entry, network, replaced(own, "Jobs.enrol", twice), job.names)
    training = dataclasses.replace(job.entry, stage=Stage.TRAINING)
    assert flows_of(training, network, replaced(own, "Jobs.enrol", twice), job.names)


def test_money_that_comes_in_by_no_rule_is_found(own, job, network):
    deposits = next(one for one in own if one.what == "Jobs.accept").events
    odd = replaced(own, "Jobs.start", lambda events: (*events, *deposits))
    with pytest.raises(PeerFault, match=r"Jobs\.start put 900 into the escrow"):
        flows_of(job.entry, network, odd, job.names)


# ---------------------------------------------------------------- quality


def test_the_jobs_model_serves_sites_as_the_secure_sums_say(facts, job):
    quality = job.state.quality
    assert quality is not None
    own = [site.federated.auroc for site in facts.sites]
    assert np.mean(own) == pytest.approx(quality.site_auroc.mean(), abs=1e-9)
    assert np.mean([site.federated.brier for site in facts.sites]) == pytest.approx(quality.site_brier.mean(), abs=1e-9)
    assert facts.pooled.auroc == pytest.approx(quality.auroc.mean())


def test_federated_newton_is_the_pooled_model(facts):
    for site in facts.sites:
        assert site.federated.auroc == pytest.approx(site.pooled.auroc, abs=1e-9)
        assert site.federated.brier == pytest.approx(site.pooled.brier, abs=1e-9)


def test_the_local_arm_has_the_penalty_that_serves_it_best(job):
    compared = compare(job.task, job.state, job.sites)
    shown = np.mean([arms.local.auroc for arms in compared.sites.values()])
    for strength in (1.0, 0.1):
        found = [own_quality(site, control.local(job.task, site, strength=strength)) for site in job.sites.values()]
        assert shown >= np.mean([one.auroc for one in found]) - 1e-12
    assert any("C = 0.1" in note and "C = 1" in note for note in compared.notes)


def test_without_the_end_or_the_rows_there_is_nothing_to_compare(job):
    assert not compare(job.task, job.task.opening(), job.sites).sites
    assert not compare(job.task, job.state, {}).sites


def test_the_weights_are_those_of_the_final_model_by_name(facts, job):
    assert [one.feature for one in facts.coefficients] == ["age", "chol", "chol missing"]
    assert [one.weight for one in facts.coefficients] == job.state.newton.weights[0][:-1].tolist()
    assert facts.coefficients[0].weight > 0.5  # the outcome was made from age


def test_calibration_covers_every_row_once(facts):
    assert sum(point.rows for point in facts.calibration) == pytest.approx(
        sum(SITES.values()), abs=len(facts.calibration)
    )
    assert all(0 <= point.predicted <= 1 and 0 <= point.observed <= 1 for point in facts.calibration)


def test_cards_are_told_as_coarsely_as_they_are(facts):
    shown = {site.name: site.rows_shown for site in facts.sites}
    assert shown == {"North": "at least 60", "East": "at least 40", "South": "at least 30"}
    assert {site.missing_shown for site in facts.sites} == {""}  # fewer than a hundred rows: the card says nothing


def test_a_job_of_exact_sums_has_no_budget_no_answers_and_says_that_nothing_is_promised(facts):
    assert facts.privacy is None
    assert facts.analysis is None
    assert any("sums are exact" in sentence and "nothing is promised" in sentence for sentence in facts.protection)


def test_a_reader_is_told_who_the_patients_are_and_who_could_see_what(facts):
    assert any("Invented patients" in note for note in facts.notes)
    assert any("One machine played every party" in note for note in facts.notes)
    assert any("control arms" in note for note in facts.notes)
    assert any("at least 3 of 3" in sentence for sentence in facts.protection)
    assert facts.checks
    assert all(check.holds is not False for check in facts.checks)


# ---------------------------------------------------------------- two jobs on one chain


@pytest.mark.slow
def test_each_job_of_a_run_has_its_own_figures_money_and_gas(demo_run):
    workspace = Workspace(demo_run.folder / "runs" / "demo")
    jobs = tell(workspace, ())
    first, second = jobs[:2]
    assert "federated Newton" in first.model
    assert "perceptron 30-16-1" in second.model
    assert first.coefficients
    assert not second.coefficients
    with look_at(workspace, None) as network:
        everything = read_transactions(network.node, network.deployment)
    counted = Counter(one.what for one in everything)
    told = sum((Counter({kind.what: kind.count for kind in job.gas}) for job in jobs), Counter())
    assert told == counted
    assert len(second.rounds) == {one.what: one.count for one in second.gas}["Jobs.anchor"]
    for job in jobs:
        assert balance(job.flows).put == balance(job.flows).got
        assert job.judging is not None or sum(gain(site) is not None for site in job.sites) == len(job.sites)
        assert job.seconds_training > 0
        assert job.seconds_total > job.seconds_training


# ---------------------------------------------------------------- memory


def test_a_node_is_remembered_without_its_password():
    assert without_secrets("https://me:secret@node.example:8545/v1?key=1") == "https://node.example:8545/v1"


def test_times_of_several_processes_add_up(tmp_path: Path):
    memory = Memory(Workspace(tmp_path))
    assert memory.times("job") == Times(0.0, 0.0)
    memory.add("job", Times(1.5, 2.0))
    memory.add("job", Times(0.5, 1.0))
    assert memory.times("job") == Times(2.0, 3.0)


def test_a_folder_that_remembers_nothing_is_no_run(tmp_path: Path):
    with pytest.raises(Refused, match="no run of this machine"):
        Memory(Workspace(tmp_path)).orders()


def test_a_damaged_memory_is_named(tmp_path: Path):
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "job").write_bytes(b"\x80")
    with pytest.raises(Refused, match="orders/job"):
        Memory(Workspace(tmp_path)).orders()


# ---------------------------------------------------------------- a node by URL


@pytest.mark.anvil
def test_a_job_on_a_node_by_url_is_played_audited_and_told_alike(anvil: AnvilNode, small_run, facts, tmp_path):
    small, _ = small_run
    ran = caduceus("run", small.job, small.federation, "--out", "run", "--node", anvil.url, at=tmp_path)
    assert ran.code == 0, ran.err
    assert "Audit of job: passes" in ran.out
    (told,) = tell(Workspace(tmp_path / "run"), ())
    assert [one.phase for one in told.rounds] == [one.phase for one in facts.rounds]
    assert [site.paid for site in told.sites] == [site.paid for site in facts.sites]
    assert {kind.what: kind.count for kind in told.gas} == {kind.what: kind.count for kind in facts.gas}
    assert [site.federated for site in told.sites] == [site.federated for site in facts.sites]
    later = caduceus("audit", "run", at=tmp_path)
    assert later.code == 0, later.err
