"""Whole jobs in which a site says nothing, something else, or something false."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import small_job
from theatre import Theatre, assert_everything_went_back, garbled_when, silent_when

from caduceus.agents.steward import Steward
from caduceus.crypto import shamir
from caduceus.data.policy import Terms
from caduceus.kinds import Stage
from caduceus.protocol import secagg_client
from caduceus.wiring import play as wiring

PHASES = ("advertise", "share", "upload", "consent", "open")
BEFORE_UPLOAD = PHASES[:3]
"""Whoever fails here is in no sum."""
NAMES = small_job.FOUR
ROUNDS = 5
"""Of the job, when none fails."""


def halved(body: bytes) -> bytes:
    return body[: len(body) // 2]


def flipped(body: bytes) -> bytes:
    return body[:-1] + bytes([body[-1] ^ 1])


def unrelated(_body: bytes) -> bytes:
    return b"hello"


@pytest.mark.parametrize("phase", PHASES)
def test_a_site_that_falls_silent_in_any_phase_is_left_out_and_the_others_are_paid(phase, theatre):
    theatre.with_sites({2: silent_when(phase, since=1)})
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    assert end.rounds == ROUNDS
    counted = [2 in record.survivors for record in theatre.told.rounds]
    assert counted == ([True, *[phase not in BEFORE_UPLOAD] * 4])
    assert all({0, 1, 3} <= set(record.survivors) for record in theatre.told.rounds)
    paid = {name: end.pulled[name][0] for name in NAMES}
    assert sum(paid.values()) == 95_003
    if phase in BEFORE_UPLOAD:
        assert 0 < paid["Cedar"] * 4 < min(paid["Ash"], paid["Birch"], paid["Elm"])
    assert end.pulled["Cedar"][1] == 2_000
    theatre.assert_audit_passes()


@pytest.mark.parametrize("garbage", [unrelated, halved, flipped])
@pytest.mark.parametrize("phase", PHASES)
def test_a_site_that_sends_garbage_is_named_and_the_others_are_paid(phase, garbage, theatre):
    theatre.with_sites({2: garbled_when(phase, garbage, since=1)})
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    first, *later = theatre.told.rounds
    assert theatre.faults(first) == ()
    for record in later:
        (fault,) = theatre.faults(record)
        assert (fault.seat, fault.phase) == (2, PHASES.index(phase))
        assert fault.evidence
        assert (2 in record.survivors) == (phase not in BEFORE_UPLOAD)
    assert {name for name, (amount, _) in end.pulled.items() if amount} == {*NAMES, "coordinator"}
    theatre.assert_audit_passes()


def test_a_site_that_returns_after_a_silence_counts_again_and_agrees(theatre):
    """It missed the survivors' list of a round whose sum its upload is in: no reason not to sign."""
    theatre.with_sites({2: lambda doing, round, honestly: [] if round == 1 and doing == "consent" else honestly()})
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    assert all(record.survivors == (0, 1, 2, 3) for record in theatre.told.rounds)
    assert theatre.complaints("Cedar") == []
    theatre.assert_audit_passes()


def test_a_site_that_does_not_agree_to_the_settlement_does_not_hold_it_up(theatre):
    theatre.with_sites({1: silent_when("agree")})
    assert theatre.play().stage is Stage.COMPLETED
    theatre.assert_audit_passes()


def test_a_site_that_shares_another_secret_is_named_and_everything_goes_back(theatre, monkeypatch):
    """The round that it spoils has shown who is in it: no other sum is opened from that state, and the job gives up."""
    share: Callable[..., object] = shamir.share
    cheating = threading.local()  # sites are served by several threads

    def share_another(secrets: tuple[bytes, ...], **options: object) -> object:
        if getattr(cheating, "now", False):
            secrets = (secrets[0][::-1], *secrets[1:])
        return share(secrets, **options)

    def cheat(doing, round, honestly):
        cheating.now = doing == "share"
        try:
            return honestly()
        finally:
            cheating.now = False

    monkeypatch.setattr(secagg_client.shamir, "share", share_another)
    theatre.with_sites({2: cheat})
    end, told = theatre.play_in_vain()
    assert_everything_went_back(end)
    assert "2 rounds and its learning not done" in told
    for record in theatre.told.rounds:
        assert "seat 2" in record.failure
        assert [fault.seat for fault in theatre.faults(record)] == [2]
    theatre.assert_audit_passes()


@pytest.mark.parametrize("phase", PHASES)
def test_too_many_silent_sites_fail_the_rounds_and_everything_goes_back(phase, theatre):
    theatre.with_sites({1: silent_when(phase), 2: silent_when(phase)})
    end, told = theatre.play_in_vain()
    assert_everything_went_back(end)
    assert "expired, with 4 sites, 2 rounds and its learning not done" in told
    assert len(theatre.told.rounds) == end.rounds == 2
    for record in theatre.told.rounds:
        assert record.failure == f"only 2 of 4 sites answered with {phase}, 3 are needed"
        assert record.survivors == ()
        assert record.after == record.before
    theatre.assert_audit_passes()


def test_after_a_failed_round_the_same_sites_are_summed_from_the_same_state(theatre):
    gone_once = {
        seat: (lambda doing, round, honestly: [] if round == 1 and doing == "open" else honestly()) for seat in (1, 2)
    }
    theatre.with_sites(gone_once)
    end = theatre.play()
    assert end.rounds == ROUNDS + 1
    assert [bool(record.failure) for record in theatre.told.rounds] == [False, True, False, False, False, False]
    assert theatre.told.faults == []
    theatre.assert_audit_passes()


def test_a_job_that_gave_up_gives_up_again_and_changes_nothing(theatre):
    theatre.with_sites({1: silent_when("upload"), 2: silent_when("upload")})
    first, told = theatre.play_in_vain()
    assert theatre.play_in_vain() == (first, told)


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
