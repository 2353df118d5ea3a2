"""Whole jobs whose coordinator lies: to sites, about sums, to the chain, about money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import small_job
from theatre import Theatre, assert_everything_went_back, silent_when

from caduceus.agents import coordinator as coordinating
from caduceus.agents.coordinator import Coordinator
from caduceus.agents.seat import receipts
from caduceus.edges.gateway import GatewayWallet, Reverted
from caduceus.errors import Refused
from caduceus.kinds import Digest, Stage, Tokens
from caduceus.learn.program import Program
from caduceus.learn.state import State
from caduceus.ports import Anchor, Envelope
from caduceus.protocol.round import Done
from caduceus.protocol.secagg_messages import Survivors
from caduceus.protocol.secagg_server import Phase, Server
from caduceus.wiring import play as wiring

NAMES = small_job.FOUR


# ---------------------------------------------------------------- to the sites


def _lie_about_survivors(theatre: Theatre, lists: dict[int, tuple[int, ...]], *, round_: int) -> None:
    """In one round, some sites are shown another list of survivors than the others."""
    honest = Server.advance

    def advance(self: Server) -> dict[int, bytes]:
        sent = honest(self)
        if self.phase is Phase.CONSENT and self.session.round == round_:
            sent |= {seat: self._say(Survivors(self.session.digest, seats)) for seat, seats in lists.items()}
        return sent

    theatre.patch.setattr(Server, "advance", advance)


def test_two_lists_of_survivors_never_both_open_a_sum(theatre):
    """Half of the sites are told that seat 0 is gone; what was agreed to then stands for the state, whoever asks."""
    _lie_about_survivors(theatre, {2: (1, 2, 3), 3: (1, 2, 3)}, round_=1)
    end, told = theatre.play_in_vain()
    assert_everything_went_back(end)
    assert "3 rounds and its learning not done" in told
    assert [bool(record.failure) for record in theatre.told.rounds] == [False, True, True]
    assert {fault.seat for fault in theatre.faults(theatre.told.rounds[1])} == {2, 3}
    for name in ("Cedar", "Elm"):
        (complaint,) = theatre.complaints(name)
        assert "decided differently before" in complaint
    theatre.assert_audit_passes()


def test_a_site_that_was_shown_another_list_does_not_sign_the_settlement(theatre):
    _lie_about_survivors(theatre, {2: (1, 2, 3)}, round_=1)
    assert theatre.play().stage is Stage.COMPLETED
    assert theatre.told.rounds[1].survivors == (0, 1, 2, 3)
    (complaint,) = theatre.complaints("Cedar")
    assert complaint == "the coordinator: anchored round 1 with other survivors than it showed"
    assert [theatre.complaints(name) for name in NAMES if name != "Cedar"] == [[], [], []]
    theatre.assert_audit_passes()


class _WithoutSeat:
    """Implements `ports.Channel`: the coordinator acts as if it had not heard one site."""

    def __init__(self, channel, site) -> None:
        self.channel, self.site = channel, site

    def send(self, site, body) -> None:
        self.channel.send(site, body)

    def receive(self, *, timeout: float) -> Envelope | None:
        while (envelope := self.channel.receive(timeout=timeout)) is not None and envelope.sender == self.site:
            pass
        return envelope


@pytest.mark.parametrize("number", [1, 9], ids=["under its own number", "under a new number"])
def test_an_old_round_played_again_without_a_site_opens_no_second_sum(number, theatre):
    """The difference of the two sums would be that site's update."""
    honest = Coordinator._round
    again: list[Done] = []

    def twice(self, session, state, task, channel, enrolments, patience):
        done = honest(self, session, state, task, channel, enrolments, patience)
        if session.round == 1:
            old = replace_session(session, number)
            again.append(
                honest(self, old, state, task, _WithoutSeat(channel, enrolments[3].site), enrolments, patience)
            )
        return done

    theatre.patch.setattr(Coordinator, "_round", twice)
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    (second,) = again
    assert second.record.failure
    assert second.record.after == second.record.before
    for name in NAMES[:3]:
        (complaint,) = theatre.complaints(name)
        assert "decided differently before" in complaint
    theatre.assert_audit_passes()


