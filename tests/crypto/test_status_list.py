"""Status lists: the published examples, changes, and lists that must not be read."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caduceus.crypto.sd_jwt_keys import encode, write_json
from caduceus.crypto.status_list import (
    BLOB_MOST,
    INVALID,
    LIST_MOST,
    StatusList,
    all_valid,
    pack_list,
    read_list,
    reference_of,
)
from caduceus.errors import Refused

PUBLISHED = [  # draft-ietf-oauth-status-list, section 4.2 and appendix
    (1, "eNrbuRgAAhcBXQ", [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]),
    (2, "eNo76fITAAPfAgc", [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]),
]


@pytest.mark.parametrize(("bits", "text", "statuses"), PUBLISHED)
def test_the_published_examples_read_and_pack_as_they_say(bits: int, text: str, statuses: list[int]):
    found = read_list(write_json({"bits": bits, "lst": text}))
    assert [found.at(index) for index in range(found.size)] == statuses
    assert pack_list(found) == write_json({"bits": bits, "lst": text})


@given(st.sampled_from([1, 2, 4, 8]), st.lists(st.integers(0, 255), min_size=1, max_size=40))
def test_what_was_set_is_read_again(bits: int, values: list[int]):
    wanted = [one % (1 << bits) for one in values]
    made = all_valid(len(wanted), bits)
    for index, status in enumerate(wanted):
        made = made.with_status(index, status)
    found = read_list(pack_list(made))
    assert [found.at(index) for index in range(len(wanted))] == wanted
    assert all(found.at(index) == 0 for index in range(len(wanted), found.size))


def test_one_credential_is_revoked_and_no_other():
    made = all_valid(1000).with_status(500, INVALID)
    assert [index for index in range(made.size) if made.at(index)] == [500]
    assert made.with_status(500, 0) == all_valid(1000)


def test_what_is_not_on_the_list_has_no_status():
    for index in (-1, 8):
        with pytest.raises(Refused, match="not on its issuer's status list of 8"):
            all_valid(8).at(index)
    with pytest.raises(Refused, match="does not fit into 1 bits"):
        all_valid(8).with_status(0, 2)


def bomb() -> bytes:
    return write_json({"bits": 1, "lst": encode(zlib.compress(bytes(LIST_MOST + 1), 9))})


@pytest.mark.parametrize(
    ("blob", "why"),
    [
        (b"x" * (BLOB_MOST + 1), "at most"),
        (b"[]", "not a JSON object"),
        (write_json({"bits": 3, "lst": "eNrbuRgAAhcBXQ"}), "bits of 1, 2, 4 or 8"),
        (write_json({"bits": True, "lst": "eNrbuRgAAhcBXQ"}), "bits of 1, 2, 4 or 8"),
        (write_json({"bits": 1}), "and a list"),
        (write_json({"bits": 1, "lst": "eNrbuRgAAhcBX"}), "base64url|zlib|cut off"),
        (write_json({"bits": 1, "lst": "AAAA"}), "zlib"),
        (write_json({"bits": 1, "lst": encode(zlib.compress(b"ab")[:-1])}), "cut off"),
        (write_json({"bits": 1, "lst": encode(zlib.compress(b"ab") + b"more")}), "longer than it says"),
        (bomb(), "too long"),
    ],
)
def test_a_hostile_list_is_refused(blob: bytes, why: str):
    with pytest.raises(Refused, match=why):
        read_list(blob)


def test_a_credential_says_where_its_status_is():
    assert reference_of({}) is None
    assert reference_of({"status": {"status_list": {"idx": 3, "uri": "u"}}}) == ("u", 3)
    for wrong in ("x", {}, {"status_list": {"idx": "3", "uri": "u"}}, {"status_list": {"idx": True, "uri": "u"}}):
        with pytest.raises(Refused, match="names no list and index"):
            reference_of({"status": wrong})


def test_a_list_that_would_be_too_large_is_not_made():
    for size, bits in ((0, 1), (8, 3), (8 * LIST_MOST + 1, 1)):
        with pytest.raises(Refused, match="is not made"):
            all_valid(size, bits)
    assert all_valid(9) == StatusList(1, bytes(2))
