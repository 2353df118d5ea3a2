"""What is read of a message to tell a stray: the names at its head, whatever follows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adversary import framed, said_by, vouched_by
from caduceus import canon
from caduceus.canon import record
from caduceus.protocol.envelope import SCHEME, Signed
from caduceus.protocol.secagg_messages import Advertise, Confirm, Consent, Deal, Endorse, Header, Opening, Upload
from caduceus.protocol.secagg_stray import is_stray

OWN, ROSTER, READY, OTHER = (bytes([at] * 32) for at in range(1, 5))
TABLE = np.zeros((3, 32), np.uint8)
SHARES = np.zeros((2, 9), np.uint32)


def dealt(header: bytes) -> bytes:
    return canon.pack(Deal(header, TABLE, TABLE, TABLE, (b"parcel",)))


def uploaded(session: bytes) -> bytes:
    return framed(Signed(canon.pack(Upload(session, 1, OTHER)), SCHEME, bytes(65)), bytes(40))


def header(setup: bytes, roster: bytes) -> bytes:
    return vouched_by(1, Header(setup, roster, 1, OTHER, OTHER))


def confirm(setup: bytes, roster: bytes) -> bytes:
    return said_by(1, Confirm(setup, roster, 1, (), TABLE))


OURS = {
    "advertise": vouched_by(1, Advertise(OWN, 1, bytes(5), bytes(5))),
    "header": header(OWN, ROSTER),
    "deal": dealt(header(OWN, ROSTER)),
    "confirm": confirm(OWN, ROSTER),
    "endorse": said_by(1, Endorse(READY, 1, TABLE)),
    "upload": uploaded(OWN),
    "consent": said_by(1, Consent(OWN, 1, OTHER, TABLE)),
    "opening": said_by(1, Opening(OWN, 1, (0, 1), SHARES)),
}
ELSEWHERE = {
    "advertise": vouched_by(1, Advertise(OTHER, 1, bytes(5), bytes(5))),
    "header": header(OTHER, ROSTER),
    "deal": dealt(header(OTHER, ROSTER)),
    "deal of another roster": dealt(header(OWN, OTHER)),
    "confirm": confirm(OTHER, ROSTER),
    "confirm of another roster": confirm(OWN, OTHER),
    "endorse": said_by(1, Endorse(OTHER, 1, TABLE)),
    "upload": uploaded(OTHER),
    "consent": said_by(1, Consent(OTHER, 1, OTHER, TABLE)),
    "opening": said_by(1, Opening(OTHER, 1, (0, 1), SHARES)),
}


def stray(data: bytes) -> bool:
    return is_stray(data, OWN, roster=ROSTER, ready=READY)


@pytest.mark.parametrize("data", OURS.values(), ids=OURS)
def test_what_is_of_this_set_up_or_round_is_none(data):
    assert not stray(data)


@pytest.mark.parametrize("data", ELSEWHERE.values(), ids=ELSEWHERE)
def test_what_is_of_another_is_one(data):
    assert stray(data)


@pytest.mark.parametrize("kind", ["header", "deal", "confirm", "endorse"])
def test_before_there_is_a_roster_or_an_outcome_nothing_can_be_of_it(kind):
    assert is_stray(OURS[kind], OWN)


def test_a_round_takes_messages_of_its_own_set_up_for_strays():
    assert all(is_stray(OURS[kind], OTHER) for kind in OURS)


@pytest.mark.parametrize("data", [*OURS.values(), *ELSEWHERE.values()], ids=[*OURS, *(f"other {k}" for k in ELSEWHERE)])
def test_what_follows_the_names_decides_nothing(data):
    """So that a long message, or one that is broken further on, is told as fast."""
    assert stray(data + b"\x00" * 1000) == stray(data)
    assert not stray(data[:20])


@pytest.mark.parametrize("setup", [b"", OTHER[1:], OTHER + b"x"])
def test_what_is_no_digest_names_no_set_up(setup):
    """An honest site never sends that, here or elsewhere."""
    assert not stray(vouched_by(1, Advertise(setup, 1, b"", b"")))


def test_what_sites_never_say_is_no_stray():
    assert not stray(b"")
    assert not stray(b"garbage")
    assert not stray(canon.pack(Signed(b"", "", b"")))
    assert not stray(canon.pack(Signed(canon.pack(Some((OTHER,), 1)), "", b"")))
    assert not stray(dealt(b"no header"))
    assert not stray(dealt(ELSEWHERE["deal"]))  # its header is no signed record
    assert not stray(bytes(600))


@given(st.binary(max_size=200))
def test_whatever_is_read_nothing_is_raised(data):
    assert not stray(data)
    assert not stray(canon.pack(Signed(data, "", b"")))
    assert not stray(dealt(data))


@record("test/some/1")
class Some:
    parts: tuple[bytes, ...]
    number: int


@record("test/three/1")
class Three:
    one: bytes
    two: bytes
    number: int


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=70_000), st.binary(max_size=300), st.integers(0, 5))
def test_byte_strings_at_the_head_of_a_record_are_read_alone(one, two, most):
    data = canon.pack(Three(one, two, 1))
    assert canon.peek_bytes(data, most) == (one, two)[:most]
    assert canon.peek_bytes(data[:-1] + b"rest", most) == (one, two)[:most]
    assert canon.peek_bytes(data[:-2], 2) == (one,)


@given(st.binary(max_size=100))
def test_of_other_bytes_nothing_or_a_part_is_read(data):
    found = canon.peek_bytes(data, 3)
    assert all(one in data for one in found)
