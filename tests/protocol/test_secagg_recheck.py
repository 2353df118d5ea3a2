"""Faults that a coordinator writes down, read again by a stranger."""

import numpy as np
import pytest

from adversary import (
    Play,
    Prepared,
    SetupPlay,
    a_setup,
    a_setup_site,
    altered,
    altered_deal,
    altered_vouched,
    only,
    prepared,
    reads,
    said_by,
    signer_of,
    with_fields,
)
from caduceus import canon
from caduceus.errors import PeerFault
from caduceus.protocol.secagg_exchange import Exchange
from caduceus.protocol.secagg_intake import SECOND, Fault
from caduceus.protocol.secagg_messages import Advertise, Confirm, Consent, Deal, Endorse, Opening
from caduceus.protocol.secagg_recheck import Rechecked, recheck_round, recheck_setup
from caduceus.protocol.secagg_server import EXPECTS, Phase
from caduceus.protocol.secagg_setup import Layout
from caduceus.protocol.secagg_setup_record import Foundation, SetupRecord
from caduceus.protocol.secagg_setup_server import SETUP_EXPECTS, SetupPhase

SITES = 7
LIAR = 2


def of_setup(phase, change) -> tuple[Prepared, tuple[Rechecked, ...]]:
    """A set-up in which the liar does something, and its faults checked again from the record."""
    play = SetupPlay(setup=a_setup(SITES), sites={LIAR: only(phase, change)})
    stage = play.run()
    return stage, recheck_setup(stage.foundation)


def of_round(phase, change) -> tuple[Play, tuple[Rechecked, ...]]:
    """The same for a round."""
    play = Play(stage=prepared(SITES), sites={LIAR: only(phase, change)})
    play.run()
    return play, again(play)


def again(play: Play) -> tuple[Rechecked, ...]:
    exchange = canon.unpack(Exchange, canon.pack(play.server.exchange()))
    return recheck_round(exchange, play.stage.foundation)


def is_of_the_liar(found: tuple[Rechecked, ...]) -> bool:
    return [one.fault.seat for one in found] == [LIAR]


@pytest.mark.parametrize(
    ("phase", "change"),
    [
        (SetupPhase.ADVERTISE, altered_vouched(LIAR, Advertise, kem_key=bytes(1216))),
        (SetupPhase.CONFIRM, altered(signer_of(LIAR), Confirm, tables=lambda old: old[:-1])),
    ],
)
def test_what_a_site_signed_in_a_set_up_shows_its_fault(phase, change):
    _, found = of_setup(phase, change)
    assert is_of_the_liar(found)
    assert all(one.is_shown for one in found)


@pytest.mark.parametrize(
    ("phase", "change"),
    [
        (SetupPhase.ADVERTISE, altered_vouched(LIAR + 1, Advertise)),
        (SetupPhase.DEAL, altered_deal(LIAR, sealed=lambda old: old[::-1].copy())),
        (SetupPhase.CONFIRM, altered(signer_of(LIAR + 1), Confirm)),
        (SetupPhase.ENDORSE, altered(signer_of(LIAR + 1), Endorse)),
    ],
)
def test_what_a_site_did_not_sign_shows_nothing(phase, change):
    """The coordinator could have put it in the place of what the site sent."""
    _, found = of_setup(phase, change)
    assert is_of_the_liar(found)
    assert not found[0].is_shown


@pytest.mark.parametrize("phase", [SetupPhase.ADVERTISE, SetupPhase.DEAL, SetupPhase.CONFIRM])
def test_of_garbage_there_is_only_the_coordinators_word(phase):
    _, found = of_setup(phase, lambda _: [b"garbage"])
    assert is_of_the_liar(found)
    assert not found[0].is_shown


def test_a_site_that_agrees_with_nobody_is_shown_by_what_all_published():
    def other_secrets(message):
        said = reads(Confirm, message)
        yield said_by(LIAR, with_fields(said, tables=said.tables ^ np.uint8(1)))

    stage, found = of_setup(SetupPhase.CONFIRM, other_secrets)
    assert LIAR not in stage.foundation.present
    assert is_of_the_liar(found)
    assert found[0].is_shown


@pytest.mark.parametrize(
    ("phase", "change"),
    [
        (Phase.CONSENT, altered(signer_of(LIAR), Consent, tags=lambda old: old[:-1])),
        (Phase.OPEN, altered(signer_of(LIAR), Opening, shares=lambda old: old[:-1])),
        (Phase.OPEN, altered(signer_of(LIAR), Opening, owners=lambda old: old[::-1])),
    ],
)
def test_what_a_site_signed_in_a_round_shows_its_fault(phase, change):
    _, found = of_round(phase, change)
    assert is_of_the_liar(found)
    assert found[0].is_shown


