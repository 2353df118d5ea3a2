"""The cases of single steps: sizes, draws, keys, shares, parcels, digests, masks."""

from __future__ import annotations

import math

from secagg_again import (
    FULL,
    KINDS,
    RANDOM,
    RING,
    Chance,
    Kem,
    P,
    chances,
    commitment,
    consent_digest,
    derive,
    digest,
    draw_committee,
    draw_graph,
    draw_groups,
    expand,
    leaf,
    levels,
    masked,
    pads,
    pair_check,
    parcel,
    partitions,
    plan,
    share,
    share_digest,
    signed_digest,
    slices,
    survivors_digest,
    tag,
    tagged,
    threshold_for,
)
from secagg_common import Json, hexes, word


def finite(value: float) -> float | None:
    """JSON has no infinity; what cannot happen is null."""
    return None if value == -math.inf else round(value, 6)


# ---------------------------------------------------------------- plan.json


def assume(corrupt: int, dropout: int, *, adaptive: bool, security: int = 40, correctness: int = 20) -> dict:
    return {
        "corrupt_permille": corrupt,
        "dropout_permille": dropout,
        "security_bits": security,
        "correctness_bits": correctness,
        "adaptive": adaptive,
    }


def usual(sites: int) -> dict:
    """What is assumed if nobody says otherwise."""
    if sites > 512:
        return assume(100, 100, adaptive=True)
    spare = sites - threshold_for(sites)
    return assume(333, -(-1000 * spare // sites), adaptive=True)


def plan_case(sites: int, assumptions: dict) -> Json:
    found = plan(sites, assumptions)
    reached = chances(sites, found["degree"], found["committee"], found["family"], assumptions)
    log2 = {what: finite(value) for what, value in reached.items()}
    return {"sites": sites, "assumptions": assumptions, "plan": found, "log2": log2}


def plans(_: Chance) -> Json:
    good = [plan_case(sites, usual(sites)) for sites in (3, 4, 10, 49, 128, 129, 466, 512, 513, 1000, 10_000)]
    good += [plan_case(sites, assume(100, 50, adaptive=False)) for sites in (466, 1000, 10_000)]
    good += [plan_case(sites, assume(100, 50, adaptive=True)) for sites in (466, 1000)]
    bad = [
        {"why": "two sites", "sites": 2, "assumptions": usual(3)},
        {"why": "more than a third corrupt", "sites": 100, "assumptions": assume(340, 0, adaptive=True)},
        {"why": "more silent than can be spared", "sites": 100, "assumptions": assume(100, 340, adaptive=True)},
        {
            "why": "no committee both keeps and opens",
            "sites": 600,
            "assumptions": assume(300, 340, adaptive=True),
        },
    ]
    return {
        "about": "from what is assumed to sizes; log2 of the chances, null where it cannot happen",
        "good": good,
        "bad": bad,
    }


# ---------------------------------------------------------------- draws.json


def graph_digest(rows: dict[int, list[int]]) -> str:
    """SHA-256 over every seat's number of neighbours and their seats, 4 bytes each, big-endian."""
    return digest(*(one.to_bytes(4) for seat in sorted(rows) for one in (len(rows[seat]), *rows[seat]))).hex()


def roles_case(seats: list[int], degree: int, committee: int, family: int) -> Json:
    """Who has to do with whom where not everybody has with everybody."""
    beacon = word("beacon of roles")
    members = draw_committee(beacon, seats, committee)
    rows = draw_graph(beacon, seats, degree, family)
    receivers = {seat: sorted({*members, *(one for one in rows[seat] if one > seat)}) for seat in seats}

    def dealer(low: int, high: int) -> int | None:
        return low if high in receivers[low] else high if low in receivers[high] else None

    return {
        "beacon": beacon.hex(),
        "seats": seats,
        "plan": {
            "sites": len(seats),
            "degree": degree,
            "committee": committee,
            "threshold": threshold_for(committee),
            "family": family,
        },
        "committee": members,
        "neighbours": [rows[seat] for seat in seats],
        "receivers": [receivers[seat] for seat in seats],
        "dealers": [[one for one in seats if one != seat and seat in receivers[one]] for seat in seats],
        "peers": [
            [one for one in seats if one != seat and (seat in members or one in members or one in rows[seat])]
            for seat in seats
        ],
        "dealer_of_pairs": [[low, high, dealer(low, high)] for low in seats for high in seats if low < high],
    }


def draws(_: Chance) -> Json:
    first, odd = word("first beacon"), [3 * at + 7 for at in range(20)]
    many = list(range(1000))
    committees = [
        {"beacon": first.hex(), "seats": seats, "size": size, "committee": draw_committee(first, seats, size)}
        for seats, size in ((odd, 1), (odd, 7), (odd, 20), (many, 102))
    ]
    graphs = []
    for seats, degree, family in ((odd, 4, RING), (odd, 18, RING), (odd, 6, RANDOM), (odd, 19, FULL)):
        rows = draw_graph(first, seats, degree, family)
        graphs.append(
            {
                "beacon": first.hex(),
                "seats": seats,
                "degree": degree,
                "family": family,
                "rows": [rows[seat] for seat in seats],
            }
        )
    for degree, family in ((36, RING), (138, RANDOM)):
        rows = draw_graph(first, many, degree, family)
        graphs.append(
            {"beacon": first.hex(), "seats": many, "degree": degree, "family": family, "digest": graph_digest(rows)}
        )
    groups = [
        {
            "beacon": first.hex(),
            "number": number,
            "seats": odd,
            "size": size,
            "groups": draw_groups(first, number, odd, size),
        }
        for number, size in ((0, 3), (1, 3), (2**32 - 1, 7), (5, 20))
    ]
    apart = [
        {
            "beacon": first.hex(),
            "sites": sites,
            "cohort": cohort,
            "draws": partitions(first, list(range(sites)), cohort, number),
        }
        for sites, cohort, number in ((6, 3, 3), (12, 3, 24), (25, 4, 6))
    ]
    roles = [roles_case(odd, 4, 5, RING), roles_case(odd, 6, 3, RANDOM)]
    return {
        "about": "from a beacon to committee, mask graph and groups; families 0 full, 1 ring, 2 random",
        "committees": committees,
        "graphs": graphs,
        "groups": groups,
        "partitions": apart,
        "roles": roles,
    }


# ---------------------------------------------------------------- keys.json


def keys_case(rounds: int, receivers: list[int], name: str) -> Json:
    root, setup, roster = (word(f"{what} of {name}") for what in ("root", "set-up", "roster"))
    context = tagged("secagg/setup", setup, roster)
    kem_seed = derive(root, "secagg/kem", setup)
    own = [slices(derive(root, f"secagg/{kind}", context), rounds) for kind in KINDS]
    pair_root, pairs = derive(root, "secagg/pairs", context), []
    checks = [word(f"check {at}") for at in range(9)]
    for receiver in receivers:
        given = expand(pair_root, "secagg/pair-secret/1", receiver.to_bytes(4))
        pairs.append(
            {
                "receiver": receiver,
                "secret": given.hex(),
                "seeds": hexes(slices(expand(given, "secagg/mask/2"), rounds)),
                "tag_key": expand(given, "secagg/tag/1").hex(),
            }
        )
    return {
        "root": root.hex(),
        "setup": setup.hex(),
        "roster": roster.hex(),
        "rounds": rounds,
        "context": context.hex(),
        "kem_seed": kem_seed.hex(),
        "kem_public": Kem(kem_seed).public.hex(),
        "self_seeds": hexes(own[0]),
        "recovery_keys": hexes(own[1]),
        "pair_root": pair_root.hex(),
        "pairs": pairs,
        "pads": [
            {"recovery_key": key.hex(), "checks": hexes(those), "pads": hexes(pads(key, those))}
            for key, those in zip(own[1], (checks[:1], checks[:5], [bytes(32), *checks]), strict=False)
        ],
    }


def keys(_: Chance) -> Json:
    key, about = word("tag key"), word("about")
    tags = [
        {
            "key": key.hex(),
            "about": about.hex(),
            "sender": one,
            "recipient": other,
            "tag": tag(key, about, one, other).hex(),
        }
        for one, other in ((0, 1), (1, 0), (2**32 - 1, 7))
    ]
    bad = [
        {"why": "the other way round", **tags[0], "tag": tags[1]["tag"]},
        {"why": "about something else", **tags[0], "about": word("another about").hex()},
        {"why": "under another key", **tags[0], "key": word("another key").hex()},
        {"why": "a bit is another", **tags[0], "tag": (tag(key, about, 0, 1)[:-1] + b"\0").hex()},
        {"why": "cut short", **tags[0], "tag": tag(key, about, 0, 1)[:16].hex()},
        {"why": "zeros, which stand where there is no common secret", **tags[0], "tag": "00" * 32},
    ]
    good = [keys_case(1, [0], "one"), keys_case(3, [1, 2, 2**32 - 1], "three")]
    return {
        "about": "everything secret of a site from its root; tags among sites",
        "good": good,
        "tags": tags,
        "bad_tags": bad,
    }


# ---------------------------------------------------------------- shares.json


def shares(_: Chance) -> Json:
    good = []
    for name, threshold, holders, number in (("three", 3, 4, 4), ("one", 1, 3, 1), ("edges", 5, 7, 2)):
        root, context = word(f"root of {name}"), tagged("secagg/setup", word("a"), word("b"))
        secrets = [word(f"secret {at} of {name}") for at in range(number)]
        if name == "edges":
            secrets = [bytes(32), b"\xff" * 32]
        dealt = share(secrets, threshold, holders, root, context)
        good.append(
            {
                "root": root.hex(),
                "context": context.hex(),
                "threshold": threshold,
                "holders": holders,
                "secrets": hexes(secrets),
                "shares": [hexes(row) for row in dealt],
            }
        )
    one = bytes.fromhex(good[0]["shares"][0][0])
    bad = [
        {"why": "a word that is the prime", "share": (P.to_bytes(4, "little") + one[4:]).hex()},
        {"why": "a word with the top bit", "share": (one[:-4] + (2**31).to_bytes(4, "little")).hex()},
        {"why": "a byte too few", "share": one[:-1].hex()},
    ]
    return {
        "about": "secrets shared with coefficients from a root; 36 bytes a share, holder i at the point i + 1",
        "good": good,
        "bad": bad,
    }


# ---------------------------------------------------------------- parcel.json


def parcels(chance: Chance) -> Json:
    seed, context = word("seed of the receiver"), tagged("secagg/setup", word("c"), word("d"))
    owner, dealer, receiver = Kem(seed), 5, 9
    ciphertext, shared = chance.encapsulate("parcel/good", owner)

    def contents(rounds: int) -> tuple[bytes, list[bytes]]:
        secrets = [word(f"secret {at} in a parcel") for at in range(2 * rounds)]
        dealt = share(secrets, 3, 4, word("root of the dealer"), context) if rounds else []
        return word("secret of the pair"), [row[2] for row in dealt]

    def case(name: str, rounds: int) -> Json:
        given, dealt = contents(rounds)
        digests = [share_digest(dealer, receiver, KINDS[at % 2], one) for at, one in enumerate(dealt)]
        ciphertext, shared = chance.encapsulate(name, owner)
        return {
            "receiver_seed": seed.hex(),
            "receiver_public": owner.public.hex(),
            "context": context.hex(),
            "dealer": dealer,
            "receiver": receiver,
            "secret": given.hex(),
            "shares": b"".join(dealt).hex(),
            "digests": b"".join(digests).hex(),
            "parcel": parcel(ciphertext, shared, context, dealer, receiver, given + b"".join(dealt)).hex(),
        }

    good = [case("parcel/member", 2), case("parcel/neighbour", 0)]
    whole = bytes.fromhex(str(good[0]["parcel"]))
    given, dealt = contents(2)

    def sealed(what: bytes) -> str:
        return parcel(ciphertext, shared, context, dealer, receiver, what).hex()

    def flipped(at: int) -> str:
        return (whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]).hex()

    def broken(why: str, **change: object) -> Json:
        return {
            "why": why,
            **{name: good[0][name] for name in ("receiver_seed", "context", "dealer", "receiver", "digests", "parcel")},
            **change,
        }

    no_residue = P.to_bytes(4, "little") + dealt[0][4:]
    its_digests = [
        share_digest(dealer, receiver, KINDS[at % 2], one) for at, one in enumerate([no_residue, *dealt[1:]])
    ]
    bad = [
        broken("a bit of the ML-KEM ciphertext is another", parcel=flipped(0)),
        broken("a bit of the X25519 share is another", parcel=flipped(1088)),
        broken("a bit of what is sealed is another", parcel=flipped(1120)),
        broken("a bit of the authentication tag is another", parcel=flipped(len(whole) - 1)),
        broken("the X25519 share is of small order", parcel=(whole[:1088] + bytes(32) + whole[1120:]).hex()),
        broken("cut short", parcel=whole[:-1].hex()),
        broken("nothing but an encapsulation", parcel=whole[:1120].hex()),
        broken("empty", parcel=""),
        broken("from another dealer", dealer=dealer + 1),
        broken("for another seat", receiver=receiver + 1),
        broken("of another roster", context=tagged("secagg/setup", word("c"), word("e")).hex()),
        broken("sealed to another key", receiver_seed=word("another seed").hex()),
        broken("other shares than were committed to", digests=word("x").hex() * 4),
        broken("shares where none are due", digests=""),
        broken("a share too few", parcel=sealed(given + b"".join(dealt[:-1]))),
        broken("no shares where some are due", parcel=sealed(given)),
        broken("a secret that is too short", parcel=sealed(given[:-1])),
        broken(
            "a share that is none, committed to",
            parcel=sealed(given + no_residue + b"".join(dealt[1:])),
            digests=b"".join(its_digests).hex(),
        ),
    ]
    return {
        "about": "what a site seals to another, and what the other finds in it; a bad one holds nothing usable",
        "good": good,
        "bad": bad,
    }


# ---------------------------------------------------------------- commitments.json


def commitments(_: Chance) -> Json:
    one, other, dealt = word("one"), word("other"), share([word("one")], 2, 2, word("r"), b"")[0][0]
    sealed = [word(f"parcel {at}") for at in range(3)]
    digests = [[], [word("digest 0"), word("digest 1")], [word("digest 2"), word("digest 3")]]
    leaves = [leaf(a + b"".join(b)) for a, b in zip(sealed, digests, strict=True)]
    lists: list[tuple[list[int], list[list[int]]]] = [
        ([0, 1, 3], [[0, 1, 3]]),
        ([0, 1, 3, 4, 5, 9], [[0, 4, 9], [1, 3, 5]]),
        ([0, 1, 3, 4, 5, 9], [[1, 3, 5]]),
        ([2**32 - 1], [[2**32 - 1]]),
    ]
    return {
        "about": "digests that bind: SHA-256 over a tag with lengths, then what is said",
        "commitments": [
            {"kind": kind, "secret": one.hex(), "commitment": commitment(kind, one).hex()} for kind in KINDS
        ],
        "share_digests": [
            {
                "owner": owner,
                "holder": holder,
                "kind": kind,
                "share": dealt.hex(),
                "digest": share_digest(owner, holder, kind, dealt).hex(),
            }
            for owner, holder, kind in ((0, 1, "self"), (1, 0, "self"), (0, 1, "recovery"), (2**32 - 1, 0, "self"))
        ],
        "pair_checks": [
            {"low": low, "high": high, "seed": seed.hex(), "check": pair_check(low, high, seed).hex()}
            for low, high, seed in ((0, 1, one), (0, 2, one), (0, 1, other))
        ],
        "deal_trees": [
            {
                "sealed": hexes(sealed),
                "digests": [hexes(row) for row in digests],
                "leaves": hexes(leaves),
                "root": levels(leaves)[-1][0].hex(),
            }
        ],
        "signed_digests": [
            {"messages": hexes(messages), "digest": signed_digest(messages).hex()}
            for messages in ([], [b"one"], [b"one", b"two"], [b"two", b"one"], [b"onetwo"])
        ],
        "survivors_digests": [
            {"seats": seats, "groups": groups, "digest": survivors_digest(seats, groups).hex()}
            for seats, groups in lists
        ],
        "consent_digests": [
            {"session": one.hex(), "survivors": other.hex(), "digest": consent_digest(one, other).hex()}
        ],
    }


# ---------------------------------------------------------------- masks.json


def masks(_: Chance) -> Json:
    good = []
    for bits, length, added, taken in ((64, 5, 1, 0), (64, 5, 3, 2), (32, 7, 2, 3), (32, 1, 0, 1), (64, 3, 0, 0)):
        plus = [word(f"added {at}") for at in range(added)]
        minus = [word(f"taken {at}") for at in range(taken)]
        start = [(2**bits - 2 + at) % 2**bits for at in range(length)]
        good.append(
            {
                "bits": bits,
                "start": start,
                "plus": hexes(plus),
                "minus": hexes(minus),
                "masked": masked(start, bits, plus, minus),
            }
        )
    bad = [
        {"why": "a key of 31 bytes", "plus": ["00" * 31], "minus": []},
        {"why": "a key of 33 bytes among those taken", "plus": ["00" * 32], "minus": ["00" * 33]},
    ]
    return {"about": "AES-256-CTR keystreams from counter zero, added and taken in Z_2^bits", "good": good, "bad": bad}
