"""Whole jobs with differential privacy: what is opened, what is charged, and what nobody gets twice."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_job
from ending import Ending
from small_job import BUDGET, FOUR, PRIVATE, QUESTIONS
from theatre import LATER, Theatre, silent_when

from caduceus import canon
from caduceus.agents import seat as seating
from caduceus.agents.rounds import Past, Rounds
from caduceus.agents.steward import Steward
from caduceus.data.policy import Verdict
from caduceus.edges.journal import SqliteJournal
from caduceus.edges.network import open_embedded
from caduceus.edges.store import FolderStore
from caduceus.errors import Refused
from caduceus.kinds import Stage
from caduceus.learn.state import State
from caduceus.market.ledger import BudgetMove, DatasetEntry
from caduceus.market.specification import JobSpec
from caduceus.market.terms import costs_of
from caduceus.privacy.accountant import epsilon_micro
from caduceus.protocol.job_messages import Call
from caduceus.wiring import order as ordering
from caduceus.wiring.audit import audit_run
from caduceus.wiring.order import Order
from caduceus.wiring.play import play

RELEASES = 5
RESERVED = (2_000_000, 1_000_000)


@pytest.fixture
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Theatre:
    return Theatre(tmp_path, monkeypatch, job_file=PRIVATE, terms=BUDGET)


def budgets(theatre: Theatre) -> list[tuple[DatasetEntry, Sequence[BudgetMove]]]:
    """Every data set and what was done to its budget, by a stranger's look at the chain."""
    treasury = theatre.cast["treasury"].ring.account
    with open_embedded(
        theatre.workspace.chain, theatre.workspace.deployment, treasury, theatre.cast.accounts
    ) as network:
        return [(one, network.chain.budget_moves(one.id)) for one in network.chain.datasets()]


def charged(theatre: Theatre) -> set[tuple[int, int]]:
    return {(one.epsilon_spent_micro, one.delta_spent_pico) for one, _ in budgets(theatre)}


def spec_of(theatre: Theatre) -> JobSpec:
    with open_embedded(
        theatre.workspace.chain,
        theatre.workspace.deployment,
        theatre.cast["treasury"].ring.account,
        theatre.cast.accounts,
    ) as network:
        entry = network.chain.job(theatre.job)
    assert entry is not None
    return canon.unpack(JobSpec, FolderStore(theatre.workspace.blobs).get(entry.spec))


def detail(theatre: Theatre, claim: str) -> str:
    (audit,) = audit_run(theatre.folder / "run" / "transcript", chain=theatre.workspace.chain, url=None)
    assert audit.passes, audit.first_failure
    (found,) = [check.detail for check in audit.checks if claim in check.claim]
    return found


def test_a_private_job_is_trained_paid_charged_and_audited(private: Theatre):
    end = private.play()
    assert end.stage is Stage.COMPLETED
    assert end.rounds == RELEASES
    assert all(amount > 0 for name, (amount, _) in end.pulled.items() if name in FOUR)
    assert charged(private) == {RESERVED}
    spec = spec_of(private)
    assert spec.privacy is not None
    assert epsilon_micro(spec.privacy.spending, spec.privacy.delta_pico) <= spec.privacy.epsilon_micro
    assert detail(private, "is worth the epsilon") == "epsilon 2 at delta 1e-06 for 5 sums, as on the chain"
    assert "5 sums were opened; 4 data sets are charged an epsilon of at most 2" in detail(private, "budget bore")


def test_what_is_opened_is_not_the_exact_sum(private: Theatre, monkeypatch: pytest.MonkeyPatch):
    """The same run with the noise left out comes to another model, from the same rows."""
    private.play()
    noisy = private.played
    without = Theatre(private.folder / "exact", monkeypatch, job_file=PRIVATE, terms=BUDGET)
    monkeypatch.setattr(seating, "blur", lambda *_: None)
    without.play()
    assert noisy is not None
    assert without.played is not None
    assert noisy.state.noisy is not None
    assert without.played.state.noisy is not None
    assert np.abs(noisy.state.noisy.weights - without.played.state.noisy.weights).max() > 1e-3


