"""A short linear image of long vectors that keeps their inner products about right: CountSketch in contiguous pieces.

The coordinates are cut into chunks of `buckets`. A chunk gets independent random signs and one random rotation, and
all chunks are added. Two coordinates of one chunk never meet, and two of different chunks meet with probability
1 / buckets exactly; that and independent signs is all that the analysis of CountSketch uses (Charikar, Chen and
Farach-Colton, ICALP 2002; Alon, Matias and Szegedy, STOC 1996): with u, v the images of x, y,

    E <u, v> = <x, y>   and   Var <u, v> <= (|x|^2 |y|^2 + <x, y>^2) / buckets.

It is linear, so that aggregators sketch the shares that they hold. Signs and rotations come from a beacon that nobody
knew when the vectors were committed to: whoever knows them makes a vector that is large and whose image is small. A
vector with two entries (a, -a) or (a, a) is mapped to zero with probability 1 / (2 buckets) even so; what must hold
with certainty is therefore judged on whole vectors (`projections`, `rss.squares`), never on images.
"""

from __future__ import annotations

from typing import final

import numpy as np

from caduceus.crypto import keystream
from caduceus.crypto.entropy import expand
from caduceus.crypto.ring import Words
from caduceus.errors import Misuse

BUCKETS = 4096

_BLOCK_BITS = 8 * keystream.BLOCK_BYTES


@final
class Sketch:
    """One drawn map from vectors of `length` words to vectors of `width` words.

    length   of the vectors, >= 1
    buckets  of the image, a multiple of 128; vectors that are no longer than that are their own image
    beacon   32 public bytes, uniform

    Raises Misuse if an argument is not such.
    """

    __slots__ = ("_bits", "_rotations", "buckets", "length", "width")

    def __init__(self, length: int, buckets: int, beacon: bytes) -> None:
        if length < 1 or buckets < 1 or buckets % _BLOCK_BITS or len(beacon) != keystream.KEY_BYTES:
            raise Misuse(f"sketch: of {length} entries to {buckets} buckets with a beacon of {len(beacon)} bytes")
        self.length, self.buckets = length, buckets
        self.width = min(length, buckets)
        chunks = 0 if self.is_identity else -(-length // buckets)
        words = keystream.words(expand(beacon, "sketch/signs/1"), chunks * buckets // 32)
        self._bits = words.view(np.uint8).reshape(chunks, buckets // 8)
        drawn = keystream.words(expand(beacon, "sketch/rotations/1"), 2 * chunks).view(np.uint64)
        self._rotations: list[int] = (drawn % np.uint64(buckets)).tolist()

    @property
    def is_identity(self) -> bool:
        """Whether vectors are their own image."""
        return self.length <= self.buckets

    @property
    def step(self) -> int:
        """Columns that `fold` takes at a time."""
        return self.buckets

    def signs(self, start: int, count: int) -> Words:
        """uint64[count]: 1 or -1 for the coordinates from `start` on, a multiple of `step`."""
        drawn = np.unpackbits(self._bits[start // self.buckets], count=count).astype(np.uint64)
        drawn <<= np.uint64(1)
        return np.subtract(drawn, np.uint64(1), out=drawn)

    def fold(self, images: Words, columns: Words, start: int, signs: Words | None = None) -> None:
        """Add some columns of vectors to their images, in place.

        images   uint64[R, width]
        columns  uint64[R, count], at most `step`; overwritten where the sketch is not the identity
        start    the first column's coordinate, a multiple of `step`
        signs    what `signs` gives for them, where they are there already
        """
        count = columns.shape[1]
        if self.is_identity:
            images[:, start : start + count] += columns
            return
        factors = self.signs(start, count) if signs is None else signs
        for row in columns:  # all rows in one call take numpy up to six times as long
            row *= factors
        rotation = self._rotations[start // self.buckets]
        first = min(count, self.buckets - rotation)
        images[:, rotation : rotation + first] += columns[:, :first]
        images[:, : count - first] += columns[:, first:]

    def apply(self, rows: Words) -> Words:
        """The images of vectors.

        rows     uint64[R, length]; not changed
        returns  uint64[R, width]

        Raises Misuse if rows have another length.
        """
        if rows.ndim != 2 or rows.shape[1] != self.length or rows.dtype != np.uint64:
            raise Misuse(f"sketch: {rows.dtype}{rows.shape} for vectors of {self.length} entries")
        images = np.zeros((len(rows), self.width), np.uint64)
        for start in range(0, self.length, self.step):
            signs = None if self.is_identity else self.signs(start, min(self.step, self.length - start))
            for i in range(len(rows)):
                piece = rows[i : i + 1, start : start + self.step].copy()
                self.fold(images[i : i + 1], piece, start, signs)
        return images
