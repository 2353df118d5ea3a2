"""Whole jobs that open sums over groups of sites, drawn anew for every sum."""

from __future__ import annotations

import re
from hashlib import sha256
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import small_job
from theatre import Theatre, silent_when

from caduceus import canon
from caduceus.edges.gateway import GatewayChain
from caduceus.edges.store import FolderStore
from caduceus.errors import Refused
from caduceus.kinds import Digest, Stage
from caduceus.protocol.round_record import RoundRecord
from caduceus.protocol.secagg_exchange import Exchange
from caduceus.protocol.secagg_setup import Layout
from caduceus.wiring.telling import tell

SITES = small_job.TWELVE
COHORT = 3
ROUNDS = 5
BEACON = b"groups under test"


def on_stage(folder: Path, patch: pytest.MonkeyPatch, job: str, most_open: str) -> Theatre:
    """A job with twelve sites, all with the same terms."""
    theatre = Theatre(folder, patch, SITES, job, rows_each=40)
    terms = theatre.order.federation.with_name("terms.toml")
    said = re.sub('visibility = "[a-z]+"', f'visibility = "{most_open}"', terms.read_text())
    assert f'visibility = "{most_open}"' in said
    terms.write_text(said)
    return theatre


@pytest.fixture
def grouped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Theatre:
    """A job with sums over groups of at least three, not yet played.

    Its groups are the same in every run, and those in which three sites are silent below are apart from earlier ones.
    """
    monkeypatch.setattr(GatewayChain, "beacon", lambda *_: Digest(sha256(BEACON).digest()))
    return on_stage(tmp_path / "grouped", monkeypatch, small_job.GROUPED, "cohort")


def opened(theatre: Theatre, record: RoundRecord) -> list[frozenset[int]]:
    """The groups over which a round opened sums, as the transcript shows."""
    exchange = canon.unpack(Exchange, FolderStore(theatre.workspace.blobs).get(record.exchange))
    groups = Layout(theatre.setup(record).setup).groups_in(record.round)
    return [frozenset(groups[at]) & frozenset(exchange.survivors) for at in exchange.groups]


def test_groups_open_sums_of_their_own_and_the_model_is_that_of_one_sum(grouped, tmp_path):
    end = grouped.play()
    assert end.stage is Stage.COMPLETED
    assert end.rounds == ROUNDS
    assert grouped.told.faults == []
    assert all(record.survivors == tuple(range(12)) for record in grouped.told.rounds)
    by_round = [opened(grouped, record) for record in grouped.told.rounds]
    assert all(sorted(map(len, groups)) == [6, 6] for groups in by_round)
    assert len({frozenset(groups) for groups in by_round}) == ROUNDS
    everything = {group for groups in by_round for group in groups}
    assert all(len(one ^ other) >= COHORT for one, other in combinations(everything, 2))
    grouped.assert_audit_passes()
    (facts,) = tell(grouped.workspace, ())
    assert facts.visibility == "cohort"
    assert any("sums over groups of at least 3 sites" in sentence for sentence in facts.protection)

    with pytest.MonkeyPatch.context() as patch:
        whole = on_stage(tmp_path / "whole", patch, small_job.WIDE, "sum")
        assert whole.play().stage is Stage.COMPLETED
    # Whole numbers are summed: whichever way they are put together, the sum is the same to the last bit.
    np.testing.assert_array_equal(grouped.played.state.newton.weights, whole.played.state.newton.weights)


def test_terms_that_allow_one_sum_only_keep_their_sites_out_of_a_job_with_groups(tmp_path, monkeypatch):
    theatre = on_stage(tmp_path, monkeypatch, small_job.GROUPED, "sum")
    with pytest.raises(Refused, match="visibility COHORT shows more than SUM"):
        theatre.play()


def test_a_silent_site_leaves_its_group_smaller_and_everybody_else_is_summed(grouped):
    grouped.with_sites({seat: silent_when("upload", rounds=range(1, 2)) for seat in (0, 4, 8)})
    end = grouped.play()
    assert end.stage is Stage.COMPLETED
    rest = frozenset(range(12)) - {0, 4, 8}
    groups = opened(grouped, grouped.told.rounds[1])
    assert frozenset().union(*groups) == rest
    assert all(len(group) >= COHORT for group in groups)
    assert [grouped.counted(seat) for seat in (0, 4, 8)] == [[True, False, True, True, True]] * 3
    grouped.assert_audit_passes()


def test_a_coordinator_that_starts_again_knows_which_groups_it_has_opened(grouped):
    class Crash(BaseException): ...

    def crash(record, *_):
        if record.round == 2:
            raise Crash

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouped.told, "round", crash)
        with pytest.raises(Crash):
            grouped.play()
    end = grouped.play()
    assert end.stage is Stage.COMPLETED
    assert end.rounds == len(grouped.told.rounds) == ROUNDS
    everything = {group for record in grouped.told.rounds for group in opened(grouped, record)}
    assert len(everything) == 2 * ROUNDS
    assert all(len(one ^ other) >= COHORT for one, other in combinations(everything, 2))
    assert len(grouped.setups()) == 1
    grouped.assert_audit_passes()


def test_other_groups_over_the_same_state_are_refused(grouped):
    """Sums over groups of two partitions, from one state, could be put together to tell single sites apart."""
    again = grouped.play_round_1_again(number=5, without=11, new_setup=True, more_sums=1)
    assert grouped.play().stage is Stage.COMPLETED
    (second,) = again
    assert second.record.failure == "only 0 sites answered with upload, 9 are needed"
    for name in SITES[:11]:
        (complaint,) = grouped.complaints(name)
        assert "draw was decided differently before" in complaint
    grouped.assert_audit_passes()


def test_a_round_that_failed_is_drawn_again_as_it_was(grouped):
    """Openings may have been under way: other groups over the same state would tell single sites apart."""
    grouped.with_sites({seat: silent_when("open", rounds=range(1, 2)) for seat in range(4)})
    end = grouped.play()
    assert end.stage is Stage.COMPLETED
    assert [bool(record.failure) for record in grouped.told.rounds] == [False, True, False, False, False, False]
    failed, again = grouped.told.rounds[1:3]
    assert opened(grouped, failed) == opened(grouped, again)
    assert failed.setup != again.setup
    assert grouped.told.faults == []
    grouped.assert_audit_passes()
