"""The law of secure aggregation, on a thousand cases (ten thousand if thorough): the plain sum, or none."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from adversary import Play, prepared
from caduceus.errors import Refused
from caduceus.protocol.encoding import decode, encode
from caduceus.protocol.secagg_plan import threshold_for
from caduceus.protocol.secagg_server import Phase
from thorough import tries

SITES, ROUNDS = (3, 3, 3, 4, 4, 4, 5, 5, 7), 64
PHASES = (Phase.UPLOAD, Phase.CONSENT, Phase.OPEN)
SHARDS, EXAMPLES = 10, tries(1000, 100)


@dataclass(frozen=True)
class Case:
    """A round.

    gone     from which phase on a site is silent, by seat
    numbers  float64[sites, length]: what the sites encode
    """

    sites: int
    round: int
    bits: int
    scale: int
    gone: dict[int, Phase]
    numbers: np.ndarray

    @property
    def silent(self):
        return {phase: frozenset(seat for seat, at in self.gone.items() if at is phase) for phase in PHASES}

    @property
    def uploaded(self):
        return [seat for seat in range(self.sites) if self.gone.get(seat) is not Phase.UPLOAD]

    @property
    def has_too_few(self):
        """Whether some phase hears fewer than the threshold, which is here the quorum as well."""
        return any(
            sum(self.gone.get(seat, Phase.DONE) > phase for seat in range(self.sites)) < threshold_for(self.sites)
            for phase in PHASES
        )


@st.composite
def cases(draw):
    """Up to one silent site more than can be spared; numbers of any size that may be encoded, the largest included."""
    sites, bits = draw(st.sampled_from(SITES)), draw(st.sampled_from([32, 64]))
    spare = sites - threshold_for(sites)
    leavers = draw(st.lists(st.tuples(st.integers(0, sites - 1), st.sampled_from(PHASES)), max_size=spare + 1))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))  # test data, no secret
    scale = int(generator.choice([1, 1000, 1 << 16]))
    most = min(2**53, (2**bits - 1) // (2 * sites)) // scale
    numbers = generator.uniform(-1, 1, (sites, generator.integers(1, 9)))
    numbers[generator.random(numbers.shape) < 0.2] = generator.integers(-1, 2)
    numbers *= min(most, generator.choice([1, 100, 2**53]))
    return Case(sites, draw(st.integers(0, ROUNDS - 1)), bits, scale, dict(leavers), numbers)


def play_of(case):
    stage = prepared(case.sites, rounds=ROUNDS)

    def vector(_, seat):
        return encode(case.numbers[seat], scale=case.scale, bits=case.bits, parties=case.sites)

    session = stage.session(round=case.round, length=case.numbers.shape[1], bits=case.bits)
    return Play(stage=stage, session=session, silent=case.silent, vector=vector)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_secure_sum_is_the_plain_sum_bit_for_bit_or_refused_exactly_when_too_few_are_left(shard):
    outcomes = set()

    @seed(shard)
    @settings(max_examples=EXAMPLES, deadline=None, database=None)
    @given(cases())
    def law(case):
        play = play_of(case)
        outcomes.add(case.has_too_few)
        if case.has_too_few:
            with pytest.raises(Refused, match="are needed"):
                play.run()
            assert not play.server.totals
            return
        total = play.run()
        steps = [[round(number * case.scale) for number in row] for row in case.numbers[case.uploaded].tolist()]
        plain = [sum(column) for column in zip(*steps, strict=True)]
        assert total.tolist() == [number % 2**case.bits for number in plain]
        assert decode(total, scale=case.scale).tolist() == [float(number) / case.scale for number in plain]
        assert play.server.survivors == play.server.summed == tuple(case.uploaded)
        assert not play.problems
        assert not play.server.faults

    law()
    assert outcomes == {True, False}
