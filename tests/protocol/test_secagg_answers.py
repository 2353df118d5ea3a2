"""What is said again, to whom nothing is said, and what a caller must not do."""

import numpy as np
import pytest

from adversary import (
    COORDINATOR,
    Memory,
    Play,
    a_client,
    a_vector,
    prepared,
    signer_of,
    sum_of,
    with_fields,
)
from caduceus.errors import Misuse, Refused
from caduceus.protocol import secagg_upload as uploads
from caduceus.protocol.secagg_client import Client, Step
from caduceus.protocol.secagg_plan import Family, Plan
from caduceus.protocol.secagg_server import Phase, Server

STAGE = prepared(4)
SESSION = STAGE.session()
SPARSE = prepared(12, plan=Plan(12, 4, 5, 4, Family.RING), silent=3)


# ---------------------------------------------------------------- again


@pytest.mark.parametrize("stage", [STAGE, SPARSE], ids=["everybody", "a committee"])
def test_a_site_that_starts_again_catches_up_from_what_the_server_says_again(stage):
    """It repeats itself from the beginning, and is told again what followed each of its messages."""
    session, seat = stage.session(), stage.foundation.layout.committee[1]
    play = Play(stage=stage)
    play.until(Phase.CONSENT)
    site = a_client(session, stage.grounds[seat], play.memories[seat])
    said, heard = [site.upload(a_vector(session, seat))], []
    for message in said:
        for reply in play.server.receive(seat, message):
            heard.append(reply)
            said += site.react(reply)
    assert said == [body for _, who, body in play.heard if who == seat]
    assert heard == [body for _, who, body in play.told if who == seat]
    assert site.step is Step.CONSENTED
    assert site.receipt is not None
    assert not play.server.faults
    play.clients[seat] = site
    play._answer(play.close())
    assert play.server.receive(seat, said[1]) == [body for _, who, body in play.told if who == seat][-1:]
    play.server.advance()
    assert sum_of(play.server.totals).tolist() == play.plain_sum(stage.grounds)


def test_who_is_no_member_gets_its_receipt_again_and_is_neither_waited_for_nor_heard():
    members = SPARSE.foundation.layout.committee
    outsider = next(seat for seat in range(12) if seat not in members)
    play = Play(stage=SPARSE)
    play.until(Phase.CONSENT)
    (receipt,) = [told for _, seat, told in play.told if seat == outsider]
    for phase in (Phase.CONSENT, Phase.OPEN):
        assert play.server.phase is phase
        assert play.server.ready
        said = next(body for at, _, body in play.heard if at is phase)
        assert play.server.receive(outsider, play.server.uploads()[outsider]) == [receipt]
        assert play.server.receive(outsider, said) == play.server.receive(outsider, b"anything") == []
        play._answer(play.close())
    assert not play.server.faults
    assert sum_of(play.server.totals).tolist() == play.plain_sum(range(12))


@pytest.mark.parametrize("phase", [Phase.CONSENT, Phase.OPEN], ids=lambda phase: phase.name)
def test_a_message_is_not_answered_before_its_phase_closes(phase):
    play = Play(stage=STAGE)
    play.until(phase)
    said = {seat: body for at, seat, body in play.heard if at is phase}
    for seat, body in said.items():
        assert play.server.receive(seat, body) == []
    followed = dict(play.server.advance())
    assert set(followed) == (set(said) if phase is Phase.CONSENT else set())
    if phase is Phase.CONSENT:
        for seat, body in said.items():
            assert play.server.receive(seat, body) == [followed[seat]]
    assert not play.server.faults


# ---------------------------------------------------------------- to whom nothing is said


def test_strangers_and_rounds_that_are_over_are_not_heard():
    server = Server(SESSION, STAGE.foundation, COORDINATOR)
    for stranger in (9, -1, 2**40):
        assert server.receive(stranger, b"anything") == []
    assert not server.faults
    play = Play(stage=STAGE)
    play.run()
    assert play.server.receive(0, play.heard[0][2]) == []
    assert play.server.receive(0, b"anything") == []
    assert not play.server.faults
    assert not play.server.ready
    with pytest.raises(Misuse, match="over"):
        play.server.advance()


