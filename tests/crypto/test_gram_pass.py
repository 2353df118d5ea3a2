"""One pass over the components: the same as whole components taken one after the other, in little memory."""

import tracemalloc

import numpy as np
import pytest

from caduceus.crypto import gram_pass, projections, rss
from caduceus.crypto.gram_pass import Dealt
from caduceus.crypto.sketch import Sketch
from caduceus.errors import Misuse

M = 1 << 64
BEACON = bytes(range(32))


def seeds_of(dealer):
    return tuple(bytes([dealer, k]) * 16 for k in range(rss.PARTIES))


def correction_of(dealer, rows, length):
    words = np.random.default_rng(dealer).integers(0, M, (rows, length + projections.COUNT), dtype=np.uint64)
    rss.cover(words, seeds_of(dealer))
    return words


def dealt_to(party, corrections):
    one, two = rss.holds(party)
    return [Dealt(seeds_of(i)[one], seeds_of(i)[two], y if party != 1 else None) for i, y in enumerate(corrections)]


@pytest.mark.parametrize("party", range(rss.PARTIES))
@pytest.mark.parametrize(
    ("dealers", "rows", "length", "buckets"), [(3, 1, 1000, 128), (9, 2, 301, 128), (2, 3, 77, 128)]
)
def test_a_pass_gives_what_whole_components_give(party, dealers, rows, length, buckets):
    corrections = [correction_of(dealer, rows, length) for dealer in range(dealers)]
    sketch, drawn = Sketch(length, buckets, BEACON), projections.draw(BEACON, length)
    passed = gram_pass.pass_over(party, dealt_to(party, corrections), rows, sketch, BEACON)
    held = []
    for index, k in enumerate(rss.holds(party)):
        parts = [
            rss.component(k, seeds_of(i)[k], y if k == 0 else None, shape=y.shape) for i, y in enumerate(corrections)
        ]
        words = np.concatenate(parts)
        vectors, blinding = np.ascontiguousarray(words[:, :length]), words[:, length:]
        assert np.array_equal(passed.images[index], sketch.apply(vectors))
        assert np.array_equal(passed.projected[index], projections.project(vectors, drawn, blinding))
        held.append(vectors)
    assert np.array_equal(passed.squares, rss.squares(*held))


def test_a_pass_takes_the_memory_of_its_images_and_not_of_the_vectors():
    corrections = [correction_of(dealer, 1, 100_000) for dealer in range(20)]
    sketch = Sketch(100_000, 1024, BEACON)
    tracemalloc.start()
    gram_pass.pass_over(0, dealt_to(0, corrections), 1, sketch, BEACON)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 100_000 * 8  # there are forty components


def test_a_correction_that_is_missing_or_of_another_shape_is_refused():
    (correction,) = corrections = [correction_of(0, 1, 200)]
    sketch = Sketch(200, 128, BEACON)
    with pytest.raises(Misuse, match="correction"):
        gram_pass.pass_over(2, [Dealt(*seeds_of(0)[:2], None)], 1, sketch, BEACON)
    with pytest.raises(Misuse, match="correction"):
        gram_pass.pass_over(0, [Dealt(*seeds_of(0)[:2], correction[:, 1:])], 1, sketch, BEACON)
    assert gram_pass.pass_over(1, dealt_to(1, corrections), 1, sketch, BEACON).squares.shape == (1,)
