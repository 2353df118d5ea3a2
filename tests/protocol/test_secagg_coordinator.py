"""A coordinator that lies: no site opens a second sum, and no site answers for what the coordinator did."""

import numpy as np
import pytest

from adversary import (
    COORDINATOR,
    DOMAIN,
    JOB,
    Memory,
    Play,
    a_client,
    a_session,
    a_vector,
    reads,
    said_by,
    signer_of,
    told_by_coordinator,
    with_fields,
)
from caduceus import canon
from caduceus.crypto import merkle, sign
from caduceus.errors import PeerFault, Refused
from caduceus.protocol.envelope import Signed, sign_record
from caduceus.protocol.secagg_client import Step
from caduceus.protocol.secagg_messages import (
    Advertise,
    Consent,
    Consents,
    Header,
    Inbox,
    Opening,
    Receipt,
    Roster,
    Survivors,
    dealing_digest,
)
from caduceus.protocol.secagg_replay import leaves
from caduceus.protocol.secagg_server import Phase

SITES, SITE = 7, 2
SESSION = a_session(SITES)
ELSEWHERE = bytes(range(32))


def a_site_at(step, session=SESSION):
    """A site that stands at a step of an honest round, and the message that is due to it next."""
    play = Play(session)
    play.run()
    client = a_client(session, SITE)
    client.advertise()
    for _, _, message in [one for one in play.told if one[1] == SITE]:
        if client.step is step and not is_receipt(message):
            return client, message
        client.react(message)
    raise AssertionError(f"no message is due at {step}")


def is_receipt(message):
    return canon.peek_tag(canon.unpack(Signed, message).body) == canon.tag_of(Receipt)


def lied_to(step, kind, **fields):
    """What a site raises when its next message has other fields, signed by the coordinator."""
    client, message = a_site_at(step)
    with pytest.raises((PeerFault, Refused)) as caught:
        client.react(told_by_coordinator(with_fields(reads(kind, message), **fields)))
    assert client.step is Step.STOPPED
    with pytest.raises(PeerFault, match="given up"):
        client.react(message)  # and now it does not even answer the truth
    return caught.value


# ---------------------------------------------------------------- one decision per round


def restarted(play, seat):
    """The same site after a crash: the same keys, vector and journal."""
    return a_client(play.session, seat, play.memories[seat])


def driven(client, play, until):
    """Repeat to a site what the coordinator told it, up to a kind of message."""
    client.advertise()
    for _, _, message in [one for one in play.told if one[1] == client._seat]:
        if canon.peek_tag(canon.unpack(Signed, message).body) == canon.tag_of(until):
            return
        client.react(message)


def test_a_second_survivor_list_finds_nobody_to_open_for_it():
    """The attack that consistency is for: two lists that differ by one site would give away its update."""
    play = Play(SESSION)
    play.run()
    second = tuple(seat for seat in play.server.survivors if seat != 6)
    for seat in second:
        site = restarted(play, seat)
        driven(site, play, Survivors)
        with pytest.raises(Refused, match="survivors was decided differently"):
            site.react(told_by_coordinator(Survivors(SESSION.digest, second)))
        assert site.step is Step.STOPPED


def test_the_same_list_asked_again_after_a_crash_gets_the_same_opening():
    play = Play(SESSION)
    play.run()
    for seat in SESSION.seats:
        site = restarted(play, seat)
        site.advertise()
        said = [site.react(message) for _, to, message in play.told if to == seat]
        opened = next(body for at, who, body in play.heard if (at, who) == (Phase.OPEN, seat))
        assert said[-1] == [opened]


def test_a_second_roster_after_a_crash_is_refused():
    play = Play(SESSION)
    play.run()
    site = restarted(play, SITE)
    site.advertise()
    first = next(reads(Roster, message) for _, to, message in play.told if to == SITE)
    fewer = Roster(SESSION.digest, first.seats[:-1], first.advertisements[:-1])
    with pytest.raises(Refused, match="roster was decided differently"):
        site.react(told_by_coordinator(fewer))


def test_another_inbox_after_a_crash_is_refused():
    play = Play(SESSION)
    play.run()
    site = restarted(play, SITE)
    driven(site, play, Inbox)
    inbox = next(reads(Inbox, m) for _, to, m in play.told if to == SITE and b"secagg/inbox/1" in m)
    fewer = {name: getattr(inbox, name)[:-1] for name in ("senders", "headers")}
    tables = {name: getattr(inbox, name)[:-1].copy() for name in ("digests", "parcels", "siblings")}
    with pytest.raises(Refused, match="upload was decided differently"):
        site.react(told_by_coordinator(with_fields(inbox, **fewer, **tables)))


