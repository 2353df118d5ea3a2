"""What a credential proves: by whom, within what its issuer may say, and as long as it is not revoked."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from caduceus.crypto import sd_jwt
from caduceus.crypto.sd_jwt_keys import SigningKey
from caduceus.crypto.status_list import INVALID, StatusList, all_valid
from caduceus.data.credential import KIND, STATUS_URI, occasion_of, prove
from caduceus.data.use import Issuer
from caduceus.data.use_seen import Proof
from caduceus.errors import Refused, Unavailable
from caduceus.kinds import Address

KEY, OTHER, HOLDER = (SigningKey(bytes([n]) * 32) for n in (1, 2, 3))
ACCOUNT = Address(bytes([9]) * 20)
BUYER = Address(bytes([7]) * 20)
OCCASION = occasion_of(bytes(16), BUYER)
SILENT = Issuer("Consortium", KEY.public.thumbprint, b"", ("country", "user"))
REVOKING = replace(SILENT, account=ACCOUNT)
STATUS = {"status": {"status_list": {"idx": 3, "uri": STATUS_URI + ACCOUNT.hex()}}}


def shown(key: SigningKey = KEY, *, vct: str = KIND, show: tuple[str, ...] = ("country",), **claims: object) -> bytes:
    numbers = itertools.count()
    says = {"country": "DE", "user": "u-1", "ethics": "EK 7"}
    made = sd_jwt.issue(
        key, {"vct": vct, **says, **claims}, tuple(says), HOLDER.public, salt=lambda: next(numbers).to_bytes(16)
    )
    return sd_jwt.present(made, show, OCCASION, HOLDER, now=5).encode()


def proved(blob: bytes, issuer: Issuer = SILENT, statuses: StatusList | None = None) -> Proof:
    return prove(blob, (issuer,), OCCASION, now=5, status_of=lambda _account: statuses)


def test_a_proof_has_what_was_shown_and_what_its_issuer_may_say():
    assert proved(shown(exp=9)) == Proof("Consortium", (("country", "DE"),), 9)
    assert proved(shown(show=("country", "user", "ethics"))).says == (("user", "u-1"), ("country", "DE"))
    assert proved(shown(show=())).says == ()


def test_several_values_of_a_claim_are_each_proved_and_others_than_text_are_not():
    assert proved(shown(country=["DE", "FR", 7, ""])).says == (("country", "DE"), ("country", "FR"))
    assert proved(shown(country={"a": 1})).says == ()


@pytest.mark.parametrize(
    ("blob", "why"),
    [
        (shown(OTHER), "trust no issuer of that key"),
        (shown(vct="urn:x"), "of another type"),
        (shown(**STATUS), "the terms name no account"),
    ],
)
def test_what_is_not_to_be_believed_proves_nothing(blob: bytes, why: str):
    with pytest.raises(Refused, match=why):
        proved(blob)


def test_an_issuer_that_can_revoke_is_believed_with_its_newest_list_only():
    fine = all_valid(8)
    assert proved(shown(**STATUS), REVOKING, fine).says == (("country", "DE"),)
    other = {"status": {"status_list": {"idx": 3, "uri": STATUS_URI + bytes(20).hex()}}}
    for blob, statuses, why in (
        (shown(**STATUS), fine.with_status(3, INVALID), "revoked"),
        (shown(**STATUS), None, "no status list on the chain"),
        (shown(), fine, "names no status list"),
        (shown(**other), fine, "another than that"),
    ):
        with pytest.raises(Refused, match=why):
            proved(blob, REVOKING, statuses)


def test_a_chain_that_does_not_answer_is_no_reason_to_refuse():
    def away(_account: Address) -> StatusList | None:
        raise Unavailable("no node")

    with pytest.raises(Unavailable):
        prove(shown(**STATUS), (REVOKING,), OCCASION, now=5, status_of=away)


def test_an_occasion_is_of_one_job_and_one_buyer():
    assert (
        len({occasion_of(bytes(16), BUYER), occasion_of(bytes(15) + b"x", BUYER), occasion_of(bytes(16), ACCOUNT)}) == 3
    )
