"""What a report says of judged updates, held against public states and chain; one hospital turns labels round."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from caduceus import canon
from caduceus.edges.federation import EXAMPLES
from caduceus.edges.network import Network
from caduceus.edges.store import FolderStore
from caduceus.edges.workspace import Workspace
from caduceus.errors import Refused
from caduceus.learn.judged.dishonest import Deed
from caduceus.learn.judged.program import JudgedProgram
from caduceus.learn.state import Phase, State
from caduceus.market.mechanism.verdict import Lane
from caduceus.protocol.round_record import RoundRecord, read_record
from caduceus.report.facts import JobFacts, JudgingFacts
from caduceus.report.reading import balance, lanes_of
from caduceus.wiring.judging_facts import judging_facts
from caduceus.wiring.recall import Recalled, look_at, recall
from caduceus.wiring.remembered import Memory
from caduceus.wiring.telling import tell
from caduceus.wiring.wording import say_deed
from command import Ran, caduceus

HARMFUL, ROUNDS = "Beech", 3
FILES = ("schema.toml", "terms-judged.toml", "federation-judged.toml")


@dataclass(frozen=True, slots=True)
class Judged:
    """A judged job of a few rounds, and what the terminal said."""

    workspace: Workspace
    said: Ran


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    pytest.importorskip("sklearn", reason="needs scikit-learn (pip install caduceus[demo])")
    folder = tmp_path_factory.mktemp("judged")
    for name in FILES:
        (folder / name).write_bytes((EXAMPLES / "breast" / name).read_bytes())
    job = (EXAMPLES / "breast" / "job-judged.toml").read_text()
    assert "rounds = 12" in job
    (folder / "job.toml").write_text(job.replace("rounds = 12", f"rounds = {ROUNDS}"))
    dishonest = f"{HARMFUL}={Deed.FLIPS_LABELS}"
    ran = caduceus("run", "job.toml", FILES[-1], "--out", "run", "--dishonest", dishonest, at=folder)
    assert ran.code == 0, ran.err
    return Judged(Workspace(folder / "run"), ran)


@pytest.fixture(scope="module")
def network(judged: Judged) -> Iterator[Network]:
    with look_at(judged.workspace, None) as opened:
        yield opened


@pytest.fixture(scope="module")
def job(judged: Judged, network: Network) -> Recalled:
    (order,) = Memory(judged.workspace).orders()
    return recall(judged.workspace, network, order)


@pytest.fixture(scope="module")
def store(judged: Judged) -> FolderStore:
    return FolderStore(judged.workspace.blobs)


@pytest.fixture(scope="module")
def records(job: Recalled, store: FolderStore) -> list[RoundRecord]:
    return [read_record(anchor, job.entry.id, store.get) for anchor in job.anchors]


@pytest.fixture(scope="module")
def facts(judged: Judged) -> JobFacts:
    (told,) = tell(judged.workspace, ())
    return told


@pytest.fixture(scope="module")
def told(facts: JobFacts) -> JudgingFacts:
    assert facts.judging is not None
    return facts.judging


def after(store: FolderStore, record: RoundRecord) -> State:
    return canon.unpack(State, store.get(record.after))


# ---------------------------------------------------------------- rounds


def test_lanes_and_weights_are_those_of_the_public_states(told, store, records):
    training = [one for one in records if canon.unpack(State, store.get(one.before)).phase is Phase.TRAINING]
    assert [one.number for one in told.rounds] == [record.round for record in training]
    assert len(told.rounds) == ROUNDS
    for one, record in zip(told.rounds, training, strict=True):
        state = after(store, record).judged
        assert state is not None
        assert [int(site.lane) for site in one.sites] == state.lanes.tolist()
        assert [site.weight for site in one.sites] == (state.weighed / (1 << 16)).tolist()
        assert not one.failure


def test_pay_of_the_rounds_adds_up_to_what_was_paid(told, facts, job):
    paid = np.array([[site.pay for site in one.sites] for one in told.rounds])
    earned = [site.earned for site in told.sites]
    assert paid.mean(axis=0) == pytest.approx(earned, abs=1e-12)
    pot = facts.price - facts.fee
    assert [site.paid / pot for site in facts.sites] == pytest.approx(earned, abs=2e-6)
    back = sum(flow.amount for flow in balance(facts.flows).outward if flow.why in ("not earned", "price returned"))
    assert back == facts.price - facts.fee - sum(site.paid for site in facts.sites)


def test_the_one_that_turns_labels_round_is_never_kept_and_never_paid(told, facts):
    (seat,) = [number for number, site in enumerate(told.sites) if site.name == HARMFUL]
    assert not set(lanes_of(told, seat)) & {Lane.CONSENSUS, Lane.READMITTED}
    assert all(one.sites[seat].weight == 0 for one in told.rounds)
    assert facts.sites[seat].paid == 0
    assert told.sites[seat].effects[0] < 0 < min(site.effects[0] for site in told.sites if site.name != HARMFUL)
    assert told.sites[seat].dishonest == say_deed(Deed.FLIPS_LABELS)
    assert not any(site.dishonest for site in told.sites if site.name != HARMFUL)


def test_medians_lie_in_the_middle_and_what_decides_on_either_side(told):
    for number, one in enumerate(told.strata):
        effects = [site.effects[number] for site in told.sites]
        assert min(effects) <= one.median <= max(effects)
        assert one.floor <= one.median
        assert one.bar is None if number == 0 else one.bar >= one.median
    assert sum(one.budget for one in told.strata) <= 1 + 1e-9


def test_strata_are_served_as_the_last_state_says(told, job):
    served = job.state.judged.by_stratum
    assert [one.name for one in told.strata] == list(job.task.strata)
    assert [one.quality.brier for one in told.strata] == served.brier.tolist()
    assert sum(one.rows for one in told.strata) == round(float(job.state.quality.rows[0]))


def test_every_site_has_a_reason_that_counts_its_rounds(told):
    for seat, site in enumerate(told.sites):
        assert f"all {ROUNDS} rounds" in site.reason or f"of {ROUNDS} rounds" in site.reason
        if set(lanes_of(told, seat)) == {Lane.CONSENSUS}:
            assert site.reason.startswith(f"In the consensus in all {ROUNDS} rounds")


def test_who_judged_is_named(told):
    assert told.evaluators == ("Registry",)
    assert len(set(told.aggregators)) == 3
    assert not told.faults
    assert not told.sketched


def test_a_round_that_cannot_be_done_again_is_told_with_the_reason(job, store, records):
    class Without:
        """A store that lacks one upload."""

        def __init__(self, missing: bytes) -> None:
            self.missing = missing

        def get(self, digest):
            if digest == self.missing:
                raise Refused("blob is missing")
            return store.get(digest)

    lost = records[1].uploads[0]
    assert lost is not None
    found = judging_facts(job, Without(lost), records)
    assert found is not None
    assert "cannot be done again: blob is missing" in found.rounds[0].failure
    assert not found.rounds[0].sites
    assert all(one.sites for one in found.rounds[1:])


# ---------------------------------------------------------------- words


def test_what_is_said_of_protection_is_true_of_shares_and_not_of_masks(facts):
    said = " ".join(facts.protection)
    assert "mask" not in said
    assert "Any two of the three aggregators together could put every single update together" in said
    assert "inner products of all updates" in said
    assert "mean loss" in said
    assert "sums are exact" in said


def test_notes_say_how_pay_was_measured_and_who_was_dishonest_on_purpose(facts):
    notes = " ".join(facts.notes)
    assert "measured contribution" in notes
    assert "effort, not quality" not in notes
    assert f"{HARMFUL} learned, and judged others, with every outcome turned round" in notes
    assert "The same rows judged the updates" in notes
    assert "updates judged unseen" in facts.model
    assert facts.visibility == "gram"


def test_every_deed_can_be_told():
    assert all(say_deed(deed) for deed in Deed)


def test_the_terminal_has_a_line_per_site(judged, facts, told):
    out = judged.said.out
    assert f"Judged unseen in {ROUNDS} rounds" in out
    table = out[out.index("Judged unseen") :]
    lines = [line.split() for line in table.splitlines()]
    for site in facts.sites:
        assert [line for line in lines if line and line[0] == site.name], site.name
    assert "Dishonest on purpose, for trying out" in " ".join(out.split())
    assert "passes" in out


def test_the_page_has_the_section(judged):
    page = judged.workspace.report.read_text()
    assert 'id="job-1-judging"' in page
    assert "How updates were judged" in page


def test_before_a_round_is_judged_every_site_is_told_without_figures(job, store, records):
    assert isinstance(job.task, JudgedProgram)
    found = judging_facts(job, store, records[:1])  # moments
    assert found is not None
    assert not found.rounds
    assert [site.name for site in found.sites] == [job.name(one.site) for one in job.enrolments]
    assert all(site.effects == (None, None) and site.reason == "No round was judged." for site in found.sites)
    assert all(one.median is one.floor is one.bar is None for one in found.strata)


def test_who_was_made_dishonest_is_remembered(job):
    assert job.deeds == {HARMFUL: Deed.FLIPS_LABELS}


def test_checking_the_job_says_what_is_seen_and_who_must_not_collude():
    said = " ".join(caduceus("job", "check", EXAMPLES / "breast" / "job-judged.toml", at=Path.cwd()).out.split())
    assert "Shows of single updates: gram, their inner products" in said
    assert "Three aggregators, of which no two may collude" in said
    assert re.search(r"everyone else: \d+% of a move, \d+% of the pay; coarse texture: \d+% of a move", said)
