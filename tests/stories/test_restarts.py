"""Whole jobs in which sites start again, with nothing but their journals, while the others go on."""

from __future__ import annotations

import pytest
from theatre import SETUP

from caduceus.kinds import Stage

ROUNDS = 5
EVERYBODY = range(4)


@pytest.mark.parametrize("seats", [[2], EVERYBODY], ids=["one site", "every site"])
@pytest.mark.parametrize("before", [["upload"], ["stand"], ["stand", "upload", "agree"]], ids=" and ".join)
def test_a_site_that_starts_again_stands_on_the_same_set_up(before, seats, theatre):
    """Between two rounds, or after it confirmed and before it heard that it is ready."""
    restarted = theatre.with_restarts(seats, *before)
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    assert end.rounds == ROUNDS
    assert all(record.survivors == (0, 1, 2, 3) for record in theatre.told.rounds)
    assert len(theatre.setups()) == 1
    assert theatre.told.faults == []
    expected = 1 + ROUNDS * ("upload" in before) + ("stand" in before) + ("agree" in before)
    assert [site.starts for site in restarted.values()] == [expected] * len(seats)
    theatre.assert_audit_passes()


@pytest.mark.parametrize("before", SETUP[1:])
def test_a_site_that_starts_again_within_a_set_up_waits_for_the_next_unless_it_had_confirmed(before, theatre):
    theatre.with_restarts([2], before)
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    has_confirmed = before == "endorse"
    assert theatre.counted(2) == [has_confirmed] * ROUNDS
    assert len(theatre.setups()) == 2 - has_confirmed
    complaints = theatre.complaints("Cedar")
    assert len(complaints) == len(theatre.setups())
    assert all("no call to the set-up at hand" in one for one in complaints)
    theatre.assert_audit_passes()


@pytest.mark.parametrize("before", ["consent", "open"])
def test_a_site_that_starts_again_within_a_round_is_in_its_sum_and_the_others_open_it(before, theatre):
    theatre.with_restarts([2], before)
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    assert theatre.counted(2) == [True] * ROUNDS
    assert all(theatre.faults(record) == () for record in theatre.told.rounds)
    complaints = theatre.complaints("Cedar")
    assert len(complaints) == ROUNDS
    assert all("no call to the round at hand" in one for one in complaints)
    theatre.assert_audit_passes()


def test_too_many_sites_that_start_again_within_a_round_fail_it_and_the_next_one_opens_the_same_sum(theatre):
    """Each has its upload in the journal, and sends the same again under the next set-up's masks."""
    restarted = theatre.with_restarts([1, 2], "consent")
    told = theatre.told.round

    def once(record, *rest):
        told(record, *rest)
        for site in restarted.values():
            site.before = ()

    theatre.patch.setattr(theatre.told, "round", once)
    end = theatre.play()
    assert end.stage is Stage.COMPLETED
    assert [bool(record.failure) for record in theatre.told.rounds] == [True, *[False] * ROUNDS]
    assert theatre.told.rounds[0].failure == "only 2 sites answered with consent, 3 are needed"
    assert all(record.survivors == (0, 1, 2, 3) for record in theatre.told.rounds[1:])
    assert len(theatre.setups()) == 2
    theatre.assert_audit_passes()
