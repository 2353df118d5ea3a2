"""A stranger does a round again from the record, and whoever wrote a false one is named."""

import numpy as np
import pytest

from adversary import (
    Play,
    altered_upload,
    prepared,
    reads,
    said_by,
    signer_of,
    told_by_coordinator,
    vouched_by,
    with_fields,
)
from caduceus import canon
from caduceus.crypto import keystream, merkle
from caduceus.errors import PeerFault, Refused
from caduceus.protocol import secagg_upload as uploads
from caduceus.protocol.envelope import Signed
from caduceus.protocol.secagg_messages import (
    Advertise,
    Confirm,
    Consent,
    Deal,
    Endorse,
    Header,
    Opening,
    signed_digest,
)
from caduceus.protocol.secagg_replay import replay, upload_leaf
from caduceus.protocol.secagg_server import Phase
from caduceus.protocol.secagg_setup import Layout
from caduceus.protocol.secagg_setup_record import Foundation

SITES, GONE, SITE = 7, 6, 2
STAGE = prepared(SITES)
SESSION = STAGE.session()
FOUNDATION = STAGE.foundation
ELSEWHERE = bytes(range(32))
SURVIVORS = tuple(seat for seat in range(SITES) if seat != GONE)


def a_round(session=SESSION):
    play = Play(stage=STAGE, session=session, silent={Phase.UPLOAD: frozenset({GONE})})
    play.run()
    return play


PLAY, OTHER = a_round(), a_round(STAGE.session(round=1))
RECORD, UPLOADS = PLAY.server.exchange(), dict(PLAY.server.uploads())
TOTAL = PLAY.server.totals[0].tolist()
COORDINATORS = "the coordinator"


def replayed(record=RECORD, foundation=FOUNDATION, sent=UPLOADS, **rest):
    return replay(record, foundation, sent.__getitem__, **rest)


def place(at, change):
    """The entry at a place changed; a function is given the old one."""
    return lambda old: (*old[:at], change(old[at]) if callable(change) else change, *old[at + 1 :])


def by(seat, kind, /, **fields):
    return lambda data: said_by(seat, with_fields(reads(kind, data), **fields))


def stripped(data):
    return canon.pack(with_fields(canon.unpack(Signed, data), signature=bytes(65)))


# ---------------------------------------------------------------- a true record


@pytest.mark.parametrize("threads", [1, 3])
def test_a_true_record_gives_the_sum_that_the_round_opened(threads, monkeypatch):
    monkeypatch.setattr(keystream, "_WORTH_THREADS", 0)
    monkeypatch.setattr(keystream, "_SPAN_BYTES", 16)
    assert {at: one.tolist() for at, one in replayed(threads=threads).items()} == {0: TOTAL}
    assert PLAY.plain_sum(SURVIVORS) == TOTAL


def test_the_leaves_of_the_tree_come_with_the_sum():
    leaves = [merkle.EMPTY] * SITES
    replayed(leaves=leaves)
    assert leaves == PLAY.server.leaves()
    assert leaves[GONE] == merkle.EMPTY
    assert leaves == [upload_leaf(RECORD, FOUNDATION, seat, UPLOADS[seat]) for seat in SURVIVORS] + [merkle.EMPTY]


def test_each_upload_is_fetched_once_and_gone_before_the_next():
    fetched, gone = [], []

    class Blob(bytes):
        def __del__(self):
            gone.append(len(self))

    def fetch(seat):
        assert len(gone) == len(fetched)
        fetched.append(seat)
        return Blob(UPLOADS[seat])

    assert replay(RECORD, FOUNDATION, fetch)[0].tolist() == TOTAL
    assert fetched == list(SURVIVORS)
    assert len(gone) == len(fetched)


