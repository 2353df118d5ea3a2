"""The cases of `messages.json`: the one encoding of every record, and encodings that are none."""

from __future__ import annotations

import cbor2
from secagg_again import Chance, array, pack, table
from secagg_common import Json, word
from secagg_play import party


def shown(value: object) -> object:
    """A field as JSON: bytes as {"hex"}, an array as {"array", "shape", "hex"}, a record as {"record", "fields"}."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if (
        isinstance(value, list)
        and value
        and isinstance(value[0], str)
        and isinstance(value[-1], bytes)
        and len(value) == 3
        and value[0][0] in "<|"
    ):
        return {"array": value[0], "shape": value[1], "hex": value[2].hex()}
    if isinstance(value, list) and value and isinstance(value[0], str) and "/" in value[0]:
        return {"record": value[0], "fields": [shown(item) for item in value[1:]]}
    return [shown(item) for item in value] if isinstance(value, list) else value


def small_records() -> list[list]:
    """One of every record, small."""
    a, b, c = word("a"), word("b"), word("c")
    sizes = ["secagg/plan/1", 3, 2, 3, 3, 0]
    setup = ["secagg/setup/1", "a suite", a, b, bytes(20), [party(0), party(5)], sizes, 3, 0, c, "a cipher", 0, 64, 0]
    roster = ["secagg/roster/2", a, [0, 5], table((2, 32), [b, c])]
    delivery = ["secagg/delivery/1", 5, b"header", table((1, 2, 32), [a, b]), b"parcel", table((2, 32), [b, c])]
    fault = ["secagg/fault/2", 5, "secagg/upload/2", "sent nothing of sense", b"evidence"]
    ready = ["secagg/ready/1", a, b, [0, 5], c, a]
    session = ["secagg/session/2", a, 7, b, 1000, 32]
    return [
        ["signed/1", b"body", "eip712-secp256k1", b"signature"],
        ["secagg/assumptions/1", 100, 50, 40, 20, True],
        sizes,
        party(0),
        setup,
        ["secagg/advertise/2", a, 5, b"verifier", b"key"],
        roster,
        ["secagg/roster-for/1", b"roster", [b"one", b"two"]],
        ["secagg/header/2", a, b, 5, c, a],
        [
            "secagg/deal/1",
            b"header",
            table((1, 2, 32), [a, b]),
            table((1, 1, 2, 32), [b, c]),
            table((1, 32), [c]),
            [b"", b"parcel"],
        ],
        ["secagg/deal/1", b"header", table((1, 2, 32), [a, b]), table((1, 1, 2, 32), [b, c]), table((1, 32), [c]), []],
        delivery,
        ["secagg/inbox/2", a, b, [delivery]],
        ["secagg/confirm/1", a, b, 5, [0, 4], table((1, 1, 2, 32), [b, c])],
        ready,
        ["secagg/endorse/1", a, 5, table((2, 32), [b, c])],
        ["secagg/endorsed/1", b"ready", [0, 5], table((2, 32), [b, c])],
        [
            "secagg/setup-record/1",
            setup,
            roster,
            [b"one", b"two"],
            [b"deal"],
            [],
            ready,
            [b"endorse"],
            [fault],
            [b"three"],
        ],
        session,
        ["secagg/upload/2", a, 5, b],
        ["secagg/receipt/1", a, 5, b, b"signature"],
        ["secagg/survivors/2", a, [0, 5], [0]],
        ["secagg/consent/2", a, 5, b, table((2, 32), [b, c])],
        ["secagg/consents/2", a, [0, 5], table((2, 32), [b, c])],
        ["secagg/opening/2", a, 5, [0, 5], array("<u4", (2, 9), bytes(range(72)))],
        ["secagg/exchange/2", session, [0, 5], [0], [b"consent"], [b"opening"], [fault]],
        fault,
    ]


def messages(_: Chance) -> Json:
    good = [
        {"record": record[0], "fields": [shown(field) for field in record[1:]], "bytes": pack(record).hex()}
        for record in small_records()
    ]
    a, b = word("a"), word("b")
    survivors = ["secagg/survivors/2", a, [0, 5], [0]]
    consents = ["secagg/consents/2", a, [0, 5], table((2, 32), [a, b])]
    plain = pack(survivors)
    head = plain[: plain.index(a) - 2]

    def raw(record: list) -> bytes:
        return cbor2.dumps(record)

    def with_table(*one: object) -> bytes:
        return raw([*consents[:3], [*one]])

    broken: list[tuple[str, str, bytes]] = [
        ("secagg/survivors/2", "nothing", b""),
        ("secagg/survivors/2", "cut short", plain[:-1]),
        ("secagg/survivors/2", "a byte behind the end", plain + b"\0"),
        ("secagg/survivors/2", "another record's tag", pack(["secagg/survivors/1", *survivors[1:]])),
        ("secagg/survivors/2", "a field too few", pack(survivors[:-1])),
        ("secagg/survivors/2", "a field too many", pack([*survivors, 0])),
        ("secagg/survivors/2", "no list", pack({"seats": [0, 5]})),  # type: ignore[arg-type]
        ("secagg/survivors/2", "text where bytes are due", pack(["secagg/survivors/2", "a" * 32, [0, 5], [0]])),
        ("secagg/survivors/2", "a number where a list is due", pack(["secagg/survivors/2", a, 5, [0]])),
        ("secagg/survivors/2", "true where a number is due", pack(["secagg/survivors/2", a, [True], [0]])),
        ("secagg/survivors/2", "a fraction where a number is due", raw(["secagg/survivors/2", a, [0.0, 5.0], [0]])),
        ("secagg/survivors/2", "nothing where a number is due", raw(["secagg/survivors/2", a, [None], [0]])),
        ("secagg/survivors/2", "a number in more bytes than it needs", plain[:-1] + b"\x18\0"),
        (
            "secagg/survivors/2",
            "a length in more bytes than it needs",
            head + b"\x59\0\x20" + a + plain[len(head) + 34 :],
        ),
        ("secagg/survivors/2", "a list without a length", plain[:-2] + b"\x9f\0\xff"),
        (
            "secagg/survivors/2",
            "bytes without a length",
            head + b"\x5f\x58\x20" + a + b"\xff" + plain[len(head) + 34 :],
        ),
        ("secagg/survivors/2", "a large number as bytes", plain[:-1] + b"\xc2\x41\0"),
        ("secagg/survivors/2", "a reference", plain[:-2] + b"\xd8\x1d\0"),
        ("secagg/consents/2", "a table that is longer than its shape", with_table("|u1", [2, 31], a + b)),
        ("secagg/consents/2", "a table that is shorter than its shape", with_table("|u1", [3, 32], a + b)),
        ("secagg/consents/2", "a table with a negative side", with_table("|u1", [-2, -32], a + b)),
        ("secagg/consents/2", "a table whose shape overflows", with_table("|u1", [2**63, 2**63], b"")),
        ("secagg/consents/2", "a table with an endless side of none", with_table("|u1", [0, 2**62], b"")),
        ("secagg/consents/2", "a table of a type there is not", with_table("|i1", [2, 32], a + b)),
        ("secagg/consents/2", "a table of big-endian words", with_table(">u4", [16], a + b)),
        ("secagg/consents/2", "a table of objects", with_table("|O", [8], a + b)),
        ("secagg/consents/2", "a table without a shape", with_table("|u1", a + b)),
        ("secagg/plan/1", "a family that there is not", pack(["secagg/plan/1", 3, 2, 3, 3, 3])),
        ("secagg/plan/1", "a family by its name", pack(["secagg/plan/1", 3, 2, 3, 3, "FULL"])),
        ("secagg/inbox/2", "another record inside", pack(["secagg/inbox/2", a, b, [survivors]])),
    ]
    bad = [{"record": record, "why": why, "bytes": data.hex()} for record, why, data in broken]
    return {"about": "one canonical encoding for every record, and encodings that are none", "good": good, "bad": bad}
