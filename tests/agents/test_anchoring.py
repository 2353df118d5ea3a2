"""Rounds reach the chain in order, once each, whatever the chain's mood."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caduceus.agents.anchoring import Anchoring
from caduceus.errors import Refused, Unavailable, Uncertain
from caduceus.kinds import Digest, JobId
from caduceus.market.ledger import Anchor, JobEntry
from caduceus.ports import Sent

JOB = JobId(b"j" * 32)


def anchor(number: int) -> Anchor:
    return Anchor(number, *(Digest(bytes([number]) * 32) for _ in range(3)))


class MoodyChain:
    """A chain that follows a script: what each attempt to anchor does, in order; then it just works."""

    def __init__(self, moods: Sequence[str] = (), known: int = 0) -> None:
        self.rounds = [anchor(number) for number in range(known)]
        self.moods = list(moods)
        self.attempts = 0
        self.lock = threading.Lock()

    def job(self, job: JobId) -> JobEntry:
        fields = {field.name: None for field in dataclasses.fields(JobEntry)} | {"rounds": len(self.rounds)}
        return JobEntry(**fields)

    def anchor(self, job: JobId, anchors: Sequence[Anchor]) -> Sent:
        with self.lock:
            self.attempts += 1
            mood = self.moods.pop(0) if self.moods else "well"
            if mood == "away":
                raise Unavailable("no answer")
            if mood == "lost":
                raise Uncertain("sent, not seen")
            if mood == "refused":
                raise Refused("past the deadline")
            if anchors[0].round != len(self.rounds):
                raise Refused("not the next round")
            self.rounds += anchors
            if mood == "silent":
                raise Uncertain("included, but nobody said so")
            return Sent(b"t" * 32, 1, 30_000, "Jobs.anchor")


def run(chain: MoodyChain, done: int, new: int) -> list[Sequence[Anchor]]:
    told: list[Sequence[Anchor]] = []
    earlier = [anchor(number) for number in range(done)]
    with Anchoring(
        chain, chain, JOB, earlier, on_sent=lambda _sent, anchors: told.append(anchors), patience=0.0
    ) as anchoring:
        for number in range(done, done + new):
            anchoring.add(anchor(number))
    return told


@given(
    st.lists(st.sampled_from(["away", "lost", "silent", "well"]), max_size=8),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(0, 4),
)
def test_every_round_is_on_the_chain_once_and_in_order(moods, known, unsent, new):
    chain = MoodyChain(moods, known)
    run(chain, known + unsent, new)
    assert [one.round for one in chain.rounds] == list(range(known + unsent + new))


def test_what_the_chain_missed_is_back_filled_in_one_transaction():
    chain = MoodyChain(known=1)
    told = run(chain, 5, 0)
    assert chain.attempts == 1
    assert [one.round for one in told[0]] == [1, 2, 3, 4]


def test_nothing_is_sent_when_the_chain_has_everything():
    chain = MoodyChain(known=3)
    run(chain, 3, 0)
    assert chain.attempts == 0


def test_a_refusal_ends_the_training_with_its_reason():
    with pytest.raises(Refused, match="past the deadline"):
        run(MoodyChain(["refused"]), 0, 1)


def test_an_error_in_the_training_stops_the_anchoring_at_once():
    chain = MoodyChain()
    with (
        pytest.raises(ZeroDivisionError),
        Anchoring(chain, chain, JOB, [], on_sent=lambda *_: None, patience=0.0),
    ):
        raise ZeroDivisionError
    assert not any(thread.name == "anchoring" for thread in threading.enumerate())
