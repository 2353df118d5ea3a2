"""The check of products: the algebra, and every lie about a matrix caught, those of zero divisors too."""

from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus.crypto import product_check, rss
from caduceus.crypto.product_check import DEGREE
from caduceus.errors import Misuse

M = 1 << 64
ROWS, WIDTH = 5, 12
KEYS = tuple(bytes([k + 1]) * 32 for k in range(3))  # K_k: of aggregators k and k - 1
BEACON = bytes(range(32))
elements = st.lists(st.sampled_from([0, 1, 1 << 63, M - 1]) | st.integers(0, M - 1), min_size=DEGREE, max_size=DEGREE)


def times(one, other):
    """The product of two elements by school multiplication and long division."""
    total = [0] * (2 * DEGREE - 1)
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            total[i + j] += int(a) * int(b)
    for power in range(2 * DEGREE - 2, DEGREE - 1, -1):
        top, total[power] = total[power], 0
        for exponent in (7, 0):  # X**42 + X**7 + 1 = 0
            total[power - DEGREE + exponent] -= top
    return [value % M for value in total[:DEGREE]]


def words(values):
    return np.array(values, np.uint64)


def added(*terms):
    return [sum(map(int, column)) % M for column in zip(*terms, strict=True)]


# ---------------------------------------------------------------- the Galois ring


