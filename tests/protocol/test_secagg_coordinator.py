"""Sites that misbehave in a round: they are named, they count as silent, and the rest is summed all the same."""

from functools import cache

import numpy as np
import pytest

from adversary import (
    DOMAIN,
    JOB,
    Play,
    SetupPlay,
    a_setup,
    a_setup_site,
    altered,
    altered_deal,
    altered_upload,
    framed,
    only,
    prepared,
    reads,
    said_by,
    signer_of,
    upload_kind,
    with_fields,
)
from caduceus import canon
from caduceus.crypto import field, shamir, sign
from caduceus.errors import PeerFault, Refused
from caduceus.protocol import secagg_upload as uploads
from caduceus.protocol.envelope import SCHEME, Signed
from caduceus.protocol.secagg_messages import Confirm, Consent, Deal, Header, Opening, survivors_digest
from caduceus.protocol.secagg_parcel import digest as parcel_digest
from caduceus.protocol.secagg_server import Phase
from caduceus.protocol.secagg_setup_reading import deal_tree
from caduceus.protocol.secagg_setup_server import SetupPhase

SITES, BAD = 7, 2
EVERYBODY = tuple(range(SITES))
HONEST = tuple(seat for seat in EVERYBODY if seat != BAD)
SIGNER = signer_of(BAD)
STAGE = prepared(SITES)
SESSION = STAGE.session()
ELSEWHERE = bytes(range(32))
PHASES = [Phase.UPLOAD, Phase.CONSENT, Phase.OPEN]
HEAD = uploads.HEAD_BYTES


def played(phase, change, silent=None):
    play = Play(stage=STAGE, sites={BAD: only(phase, change)}, silent=silent or {})
    total = play.run()
    assert total.tolist() == play.plain_sum(play.server.survivors)
    assert play.replayed()[0].tolist() == total.tolist()
    assert all(seat == BAD for seat in play.problems)
    return play


@cache
def honest(round=0):
    """What every site said in a round in which nobody lied, by phase and seat."""
    play = Play(stage=STAGE, session=STAGE.session(round=round))
    play.run()
    return {(phase, seat): body for phase, seat, body in play.heard}


def resealed(message, change):
    """A message under another envelope, be it an upload or not."""
    if message[:1] == b"\0":  # an upload begins with the length of its record, and that is short
        return framed(change(uploads.envelope(message, who="")), message[HEAD:])
    return canon.pack(change(canon.unpack(Signed, message)))


def resigned(message, signer):
    """The same content under another signature."""

    def change(signed):
        body = canon.digest_bytes(signed.body)
        is_upload = canon.peek_tag(signed.body) == canon.tag_of(upload_kind())
        struct = sign.Upload(JOB, 0, BAD, body) if is_upload else sign.Statement(body)
        return with_fields(signed, signature=signer.sign(sign.digest(DOMAIN, struct)))

    return resealed(message, change)


def with_high_s(message):
    def flipped(signature):
        s = (sign.ORDER - int.from_bytes(signature[32:64])).to_bytes(32)
        return signature[:32] + s + bytes([55 - signature[64]])

    return resealed(message, lambda signed: with_fields(signed, signature=flipped))