def test_another_session_of_the_same_round_is_refused():
    memory = Memory()
    a_client(SESSION, SITE, memory).advertise()
    for other in (a_session(SITES, state=ELSEWHERE), a_session(SITES, length=6), a_session(SITES - 1)):
        with pytest.raises(Refused, match="session was decided differently"):
            a_client(other, SITE, memory).advertise()


def test_a_site_that_lost_its_vector_sends_no_second_one():
    """Two vectors under the same masks would give away their difference."""
    play = Play(SESSION)
    play.run()
    other = a_vector(a_session(SITES, round=1), SITE)
    site = a_client(SESSION, SITE, play.memories[SITE], vector=other)
    with pytest.raises(Refused, match="upload was decided differently"):
        driven(site, play, Survivors)


def test_a_list_is_remembered_by_its_sites_alone():
    """So a caller can hold a site to one list per public state, in whatever round."""
    found = []
    for number in (1, 2):
        play = Play(a_session(4, round=number))
        play.run()
        found.append(play.memories[0]["survivors"])
    assert found[0] == found[1]


# ---------------------------------------------------------------- different words to different sites


def test_different_survivor_lists_to_different_sites_open_nothing():
    """Half of the sites are told that 6 vanished; the coordinator passes on every consent that it has."""
    play = Play(SESSION)
    play.until(Phase.UPLOAD)
    play.server.advance()
    lists = {True: tuple(range(SITES)), False: tuple(range(SITES - 1))}
    consents = {}
    for seat in range(SITES - 1):
        said = play.clients[seat].react(told_by_coordinator(Survivors(SESSION.digest, lists[seat < 3])))
        consents[seat] = said[0]
    everything = told_by_coordinator(Consents(SESSION.digest, tuple(consents), tuple(consents.values())))
    for seat in consents:
        with pytest.raises(PeerFault, match="coordinator") as caught:
            play.clients[seat].react(everything)
        assert "another roster, dealing or survivor list" in caught.value.why
    for seat in range(SITES - 1):
        assert play.clients[seat].step is Step.STOPPED


def test_only_as_many_consents_as_saw_another_list_open_nothing():
    play = Play(SESSION)
    play.until(Phase.UPLOAD)
    play.server.advance()
    seats = tuple(range(SITES - 1))
    agreed = {
        seat: play.clients[seat].react(told_by_coordinator(Survivors(SESSION.digest, seats)))[0] for seat in seats[:4]
    }
    with pytest.raises(Refused, match="only 4 sites have seen this survivor list, 5 are needed"):
        play.clients[0].react(told_by_coordinator(Consents(SESSION.digest, tuple(agreed), tuple(agreed.values()))))


def test_different_rosters_to_different_sites_never_meet():
    """A site that is shown a header for another roster than its own blames the coordinator and sends nothing."""
    client, message = a_site_at(Step.SHARED)
    inbox = reads(Inbox, message)
    other = said_by(3, with_fields(reads(Header, inbox.headers[3]), roster=ELSEWHERE))
    headers = (*inbox.headers[:3], other, *inbox.headers[4:])
    with pytest.raises(PeerFault, match=r"the coordinator: let a message pass.*seat 3 shared for another roster"):
        client.react(told_by_coordinator(with_fields(inbox, headers=headers)))
    assert client.step is Step.STOPPED


def test_different_dealings_to_different_sites_open_nothing():
    """A dealer and the coordinator show one site other commitments; its consent does not meet the others'."""
    play = Play(SESSION)
    play.until(Phase.CONSENT)
    consents = dict(play.server._raw[Phase.CONSENT])
    consents[3] = said_by(3, with_fields(reads(Consent, consents[3]), dealing=ELSEWHERE))
    with pytest.raises(PeerFault, match="the coordinator: let a message pass"):
        play.clients[0].react(told_by_coordinator(Consents(SESSION.digest, tuple(consents), tuple(consents.values()))))


# ---------------------------------------------------------------- the roster

