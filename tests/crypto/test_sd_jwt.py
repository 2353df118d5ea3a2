"""SD-JWT: the published example, a second library both ways, and presentations that must not pass."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS
from sd_jwt.common import SDObj
from sd_jwt.holder import SDJWTHolder
from sd_jwt.issuer import SDJWTIssuer
from sd_jwt.verifier import SDJWTVerifier

from caduceus.crypto.sd_jwt import (
    BINDING,
    CREDENTIAL,
    PRESENTATION_MOST,
    Occasion,
    hidden_claims,
    issue,
    present,
    verify,
)
from caduceus.crypto.sd_jwt_claims import digest, unfold
from caduceus.crypto.sd_jwt_keys import ORDER, SigningKey, decode, encode, read_key, read_token, sign_token, write_json
from caduceus.errors import Misuse, Refused

RFC = json.loads((Path(__file__).parent.parent / "vectors" / "sd_jwt_rfc9901.json").read_text())
ISSUER, HOLDER, OTHER = (SigningKey(bytes([n]) * 32) for n in (1, 2, 3))
CLAIMS = {
    "vct": "v",
    "iss": "consortium",
    "iat": 1_000,
    "exp": 2_000_000,
    "country": "DE",
    "user": "u-1",
    "deep": {"a": [1]},
}
HERE = Occasion("n-1", "caduceus/job")
NOW = 1_500


def salts() -> Any:
    numbers = itertools.count()
    return lambda: next(numbers).to_bytes(16)


def credential(**changes: object) -> str:
    return issue(ISSUER, CLAIMS | changes, ("country", "user"), HOLDER.public, salt=salts())


def presentation(disclose: tuple[str, ...] = ("country",), **changes: object) -> str:
    return present(credential(**changes), disclose, HERE, HOLDER, now=NOW)


def jwk(key: SigningKey, secret: bytes) -> JWK:
    return JWK.from_json(json.dumps(key.public.jwk | {"d": encode(secret)}))


# ---------------------------------------------------------------- against what others have made


def test_the_example_of_the_rfc_is_read_as_it_says():
    token, *disclosures, binding = RFC["presentation"].split("~")
    read = read_token(token, "example+sd-jwt", "the example")
    read.verify(read_key(RFC["issuer"], "key"), "the example")
    claims, hidden = unfold(read.payload, disclosures)
    assert claims == RFC["claims"]
    assert hidden == {"family_name", "given_name", "address"}
    bound = read_token(binding, BINDING, "the binding")
    bound.verify(read_key(claims["cnf"]["jwk"], "holder"), "the binding")
    assert bound.payload["sd_hash"] == digest(RFC["presentation"].removesuffix(binding))
    assert (bound.payload["nonce"], bound.payload["aud"]) == (RFC["nonce"], RFC["aud"])


@pytest.mark.parametrize(
    ("disclosure", "expected"),
    [  # RFC 9901, section 5.1
        (
            "WyIyR0xDNDJzS1F2ZUNmR2ZyeU5STjl3IiwgImdpdmVuX25hbWUiLCAiSm9obiJd",
            "jsu9yVulwQQlhFlM_3JlzMaSFzglhQG0DpfayQwLUK4",
        ),
        ("WyJsa2x4RjVqTVlsR1RQVW92TU5JdkNBIiwgIlVTIl0", "pFndjkZ_VCzmyTa6UjlZo3dh-ko8aIKQc9DlGzhaVYo"),
    ],
)
def test_digests_are_those_of_the_rfc(disclosure: str, expected: str):
    assert digest(disclosure) == expected


@given(st.integers(1, ORDER - 1))
def test_keys_thumbprints_and_signatures_are_what_another_library_finds(number: int):
    secret = number.to_bytes(32)
    key = SigningKey(secret)
    other = jwk(key, secret)
    assert encode(key.public.thumbprint) == other.thumbprint()
    token = sign_token(key, {"typ": "t"}, {"a": 1})
    theirs = JWS()
    theirs.deserialize(token, key=other)
    assert json.loads(theirs.payload) == {"a": 1}


def test_another_library_verifies_what_we_issue_and_present():
    text = presentation(("country", "user"))
    found = SDJWTVerifier(
        text, lambda _issuer, header: JWK.from_json(json.dumps(header["jwk"])), HERE.audience, HERE.nonce
    ).get_verified_payload()
    assert {name: found[name] for name in CLAIMS} == CLAIMS
    part = SDJWTVerifier(
        presentation(), lambda _i, header: JWK.from_json(json.dumps(header["jwk"])), HERE.audience, HERE.nonce
    )
    assert "user" not in part.get_verified_payload()


def test_we_verify_what_another_library_issues_and_presents():
    hidden = {SDObj("country"): "DE", SDObj("deep"): {"list": [SDObj("x"), "y"], SDObj("user"): "u-1"}}
    issuer = SDJWTIssuer(
        {"vct": "v", "iss": "consortium", "exp": 2_000_000, **hidden},
        jwk(ISSUER, bytes([1]) * 32),
        jwk(HOLDER, bytes([2]) * 32),
        add_decoy_claims=True,
        extra_header_parameters={"typ": CREDENTIAL, "jwk": ISSUER.public.jwk},
    )
    holder = SDJWTHolder(issuer.sd_jwt_issuance)
    holder.create_presentation(
        {"country": True, "deep": {"list": [True], "user": False}},
        HERE.nonce,
        HERE.audience,
        jwk(HOLDER, bytes([2]) * 32),
    )
    shown = verify(holder.sd_jwt_presentation, HERE, now=None)
    assert shown.claims["country"] == "DE"
    assert shown.claims["deep"] == {"list": ["x", "y"]}
    assert (shown.issuer, shown.holder) == (ISSUER.public, HOLDER.public)
    # and we can present what it issued
    again = verify(present(issuer.sd_jwt_issuance, ("country",), HERE, HOLDER, now=NOW), HERE, now=NOW)
    assert "deep" not in again.claims


# ---------------------------------------------------------------- what is shown


def test_only_what_was_chosen_is_shown():
    assert hidden_claims(credential()) == ("country", "user")
    shown = verify(presentation(), HERE, now=NOW)
    assert (shown.claims["country"], shown.hidden) == ("DE", {"country"})
    assert "user" not in shown.claims
    assert "u-1" not in presentation()
    assert verify(presentation(()), HERE, now=NOW).hidden == frozenset()


def test_a_key_is_not_printed():
    assert repr(SigningKey(bytes([7]) * 32)) == f"SigningKey({encode(SigningKey(bytes([7]) * 32).public.thumbprint)})"
    with pytest.raises(Misuse):
        SigningKey(bytes(32))
    with pytest.raises(Misuse):
        SigningKey(ORDER.to_bytes(32))


def test_an_issuer_cannot_hide_what_must_be_open_nor_what_is_absent():
    for hidden in (("exp",), ("status",), ("absent",)):
        with pytest.raises(Misuse):
            issue(ISSUER, CLAIMS, hidden, HOLDER.public, salt=salts())
    with pytest.raises(Misuse):
        issue(ISSUER, CLAIMS | {"_sd": []}, (), HOLDER.public, salt=salts())
    with pytest.raises(Misuse, match="salt of 4 bytes"):
        issue(ISSUER, CLAIMS, ("user",), HOLDER.public, salt=lambda: b"1234")


def test_only_its_holder_presents_a_credential():
    with pytest.raises(Refused, match="bound to another key"):
        present(credential(), (), HERE, OTHER, now=NOW)
    with pytest.raises(Refused, match="hides no claim 'ethics'; it hides country, user"):
        present(credential(), ("ethics",), HERE, HOLDER, now=NOW)


# ---------------------------------------------------------------- what must not pass


def resigned(payload: dict[str, Any], disclosures: tuple[str, ...] = (), header: dict[str, Any] | None = None) -> str:
    """A presentation of anything, correctly signed and bound: only what is inside is wrong."""
    head = {"typ": CREDENTIAL, "jwk": ISSUER.public.jwk} | (header or {})
    chosen = "".join(f"{part}~" for part in (sign_token(ISSUER, head, payload), *disclosures))
    bound = {"iat": NOW, "aud": HERE.audience, "nonce": HERE.nonce, "sd_hash": digest(chosen)}
    return chosen + sign_token(HOLDER, {"typ": BINDING}, bound)


def hidden(*parts: object) -> str:
    return encode(write_json(list(parts)))


OPEN = {"vct": "v", "cnf": {"jwk": HOLDER.public.jwk}}
DE, EXP, INNER = hidden("s", "country", "DE"), hidden("s", "exp", 9), hidden("s", "FR")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (resigned(OPEN | {"_sd": [digest(DE), digest(DE)]}, (DE,)), "digest stands twice"),
        (resigned(OPEN | {"_sd": [digest(DE)], "x": {"_sd": [digest(DE)]}}, (DE,)), "digest stands twice"),
        (resigned(OPEN | {"_sd": ["decoy", "decoy"]}), "digest stands twice"),
        (resigned(OPEN | {"_sd": [digest(DE)]}, (DE, DE)), "disclosure stands twice"),
        (resigned(OPEN, (DE,)), "belongs to no digest"),
        (resigned(OPEN | {"_sd": [digest(DE)], "country": "FR"}, (DE,)), "names a claim that is there"),
        (resigned(OPEN | {"_sd": [digest(EXP)]}, (EXP,)), "'exp' must not be behind a digest"),
        (resigned(OPEN | {"_sd": [digest(INNER)]}, (INNER,)), "wrong place"),
        (resigned(OPEN | {"x": [{"...": digest(DE)}]}, (DE,)), "wrong place"),
        (resigned(OPEN | {"x": [{"...": digest(INNER), "y": 1}]}, (INNER,)), "stands alone"),
        (resigned(OPEN | {"x": {"...": digest(INNER)}}, ()), "reserved name"),
        (resigned(OPEN | {"_sd": "no list"}), "no list of digests"),
        (resigned(OPEN | {"_sd": [7]}), "or is none"),
        (resigned(OPEN | {"_sd_alg": "md5"}), "SHA-256"),
        (resigned(OPEN | {"_sd": [digest(hidden("s", "_sd", []))]}, (hidden("s", "_sd", []),)), "name is reserved"),
        (resigned(OPEN | {"_sd": [digest(hidden("s"))]}, (hidden("s"),)), "not a salt"),
        (resigned(OPEN | {"exp": NOW}), "expired"),
        (resigned(OPEN | {"exp": "soon"}), "no number of seconds"),
        (resigned(OPEN | {"exp": True}), "no number of seconds"),
        (resigned(OPEN | {"nbf": NOW + 301}), "not valid yet"),
        (resigned({"vct": "v"}), "holder's key"),
        (resigned(OPEN | {"cnf": {"jwk": HOLDER.public.jwk | {"d": "AA"}}}), "holder's key"),
        (resigned(OPEN | {"cnf": {"jwk": HOLDER.public.jwk | {"y": HOLDER.public.jwk["x"]}}}), "not a point"),
        (resigned(OPEN, (), {"jwk": OTHER.public.jwk}), "not signed by that key"),
        (resigned(OPEN, (), {"jwk": None}), "issuer's key"),
        (resigned(OPEN, (), {"typ": "JWT"}), "its type is 'JWT'"),
        (resigned(OPEN, (), {"alg": "none"}), "its algorithm is 'none'"),
        (resigned(OPEN, (), {"alg": "HS256"}), "its algorithm is 'HS256'"),
        (resigned(OPEN, (), {"crit": ["x"]}), "extensions"),
        (resigned(OPEN | {"x": json.loads("[" * 20 + "]" * 20)}), "levels"),
        (presentation() + "x" * PRESENTATION_MOST, "at most 65536"),
        (presentation() + "é", "of ASCII"),
        ("~" * 200, "not an SD-JWT"),
        ("a.b.c", "not an SD-JWT"),
        ("", "not an SD-JWT"),
        (credential(), "not bound to an occasion"),
    ],
)
def test_what_is_hostile_is_refused(text: str, why: str):
    with pytest.raises(Refused, match=why):
        verify(text, HERE, now=NOW)


def test_alg_none_without_a_signature_is_refused():
    token, *rest = presentation().split("~")
    payload = token.split(".")[1]
    unsigned = f"{encode(write_json({'alg': 'none', 'typ': CREDENTIAL, 'jwk': ISSUER.public.jwk}))}.{payload}."
    with pytest.raises(Refused, match="algorithm is 'none'"):
        verify("~".join((unsigned, *rest)), HERE, now=NOW)


def test_a_name_that_stands_twice_is_refused_although_it_is_signed():
    header = encode(write_json({"alg": "ES256", "typ": CREDENTIAL, "jwk": ISSUER.public.jwk}))
    twice = b'{"vct":"a","vct":"b"}'
    body = f"{header}.{encode(twice)}"
    text = f"{body}.{encode(ISSUER.sign(body.encode()))}~x.y.z"
    with pytest.raises(Refused, match="ambiguous"):
        verify(text, HERE, now=NOW)


def test_a_presentation_is_for_one_occasion():
    for other, why in (
        (Occasion("n-2", HERE.audience), "another job"),
        (Occasion(HERE.nonce, "x"), "another receiver"),
    ):
        with pytest.raises(Refused, match=why):
            verify(presentation(), other, now=NOW)


def test_disclosures_cannot_be_added_or_taken_away_after_the_holder_signed():
    token, one, binding = presentation().split("~")
    two = credential().split("~")[2]
    for parts in ((token, binding), (token, one, two, binding)):
        with pytest.raises(Refused, match="of other disclosures"):
            verify("~".join(parts), HERE, now=NOW)


def test_a_binding_by_another_key_is_refused():
    chosen = presentation().rsplit("~", 1)[0] + "~"
    bound = {"iat": NOW, "aud": HERE.audience, "nonce": HERE.nonce, "sd_hash": digest(chosen)}
    with pytest.raises(Refused, match="key binding: not signed by that key"):
        verify(chosen + sign_token(OTHER, {"typ": BINDING}, bound), HERE, now=NOW)
    with pytest.raises(Refused, match="from the future"):
        verify(chosen + sign_token(HOLDER, {"typ": BINDING}, bound | {"iat": NOW + 301}), HERE, now=NOW)


def test_what_expires_is_refused_from_that_second_on():
    text = presentation(exp=1_600)
    verify(text, HERE, now=1_599)
    verify(text, HERE, now=None)
    with pytest.raises(Refused, match="expired"):
        verify(text, HERE, now=1_600)


@given(st.data())
def test_a_changed_character_never_passes(data: st.DataObject):
    text = presentation()
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("Aa0-_.~").filter(lambda one: one != text[place]))
    with pytest.raises(Refused):
        verify(text[:place] + other + text[place + 1 :], HERE, now=NOW)


@pytest.mark.parametrize("text", ["AA==", "A", "AB", "A A", "A+", "é"])
def test_base64url_has_one_form(text: str):
    with pytest.raises(Refused):
        decode(text, "it")