def test_a_second_job_that_the_budget_does_not_bear_is_refused_with_what_is_left(private: Theatre):
    private.play()
    other = private.order.job.with_name("other.toml")
    other.write_text(PRIVATE.replace("seed = 1", "seed = 2"))
    with pytest.raises(Refused):
        play(private.workspace, Order(other, private.order.federation), private.told)
    for name in FOUR:
        assert "it spends epsilon 2, and 1 is left" in private.complaints(name)[-1]
    assert charged(private) == {RESERVED}


def test_the_contract_refuses_what_the_stewards_own_code_lets_through(private: Theatre):
    """A steward whose software is broken, or bought, cannot overspend all the same."""
    private.play()
    private.patch.setattr(Steward, "consider", lambda self, entry: Verdict(()))
    other = private.order.job.with_name("other.toml")
    other.write_text(PRIVATE.replace("seed = 1", "seed = 2"))
    with pytest.raises(Refused, match="ended expired, with 0 sites"):
        play(private.workspace, Order(other, private.order.federation), private.told)
    for name in FOUR:
        complaint = private.complaints(name)[-1]
        assert "reverted: over budget: asks for epsilon 2 with delta 1e-06, and epsilon 1 with" in complaint
        assert "is left" in complaint
    assert charged(private) == {RESERVED}


def test_the_contract_refuses_exact_sums_of_a_data_set_with_a_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    theatre = Theatre(tmp_path, monkeypatch, job_file=PRIVATE, terms=BUDGET)
    theatre.play()
    monkeypatch.setattr(Steward, "consider", lambda self, entry: Verdict(()))
    monkeypatch.setattr("caduceus.wiring.order.check_fits", lambda *_: None)
    other = theatre.order.job.with_name("other.toml")
    other.write_text(small_job.JOB)
    with pytest.raises(Refused, match="ended expired, with 0 sites"):
        play(theatre.workspace, Order(other, theatre.order.federation), theatre.told)
    for name in FOUR:
        assert re.search(
            r"opens exact sums, and data set 0x[0-9a-f]+ has a privacy budget", theatre.complaints(name)[-1]
        )


def test_a_job_that_dies_half_way_is_charged_for_what_was_revealed(private: Theatre):
    """Two of four sites fall silent after the first sum: no quorum, no more sums, and in the end the time runs out."""
    quiet = silent_when("upload", "advertise", rounds=LATER)
    private.with_sites({2: quiet, 3: quiet})
    end, _ = private.play_in_vain()
    assert end.stage is Stage.EXPIRED
    costs = costs_of(spec_of(private))
    assert costs is not None
    # The other two sent their part of the second, and cannot know that nobody opened it.
    assert charged(private) == {costs.steps[1], costs.steps[2]}
    assert "1 sums were opened" in detail(private, "budget bore")
    assert all([move.released for move in moves] == [False, True] for _, moves in budgets(private))


@pytest.mark.parametrize("number", [3, 4])
def test_the_dearest_release_asked_for_alone_is_charged_with_all_before_it(private: Theatre, number: int):
    """A coordinator makes up the state before it, opens that one sum, anchors nothing, and lets the job run out."""
    made_up = Theatre(private.folder / "before", private.patch, job_file=PRIVATE, terms=BUDGET)
    states: list[State] = []
    honest = small_job.Onlooker.round
    private.patch.setattr(
        small_job.Onlooker,
        "round",
        lambda self, record, state, session: (states.append(state), honest(self, record, state, session)),
    )
    made_up.play()

    def alone(rounds: Rounds, past: Past, state: State) -> object:
        played(rounds, past, states[number - 1])
        raise KeyboardInterrupt

    played = Rounds.run
    private.patch.setattr(Rounds, "run", alone)
    with pytest.raises(KeyboardInterrupt):
        private.play()
    private.patch.setattr(Rounds, "run", played)
    private.run_out()
    end, _ = private.play_in_vain()
    assert end.stage is Stage.EXPIRED
    costs = costs_of(spec_of(private))
    assert costs is not None
    assert charged(private) == {costs.steps[number + 1]}