ROSTERS = [
    ("not one advertisement per seat", lambda old: {"seats": old.seats[:-1]}),
    ("not one advertisement per seat", lambda old: {"advertisements": old.advertisements[:-1]}),
    (
        "not one advertisement per seat",
        lambda old: {"seats": old.seats[::-1], "advertisements": old.advertisements[::-1]},
    ),
    ("not one advertisement per seat", lambda old: {"seats": (0, 0, *old.seats[2:])}),
    ("stranger", lambda old: {"seats": (*old.seats[:-1], 99)}),
    ("stranger", lambda old: {"seats": (-1, *old.seats[1:])}),
    (
        "not signed by its registered signer",
        lambda old: {"advertisements": (old.advertisements[1], *old.advertisements[1:])},
    ),
    ("not signed by its registered signer", lambda old: replaced(old, 3, substituted(signer_of(5)))),
    ("not signed by its registered signer", lambda old: replaced(old, 3, substituted(COORDINATOR))),
    ("no public key", lambda old: replaced(old, 3, substituted(signer_of(3), bytes(32)))),
    ("unreadable", lambda old: replaced(old, 3, lambda _: b"garbage")),
    ("own advertisement", lambda old: without(old, SITE)),
    (
        "only 4 sites are here, 5 are needed",
        lambda old: {"seats": old.seats[:4], "advertisements": old.advertisements[:4]},
    ),
]


def substituted(signer, key=None):
    """A mask key of the coordinator's own making."""
    return lambda data: sign_record(
        signer, DOMAIN, with_fields(reads(Advertise, data), mask_key=key or bytes([9]) + bytes(31))
    )


def replaced(roster, seat, change):
    said = list(roster.advertisements)
    said[seat] = change(said[seat])
    return {"advertisements": tuple(said)}


def without(roster, seat):
    kept = [place for place, one in enumerate(roster.seats) if one != seat]
    return {
        "seats": tuple(roster.seats[place] for place in kept),
        "advertisements": tuple(roster.advertisements[place] for place in kept),
    }


@pytest.mark.parametrize(("why", "change"), ROSTERS, ids=[f"{i}-{why}" for i, (why, _) in enumerate(ROSTERS)])
def test_a_false_roster_is_the_coordinators_fault(why, change):
    client, message = a_site_at(Step.ADVERTISED)
    roster = reads(Roster, message)
    with pytest.raises((PeerFault, Refused), match=why) as caught:
        client.react(told_by_coordinator(with_fields(roster, **change(roster))))
    if isinstance(caught.value, PeerFault):
        assert caught.value.who == "the coordinator"
    assert client.step is Step.STOPPED


def test_a_mask_key_that_the_coordinator_made_for_the_site_itself_is_found():
    """Even signed by the site's own signer, say after that key was stolen."""
    client, message = a_site_at(Step.ADVERTISED)
    fields = replaced(reads(Roster, message), SITE, substituted(signer_of(SITE)))
    with pytest.raises(PeerFault, match="without this site's own advertisement"):
        client.react(told_by_coordinator(with_fields(reads(Roster, message), **fields)))


# ---------------------------------------------------------------- the inbox

INBOXES = [
    ("not one parcel per sender", {"senders": lambda old: old[:-1]}),
    ("not one parcel per sender", {"senders": lambda old: old[::-1]}),
    ("not one parcel per sender", {"senders": lambda old: (0, 0, *old[2:])}),
    ("not one parcel per sender", {"headers": lambda old: old[:-1]}),
    ("not one parcel per sender", {"parcels": lambda old: old[:-1].copy()}),
    ("not one parcel per sender", {"parcels": lambda old: old[:, :-1].copy()}),
    ("not one parcel per sender", {"parcels": lambda old: old.astype("<u4")}),
    ("not one parcel per sender", {"digests": lambda old: old[:, :1].copy()}),
    ("not one parcel per sender", {"siblings": lambda old: old[:, :-1].copy()}),
    ("names a stranger", {"senders": lambda old: (*old[:-1], 99)}),
    ("not signed by its registered signer", {"headers": lambda old: (old[1], *old[1:])}),
    ("unreadable", {"headers": lambda old: (b"garbage", *old[1:])}),
    ("that seat 0 did not seal", {"parcels": lambda old: flipped(old, 0)}),
    ("that seat 5 did not seal", {"parcels": lambda old: flipped(old, 5)}),
    ("that seat 2 did not seal", {"parcels": lambda old: flipped(old, SITE)}),
    ("that seat 4 did not seal", {"digests": lambda old: flipped(old, 4)}),
    ("that seat 4 did not seal", {"siblings": lambda old: flipped(old, 4)}),
    ("that seat 0 did not seal", {"parcels": lambda old: old[::-1].copy()}),
]


def flipped(table, row):
    changed = table.copy()
    changed[row] ^= 1
    return changed


