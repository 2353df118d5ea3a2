"""What everybody agrees on before a round, and what nobody should agree to."""

import pytest

from adversary import COORDINATOR, a_client, a_setup, prepared, with_fields
from caduceus.errors import Refused
from caduceus.protocol.secagg_round_reading import RoundReader
from caduceus.protocol.secagg_server import Server
from caduceus.protocol.secagg_session import check

STAGE = prepared(7)
SESSION = STAGE.session()


def test_a_sound_session_is_taken_by_everybody():
    for session in (SESSION, STAGE.session(round=1), STAGE.session(bits=32, length=1)):
        check(session, STAGE.foundation.layout.setup)
        assert RoundReader(session, STAGE.foundation.present).groups == (tuple(range(7)),)
        Server(session, STAGE.foundation, COORDINATOR)
        assert a_client(session, STAGE.grounds[6]).round == session.round


@pytest.mark.parametrize(
    ("why", "fields"),
    [
        ("round 2 is not one of the 2 from 0", {"round": 2}),
        ("round -1 is not one of the 2 from 0", {"round": -1}),
        ("round 18446744073709551616 is not", {"round": 2**64}),
        ("a digest is not 32 bytes", {"state": bytes(31)}),
        ("a digest is not 32 bytes", {"state": b""}),
        ("of 16 bits", {"bits": 16}),
        ("of 0 bits", {"bits": 0}),
        ("0 entries", {"length": 0}),
        ("-1 entries", {"length": -1}),
        ("4294967296 entries", {"length": 2**32}),
    ],
)
def test_a_session_that_promises_less_is_refused_by_everybody(why, fields):
    session = with_fields(SESSION, **fields)
    takes = (
        lambda: check(session, STAGE.foundation.layout.setup),
        lambda: RoundReader(session, STAGE.foundation.present),
        lambda: Server(session, STAGE.foundation, COORDINATOR),
        lambda: a_client(session, STAGE.grounds[0]),
    )
    for take in takes:
        with pytest.raises(Refused, match=f"session: .*{why}"):
            take()


def test_a_digest_of_another_length_names_no_setup():
    with pytest.raises(Refused, match="a digest is not 32 bytes"):
        check(with_fields(SESSION, ready=bytes(31)), a_setup(7))


def test_sessions_that_differ_anywhere_have_different_digests():
    others = [
        with_fields(SESSION, **fields)
        for fields in (
            {"ready": bytes(32)},
            {"round": 1},
            {"state": bytes(32)},
            {"length": 6},
            {"bits": 32},
        )
    ]
    assert len({session.digest for session in (SESSION, *others)}) == len(others) + 1