@pytest.mark.parametrize(
    ("phase", "change"),
    [
        (Phase.UPLOAD, lambda message: [message[:-1] + bytes([message[-1] ^ 1])]),
        (Phase.CONSENT, altered(signer_of(LIAR), Consent, survivors=bytes(32))),  # it may have been shown another list
        (Phase.OPEN, altered(signer_of(LIAR + 1), Opening)),
        # a dealer that sides with the coordinator may have dealt it this share, under another header
        (Phase.OPEN, altered(signer_of(LIAR), Opening, shares=lambda old: old ^ np.uint32(1))),
    ],
)
def test_what_an_honest_site_may_have_been_led_to_sign_shows_nothing(phase, change):
    _, found = of_round(phase, change)
    assert is_of_the_liar(found)
    assert not found[0].is_shown


def test_two_different_messages_show_their_senders_fault():
    def both(message):
        yield message
        yield said_by(LIAR, with_fields(reads(Consent, message), tags=lambda old: old ^ np.uint8(1)))

    _, found = of_round(Phase.CONSENT, both)
    assert [one.fault.why for one in found] == [SECOND]
    assert found[0].is_shown


def test_an_honest_round_and_set_up_name_nobody():
    play = Play(stage=prepared(SITES))
    play.run()
    assert again(play) == ()
    assert recheck_setup(play.stage.foundation) == ()


# ---------------------------------------------------------------- a coordinator that names the innocent


def accused(play: Play, fault: Fault) -> Exchange:
    return with_fields(play.server.exchange(), faults=(fault,))


@pytest.mark.parametrize("why", ["consented to another survivor list", SECOND + " or so"])
def test_a_coordinator_that_names_a_site_for_an_honest_message_is_named_itself(why):
    play = Play(stage=prepared(SITES))
    play.run()
    honest = next(body for phase, seat, body in play.heard if (phase, seat) == (Phase.CONSENT, LIAR))
    with pytest.raises(PeerFault, match="in which nothing is wrong") as found:
        recheck_round(accused(play, Fault(LIAR, canon.tag_of(Consent), why, honest)), play.stage.foundation)
    assert found.value.who == "the coordinator"


def test_the_same_message_twice_is_no_second_message():
    play = Play(stage=prepared(SITES))
    play.run()
    honest = next(body for phase, seat, body in play.heard if (phase, seat) == (Phase.CONSENT, LIAR))
    exchange = accused(play, Fault(LIAR, canon.tag_of(Consent), SECOND, honest))
    assert not recheck_round(exchange, play.stage.foundation)[0].is_shown


def test_another_sites_message_shows_nothing_of_this_one():
    play = Play(stage=prepared(SITES))
    play.run()
    other = next(body for phase, seat, body in play.heard if (phase, seat) == (Phase.CONSENT, LIAR + 1))
    exchange = accused(play, Fault(LIAR, canon.tag_of(Consent), "consented to another survivor list", other))
    assert not recheck_round(exchange, play.stage.foundation)[0].is_shown


def test_a_fault_of_nobody_names_the_coordinator():
    play = Play(stage=prepared(SITES))
    play.run()
    with pytest.raises(PeerFault, match="not enrolled"):
        recheck_round(accused(play, Fault(99, canon.tag_of(Consent), "is rude", b"x")), play.stage.foundation)
    record = canon.unpack(SetupRecord, canon.pack(play.stage.foundation.record))
    record = with_fields(record, faults=(Fault(99, canon.tag_of(Advertise), "is rude", b"x"),))
    with pytest.raises(PeerFault, match="not enrolled"):
        recheck_setup(Foundation(Layout(record.setup), record))


def test_a_failed_round_with_impossible_groups_names_the_coordinator():
    play = Play(stage=prepared(SITES))
    play.run()
    exchange = with_fields(play.server.exchange(), groups=(99,))
    with pytest.raises(PeerFault, match="groups that there are not") as found:
        recheck_round(exchange, play.stage.foundation)
    assert found.value.who == "the coordinator"


# ---------------------------------------------------------------- what an honest site said, used against it


def framed(*faults: Fault) -> list[bool]:
    """What a stranger makes of faults that the coordinator adds to an honest set-up."""
    record = with_fields(HONEST.server.record(), faults=faults)
    found = recheck_setup(Foundation(Layout(record.setup), canon.unpack(SetupRecord, canon.pack(record))))
    return [one.is_shown for one in found]


def honest_setup(**changes) -> SetupPlay:
    play = SetupPlay(setup=with_fields(a_setup(5), **changes))
    play.run()
    return play


HONEST, ELSEWHERE, BEGUN_BEFORE = honest_setup(), honest_setup(first=2), honest_setup()


def said(play: SetupPlay, phase: SetupPhase) -> bytes:
    return next(body for heard, seat, body in play.heard if (heard, seat) == (phase, LIAR))


