"""What a credential proves about a buyer, in the eyes of a steward that trusts its issuer.

A credential is an SD-JWT VC. Terms name issuers by the thumbprints of their keys, and what each may say; the credential
brings the key itself along. Status lists are blobs of the public store whose digests the issuers' accounts put on the
chain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from caduceus.crypto.sd_jwt import Occasion, verify
from caduceus.crypto.status_list import VALID, StatusList, reference_of
from caduceus.data.use import Issuer
from caduceus.data.use_request import CLAIMS
from caduceus.data.use_seen import Proof
from caduceus.errors import Refused
from caduceus.kinds import Address

KIND = "urn:caduceus:credential:1"
"""The type of our credentials, their claim `vct`."""

AUDIENCE = "caduceus/job"
"""For whom credentials are presented with a job: any steward."""

STATUS_URI = "urn:caduceus:status:0x"
"""Before an account in hexadecimal: the status list that it put on the chain."""

StatusOf = Callable[[Address], StatusList | None]
"""The status list that an account has put on the chain; None if it has put none there."""


def occasion_of(nonce: bytes, buyer: Address) -> Occasion:
    """For what credentials are presented with a job: its nonce and its buyer, so that no other buyer can use them.

    nonce  of the specification
    """
    return Occasion(f"{nonce.hex()}/0x{buyer.hex()}", AUDIENCE)


def prove(
    presentation: bytes, issuers: Sequence[Issuer], occasion: Occasion, *, now: int | None, status_of: StatusOf
) -> Proof:
    """What a presentation proves.

    issuers    those that the terms trust
    now        Unix seconds; None does not ask whether it is expired
    status_of  raises Refused if a list that is on the chain is not to be had or malformed

    Raises Refused, saying what is wrong, if it proves nothing.
    """
    try:
        text = presentation.decode("ascii")
    except UnicodeDecodeError:
        raise Refused("not a credential: it is not ASCII") from None
    shown = verify(text, occasion, now=now)
    issuer = next((one for one in issuers if one.thumbprint == shown.issuer.thumbprint), None)
    if issuer is None:
        raise Refused("the terms trust no issuer of that key")
    if shown.claims.get("vct") != KIND:
        raise Refused(f"it is of another type than {KIND}")
    _check_status(shown.claims, issuer, status_of)
    return Proof(issuer.name, _said(shown.claims, issuer), shown.claims.get("exp"))


def _said(claims: Mapping[str, Any], issuer: Issuer) -> tuple[tuple[str, str], ...]:
    said = []
    for claim in CLAIMS:
        values = claims.get(claim) if claim in issuer.may_say else None
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, str) and value:
                said.append((claim, value))
    return tuple(said)


def _check_status(claims: Mapping[str, Any], issuer: Issuer, status_of: StatusOf) -> None:
    """An issuer whose account the terms name can revoke, so its credentials must say where; and no other can."""
    reference = reference_of(claims)
    if not issuer.account:
        if reference is not None:
            raise Refused(f"it can be revoked, and the terms name no account of '{issuer.name}' that would say so")
        return
    if reference is None:
        raise Refused(f"it names no status list, and credentials of '{issuer.name}' have one")
    uri, index = reference
    if uri.lower() != f"{STATUS_URI}{issuer.account.hex()}":
        raise Refused(f"its status list is another than that of '{issuer.name}'")
    statuses = status_of(Address(issuer.account))
    if statuses is None:
        raise Refused(f"'{issuer.name}' has put no status list on the chain")
    if statuses.at(index) != VALID:
        raise Refused("it is revoked or suspended")
