"""Whole jobs in which a site says nothing, something else, or something false."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import small_job
from theatre import LATER, ROUND, SETUP, Mischief, Theatre, assert_everything_went_back, garbled_when, silent_when

from caduceus.agents.steward import Steward
from caduceus.crypto import shamir
from caduceus.data.policy import Terms
from caduceus.kinds import Stage
from caduceus.protocol import secagg_setup_site
from caduceus.protocol.secagg_server import EXPECTS
from caduceus.protocol.secagg_setup_server import SETUP_EXPECTS
from caduceus.wiring import play as wiring

DUE = dict(zip((*SETUP, *ROUND), (*SETUP_EXPECTS.values(), *EXPECTS.values()), strict=True))
"""The kind of message that a site sends when it does something."""

BEFORE_READY = SETUP[:3]
"""Whoever fails here is in no round of the set-up."""
NAMES = small_job.FOUR
ROUNDS = 5
"""Of the job, when none fails."""
ASKED_AGAIN = 4
"""Rounds on a set-up that some sites missed, before there is another."""

FIRST = range(1)


def halved(body: bytes) -> bytes:
    return body[: len(body) // 2]


def flipped(body: bytes) -> bytes:
    return body[:-1] + bytes([body[-1] ^ 1])


def unrelated(_body: bytes) -> bytes:
    return b"hello"


# ---------------------------------------------------------------- silence


@pytest.mark.parametrize("exchange", SETUP)
def test_a_site_that_falls_silent_in_a_set_up_is_asked_again_after_a_few_rounds(exchange, theatre):
    theatre.with_sites({2: silent_when(exchange, rounds=FIRST)})
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    assert end.rounds == ROUNDS
    is_ready = exchange not in BEFORE_READY
    assert theatre.counted(2) == [*[is_ready] * ASKED_AGAIN, True]
    assert [theatre.counted(seat) for seat in (0, 1, 3)] == [[True] * ROUNDS] * 3
    assert [len(theatre.setup(record).ready.seats) for record in theatre.told.rounds] == [
        *[3 + is_ready] * ASKED_AGAIN,
        4,
    ]
    paid = {name: end.pulled[name][0] for name in NAMES}
    assert sum(paid.values()) == 95_003
    if not is_ready:
        assert 0 < paid["Cedar"] * 4 < min(paid["Ash"], paid["Birch"], paid["Elm"])
    assert theatre.told.faults == []
    theatre.assert_audit_passes()


@pytest.mark.parametrize("exchange", SETUP)
def test_a_site_that_is_silent_in_every_set_up_is_paid_only_if_it_was_ready(exchange, theatre):
    theatre.with_sites({2: silent_when(exchange)})
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    is_ready = exchange not in BEFORE_READY
    assert theatre.counted(2) == [is_ready] * ROUNDS
    assert len(theatre.setups()) == 2 - is_ready
    assert (end.pulled["Cedar"][0] > 0) == is_ready
    assert end.pulled["Cedar"][1] == 2_000
    theatre.assert_audit_passes()


@pytest.mark.parametrize("exchange", ROUND)
def test_a_site_that_falls_silent_in_any_round_is_left_out_and_the_others_are_paid(exchange, theatre):
    theatre.with_sites({2: silent_when(exchange, rounds=LATER)})
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    assert end.rounds == ROUNDS
    assert theatre.counted(2) == [True, *[exchange != "upload"] * 4]
    assert [theatre.counted(seat) for seat in (0, 1, 3)] == [[True] * ROUNDS] * 3
    assert len(theatre.setups()) == 1
    paid = {name: end.pulled[name][0] for name in NAMES}
    assert sum(paid.values()) == 95_003
    if exchange == "upload":
        assert 0 < paid["Cedar"] * 4 < min(paid["Ash"], paid["Birch"], paid["Elm"])
    assert end.pulled["Cedar"][1] == 2_000
    theatre.assert_audit_passes()


def test_a_site_that_returns_after_a_silence_counts_again_and_agrees(theatre):
    """It missed the survivors' list of a round whose sum its upload is in: no reason not to sign."""
    theatre.with_sites({2: silent_when("consent", rounds=range(1, 2))})
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    assert all(record.survivors == (0, 1, 2, 3) for record in theatre.told.rounds)
    assert theatre.complaints("Cedar") == []
    theatre.assert_audit_passes()


def test_a_site_that_does_not_agree_to_the_settlement_does_not_hold_it_up(theatre):
    theatre.with_sites({1: silent_when("agree")})
    assert theatre.play().stage is Stage.COMPLETED
    theatre.assert_audit_passes()


