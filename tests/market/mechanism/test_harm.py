"""A move that the committee finds harmful is taken back; noise, liars and slow rises take nothing back."""

from dataclasses import replace

import numpy as np
from hidden_updates import SITES, Rounds

from caduceus.market.mechanism.verdict import Lane

LIARS = [8, 9, 10, 11]


def after(rise, seats=range(SITES + 1), stratum=1, rounds=2):
    """The verdict after some rounds and a rise of the stratum's loss with some evaluators."""
    play = Rounds()
    play.play(rounds)
    play.losses[list(seats), stratum] *= 1.0 + np.asarray(rise)
    return play, play.judge(play.seen(play.honest()))


def test_a_move_that_harms_one_stratum_is_taken_back_and_what_it_brought_is_not_paid():
    play = Rounds()
    earlier = play.play(2).memory
    paid = play.play(1)
    assert paid.pay.any()
    play.losses[:, 1] *= 1.6
    verdict = play.judge(play.seen(play.honest()))
    assert verdict.rolls_back
    assert not verdict.weights.any()
    assert not verdict.pay.any()
    assert set(verdict.lane) == {Lane.VOID}
    assert np.allclose(verdict.memory.earned, earlier.earned)


def test_a_rise_within_what_training_does_is_kept():
    for rise in (-0.3, 0.0, 0.1):
        assert not after(rise)[1].rolls_back


def test_a_few_who_cry_take_nothing_back_and_most_do():
    assert not after(5.0, LIARS)[1].rolls_back
    assert after(0.6, range(3, SITES + 1))[1].rolls_back


def test_a_rise_that_evaluators_disagree_about_is_not_sure():
    scattered = np.linspace(-2.6, 3.3, SITES + 1)
    assert float(np.median(scattered)) > 0.3
    assert not after(scattered)[1].rolls_back
    assert after(np.full(SITES + 1, float(np.median(scattered))))[1].rolls_back


def test_the_next_move_is_half_as_large_and_then_whole_again():
    play, _ = after(0.6)
    updates = play.honest()
    half = play.judge(play.seen(updates))
    whole = play.judge(play.seen(updates))
    assert not half.rolls_back
    assert half.weights.sum() < 0.6 * whole.weights.sum()


def test_without_known_losses_nothing_is_taken_back():
    play = Rounds()
    play.play(2)
    seen = play.seen(play.honest())
    assert not play.judge(replace(seen, losses=np.full_like(seen.losses, np.nan))).rolls_back