def replace_session(session, number: int):
    """The same session under another number."""
    values = {name: getattr(session, name) for name in type(session).__slots__}
    return type(session)(**values | {"round": number})


# ---------------------------------------------------------------- about the sums


def test_an_altered_sum_is_found_by_the_audit_with_round_and_place(theatre):
    honest = Program.combine

    def altered(self: Program, state: State, total, sites: int) -> State:
        after = honest(self, state, total, sites)
        if state.round == 2 and after.newton is not None:
            after = replace_newton(after)
        return after

    with theatre.patch.context() as patch:
        patch.setattr(Program, "combine", altered)
        assert theatre.play().stage is Stage.COMPLETED
    found = theatre.audit()
    assert found is not None
    assert found.startswith("round 2: the anchored model is not what the sum gives, first in newton.weights")


def replace_newton(state: State) -> State:
    """The state with one weight moved by a thousandth."""
    weights = state.newton.weights.copy()
    weights[0, 1] += 1e-3
    fields = {name: getattr(state.newton, name) for name in type(state.newton).__slots__}
    moved = type(state.newton)(**fields | {"weights": weights})
    return State(**{name: getattr(state, name) for name in State.__slots__} | {"newton": moved})


def test_a_state_that_was_never_anchored_keeps_the_sites_from_signing(theatre):
    """The coordinator asks for a round from a state of its own making, and anchors the round from the right one."""
    honest_finish = coordinating.finish
    honest_round = Coordinator._round

    def own_state(self, session, state, task, channel, enrolments, patience):
        if session.round != 2:
            return honest_round(self, session, state, task, channel, enrolments, patience)
        moved = replace_newton(state)
        other = self._session(self._entry(session.job), 2, enrolments, task, moved)
        return honest_round(self, other, moved, task, channel, enrolments, patience)

    def anchored_as_if(server, task, before, failure):
        done = honest_finish(server, task, before, failure)
        if server.session.round == 2:
            fields = {name: getattr(done.record, name) for name in type(done.record).__slots__}
            done = replace(done, record=type(done.record)(**fields | {"before": theatre.told.rounds[-1].after}))
        return done

    theatre.patch.setattr(Coordinator, "_round", own_state)
    theatre.patch.setattr(coordinating, "finish", anchored_as_if)
    with pytest.raises(Refused, match="only 0 of 4 sites signed the settlement, 3 are needed"):
        theatre.play()
    for name in NAMES:
        (complaint,) = theatre.complaints(name)
        assert complaint == "the coordinator: called to round 2 with another state than it anchored"


# ---------------------------------------------------------------- to the chain


def _anchor_another_root(theatre: Theatre, round_: int) -> None:
    honest = GatewayWallet.anchor

    def anchor(self: GatewayWallet, job, anchors: Sequence[Anchor]):
        changed = [replace(one, root=Digest(one.root[::-1])) if one.round == round_ else one for one in anchors]
        return honest(self, job, changed)

    theatre.patch.setattr(GatewayWallet, "anchor", anchor)


def test_a_root_without_the_uploads_it_gave_receipts_for_costs_the_coordinator_its_bond(theatre):
    _anchor_another_root(theatre, 1)
    end, told = theatre.play_in_vain()
    assert end.stage is Stage.REJECTED
    assert "the job ended rejected" in told
    held = {name: held for name, held in end.balances.items() if held and name != "treasury"}
    assert held == {"buyer": 100_003, "Ash": 2_000 + 10_000, "Birch": 2_000, "Cedar": 2_000, "Elm": 2_000}
    assert theatre.audit() == "round 1: the uploads do not give the anchored root"
    assert theatre.play_in_vain() == (end, told)