@pytest.mark.parametrize("exchange", SETUP)
def test_too_many_sites_silent_in_the_set_ups_leave_nothing_to_anchor_and_everything_goes_back(exchange, theatre):
    theatre.with_sites({1: silent_when(exchange), 2: silent_when(exchange)})
    end, told = theatre.play_in_vain()
    assert_everything_went_back(end)
    assert "expired, with 4 sites, 0 rounds and its learning not done" in told
    assert theatre.told.rounds == []
    complaints = theatre.complaints("coordinator")
    assert len(complaints) == 2
    assert all("only 2 " in complaint and "needed" in complaint for complaint in complaints)
    theatre.assert_audit_passes()


@pytest.mark.parametrize("exchange", SETUP)
def test_a_set_up_that_came_to_nothing_is_tried_again(exchange, theatre):
    tries = {1: 0, 2: 0}

    def silent_once(seat: int) -> Mischief:
        def mischief(doing, round, honestly):
            if doing == exchange:
                tries[seat] += 1
            return [] if doing == exchange and tries[seat] == 1 else honestly()

        return mischief

    theatre.with_sites({seat: silent_once(seat) for seat in tries})
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    assert end.rounds == ROUNDS
    assert tries == {1: 2, 2: 2}
    assert len(theatre.setups()) == len(theatre.complaints("coordinator")) == 1
    theatre.assert_audit_passes()


@pytest.mark.parametrize("exchange", ROUND)
def test_too_many_silent_sites_fail_the_rounds_and_everything_goes_back(exchange, theatre):
    theatre.with_sites({1: silent_when(exchange), 2: silent_when(exchange)})
    end, told = theatre.play_in_vain()
    assert_everything_went_back(end)
    assert "expired, with 4 sites, 2 rounds and its learning not done" in told
    assert len(theatre.told.rounds) == end.rounds == 2
    kind = DUE[exchange].split("/")[1]
    for record in theatre.told.rounds:
        assert record.failure == f"only 2 sites answered with {kind}, 3 are needed"
        assert record.survivors == ()
        assert record.after == record.before
    theatre.assert_audit_passes()


def test_after_a_failed_round_the_same_sites_are_summed_from_the_same_state_under_another_set_up(theatre):
    gone_once = silent_when("open", rounds=range(1, 2))
    theatre.with_sites({1: gone_once, 2: gone_once})
    end = theatre.play()
    assert end.rounds == ROUNDS + 1
    assert [bool(record.failure) for record in theatre.told.rounds] == [False, True, False, False, False, False]
    assert theatre.told.rounds[2].survivors == (0, 1, 2, 3)
    failed, again = theatre.told.rounds[1:3]
    assert failed.before == again.before
    assert failed.setup == theatre.told.rounds[0].setup
    assert {record.setup for record in theatre.told.rounds[2:]} == {again.setup}
    assert theatre.setup(again).setup.first == 2
    assert again.setup != failed.setup
    assert theatre.told.faults == []
    theatre.assert_audit_passes()


def test_a_job_that_gave_up_gives_up_again_and_changes_nothing(theatre):
    theatre.with_sites({1: silent_when("upload"), 2: silent_when("upload")})
    first, told = theatre.play_in_vain()
    assert theatre.play_in_vain() == (first, told)


# ---------------------------------------------------------------- garbage, and false secrets


@pytest.mark.parametrize("garbage", [unrelated, halved, flipped])
@pytest.mark.parametrize("exchange", SETUP)
def test_a_site_that_sends_garbage_in_a_set_up_is_named_and_asked_again(exchange, garbage, theatre):
    theatre.with_sites({2: garbled_when(exchange, garbage, rounds=FIRST)})
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    is_ready = exchange not in BEFORE_READY
    assert theatre.counted(2) == [*[is_ready] * ASKED_AGAIN, True]
    first, *_, last = (theatre.setup(record) for record in theatre.told.rounds)
    (fault,) = first.faults
    assert (fault.seat, fault.due) == (2, DUE[exchange])
    assert fault.evidence
    assert is_ready or last.faults == ()
    assert {name for name, (amount, _) in end.pulled.items() if amount} == {*NAMES, "coordinator"}
    theatre.assert_audit_passes()