def test_other_terms_do_not_give_the_same_records_another_budget(private: Theatre):
    """Nor do a new title or licence: the contract keeps one budget for the records."""
    private.play()
    terms = private.order.federation.with_name("terms.toml")
    terms.write_text(BUDGET + "price_floor = 1\n")
    other = private.order.job.with_name("other.toml")
    other.write_text(PRIVATE.replace("seed = 1", "seed = 2"))
    with pytest.raises(Refused, match="ended expired, with 0 sites"):
        play(private.workspace, Order(other, private.order.federation), private.told)
    for name in FOUR:
        assert "it spends epsilon 2, and 1 is left" in private.complaints(name)[-1]


def test_a_withdrawn_data_set_keeps_nobody_else_from_a_job(private: Theatre):
    private.play()
    honest = Steward.publish

    def withdrawn(self: Steward) -> object:
        dataset = honest(self)
        entry = self.chain.dataset(dataset)
        if self.wallet.account == private.cast["Elm"].account and entry is not None and entry.active:
            self.wallet.withdraw_dataset(dataset)
        return dataset

    private.patch.setattr(Steward, "publish", withdrawn)
    other = private.order.job.with_name("other.toml")
    other.write_text(PRIVATE.replace("epsilon = 2.0", "epsilon = 1.0"))
    play(private.workspace, Order(other, private.order.federation), private.told)
    assert "the data set was withdrawn" in private.complaints("Elm")[-1]


def test_a_job_that_never_started_costs_nothing(private: Theatre):
    """Three sites are asked for; two are let in by their terms."""
    honest = Steward.consider

    def consider(self: Steward, entry: object) -> Verdict:
        refuse = self.wallet.account in {private.cast[name].account for name in FOUR[:2]}
        return Verdict(("we would rather not",)) if refuse else honest(self, entry)  # type: ignore[arg-type]

    private.patch.setattr(Steward, "consider", consider)
    end, _ = private.play_in_vain()
    assert end.stage is Stage.EXPIRED
    assert charged(private) == {(0, 0)}
    assert sorted(len(moves) for _, moves in budgets(private)) == [0, 0, 2, 2]


def test_one_site_may_fall_silent_and_the_sum_is_still_as_private_as_stated(private: Theatre):
    private.with_sites({3: silent_when("upload", rounds=LATER)})
    end = private.play()
    assert end.stage is Stage.COMPLETED
    assert private.counted(3) == [True, *[False] * 4]
    private.assert_audit_passes()


