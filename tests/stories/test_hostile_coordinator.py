"""Whole jobs whose coordinator lies: to sites, about sums, to the chain, about money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import small_job
from theatre import ROUND, Theatre, assert_everything_went_back, garbled_when, silent_when

from caduceus.agents import coordinator as coordinating
from caduceus.agents import rounds as rounding
from caduceus.agents.consent import receipts
from caduceus.agents.conversation import Conversation
from caduceus.agents.rounds import Past, Rounds
from caduceus.edges.gateway import GatewayWallet, Reverted
from caduceus.errors import Refused
from caduceus.kinds import Digest, Seat, Stage, Tokens
from caduceus.learn.program import Program
from caduceus.learn.state import State
from caduceus.ports import Anchor
from caduceus.protocol.secagg_messages import Survivors
from caduceus.protocol.secagg_server import Phase, Server
from caduceus.protocol.session_for import Grounds
from caduceus.wiring import play as wiring

NAMES = small_job.FOUR


# ---------------------------------------------------------------- to the sites


def _lie_about_survivors(theatre: Theatre, lists: dict[int, tuple[int, ...]], *, round_: int) -> None:
    """In one round, some sites are shown another list of survivors than the others."""
    honest = Server.advance

    def advance(self: Server) -> dict[int, bytes]:
        sent = dict(honest(self))
        if self.phase is Phase.CONSENT and self.session.round == round_:
            sent |= {seat: self._say(Survivors(self.session.digest, seats, (0,))) for seat, seats in lists.items()}
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
    assert len(theatre.setups()) == 2
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


@pytest.mark.parametrize("number", [1, 5], ids=["under its own number", "under a new number"])
def test_an_old_round_played_again_without_a_site_opens_no_second_sum(number, theatre):
    """The difference of the two sums would be that site's update."""
    again = theatre.play_round_1_again(number=number, without=3)
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    (second,) = again
    assert second.record.failure == "only 0 sites answered with consent, 3 are needed"
    assert second.record.after == second.record.before
    for name in NAMES[:3]:
        (complaint,) = theatre.complaints(name)
        assert "survivors was decided differently before" in complaint
    theatre.assert_audit_passes()


def test_no_site_uploads_under_two_set_ups_in_one_round(theatre):
    """Two masked vectors of one round would be two chances to open it."""
    again = theatre.play_round_1_again(number=1, without=3, new_setup=True)
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    (second,) = again
    assert second.record.failure == "only 0 sites answered with upload, 3 are needed"
    assert second.record.setup not in theatre.setups()
    for name in NAMES[:3]:
        (complaint,) = theatre.complaints(name)
        assert "session was decided differently before" in complaint
    # What followed stands on the first set-up again: nobody threw it away.
    assert len(theatre.setups()) == 1
    theatre.assert_audit_passes()


def test_a_state_under_another_set_up_and_number_opens_the_same_sum_or_none(theatre):
    """A new set-up has other masks, and the list that was agreed to for the state still stands."""
    again = theatre.play_round_1_again(number=5, without=3, new_setup=True)
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    (second,) = again
    assert second.record.failure == "only 0 sites answered with consent, 3 are needed"
    for name in NAMES[:3]:
        (complaint,) = theatre.complaints(name)
        assert "survivors was decided differently before" in complaint


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
    honest_finish = rounding.finish
    honest_run = Rounds.run

    def own_state(self: Rounds, past: Past, state: State):
        return honest_run(self, past, replace_newton(state) if past.number == 2 else state)

    def anchored_as_if(server: Server, *arguments):
        done = honest_finish(server, *arguments)
        if server.session.round == 2:
            fields = {name: getattr(done.record, name) for name in type(done.record).__slots__}
            done = replace(done, record=type(done.record)(**fields | {"before": theatre.told.rounds[-1].after}))
        return done

    theatre.patch.setattr(Rounds, "run", own_state)
    theatre.patch.setattr(rounding, "finish", anchored_as_if)
    with pytest.raises(Refused, match="only 0 of 4 sites signed the settlement, 3 are needed"):
        theatre.play()
    for name in NAMES:
        (complaint,) = theatre.complaints(name)
        assert complaint == "the coordinator: called to round 2 with another state than it anchored"


def test_a_set_up_that_is_not_the_chains_is_found_by_the_audit_even_if_all_agreed_to_it(theatre):
    """Coordinator and sites together ask for more sites than the plan says, as they might for fewer."""
    honest = Grounds.setup

    def another(self: Grounds, **given):
        setup = honest(self, **given)
        fields = {name: getattr(setup, name) for name in type(setup).__slots__}
        return type(setup)(**fields | {"quorum": setup.quorum + 1})

    with theatre.patch.context() as patch:
        patch.setattr(Grounds, "setup", another)
        assert theatre.play().stage is Stage.COMPLETED
    assert theatre.audit() == "round 0: its set-up is not the one that the chain gives"


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


