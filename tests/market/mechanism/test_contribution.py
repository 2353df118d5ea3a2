"""Pay follows what an update adds: scaling, splitting, copying and replaying bring nothing."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus.errors import Misuse
from caduceus.market.mechanism.contribution import alikeness, divided, fresh, novelty, shares, worth
from caduceus.market.mechanism.rules import Rules
from caduceus.market.mechanism.seen import INDEPENDENT, Seen
from caduceus.market.shapley import quadratic

RULES = Rules(budgets=(0.75, 0.25))
WIDE = 1500
seeds = st.integers(0, 2**32)


class Round:
    """Updates that nobody in the product sees: a common direction, each site's own part, and two strata's slopes."""

    def __init__(self, seed=0, sites=8, moved=0.0):
        self.generator = np.random.default_rng(seed)
        self.slopes = self.generator.normal(size=(2, WIDE)) / WIDE**0.5
        self.moved = moved * self.unit()
        common = self.slopes.mean(axis=0)
        own = self.generator.normal(size=(sites, WIDE)) / WIDE**0.5
        self.updates = common + own + 0.5 * self.moved

    def unit(self):
        return self.generator.normal(size=WIDE) / WIDE**0.5

    def seen(self, updates=None, late=()):
        updates = self.updates if updates is None else updates
        return Seen(
            products=updates @ updates.T,
            helps=(updates @ self.slopes.T)[:, None],
            moved=updates @ self.moved,
            moved_helps=(self.slopes @ self.moved)[None],
            moved_norm2=float(self.moved @ self.moved),
            losses=np.full((1, 2), 0.5),
            owner=np.array([INDEPENDENT]),
            present=np.ones(len(updates), bool),
            order=np.isin(np.arange(len(updates)), late).astype(np.int64),
        )

    def paid(self, updates=None, admitted=None, late=(), curvature=0.0):
        left = fresh(self.seen(updates, late))
        admitted = np.ones(left.sites, bool) if admitted is None else admitted
        return shares(left, left.helps[:, 0], admitted, RULES, curvature)

    def with_row(self, site, update):
        updates = self.updates.copy()
        updates[site] = update
        return updates

    def noisy(self, update, cosine):
        """As long, plus noise: two of these have cosine^2 of each other."""
        noise = self.unit()
        noise *= np.linalg.norm(update) / np.linalg.norm(noise)
        return cosine * update + (1 - cosine**2) ** 0.5 * noise


@given(seeds, st.integers(1, 12), st.floats(0, 3))
@settings(deadline=None, max_examples=40)
def test_shares_are_never_negative_and_never_exceed_the_budgets(seed, sites, curvature):
    paid = Round(seed, sites, moved=1.0).paid(curvature=curvature)
    assert (paid >= 0).all()
    assert paid.sum() <= 1 + 1e-12


@given(seeds)
@settings(deadline=None, max_examples=20)
def test_the_order_of_seats_does_not_matter(seed):
    made = Round(seed, moved=1.0)
    order = made.generator.permutation(8)
    assert np.allclose(made.paid(made.updates[order]), made.paid()[order], atol=1e-12)


def test_only_who_is_admitted_earns_and_the_others_do_not_count():
    made = Round(1)
    admitted = np.arange(8) != 3
    paid = made.paid(admitted=admitted)
    assert paid[3] == 0
    assert np.allclose(paid[admitted], made.paid(made.updates[admitted]), atol=1e-12)
    assert not made.paid(admitted=np.zeros(8, bool)).any()


def test_five_times_the_update_earns_the_same():
    made = Round(2, moved=1.0)
    before = made.paid()[2]
    assert before > 0.02
    assert made.paid(made.with_row(2, 5 * made.updates[2]))[2] == pytest.approx(before, rel=0.02)


def test_nothing_earns_nothing_even_where_all_others_do_harm():
    made = Round(3)
    assert made.paid(made.with_row(2, np.zeros(WIDE)))[2] == 0
    harmful = -made.updates
    harmful[2] = 0
    assert not made.paid(harmful).any()


def test_the_last_move_again_earns_nothing():
    made = Round(4, moved=1.5)
    for replayed in (made.moved, 7 * made.moved, -made.moved):
        assert made.paid(made.with_row(2, replayed))[2] == pytest.approx(0, abs=1e-9)
    assert made.paid(made.with_row(2, made.moved + 1e-3 * made.unit()))[2] < 1e-4


def test_mixing_the_last_move_into_an_update_changes_nothing():
    made = Round(5, moved=1.5)
    mixed = made.with_row(2, made.updates[2] + 3 * made.moved)
    assert np.allclose(made.paid(mixed), made.paid(), atol=1e-9)


@pytest.mark.parametrize("cosine", [1.0, 0.98, 0.945, 0.9, 0.8, 0.6, 0.4])
@pytest.mark.parametrize("seats", [3, 6])
def test_a_site_split_over_seats_with_any_noise_earns_no_more(cosine, seats):
    before, after = [], []
    for seed in range(12):
        made = Round(seed, sites=10, moved=1.0)
        own = made.updates[2]
        split = [own if cosine == 1.0 else made.noisy(own, cosine**0.5) for _ in range(seats)]
        paid = made.paid(np.vstack([made.with_row(2, split[0]), *[part[None] for part in split[1:]]]))
        before.append(made.paid()[2])
        after.append(paid[2] + paid[10:].sum())
    assert np.mean(after) <= 1.05 * np.mean(before)


def test_a_later_copy_earns_nothing_and_leaves_the_original_whole():
    for seed in range(6):
        made = Round(seed, moved=1.0)
        honest = made.paid()
        best = int(honest.argmax())
        copier = int(honest.argmin())
        paid = made.paid(made.with_row(copier, made.updates[best]), late=[copier])
        assert paid[copier] < 1e-9
        assert paid[best] > 0.9 * honest[best]


def test_a_later_noisy_copy_earns_less_than_its_honest_update():
    before, after = [], []
    for seed in range(12):
        made = Round(seed, moved=1.0)
        honest = made.paid()
        best = int(honest.argmax())
        copier = (best + 1) % 8
        paid = made.paid(made.with_row(copier, made.noisy(made.updates[best], 0.93)), late=[copier])
        before.append(honest[copier])
        after.append(paid[copier])
    assert np.mean(after) < np.mean(before)


def test_two_equal_updates_at_once_earn_together_what_one_would():
    made = Round(6)
    best = int(made.paid().argmax())
    other = (best + 1) % 8
    paid = made.paid(made.with_row(other, made.updates[best]))
    alone = made.paid(admitted=np.arange(8) != other)
    assert paid[best] == pytest.approx(paid[other])
    assert paid[best] + paid[other] < 1.1 * alone[best]


def test_a_stratum_that_one_site_helps_pays_it_that_budget():
    made = Round(7)
    left = fresh(made.seen())
    helps = np.abs(left.helps[:, 0])
    helps[:, 1] = 0
    helps[4, 1] = 1.0
    paid = shares(left, helps, np.ones(8, bool), RULES)
    assert paid[4] >= 0.25
    helps[4, 1] = 0.0
    assert shares(left, helps, np.ones(8, bool), RULES).sum() == pytest.approx(0.75)


def test_without_the_last_move_the_products_are_those_of_the_projected_updates():
    made = Round(8, moved=1.3)
    projected = made.updates - np.outer(made.updates @ made.moved, made.moved) / (made.moved @ made.moved)
    wanted, left = made.seen(projected), fresh(made.seen())
    assert np.allclose(left.products, wanted.products, atol=1e-12)
    assert np.allclose(left.helps, wanted.helps, atol=1e-12)
    assert left.moved_norm2 == 0
    assert fresh(left) is left


def test_novelty_is_what_the_last_move_does_not_explain():
    made = Round(9, moved=1.0)
    across = made.updates[1] - made.updates[1] @ made.moved / (made.moved @ made.moved) * made.moved
    rows = np.stack([made.moved, across, 0 * across, across / np.linalg.norm(across) + made.moved])
    rows[3] = across / np.linalg.norm(across) + made.moved / np.linalg.norm(made.moved)
    assert novelty(made.seen(rows)) == pytest.approx([0, 1, 0, 0.5], abs=1e-9)
    assert (novelty(Round(9).seen()) == 1).all()


def test_worth_is_the_shapley_value_within_what_a_site_is_worth_among_idle_ones():
    made = Round(10)
    products, helps = made.updates @ made.updates.T, made.updates @ made.slopes[0]
    found, values = worth(products, helps, 0.1), quadratic(products, helps, 0.1)
    assert (found <= np.maximum(values, 0) + 1e-12).all()
    assert (found[values <= 0] == 0).all()
    assert worth(products, np.array([0.0, *[-1.0] * 7]), 0.0)[0] == 0


def test_twins_are_one_and_typical_pairs_are_not_alike():
    made = Round(11, sites=12)
    rows = np.vstack([made.updates, made.updates[:1], made.noisy(made.updates[1], 0.97)[None]])
    alike = alikeness(rows @ rows.T, 0.95)
    assert alike[0, 12] == 1
    assert alike[1, 13] == 1
    assert np.median(alike[np.triu_indices(12, 1)]) == 0
    assert alike.min() >= 0


def test_an_update_of_no_length_is_like_no_other():
    assert np.array_equal(alikeness(np.diag([1.0, 0.0, 1.0]), 0.95), np.eye(3))


def test_who_is_alike_divides_by_worth_and_an_earlier_one_stays_whole():
    alike = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1.0]])
    at_once, late = np.zeros(3, np.int64), np.array([0, 1, 0])
    assert divided(np.array([2.0, 2.0, 2.0]), alike, at_once) == pytest.approx([1, 1, 2])
    assert divided(np.array([2.0, 1.0, 2.0]), alike, at_once) == pytest.approx([4 / 3, 1 / 3, 2])
    assert divided(np.array([2.0, 3.0, 2.0]), alike, late) == pytest.approx([2, 0, 2])
    assert not divided(np.zeros(3), alike, late).any()


def test_evidence_that_does_not_fit_is_a_bug_of_the_caller():
    left = fresh(Round(12).seen())
    everybody = np.ones(8, bool)
    with pytest.raises(Misuse, match="helps"):
        shares(left, np.zeros((8, 3)), everybody, RULES)
    unknown = left.helps[:, 0].copy()
    unknown[2, 1] = np.nan
    with pytest.raises(Misuse, match="finite"):
        shares(left, unknown, everybody, RULES)
    assert shares(left, unknown, np.arange(8) != 2, RULES)[2] == 0
    with pytest.raises(Misuse):
        shares(replace(left, products=np.zeros((7, 7))), left.helps[:, 0], everybody, RULES)