def test_the_polynomial_is_irreducible_modulo_two():
    """Rabin's test: X**(2**42) = X, and X**(2**(42 / p)) - X has no common divisor with it for p = 2, 3, 7."""
    modulus = 1 << 42 | 1 << 7 | 1

    def remainder(value, by):
        while value.bit_length() >= by.bit_length():
            value ^= by << (value.bit_length() - by.bit_length())
        return value

    def squared(value):
        spread = int("0".join(f"{value:b}"), 2)
        return remainder(spread, modulus)

    def power(times_squared):
        return reduce(lambda value, _: squared(value), range(times_squared), 2)

    assert power(42) == 2
    for prime in (2, 3, 7):
        one, other = modulus, power(42 // prime) ^ 2
        while other:
            one, other = other, remainder(one, other)
        assert one == 1


@given(elements, elements)
@settings(deadline=None, max_examples=30)
def test_elements_multiply_as_polynomials_do(one, other):
    assert product_check.multiply(words(one), words(other)).tolist() == times(one, other)


@given(elements, st.lists(elements, min_size=1, max_size=3), st.lists(elements, min_size=3, max_size=3))
@settings(deadline=None, max_examples=20)
def test_many_products_at_once_are_the_single_ones(factor, several, others):
    scaled = product_check.scale(words(factor), words(several).T)
    assert scaled.T.tolist() == [times(factor, one) for one in several]
    found = product_check.inner(words(several).T, words(others[: len(several)]).T)
    assert found.tolist() == added(*(times(*pair) for pair in zip(several, others, strict=False)))


def test_a_bilinear_form_is_the_sum_of_its_terms():
    matrix = np.random.default_rng(3).integers(0, M, (2, 3), dtype=np.uint64)
    asked = product_check.challenge(BEACON, 2, 3)
    terms = [
        [int(matrix[i, j]) * value % M for value in times(asked.left[i], asked.right[j])]
        for i in range(2)
        for j in range(3)
    ]
    assert product_check.bilinear(asked, matrix).tolist() == added(*terms)


# ---------------------------------------------------------------- the check


@dataclass(frozen=True)
class Scene:
    """Aggregator `prover` and its two verifiers, on the vectors that they have in common."""

    prover: int = 1
    number: int = 0
    left: int = ROWS
    right: int = 0  # as many vectors more; none: a Gram matrix

    def component(self, k):
        rng = np.random.default_rng([self.number, k % 3])
        return rng.integers(0, M, (self.left + self.right, WIDTH), dtype=np.uint64)

    def sides(self, k):
        rows = self.component(k)
        return (rows[: self.left], rows[self.left :]) if self.right else (rows, rows)

    def zero(self, k):
        return rss.mask(KEYS[k % 3], b"session", (self.left, self.right or self.left))

    def opened(self):
        k = self.prover
        own, following = self.sides(k), self.sides(k + 1)
        part = rss.rectangle(own, following) if self.right else rss.products(own[0], following[0])
        return part + self.zero(k) - self.zero(k + 1)

    def asked(self, beacon=BEACON):
        return product_check.challenge(beacon, self.left, self.right or None)

    def claim(self, asked):
        return product_check.claim(self.sides(self.prover + 1), asked, first_key=KEYS[self.prover], context=b"c")

    def vouch(self, asked):
        keys = (KEYS[self.prover], KEYS[(self.prover - 1) % 3])
        own = self.sides(self.prover)
        return product_check.vouch(own, self.zero(self.prover), asked, keys=keys, context=b"c")

    def verdict(self, opened, asked=None, vouched=None, claimed=None):
        asked = self.asked() if asked is None else asked
        said = (
            self.vouch(asked) if vouched is None else vouched,
            self.claim(asked) if claimed is None else claimed,
        )
        zero, key = self.zero(self.prover + 1), KEYS[(self.prover + 2) % 3]
        following = self.sides(self.prover + 1)
        return product_check.accepts(following, zero, opened, asked, said, first_key=key, context=b"c")


SCENES = [*(Scene(prover) for prover in range(3)), *(Scene(prover, left=2, right=4) for prover in range(3))]


@pytest.mark.parametrize("scene", SCENES)
def test_an_honest_part_is_accepted(scene):
    for number in range(20):
        assert scene.verdict(scene.opened(), scene.asked(number.to_bytes(32)))


@pytest.mark.parametrize("error", [1, 2, 12345, 1 << 32, 1 << 40, 1 << 61, 1 << 62, 1 << 63])
@pytest.mark.parametrize("place", [(0, 0), (1, 3), (4, 4)])
def test_one_wrong_entry_is_caught_however_it_divides_zero(error, place):
    scene = Scene()
    wrong = scene.opened()
    wrong[place] ^= np.uint64(error)
    assert not any(scene.verdict(wrong, scene.asked(number.to_bytes(32))) for number in range(25))


@pytest.mark.parametrize("error", [1, 1 << 62, 1 << 63])
def test_errors_that_are_alike_everywhere_or_cancel_are_caught(error):
    scene = Scene()
    everywhere = np.full((ROWS, ROWS), error, np.uint64)
    crossed = np.zeros((ROWS, ROWS), np.uint64)
    crossed[0, 1], crossed[1, 0] = error, M - error
    for wrong in (everywhere, crossed, np.diag(everywhere.diagonal())):
        assert not any(scene.verdict(scene.opened() + wrong, scene.asked(n.to_bytes(32))) for n in range(10))


@given(st.integers(0, 1 << 30))
@settings(deadline=None, max_examples=20)
def test_a_part_that_is_made_up_is_caught(number):
    made_up = np.random.default_rng(number).integers(0, M, (ROWS, ROWS), dtype=np.uint64)
    assert not Scene().verdict(made_up)


def test_who_lies_and_then_adds_the_difference_without_the_tag_is_caught():
    scene, asked = Scene(), Scene().asked()
    wrong = scene.opened()
    wrong[0, 0] += np.uint64(1 << 63)
    off = product_check.bilinear(asked, wrong - scene.opened())
    assert off.any()
    honest = scene.claim(asked)
    for guess in range(8):  # guesses of the tag modulo two, all that an error of 2**63 needs: right 1 time in 2**42
        tag = np.zeros(DEGREE, np.uint64)
        tag[guess % DEGREE] = guess
        claimed = honest - product_check.multiply(tag, off)
        assert not scene.verdict(wrong, asked, claimed=claimed)
    tag = product_check._tag(KEYS[(scene.prover - 1) % 3], b"c")
    assert scene.verdict(wrong, asked, claimed=honest - product_check.multiply(tag, off))  # only with the tag itself


def test_a_verifier_or_a_claim_that_lies_is_noticed():
    scene, asked = Scene(), Scene().asked()
    vouched, claimed = scene.vouch(asked), scene.claim(asked)
    for field in ("left", "right", "total"):
        other = getattr(vouched, field).copy()
        other.flat[3] += np.uint64(1)
        assert not scene.verdict(scene.opened(), asked, vouched=replace(vouched, **{field: other}))
    other = claimed.copy()
    other[0] ^= np.uint64(1 << 63)
    assert not scene.verdict(scene.opened(), asked, claimed=other)


def test_values_of_another_shape_are_no_proof():
    scene, asked = Scene(), Scene().asked()
    vouched = scene.vouch(asked)
    for field in ("left", "right", "total"):
        cut = replace(vouched, **{field: getattr(vouched, field)[:-1]})
        assert not scene.verdict(scene.opened(), asked, vouched=cut)
    assert not scene.verdict(scene.opened(), asked, claimed=np.zeros(1, np.uint64))


def test_what_was_said_for_one_beacon_or_session_proves_nothing_for_another():
    scene, other = Scene(), Scene().asked(bytes(32))
    asked = scene.asked()
    assert not scene.verdict(scene.opened(), asked, vouched=scene.vouch(other))
    assert not scene.verdict(scene.opened(), asked, claimed=scene.claim(other))
    elsewhere = product_check.claim(scene.sides(2), asked, first_key=KEYS[1], context=b"d")
    assert not scene.verdict(scene.opened(), asked, claimed=elsewhere)


def test_what_the_second_verifier_is_told_could_have_been_about_any_other_component():
    """Other vectors at the prover and V1 are told alike under other masks, so t1 and t2 say nothing about them; and
    what is told in total follows from what V2 has and from f, which a mask makes uniform too."""
    scene, asked = Scene(), Scene().asked()
    vouched, other = scene.vouch(asked), Scene(number=9)
    tag = product_check._tag(KEYS[(scene.prover - 1) % 3], b"c")
    u = product_check.combine(other.component(scene.prover), asked.left)
    masks = vouched.left - product_check.scale(tag, u)
    assert np.array_equal(product_check.scale(tag, u) + masks, vouched.left)
    assert not np.array_equal(masks, product_check._masks(KEYS[scene.prover], b"c", WIDTH).left)
    following = scene.component(scene.prover + 1)
    claimed = scene.claim(asked)
    simulated = (
        product_check.multiply(tag, product_check.bilinear(asked, scene.opened() + scene.zero(scene.prover + 1)))
        + claimed
        - product_check.inner(vouched.left, product_check.combine(following, asked.right))
        - product_check.inner(vouched.right, product_check.combine(following, asked.left))
    )
    assert np.array_equal(simulated, vouched.total)


def test_masks_and_tags_are_never_the_same_for_two_contexts_or_keys():
    drawn = [product_check._tag(key, context).tobytes() for key in KEYS for context in (b"1", b"2")]
    drawn += [product_check._masks(key, context, 1).left.tobytes() for key in KEYS for context in (b"1", b"2")]
    assert len(set(drawn)) == len(drawn)
    with pytest.raises(Misuse, match="key"):
        product_check.challenge(b"short", 2)
