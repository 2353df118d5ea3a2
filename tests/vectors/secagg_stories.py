"""Whole stories: a set-up, a round on it, a set-up with lies; and what nobody may take at any point of them."""

from __future__ import annotations

import cbor2
from secagg_again import Chance, P, digest, levels, mldsa_public, pack, statement, table
from secagg_common import Json, flip, hexes, like, word
from secagg_play import COORDINATOR, Lies, Prepared, Round, party, secret

SITES, ROUNDS, SILENT = 4, 2, 2
THE_COORDINATOR = "the coordinator"


def replaced(record: list, at: int, value: object) -> list:
    """A record with another value in a place; the tag stands in place 0."""
    return [*record[:at], value, *record[at + 1 :]]


def body_of(envelope: bytes) -> list:
    return cbor2.loads(cbor2.loads(envelope)[1])


# ---------------------------------------------------------------- setup.json


def setup(chance: Chance) -> Json:
    done = Prepared(SITES, ROUNDS, chance)
    one, others = SITES - 1, done.seats[:-1]
    sites = [
        {
            "seat": seat,
            "root": done.root(seat).hex(),
            "signer": secret("signer", seat).hex(),
            "identity": secret("identity", seat).hex(),
            "party": pack(party(seat)).hex(),
        }
        for seat in done.seats
    ]
    seeds = {other: [done.pair_seed(one, other, at) for at in range(ROUNDS)] for other in others}
    return {
        "about": "a whole set-up of four sites, all of them ready, with everybody's secrets",
        "coordinator": COORDINATOR.hex(),
        "sites": sites,
        "setup": pack(done.setup).hex(),
        "setup_id": done.id.hex(),
        "advertisements": hexes(done.advertisements),
        "roster": statement(COORDINATOR, done.roster).hex(),
        "roster_id": done.roster_id.hex(),
        "deals": hexes([pack(deal) for deal in done.deals]),
        "confirms": hexes(done.confirms),
        "ready": statement(COORDINATOR, done.ready).hex(),
        "ready_id": done.ready_id.hex(),
        "endorses": hexes(done.endorses),
        "record_digest": digest(pack(done.record)).hex(),
        "told": {
            "seat": one,
            "roster_for": done.roster_for().hex(),
            "inbox": statement(COORDINATOR, done.inbox(one)).hex(),
            "endorsed": done.endorsed(one, done.seats).hex(),
            "endorsed_by_a_threshold": done.endorsed(one, done.seats[: done.threshold]).hex(),
        },
        "ground": {
            "self_seeds": hexes(done.own[one][0]),
            "pair_seeds": {str(other): hexes(those) for other, those in seeds.items()},
            "tag_keys": {str(other): done.tag_key(one, other).hex() for other in others},
            "shares": {str(owner): b"".join(done.shares[owner][one]).hex() for owner in done.seats},
        },
        "bad_messages": [
            *bad_advertisements(done, chance),
            *bad_deals(done),
            *bad_confirmations(done),
        ],
        "strays": setup_strays(done, chance),
        "bad_told": [*bad_rosters(done), *bad_inboxes(done, one), *bad_outcomes(done, one)],
        "bad_records": bad_setup_records(done),
    }


def bad_advertisements(done: Prepared, chance: Chance) -> list[Json]:
    """What a coordinator must not take from seat 2 first; it then names seat 2."""
    seat = 2
    good, public, kem = done.advertisements[seat], mldsa_public(secret("identity", seat)), done.kems[seat].public
    stranger = secret("identity", 1)
    told = ["secagg/advertise/2", done.id, seat, public, kem]

    def vouched(name: str, record: list, seed: bytes = secret("identity", seat)) -> bytes:
        return chance.vouch(f"bad/{name}", seed, record)

    # The first coefficient of an ML-KEM key is its first 12 bits, and none is as large as 0xFFF.
    too_large, small_order = b"\xff\xff" + kem[2:], kem[:1184] + bytes(32)
    cases = {
        "not signed by its key": flip(good, -1),
        "not readable": good[:-1],
        "another seat's": done.advertisements[1],
        "a key that it did not enrol with": vouched("key", replaced(told, 3, mldsa_public(stranger)), stranger),
        "an ML-KEM key with a coefficient above the modulus": vouched("coefficient", replaced(told, 4, too_large)),
        "an X25519 key of small order": vouched("order", replaced(told, 4, small_order)),
        "an X-Wing key that is too short": vouched("short", replaced(told, 4, kem[:-1])),
        "signed under secp256k1": done.say(seat, told),
    }
    name = f"advertisements/{seat}"
    return [{"seat": seat, "phase": "advertise", "why": why, **like(name, good, one)} for why, one in cases.items()]


