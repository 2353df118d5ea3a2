"""One pass of an aggregator over its two components of all vectors: images, projections and square norms.

Components are drawn from their seeds piece by piece and thrown away, so that memory is that of the images. All rows
get a piece of the signs and coefficients before the next is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from caduceus.crypto import keystream, projections, ring, rss
from caduceus.crypto.ring import Words
from caduceus.crypto.sketch import Sketch
from caduceus.errors import Misuse

_ROWS = 16
"""Rows at a time: their words and halves, 3 MB, stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Dealt:
    """What an aggregator has of one dealer's R vectors of L entries, each with its blinding entries behind it.

    own         the seed of component k
    following   the seed of component k + 1
    correction  uint64[R, L + projections.COUNT]; aggregator 1, which has no component 0, needs none and ignores it
    """

    own: bytes
    following: bytes
    correction: Words | None


@dataclass(frozen=True, slots=True)
class Passed:
    """What is left of N vectors. Index 0 is component k, index 1 is component k + 1.

    images     uint64[2, N, width]
    projected  uint64[2, N, COUNT]: component k is opened, and compared with what aggregator k - 1 has of it; of k + 1
               the digest is
    squares    uint64[N]: this aggregator's part of the square norms, to be opened with a share of zero
    """

    images: Words
    projected: Words
    squares: Words


def pass_over(party: int, dealt: Sequence[Dealt], rows: int, sketch: Sketch, beacon: bytes) -> Passed:
    """All that an aggregator needs of the vectors before it knows their weights.

    party   k
    dealt   one of every dealer, in the order of the matrix
    rows    R: how many vectors each dealt
    sketch  drawn after all vectors were committed to
    beacon  32 public bytes, of which the projections are drawn; likewise

    Raises Misuse if a correction is missing or has another shape.
    """
    shape = (rows, sketch.length + projections.COUNT)
    with_correction = [component == 0 for component in rss.holds(party)]
    if any(with_correction) and any(one.correction is None or one.correction.shape != shape for one in dealt):
        raise Misuse(f"gram pass: aggregator {party} needs a correction of {shape} from every dealer")
    count = len(dealt) * rows
    passed = Passed(
        np.zeros((2, count, sketch.width), np.uint64),
        np.zeros((2, count, projections.COUNT), np.uint64),
        np.zeros(count, np.uint64),
    )
    vectors = [
        _Vector(rss.Opened(one.own, row * shape[1]), rss.Opened(one.following, row * shape[1]), one.correction, row)
        for one in dealt
        for row in range(rows)
    ]
    work = _Work(vectors, with_correction, sketch.step)
    for start in range(0, sketch.length, sketch.step):
        columns = min(sketch.step, sketch.length - start)
        signs = None if sketch.is_identity else sketch.signs(start, columns)
        drawn = projections.draw_transposed(beacon, columns, start).astype(np.float64)
        for group, words in work.groups(start, columns):
            _take(passed, group, words, drawn)
            for images, component in zip(passed.images[:, group], words, strict=True):
                sketch.fold(images, component, start, signs)
    for group, words in work.groups(sketch.length, projections.COUNT):
        passed.projected[:, group] += words
    return passed


@dataclass(frozen=True, slots=True)
class _Vector:
    own: rss.Opened
    following: rss.Opened
    correction: Words | None
    row: int


class _Work:
    """Room for some rows' pieces of both components, used again and again."""

    __slots__ = ("_room", "_vectors", "_with_correction", "_words")

    def __init__(self, vectors: list[_Vector], with_correction: list[bool], step: int) -> None:
        self._vectors, self._with_correction = vectors, with_correction
        size = 2 * min(_ROWS, len(vectors)) * max(step, projections.COUNT)
        self._room = np.empty(8 * size + keystream.BLOCK_BYTES, np.uint8)
        self._words = self._room[: -keystream.BLOCK_BYTES].view(np.uint64)

    def groups(self, start: int, columns: int) -> Iterator[tuple[slice, Words]]:
        """Some rows and uint64[2, rows, columns], their words from `start` on; has to go on where it ended before."""
        place, size = self._room.data, 8 * columns
        for first in range(0, len(self._vectors), _ROWS):
            group = self._vectors[first : first + _ROWS]
            words = self._words[: 2 * len(group) * columns].reshape(2, len(group), columns)
            for i, vector in enumerate(group):
                vector.own.read(place[i * size :], columns)
                vector.following.read(place[(len(group) + i) * size :], columns)
            for component, needs in zip(words, self._with_correction, strict=True):
                if needs:
                    for into, vector in zip(component, group, strict=True):
                        assert vector.correction is not None  # checked at the beginning
                        into += vector.correction[vector.row, start : start + columns]
            yield slice(first, first + len(group)), words


def _take(passed: Passed, group: slice, words: Words, drawn: npt.NDArray[np.float64]) -> None:
    cut = ring.halves(words.reshape(-1, words.shape[2]))
    passed.projected[:, group] += ring.combined(cut, drawn).reshape(2, -1, projections.COUNT)
    passed.squares[group] += rss.squares(words[0], words[1])
