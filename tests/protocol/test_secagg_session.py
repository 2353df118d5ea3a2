"""What everybody agrees on before a round, and what nobody should agree to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adversary import COORDINATOR, a_client, a_session, with_fields
from caduceus.errors import Misuse, Refused
from caduceus.protocol.secagg_reading import Reader
from caduceus.protocol.secagg_server import Server
from caduceus.protocol.secagg_session import Party, check, neighbours, threshold_for

SEVEN = a_session(7)


@given(st.integers(3, 2000))
def test_two_lists_never_both_find_a_threshold_of_consents(sites):
    threshold, liars = threshold_for(sites), sites // 3
    assert threshold <= sites
    assert 2 * threshold > (sites - liars) + 2 * liars  # an honest site signs one list, a liar both
    assert threshold > liars  # liars alone reconstruct nothing


@given(st.integers(3, 40), st.data())
def test_the_full_graph_is_everybody_else(sites, data):
    session = a_session(sites)
    seat = data.draw(st.sampled_from(session.seats))
    assert set(neighbours(session, seat)) | {seat} == set(session.seats)
    assert seat not in neighbours(session, seat)


def test_a_sound_session_is_taken_by_everybody():
    check(SEVEN)
    Reader(SEVEN)
    Server(SEVEN, COORDINATOR)
    a_client(SEVEN, 6)
    assert SEVEN.party(6).seat == 6
    with pytest.raises(Misuse, match="not invited"):
        SEVEN.party(7)


def parties(change):
    return lambda old: tuple(change(list(old)))


def first_party(**fields):
    return parties(lambda old: [with_fields(old[0], **fields), *old[1:]])


@pytest.mark.parametrize(
    ("why", "fields"),
    [
        ("suite", {"suite": "bonawitz17-full/rot13"}),
        ("fewer than 3", {"parties": parties(lambda old: old[:2]), "threshold": 2}),
        ("fewer than 3", {"parties": ()}),
        ("threshold", {"threshold": 4}),
        ("threshold", {"threshold": 0}),
        ("threshold", {"threshold": 8}),
        ("seats", {"parties": parties(lambda old: old[::-1])}),
        ("seats", {"parties": parties(lambda old: [*old[:-1], old[0]])}),
        ("seats", {"parties": first_party(seat=-1)}),
        ("seats", {"parties": parties(lambda old: [*old[:-1], with_fields(old[-1], seat=2**32)])}),
        ("32 bytes", {"domain": b""}),
        ("32 bytes", {"job": bytes(31)}),
        ("32 bytes", {"state": bytes(33)}),
        ("not 20", {"coordinator": bytes(19)}),
        ("not 20", {"parties": first_party(signer=bytes(21))}),
        ("round", {"round": 2**32}),
        ("round", {"round": -1}),
        ("bits", {"bits": 16}),
        ("0 entries", {"length": 0}),
        ("entries", {"length": 2**32}),
    ],
)
def test_a_session_that_promises_less_is_refused_by_everybody(why, fields):
    session = with_fields(SEVEN, **fields)
    with pytest.raises(Refused, match=why):
        check(session)
    for take in (Reader, lambda s: Server(with_fields(s, coordinator=COORDINATOR.address), COORDINATOR)):
        if "coordinator" not in fields:
            with pytest.raises(Refused, match=why):
                take(session)


def test_sessions_that_differ_anywhere_have_different_digests():
    others = [
        with_fields(SEVEN, **fields)
        for fields in (
            {"round": 1},
            {"state": bytes(32)},
            {"length": 6},
            {"bits": 32},
            {"threshold": 6},
            {"domain": bytes(32)},
            {"job": bytes(32)},
            {"parties": parties(lambda old: old[:6])},
            {"parties": parties(lambda old: [*old[:6], Party(6, old[6].signer, bytes(32))])},
        )
    ]
    assert len({session.digest for session in (SEVEN, *others)}) == len(others) + 1