@pytest.mark.parametrize("garbage", [unrelated, halved, flipped])
@pytest.mark.parametrize("exchange", ROUND)
def test_a_site_that_sends_garbage_is_named_and_the_others_are_paid(exchange, garbage, theatre):
    theatre.with_sites({2: garbled_when(exchange, garbage, rounds=LATER)})
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    first, *later = theatre.told.rounds
    assert theatre.faults(first) == ()
    for record in later:
        (fault,) = theatre.faults(record)
        assert (fault.seat, fault.due) == (2, DUE[exchange])
        assert fault.evidence
        assert (2 in record.survivors) == (exchange != "upload")
    assert {name for name, (amount, _) in end.pulled.items() if amount} == {*NAMES, "coordinator"}
    theatre.assert_audit_passes()


def _shares_another_self_mask(monkeypatch: pytest.MonkeyPatch, rounds: range) -> Mischief:
    """Deals shares of other self-mask seeds than it commits to, for some of the job's rounds."""
    share: Callable[..., object] = shamir.share
    cheating = threading.local()  # sites may be served by several threads

    def share_another(secrets: list[bytes], **options: object) -> object:
        first = getattr(cheating, "first", None)
        if first is not None:
            is_altered = [at % 2 == 0 and first + at // 2 in rounds for at in range(len(secrets))]
            secrets = [one[::-1] if altered else one for one, altered in zip(secrets, is_altered, strict=True)]
        return share(secrets, **options)

    monkeypatch.setattr(secagg_setup_site.shamir, "share", share_another)

    def cheat(doing, round, honestly):
        cheating.first = round if doing == "deal" else None
        try:
            return honestly()
        finally:
            cheating.first = None

    return cheat


def test_a_site_that_shares_another_secret_fails_a_round_and_is_named(theatre, monkeypatch):
    theatre.with_sites({2: _shares_another_self_mask(monkeypatch, range(1, 2))})
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    assert [bool(record.failure) for record in theatre.told.rounds] == [False, True, False, False, False, False]
    failed = theatre.told.rounds[1]
    assert "seat 2 shared another self-mask seed than it committed to" in failed.failure
    (fault,) = theatre.faults(failed)
    assert fault.seat == 2
    assert fault.evidence
    assert len(theatre.setups()) == 2
    theatre.assert_audit_passes()


def test_a_site_that_keeps_sharing_another_secret_ends_the_job_and_everything_goes_back(theatre, monkeypatch):
    """The round that it spoils has shown who is in it: no other sum is opened from that state, and the job gives up."""
    theatre.with_sites({2: _shares_another_self_mask(monkeypatch, LATER)})
    end, told = theatre.play_in_vain()
    assert_everything_went_back(end)
    assert "3 rounds and its learning not done" in told
    good, *bad = theatre.told.rounds
    assert not good.failure
    for record in bad:
        assert "seat 2" in record.failure
        assert [fault.seat for fault in theatre.faults(record)] == [2]
    theatre.assert_audit_passes()


# ---------------------------------------------------------------- stewards


def _other_terms(theatre: Theatre, *names: str) -> None:
    """Some stewards lend their data for teaching only."""
    opened = wiring.open_site

    def open_site(workspace, network, party, records, federation, terms: Terms, stack):
        if party.name in names:
            terms = Terms(**{name: getattr(terms, name) for name in Terms.__slots__} | {"purposes": ("teaching",)})
        return opened(workspace, network, party, records, federation, terms, stack)

    theatre.patch.setattr(wiring, "open_site", open_site)


def test_a_steward_whose_terms_do_not_allow_the_job_stays_away_and_the_others_play(theatre):
    _other_terms(theatre, "Birch")
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    assert set(end.pulled) == {"Ash", "Cedar", "Elm", "coordinator"}
    assert end.balances["Birch"] == 0
    (complaint,) = theatre.complaints("Birch")
    assert "its terms do not allow the job" in complaint
    assert "research" in complaint
    theatre.assert_audit_passes()


def test_a_job_that_too_few_terms_allow_is_called_off(theatre):
    _other_terms(theatre, "Birch", "Elm")
    end, told = theatre.play_in_vain()
    assert_everything_went_back(end, sites=("Ash", "Cedar"))
    assert "expired, with 2 sites, 0 rounds" in told
    theatre.assert_audit_passes()


def test_a_steward_that_enrols_against_its_own_terms_is_found_by_the_audit(theatre):
    _other_terms(theatre, "Birch")
    with theatre.patch.context() as patch:
        patch.setattr(
            Steward, "consider", lambda self, entry: type("Yes", (), {"allowed": True, "enforce": lambda _: None})()
        )
        assert theatre.play().stage is Stage.COMPLETED
    found = theatre.audit()
    assert found is not None
    assert found.startswith("seat 1: ")
    assert "research" in found