ANY_PHASE = {
    "garbage": lambda phase: lambda message: [b"\xff" * 40],
    "nothing in it": lambda phase: lambda message: [b""],
    "as many zeros": lambda phase: lambda message: [bytes(len(message))],
    "a cut message": lambda phase: lambda message: [message[:-1]],
    "a byte too many": lambda phase: lambda message: [message + b"\x00"],
    "somebody else's signature": lambda phase: lambda message: [resigned(message, signer_of(5))],
    "no signature": lambda phase: (
        lambda message: [resealed(message, lambda signed: with_fields(signed, signature=b""))]
    ),
    "a signature with a high s": lambda phase: lambda message: [with_high_s(message)],
    "an unknown scheme": lambda phase: (
        lambda message: [resealed(message, lambda signed: with_fields(signed, scheme="none"))]
    ),
    "another site's message": lambda phase: lambda message: [honest()[phase, BAD + 1]],
    "more bytes than any message has": lambda phase: lambda message: [bytes(10**6)],
}


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.name.lower())
@pytest.mark.parametrize("what", ANY_PHASE)
def test_a_broken_message_names_its_sender_in_any_phase_and_the_rest_is_summed(what, phase):
    play = played(phase, ANY_PHASE[what](phase))
    assert [seat for seat, _ in play.faults()] == [BAD]
    assert play.server.survivors == (HONEST if phase is Phase.UPLOAD else EVERYBODY)


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.name.lower())
def test_of_two_different_messages_the_first_stands_and_the_second_is_written_down(phase):
    def more(message):
        return [message, with_high_s(message), resigned(message, signer_of(5)), b"garbage", bytes(10**6)]

    play = played(phase, more)
    assert play.faults() == [(BAD, "sent two different messages where one was due")]
    assert play.server.survivors == EVERYBODY
    first, second = [body for at, seat, body in play.heard if (at, seat) == (phase, BAD)][:2]
    assert second != first
    assert play.server.faults[0].evidence == (second[:HEAD] if phase is Phase.UPLOAD else second)


def test_a_second_upload_changes_no_sum():
    """Well signed, with another vector: the first has its receipt, and is in the sum."""
    other = np.arange(5, dtype="<u8")
    play = played(Phase.UPLOAD, lambda message: [message, *altered_upload(SESSION, SIGNER, vector=other)(message)])
    assert play.faults() == [(BAD, "sent two different messages where one was due")]
    assert play.server.uploads()[BAD] == honest()[Phase.UPLOAD, BAD]


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.name.lower())
@pytest.mark.parametrize("ahead", PHASES, ids=lambda phase: phase.name.lower())
def test_a_message_of_another_phase_is_late_or_wrong_and_never_taken(phase, ahead):
    if phase is ahead:
        return
    play = played(phase, lambda message: [honest()[ahead, BAD]])
    assert [seat for seat, _ in play.faults()] == ([] if ahead < phase else [BAD])
    assert (BAD in play.server.survivors) == (phase > Phase.UPLOAD)


# ---------------------------------------------------------------- of another round, or of a set-up

SET_UP = STAGE.foundation.record
OTHER_RING = STAGE.session(bits=32).digest
LONGER = altered_upload(SESSION, SIGNER, vector=np.arange(6, dtype="<u8"), session=ELSEWHERE)
STRAYS = [
    ("uploaded in another session", Phase.UPLOAD, altered_upload(SESSION, SIGNER, session=ELSEWHERE)),
    ("uploaded in another ring", Phase.UPLOAD, altered_upload(SESSION, SIGNER, session=OTHER_RING)),
    ("uploaded more in another session", Phase.UPLOAD, LONGER),
    ("signed with another key there", Phase.UPLOAD, altered_upload(SESSION, signer_of(5), session=ELSEWHERE)),
    ("consented in another session", Phase.CONSENT, altered(SIGNER, Consent, session=ELSEWHERE)),
    ("opened in another session", Phase.OPEN, altered(SIGNER, Opening, session=ELSEWHERE)),
    *(("of another round", phase, lambda _, phase=phase: [honest(1)[phase, BAD]]) for phase in PHASES),
    *(("advertised in the set-up", phase, lambda _: [SET_UP.advertisements[BAD]]) for phase in PHASES),
    *(("dealt in the set-up", phase, lambda _: [SET_UP.deals[BAD]]) for phase in PHASES),
    *(("confirmed in the set-up", phase, lambda _: [SET_UP.confirms[BAD]]) for phase in PHASES),
    *(("endorsed in the set-up", phase, lambda _: [SET_UP.endorses[BAD]]) for phase in PHASES),
]
STRAY_NAMES = [f"{what}-{phase.name.lower()}" for what, phase, _ in STRAYS]


@pytest.mark.parametrize(("what", "phase", "change"), STRAYS, ids=STRAY_NAMES)
def test_a_stray_names_nobody_its_sender_is_silent_and_the_rest_is_summed(what, phase, change):
    play = played(phase, change)
    assert play.faults() == []
    assert play.server.survivors == (HONEST if phase is Phase.UPLOAD else EVERYBODY)
    assert BAD not in play.server._intake.taken[phase]