def test_a_round_that_failed_gives_no_sum_and_blames_nobody():
    for phase in (Phase.UPLOAD, Phase.CONSENT, Phase.OPEN):
        play = Play(stage=STAGE, silent={phase: frozenset({1, 3, 5})})
        with pytest.raises(Refused, match="are needed"):
            play.run()
        with pytest.raises(Refused, match=r"are needed|failed before anybody was asked"):
            play.replayed()


# ---------------------------------------------------------------- a false exchange

RECORDS = [
    # survivors and groups
    ("not ready, or one twice", "survivors", lambda old: (*old, 9)),
    ("not ready, or one twice", "survivors", lambda old: (-1, *old)),
    ("not ready, or one twice", "survivors", lambda old: old[::-1]),
    ("not ready, or one twice", "survivors", lambda old: (0, *old)),
    ("a survivor list of 4, 5 are needed", "survivors", lambda old: old[:4]),
    ("a survivor list of 0, 5 are needed", "survivors", ()),
    ("no surviving member, or one twice", "survivors", lambda old: old[1:]),
    ("consented to another survivor list", "survivors", lambda old: (*old, GONE)),
    ("groups that there are not", "groups", ()),
    ("groups that there are not", "groups", (1,)),
    ("groups that there are not", "groups", (0, 0)),
    ("groups that there are not", "groups", (-1,)),
    # consents
    ("no surviving member, or one twice", "consents", place(0, b"garbage")),
    ("no surviving member, or one twice", "consents", lambda old: (old[0], *old)),
    ("no surviving member, or one twice", "consents", lambda old: (*old, by(GONE, Consent, seat=GONE)(old[0]))),
    ("no surviving member, or one twice", "consents", place(0, by(9, Consent, seat=9))),
    ("not signed", "consents", place(0, stripped)),
    ("not signed", "consents", place(0, by(1, Consent))),
    ("not signed", "consents", place(0, lambda old: told_by_coordinator(reads(Consent, old)))),
    ("consented to another survivor list", "consents", place(0, by(0, Consent, survivors=ELSEWHERE))),
    ("consented to another survivor list", "consents", place(0, by(0, Consent, tags=lambda old: old[:-1].copy()))),
    ("another round", "consents", place(0, OTHER.server.exchange().consents[0])),
    ("no surviving member, or one twice", "consents", place(0, RECORD.openings[0])),
    # openings
    ("no surviving member, or one twice", "openings", place(0, b"garbage")),
    ("no surviving member, or one twice", "openings", lambda old: (old[0], *old)),
    ("no surviving member, or one twice", "openings", lambda old: (*old, by(GONE, Opening, seat=GONE)(old[0]))),
    ("not signed", "openings", place(0, stripped)),
    ("not signed", "openings", place(0, by(1, Opening))),
    ("another round", "openings", place(0, OTHER.server.exchange().openings[0])),
    ("not the one it was given", "openings", place(0, by(0, Opening, shares=lambda old: old + np.uint32(1)))),
    ("shares of shape", "openings", place(0, by(0, Opening, shares=lambda old: old[:-1].copy()))),
    ("not due, or one twice", "openings", place(0, by(0, Opening, owners=lambda old: (*old[:-1], 99)))),
]


@pytest.mark.parametrize(
    ("why", "field", "change"), RECORDS, ids=[f"{i}-{f}-{w}" for i, (w, f, _) in enumerate(RECORDS)]
)
def test_a_false_record_is_the_fault_of_the_coordinator_that_wrote_it(why, field, change):
    """Also where a site signed the lie: an honest coordinator would not have let it pass."""
    with pytest.raises(PeerFault) as caught:
        replayed(with_fields(RECORD, **{field: change}))
    assert caught.value.who == COORDINATORS
    assert why in caught.value.why


def test_every_entry_counts_whoever_it_is_from():
    for field, count in (("consents", 6), ("openings", 6)):
        assert len(getattr(RECORD, field)) == count
        for at in range(count):
            with pytest.raises(PeerFault, match="the coordinator: let a message pass"):
                replayed(with_fields(RECORD, **{field: place(at, stripped)}))


