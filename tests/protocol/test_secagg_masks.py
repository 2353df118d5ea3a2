"""What a masked vector gives away: nothing that two tests of uniformity see, while one mask is still on it.

Every seed and vector here is fixed, so each test passes or fails alike in every run. The chance that truly uniform
words fail one comparison is `CHANCE`.
"""

from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from scipy import stats

from adversary import Prepared, a_client, entropy_of, prepared, with_fields
from caduceus.crypto import keystream
from caduceus.kinds import Digest
from caduceus.protocol import secagg_seeds as derived
from caduceus.protocol import secagg_upload as uploads
from caduceus.protocol.encoding import encode
from caduceus.protocol.secagg_plan import Family, Plan

CHANCE = 1e-7
LENGTH, SITES = 16_384, 4
RINGS = [32, 64]


READY = Digest(sha256(b"an outcome that is the same in every run").digest())


def fixed(stage):
    """A set-up's sites with seeds as they derive them, but from a context that is the same in every run.

    That of a real set-up holds signatures and encapsulations, which are other ones every time.
    """
    context, rounds = b"masks under test", stage.foundation.layout.setup.rounds

    def pair(one, other):
        root = derived.pair_root(entropy_of(min(one, other)), context)
        return derived.pair_seeds(derived.pair_secret(root, max(one, other)), rounds)

    grounds = {
        seat: replace(
            ground,
            ready=READY,
            self_seeds=derived.own_secrets(entropy_of(seat), context, rounds)[0],
            pair_seeds={other: pair(seat, other) for other in ground.pair_seeds},
        )
        for seat, ground in stage.grounds.items()
    }
    return Prepared(stage.foundation, grounds)


STAGE = fixed(prepared(SITES))


def lanes_of(words):
    """The words byte by byte: uint8[length, bytes]."""
    return np.frombuffer(words.tobytes(), np.uint8).reshape(len(words), words.itemsize)


def byte_chances(words):
    """Per byte of a word, how likely uniform bytes are to be at least as uneven: chi-square, 255 degrees of freedom."""
    lanes = lanes_of(words)
    return [stats.chisquare(np.bincount(lanes[:, at], minlength=256)).pvalue for at in range(lanes.shape[1])]


def size_chance(words):
    """How likely uniform words are to lie at least as far from an even spread over the ring: Kolmogorov-Smirnov."""
    return stats.kstest(words / 2.0 ** (8 * words.itemsize), "uniform").pvalue


def follow_chance(words):
    """How likely independent uniform words are to follow on one another as unevenly: chi-square of 16 * 16 pairs.

    A pair is the upper half-bytes of a word and of the next one, each word in one pair.
    """
    upper = (lanes_of(words)[:, -1] >> 4).astype(np.int64).reshape(-1, 2)
    return stats.chisquare(np.bincount(upper[:, 0] * 16 + upper[:, 1], minlength=256)).pvalue


def looks_uniform(words):
    return min(*byte_chances(words), size_chance(words), follow_chance(words)) > CHANCE


def looks_plain(words):
    """Every test fails, and none by a hair."""
    return max(*byte_chances(words), size_chance(words), follow_chance(words)) < CHANCE


def an_update(seat):
    """What training gives: small numbers around zero, half of them none."""
    generator = np.random.default_rng([7, seat])  # test data, no secret
    numbers = generator.normal(0.0, 0.05, LENGTH)
    numbers[::2] = 0.0
    return numbers


def encoded(session, seat):
    return encode(an_update(seat), scale=1 << 16, bits=session.bits, parties=SITES)


def a_session(bits, stage=STAGE, length=LENGTH, **fields):
    return with_fields(stage.session(length=length, bits=bits, **fields), ready=READY)


def masked(session, seat, stage=STAGE, vector=None):
    """What a site sends, without its head."""
    client = a_client(session, stage.grounds[seat])
    message = client.upload(encoded(session, seat) if vector is None else vector)
    return np.frombuffer(message, f"<u{session.bits // 8}", offset=uploads.HEAD_BYTES)


def keys_of(session, seat, stage=STAGE):
    """The keys of a site's masks in a round, as it puts them on: those that are added, and those that are taken."""
    ground = stage.grounds[seat]

    def key(seeds):
        return derived.stream_key(seeds[session.round].tobytes(), session.digest)

    added = {"self": key(ground.self_seeds)}
    added |= {f"with {other}": key(seeds) for other, seeds in ground.pair_seeds.items() if other > seat}
    return added, {f"with {other}": key(seeds) for other, seeds in ground.pair_seeds.items() if other < seat}