@pytest.mark.parametrize(("what", "phase", "change"), STRAYS, ids=STRAY_NAMES)
def test_after_strays_a_site_is_waited_for_and_its_true_message_is_taken(what, phase, change):
    kept = []

    def strays(message):
        kept.append(message)
        return [*change(message), *change(message)]

    play = Play(stage=STAGE, sites={BAD: only(phase, strays)})
    play.until(phase)
    assert not play.server.ready
    play._speak(Phase.DONE, BAD, kept)
    assert play.server.ready
    play._speak(Phase.DONE, BAD, [*change(kept[0])])  # a stray is no second message either
    while play.server.phase is not Phase.DONE:
        play._answer(play.close())
    assert BAD in play.server._intake.taken[phase]
    assert play.server.survivors == play.server.summed == EVERYBODY
    assert play.server.totals[0].tolist() == play.plain_sum(EVERYBODY)
    assert play.faults() == []


# ---------------------------------------------------------------- uploads


def with_head(change):
    """The bytes before the vector changed, the vector as it was."""
    return lambda message: [bytes(change(bytearray(message[:HEAD]))) + message[HEAD:]]


def put(at, data):
    def change(head):
        head[at : at + len(data)] = data
        return head

    return change


def longer_record(message):
    """The true record, said to be longer: the zeros behind it count as its own."""
    size = int.from_bytes(message[:4]) + 1
    return [size.to_bytes(4) + message[4:]]


def other_vector(message):
    """One bit of the vector altered after it was signed."""
    return [message[:-1] + bytes([message[-1] ^ 1])]


def named_otherwise(message):
    """The record names another vector than travels with it."""
    (changed,) = altered_upload(SESSION, SIGNER, vector=np.arange(5, dtype="<u8"))(message)
    return [changed[:HEAD] + message[HEAD:]]


UPLOADS = [
    ("another vector than it signed", other_vector),
    ("another vector than it signed", named_otherwise),
    ("32 bytes of vector, 5 of 64 bits were due", altered_upload(SESSION, SIGNER, vector=np.arange(4, dtype="<u8"))),
    ("20 bytes of vector, 5 of 64 bits were due", altered_upload(SESSION, SIGNER, vector=np.arange(5, dtype="<u4"))),
    ("0 bytes of vector, 5 of 64 bits were due", altered_upload(SESSION, SIGNER, vector=np.zeros(0, "<u8"))),
    ("sent 560 bytes, at most 552 are due", altered_upload(SESSION, SIGNER, vector=np.arange(6, dtype="<u8"))),
    ("another round or from another seat", altered_upload(SESSION, SIGNER, session=b"")),
    ("another round or from another seat", altered_upload(SESSION, SIGNER, seat=3)),
    ("not signed by its registered signer", altered_upload(SESSION, signer_of(3))),
    ("not signed by its registered signer", altered_upload(STAGE.session(round=1), SIGNER)),
    ("without a signed record", lambda message: [message[: HEAD - 1]]),
    ("without a signed record", with_head(put(0, bytes(4)))),
    ("without a signed record", with_head(put(0, (HEAD - 3).to_bytes(4)))),
    ("without a signed record", with_head(put(0, b"\xff" * 4))),
    ("between record and vector", with_head(put(HEAD - 1, b"\x01"))),
    ("between record and vector", with_head(put(0, (100).to_bytes(4)))),
    ("unreadable", with_head(put(4, b"\xff" * 40))),
    ("unreadable", longer_record),
    ("unreadable", lambda message: [(2).to_bytes(4) + b"\x80\x80" + bytes(HEAD - 6) + message[HEAD:]]),
]


@pytest.mark.parametrize(("why", "change"), UPLOADS, ids=[f"{i}-{why}" for i, (why, _) in enumerate(UPLOADS)])
def test_a_false_upload_names_its_sender_and_the_rest_is_summed(why, change):
    play = played(Phase.UPLOAD, change)
    ((seat, said),) = play.faults()
    assert seat == BAD
    assert why in said
    assert play.server.survivors == HONEST
    assert play.server.leaves()[BAD] == bytes(32)
    assert not play.clients[BAD].receipt