TOO_LITTLE = [
    ("only 4 members consented", "consents", lambda old: old[:4]),
    ("only 0 members consented", "consents", ()),
    ("only 4 members opened their shares of seat 0", "openings", lambda old: old[:4]),
    ("only 0 members opened", "openings", ()),
]


@pytest.mark.parametrize(("why", "field", "change"), TOO_LITTLE, ids=[why for why, _, _ in TOO_LITTLE])
def test_a_record_that_holds_too_little_gives_no_sum_and_blames_nobody(why, field, change):
    with pytest.raises(Refused, match=why):
        replayed(with_fields(RECORD, **{field: change}))


def test_any_threshold_of_openings_gives_the_same_sum():
    for left_out in SURVIVORS:
        fewer = tuple(data for data in RECORD.openings if reads(Opening, data).seat != left_out)
        assert replayed(with_fields(RECORD, openings=fewer))[0].tolist() == TOTAL
    assert replayed(with_fields(RECORD, openings=RECORD.openings[::-1]))[0].tolist() == TOTAL


def test_an_empty_record_gives_no_sum():
    empty = with_fields(RECORD, survivors=(), groups=(), consents=(), openings=())
    with pytest.raises(Refused, match="failed before anybody was asked"):
        replayed(empty)
    with pytest.raises(PeerFault, match="a survivor list of 0"):  # but not where something was opened
        replayed(with_fields(empty, openings=RECORD.openings))


@pytest.mark.parametrize(
    "fields",
    [{"round": 2}, {"round": -1}, {"bits": 7}, {"length": 0}, {"state": b""}],
    ids=lambda fields: next(iter(fields)),
)
def test_a_record_of_an_unsound_session_is_refused_before_anything_is_read(fields):
    record = with_fields(RECORD, session=with_fields(SESSION, **fields))
    for look in (replayed, lambda one: upload_leaf(one, FOUNDATION, SITE, UPLOADS[SITE])):
        with pytest.raises(Refused, match="session"):
            look(record)


@pytest.mark.parametrize(
    "fields",
    [{"length": 2**31}, {"round": 1}, {"state": ELSEWHERE}, {"bits": 32}],
    ids=lambda fields: next(iter(fields)),
)
def test_a_record_under_another_session_belongs_to_nobody(fields):
    """Nothing is as long as a record says until somebody's signature says so too."""
    record = with_fields(RECORD, session=with_fields(SESSION, **fields))
    for look in (replayed, lambda one: upload_leaf(one, FOUNDATION, SITE, UPLOADS[SITE])):
        with pytest.raises(PeerFault) as caught:
            look(record)
        assert caught.value.who == COORDINATORS


def test_a_record_on_another_setup_belongs_to_nobody():
    other = prepared(SITES, rounds=3).foundation
    for look in (replayed, lambda one, foundation: upload_leaf(one, foundation, SITE, UPLOADS[SITE])):
        with pytest.raises(PeerFault, match="the coordinator: recorded a round of another set-up"):
            look(RECORD, other)


def test_nobody_but_the_signers_can_make_a_record_of_another_sum():
    """A coordinator with all that it ever saw, and its own key: every field taken from another round fails."""
    other = OTHER.server.exchange()
    for name in ("consents", "openings", "session"):
        with pytest.raises(PeerFault, match=COORDINATORS):
            replayed(with_fields(RECORD, **{name: getattr(other, name)}))
    with pytest.raises(PeerFault, match=COORDINATORS):
        replayed(sent=OTHER.server.uploads())
    assert canon.digest(RECORD) != canon.digest(other)


# ---------------------------------------------------------------- a false upload


def resigned(seat, /, **fields):
    (changed,) = altered_upload(SESSION, signer_of(seat), **fields)(UPLOADS[seat])
    return changed


def spoiled(at):
    data = UPLOADS[SITE]
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


