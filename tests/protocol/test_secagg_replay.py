"""A stranger does a round again from the record, and whoever wrote a false one is named."""

import numpy as np
import pytest

from adversary import (
    COORDINATOR,
    DOMAIN,
    Play,
    a_session,
    reads,
    said_by,
    signer_of,
    with_fields,
)
from caduceus import canon
from caduceus.crypto import merkle, sign
from caduceus.errors import PeerFault, Refused
from caduceus.protocol.envelope import SCHEME, Signed
from caduceus.protocol.secagg_messages import Advertise, Consent, Header, Opening, Shares, Upload, share_tree
from caduceus.protocol.secagg_replay import leaves, replay
from caduceus.protocol.secagg_server import Phase

SITES, GONE, SITE = 7, 6, 2
SESSION = a_session(SITES)
ELSEWHERE = bytes(range(32))


def a_round(session=SESSION):
    play = Play(session, silent={Phase.UPLOAD: frozenset({GONE})})
    play.run()
    return play


PLAY, OTHER = a_round(), a_round(a_session(SITES, round=1))
RECORD, UPLOADS = PLAY.server.exchange(), PLAY.server.uploads()
COORDINATORS = "the coordinator"


def place(at, change):
    """The entry at a place changed; a function is given the old one."""
    return lambda old: (*old[:at], change(old[at]) if callable(change) else change, *old[at + 1 :])


def by(seat, kind, /, **fields):
    return lambda data: said_by(seat, with_fields(reads(kind, data), **fields))


def stripped(data):
    return canon.pack(with_fields(canon.unpack(Signed, data), signature=bytes(65)))


def shares(header=None, **fields):
    def change(data):
        old = canon.unpack(Shares, data)
        return canon.pack(with_fields(old, header=header(old.header) if header else old.header, **fields))

    return change


RECORDS = [
    # advertisements
    ("stranger", "advertisements", place(0, b"garbage")),
    ("not one advertisement per seat", "advertisements", lambda old: old[::-1]),
    ("not one advertisement per seat", "advertisements", lambda old: (old[0], *old)),
    ("not signed", "advertisements", place(3, stripped)),
    ("not signed", "advertisements", place(3, by(4, Advertise, seat=3))),
    ("no public key", "advertisements", place(3, by(3, Advertise, mask_key=bytes(32)))),
    ("another round", "advertisements", place(3, OTHER.server.exchange().advertisements[3])),
    ("another roster", "advertisements", place(3, by(3, Advertise, mask_key=bytes([9]) + bytes(31)))),
    ("another roster", "advertisements", lambda old: (*old[:3], *old[4:])),
    # shares
    ("unreadable shares", "shares", place(0, b"garbage")),
    ("out of order", "shares", lambda old: old[::-1]),
    ("out of order", "shares", lambda old: (old[0], *old)),
    ("stranger", "shares", place(0, shares(lambda header: b"garbage"))),
    ("not signed", "shares", place(0, shares(stripped))),
    ("another round", "shares", place(3, OTHER.server.exchange().shares[3])),
    ("not those of its signed header", "shares", place(3, shares(digests=lambda old: old[::-1].copy()))),
    ("not three per site", "shares", place(3, shares(digests=lambda old: old[:-1].copy()))),
    ("parcels that are not one", "shares", place(3, shares(parcels=np.zeros((3, 88), np.uint8)))),
    ("parcels that are not those", "shares", place(3, shares(parcels=np.zeros((7, 88), np.uint8)))),
    ("another roster, dealing", "shares", lambda old: old[:-1]),
    ("another roster, dealing", "shares", place(3, shares(by(3, Header, seed_commitment=ELSEWHERE)))),
    # survivors
    ("survivors that never shared", "survivors", lambda old: (*old, 9)),
    ("survivors that never shared", "survivors", lambda old: old[::-1]),
    ("survivors that never shared", "survivors", lambda old: (0, *old)),
    ("another roster, dealing or survivor list", "survivors", lambda old: old[:-1]),
    ("another roster, dealing or survivor list", "survivors", lambda old: (*old, GONE)),
    ("no survivor", "survivors", ()),
    # consents
    ("no survivor, or one twice", "consents", place(0, b"garbage")),
    ("no survivor, or one twice", "consents", lambda old: (old[0], *old)),
    ("not signed", "consents", place(0, stripped)),
    ("another roster, dealing or survivor list", "consents", place(0, by(0, Consent, dealing=ELSEWHERE))),
    ("another round", "consents", place(0, OTHER.server.exchange().consents[0])),
    # openings
    ("no survivor, or one twice", "openings", place(0, b"garbage")),
    ("no survivor, or one twice", "openings", lambda old: (old[0], *old)),
    ("no survivor, or one twice", "openings", lambda old: (*old, by(GONE, Opening, seat=GONE)(old[0]))),
    ("not signed", "openings", place(0, stripped)),
    ("another round", "openings", place(0, OTHER.server.exchange().openings[0])),
    ("not the one it was given", "openings", place(0, by(0, Opening, shares=lambda old: old + np.uint32(1)))),
    ("shares of shape", "openings", place(0, by(0, Opening, shares=lambda old: old[:-1].copy()))),
    ("shared nothing, or one twice", "openings", place(0, by(0, Opening, owners=lambda old: (*old[:-1], 99)))),
]


