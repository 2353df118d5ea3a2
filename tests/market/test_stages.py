"""The table of a job's stages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caduceus.errors import Refused
from caduceus.kinds import Stage
from caduceus.market.job import FINAL, MOVES, Move, after, picture


def test_a_funded_job_goes_all_the_way():
    stage = Stage.NONE
    for move in (Move.OPEN, Move.FUND, Move.ACCEPT, Move.ENROL, Move.START, Move.ANCHOR, Move.SETTLE, Move.COMPLETE):
        stage = after(stage, move)
    assert stage is Stage.COMPLETED


@given(st.sampled_from(Stage), st.sampled_from(Move))
def test_what_is_not_in_the_table_is_refused_with_what_would_be_legal(stage, move):
    if (stage, move) in MOVES:
        assert after(stage, move) is MOVES[stage, move]
    else:
        with pytest.raises(Refused, match=r"can (.+|not change)"):
            after(stage, move)


def test_money_can_get_out_of_every_stage():
    reachable = {stage: {target for (origin, _), target in MOVES.items() if origin is stage} for stage in Stage}
    for start in Stage:
        seen, todo = {start}, [start]
        while todo:
            for target in reachable[todo.pop()] - seen:
                seen.add(target)
                todo.append(target)
        assert seen & FINAL


def test_the_picture_shows_every_move():
    drawn = picture()
    assert all(f"{target.name.lower()}: {move.value}" in drawn for (_, move), target in MOVES.items())