FETCHED = [
    ("without a signed record", b"garbage"),
    ("without a signed record", b""),
    ("without a signed record", UPLOADS[SITE][: uploads.HEAD_BYTES - 1]),
    ("between record and vector", spoiled(uploads.HEAD_BYTES - 1)),
    ("not signed", UPLOADS[3]),
    ("not signed", OTHER.server.uploads()[SITE]),
    ("not signed", next(iter(altered_upload(SESSION, signer_of(3))(UPLOADS[SITE])))),
    ("another round", resigned(SITE, session=ELSEWHERE)),
    ("another seat", resigned(SITE, seat=3)),
    ("another vector", spoiled(len(UPLOADS[SITE]) - 1)),
    ("another vector", UPLOADS[SITE][: uploads.HEAD_BYTES] + UPLOADS[3][uploads.HEAD_BYTES :]),
    ("were due", resigned(SITE, vector=np.arange(4, dtype="<u8"))),
    ("were due", resigned(SITE, vector=np.arange(6, dtype="<u8"))),
    ("were due", resigned(SITE, vector=np.arange(5, dtype="<u4"))),
    ("were due", UPLOADS[SITE] + b"\0"),
]


@pytest.mark.parametrize(("why", "blob"), FETCHED, ids=[f"{i}-{why}" for i, (why, _) in enumerate(FETCHED)])
def test_a_false_upload_is_found_by_the_sum_and_by_the_tree(why, blob):
    looks = (lambda: replayed(sent={**UPLOADS, SITE: blob}), lambda: upload_leaf(RECORD, FOUNDATION, SITE, blob))
    for look in looks:
        with pytest.raises(PeerFault) as caught:
            look()
        assert caught.value.who == COORDINATORS
        assert why in caught.value.why


def test_a_missing_upload_is_said_to_be_missing():
    def fetch(seat):
        if seat == SITE:
            raise Refused(f"no upload of seat {seat}")
        return UPLOADS[seat]

    with pytest.raises(Refused, match="no upload of seat 2"):
        replay(RECORD, FOUNDATION, fetch)


def test_the_tree_holds_no_upload_of_a_site_that_was_not_ready():
    for stranger in (9, -1, 2**40):
        with pytest.raises(PeerFault, match="which was not ready"):
            upload_leaf(RECORD, FOUNDATION, stranger, UPLOADS[SITE])


def test_another_upload_by_the_site_itself_gives_another_sum_and_another_leaf():
    """A site that signed two uploads: whichever the coordinator recorded, the tree says which one it was."""
    vector = np.frombuffer(UPLOADS[SITE], "<u8", offset=uploads.HEAD_BYTES) + np.uint64(1)
    second, leaves = resigned(SITE, vector=vector), [merkle.EMPTY] * SITES
    total = replayed(sent={**UPLOADS, SITE: second}, leaves=leaves)[0].tolist()
    assert total == [(one + 1) % 2**64 for one in TOTAL]
    differ = [seat for seat, (one, other) in enumerate(zip(leaves, PLAY.server.leaves(), strict=True)) if one != other]
    assert differ == [SITE]


# ---------------------------------------------------------------- a false record of the set-up


def rebuilt(**fields):
    """The foundation that a stranger builds on a record of the set-up with other fields."""
    return Foundation(Layout(FOUNDATION.layout.setup), with_fields(FOUNDATION.record, **fields))


def deal(seat, header=None, **fields):
    """A deal with other tables; under a header that its site signs anew if one is given."""

    def change(data):
        old = canon.unpack(Deal, data)
        signed = old.header if header is None else vouched_by(seat, with_fields(reads(Header, old.header), **header))
        return canon.pack(with_fields(old, header=signed, **fields))

    return change


def flipped(table):
    changed = table.copy()
    changed.reshape(-1)[0] ^= 1
    return changed