def bad_deals(done: Prepared) -> list[Json]:
    seat = 2
    deal = done.deals[seat]
    commitments, digests, sealed, parcels = (deal[2][2], deal[3][2], deal[4][2], deal[5])
    cases = {
        "under a header of another seat": replaced(deal, 1, done.headers[1]),
        "other commitments than its header names": replaced(deal, 2, table((ROUNDS, 2, 32), [flip(commitments, 0)])),
        "a table of another shape": replaced(deal, 2, table((2, ROUNDS, 32, 1), [commitments])),
        "other digests of shares than its header names": replaced(
            deal, 3, table((SITES, ROUNDS, 2, 32), [flip(digests, -1)])
        ),
        "other digests of parcels than its header names": replaced(deal, 4, table((SITES, 32), [flip(sealed, 0)])),
        "a parcel that its header does not name": replaced(deal, 5, [flip(parcels[0], 0), *parcels[1:]]),
        "a parcel cut short": replaced(deal, 5, [parcels[0][:-1], *parcels[1:]]),
        "a parcel too few": replaced(deal, 5, parcels[:-1]),
        "no parcels": replaced(deal, 5, []),
    }
    good, name = pack(deal), f"deals/{seat}"
    return [{"seat": seat, "phase": "deal", "why": why, **like(name, good, pack(one))} for why, one in cases.items()]


def bad_confirmations(done: Prepared) -> list[Json]:
    seat, said = 2, done.confirm
    tags = b"".join(done.tags(done.ready_id, seat))
    endorse = ["secagg/endorse/1", done.ready_id, seat, table((SITES, 32), [tags])]
    cases = {
        "signed by another": said(seat, signer=1),
        "a table of another shape": said(seat, shape=(ROUNDS, 3, 2, 32)),
        "misses its own parcel": said(seat, missing=[seat]),
        "misses parcels in no order": said(seat, missing=[3, 0]),
    }
    outcomes = {
        "for another seat": done.say(seat, replaced(endorse, 2, 1)),
        "a tag too few": done.say(seat, replaced(endorse, 3, table((3, 32), [tags[:96]]))),
    }
    return [
        {"seat": seat, "phase": phase, "why": why, **like(f"{phase}s/{seat}", good[seat], one)}
        for phase, good, bad in (("confirm", done.confirms, cases), ("endorse", done.endorses, outcomes))
        for why, one in bad.items()
    ]


def setup_strays(done: Prepared, chance: Chance) -> list[Json]:
    """What a coordinator has to pass over: it names nobody, and waits for seat 2 as before."""
    seat, other = 2, word("other")
    advertise, header = body_of(done.advertisements[seat]), body_of(done.headers[seat])
    key = secret("identity", seat)
    elsewhere = chance.vouch("bad/set-up", key, replaced(advertise, 1, other))
    for_another = pack(replaced(done.deals[seat], 1, chance.vouch("bad/header", key, replaced(header, 2, other))))
    endorse, deal = body_of(done.endorses[seat]), pack(done.deals[seat])
    confirmed, endorsed = done.confirms[seat], done.endorses[seat]
    cases: list[tuple[str, str, str, bytes, bytes]] = [
        ("advertise", "of another set-up", "advertisements", done.advertisements[seat], elsewhere),
        ("advertise", "a deal, before there is a roster", "deals", deal, deal),
        ("deal", "for another roster", "deals", deal, for_another),
        ("deal", "an endorsement, before there is an outcome", "endorses", endorsed, endorsed),
        ("confirm", "for another roster", "confirms", confirmed, done.confirm(seat, roster=other)),
        ("confirm", "an advertisement of another set-up", "advertisements", done.advertisements[seat], elsewhere),
        ("endorse", "of another outcome", "endorses", endorsed, done.say(seat, replaced(endorse, 1, other))),
        ("endorse", "a confirmation of another roster", "confirms", confirmed, done.confirm(seat, roster=other)),
    ]
    return [
        {"seat": seat, "phase": phase, "why": why, **like(f"{file}/{seat}", good, one)}
        for phase, why, file, good, one in cases
    ]