@pytest.mark.parametrize(
    ("why", "field", "change"), RECORDS, ids=[f"{i}-{f}-{w}" for i, (w, f, _) in enumerate(RECORDS)]
)
def test_a_false_record_is_the_fault_of_the_coordinator_that_wrote_it(why, field, change):
    """Also where a site signed the lie: an honest coordinator would not have let it pass."""
    with pytest.raises(PeerFault) as caught:
        replay(with_fields(RECORD, **{field: change}), UPLOADS.__getitem__)
    assert caught.value.who == COORDINATORS
    assert why in caught.value.why


TOO_LITTLE = [
    ("only 4 sites consented", "consents", lambda old: old[:4]),
    ("only 0 sites consented", "consents", ()),
    ("only 4 sites opened their shares of seat 0", "openings", lambda old: old[:4]),
    ("only 0 sites opened", "openings", ()),
]


@pytest.mark.parametrize(("why", "field", "change"), TOO_LITTLE, ids=[why for why, _, _ in TOO_LITTLE])
def test_a_record_that_holds_too_little_gives_no_sum_and_blames_nobody(why, field, change):
    with pytest.raises(Refused, match=why):
        replay(with_fields(RECORD, **{field: change}), UPLOADS.__getitem__)


def test_an_empty_record_gives_no_sum():
    empty = with_fields(RECORD, advertisements=(), shares=(), survivors=(), consents=(), openings=())
    with pytest.raises(Refused, match="only 0 sites consented"):
        replay(empty, UPLOADS.__getitem__)


def upload_of(seat, /, **fields):
    body = canon.pack(with_fields(reads(Upload, UPLOADS[seat]), **fields))
    struct = sign.Upload(SESSION.job, SESSION.round, seat, canon.digest_bytes(body))
    return canon.pack(Signed(body, SCHEME, signer_of(seat).sign(sign.digest(DOMAIN, struct))))


FETCHED = [
    ("unreadable", b"garbage"),
    ("unreadable", b""),
    ("not signed", stripped(UPLOADS[SITE])),
    ("not signed", UPLOADS[3]),
    ("not signed", OTHER.server.uploads()[SITE]),
    ("another round", upload_of(SITE, session=ELSEWHERE)),
    ("another seat", upload_of(SITE, seat=3)),
    ("another roster or dealing", upload_of(SITE, roster=ELSEWHERE)),
    ("another roster or dealing", upload_of(SITE, dealing=ELSEWHERE)),
    ("were due", upload_of(SITE, vector=lambda old: old[:-1].copy())),
    ("were due", upload_of(SITE, vector=lambda old: old.astype("<u4"))),
]


@pytest.mark.parametrize(("why", "blob"), FETCHED, ids=[f"{i}-{why}" for i, (why, _) in enumerate(FETCHED)])
def test_a_false_upload_is_found_by_the_sum_and_by_the_tree(why, blob):
    fetch = {**UPLOADS, SITE: blob}.__getitem__
    for look in (lambda: replay(RECORD, fetch), lambda: leaves(RECORD, tuple(UPLOADS), fetch)):
        with pytest.raises(PeerFault) as caught:
            look()
        assert caught.value.who == COORDINATORS
        assert why in caught.value.why


