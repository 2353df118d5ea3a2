"""Records have one byte form; every other is refused."""

import cbor2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from caduceus import canon
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Digest, Floats, Residues, Stage


@canon.record("test/leaf/1")
class Leaf:
    name: str
    amount: int


@canon.record("test/whole/1")
class Whole:
    digest: Digest
    leaves: tuple[Leaf, ...]
    pair: tuple[int, str]
    vector: Residues
    model: Floats | None
    stage: Stage
    flag: bool
    ratio: float


leaves = st.builds(Leaf, st.text(max_size=8), st.integers(-(2**300), 2**300))
wholes = st.builds(
    Whole,
    st.binary(min_size=32, max_size=32),
    st.lists(leaves, max_size=3).map(tuple),
    st.tuples(st.integers(), st.text(max_size=4)),
    hnp.arrays(np.uint64, st.integers(0, 5)),
    st.none() | hnp.arrays(np.float64, (2, 2)),
    st.sampled_from(Stage),
    st.booleans(),
    st.floats(allow_nan=False),
)


@given(wholes)
def test_a_record_comes_back_as_it_was(whole):
    again = canon.unpack(Whole, canon.pack(whole))
    assert again == whole
    assert canon.digest(again) == canon.digest(whole)
    assert np.array_equal(again.vector, whole.vector)


@given(wholes, st.data())
def test_no_altered_bytes_are_read_as_the_same_record(whole, data):
    packed = bytearray(canon.pack(whole))
    position = data.draw(st.integers(0, len(packed) - 1))
    packed[position] ^= data.draw(st.integers(1, 255))
    try:
        other = canon.unpack(Whole, bytes(packed))
    except Refused:
        return
    assert other != whole  # another value, with another digest: never the same one in another spelling


@given(st.binary(max_size=200))
def test_hostile_bytes_are_refused_and_nothing_else(data):
    with pytest.raises(Refused):
        canon.unpack(Whole, data)


def test_a_second_spelling_of_the_same_value_is_refused():
    spelled_long = b"\x83\x6btest/leaf/1\x61a\x18\x01"  # the integer 1 in two bytes
    assert cbor2.loads(spelled_long) == ["test/leaf/1", "a", 1]
    with pytest.raises(Refused, match="canonical"):
        canon.unpack(Leaf, spelled_long)


def test_a_field_of_the_wrong_kind_is_named():
    with pytest.raises(Refused, match=r"test/leaf/1\.amount: expected int, got str"):
        canon.unpack(Leaf, cbor2.dumps(["test/leaf/1", "a", "1"]))
    with pytest.raises(Misuse, match=r"test/leaf/1\.amount"):
        canon.pack(Leaf("a", True))


def test_one_kind_is_never_read_as_another():
    with pytest.raises(Refused, match="expected a record test/whole/1"):
        canon.unpack(Whole, canon.pack(Leaf("a", 1)))
    assert canon.unpack_one_of(canon.tags(Leaf, Whole), canon.pack(Leaf("a", 1))) == Leaf("a", 1)
    with pytest.raises(Refused, match="not expected here"):
        canon.unpack_one_of(canon.tags(Whole), canon.pack(Leaf("a", 1)))


def test_an_array_that_lies_about_its_shape_is_refused():
    honest = cbor2.loads(
        canon.pack(Whole(Digest(b"d" * 32), (), (1, "x"), np.zeros(4, np.uint32), None, Stage.OPEN, True, 0.5))
    )
    honest[4][1] = [2**40, 2**40]
    with pytest.raises(Refused, match="does not fit"):
        canon.unpack(Whole, cbor2.dumps(honest, canonical=True))


@pytest.mark.parametrize("shape", [[0, 2**70], [0, 2**40, 2**40], [2**63, 0], [0] * 9])
def test_an_empty_array_of_a_shape_that_nothing_can_hold_is_refused(shape):
    held = Whole(Digest(b"d" * 32), (), (1, "x"), np.zeros((0, 3), np.uint32), None, Stage.OPEN, True, 0.5)
    assert canon.unpack(Whole, canon.pack(held)).vector.shape == (0, 3)
    tree = cbor2.loads(canon.pack(held))
    tree[4][1] = shape
    with pytest.raises(Refused, match="does not fit"):
        canon.unpack(Whole, cbor2.dumps(tree, canonical=True))


@pytest.mark.parametrize(
    "data",
    [
        b"\x83\x6btest/leaf/1\xd8\x1c\x61a\x01",  # marks a value for sharing
        b"\x83\x6btest/leaf/1\xd8\x1d\x00\x01",  # refers to one
        b"\xd9\x01\x00\x83\x6btest/leaf/1\x61a\x01",  # opens a table of strings
        b"\x83\x6btest/leaf/1\xd8\x19\x00\x01",  # refers to one of them
        b"\x9f\x6btest/leaf/1\x61a\x01\xff",  # a list without a length
    ],
)
def test_references_by_which_a_few_bytes_could_stand_for_many_are_refused_unread(data):
    assert canon.unpack(Leaf, b"\x83\x6btest/leaf/1\x61a\x01") == Leaf("a", 1)
    with pytest.raises(Refused, match="not readable"):
        canon.unpack(Leaf, data)
