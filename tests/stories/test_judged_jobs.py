"""Whole jobs whose updates are judged by three aggregators and seen by nobody."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_job
from ending import Ending, assert_audit_passes, ending
from test_crash_and_resume import Fuse, Killed

from caduceus import canon
from caduceus.agents.aggregator import Aggregator
from caduceus.edges.store import FolderStore
from caduceus.edges.workspace import Workspace
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Stage
from caduceus.learn.judged.opened import Given
from caduceus.learn.judged.program import JudgedProgram
from caduceus.learn.state import Phase, State
from caduceus.market.slashing import Ground
from caduceus.protocol import gram_aggregator
from caduceus.protocol.gram_exchange import GramExchange
from caduceus.wiring.audit import audit_run
from caduceus.wiring.order import Order
from caduceus.wiring.play import Played, play
from thorough import tries

ROUNDS = 6  # moments, four of training, evaluation
PARTIES = (*small_job.SIX, small_job.REGISTRY)
POISONER = "Elm"


def written(folder: Path) -> Order:
    return small_job.write(folder, PARTIES, job=small_job.JUDGED, terms=small_job.SEEN, rows_each=80)


def played(folder: Path, order: Order, told: small_job.Onlooker | None = None) -> tuple[Played, Ending]:
    told = small_job.Onlooker() if told is None else told
    done = play(Workspace(folder), order, told)
    return done, ending(Workspace(folder), done.cast, done.job)


@pytest.fixture(scope="module")
def order(tmp_path_factory: pytest.TempPathFactory) -> Order:
    return written(tmp_path_factory.mktemp("asked"))


@pytest.fixture(scope="module")
def finished(order: Order, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Played, Ending]:
    folder = tmp_path_factory.mktemp("judged")
    return folder, *played(folder, order)


def test_a_judged_job_is_trained_paid_and_audited(finished):
    folder, done, end = finished
    assert (end.stage, end.rounds) == (Stage.COMPLETED, ROUNDS)
    assert end.balances["contract"] == 0
    assert_audit_passes(folder)
    assert done.state.quality.auroc[0] > 0.8
    assert sum(reward for reward, _ in end.pulled.values()) <= 100_003
    assert small_job.REGISTRY not in end.pulled


def test_pay_follows_what_was_measured_and_the_rest_goes_back_to_the_buyer(finished):
    _, done, end = finished
    earned = done.state.judged.memory.earned / done.state.judged.rounds
    paid = np.array([end.pulled[name][0] for name in small_job.SIX])
    assert np.abs(paid - np.floor(95_003 * np.floor(earned * 1e6) / 1e6)).max() <= 1
    assert end.balances["buyer"] == pytest.approx(100_003 - 5_000 - paid.sum(), abs=1)


def test_the_auditor_says_what_was_signed_and_what_was_done_again(finished):
    folder, _, _ = finished
    (audit,) = audit_run(folder / "transcript", chain=folder / "chain" / "chain.sqlite", url=None)
    words = {check.claim: check.word.word for check in audit.checks}
    assert words["Every inner product was checked by the aggregators, each by another than made it"] == "signed"
    assert (
        words["Weights, sums, models and pay follow from the inner products, the uploads and the opened shares"]
        == "re-executed"
    )


def test_a_poisoner_earns_next_to_nothing_and_keeps_its_stake(order, tmp_path):
    done, end = played(tmp_path, replace(order, dishonest=((POISONER, "flips-labels"),)))
    assert end.stage is Stage.COMPLETED
    reward, stake = end.pulled[POISONER]
    assert reward < 95_003 / len(small_job.SIX) / 5  # six sites and four rounds: it takes one to see what it does
    assert stake == 2_000
    assert done.state.quality.auroc[0] > 0.6
    assert_audit_passes(tmp_path)


def test_a_row_beyond_its_bound_costs_the_stake_and_the_audit_finds_it_again(order, tmp_path, monkeypatch):
    honest = JudgedProgram.contribute

    def too_long(self, state, site):
        given = honest(self, state, site)
        if site.label != POISONER or state.phase is not Phase.TRAINING:
            return given
        return Given(given.rows * 40, given.report)

    monkeypatch.setattr(JudgedProgram, "contribute", too_long)
    told = small_job.Onlooker()
    _, end = played(tmp_path, order, told)
    assert end.stage is Stage.COMPLETED
    assert end.pulled.get(POISONER, (0, 0)) == (0, 0)
    seat = small_job.SIX.index(POISONER)
    faults = [fault for record in told.rounds for fault in record.faults]
    assert {(fault.seat, fault.ground) for fault in faults} == {(seat, Ground.OVER_BOUND)}
    assert all(seat not in record.survivors for record in told.rounds[1:5])
    assert_audit_passes(tmp_path)


@pytest.mark.parametrize("which", range(3))
def test_an_aggregator_that_multiplies_wrongly_is_found_out_and_nothing_is_opened(which, order, tmp_path, monkeypatch):
    honest = gram_aggregator.GramAggregator._multiply

    def wrong(self, *arguments):
        said = honest(self, *arguments)
        if self._k == which and self._plan.session.round == 2:
            products = said.products.copy()
            products[0, 1] += np.uint64(1 << 40)
            products[1, 0] += np.uint64(1 << 40)
            return replace(said, products=products)
        return said

    monkeypatch.setattr(gram_aggregator.GramAggregator, "_multiply", wrong)
    told = small_job.Onlooker()
    _, end = played(tmp_path, order, told)
    assert end.stage is Stage.COMPLETED  # the coordinator calls again, to a round in which nobody lies
    assert [bool(record.failure) for record in told.rounds] == [False, False, True, *[False] * 4]
    assert "check" in told.rounds[2].failure
    assert_audit_passes(tmp_path)


def test_a_silent_site_is_absent_and_the_others_go_on(order, tmp_path, monkeypatch):
    honest = JudgedProgram.contribute

    def silent(self, state, site):
        if site.label == "Fir" and state.round == 2:
            raise Refused("not today")
        return honest(self, state, site)

    monkeypatch.setattr(JudgedProgram, "contribute", silent)
    told = small_job.Onlooker()
    _, end = played(tmp_path, order, told)
    assert end.stage is Stage.COMPLETED
    assert told.rounds[2].survivors == (0, 1, 2, 3, 5)
    assert [who for who, _ in told.faults] == ["Fir"]
    assert_audit_passes(tmp_path)


def test_an_aggregator_that_is_gone_for_good_ends_the_job_with_everybody_refunded(order, tmp_path, monkeypatch):
    def gone(self, body):
        raise Refused("closed down")

    monkeypatch.setattr(Aggregator, "react", gone)
    with pytest.raises(Refused, match="price and deposits have gone back"):
        play(Workspace(tmp_path), order, small_job.Onlooker())


def test_one_aggregator_opens_one_sum_from_a_state_whatever_the_round_is_called(order, tmp_path, monkeypatch):
    """A coordinator that pretends that the sum never came asks again, with one site fewer."""
    rounds = []
    honest = gram_aggregator.GramAggregator._summed

    def forgotten(self, message):
        said = honest(self, message)
        rounds.append(self._plan.session.round)
        if self._k == 0 and self._plan.session.round == 2:
            raise PeerFault("the coordinator", "is told nothing")
        return said

    monkeypatch.setattr(gram_aggregator.GramAggregator, "_summed", forgotten)
    honest_part = JudgedProgram.contribute

    def missing(self, state, site):
        if site.label == "Fir" and 2 in rounds and state.round == 2:
            raise Refused("not any more")
        return honest_part(self, state, site)

    monkeypatch.setattr(JudgedProgram, "contribute", missing)
    told = small_job.Onlooker()
    with pytest.raises(Refused, match="price and deposits have gone back"):
        play(Workspace(tmp_path), order, told)
    assert any("decided differently" in str(problem) or "another value" in str(problem) for _, problem in told.faults)


PARTS = tries(3, 1)
KINDS = ("journal entry", "blob", "transaction")


@pytest.fixture(scope="module")
def acts(order: Order, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    with pytest.MonkeyPatch.context() as patch:
        fuse = Fuse(patch)
        play(Workspace(tmp_path_factory.mktemp("counted")), order, small_job.Onlooker())
        return dict(fuse.done)


@pytest.mark.parametrize("happens", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_judged_run_that_dies_anywhere_is_played_to_the_same_end(
    part, kind, happens, finished, order, acts, tmp_path
):
    chance, count = random.Random(f"{kind}/{part}/{happens}"), acts[kind]
    number = chance.randrange(part * count // PARTS, (part + 1) * count // PARTS)
    with pytest.MonkeyPatch.context() as patch:
        fuse = Fuse(patch, (kind, number, happens))
        with pytest.raises(Killed):
            play(Workspace(tmp_path), order, small_job.Onlooker())
        assert fuse.dead
    _, end = played(tmp_path, order)
    assert end == finished[2]
    assert_audit_passes(tmp_path)


@pytest.mark.parametrize("group", range(4))
def test_a_flipped_byte_in_the_transcript_of_a_judged_job_is_found(group, finished):
    folder = finished[0]
    blobs = sorted(path for path in (folder / "transcript" / "blobs").rglob("*") if path.is_file())
    chance = random.Random(group)
    for _ in range(4):
        blob = chance.choice(blobs)
        whole = blob.read_bytes()
        place = chance.randrange(len(whole))
        blob.write_bytes(whole[:place] + bytes([whole[place] ^ chance.randrange(1, 256)]) + whole[place + 1 :])
        try:
            (audit,) = audit_run(folder / "transcript", chain=folder / "chain" / "chain.sqlite", url=None)
            found = "" if audit.first_failure is None else audit.first_failure.detail
        except Refused as problem:
            found = str(problem)
        blob.write_bytes(whole)
        assert blob.name in found


def test_no_update_and_no_seed_stands_in_the_transcript(finished, order):
    """What a site computed is nowhere in the public blobs, neither as floats nor in the fixed point."""
    folder, done, _ = finished
    task, store = done.task, FolderStore(folder / "transcript" / "blobs")
    public = b"".join(store.get(name) for name in store.names())
    states = [canon.unpack(State, store.get(name)) for name in store.names() if _tag(store, name) == "learn/state/3"]
    for state in states:
        if state.phase is Phase.TRAINING:
            row = task.contribute(state, done.sites["Ash"]).rows[0]
            steps = np.rint(row * task.scale(state)).astype("<i8")
            assert row.astype("<f8").tobytes()[:64] not in public
            assert steps.tobytes()[:64] not in public
    assert any(_tag(store, name) == canon.tag_of(GramExchange) for name in store.names())


def _tag(store: FolderStore, name: bytes) -> str | None:
    return canon.peek_tag(store.get(name))  # type: ignore[arg-type]