@pytest.mark.parametrize(("why", "fields"), INBOXES, ids=[f"{i}-{why}" for i, (why, _) in enumerate(INBOXES)])
def test_a_false_inbox_is_the_coordinators_fault(why, fields):
    fault = lied_to(Step.SHARED, Inbox, **fields)
    assert isinstance(fault, PeerFault)
    assert fault.who == "the coordinator"
    assert why in fault.why


def rows(message, keep):
    inbox = reads(Inbox, message)
    fields = {name: tuple(getattr(inbox, name)[row] for row in keep) for name in ("senders", "headers")}
    tables = {name: getattr(inbox, name)[keep].copy() for name in ("digests", "parcels", "siblings")}
    return told_by_coordinator(with_fields(inbox, **fields, **tables))


def test_an_inbox_without_the_recipient_or_with_too_few_is_refused():
    client, message = a_site_at(Step.SHARED)
    with pytest.raises(PeerFault, match="leaves the recipient out"):
        client.react(rows(message, [0, 1, 3, 4, 5, 6]))
    client, message = a_site_at(Step.SHARED)
    with pytest.raises(Refused, match="only 4 sites shared, 5 are needed"):
        client.react(rows(message, [0, 1, 2, 3]))


def test_a_vector_is_masked_with_every_honest_site_that_can_be_a_survivor():
    """Whatever inbox a site is given, it consents to no list that names a site with which it shares no mask."""
    client, message = a_site_at(Step.SHARED)
    client.react(rows(message, [0, 1, 2, 3, 4]))
    with pytest.raises(PeerFault, match="never shared"):
        client.react(told_by_coordinator(Survivors(SESSION.digest, (0, 1, 2, 3, 5))))


# ---------------------------------------------------------------- receipts, survivors, consents


def test_a_receipt_for_something_else_is_no_receipt():
    client, _ = a_site_at(Step.UPLOADED)
    good = client.receipt
    for fields in ({"leaf": ELSEWHERE}, {"signature": good.signature[:-1] + b"\x00"}):
        client, _ = a_site_at(Step.UPLOADED)
        with pytest.raises(PeerFault, match="receipt for something else"):
            client.react(told_by_coordinator(with_fields(good, **fields)))
        assert client.step is Step.STOPPED


def test_a_receipt_by_another_key_is_no_receipt():
    client, _ = a_site_at(Step.UPLOADED)
    struct = sign.Receipt(JOB, 0, SITE, client.receipt.leaf)
    forged = signer_of(SITE).sign(sign.digest(DOMAIN, struct))
    with pytest.raises(PeerFault, match="receipt for something else"):
        client.react(told_by_coordinator(with_fields(client.receipt, signature=forged)))


def test_an_upload_that_was_receipted_and_left_out_can_be_shown():
    """The receipt names a leaf that is not in the tree: what the contract needs to uphold an omission."""
    play = Play(SESSION)
    play.run()
    left_out = [merkle.EMPTY if seat == SITE else leaf for seat, leaf in enumerate(play.server.leaves())]
    tree, receipt = merkle.Tree(left_out), play.clients[SITE].receipt
    proof = tree.proof(SITE)
    assert not merkle.verify(tree.root, receipt.leaf, position=SITE, siblings=proof, size=SITES)
    assert merkle.verify(tree.root, merkle.EMPTY, position=SITE, siblings=proof, size=SITES)
    digest = sign.digest(DOMAIN, sign.Receipt(JOB, 0, SITE, receipt.leaf))
    assert sign.verify(COORDINATOR.address, digest, receipt.signature)
    uploads = play.server.uploads()
    fewer = tuple(seat for seat in uploads if seat != SITE)
    assert leaves(play.server.exchange(), fewer, uploads.__getitem__) == left_out  # the record cannot hide it


@pytest.mark.parametrize(
    ("why", "seats"),
    [
        ("left this site's upload out", (0, 1, 3, 4, 5, 6)),
        ("never shared", (0, 1, 2, 3, 4, 99)),
        ("one twice", (0, 1, 2, 2, 3, 4)),
        ("one twice", (4, 3, 2, 1, 0)),
        ("only 4 uploads are in, 5 are needed", (0, 1, 2, 3)),
        ("never shared", (-1, 0, 1, 2, 3, 4)),
    ],
)
def test_a_false_survivor_list_gets_no_consent(why, seats):
    assert why in str(lied_to(Step.UPLOADED, Survivors, seats=seats))