SETUPS = [
    ("with a stranger", {"roster": lambda old: with_fields(old, seats=(*old.seats[:-1], 99))}),
    ("not one advertisement per seat", {"roster": lambda old: with_fields(old, seats=old.seats[::-1])}),
    ("another set-up or roster", {"roster": lambda old: with_fields(old, digests=flipped(old.digests))}),
    ("another set-up or roster", {"ready": lambda old: with_fields(old, setup=ELSEWHERE)}),
    ("another set-up or roster", {"ready": lambda old: with_fields(old, roster=ELSEWHERE)}),
    ("other deals than its outcome", {"ready": lambda old: with_fields(old, headers=ELSEWHERE)}),
    ("other confirmations than its outcome", {"ready": lambda old: with_fields(old, confirms=ELSEWHERE)}),
    ("not one message per ready site", {"ready": lambda old: with_fields(old, seats=old.seats[:-1])}),
    ("not one message per ready site", {"advertisements": lambda old: old[:-1]}),
    ("not one message per ready site", {"deals": lambda old: old[:-1]}),
    ("not one message per ready site", {"confirms": lambda old: (*old, old[0])}),
    ("another advertisement of seat 0", {"advertisements": lambda old: (old[1], *old[1:])}),
    ("another advertisement of seat 3", {"advertisements": place(3, lambda old: vouched_by(3, reads(Advertise, old)))}),
    ("unreadable", {"deals": place(2, b"garbage")}),
    ("not those of its signed header", {"deals": place(2, deal(2, commitments=flipped))}),
    ("not those of its signed header", {"deals": place(2, deal(2, digests=flipped))}),
    ("not those of its signed header", {"deals": place(2, deal(2, sealed=flipped))}),
    ("not signed by its registered", {"deals": place(2, deal(3, header={}))}),
    ("other deals than its outcome", {"deals": place(2, deal(2, header={}))}),
    ("other confirmations", {"confirms": place(2, by(2, Confirm, tables=flipped))}),
    ("other confirmations", {"confirms": lambda old: old[::-1]}),
    ("no member, or one twice", {"endorses": lambda old: (old[0], *old)}),
    ("no member, or one twice", {"endorses": place(0, b"garbage")}),
    ("another outcome", {"endorses": place(0, by(0, Endorse, ready=ELSEWHERE))}),
    ("not signed", {"endorses": place(0, stripped)}),
]


@pytest.mark.parametrize(("why", "fields"), SETUPS, ids=[f"{i}-{w}" for i, (w, _) in enumerate(SETUPS)])
def test_no_round_stands_on_a_false_record_of_the_setup(why, fields):
    with pytest.raises(PeerFault) as caught:
        rebuilt(**fields)
    assert caught.value.who == COORDINATORS
    assert why in caught.value.why


def test_a_setup_that_too_few_of_the_committee_endorsed_carries_no_round():
    needed = FOUNDATION.layout.setup.plan.threshold
    with pytest.raises(Refused, match=f"only {needed - 1} members endorsed"):
        rebuilt(endorses=lambda old: old[: needed - 1])
    with pytest.raises(Refused, match="only 0 members endorsed"):
        rebuilt(endorses=())
    assert rebuilt().ready_id == FOUNDATION.ready_id


@pytest.mark.parametrize(("column", "why"), [(0, "which do not agree"), (1, "endorsed another outcome")])
def test_tables_signed_anew_after_the_outcome_do_not_change_what_sites_stand_by(column, why):
    """A site and the coordinator write other tables into the record, and an outcome that names them."""

    def change(tables):
        changed = tables.copy()
        changed[:, :, column] ^= 1
        return changed

    confirms = place(2, by(2, Confirm, tables=change))(FOUNDATION.record.confirms)
    ready = with_fields(FOUNDATION.ready, confirms=signed_digest(confirms))
    with pytest.raises(PeerFault, match=why) as caught:
        rebuilt(confirms=confirms, ready=ready)
    assert caught.value.who == COORDINATORS
