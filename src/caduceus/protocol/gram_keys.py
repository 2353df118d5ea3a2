"""What two aggregators make of the key that they share in a round.

Key k is made by aggregator k and known to aggregator k - 1 as well: to just those who hold component k. So an
aggregator has its own key and the following one.
"""

from __future__ import annotations

import numpy as np

from caduceus.crypto import keystream
from caduceus.crypto.entropy import expand, tagged
from caduceus.crypto.product_check import DEGREE, Vouched
from caduceus.crypto.ring import Words
from caduceus.crypto.seal import seal, unseal
from caduceus.errors import Refused
from caduceus.kinds import Digest

KEY_BYTES = keystream.KEY_BYTES


def zero_label(accepted: Digest) -> bytes:
    """What the shares of zero are for: the products of those whom the three accepted. Bound to that, so that an
    aggregator that could be led to multiply twice would not use one share of zero twice."""
    return tagged("gram/zero/1", accepted)


def check_context(coins: Digest, prover: int) -> bytes:
    """What a check of products is bound to.

    coins   `gathered` of the second coins, which bind everything before them
    prover  whose products are checked: 0, 1, 2
    """
    return tagged("gram/check/1", coins, prover.to_bytes(1))


def challenge_beacon(beacon: Digest, prover: int) -> bytes:
    """What the challenge for one aggregator's products is drawn from."""
    return expand(beacon, "gram/challenge/1", prover.to_bytes(1))


def lend(key: bytes, seed: bytes, *, accepted: Digest, dealer: int, borrower: int) -> bytes:
    """A dealer's seed, sealed for the other holder of its component."""
    context = _loan(accepted, dealer, borrower)
    return seal(expand(key, "gram/loan/1", context), seed, bound_to=context)


def borrow(key: bytes, sealed: bytes, *, accepted: Digest, dealer: int, borrower: int) -> bytes:
    """What `lend` sealed; raises Refused if it does not open."""
    context = _loan(accepted, dealer, borrower)
    return unseal(expand(key, "gram/loan/1", context), sealed, bound_to=context)


def _loan(accepted: Digest, dealer: int, borrower: int) -> bytes:
    return tagged("gram/loan/1", accepted, dealer.to_bytes(4), borrower.to_bytes(4))


def seal_vouched(key: bytes, vouched: Vouched, context: bytes) -> bytes:
    """What the first verifier tells the second, sealed with the key of these two."""
    words = [np.ascontiguousarray(part, "<u8").tobytes() for part in (vouched.left, vouched.right, vouched.total)]
    return seal(expand(key, "gram/vouched/1", context), b"".join(words), bound_to=context)


def open_vouched(key: bytes, sealed: bytes, context: bytes, width: int) -> Vouched:
    """What `seal_vouched` sealed.

    width  of the images

    Raises Refused if it does not open to such.
    """
    words = np.frombuffer(unseal(expand(key, "gram/vouched/1", context), sealed, bound_to=context), np.uint8)
    if words.nbytes != 8 * DEGREE * (2 * width + 1):
        raise Refused("what a verifier sealed has another length")
    found: Words = words.view("<u8")
    side = DEGREE * width
    return Vouched(
        found[:side].reshape(DEGREE, width), found[side : 2 * side].reshape(DEGREE, width), found[2 * side :]
    )
