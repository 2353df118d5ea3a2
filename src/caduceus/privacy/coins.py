"""Coins: exact tosses with a stated chance, by which patients are sampled into a round (Poisson sampling).

That a round leaves most patients out makes it cheaper in privacy (amplification by sampling), and the accountant
counts with the stated rate. A real coin must therefore never fall more often: a rate that 64 bits cannot hold is
rounded down, and then the toss is exact, one whole-number comparison with 64 bits of a keystream.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from caduceus.crypto import keystream
from caduceus.crypto.entropy import expand
from caduceus.errors import Misuse

_PIECE = 1 << 14  # coins at a time: their words stay in the processor's cache
_ZEROS = memoryview(bytes(8 * _PIECE))


def toss(key: bytes, size: int, *, rate: Fraction | float) -> npt.NDArray[np.bool_]:
    """Independent coins, each true with probability floor(rate * 2**64) / 2**64: at most `rate`.

    key      32 uniform secret bytes, used for one toss only: who knows them knows who was sampled
    size     how many coins, >= 0
    rate     from 2**-64 to 1; a float stands for the binary fraction that it is
    returns  bool[size]; on every machine the same ones for the same key and rate, and a shorter toss is a longer one's
             beginning. With the same key, a higher rate only adds coins that are true

    Raises Misuse if an argument is not such: a rate below 2**-64 would round to a coin that never falls.
    """
    if len(key) != keystream.KEY_BYTES:
        raise Misuse(f"coins: a key is {keystream.KEY_BYTES} bytes, got {len(key)}")
    if size < 0:
        raise Misuse(f"coins: cannot toss {size} coins")
    if not 0 < rate <= 1 or (bound := int(Fraction(rate) * (1 << 64))) == 0:  # not a number is refused by the first
        raise Misuse(f"coins: a rate is from 2**-64 to 1, got {rate}")
    most = np.uint64(bound - 1)  # a word is below the bound: one of `bound` in 2**64
    (stream,) = keystream.CIPHERS[keystream.CIPHER]([expand(key, "coins")], 0)
    coins = np.empty(size, np.bool_)
    for start in range(0, size, _PIECE):
        piece = coins[start : start + _PIECE]
        words = np.frombuffer(stream.update(_ZEROS[: 8 * len(piece)]), "<u8")
        np.less_equal(words, most, out=piece)
    return coins