def bad_rosters(done: Prepared) -> list[Json]:
    """What seat 3 must not take from a coordinator first; names: whom it then blames, None where nobody is to blame."""
    good, adverts = done.roster_for(), done.advertisements
    signed = statement(COORDINATOR, done.roster)
    fewer = ["secagg/roster/2", done.id, done.seats[:-1], table((SITES - 1, 32), [done.roster[3][2][:96]])]
    two = ["secagg/roster/2", done.id, [2, 3], table((2, 32), [done.roster[3][2][64:]])]
    cases = {
        "advertisements in another order": [signed, [*adverts[:2], adverts[3], adverts[2]]],
        "an advertisement too few": [signed, adverts[:-1]],
        "a roster without this site": [statement(COORDINATOR, fewer), adverts[:-1]],
        "a roster that a site signed": [done.say(0, done.roster), adverts],
    }
    bad = {why: (pack(["secagg/roster-for/1", *fields]), THE_COORDINATOR) for why, fields in cases.items()}
    bad["a byte behind the end"] = (good + b"\0", THE_COORDINATOR)
    bad["fewer sites than the quorum"] = (pack(["secagg/roster-for/1", statement(COORDINATOR, two), adverts[2:]]), None)
    return [
        {"why": why, "kind": "roster_for", "names": names, **like("told/roster_for", good, one)}
        for why, (one, names) in bad.items()
    ]


def bad_inboxes(done: Prepared, seat: int) -> list[Json]:
    inbox = done.inbox(seat)
    first, *rest = inbox[3]
    digests, proof = first[3][2], first[5][2]
    own = replaced(done.delivery(0, seat), 1, seat)
    cases = {
        "for another roster": (word("other"), inbox[3]),
        "a parcel that its dealer did not seal": replaced(first, 4, flip(first[4], -1)),
        "a header that its dealer did not sign": replaced(first, 2, flip(first[2], -1)),
        "digests that its dealer did not name": replaced(first, 3, table((ROUNDS, 2, 32), [flip(digests, 0)])),
        "no digests": replaced(first, 3, table((0, 2, 32), [])),
        "a proof of another place": replaced(first, 5, table((2, 32), [proof[32:] + proof[:32]])),
        "a proof that is too long": replaced(first, 5, table((3, 32), [proof, bytes(32)])),
    }
    boxes = {why: one if isinstance(one, tuple) else (done.roster_id, [one, *rest]) for why, one in cases.items()}
    boxes["a dealer twice"] = (done.roster_id, [first, first, *rest])
    boxes["dealers in another order"] = (done.roster_id, [*rest, first])
    boxes["a parcel of its own"] = (done.roster_id, [*inbox[3], own])
    good = statement(COORDINATOR, inbox)
    bad = {why: statement(COORDINATOR, ["secagg/inbox/2", done.id, *fields]) for why, fields in boxes.items()}
    bad["signed by a site"] = done.say(0, inbox)
    return [
        {"why": why, "kind": "inbox", "names": THE_COORDINATOR, **like("told/inbox", good, one)}
        for why, one in bad.items()
    ]


