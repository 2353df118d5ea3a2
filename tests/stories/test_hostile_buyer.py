"""Whole jobs whose buyer wants the money back, or another job than the one it paid for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import small_job
from theatre import Theatre, assert_everything_went_back

from caduceus.edges.gateway import Reverted
from caduceus.errors import Refused
from caduceus.kinds import Digest, Stage, Tokens
from caduceus.wiring import play as wiring

STAGES = ("Enrolling sites", "Training", "Settling", "Paying")


def _grab(theatre: Theatre) -> list[str]:
    """Every way in which a buyer could reach for locked money; what the contract says to each."""
    wallet, job = theatre.wallet("buyer"), theatre.job
    token = theatre.network.deployment.token
    ways = {
        "cancel": lambda: wallet.cancel(job),
        "expire": lambda: wallet.expire(job),
        "withdraw": lambda: wallet.withdraw(token),
        "claim": lambda: wallet.claim(job, Tokens(100_003), 0, ()),
        "claim nothing": lambda: wallet.claim(job, Tokens(0), 0, ()),
        "settle": lambda: wallet.settle(job, Digest(bytes(32)), Tokens(0), []),
        "complete": lambda: wallet.complete(job),
        "enrol": lambda: wallet.enrol(job, Digest(bytes(32))),
        "start": lambda: wallet.start(job),
    }
    reasons = []
    for way in ways.values():
        with pytest.raises(Reverted) as refusal:
            way()
        assert refusal.value.reason is not None
        reasons.append(refusal.value.reason.name)
    return reasons


@pytest.mark.parametrize("stage", STAGES)
def test_locked_money_does_not_come_back_at_any_stage(stage, theatre):
    grabbed: list[str] = []

    def grab(what: str) -> None:
        if what == stage:
            grabbed.extend(_grab(theatre))

    theatre.told.on_begin = grab
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    assert len(grabbed) == 9
    assert grabbed[0] == "WrongStage"
    assert end.balances["buyer"] == 0
    assert sum(amount for amount, _ in end.pulled.values()) == 100_003
    theatre.assert_audit_passes()


def test_a_buyer_may_take_back_a_job_that_nobody_has_accepted(theatre):
    """The one moment at which it may; nothing of the job is left then."""

    def cancel(what: str) -> None:
        if what == "price locked":
            theatre.wallet("buyer").cancel(theatre.job)

    theatre.told.on_step = cancel
    end, told = theatre.play_in_vain()
    assert end.balances["buyer"] == 100_003
    assert end.pulled == {}
    assert "the job ended expired, with 0 sites" in told


def test_a_specification_that_was_exchanged_enrols_nobody(theatre):
    """The chain names the specification by its digest: another blob in its place is no specification."""

    def exchange(what: str) -> None:
        if what == "Enrolling sites":
            (spec,) = [path for path in theatre.workspace.blobs.rglob("*") if path.is_file()]
            spec.write_bytes(spec.read_bytes().replace(b"A small job", b"A great job"))

    theatre.told.on_begin = exchange
    with pytest.raises(Refused, match="do not have the digest of their name"):
        theatre.play()
    assert theatre.seats() == 0


def test_terms_on_the_chain_that_are_not_the_specifications_enrol_nobody(theatre, monkeypatch):
    """The buyer's specification promises a price; the job on the chain pays less."""
    honest = wiring.terms_of
    monkeypatch.setattr(wiring, "terms_of", lambda *a, **k: replace(honest(*a, **k), price=Tokens(50_000)))
    end, told = theatre.play_in_vain()
    assert end.pulled == {"coordinator": (0, 10_000)}
    assert end.balances["buyer"] == 100_003
    assert "expired, with 0 sites" in told
    for name in small_job.FOUR:
        (complaint,) = theatre.complaints(name)
        assert "different values of price" in complaint


def test_a_run_that_is_left_lying_past_its_deadline_gives_everything_back(theatre):
    class Left(BaseException): ...

    def leave(what: str) -> None:
        if what == "Training":
            raise Left

    theatre.told.on_begin = leave
    with pytest.raises(Left):
        theatre.play()
    theatre.told.on_begin = lambda what: None
    theatre.run_out()
    end, told = theatre.play_in_vain()
    assert_everything_went_back(end)
    assert "expired, with 4 sites, 0 rounds" in told
    theatre.assert_audit_passes()