class Crash(BaseException): ...


def _crash_when(theatre: Theatre, moment, *, after: bool) -> None:
    """End the process before or after the coordinator listens, as soon as `moment(server)` is true of what it runs."""
    honest = Conversation._listen

    def listen(self: Conversation, server, *arguments):
        is_due = moment(server)
        if not is_due or after:
            honest(self, server, *arguments)
        if is_due:
            raise Crash

    with theatre.patch.context() as patch:
        patch.setattr(Conversation, "_listen", listen)
        with pytest.raises(Crash):
            theatre.play()
    theatre.told.rounds.clear()


def _uploads_of(round_: int):
    return lambda server: isinstance(server, Server) and (server.phase, server.session.round) == (Phase.UPLOAD, round_)


def _consents_of(round_: int):
    return lambda server: isinstance(server, Server) and (server.phase, server.session.round) == (Phase.CONSENT, round_)


def test_a_crash_in_a_round_that_not_everyone_plays_again_costs_nobody_anything(theatre):
    """All hold receipts for their uploads; then one is gone, and its upload is in the sum all the same."""
    _crash_when(theatre, _uploads_of(1), after=True)
    theatre.with_sites({3: silent_when(*ROUND, rounds=range(1, 2))})
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    assert [record.failure for record in theatre.told.rounds] == [""] * 5
    assert all(theatre.told.rounds[1].uploads)
    assert theatre.counted(3) == [True] * 5
    assert end.pulled["coordinator"] == (5_000, 10_000)
    assert theatre.told.faults == []
    theatre.assert_audit_passes()


def test_a_crash_after_a_survivor_list_was_told_keeps_to_it_although_a_site_comes_back(theatre):
    honest = wiring.Loopback
    theatre.with_sites({3: silent_when(*ROUND, rounds=range(1, 2))})
    _crash_when(theatre, _consents_of(1), after=True)
    theatre.patch.setattr(wiring, "Loopback", honest)
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    assert [record.failure for record in theatre.told.rounds] == [""] * 5
    assert theatre.counted(3) == [True, False, True, True, True]
    assert theatre.told.faults == []
    theatre.assert_audit_passes()


def test_a_site_that_denies_its_upload_after_a_crash_is_in_the_sum_all_the_same(theatre):
    """It holds a receipt: were its upload left out, it could take the coordinator's bond."""
    _crash_when(theatre, _uploads_of(1), after=True)
    theatre.with_sites({3: garbled_when("upload", lambda _: b"hello", rounds=range(1, 2))})
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    assert theatre.counted(3) == [True] * 5
    (fault,) = theatre.faults(theatre.told.rounds[1])
    assert fault.seat == 3
    assert end.pulled["coordinator"] == (5_000, 10_000)
    theatre.assert_audit_passes()


def test_a_crash_between_a_set_up_and_the_first_upload_goes_on_with_the_same_set_up(theatre):
    _crash_when(theatre, _uploads_of(0), after=False)
    asked: list[str] = []

    def counting(doing, round, honestly):
        asked.append(doing)
        return honestly()

    theatre.with_sites(dict.fromkeys(range(4), counting))
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    assert [record.failure for record in theatre.told.rounds] == [""] * 5
    assert "advertise" not in asked
    assert asked.count("upload") == 4 * 5
    assert len(theatre.setups()) == 1
    assert theatre.told.faults == []
    theatre.assert_audit_passes()


def test_a_job_that_a_crash_left_in_a_round_gives_everything_back_and_passes_its_audit(theatre):
    """Uploads are in the transcript, and no round on the chain has them."""
    _crash_when(theatre, _uploads_of(1), after=True)
    theatre.run_out()
    end, told = theatre.play_in_vain()
    assert_everything_went_back(end)
    assert "4 sites" in told
    assert "learning not done" in told
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

    def settle(self, job, claims, payout, signatures, slashed):
        refused = []
        others = (
            (Digest(bytes(32)), payout, slashed),
            (claims, Tokens(payout - 1), slashed),
            (claims, payout, (Seat(2),)),
        )
        for changed, paid, named in others:
            with pytest.raises(Reverted, match="SignatureInvalid"):
                honest(self, job, changed, paid, signatures, named)
            refused.append(changed)
        with pytest.raises(Reverted, match="QuorumMissing"):
            honest(self, job, claims, payout, signatures[:2], slashed)
        assert len(refused) == 3
        return honest(self, job, claims, payout, signatures, slashed)

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
