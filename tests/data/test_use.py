"""Data use by the ontology: laws of the verdict, files, diseases, regions, days."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from pathlib import Path

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus import canon
from caduceus.data.document import read_document
from caduceus.data.duo import BARE, LABELS, ROOTS, VALUED, Modifier, Permission, duo_id
from caduceus.data.policy import TERMS_MOST, Terms, read_terms
from caduceus.data.terms.file import read_terms_file
from caduceus.data.use import MOST_DEEP, MOST_GRANTS, Grant, How, Use, UseTerms, check_use, say_use
from caduceus.data.use_day import after_months, day_of, read_day, show_day, start_of
from caduceus.data.use_disease import Diseases, excerpt, is_kind_of, read_diseases
from caduceus.data.use_file import RequestFile
from caduceus.data.use_region import SETS, check_region, lies_in
from caduceus.data.use_request import Organisation, Research, UseRequest
from caduceus.data.use_seen import Proof, Seen
from caduceus.data.use_verdict import Outcome, judge_use
from caduceus.errors import Refused
from caduceus.kinds import Address

BUYER = Address(bytes([7]) * 20)
NOW = start_of(read_day("2026-07-01"))
VALUES = {
    Modifier.RS: {"types": ("cohort study",)},
    Modifier.GS: {"regions": ("EU",)},
    Modifier.MOR: {"not_before": read_day("2027-01-01")},
    Modifier.TS: {"months": 12},
    Modifier.US: {"users": ("u-1",)},
    Modifier.IS: {"institutions": ("i-1",)},
    Modifier.PS: {"projects": ("p-1",)},
}


def grant(permission: Permission, modifiers: frozenset[Modifier]) -> Grant:
    values = {name: value for one in modifiers if one in VALUES for name, value in VALUES[one].items()}
    diseases = ("MONDO:1",) if permission is Permission.DS else ()
    return Grant(permission, tuple(sorted(modifiers)), diseases, **values)  # type: ignore[arg-type]


TODAY = Seen(now=NOW)


def judged(use: Use, request: UseRequest, seen: Seen = TODAY, **terms: object) -> Outcome:
    return judge_use(UseTerms(use, **terms), request, BUYER, seen)  # type: ignore[arg-type]


def alone(one: Grant) -> Use:
    return Use(How.ALONE, one)


permissions = st.sampled_from(Permission)
modifiers = st.frozensets(st.sampled_from(Modifier))
grants = st.builds(grant, permissions, modifiers)
uses = st.recursive(
    grants.map(alone),
    lambda parts: st.builds(
        lambda how, some: Use(how, None, tuple(some)),
        st.sampled_from([How.ANY, How.ALL]),
        st.lists(parts, min_size=1, max_size=3),
    ),
    max_leaves=5,
).filter(lambda use: _is_sound(use))
requests = st.builds(
    UseRequest,
    research=st.frozensets(st.sampled_from(Research)).map(lambda some: tuple(sorted(some))),
    disease=st.sampled_from(["MONDO:1", "MONDO:2"]),
    genetic=st.booleans(),
    types=st.sampled_from([(), ("cohort study",), ("trial",)]),
    commercial=st.sampled_from([None, False, True]),
    organisation=st.sampled_from(Organisation),
    country=st.sampled_from(["", "DE", "US"]),
    user=st.sampled_from(["", "u-1", "u-2"]),
    institution=st.sampled_from(["", "i-1"]),
    project=st.sampled_from(["", "p-1"]),
    ethics=st.sampled_from(["", "EK 1"]),
    months=st.sampled_from([0, 6, 13]),
    publish=st.booleans(),
    publish_from=st.sampled_from([0, read_day("2026-12-31"), read_day("2027-01-01")]),
    collaborate=st.booleans(),
    give_back=st.booleans(),
).map(lambda one: one if Research.DISEASE in one.research else replace(one, disease=""))
WILLING = UseRequest(
    research=(Research.HEALTH,),
    genetic=True,
    types=("cohort study",),
    commercial=False,
    organisation=Organisation.PUBLIC,
    country="DE",
    user="u-1",
    institution="i-1",
    project="p-1",
    ethics="EK 1",
    months=6,
    publish=True,
    publish_from=read_day("2027-01-01"),
    collaborate=True,
    give_back=True,
)


def _is_sound(use: Use) -> bool:
    try:
        check_use(use)
    except Refused:
        return False
    return True


# ---------------------------------------------------------------- the ontology


@pytest.mark.data
@pytest.mark.skipif("CADUCEUS_DATA" not in os.environ, reason="CADUCEUS_DATA is not set")
def test_every_term_of_the_ontology_is_there_with_its_name_and_label():
    with (Path(os.environ["CADUCEUS_DATA"]) / "duo" / "duo.csv").open(encoding="utf-8") as file:
        rows = {row["id"]: (row["shorthand"], row["label"]) for row in csv.DictReader(file)}
    ours = {duo_id(term): (term.name, LABELS[term]) for term in (*Permission, *Modifier)}
    assert ours | {duo_id(term): ("", label) for term, label in ROOTS.items()} == rows


def test_every_modifier_either_stands_alone_or_has_a_value():
    assert set(Modifier) == BARE | VALUED
    assert set(VALUES) == VALUED


# ---------------------------------------------------------------- laws


@settings(max_examples=60)
@given(permissions, modifiers, st.sampled_from(sorted(set(Modifier) - {Modifier.CC})), requests)
def test_one_more_modifier_never_allows_more(permission, some, more, request):
    fewer, added = alone(grant(permission, some)), alone(grant(permission, some | {more}))
    assert not judged(fewer, request).reasons or judged(added, request).reasons
    assert set(judged(fewer, request).reasons) <= set(judged(added, request).reasons)


@settings(max_examples=60)
@given(permissions, modifiers, requests)
def test_clinical_care_is_the_one_modifier_that_widens(permission, some, request):
    without, with_care = (alone(grant(permission, each)) for each in (some - {Modifier.CC}, some | {Modifier.CC}))
    assert judged(without, request).reasons or not judged(with_care, request).reasons


@settings(max_examples=60)
@given(st.lists(uses, min_size=1, max_size=3), requests)
def test_any_allows_what_one_allows_and_all_what_each_allows(parts, request):
    either, each = Use(How.ANY, None, tuple(parts)), Use(How.ALL, None, tuple(parts))
    if not (_is_sound(either) and _is_sound(each)):
        return
    found = [not judged(one, request).reasons for one in parts]
    assert (not judged(either, request).reasons) == any(found)
    assert (not judged(each, request).reasons) == all(found)


@settings(max_examples=60)
@given(uses, requests)
def test_a_verdict_has_reasons_or_obligations_and_survives_its_bytes(use, request):
    found = judged(use, request)
    assert not (found.reasons and found.obligations)
    assert judged(canon.unpack(Use, canon.pack(use)), canon.unpack(UseRequest, canon.pack(request))) == found
    assert say_use(use)


@given(st.sampled_from([Permission.NRES, Permission.GRU, Permission.HMB]), requests)
def test_what_a_narrower_permission_allows_a_wider_one_allows(permission, request):
    order = [Permission.DS, Permission.HMB, Permission.GRU, Permission.NRES]
    narrower = order[order.index(permission) - 1]
    if not judged(alone(grant(narrower, frozenset())), request).reasons:
        assert not judged(alone(grant(permission, frozenset())), request).reasons


@given(permissions, modifiers, requests)
def test_npuncu_is_npu_and_ncu(permission, some, request):
    rest = some - {Modifier.NPU, Modifier.NCU, Modifier.NPUNCU}
    both, one = (
        judged(alone(grant(permission, rest | added)), request)
        for added in ({Modifier.NPU, Modifier.NCU}, {Modifier.NPUNCU})
    )
    assert bool(both.reasons) == bool(one.reasons)


@given(permissions.filter(lambda one: one in (Permission.NRES, Permission.GRU, Permission.HMB)), modifiers)
def test_whoever_promises_and_states_all_is_allowed_for_health_research(permission, some):
    assert judged(alone(grant(permission, some)), WILLING).reasons == ()


@settings(max_examples=60)
@given(uses, requests, st.integers(0, 400))
def test_a_verdict_stands_until_it_says(use, request, days):
    now = judged(use, request)
    later = NOW + days * 86_400
    if now.until is None or later < now.until:
        assert (
            judged(use, request, Seen(now=later, begun=NOW)).reasons
            == judged(use, request, Seen(now=NOW, begun=NOW)).reasons
        )


def test_what_is_not_known_is_not_judged():
    one = alone(replace(grant(Permission.GRU, frozenset({Modifier.TS, Modifier.GS})), since=read_day("2020-01-01")))
    assert judged(one, WILLING, Seen(), proven=("country",)).reasons == ()
    assert len(judged(one, WILLING, Seen(now=NOW, proofs=()), proven=("country",)).reasons) == 2


def test_a_credential_that_expires_ends_the_verdict():
    proof = Proof("C", (("country", "DE"),), NOW + 5)
    found = judged(alone(grant(Permission.GRU, frozenset({Modifier.GS}))), WILLING, Seen(NOW, None, (proof,)))
    assert found.until == NOW + 5


# ---------------------------------------------------------------- expressions


@pytest.mark.parametrize(
    ("use", "why"),
    [
        (Use(How.ANY, None, ()), "either one grant, or parts"),
        (Use(How.ALONE, None, ()), "either one grant, or parts"),
        (Use(How.ALL, Grant(Permission.GRU), (alone(Grant(Permission.GRU)),)), "either one grant, or parts"),
        (Use(How.ANY, None, (alone(Grant(Permission.GRU)),) * (MOST_GRANTS + 1)), f"more than {MOST_GRANTS} grants"),
        (alone(Grant(Permission.GRU, (Modifier.GS,))), "GS and its value go together"),
        (alone(Grant(Permission.GRU, (), regions=("EU",))), "GS and its value go together"),
        (alone(Grant(Permission.DS)), "DS and its diseases go together"),
        (alone(Grant(Permission.GRU, (), ("MONDO:1",))), "DS and its diseases go together"),
        (alone(Grant(Permission.GRU, (Modifier.PUB, Modifier.RS), types=("x",))), "rising order"),
        (alone(Grant(Permission.GRU, (Modifier.PUB, Modifier.PUB))), "rising order"),
        (alone(Grant(Permission.GRU, since=5)), "TS counts months"),
    ],
)
def test_a_malformed_expression_allows_nothing(use: Use, why: str):
    with pytest.raises(Refused, match=why):
        check_use(use)
    assert why in judged(use, WILLING).reasons[0]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"country": "DEU"}, "ISO 3166"),
        ({"country": "EU"}, "ISO 3166"),
        ({"disease": "MONDO:1"}, "go together"),
        ({"research": (Research.DISEASE,)}, "go together"),
        ({"research": (Research.DISEASE,), "disease": "stroke"}, "no identifier"),
        ({"research": (Research.METHODS, Research.HEALTH)}, "rising order"),
        ({"user": "u" * 201}, "too much text"),
        ({"ethics": "EK\x1b[2J"}, "cannot be shown"),
        ({"types": ("x",) * 65}, "too much text"),
        ({"months": -1}, "not that far"),
        ({"publish_from": 10**12}, "not that far"),
        ({"presentations": (bytes(32),) * 9}, "more than 8 credentials"),
    ],
)
def test_a_request_that_no_job_file_can_say_is_refused_by_all_terms(change, why):
    assert why in judged(alone(Grant(Permission.NRES)), replace(WILLING, **change)).reasons[0]


@pytest.mark.parametrize("depth", [MOST_DEEP, 50, 150, 1_000, 20_000])
def test_terms_that_are_nested_without_end_are_refused_or_allow_nothing(depth: int):
    """Written byte by byte: no encoder makes such a thing."""
    level = b"\x84" + cbor2.dumps("data/use/1") + b"\x01\xf6"  # any of, no grant, and parts
    use = (level + b"\x81") * depth + level + b"\x80"
    whole = canon.pack(read_terms_file("", where="terms.toml"))
    assert whole.endswith(b"\xf6")
    blob = whole[:-1] + b"\x85" + cbor2.dumps("data/use-terms/1") + use + b"\xf6\x80\x80"
    try:
        found = read_terms(blob)
    except Refused:
        return
    assert found.use is not None
    assert "levels" in judge_use(found.use, WILLING, BUYER).reasons[0]


def test_terms_that_are_too_long_are_refused():
    with pytest.raises(Refused, match="at most"):
        read_terms(bytes(TERMS_MOST + 1))


def test_an_expression_that_is_too_deep_allows_nothing():
    use = alone(Grant(Permission.NRES))
    for _ in range(MOST_DEEP):
        use = Use(How.ANY, None, (use,))
    assert judged(use, WILLING).reasons == (f"{'use' + '.any[1]' * MOST_DEEP}: more than {MOST_DEEP} levels",)


# ---------------------------------------------------------------- files


def test_a_terms_file_without_use_says_nothing_of_it():
    assert read_terms_file("", where="terms.toml").use is None


def test_a_terms_file_with_use_survives_its_bytes():
    text = 'minimum_here = 20\nminimum_cohort = 200\n[use]\npermission = "HMB"\nmodifiers = ["PUB"]\nregions = ["CH"]\n'
    found = read_terms_file(text, where="terms.toml")
    assert (found.minimum_here, found.minimum_cohort) == (20, 200)
    assert found.use is not None
    assert found.use.use.grant == Grant(Permission.HMB, (Modifier.PUB, Modifier.GS), regions=("CH",))
    assert canon.unpack(Terms, canon.pack(found)) == found


ISSUER = '[[issuer]]\nname = "C"\nthumbprint = "{}"\nmay_say = ["country"]\n[use]\npermission = "GRU"\n'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[use]\n", "use: say either a 'permission'"),
        ('[use]\npermission = "GRU"\n[[use.any]]\npermission = "GRU"\n', "use: say either a 'permission'"),
        ('[use]\nmodifiers = ["PUB"]\n[[use.any]]\npermission = "GRU"\n', "or only 'any'"),
        ('[[use.any]]\nmodifiers = ["PUB"]\n', r"use\.any\[1\]: say either"),
        ('[use]\npermission = "XYZ"\n', "permission"),
        ('[use]\npermission = "GRU"\nmodifiers = ["GS"]\n', "GS and its value go together"),
        ('[use]\npermission = "DS"\n', "DS and its diseases go together"),
        ('[use]\npermission = "DS"\ndiseases = ["stroke"]\n', "no identifier of a disease"),
        ('[use]\npermission = "GRU"\nregions = ["Europe"]\n', "no ISO 3166 code"),
        ('[use]\npermission = "GRU"\nnot_before = "2027-02-30"\n', "is no date"),
        ('[use]\npermission = "GRU"\nmonth = 3\n', "unknown key 'month'"),
        ('proven = ["country"]\n', "count with a \\[use\\] table only"),
        ('proven = ["country"]\n[use]\npermission = "GRU"\n', "no issuer may say 'country'"),
        ('hierarchy = "m.csv"\n[use]\npermission = "GRU"\n', "cannot be read from here"),
        (ISSUER.format("A" * 42), "thumbprint"),
        (ISSUER.format("A" * 43).replace("country", "wealth"), "may_say"),
    ],
)
def test_a_malformed_terms_file_is_refused_with_its_place(text: str, why: str):
    with pytest.raises(Refused, match=rf"terms\.toml: .*{why}"):
        read_terms_file(text, where="terms.toml")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('research = ["disease"]\n', "use.disease"),
        ('disease = "MONDO:1"\n', "use.disease"),
        ('presentations = ["x"]\n', "use.nonce"),
        ('nonce = "00112233445566778899aabbccddeeff"\n', "use.nonce"),
        ('country = "Germany"\n', "use.country"),
        ('country = "EU"\n', "use.country"),
        ('publish_from = "soon"\n', "publish_from"),
        ('research = ["fun"]\n', "research"),
    ],
)
def test_a_malformed_request_is_refused_with_its_key(text: str, why: str):
    with pytest.raises(Refused, match=why):
        read_document(text, RequestFile, where="job.toml").request()


def test_a_request_says_what_its_file_says():
    text = """
    research = ["health", "disease"]
    disease = "MONDO:0005098"
    commercial = false
    organisation = "public"
    publish_from = 2027-01-01
    nonce = "00112233445566778899aabbccddeeff"
    presentations = ["a~b"]
    """
    found = read_document(text, RequestFile, where="job.toml").request()
    assert found.research == (Research.HEALTH, Research.DISEASE)
    assert (found.commercial, found.organisation) == (False, Organisation.PUBLIC)
    assert show_day(found.publish_from) == "2027-01-01"
    assert found.presentations == (canon.digest_bytes(b"a~b"),)
    assert read_document("", RequestFile, where="job.toml").request() == UseRequest()


# ---------------------------------------------------------------- diseases, regions, days

OBO = """format-version: 1.2