def test_a_record_of_another_kind_under_a_good_signature_is_no_upload():
    """An EIP-712 upload names its body by digest only; the body must be an upload as well."""

    def change(message):
        body = canon.pack(Consent(SESSION.digest, BAD, ELSEWHERE, np.zeros((SITES, 32), np.uint8)))
        struct = sign.Upload(JOB, 0, BAD, canon.digest_bytes(body))
        long = canon.pack(Signed(body, SCHEME, SIGNER.sign(sign.digest(DOMAIN, struct))))
        assert len(long) <= HEAD - 4
        return [(len(long).to_bytes(4) + long).ljust(HEAD, b"\0") + message[HEAD:]]

    play = played(Phase.UPLOAD, change)
    ((seat, said),) = play.faults()
    assert (seat, "something else than was due" in said) == (BAD, True)


# ---------------------------------------------------------------- consents and openings

SAID = [
    (Phase.CONSENT, "consented to another survivor list", altered(SIGNER, Consent, survivors=ELSEWHERE)),
    (
        Phase.CONSENT,
        "consented to another survivor list",
        altered(SIGNER, Consent, survivors=survivors_digest(HONEST, [HONEST])),
    ),
    (
        Phase.CONSENT,
        "consented to another survivor list",
        altered(SIGNER, Consent, tags=lambda old: old[:-1].copy()),
    ),
    (Phase.CONSENT, "consented to another survivor list", altered(SIGNER, Consent, tags=lambda old: old.view("<u4"))),
    (Phase.CONSENT, "another round or from another seat", altered(SIGNER, Consent, session=b"")),
    (Phase.CONSENT, "another round or from another seat", altered(SIGNER, Consent, seat=3)),
    (Phase.OPEN, "another round or from another seat", altered(SIGNER, Opening, session=ELSEWHERE[1:])),
    (Phase.OPEN, "another round or from another seat", altered(SIGNER, Opening, seat=3)),
    (Phase.OPEN, "not the one it was given", altered(SIGNER, Opening, shares=lambda old: old + np.uint32(1))),
    (Phase.OPEN, "not the one it was given", altered(SIGNER, Opening, shares=lambda old: old[::-1].copy())),
    (Phase.OPEN, "not the one it was given", altered(SIGNER, Opening, shares=lambda old: np.zeros_like(old))),
    (Phase.OPEN, "share of seat 6 that is not", altered(SIGNER, Opening, shares=lambda old: last_bit(old))),
    (Phase.OPEN, "shares of shape", altered(SIGNER, Opening, shares=lambda old: old[:-1].copy())),
    (Phase.OPEN, "shares of shape", altered(SIGNER, Opening, shares=lambda old: old[:, :-1].copy())),
    (Phase.OPEN, "shares of shape", altered(SIGNER, Opening, shares=lambda old: old.astype("<u8"))),
    (Phase.OPEN, "shares of shape", altered(SIGNER, Opening, owners=lambda old: old[:-1])),
    (Phase.OPEN, "not due, or one twice", altered(SIGNER, Opening, owners=lambda old: (*old[:-1], 99))),
    (Phase.OPEN, "not due, or one twice", altered(SIGNER, Opening, owners=lambda old: (0, *old[:-1]))),
    (Phase.OPEN, "not due, or one twice", altered(SIGNER, Opening, owners=lambda old: old[::-1])),
    (Phase.OPEN, "not due, or one twice", altered(SIGNER, Opening, owners=lambda old: (*old[:-1], 2**80))),
]


def last_bit(shares):
    changed = shares.copy()
    changed[-1, -1] ^= 1
    return changed


@pytest.mark.parametrize(
    ("phase", "why", "change"), SAID, ids=[f"{p.name}-{w}-{i}" for i, (p, w, _) in enumerate(SAID)]
)
def test_a_well_signed_lie_names_its_sender_and_the_rest_is_summed(phase, why, change):
    play = played(phase, change)
    ((seat, said),) = play.faults()
    assert seat == BAD
    assert why in said
    assert play.server.survivors == EVERYBODY
    evidence = play.server.faults[0].evidence
    assert evidence in [body for at, who, body in play.heard if (at, who) == (phase, BAD)]
    assert evidence not in (*play.server.exchange().consents, *play.server.exchange().openings)