def own_of(session, seat, stage=STAGE):
    return keys_of(session, seat, stage)[0]["self"]


def without(words, added, taken, *, but=None):
    """A masked vector with its masks taken off, all but one."""
    left = words.copy()
    plus = [seed for name, seed in taken.items() if name != but]
    keystream.apply(left, plus, [seed for name, seed in added.items() if name != but])
    return left


# ---------------------------------------------------------------- what is sent


@pytest.mark.parametrize("bits", RINGS)
@pytest.mark.parametrize("seat", range(SITES))
def test_a_masked_vector_looks_uniform_and_the_vector_in_it_does_not(bits, seat):
    session = a_session(bits)
    assert looks_uniform(masked(session, seat))
    assert looks_plain(encoded(session, seat))


@pytest.mark.parametrize("bits", RINGS)
@pytest.mark.parametrize("value", [0, 1, 2**31])
def test_a_vector_of_one_number_is_hidden_as_well(bits, value):
    session = a_session(bits)
    constant = np.full(LENGTH, value, f"<u{bits // 8}")
    assert looks_uniform(masked(session, 1, vector=constant))
    assert looks_plain(constant)


@pytest.mark.parametrize("bits", RINGS)
def test_what_two_sites_send_has_nothing_in_common(bits):
    """Neither their sum nor their difference, though they share a mask and may hold the same numbers."""
    session = a_session(bits)
    vectors = [masked(session, seat, vector=encoded(session, 0)) for seat in range(SITES)]
    for one in range(SITES):
        for other in range(one):
            assert looks_uniform(vectors[one] - vectors[other])
            assert looks_uniform(vectors[one] + vectors[other])


@pytest.mark.parametrize("bits", RINGS)
def test_a_sparse_graph_hides_a_vector_as_well(bits):
    stage = fixed(prepared(12, plan=Plan(12, 4, 5, 4, Family.RING), silent=3))
    session = a_session(bits, stage)
    for seat in (0, 5, 11):
        words = masked(session, seat, stage)
        added, taken = keys_of(session, seat, stage)
        assert len(added) + len(taken) == 5  # four neighbours and its own
        assert looks_uniform(words)
        assert without(words, added, taken).tolist() == encoded(session, seat).tolist()


# ---------------------------------------------------------------- one mask is enough


@pytest.mark.parametrize("bits", RINGS)
@pytest.mark.parametrize("seat", range(SITES))
def test_whichever_one_mask_is_left_the_vector_looks_uniform_and_without_it_plain(bits, seat):
    session = a_session(bits)
    words = masked(session, seat)
    added, taken = keys_of(session, seat)
    assert sorted({**added, **taken}) == sorted(["self", *(f"with {other}" for other in range(SITES) if other != seat)])
    for left in (*added, *taken):
        assert looks_uniform(without(words, added, taken, but=left))
    bare = without(words, added, taken)
    assert bare.tolist() == encoded(session, seat).tolist()
    assert looks_plain(bare)


@pytest.mark.parametrize("bits", RINGS)
def test_the_sum_that_a_coordinator_has_before_the_opening_looks_uniform(bits):
    """All masks between sites are gone from it, and everybody's own is left: one of those is enough."""
    session = a_session(bits)
    total = np.sum([masked(session, seat) for seat in range(SITES)], axis=0, dtype=f"<u{bits // 8}")
    assert looks_uniform(total)
    own = [own_of(session, seat) for seat in range(SITES)]
    for left in range(SITES):
        partly = total.copy()
        keystream.apply(partly, (), [seed for seat, seed in enumerate(own) if seat != left])
        assert looks_uniform(partly)
    keystream.apply(total, (), own)
    assert total.tolist() == sum(encoded(session, seat) for seat in range(SITES)).tolist()
    assert looks_plain(total)


@pytest.mark.parametrize("bits", RINGS)
@pytest.mark.parametrize("missing", range(SITES))
def test_a_sum_with_one_site_missing_stays_masked_until_its_masks_are_recovered(bits, missing):
    """A coordinator that leaves a site out and opens the others' own seeds has nothing yet."""
    session = a_session(bits)
    rest = [seat for seat in range(SITES) if seat != missing]
    partly = np.sum([masked(session, seat) for seat in rest], axis=0, dtype=f"<u{bits // 8}")
    keystream.apply(partly, (), [own_of(session, seat) for seat in rest])
    assert looks_uniform(partly)
    for seat in rest:  # the mask of the missing site with one other, each on its own hides the sum
        left = partly.copy()
        for other in rest:
            key = {**keys_of(session, other)[0], **keys_of(session, other)[1]}[f"with {missing}"]
            plus, minus = ((), (key,)) if other < missing else ((key,), ())
            keystream.apply(left, *(((), ()) if other == seat else (plus, minus)))
        assert looks_uniform(left)


