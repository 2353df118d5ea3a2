"""Credentials of which a holder shows only what is asked for: SD-JWT with key binding.

An issuer signs digests of salted claims; the holder passes on those disclosures that it wants to, and signs with a key
that the issuer has named, for one receiver and one occasion. Everything is a function of bytes, keys and times.

Source: RFC 9901 (SD-JWT), section 7 for verification; "SD-JWT-based Verifiable Credentials" (IETF draft) for the type
and for the claims that must not be hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, final

from caduceus.crypto.sd_jwt_claims import ALGORITHM, DIGESTS, digest, parts_of, unfold
from caduceus.crypto.sd_jwt_keys import (
    Json,
    PublicKey,
    SigningKey,
    encode,
    read_key,
    read_token,
    sign_token,
    write_json,
)
from caduceus.errors import Misuse, Refused

CREDENTIAL, BINDING = "dc+sd-jwt", "kb+jwt"
"""Types of the two tokens, as their headers say."""

PRESENTATION_MOST = 1 << 16
"""Bytes of a presentation that anybody reads."""

SKEW = 300
"""Seconds by which clocks may differ."""

SALT_BYTES = 16

OPEN_CLAIMS = frozenset(("iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "aud", "status"))
"""Claims that say whether a credential counts: never behind a digest."""

_MOST_DISCLOSED = 64


@dataclass(frozen=True, slots=True)
class Occasion:
    """For what a holder presents a credential.

    nonce     names the occasion, so that nobody else can use the presentation
    audience  names the receiver
    """

    nonce: str
    audience: str


@final
@dataclass(frozen=True, slots=True)
class Shown:
    """A presentation that was verified.

    issuer  the key that signed the credential: whether it is to be trusted, the caller knows
    holder  the key that presented it
    claims  all that the credential says to whoever got this presentation
    hidden  names of those among the top-level claims that were behind a digest
    """

    issuer: PublicKey
    holder: PublicKey
    claims: Json
    hidden: frozenset[str]


def issue(
    key: SigningKey, claims: Json, hidden: Collection[str], holder: PublicKey, *, salt: Callable[[], bytes]
) -> str:
    """A credential, with all its disclosures, for its holder alone to keep.

    claims  without `cnf`; names of `hidden` are put behind digests
    salt    fresh random bytes, `SALT_BYTES`, each time

    Raises Misuse if a hidden claim is absent or must stay open, or if a name is reserved.
    """
    if wrong := set(hidden) - set(claims) | set(hidden) & OPEN_CLAIMS | set(claims) & {DIGESTS, ALGORITHM, "cnf"}:
        raise Misuse(f"issue: '{min(wrong)}' cannot be issued, or hidden, as asked")
    disclosures = [_disclosure(salt(), name, claims[name]) for name in sorted(hidden)]
    payload: dict[str, Any] = {name: value for name, value in claims.items() if name not in hidden}
    payload |= {"cnf": {"jwk": holder.jwk}, ALGORITHM: "sha-256"}
    if disclosures:
        payload[DIGESTS] = sorted(digest(one) for one in disclosures)  # sorted: the order says nothing
    header = {"typ": CREDENTIAL, "kid": encode(key.public.thumbprint), "jwk": key.public.jwk}
    return "".join(f"{part}~" for part in (sign_token(key, header, payload), *disclosures))


def _disclosure(salt: bytes, name: str, value: object) -> str:
    if len(salt) < SALT_BYTES:
        raise Misuse(f"issue: a salt of {len(salt)} bytes; at least {SALT_BYTES} hide a claim")
    return encode(write_json([encode(salt), name, value]))


def present(credential: str, disclose: Collection[str], occasion: Occasion, holder: SigningKey, *, now: int) -> str:
    """A presentation of a credential: chosen claims, bound to an occasion by the holder's key.

    disclose  names of top-level claims among the hidden ones

    Raises Refused if the credential is malformed, is another holder's, or hides no such claim.
    """
    token, *disclosures = _split(credential)[:-1]
    payload = read_token(token, CREDENTIAL, "the credential").payload
    if _holder(payload) != holder.public:
        raise Refused("the credential is bound to another key than the one that presents it")
    names = {name: text for text in disclosures for name in _named(text)}
    if missing := sorted(set(disclose) - set(names)):
        raise Refused(f"the credential hides no claim '{missing[0]}'; it hides {', '.join(sorted(names)) or 'none'}")
    chosen = "".join(f"{part}~" for part in (token, *(names[name] for name in sorted(disclose))))
    bound = {"iat": now, "aud": occasion.audience, "nonce": occasion.nonce, "sd_hash": digest(chosen)}
    return chosen + sign_token(holder, {"typ": BINDING}, bound)


def hidden_claims(credential: str) -> tuple[str, ...]:
    """Names of the claims whose disclosures come with a credential. Raises Refused if it is malformed."""
    return tuple(sorted(name for text in _split(credential)[1:-1] for name in _named(text)))


def _named(disclosure: str) -> list[str]:
    parts = parts_of(disclosure)
    return [parts[1]] if len(parts) == 3 else []


def verify(presentation: str, occasion: Occasion, *, now: int | None) -> Shown:
    """What a presentation says, once everything about it but the trust in its issuer is checked.

    now  Unix seconds; None does not ask whether it is expired

    Raises Refused, saying what is wrong.
    """
    token, *disclosures, binding = _split(presentation)
    read = read_token(token, CREDENTIAL, "the credential")
    issuer = read_key(read.header.get("jwk"), "the issuer's key")
    read.verify(issuer, "the credential")
    claims, hidden = unfold(read.payload, disclosures)
    if hidden & OPEN_CLAIMS:
        raise Refused(f"the credential: '{min(hidden & OPEN_CLAIMS)}' must not be behind a digest")
    _check_times(claims, now)
    holder = _holder(read.payload)
    if not binding:
        raise Refused("the presentation is not bound to an occasion by its holder's key")
    bound = read_token(binding, BINDING, "the key binding")
    bound.verify(holder, "the key binding")
    _check_binding(bound.payload, presentation.removesuffix(binding), occasion, now)
    return Shown(issuer, holder, claims, hidden)


def _split(text: str) -> list[str]:
    if len(text) > PRESENTATION_MOST or not text.isascii():
        raise Refused(f"a credential of {len(text)} characters; at most {PRESENTATION_MOST}, of ASCII, are read")
    parts = text.split("~")
    if not 2 <= len(parts) <= _MOST_DISCLOSED + 2:
        raise Refused("not an SD-JWT: parts are separated, and the last disclosure is followed, by '~'")
    return parts


def _holder(payload: Json) -> PublicKey:
    confirmation = payload.get("cnf")
    return read_key(confirmation.get("jwk") if isinstance(confirmation, dict) else None, "the holder's key")


# ---------------------------------------------------------------- times and binding


def _check_times(claims: Json, now: int | None) -> None:
    for name in ("iat", "nbf", "exp"):
        if name in claims and type(claims[name]) is not int:
            raise Refused(f"the credential: {name} is no number of seconds")
    if now is None:
        return
    if "exp" in claims and now >= claims["exp"]:
        raise Refused("the credential is expired")
    if any(name in claims and now + SKEW < claims[name] for name in ("iat", "nbf")):
        raise Refused("the credential is not valid yet")


def _check_binding(bound: Json, chosen: str, occasion: Occasion, now: int | None) -> None:
    if bound.get("sd_hash") != digest(chosen):
        raise Refused("the key binding is of other disclosures")
    if bound.get("aud") != occasion.audience:
        raise Refused("the key binding is for another receiver")
    if bound.get("nonce") != occasion.nonce:
        raise Refused("the key binding is for another job or another buyer")
    if type(bound.get("iat")) is not int or (now is not None and now + SKEW < bound["iat"]):
        raise Refused("the key binding is from the future, or does not say when it was made")