@pytest.mark.parametrize("gone", [(), (4,)])
def test_opening_the_other_share_of_an_owner_is_refused_by_name(gone):
    """The share that would let a coordinator take a survivor's masks off, or a silent site's own mask."""
    kept, size = STAGE.grounds[BAD].shares, shamir.SHARE_BYTES
    for owner in EVERYBODY:

        def change(message, owner=owner):
            opening = reads(Opening, message)
            shares = opening.shares.copy()
            kind = 0 if owner in gone else 1
            shares[owner] = np.frombuffer(kept[owner][kind * size :][:size], "<u4")
            yield said_by(BAD, with_fields(opening, shares=shares))

        play = played(Phase.OPEN, change, silent={Phase.UPLOAD: frozenset(gone)})
        assert play.faults() == [(BAD, f"opened a share of seat {owner} that is not the one it was given")]


def test_a_member_whose_tags_are_false_is_not_counted_and_stops_nobody():
    """Only the members themselves can check tags; a third of liars is spared by the threshold."""
    false = {
        seat: only(Phase.CONSENT, altered(signer_of(seat), Consent, tags=lambda old: old ^ np.uint8(1)))
        for seat in (0, BAD)
    }
    play = Play(stage=STAGE, sites=false)
    assert play.run().tolist() == play.plain_sum(EVERYBODY)
    assert not play.problems
    assert not play.server.faults
    false[5] = only(Phase.CONSENT, altered(signer_of(5), Consent, tags=lambda old: old ^ np.uint8(1)))
    play = Play(stage=STAGE, sites=false)
    with pytest.raises(Refused, match="only 3 sites answered with opening, 5 are needed"):
        play.run()
    assert set(play.problems) == {1, 3, 4, 6}  # those who told the truth count their own word and three others
    assert not play.server.totals


# ---------------------------------------------------------------- what was dealt in the set-up


def crooked(how):
    """A set-up in which the bad site shares something else than it commits to; what it deals is well formed."""

    def make(layout, seat, memory):
        site = a_setup_site(layout, seat, memory)
        if seat == BAD:
            honest = site._share
            site._share = lambda: how(site, honest)
        return site

    stage = SetupPlay(setup=a_setup(SITES), make=make).run()
    assert sorted(stage.grounds) == list(EVERYBODY)
    return stage


def other_secrets(kind):
    """Shares of another secret of this kind, true ones of the other."""

    def how(site, honest):
        true = site._secrets
        site._secrets = true.copy()
        site._secrets[kind] ^= 1
        shares = honest()
        site._secrets = true
        return shares

    return how


