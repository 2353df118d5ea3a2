"""Cards as catalogues read them: Croissant by mlcroissant, HealthDCAT-AP by rdflib and pySHACL."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from caduceus.data.card import describe
from caduceus.data.card_codes import code_iri
from caduceus.data.card_counts import Wanted
from caduceus.data.card_offer import Holder, Offer, Place
from caduceus.data.croissant import croissant
from caduceus.data.duo import Modifier, Permission
from caduceus.data.health_dcat import health_dcat
from caduceus.data.policy import Terms
from caduceus.data.schema import Column, Schema
from caduceus.data.table import Table
from caduceus.data.use import Grant, How, Use, UseTerms
from caduceus.errors import Refused
from caduceus.kinds import MICRO, Address, Digest, Readiness, Visibility

SCHEMA = Schema(
    "diabetes",
    (
        Column(
            "hba1c", "number", "feature", "%", "glycated haemoglobin", 3.0, 20.0, (), False, None, ("LOINC:4548-4",)
        ),
        Column("visits", "integer", "feature", "", "", 0.0, 40.0, (), False, None),
        Column("smoker", "category", "feature", "", "", None, None, ("never", "former", "now"), False, None),
        Column(
            "dead", "boolean", "target", "", "died in a year", 0.0, 1.0, (), False, None, ("SNOMED:419099009", "X:1")
        ),
    ),
)
TERMS = Terms(
    buyers=None,
    purposes=("research", "screening"),
    most_open=Visibility.SUM,
    aggregators=None,
    min_other_sites=2,
    price_floor=0,
    budget_micro=3 * MICRO,
    delta_pico=10**8,
    missing_percent=20,
    exact_sums=False,
    withheld=("visits",),
    use=UseTerms(Use(How.ALONE, Grant(Permission.HMB, (Modifier.IRB,)))),
)
PLACE = Place(31337, Address(bytes([1]) * 20), Digest(bytes([2]) * 32), Address(bytes([3]) * 20))
HOLDER = Holder(
    "Ash Hospital",
    "mailto:data@ash.example",
    "Health Data Access Body",
    "https://hdab.example/apply",
    "https://w3id.org/dpv/legal/eu/gdpr#A9-2-j",
)


def offer(place: Place | None = PLACE, holder: Holder | None = HOLDER) -> Offer:
    rng = np.random.default_rng(1)
    values = np.array(
        [rng.uniform(4, 12, 300), rng.integers(0, 9, 300), rng.integers(0, 3, 300), rng.integers(0, 2, 300)]
    )
    card = describe(
        Table(SCHEMA, values.astype(float)),
        title="Diabetes at Ash",
        description="Outpatients since 2015",
        licence="https://creativecommons.org/licenses/by/4.0/",
        citation="Ash 2024",
        commitment=Digest(bytes([4]) * 32),
        wanted=Wanted(MICRO, bytes(32)),
    )
    return Offer(card, TERMS, Readiness.READY, place, holder)


# ---------------------------------------------------------------- Croissant


@pytest.fixture
def read_croissant(tmp_path: Path):
    mlcroissant = pytest.importorskip("mlcroissant")

    def read(text: str):
        path = tmp_path / "card.json"
        path.write_text(text)
        return mlcroissant.Dataset(str(path))

    return read


def test_mlcroissant_reads_a_card_without_errors_or_warnings(read_croissant):
    read = read_croissant(croissant(offer()))
    issues = read.metadata.ctx.issues
    assert not issues.errors
    assert [one for one in issues.warnings if "datePublished" not in one] == []
    assert read.metadata.name == "Diabetes at Ash"
    (held,) = read.metadata.distribution
    assert "no file to download" in held.description
    assert not getattr(held, "content_url", None)
    assert str(read.metadata.ctx.conforms_to.value) == "http://mlcommons.org/croissant/1.1"


def test_mlcroissant_finds_every_column_with_its_type_and_levels(read_croissant):
    read = read_croissant(croissant(offer()))
    records = {one.id: one for one in read.metadata.record_sets}
    fields = {one.name: one for one in records["records"].fields}
    assert list(fields) == ["hba1c", "visits", "smoker", "dead"]
    assert [fields[name].data_type for name in ("hba1c", "visits", "dead")] == [float, int, bool]
    assert "LOINC:4548-4" in fields["hba1c"].description
    levels = [row["levels/smoker/name"] for row in read.records("levels/smoker")]
    assert levels == ["never", "former", "now"]


def test_mlcroissant_finds_what_responsible_use_asks_for(read_croissant):
    read = read_croissant(croissant(offer())).metadata
    assert any("no file to download" in one for one in read.personal_sensitive_information)
    assert any("research, screening" in one for one in read.data_use_cases)
    assert any("nothing needs attention" in one for one in read.data_limitations)
    assert any("epsilon 1 at delta 1e-06" in one for one in read.data_limitations)


def test_mlcroissant_refuses_a_card_whose_column_comes_from_nowhere(read_croissant):
    said = json.loads(croissant(offer()))
    said["recordSet"][-1]["field"][0]["source"]["fileSet"]["@id"] = "nowhere"
    with pytest.raises(Exception, match="nowhere"):
        read_croissant(json.dumps(said))


def test_a_card_that_is_not_registered_is_named_by_its_digest():
    one = offer(place=None)
    assert json.loads(croissant(one))["@id"].startswith("ni:///sha-256;")
    assert json.loads(croissant(offer()))["@id"] == f"did:pkh:eip155:31337:0x{'01' * 20}#0x{'02' * 32}"


# ---------------------------------------------------------------- HealthDCAT-AP


def graph(text: str):
    rdflib = pytest.importorskip("rdflib")
    return rdflib.Graph().parse(data=text, format="json-ld")


def conforms(text: str) -> tuple[bool, str]:
    pyshacl = pytest.importorskip("pyshacl")
    shapes = Path(__file__).with_name("health_dcat_shapes.ttl")
    found, _, said = pyshacl.validate(graph(text), shacl_graph=str(shapes), shacl_graph_format="turtle")
    return found, said


@pytest.mark.parametrize("place", [PLACE, None])
def test_a_card_has_all_that_health_dcat_demands(place: Place | None):
    found, said = conforms(health_dcat(offer(place)))
    assert found, said


@pytest.mark.parametrize(
    "key",
    [
        *("dct:title", "dct:identifier", "dct:accessRights", "dcatap:applicableLegislation", "dct:type", "dcat:theme"),
        *("dcat:keyword", "dcat:contactPoint", "dct:publisher", "healthdcatap:hdab", "healthdcatap:healthCategory"),
        *("dct:provenance", "dcat:distribution"),
    ],
)
def test_the_shapes_miss_what_is_taken_away(key: str):
    said = json.loads(health_dcat(offer()))
    del said[key]
    assert not conforms(json.dumps(said))[0]


def test_the_graph_says_that_access_is_by_computation_only():
    found = graph(health_dcat(offer()))
    rows = list(
        found.query(
            """PREFIX dcat: <http://www.w3.org/ns/dcat#> PREFIX dct: <http://purl.org/dc/terms/>
            PREFIX dpv: <https://w3id.org/dpv#>
            SELECT ?access ?text ?service ?basis
            WHERE { ?d a dcat:Dataset; dcat:distribution ?x; dpv:hasLegalBasis ?basis.
            ?x dcat:accessURL ?access; dct:description ?text; dcat:accessService/dcat:endpointURL ?service }"""
        )
    )
    ((access, text, service, basis),) = rows
    assert str(access) == str(service) == f"did:pkh:eip155:31337:0x{'01' * 20}"
    assert "no file to download" in str(text)
    assert str(basis) == HOLDER.legal_basis
    assert not list(found.query("SELECT ?x WHERE { ?x <http://www.w3.org/ns/dcat#downloadURL> ?y }"))


def test_both_say_the_use_in_terms_of_the_data_use_ontology():
    named = [f"http://purl.obolibrary.org/obo/DUO_{term:07}" for term in (6, 21)]
    assert json.loads(croissant(offer()))["usageInfo"] == named
    query = "SELECT ?r WHERE { ?d a <http://www.w3.org/ns/dcat#Distribution>; <http://purl.org/dc/terms/rights> ?r }"
    found = {str(row[0]) for row in graph(health_dcat(offer())).query(query)}
    assert set(named) <= found


def test_purposes_are_terms_of_the_privacy_vocabulary_where_it_has_them():
    found = graph(health_dcat(offer()))
    query = "SELECT ?p WHERE { ?d <https://w3id.org/dpv#hasPurpose> ?p FILTER isIRI(?p) }"
    assert [str(row[0]) for row in found.query(query)] == ["https://w3id.org/dpv#ResearchAndDevelopment"]
    labels = "SELECT ?l WHERE { ?d <https://w3id.org/dpv#hasPurpose>/<http://www.w3.org/2000/01/rdf-schema#label> ?l }"
    assert [str(row[0]) for row in found.query(labels)] == ["screening"]


def test_without_a_publisher_or_an_access_body_nothing_is_made_up():
    with pytest.raises(Refused, match="name the publisher, the contact, the access body, the access body's contact"):
        health_dcat(offer(holder=None))
    with pytest.raises(Refused, match=r"name the access body, the access body's contact$"):
        health_dcat(offer(holder=Holder("Ash", "mailto:a@b.example")))
    with pytest.raises(Refused, match="is no address to write to"):
        health_dcat(offer(holder=dataclasses.replace(HOLDER, contact="ask us")))


def test_codes_have_the_names_that_the_web_has_for_them():
    assert code_iri("LOINC:4548-4") == "http://loinc.org/rdf/4548-4"
    assert code_iri("SNOMED:419099009") == "http://snomed.info/id/419099009"
    assert code_iri("ICD10:E11 .9") == "http://id.who.int/icd/release/10/2019/E11%20.9"
    assert code_iri("house:1") is None