def test_a_false_complaint_is_answered_and_changes_nothing(theatre):
    """A site whose receipt is honoured complains; the leaf in its place is the answer."""

    def complain(job, chain, wallet, journal, shown_of) -> None:
        if wallet.account == theatre.cast["Birch"].account:
            round_, receipt = receipts(journal, job)[2]
            wallet.challenge_omission(job, round_, 1, receipt.leaf, receipt.signature)
            with pytest.raises(Reverted, match="ChallengeOpen"):
                wallet.challenge_omission(job, round_, 1, receipt.leaf, receipt.signature)

    theatre.patch.setattr(wiring, "complain", complain)
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    assert end.pulled["coordinator"] == (5_000, 10_000)
    theatre.assert_audit_passes()


def test_a_crash_in_a_round_that_not_everyone_plays_again_costs_nobody_anything(theatre):
    """All hold receipts for their uploads; then one is gone, and the others mask for no other roster."""

    class Crash(BaseException): ...

    honest = Coordinator._listen

    def crash(self, server, *arguments):
        honest(self, server, *arguments)
        if server.session.round == 1 and server.phase is Phase.UPLOAD:
            raise Crash

    with theatre.patch.context() as patch:
        patch.setattr(Coordinator, "_listen", crash)
        with pytest.raises(Crash):
            theatre.play()
    theatre.told.rounds.clear()
    theatre.with_sites({3: lambda doing, round, honestly: [] if round == 0 else honestly()})
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    assert [bool(record.failure) for record in theatre.told.rounds] == [False, True, False, False, False, False]
    assert theatre.told.rounds[1].uploads == (None,) * 4
    assert end.pulled["coordinator"] == (5_000, 10_000)
    theatre.assert_audit_passes()


# ---------------------------------------------------------------- about the money


def _settle_without_cedar(theatre: Theatre) -> None:
    """The coordinator works out another settlement than the sites: what is Cedar's goes to itself."""
    honest = coordinating.settlement_of

    def settlement_of(*arguments):
        settled, records = honest(*arguments)
        *amounts, fee = settled.amounts
        fee, amounts[2] = Tokens(fee + amounts[2]), Tokens(0)
        return replace(settled, amounts=(*amounts, fee)), records

    theatre.patch.setattr(coordinating, "settlement_of", settlement_of)


def test_no_site_signs_a_settlement_that_leaves_a_site_out(theatre):
    with theatre.patch.context() as patch:
        theatre.patch, kept = patch, theatre.patch
        _settle_without_cedar(theatre)
        with pytest.raises(Refused, match="only 0 of 4 sites signed the settlement, 3 are needed"):
            theatre.play()
        theatre.patch = kept
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    assert end.pulled["Cedar"][0] > 0


def test_the_contract_refuses_signatures_for_another_settlement(theatre):
    honest = GatewayWallet.settle

    def settle(self, job, claims, payout, signatures):
        refused = []
        for other in ((Digest(bytes(32)), payout), (claims, Tokens(payout - 1))):
            with pytest.raises(Reverted, match="SignatureInvalid"):
                honest(self, job, *other, signatures)
            refused.append(other)
        with pytest.raises(Reverted, match="QuorumMissing"):
            honest(self, job, claims, payout, signatures[:2])
        assert len(refused) == 2
        return honest(self, job, claims, payout, signatures)

    theatre.patch.setattr(GatewayWallet, "settle", settle)
    assert theatre.play().stage is Stage.COMPLETED
    theatre.assert_audit_passes()


def test_two_sites_that_refuse_to_sign_hold_the_money_until_it_goes_back(theatre):
    theatre.with_sites({0: silent_when("agree"), 1: silent_when("agree")})
    with pytest.raises(Refused, match="only 2 of 4 sites signed"):
        theatre.play()
    theatre.run_out()
    end, told = theatre.play_in_vain()
    assert_everything_went_back(end)
    assert "its learning done" in told