# ---------------------------------------------------------------- masks come once, and cancel


OTHERWISE = [{"round": 1}, {"state": bytes(32)}]


@pytest.mark.parametrize("bits", RINGS)
@pytest.mark.parametrize("fields", OTHERWISE, ids=str)
def test_masks_of_two_sessions_have_nothing_in_common(bits, fields):
    """The same vector twice: the difference is that of the masks."""
    sessions = (a_session(bits), a_session(bits, **fields))
    for seat in range(SITES):
        once, again = (masked(session, seat, vector=encoded(sessions[0], seat)) for session in sessions)
        assert looks_uniform(once - again)
        first, second = (
            {*added.values(), *taken.values()} for added, taken in (keys_of(session, seat) for session in sessions)
        )
        assert len(first) == len(second) == SITES
        assert not first & second


@pytest.mark.parametrize("bits", RINGS)
def test_sites_that_are_told_different_states_share_no_masks(bits):
    """What they send does not add up to anything, whoever opens which seeds of their own."""
    sessions = [a_session(bits, state=bytes([seat == 0]) * 32) for seat in range(SITES)]
    total = np.sum([masked(sessions[seat], seat) for seat in range(SITES)], axis=0, dtype=f"<u{bits // 8}")
    keystream.apply(total, (), [own_of(sessions[seat], seat) for seat in range(SITES)])
    assert looks_uniform(total)


@pytest.mark.parametrize("bits", RINGS)
def test_masks_between_sites_cancel_in_the_sum_of_all_and_in_no_other(bits):
    session = a_session(bits)
    between = []
    for seat in range(SITES):
        left = masked(session, seat) - encoded(session, seat)
        keystream.apply(left, (), (own_of(session, seat),))
        assert looks_uniform(left)
        between.append(left)
    assert not np.sum(between, axis=0, dtype=between[0].dtype).any()
    for some in range(1, 2**SITES - 1):
        chosen = [one for seat, one in enumerate(between) if some >> seat & 1]
        assert looks_uniform(np.sum(chosen, axis=0, dtype=between[0].dtype))


@pytest.mark.parametrize("bits", RINGS)
def test_masks_cancel_within_each_group_and_not_across(bits):
    stage = fixed(prepared(12, cohort=3))
    session = a_session(bits, stage, length=2048)
    zeros = np.zeros(2048, f"<u{bits // 8}")
    left = {}
    for seat in range(12):
        left[seat] = masked(session, seat, stage, vector=zeros).copy()
        keystream.apply(left[seat], (), (own_of(session, seat, stage),))
    for group in stage.foundation.layout.groups(0):
        assert not np.sum([left[seat] for seat in group], axis=0, dtype=zeros.dtype).any()
        assert np.count_nonzero(np.sum([left[seat] for seat in group[1:]], axis=0, dtype=zeros.dtype)) > 2000


def test_every_seed_of_a_setup_is_a_seed_of_its_own():
    stage = prepared(7)
    own = {seeds.tobytes() for ground in stage.grounds.values() for seeds in ground.self_seeds}
    pairs = {
        seed.tobytes() for ground in stage.grounds.values() for seeds in ground.pair_seeds.values() for seed in seeds
    }
    assert len(own) == 7 * 2
    assert len(pairs) == 21 * 2  # both ends have the same
    assert not own & pairs
    for one in range(7):
        for other in range(one):
            assert np.array_equal(stage.grounds[one].pair_seeds[other], stage.grounds[other].pair_seeds[one])


# ---------------------------------------------------------------- the tests of uniformity themselves


@pytest.mark.parametrize("bits", RINGS)
def test_the_tests_see_small_faults_in_words_that_are_otherwise_uniform(bits):
    """A byte that is stuck, one number too often, a slope, and a word that stands twice."""
    words = masked(a_session(bits), 0).copy()
    assert looks_uniform(words)
    stuck, often, slope, twice = (words.copy() for _ in range(4))
    stuck[::20] &= np.array(2**bits - 1 - 0xFF, words.dtype)  # in one of twenty words the lowest byte is zero
    often[::12] = often[0]
    slope[::8] >>= np.array(1, words.dtype)  # one of eight words in the lower half of the ring
    twice[1::2] = twice[::2]
    for spoiled in (stuck, often, slope, twice):
        assert not looks_uniform(spoiled)