def bad_outcomes(done: Prepared, seat: int) -> list[Json]:
    good = done.endorsed(seat, done.seats)
    _, signed, _, tags = cbor2.loads(good)
    tags = tags[2]
    stranger = statement(COORDINATOR, replaced(done.ready, 3, [0, 1, 2, 9]))
    cases: dict[str, tuple[list, str | None]] = {
        "an outcome that names a stranger": ([stranger, done.seats, table((4, 32), [tags])], THE_COORDINATOR),
        "an outcome that a site signed": (
            [done.say(0, done.ready), done.seats, table((4, 32), [tags])],
            THE_COORDINATOR,
        ),
        "one member twice": ([signed, [0, 1, 1, 2], table((4, 32), [tags[:64], tags[32:96]])], THE_COORDINATOR),
        "a tag too few": ([signed, [0, 1, 2], table((2, 32), [tags[:64]])], THE_COORDINATOR),
        "fewer members than the threshold": ([signed, [0, 1], table((2, 32), [tags[:64]])], None),
        "a tag that its member did not make": ([signed, [0, 1, 2], table((3, 32), [flip(tags[:96], 0)])], None),
    }
    return [
        {
            "why": why,
            "kind": "endorsed",
            "names": names,
            **like("told/endorsed", good, pack(["secagg/endorsed/1", *one])),
        }
        for why, (one, names) in cases.items()
    ]


def bad_setup_records(done: Prepared) -> list[Json]:
    """Records that no honest coordinator wrote: in a field, in a place, the value of another place or bytes."""
    other = word("other")
    deal, own = cbor2.loads(done.without_parcels(1)), done.without_parcels(1)
    altered = pack(replaced(deal, 2, table((ROUNDS, 2, 32), [flip(deal[2][2], 0)])))
    stranger = done.say(1, ["secagg/endorse/1", other, 1, table((SITES, 32), done.tags(other, 1))])
    cases = [
        ("another advertisement", "advertisements", done.advertisements[1], done.advertisements[0]),
        ("another deal", "deals", own, done.without_parcels(0)),
        ("commitments that were not signed", "deals", own, altered),
        ("another confirmation than the outcome names", "confirms", done.confirms[1], done.confirm(1, missing=[0])),
        ("an endorsement twice", "endorses", done.endorses[1], done.endorses[0]),
        ("an endorsement of another outcome", "endorses", done.endorses[1], stranger),
    ]
    return [
        {"why": why, "field": field, "at": 1, **like(f"record/{field}/1", good, one)} for why, field, good, one in cases
    ]


# ---------------------------------------------------------------- round.json


def round_vectors(chance: Chance) -> Json:
    ground = Prepared(SITES, ROUNDS, chance)
    played, one = Round(ground, 1, [SILENT]), SITES - 1
    leaves = [played.leaf(seat) if seat in played.survivors else bytes(32) for seat in ground.seats]
    masks = {seat: played.keys(seat) for seat in played.survivors}
    return {
        "about": f"round 1 on the set-up in setup.json, in which seat {SILENT} is silent",
        "session": pack(played.session).hex(),
        "vectors": {str(seat): played.vector(seat) for seat in played.survivors},
        "mask_keys": {str(seat): {"plus": hexes(plus), "minus": hexes(minus)} for seat, (plus, minus) in masks.items()},
        "uploads": {str(seat): upload.hex() for seat, upload in played.uploads.items()},
        "receipts": {str(seat): statement(COORDINATOR, played.receipt(seat)).hex() for seat in played.survivors},
        "survivors": statement(COORDINATOR, played.told).hex(),
        "consents": {str(seat): consent.hex() for seat, consent in played.consents.items()},
        "told": {"seat": one, "consents": statement(COORDINATOR, played.consents_for(one)).hex()},
        "openings": {str(seat): opening.hex() for seat, opening in played.openings.items()},
        "recovery_key": ground.own[SILENT][1][1].hex(),
        "opened_seeds": {str(other): ground.pair_seed(SILENT, other, 1).hex() for other in played.survivors},
        "total": played.total(),
        "leaves": hexes(leaves),
        "root": levels(leaves)[-1][0].hex(),
        "exchange": pack(played.exchange()).hex(),
        "bad_messages": bad_round_messages(ground, played),
        "strays": round_strays(ground, played),
        "bad_told": bad_round_told(played, one),
        "bad_exchanges": bad_exchanges(ground, played),
    }