CONSENTS = [
    ("one per seat", {"seats": lambda old: old[:-1]}),
    ("one per seat", {"seats": lambda old: old[::-1], "consents": lambda old: old[::-1]}),
    ("one per seat", {"seats": lambda old: (0, 0, *old[2:])}),
    ("no survivor", {"seats": lambda old: (*old[:-1], 99)}),
    ("not signed by its registered signer", {"consents": lambda old: (old[1], *old[1:])}),
    ("not signed by its registered signer", {"consents": lambda old: (by(5, old[0]), *old[1:])}),
    ("another roster, dealing or survivor list", {"consents": lambda old: (by(0, old[0], roster=ELSEWHERE), *old[1:])}),
    (
        "another roster, dealing or survivor list",
        {"consents": lambda old: (by(0, old[0], survivors=(0, 1, 2, 3, 4)), *old[1:])},
    ),
    ("another round", {"consents": lambda old: (by(0, old[0], session=ELSEWHERE), *old[1:])}),
    ("unreadable", {"consents": lambda old: (b"", *old[1:])}),
    ("only 4 sites have seen", {"seats": lambda old: old[:4], "consents": lambda old: old[:4]}),
    ("only 0 sites have seen", {"seats": (), "consents": ()}),
]


def by(seat, data, **fields):
    return said_by(seat, with_fields(reads(Consent, data), **fields))


@pytest.mark.parametrize(("why", "fields"), CONSENTS, ids=[f"{i}-{why}" for i, (why, _) in enumerate(CONSENTS)])
def test_false_consents_open_nothing(why, fields):
    assert why in str(lied_to(Step.CONSENTED, Consents, **fields))


# ---------------------------------------------------------------- what anybody on the wire can do


STEPS = [Step.ADVERTISED, Step.SHARED, Step.UPLOADED, Step.CONSENTED]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_bytes_that_are_not_the_coordinators_for_this_round_change_nothing(step):
    client, message = a_site_at(step)
    _, old = a_site_at(step, a_session(SITES, round=9))
    signed = canon.unpack(Signed, message)
    unsigned = canon.pack(with_fields(signed, signature=bytes(65)))
    by_a_site = canon.pack(
        with_fields(
            signed,
            signature=signer_of(3).sign(sign.digest(DOMAIN, sign.Statement(canon.digest_bytes(signed.body)))),
        )
    )
    for data in (b"", b"\xff" * 99, message[:-1], message + b"\x00", unsigned, by_a_site, old):
        with pytest.raises(PeerFault, match="the coordinator"):
            client.react(data)
        assert client.step is step
    assert client.react(message)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_message_out_of_turn_is_not_taken_and_one_taken_before_is_answered_alike(step):
    client, due = a_site_at(step)
    for other in STEPS:
        _, message = a_site_at(other)
        if STEPS.index(other) < STEPS.index(step):
            assert client.react(message) == client.react(message) != []
        elif other is not step:
            with pytest.raises(PeerFault, match=f"a site that has {step.value}"):
                client.react(message)
        assert client.step is step
    assert client.react(due)


def test_a_site_that_says_nothing_yet_hears_nothing():
    _, roster = a_site_at(Step.ADVERTISED)
    with pytest.raises(PeerFault, match="nothing yet"):
        a_client(SESSION, SITE).react(roster)


# ---------------------------------------------------------------- what a site opens


def test_a_site_opens_one_share_of_each_and_of_the_kind_that_the_list_calls_for():
    play = Play(SESSION, silent={Phase.UPLOAD: frozenset({4})})
    play.run()
    for seat in play.server.survivors:
        opening = next(reads(Opening, body) for at, who, body in play.heard if (at, who) == (Phase.OPEN, seat))
        parcels = play.clients[seat]._parcels
        assert opening.owners == tuple(range(SITES))
        for owner, row in zip(opening.owners, opening.shares, strict=True):
            due, never = parcels[owner].self_share, parcels[owner].key_share
            if owner == 4:
                due, never = never, due
            assert row.tobytes() == due != never


def test_the_dealing_names_every_header_in_order():
    headers = [b"one", b"two", b"three"]
    assert dealing_digest(headers) == dealing_digest(iter(headers))
    assert len({dealing_digest(x) for x in (headers, headers[::-1], headers[:2], [b"onetwo", b"three"], [])}) == 5


def test_the_sum_that_a_coordinator_reports_is_checked_against_the_record():
    play = Play(SESSION)
    total = play.run()
    reported = total.copy()
    reported[0] += np.uint64(1)
    assert play.replayed().tolist() == total.tolist() != reported.tolist()
