"""What a coordinator, dealers and three aggregators say to one another in a round of judged updates.

A dealer sends once and may leave. The rest is between the aggregators, and the coordinator relays it: who is in, the
products, a check of the products, the weighted sum. Every message names the session, so that none means anything in
another round, and what it answers by digest, so that an aggregator says at most one thing at every step. What each
said is signed and kept, and lets a stranger do the round again.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from caduceus.canon import record
from caduceus.crypto import rss, seal, xwing
from caduceus.crypto.entropy import tagged
from caduceus.kinds import Digest

Words = npt.NDArray[np.uint64]

COIN_BYTES = 32
BOX_BYTES = xwing.CIPHERTEXT_BYTES + 2 * rss.SEED_BYTES + seal.TAG_BYTES
"""A box for an aggregator: encapsulation, and the two seeds that it needs, sealed."""

PAIR_BOX_BYTES = xwing.CIPHERTEXT_BYTES + rss.SEED_BYTES + seal.TAG_BYTES
"""The same with the one key that an aggregator shares with the one before it."""


@record("gram/pledge/1")
class Pledge:
    """1, aggregator to coordinator: I take part, and have decided on my coins.

    coins  `coin_digest` of its two coins
    box    for the aggregator before it, the key that these two share in this round

    Reveals: nothing: a coin is uniform and 32 bytes, and the box opens at its receiver only.
    """

    session: Digest
    party: int
    coins: tuple[Digest, Digest]
    box: bytes


@record("gram/dealing/1")
class Dealing:
    """1, beside the signed `GramUpload`: what goes with a dealer's correction.

    commitments  `rss.commit` of the seed of every component
    boxes        one per aggregator, with the seeds of the two components that it holds
    report       what the dealer says in public, `session.report` numbers

    Bare: the upload's digest binds it.

    Reveals: the report. To each aggregator two seeds out of three, which say nothing.
    """

    commitments: tuple[Digest, Digest, Digest]
    boxes: tuple[bytes, bytes, bytes]
    report: tuple[int, ...]


@record("gram/upload/1")
class GramUpload:
    """1, dealer to coordinator: my rows, shared out.

    seat        the dealer's number
    dealing     digest of the `Dealing`
    correction  SHA-256 of the correction: my rows, less the keystreams of three seeds; both travel behind this record
                (see `gram_upload`)

    Signed as an EIP-712 `Upload`, so that a contract can check it.

    Reveals: nothing: the correction is uniform to whoever lacks one of the three seeds.
    """

    session: Digest
    seat: int
    dealing: Digest
    correction: Digest


@record("gram/list/1")
class GramList:
    """2, coordinator: these uploads are in, and these pledges.

    dealers  ascending
    heads    digest of their signed `GramUpload`s (see `gathered`)
    pledges  digest of the three signed pledges

    Reveals: who sent an upload.
    """

    session: Digest
    dealers: tuple[int, ...]
    heads: Digest
    pledges: Digest


@record("gram/listing/1")
class Listing:
    """2, coordinator to an aggregator: the list, and what it lists; of the uploads without the corrections.

    told      signed `GramList`
    pledges   signed, by aggregator
    heads     signed `GramUpload`s, dealers ascending
    dealings  packed `Dealing`s, dealers ascending

    Bare: the list's digests bind it.
    """

    told: bytes
    pledges: tuple[bytes, ...]
    heads: tuple[bytes, ...]
    dealings: tuple[bytes, ...]


@record("gram/accepted/1")
class Accepted:
    """3, aggregator to coordinator: I have seen this list, and will go on with no other.

    told      digest of the packed `GramList`
    coin      the first, from which sketch and projections are drawn
    rejected  dealers whose box did not open to the seeds that they committed to, ascending

    Reveals: nothing of the rows.
    """

    session: Digest
    party: int
    told: Digest
    coin: bytes
    rejected: tuple[int, ...]


@record("gram/agreed/1")
class Agreed:
    """4, coordinator to an aggregator, where loans are due: what the three accepted.

    accepted  signed, by aggregator

    Bare: the aggregators' signatures are inside.
    """

    accepted: tuple[bytes, ...]


@record("gram/loan/1")
class Loan:
    """4a, aggregator to coordinator: the seeds that another aggregator alone did not get, of components that we share.

    accepted  `gathered` of the three signed `Accepted`
    dealers   whose seed is lent, ascending
    sealed    one per dealer, for the aggregator that rejected it

    Reveals: to the borrower, what its box should have held.
    """

    session: Digest
    party: int
    accepted: Digest
    dealers: tuple[int, ...]
    sealed: tuple[bytes, ...]


@record("gram/begin/1")
class Begin:
    """5, coordinator to an aggregator: multiply. Behind it travel the corrections of the dealers that are in, for an
    aggregator that needs them (see `gram_upload.begin`).

    accepted  signed, by aggregator
    loans     signed, of those who owe one, ascending

    Bare: the aggregators' signatures are inside.
    """

    accepted: tuple[bytes, ...]
    loans: tuple[bytes, ...]


@record("gram/share/1")
class GramShare:
    """5a, aggregator to coordinator: my part of what is opened before the sum.

    accepted   `gathered` of the three signed `Accepted`, which say who is in
    products   uint64[rows, rows], its part of all inner products under its share of zero
    lengths    uint64[dealt rows, projections.COUNT], the projections of the component that bears its number
    following  `words_digest` of the same of the following component

    Reveals: with the other two, the inner products of all rows; and blinded projections, which say of a row within its
    bound next to nothing.
    """

    session: Digest
    party: int
    accepted: Digest
    products: Words
    lengths: Words
    following: Digest


@record("gram/shares/1")
class Shares:
    """6, coordinator to an aggregator: what the three opened.

    shares  signed, by aggregator

    Bare: the aggregators' signatures are inside.
    """

    shares: tuple[bytes, ...]


@record("gram/coin/1")
class Coin:
    """6a, aggregator to coordinator: after I have seen these shares, and no others, my second coin.

    shares  `gathered` of the three signed `GramShare`s

    Reveals: nothing of the rows.
    """

    session: Digest
    party: int
    shares: Digest
    coin: bytes


@record("gram/coins/1")
class Coins:
    """7, coordinator to an aggregator: the second coins.

    coins  signed `Coin`s, by aggregator

    Bare: the aggregators' signatures are inside.
    """

    coins: tuple[bytes, ...]


@record("gram/vouch/1")
class Vouch:
    """7a, aggregator to coordinator: I stand by my products, and help to check another's.

    coins   `gathered` of the three signed `Coin`s
    claim   uint64[repetitions], what it says for its own products (see `product_check`)
    sealed  SHA-256 of what it gives to one of the others, to check the third

    Reveals: nothing: the claim is masked.
    """

    session: Digest
    party: int
    coins: Digest
    claim: Words
    sealed: Digest


@record("gram/vouch-by/1")
class VouchBy:
    """7a, on its way: the signed `Vouch`, and what it seals."""

    vouch: bytes
    sealed: bytes


@record("gram/vouches/1")
class Vouches:
    """8, coordinator to an aggregator: the three claims, and what was sealed for it.

    vouches  signed, by aggregator

    Bare: the aggregators' signatures are inside.
    """

    vouches: tuple[bytes, ...]
    sealed: bytes


@record("gram/verdict/1")
class Verdict:
    """8a, aggregator to coordinator: the products that I had to check are right.

    vouches  `gathered` of the three signed `Vouch`es

    A step of its own: whoever opened its part of the sum before the third had checked the products could be led, by
    one lying aggregator, to weigh as that one likes, and so to open a single site's row.

    Reveals: that the check passed.
    """

    session: Digest
    party: int
    vouches: Digest


@record("gram/verdicts/1")
class Verdicts:
    """9, coordinator to an aggregator: all three are satisfied.

    verdicts  signed, by aggregator

    Bare: the aggregators' signatures are inside.
    """

    verdicts: tuple[bytes, ...]


@record("gram/sum/1")
class GramSum:
    """9a, aggregator to coordinator: my part of the one sum.

    verdicts   `gathered` of the three signed `Verdict`s
    weights    int64[sites], as the public rule gives them
    part       uint64[length], the weighted sum of the keystreams of the component that bears its number
    following  `words_digest` of the same of the following component

    Reveals: with the other two and the corrections, the weighted sum of the sites' first rows.
    """

    session: Digest
    party: int
    verdicts: Digest
    weights: npt.NDArray[np.int64]
    part: Words
    following: Digest


@record("gram/objection/1")
class Objection:
    """Instead of any answer, aggregator to coordinator: I stop here, and say why.

    about    the aggregator that it complains of, by its number; -1 if none can be named
    answers  digest of the message that it does not go on with
    why      for people

    The round is void. Who of the two is right is not decided.

    Reveals: that the round was interfered with.
    """

    session: Digest
    party: int
    about: int
    answers: Digest
    why: str


# ---------------------------------------------------------------- digests and beacons


def coin_digest(place: int, coin: bytes) -> Digest:
    """Binds an aggregator to its first or second coin; hides it because it is uniform."""
    return Digest(sha256(tagged("gram/coin/1", place.to_bytes(1), coin)).digest())


def gathered(messages: Iterable[bytes]) -> Digest:
    """Binds to signed messages in their order."""
    return Digest(sha256(tagged("gram/gathered/1", *(sha256(one).digest() for one in messages))).digest())


def words_digest(words: Words) -> Digest:
    """Binds to a table of words."""
    shape = b"".join(size.to_bytes(8) for size in words.shape)
    return Digest(sha256(tagged("gram/words/1", shape, np.ascontiguousarray(words, "<u8").tobytes())).digest())


def first_beacon(told: Digest, coins: Iterable[bytes]) -> Digest:
    """What sketch and projections are drawn from: fixed after every dealer has committed itself, and foreseen by
    nobody as long as one aggregator keeps its coin to itself until then. It depends on nothing that an aggregator
    chooses after it has seen another's coin.

    told   digest of the `GramList`
    coins  the first, by aggregator
    """
    return Digest(sha256(tagged("gram/beacon-1/1", told, *coins)).digest())


def second_beacon(shares: Digest, coins: Iterable[bytes]) -> Digest:
    """What products are checked at: fixed after all of them are.

    shares  see `Coin.shares`
    coins   the second, by aggregator
    """
    return Digest(sha256(tagged("gram/beacon-2/1", shares, *coins)).digest())
