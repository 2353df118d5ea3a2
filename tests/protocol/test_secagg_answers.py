"""What is said again, to whom nothing is said, and what a caller must not do."""

import numpy as np
import pytest

from adversary import COORDINATOR, Play, a_client, a_session, a_vector, secret, signer_of
from caduceus.crypto.agree import Agreement
from caduceus.crypto.entropy import KeyedEntropy
from caduceus.errors import Misuse
from caduceus.protocol.secagg_client import Client, Step
from caduceus.protocol.secagg_server import Phase, Server

SESSION = a_session(4)


def test_a_site_that_starts_again_catches_up_from_what_the_server_says_again():
    """It repeats itself from the beginning, and is told again what followed each of its messages."""
    play = Play(SESSION)
    play.until(Phase.CONSENT)
    site = a_client(SESSION, 1, play.memories[1])
    said, heard = [site.advertise()], []
    for message in said:
        for reply in play.server.receive(1, message):
            heard.append(reply)
            said += site.react(reply)
    assert said == [body for _, seat, body in play.heard if seat == 1]
    assert heard == [body for _, seat, body in play.told if seat == 1]
    assert site.step is Step.CONSENTED
    assert site.receipt is not None
    assert not play.server.faults
    play.clients[1] = site
    play._answer(play.close())
    play.server.advance()
    assert play.server.total.tolist() == play.plain_sum(range(4))


def test_the_first_message_of_a_phase_is_not_answered_before_the_phase_closes():
    server, client = Server(SESSION, COORDINATOR), a_client(SESSION, 0)
    said = client.advertise()
    assert server.receive(0, said) == []
    assert server.receive(0, said) == []


def test_strangers_and_rounds_that_are_over_are_not_heard():
    server = Server(SESSION, COORDINATOR)
    assert server.receive(9, b"anything") == []
    assert server.receive(-1, b"anything") == []
    assert not server.faults
    play = Play(SESSION)
    play.run()
    assert play.server.receive(0, play.heard[0][2]) == []
    assert play.server.receive(0, b"anything") == []
    assert not play.server.faults
    assert not play.server.ready
    assert play.server.waiting_for == ()
    with pytest.raises(Misuse, match="over"):
        play.server.advance()


def test_a_site_that_was_named_is_neither_waited_for_nor_heard():
    server = Server(SESSION, COORDINATOR)
    server.receive(2, b"garbage")
    server.receive(2, b"more garbage")
    server.receive(2, a_client(SESSION, 2).advertise())
    assert [fault.seat for fault in server.faults] == [2]
    assert server.waiting_for == (0, 1, 3)


def test_an_agreement_kept_for_the_job_says_the_same_as_the_bare_key():
    def with_agreement(session, seat, memory):
        return Client(
            session,
            seat,
            a_vector(session, seat),
            signer=signer_of(seat),
            agreement=Agreement(secret("agreement", seat)),
            entropy=KeyedEntropy(secret("entropy", seat)),
            remember=memory.remember,
        )

    plain, kept = Play(SESSION), Play(SESSION, make=with_agreement)
    plain.run()
    kept.run()
    assert plain.heard == kept.heard


def test_a_client_needs_its_own_keys_and_a_vector_that_fits():
    good = {
        "signer": signer_of(1),
        "agreement": secret("agreement", 1),
        "entropy": KeyedEntropy(secret("entropy", 1)),
        "remember": lambda what, digest: None,
    }
    vector = a_vector(SESSION, 1)
    assert Client(SESSION, 1, vector, **good).round == SESSION.round
    for why, seat, given, change in (
        ("other keys", 1, vector, {"signer": signer_of(2)}),
        ("other keys", 1, vector, {"agreement": secret("agreement", 2)}),
        ("other keys", 2, vector, {}),
        ("not invited", 7, vector, {}),
        ("the session asks for 5", 1, vector[:-1], {}),
        ("the session asks for 5", 1, vector.astype(np.uint32), {}),
    ):
        with pytest.raises(Misuse, match=why):
            Client(SESSION, seat, given, **{**good, **change})
    twice = Client(SESSION, 1, vector, **good)
    twice.advertise()
    with pytest.raises(Misuse, match="once"):
        twice.advertise()


def test_a_server_needs_the_coordinators_signer():
    assert Server(SESSION, COORDINATOR).session is SESSION
    with pytest.raises(Misuse, match="another coordinator"):
        Server(SESSION, signer_of(0))


def test_no_secret_is_shown_by_accident():
    play = Play(SESSION)
    play.run()
    client = play.clients[0]
    shown = repr([client, client._mask, client._own_parcel, client._entropy, play.server])
    for hidden in (client._seed, client._mask_private, client._own_parcel.self_share):
        assert hidden.hex() not in shown
        assert repr(hidden) not in shown