def no_secret(site, honest):
    """Values of no polynomial of the right degree."""
    shares = honest()
    words = np.random.default_rng(1).integers(0, field.P, shares.size // 4, dtype="<u4")  # test data, no secret
    return words.view(np.uint8).reshape(shares.shape)


@pytest.mark.parametrize("how", [other_secrets(0), no_secret], ids=["another seed", "no seed at all"])
def test_a_survivor_that_shared_another_seed_is_named(how):
    play = Play(stage=crooked(how))
    with pytest.raises(Refused, match=f"no sum can be computed: seat {BAD} shared another self-mask seed"):
        play.run()
    assert not play.server.totals
    assert play.faults() == [(BAD, "shared another self-mask seed than it committed to")]
    assert reads(Header, play.server.faults[0].evidence).seat == BAD
    with pytest.raises(PeerFault, match=f"seat {BAD}: shared another self-mask seed"):
        play.replayed()
    with pytest.raises(Refused, match="no sum can be computed"):
        play.server.advance()
    assert len(play.faults()) == 1  # asked again, it is not named again


@pytest.mark.parametrize("how", [other_secrets(1), no_secret], ids=["another key", "no key at all"])
def test_a_silent_site_that_shared_another_recovery_key_is_named(how):
    play = Play(stage=crooked(how), silent={Phase.UPLOAD: frozenset({BAD})})
    with pytest.raises(Refused, match=f"no sum can be computed: seat {BAD} shared another recovery key"):
        play.run()
    assert play.faults() == [(BAD, "shared another recovery key than it committed to")]
    with pytest.raises(PeerFault, match=f"seat {BAD}: shared another recovery key"):
        play.replayed()


def test_a_secret_that_is_not_opened_does_no_harm():
    """Whoever shares a false recovery key and is never silent is summed, and the other way round."""
    play = Play(stage=crooked(other_secrets(1)))
    assert play.run().tolist() == play.plain_sum(EVERYBODY)
    play = Play(stage=crooked(other_secrets(0)), silent={Phase.UPLOAD: frozenset({BAD})})
    assert play.run().tolist() == play.plain_sum(HONEST)
    assert not play.server.faults


@pytest.mark.parametrize(("kind", "what"), [(0, "self-mask seed"), (1, "recovery key")])
def test_a_false_commitment_names_its_owner(kind, what):
    def change(message):
        tables = canon.unpack(Deal, message).commitments.copy()
        tables[:, kind] ^= 1
        header = {"commitments": canon.digest_bytes(tables.tobytes())}
        return altered_deal(BAD, header=header, commitments=tables)(message)

    stage = SetupPlay(setup=a_setup(SITES), sites={BAD: only(SetupPhase.DEAL, change)}).run()
    gone = {Phase.UPLOAD: frozenset({BAD})} if kind else {}
    play = Play(stage=stage, silent=gone)
    with pytest.raises(Refused, match=f"seat {BAD} shared another {what} than it committed to"):
        play.run()
    assert play.faults() == [(BAD, f"shared another {what} than it committed to")]


def with_hidden(change):
    """The bad site hides something else under its recovery keys than the pair seeds that it publishes checks of."""

    def confirm(message):
        tables = reads(Confirm, message).tables.copy()
        change(tables[:, :, 1])
        yield said_by(BAD, with_fields(reads(Confirm, message), tables=tables))

    return SetupPlay(setup=a_setup(SITES), sites={BAD: only(SetupPhase.CONFIRM, confirm)}).run()


def flip_all(hidden):
    hidden ^= 1


def flip_one(hidden):
    hidden[-1, 0] ^= 1  # those with the last seat, in the first round


def swap_two(hidden):
    hidden[[0, 1]] = hidden[[1, 0]]


@pytest.mark.parametrize("change", [flip_all, flip_one, swap_two])
def test_a_site_that_hid_other_pair_seeds_than_it_confirmed_is_named_once_it_is_silent(change):
    stage = with_hidden(change)
    why = "published other pair seeds under its recovery key than it confirmed"
    play = Play(stage=stage, silent={Phase.UPLOAD: frozenset({BAD})})
    with pytest.raises(Refused, match=f"no sum can be computed: seat {BAD} {why}"):
        play.run()
    assert not play.server.totals
    assert play.faults() == [(BAD, why)]
    evidence = play.server.faults[0].evidence
    assert evidence == stage.foundation.record.confirms[BAD]
    with pytest.raises(PeerFault, match=f"seat {BAD}: {why}") as caught:
        play.replayed()
    assert caught.value.evidence == evidence
    assert reads(Confirm, evidence).seat == BAD
    there = Play(stage=stage)  # while it uploads, nobody looks under its recovery key
    assert there.run().tolist() == there.plain_sum(EVERYBODY)


def test_false_pair_seeds_with_others_who_are_silent_too_do_no_harm():
    """Between two silent sites there is no mask in the sum."""
    stage = with_hidden(flip_one)
    play = Play(stage=stage, silent={Phase.UPLOAD: frozenset({BAD, SITES - 1})})
    assert play.run().tolist() == play.plain_sum(seat for seat in HONEST if seat != SITES - 1)
    other_round = Play(stage=stage, session=stage.session(round=1), silent={Phase.UPLOAD: frozenset({BAD})})
    assert other_round.run().tolist() == other_round.plain_sum(HONEST)
    assert not play.server.faults


# ---------------------------------------------------------------- how many can be borne


def without_first(seat, count=1):
    """A member that keeps back its shares of the first owners."""
    return only(
        Phase.OPEN,
        altered(signer_of(seat), Opening, owners=lambda old: old[count:], shares=lambda old: old[count:].copy()),
    )


def test_as_many_as_can_be_spared_may_keep_shares_back():
    play = Play(stage=STAGE, sites={3: without_first(3), 4: without_first(4, count=7)})
    assert play.run().tolist() == play.plain_sum(EVERYBODY) == play.replayed()[0].tolist()
    assert not play.server.faults


def test_few_enough_sites_to_be_liars_cannot_have_an_owner_named():
    """Two of seven keep back their shares of an honest site; a third is gone. No sum, and no culprit."""
    play = Play(stage=STAGE, sites={3: without_first(3), 4: without_first(4)}, silent={Phase.OPEN: frozenset({5})})
    with pytest.raises(Refused, match="only 4 members opened their shares of seat 0, 5 are needed"):
        play.run()
    assert not play.server.faults
    assert not play.server.totals
    with pytest.raises(Refused, match="only 4 members opened their shares of seat 0"):
        play.replayed()


def test_as_many_hostile_sites_as_the_threshold_allows_still_leave_a_sum():
    play = Play(
        stage=STAGE,
        sites={
            1: only(Phase.UPLOAD, lambda message: [b"garbage"]),
            4: only(Phase.OPEN, altered(signer_of(4), Opening, shares=lambda old: old + np.uint32(1))),
        },
    )
    total = play.run()
    assert total.tolist() == play.plain_sum(seat for seat in EVERYBODY if seat != 1)
    assert sorted(seat for seat, _ in play.faults()) == [1, 4]
    assert play.replayed()[0].tolist() == total.tolist()


def test_with_one_hostile_site_more_there_is_no_sum():
    garbage = only(Phase.OPEN, lambda message: [b"garbage"])
    play = Play(stage=STAGE, sites=dict.fromkeys((0, 3, 6), garbage))
    with pytest.raises(Refused, match="only 4 sites answered with opening, 5 are needed"):
        play.run()
    assert not play.server.totals
    assert sorted(seat for seat, _ in play.faults()) == [0, 3, 6]


def test_what_no_member_said_is_not_heard_from_others():
    """After the upload the coordinator listens to the surviving members alone."""
    play = Play(stage=STAGE, silent={Phase.UPLOAD: frozenset({BAD})})
    play.until(Phase.CONSENT)
    for body in (honest()[Phase.CONSENT, BAD], honest()[Phase.OPEN, BAD], b"garbage", bytes(10**6)):
        assert play.server.receive(BAD, body) == []
    assert not play.server.faults
    assert BAD not in play.server._consents


def test_a_dealer_cannot_have_a_site_named_to_which_it_dealt_garbage():
    """It publishes, like the site that got nothing, zeros for what they have in common: that is no agreement."""
    victim = 3

    def deal(message):
        old = canon.unpack(Deal, message)
        parcels, sealed = list(old.parcels), old.sealed.copy()
        parcels[victim] = parcels[victim][:-1] + bytes([parcels[victim][-1] ^ 1])
        sealed[victim] = np.frombuffer(parcel_digest(parcels[victim]), np.uint8)
        tree = deal_tree(sealed, old.digests, EVERYBODY, dict(zip(EVERYBODY, EVERYBODY, strict=True)))
        return altered_deal(BAD, header={"deal_root": tree.root}, sealed=sealed, parcels=tuple(parcels))(message)

    def confirm(message):
        tables = reads(Confirm, message).tables.copy()
        tables[victim - 1, :, 0] = 0
        yield said_by(BAD, with_fields(reads(Confirm, message), tables=tables))

    lies = {SetupPhase.DEAL: deal, SetupPhase.CONFIRM: confirm}
    mischief = {BAD: lambda phase, seat, message: lies[phase](message) if phase in lies else [message]}
    play = Play(stage=SetupPlay(setup=a_setup(SITES), sites=mischief).run())
    assert play.run().tolist() == play.plain_sum(play.server.survivors)
    assert victim not in {seat for seat, _ in play.faults()}