def test_a_sum_with_too_little_noise_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where no noise may be missing, a round that lacks a site has no sum."""
    theatre = Theatre(
        tmp_path, monkeypatch, job_file=PRIVATE.replace("missing = 25", "missing = 0"), terms=BUDGET + "missing = 0\n"
    )
    theatre.with_sites({3: silent_when("upload", rounds=LATER)})
    _, told = theatre.play_in_vain()
    assert "learning not done" in told
    failures = [record.failure for record in theatre.told.rounds if record.failure]
    assert failures
    assert all("4 are needed" in failure for failure in failures)
    theatre.assert_audit_passes()


def test_a_coordinator_that_asks_for_a_release_again_from_another_state_gets_nothing(private: Theatre):
    """Two sums of the same release, from two states, would be two for the price of one."""
    honest = Rounds.run
    asked: list[State] = []

    def twice(rounds: Rounds, past: Past, state: State) -> object:
        result = honest(rounds, past, state)
        if past.number == 1 and state.noisy is not None:
            other = replace(state, noisy=replace(state.noisy, weights=state.noisy.weights + 0.25))
            asked.append(other)
            call = Call(rounds._grounds.job, 2, rounds._standing.ready_id, canon.pack(other))
            for seat in range(4):
                rounds._lines.send(seat, rounds._say(call))
        return result

    private.patch.setattr(Rounds, "run", twice)
    private.play()
    assert asked
    for name in FOUR:
        (complaint,) = private.complaints(name)
        assert complaint == ("release 1 was made from another state; a second one would spend the privacy budget again")
    private.assert_audit_passes()


def test_a_withdrawn_data_set_spends_nothing_more(private: Theatre):
    withdrawn: list[bytes] = []

    def withdraw(record: object) -> None:
        if not withdrawn:
            steward = private.wallet("Elm")
            (dataset,) = [one.id for one in private.network.chain.datasets() if one.steward == steward.account]
            steward.withdraw_dataset(dataset)
            withdrawn.append(dataset)

    honest = small_job.Onlooker.round
    private.patch.setattr(
        small_job.Onlooker,
        "round",
        lambda self, record, state, session: (withdraw(record), honest(self, record, state, session)),
    )
    end = private.play()
    assert end.stage is Stage.COMPLETED
    assert private.counted(3) == [True, *[False] * 4]
    assert "the data set was withdrawn; nothing more is spent of its privacy budget" in private.complaints("Elm")


def test_a_site_that_is_asked_again_or_starts_again_adds_the_same_noise(private: Theatre):
    """Fresh noise for the same state would average out."""
    made = private.with_restarts([1, 2], "upload")
    asked: list[bool] = []

    def twice(doing: str, round: int, honestly: Callable[[], Sequence[bytes]]) -> Sequence[bytes]:
        said = list(honestly())
        if doing == "upload":
            asked.append(said == list(honestly()))
        return said

    private.with_sites({0: twice, 1: twice})
    end = private.play()
    assert end.stage is Stage.COMPLETED
    assert asked == [True] * (2 * RELEASES)
    assert all(one.starts > RELEASES for one in made.values())
    private.assert_audit_passes()


def test_questions_are_answered_by_one_noisy_sum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    theatre = Theatre(tmp_path, monkeypatch, job_file=QUESTIONS, terms=BUDGET)
    end: Ending = theatre.play()
    assert end.stage is Stage.COMPLETED
    assert end.rounds == 1
    assert charged(theatre) == {RESERVED}
    answers = json.loads((theatre.workspace.answers / "small.json").read_text())
    text = (theatre.workspace.answers / "small.txt").read_text()
    assert "malignant (histogram)" in text
    assert "radius (mean)" in text
    assert answers
    theatre.assert_audit_passes()
    assert "epsilon 2 at delta 1e-06 for 1 sums" in detail(theatre, "is worth the epsilon")


def test_questions_with_more_cells_than_patients_bear_are_refused_before_anything_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """By the play, before money is locked; and by every site, should a buyer ask all the same."""
    fine = QUESTIONS.replace(
        'kind = "mean"\ncolumn = "radius_mean"', 'kind = "histogram"\ncolumn = "radius_mean"\nbins = 900'
    )
    theatre = Theatre(tmp_path, monkeypatch, job_file=fine, terms=BUDGET)
    with pytest.raises(Refused, match=r"small.toml: query 'radius': 90\d cells of radius_mean need 22\d\d rows"):
        theatre.play()
    monkeypatch.setattr(ordering, "_check_cells", lambda *_: None)
    _, told = theatre.play_in_vain()
    assert "learning not done" in told
    for name in FOUR:
        assert "query 'radius'" in theatre.complaints(name)[0]
    assert charged(theatre) == {(0, 0)}
    assert "0 sums were opened" in detail(theatre, "budget bore")


def test_a_specification_that_states_less_than_its_noise_is_worth_is_refused(private: Theatre):
    """By whoever reads it, before anything is paid."""
    honest = ordering.specify

    def cheap(*arguments: object, **named: object) -> JobSpec:
        spec = honest(*arguments, **named)  # type: ignore[arg-type]
        assert spec.privacy is not None
        return replace(spec, privacy=replace(spec.privacy, epsilon_micro=1_000_000))

    private.patch.setattr(ordering, "specify", cheap)
    with pytest.raises(Refused, match=r"states an epsilon of 1, and what it opens is worth (2|1\.9\d*)"):
        private.play()


def test_a_site_writes_down_every_release_of_a_run(private: Theatre):
    """What the releases of a whole run are written down as."""
    private.play()
    assert private.played is not None
    for name in FOUR:
        with SqliteJournal(private.workspace.party(name) / "journal.sqlite") as journal:
            assert seating.releases(journal, private.played.job) == RELEASES