def test_a_missing_upload_is_said_to_be_missing():
    def fetch(seat):
        if seat == SITE:
            raise Refused(f"no upload of seat {seat}")
        return UPLOADS[seat]

    for look in (lambda: replay(RECORD, fetch), lambda: leaves(RECORD, tuple(UPLOADS), fetch)):
        with pytest.raises(Refused, match="no upload of seat 2"):
            look()


def test_uploads_are_fetched_once_each_and_in_order():
    fetched = []
    replay(RECORD, lambda seat: fetched.append(seat) or UPLOADS[seat])
    assert fetched == list(RECORD.survivors)


def test_the_tree_holds_no_upload_of_a_site_that_shared_nothing():
    for stranger in (9, -1, 2**40):
        with pytest.raises(PeerFault, match="shared nothing"):
            leaves(RECORD, (*UPLOADS, stranger), UPLOADS.__getitem__)
    assert leaves(RECORD, tuple(UPLOADS), UPLOADS.__getitem__) == PLAY.server.leaves()
    assert PLAY.server.leaves()[GONE] == merkle.EMPTY


def test_another_upload_by_the_site_itself_gives_another_sum_and_another_leaf():
    """A site that signed two uploads: whichever the coordinator recorded, the tree says which one it was."""
    second = upload_of(SITE, vector=lambda old: old + np.uint64(1))
    fetch = {**UPLOADS, SITE: second}.__getitem__
    assert replay(RECORD, fetch).tolist() != PLAY.server.total.tolist()
    assert leaves(RECORD, tuple(UPLOADS), fetch)[SITE] != PLAY.server.leaves()[SITE]


@pytest.mark.parametrize(
    "fields",
    [{"threshold": 3}, {"bits": 7}, {"suite": ""}, {"parties": ()}, {"length": 0}, {"domain": b""}],
    ids=lambda fields: next(iter(fields)),
)
def test_a_record_of_an_unsound_session_is_refused_before_anything_is_read(fields):
    record = with_fields(RECORD, session=with_fields(SESSION, **fields))
    for look in (replay, lambda one, fetch: leaves(one, (), fetch)):
        with pytest.raises(Refused, match="session"):
            look(record, UPLOADS.__getitem__)


@pytest.mark.parametrize(
    "fields",
    [{"length": 2**31}, {"round": 5}, {"state": ELSEWHERE}, {"bits": 32}],
    ids=lambda fields: next(iter(fields)),
)
def test_a_record_under_another_session_belongs_to_nobody(fields):
    """Nothing is as long as a record says until somebody's signature says so too."""
    record = with_fields(RECORD, session=with_fields(SESSION, **fields))
    with pytest.raises(PeerFault, match="another round"):
        replay(record, UPLOADS.__getitem__)


def test_a_dealer_and_the_coordinator_cannot_have_an_honest_opener_blamed():
    """They show one site other commitments than they record, so that what it opens seems to be false.

    Its upload carries the digest of what it was shown, so the record contradicts itself.
    """
    data = RECORD.shares[0]
    old = canon.unpack(Shares, data)
    digests = old.digests.copy()
    digests[SITE] ^= 1  # now the opening of SITE fits no more
    header = said_by(0, with_fields(reads(Header, old.header), share_root=share_tree(digests).root))
    false = canon.pack(with_fields(old, header=header, digests=digests))
    record = with_fields(RECORD, shares=place(0, false))
    with pytest.raises(PeerFault) as caught:
        replay(record, UPLOADS.__getitem__)
    assert caught.value.who == COORDINATORS


def test_nobody_but_the_signers_can_make_a_record_of_another_sum():
    """A coordinator with all that it ever saw, and its own key: every field taken from another round fails."""
    other = OTHER.server.exchange()
    for name in ("advertisements", "shares", "consents", "openings"):
        with pytest.raises(PeerFault, match=COORDINATORS):
            replay(with_fields(RECORD, **{name: getattr(other, name)}), UPLOADS.__getitem__)
    assert COORDINATOR.address == SESSION.coordinator
    assert replay(RECORD, UPLOADS.__getitem__).tolist() == PLAY.plain_sum(RECORD.survivors)