def header_of(deal: bytes) -> bytes:
    return canon.unpack(Deal, deal).header


PASSED_OVER = [
    *((f"{at.name.lower()} of another set-up", at, said(ELSEWHERE, at)) for at in SETUP_EXPECTS),
    *((f"{at.name.lower()} of a set-up begun before", at, said(BEGUN_BEFORE, at)) for at in [*SETUP_EXPECTS][1:]),
    ("the header of another set-up", SetupPhase.DEAL, header_of(said(ELSEWHERE, SetupPhase.DEAL))),
    ("an earlier phase", SetupPhase.DEAL, said(HONEST, SetupPhase.ADVERTISE)),
    ("an earlier phase again", SetupPhase.ENDORSE, said(HONEST, SetupPhase.DEAL)),
    ("of a roster that there was not", SetupPhase.ADVERTISE, said(HONEST, SetupPhase.CONFIRM)),
    ("of an outcome that there was not", SetupPhase.CONFIRM, said(HONEST, SetupPhase.ENDORSE)),
]


@pytest.mark.parametrize(("due", "evidence"), [one[1:] for one in PASSED_OVER], ids=[one[0] for one in PASSED_OVER])
@pytest.mark.parametrize("why", ["is rude", SECOND])
def test_a_coordinator_that_names_a_site_for_what_may_have_come_late_in_a_set_up_is_named_itself(due, evidence, why):
    with pytest.raises(PeerFault, match=f"names seat {LIAR} for a message that it had to pass over") as found:
        framed(Fault(LIAR, SETUP_EXPECTS[due], why, evidence))
    assert (found.value.who, found.value.evidence) == ("the coordinator", evidence)


def in_a_round(phase, number):
    play = Play(stage=prepared(SITES), session=prepared(SITES).session(round=number))
    play.run()
    return next(body for heard, seat, body in play.heard if (heard, seat) == (phase, LIAR))


@pytest.mark.parametrize("why", ["is rude", SECOND])
def test_a_coordinator_that_names_a_site_for_what_may_have_come_late_in_a_round_is_named_itself(why):
    play, record = Play(stage=prepared(SITES)), prepared(SITES).foundation.record
    play.run()
    late = [
        *((due, in_a_round(phase, 1)) for phase, due in EXPECTS.items()),
        (EXPECTS[Phase.UPLOAD], in_a_round(Phase.UPLOAD, 1)[:512]),
        (EXPECTS[Phase.CONSENT], record.endorses[LIAR]),
        (EXPECTS[Phase.CONSENT], record.confirms[LIAR]),
        (EXPECTS[Phase.OPEN], record.advertisements[LIAR]),
        (EXPECTS[Phase.OPEN], record.confirms[LIAR + 1]),
        (EXPECTS[Phase.CONSENT], in_a_round(Phase.UPLOAD, 0)),
        (EXPECTS[Phase.OPEN], in_a_round(Phase.CONSENT, 0)),
    ]
    for due, evidence in late:
        with pytest.raises(PeerFault, match="had to pass over") as found:
            recheck_round(accused(play, Fault(LIAR, due, why, evidence)), play.stage.foundation)
        assert found.value.who == "the coordinator"


def test_what_a_site_signed_in_the_set_up_may_be_held_against_it_in_a_round_when_it_is_opened():
    """With what it opened the record decides; here nothing is wrong with it, and the coordinator's word is all."""
    play = Play(stage=prepared(SITES))
    play.run()
    foundation = play.stage.foundation
    for evidence in (foundation.record.confirms[LIAR], foundation.dealt[LIAR].signed):
        exchange = accused(play, Fault(LIAR, canon.tag_of(Opening), "lied", evidence))
        assert [one.is_shown for one in recheck_round(exchange, foundation)] == [False]


@pytest.mark.parametrize("why", ["is rude", SECOND])
def test_a_true_header_over_other_tables_frames_nobody(why):
    deal = canon.unpack(Deal, said(HONEST, SetupPhase.DEAL))
    altered_tables = canon.pack(with_fields(deal, sealed=lambda old: old[::-1].copy()))
    assert framed(Fault(LIAR, canon.tag_of(Deal), why, altered_tables)) == [False]


def test_an_honest_site_that_started_again_is_not_framed_by_what_it_says_anew():
    again = a_setup_site(HONEST.layout, LIAR, HONEST.memories[LIAR])
    advertisement = again.advertise()
    (deal,) = again.react(next(body for _, seat, body in HONEST.told if seat == LIAR))
    assert advertisement != said(HONEST, SetupPhase.ADVERTISE)
    assert deal != said(HONEST, SetupPhase.DEAL)
    faults = [
        Fault(LIAR, canon.tag_of(Advertise), SECOND, advertisement),
        Fault(LIAR, canon.tag_of(Deal), SECOND, deal),
    ]
    assert framed(*faults) == [False, False]