def test_a_site_that_was_named_is_neither_waited_for_nor_heard():
    server = Server(SESSION, STAGE.foundation, COORDINATOR)
    clients = {seat: a_client(SESSION, STAGE.grounds[seat]) for seat in range(4)}
    said = {seat: client.upload(a_vector(SESSION, seat)) for seat, client in clients.items()}
    assert server.receive(2, b"garbage") == []
    assert server.receive(2, b"more garbage") == []
    assert server.receive(2, said[2]) == []
    assert [fault.seat for fault in server.faults] == [2]
    for seat in (0, 1, 3):
        assert not server.ready
        assert server.receive(seat, said[seat])
    assert server.ready
    server.advance()
    assert server.survivors == (0, 1, 3)


# ---------------------------------------------------------------- what a caller must not do


def test_a_client_needs_the_keys_and_the_setup_of_its_seat():
    good = {"signer": signer_of(1), "remember": Memory().remember}
    ground = STAGE.grounds[1]
    assert Client(SESSION, ground, **good).round == SESSION.round
    for session, change in (
        (SESSION, {"signer": signer_of(2)}),
        (SESSION, {"signer": COORDINATOR}),
        (with_fields(SESSION, ready=bytes(32)), {}),
        (prepared(4, rounds=3).session(), {}),
    ):
        with pytest.raises(Misuse, match="other keys"):
            Client(session, ground, **{**good, **change})
    with pytest.raises(Refused, match="session"):
        Client(STAGE.session(round=2), ground, **good)


def test_a_client_uploads_once_and_a_vector_that_fits():
    client = a_client(SESSION, STAGE.grounds[1])
    vector = a_vector(SESSION, 1)
    for wrong in (vector[:-1], vector.astype("<u4"), vector.astype("<i8"), vector.reshape(1, 5), np.zeros(6, "<u8")):
        with pytest.raises(Misuse, match="the session asks for"):
            client.upload(wrong)
    assert client.step is Step.NEW
    client.upload(vector)
    with pytest.raises(Misuse, match="once"):
        client.upload(vector)


def test_a_vector_that_is_not_the_one_in_the_message_is_misuse():
    """It would be masked, and the one in the message would go out as it is."""
    memory = Memory()
    client = a_client(SESSION, STAGE.grounds[1], memory)
    vector = a_vector(SESSION, 1)
    message, place = client.blank()
    place[:] = vector
    longer, inside = uploads.blank(6, 64)
    shorter, _ = uploads.blank(4, 64)
    for given, other in (
        (message, vector),
        (message, place.copy()),
        (longer, inside[:5]),
        (longer, inside[1:]),
        (shorter, vector),
    ):
        with pytest.raises(Misuse, match="would go out without a mask"):
            client.upload(other, message=given)
    assert client.step is Step.NEW
    assert not memory
    assert place.tolist() == vector.tolist()
    assert client.upload(place, message=message) == a_client(SESSION, STAGE.grounds[1]).upload(vector)


def test_a_server_needs_the_coordinators_signer_and_the_setup_of_its_session():
    assert Server(SESSION, STAGE.foundation, COORDINATOR).session is SESSION
    assert Server(SESSION, STAGE.foundation, COORDINATOR).foundation is STAGE.foundation
    with pytest.raises(Misuse, match="another coordinator"):
        Server(SESSION, STAGE.foundation, signer_of(0))
    with pytest.raises(Misuse, match="another coordinator or set-up"):
        Server(SESSION, prepared(4, rounds=3).foundation, COORDINATOR)
    with pytest.raises(Refused, match="session"):
        Server(STAGE.session(round=2), STAGE.foundation, COORDINATOR)


def test_no_secret_is_shown_by_accident():
    play = Play(stage=STAGE)
    play.run()
    ground = STAGE.grounds[0]
    shown = repr([play.clients[0], ground, play.server, STAGE.foundation])
    secrets = [ground.self_seeds[0].tobytes(), *ground.tag_keys.values(), *ground.shares.values()]
    for hidden in (*secrets, *(seeds[0].tobytes() for seeds in ground.pair_seeds.values())):
        assert hidden.hex() not in shown
        assert repr(hidden) not in shown