def bad_round_messages(ground: Prepared, played: Round) -> list[Json]:
    """What a coordinator must not take from seat 1, which it then names."""
    seat, own, other = 1, played.uploads[1], word("other")
    vector, seats = played.masked(seat), ground.seats
    due = [played.share(owner, seat, int(owner == SILENT)) for owner in seats]
    both = played.share(0, seat, 1)
    wrong = ((int.from_bytes(due[0][:4], "little") + 1) % P).to_bytes(4, "little") + due[0][4:]
    uploads = {
        "signed by another": played.upload(seat, signer=0),
        "another vector than it signed": flip(own, -1),
        "an entry too many": played.upload(seat, vector=[*vector, 0]),
        "an entry too few": played.upload(seat, vector=vector[:-1]),
        "for another seat": played.upload(seat, whose=0),
        "a digest that is not the vector's": played.upload(seat, named=other),
        "something between record and vector": flip(own, 511),
        "no record": bytes(512) + own[512:],
        "shorter than a record": own[:511],
        "another site's": played.uploads[0],
    }
    consents = {
        "to another list": played.consent(seat, agreed=other),
        "signed by another": played.consent(seat, signer=0),
    }
    openings = {
        "a share that is not the one it was given": played.opening(seat, shares=[wrong, *due[1:]]),
        "the recovery key of a survivor": played.opening(seat, shares=[both, *due[1:]]),
        "an owner twice": played.opening(seat, [0, 0, *seats[1:]], [due[0], *due]),
        "owners in another order": played.opening(seat, seats[::-1], due[::-1]),
        "a stranger's share": played.opening(seat, [*seats, 9], [*due, due[0]]),
    }
    return [
        {"seat": seat, "phase": phase, "why": why, **like(f"{phase}s/{seat}", good, one)}
        for phase, good, bad in (
            ("upload", own, uploads),
            ("consent", played.consents[seat], consents),
            ("opening", played.openings[seat], openings),
        )
        for why, one in bad.items()
    ]


def round_strays(ground: Prepared, played: Round) -> list[Json]:
    """What a coordinator has to pass over from seat 1: it names nobody, and waits for it as before."""
    seat, before = 1, Round(ground, 0, [SILENT])
    cases: list[tuple[str, str, str, bytes, bytes]] = [
        ("upload", "of another session", "uploads", played.uploads[seat], played.upload(seat, session=word("other"))),
        ("upload", "of the round before", "uploads", played.uploads[seat], before.uploads[seat]),
        ("upload", "an endorsement of the set-up", "endorses", ground.endorses[seat], ground.endorses[seat]),
        ("consent", "of the round before", "consents", played.consents[seat], before.consents[seat]),
        ("opening", "of the round before", "openings", played.openings[seat], before.openings[seat]),
        ("opening", "the upload of the round before", "uploads", played.uploads[seat], before.uploads[seat]),
    ]
    return [
        {"seat": seat, "phase": phase, "why": why, **like(f"{file}/{seat}", good, one)}
        for phase, why, file, good, one in cases
    ]