[Term]
id: MONDO:1
name: top

[Term]
id: MONDO:2
is_a: MONDO:1 ! top
is_a: MONDO:9 {source="x"} ! other

[Typedef]
id: part_of
is_a: MONDO:1
"""


def test_both_forms_of_a_hierarchy_are_read():
    pairs = (("MONDO:2", "MONDO:1"), ("MONDO:2", "MONDO:9"))
    assert read_diseases(OBO, where="m.obo") == Diseases("m.obo", pairs)
    assert read_diseases("child,parent\nMONDO:2,MONDO:9\nMONDO:2,MONDO:1\n", where="m.csv").pairs == pairs


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a,b\n", "neither OBO"),
        ("", "neither OBO"),
        ("child,parent\nMONDO:1\n", "line 2"),
        ("child,parent\nx,MONDO:1\n", "line 2"),
        ("format-version: 1\n[Term]\nid: MONDO:1\nis_a: a b\n", "line 4"),
    ],
)
def test_a_malformed_hierarchy_is_refused(text: str, why: str):
    with pytest.raises(Refused, match=rf"m\.x.*{why}"):
        read_diseases(text, where="m.x")


def test_kinds_are_followed_upwards_also_around_a_circle():
    circle = Diseases("x", (("A:1", "A:2"), ("A:2", "A:3"), ("A:3", "A:1"), ("A:4", "A:3")))
    assert is_kind_of(circle, "A:4", ["A:2"])
    assert not is_kind_of(circle, "A:1", ["A:4"])
    assert is_kind_of(None, "A:1", ["A:1"])


@given(
    st.frozensets(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), max_size=12),
    st.sampled_from("abcdef"),
)
def test_an_excerpt_judges_as_the_whole(pairs, wanted):
    whole = Diseases("x", tuple(sorted(pairs)))
    part = excerpt(whole, {wanted})
    assert [is_kind_of(whole, one, [wanted]) for one in "abcdef"] == [
        is_kind_of(part, one, [wanted]) for one in "abcdef"
    ]


def test_sets_of_countries_are_what_they_are_called():
    assert len(SETS["EU"]) == 27
    assert len(SETS["EEA"]) == 30
    assert lies_in("DE-BY", ["EU"])
    assert not lies_in("GB", ["EU", "EEA"])
    assert not lies_in("DE", ["DE-BY"])
    for wrong in ("de", "DEU", "D", "DE-", "DE-ABCD", ""):
        with pytest.raises(Refused):
            check_region(wrong)


@given(st.integers(1, 40_000))
def test_days_are_read_as_they_are_shown(day: int):
    assert read_day(show_day(day)) == day
    assert day_of(start_of(day)) == day
    assert day_of(start_of(day + 1) - 1) == day


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ("2026-01-31", 1, "2026-02-28"),
        ("2028-01-31", 1, "2028-02-29"),
        ("2026-07-01", 12, "2027-07-01"),
        ("2026-12-31", 2, "2027-02-28"),
        ("2026-01-15", 0, "2026-01-15"),
    ],
)
def test_months_end_on_the_same_day_or_the_months_last(start: str, months: int, end: str):
    assert show_day(after_months(read_day(start), months)) == end


@pytest.mark.parametrize("text", ["2026-1-1", "1969-01-01", "1970-01-01", "2026-13-01", "today", ""])
def test_what_is_no_date_is_refused(text: str):
    with pytest.raises(Refused, match="no date after 1970"):
        read_day(text)
