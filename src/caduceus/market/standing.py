"""What completed jobs showed of a party: a Beta distribution over "what this party does is good" that fades.

The contract `Standing` computes the same integers, so everyone can say in advance what it will hold. All
evidence is in millionths of an observation; nobody has any to begin with, and one good and one bad observation
are added only when it is read (the uniform prior). A job adds at most one good and one bad observation.

Source: Josang and Ismail, "The Beta Reputation System" (15th Bled Conference, 2002), section 3, with forgetting by
age instead of by count, and more slowly for what is bad.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from math import isqrt

from caduceus.canon import record
from caduceus.crypto.sign import keccak
from caduceus.errors import Misuse, Refused
from caduceus.kinds import MICRO, Address, Digest

GOOD_HALF_LIFE, BAD_HALF_LIFE = 365, 1095
"""Days after which half of the evidence is forgotten."""

GOOD_KEPT, BAD_KEPT = 18411746332576898952, 18435070774566917781
"""What is left after a day, in parts of 2**64: floor(2**(64 - 1 / half-life))."""

FEWEST_SITES = 3
"""In a job of fewer sites nothing is measured against others than oneself and one more."""

_DAY_SECONDS = 86_400
_LEI_LENGTH = 20


@record("standing/observation/1")
class Observation:
    """What one job showed of one site, in millionths: each from 0 to one million."""

    good: int
    bad: int


NOTHING = Observation(0, 0)
FORFEITED = Observation(0, MICRO)
"""What a job shows of a site whose stake is forfeited, whatever else it did."""


@dataclass(frozen=True, slots=True)
class Showing:
    """An observation with the proof that a settlement holds it.

    index     where its leaf stands among the settlement's
    siblings  its Merkle proof, from the bottom up
    """

    observation: Observation
    index: int
    siblings: tuple[Digest, ...]


UNPROVEN = Showing(FORFEITED, 0, ())
"""What is shown of a seat whose stake is forfeited: it needs no proof."""


@dataclass(frozen=True, slots=True)
class Standing:
    """All that is known of a party, in millionths of an observation, as of a day (days since 1970)."""

    good: int
    bad: int
    day: int


UNKNOWN = Standing(0, 0, 0)


def observation(*, score: int, rounds: int, poisoned: int, sites: int) -> Observation:
    """What a job shows of a site whose stake is not forfeited.

    score     its measured contribution, in millionths of the pot; 0 where a job measures nothing
    rounds    in which its update counted
    poisoned  in which its update was found to do harm
    sites     how many sites took part

    A site with an equal share, or more, is one good observation; one with less is that part of it. A job without
    measurement shows nothing good: taking part is not quality. Bad is the part of its updates that did harm; being
    different, dropping out and scoring low are not bad, they are less good.

    Raises Misuse on a negative number.
    """
    if min(score, rounds, poisoned, sites) < 0:
        raise Misuse("observation: scores and counts are at least 0")
    if sites < FEWEST_SITES:
        return NOTHING
    sent = rounds + poisoned
    return Observation(min(MICRO, score * sites), MICRO * poisoned // sent if sent else 0)


def faded(known: Standing, day: int) -> Standing:
    """The evidence as it stands on a later day.

    Raises Misuse if the day is before the evidence's.
    """
    passed = day - known.day
    if passed < 0:
        raise Misuse(f"standing: day {day} is before day {known.day}")
    return Standing(known.good * _power(GOOD_KEPT, passed) >> 64, known.bad * _power(BAD_KEPT, passed) >> 64, day)


def after(known: Standing, seen: Observation, day: int) -> Standing:
    """The evidence once a job was recorded on `day`.

    Raises Misuse as `faded`, or if the observation is out of range.
    """
    if not (0 <= seen.good <= MICRO and 0 <= seen.bad <= MICRO):
        raise Misuse(f"standing: a job shows at most one good and one bad observation, got {seen}")
    now = faded(known, day)
    return Standing(now.good + seen.good, now.bad + seen.bad, day)


def revoked(known: Standing, day: int) -> Standing:
    """The evidence once the attester burnt the token: the good is forgotten, the bad is not."""
    return Standing(0, faded(known, day).bad, day)


def expected(known: Standing) -> int:
    """The mean, in millionths; half a million if nothing is known. Fade the evidence to today first."""
    good, bad = known.good + MICRO, known.bad + MICRO
    return good * MICRO // (good + bad)


def lower_bound(known: Standing) -> int:
    """Two standard deviations below the mean, in millionths and at least 0: what to match by."""
    good, bad = known.good + MICRO, known.bad + MICRO
    total = good + bad
    # The variance of Beta(a, b) is a b / ((a + b)**2 (a + b + 1)).
    spread = isqrt(4 * good * bad * MICRO**3 // (total * total * (total + MICRO))) + 1
    return max(expected(known) - spread, 0)


def day_of(seconds: int) -> int:
    """The day of a moment in Unix seconds."""
    return seconds // _DAY_SECONDS


# ---------------------------------------------------------------- whose standing


def token_of(account: Address) -> int:
    """The token of an account's own standing: what jobs show that ask for no attester's word."""
    return int.from_bytes(account)


def token_of_entity(attester: Address, entity: Digest) -> int:
    """The token of a legal entity's standing, in one attester's word: the same for all of the entity's accounts."""
    return int.from_bytes(keccak(attester.rjust(32, b"\0") + entity))


def entity_of_lei(lei: str) -> Digest:
    """The identifier of a legal entity by its LEI, which is public and the same in every attester's list.

    Raises Refused if it is no LEI: 18 letters and digits and two check digits.
    Source: ISO 17442-1; the check digits are those of ISO 7064, MOD 97-10.
    """
    text = lei.strip().upper()
    if len(text) != _LEI_LENGTH or not (text.isascii() and text.isalnum() and text[-2:].isdigit()):
        raise Refused(f"{lei!r} is no LEI: it has 18 letters and digits and two check digits")
    if int("".join(str(int(sign, 36)) for sign in text)) % 97 != 1:
        raise Refused(f"{lei!r} is no LEI: its check digits do not fit")
    return Digest(sha256(f"lei:{text}".encode()).digest())


def _power(kept: int, exponent: int) -> int:
    """`kept` to the power of `exponent`, in parts of 2**64, by squaring; every product is rounded down."""
    result = 1 << 64
    while exponent:
        if exponent & 1:
            result = result * kept >> 64
        kept = kept * kept >> 64
        exponent >>= 1
    return result