def bad_round_told(played: Round, seat: int) -> list[Json]:
    """What a member must not take from a coordinator; names: whom it then blames, None where nobody is to blame."""
    listed, agreed = played.told, played.consents_for(seat)
    tags = agreed[3][2]
    lists = {
        "of another round": replaced(listed, 1, word("other")),
        "a site twice": replaced(listed, 2, [0, 1, 1, 3]),
        "a stranger": replaced(listed, 2, [0, 1, 3, 9]),
        "fewer than the quorum": replaced(listed, 2, [0, 3]),
        "without this site": replaced(listed, 2, [0, 1, 2]),
        "no group": replaced(listed, 3, []),
        "a group that there is not": replaced(listed, 3, [1]),
    }
    consents: dict[str, tuple[list[int], int, bytes, str | None]] = {
        "a tag that its member did not make": ([0, 1, 3], 3, flip(tags, 0), None),
        "fewer members than the threshold": ([0, 3], 2, tags[:32] + tags[64:], None),
        "a member twice": ([0, 0, 1], 3, tags[:32] + tags[:64], THE_COORDINATOR),
        "a site that is no member": ([0, 1, 9], 3, tags, THE_COORDINATOR),
        "a tag too few": ([0, 1, 3], 2, tags[:64], THE_COORDINATOR),
    }
    told: list[Json] = [
        {"why": why, "kind": "survivors", "names": THE_COORDINATOR, "message": statement(COORDINATOR, one).hex()}
        for why, one in lists.items()
    ]
    for why, (seats, number, given, names) in consents.items():
        one = statement(COORDINATOR, ["secagg/consents/2", played.id, seats, table((number, 32), [given])])
        told.append({"why": why, "kind": "consents", "names": names, "message": one.hex()})
    return told


def bad_exchanges(ground: Prepared, played: Round) -> list[Json]:
    """Records of the round that no honest coordinator wrote, or that hold too little; names as above."""
    good = played.exchange()
    consents, openings, nobody = good[4], good[5], table((SITES, 32), [bytes(32 * SITES)])
    late = ground.say(SILENT, ["secagg/consent/2", played.id, SILENT, played.agreed, nobody])
    not_due = played.opening(0, shares=[played.share(owner, 0, 1) for owner in ground.seats])
    cases: list[tuple[str, int, object, str | None]] = [
        ("of another set-up", 1, replaced(played.session, 1, word("other")), THE_COORDINATOR),
        ("fewer survivors than the quorum", 2, [0, 1], THE_COORDINATOR),
        ("a survivor more than was agreed on", 2, [0, 1, 2, 3], THE_COORDINATOR),
        ("a group that there is not", 3, [1], THE_COORDINATOR),
        ("a consent twice", 4, [consents[0], *consents[:2]], THE_COORDINATOR),
        ("a consent of one that did not survive", 4, [*consents, late], THE_COORDINATOR),
        ("a consent that somebody else signed", 4, [played.consent(0, signer=1), *consents[1:]], THE_COORDINATOR),
        ("a consent too few", 4, consents[:-1], None),
        ("an opening twice", 5, [openings[0], *openings[:2]], THE_COORDINATOR),
        ("an opening of shares that are not due", 5, [not_due, *openings[1:]], THE_COORDINATOR),
        ("an opening too few", 5, openings[:-1], None),
    ]
    return [
        {"why": why, "names": names, **like("exchange", pack(good), pack(replaced(good, at, value)))}
        for why, at, value, names in cases
    ]


# ---------------------------------------------------------------- lies.json


def lies(chance: Chance) -> Json:
    told = Lies(
        committed={(1, 0, 0): word("another seed")},
        hidden={(SILENT, 1, 0): word("another hidden seed")},
        sealed={(0, 3): (word("garbage") * 6)[:176]},
    )
    done = Prepared(SITES, ROUNDS, chance, told, name="lies/")

    def case(at: int, why: str, names: str) -> Json:
        played = Round(done, at, [SILENT])
        uploads = {str(seat): upload.hex() for seat, upload in played.uploads.items()}
        return {"why": why, "names": names, "exchange": pack(played.exchange()).hex(), "uploads": uploads}

    return {
        "about": "a set-up in which sites lie where nobody can see it yet, and what comes of it",
        "record": pack(done.record).hex(),
        "rounds": [
            case(0, "a survivor's opened shares give another seed than it committed to", "seat 1"),
            case(1, "a silent site's table holds another seed than both ends confirmed", f"seat {SILENT}"),
        ],
        "told": {
            "why": "the parcel of seat 0 holds nothing usable: its dealer's doing, not the coordinator's",
            "seat": 3,
            "roster_for": done.roster_for().hex(),
            "inbox": statement(COORDINATOR, done.inbox(3)).hex(),
            "missing": [0],
        },
    }
