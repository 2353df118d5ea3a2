"""From a path to a signed report, and no value of a record in anything that is written or said."""

import json
import stat
from pathlib import Path
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from caduceus.cli.app import app
from caduceus.crypto.sign import Signer
from caduceus.edges import keyring
from caduceus.errors import Refused
from caduceus.kinds import Readiness
from caduceus.report.readiness import readiness_page
from caduceus.wiring.readiness import Asked, check_readiness, verify_file, write_files

NOW = 1_788_500_000
CANARY = "Zyxwcanary"
SIGNER = Signer(bytes([9] * 32))


def canaries(count: int) -> list[str]:
    """Texts that stand nowhere else, in the forms of identifiers, words and numbers."""
    forms = (
        "{0}{1}",
        "{0}{1}@{0}.example.org",
        "https://{0}.example.org/u/{1}",
        "{1} {0} Street",
        "Mary {0}",
        "{0}-{1}",
        "She told me that {0} number {1} had called her about the results yesterday evening",
    )
    return [forms[i % len(forms)].format(CANARY, i) for i in range(count)]


NUMBER = 918273645


def planted_table(folder: Path) -> Path:
    path = folder / "ward.csv"
    rows = [f'"{one}",{NUMBER + 7 * i},91827{i:03d}-1,{one.split()[0]}' for i, one in enumerate(canaries(70))]
    path.write_text("\n".join(["note,mrn,age,other", *rows]) + "\n")
    return path


def planted_fhir(folder: Path) -> Path:
    lines = []
    for i, one in enumerate(canaries(70)):
        lines.append(
            json.dumps(
                {
                    "resourceType": "Patient",
                    "id": f"{CANARY}{i}",
                    "meta": {"source": one, "tag": [{"display": one}]},
                    "text": {"div": one},
                    "name": [{"family": one, "given": [one]}],
                    "telecom": [{"value": one}],
                    "identifier": [{"system": one, "value": one}],
                    "birthDate": f"1918-0{1 + i % 9}-27",
                    "address": [{"line": [one], "city": one}],
                    "contact": [{"name": {"text": one}}],
                    "photo": [{"data": one}],
                    "extension": [{"url": one, "valueString": one}],
                    "generalPractitioner": [{"display": one, "reference": f"Practitioner?identifier={one}"}],
                    "contained": [{"resourceType": "Basic", "id": one}],
                    "multipleBirthInteger": NUMBER,
                }
            )
        )
    (folder / "Patient.ndjson").write_text("\n".join(lines))
    return folder


def planted_omop(folder: Path) -> Path:
    texts = canaries(70)
    pq.write_table(
        pa.table({"person_id": list(range(70)), "person_source_value": texts, "year_of_birth": [1918] * 70}),
        folder / "person.parquet",
    )
    pq.write_table(
        pa.table({"person_id": list(range(70)), "note_text": texts, "note_title": texts}), folder / "note.parquet"
    )
    return folder


PLANTED = {"table": planted_table, "fhir": planted_fhir, "omop": planted_omop}


def without_values(said: str) -> None:
    assert CANARY.lower() not in said.lower()
    for hidden in (str(NUMBER), "91827", "1918-0"):
        assert hidden not in said


@pytest.mark.parametrize("kind", PLANTED)
def test_no_value_is_in_any_file_or_on_the_screen(kind: str, tmp_path: Path):
    data = tmp_path / "data"
    data.mkdir()
    path = PLANTED[kind](data)
    ran = CliRunner().invoke(app, ["readiness", str(path), "--out", str(tmp_path / "out")], env={"COLUMNS": "200"})
    assert ran.exit_code == 2
    assert "BLOCKED" in ran.output
    without_values(ran.output)
    files = sorted(one.name for one in (tmp_path / "out").iterdir())
    assert files == ["private-salt", "report.cbor", "report.html", "report.json"]
    for name in ("report.html", "report.json", "report.cbor"):
        without_values((tmp_path / "out" / name).read_bytes().decode("utf-8", "replace"))
    assert json.loads((tmp_path / "out" / "report.json").read_text())["findings"]


def test_no_count_below_eleven_is_told(tmp_path: Path):
    path = tmp_path / "few.csv"
    path.write_text(
        "v,w\n" + "\n".join([*(f"999-{10 + i}-1234,1" for i in range(7)), *("none,2" for _ in range(300))]) + "\n"
    )
    found = check_readiness(Asked(path), now=NOW).signed.report.findings
    (ssn,) = (one for one in found if one.rule == "identifier.ssn")
    assert (ssn.count, ssn.of) == (None, 307)
    assert all(one.count is None or one.count >= 11 or one.count == 0 for one in found)


def clean(folder: Path) -> Path:
    path = folder / "clean.csv"
    path.write_text(
        "age,sex,glucose\n" + "\n".join(f"{40 + i % 30},{'mf'[i % 2]},{80 + i % 50}.5" for i in range(300)) + "\n"
    )
    return path


def test_a_report_is_written_signed_verified_and_bound_to_its_data(tmp_path: Path):
    path = clean(tmp_path)
    checked = check_readiness(Asked(path, title="Ash"), now=NOW, signer=SIGNER)
    write_files(checked, tmp_path / "out")
    file, salt = tmp_path / "out" / "report.cbor", tmp_path / "out" / "private-salt"
    assert stat.S_IMODE(salt.stat().st_mode) == 0o600
    found = verify_file(file, data=Asked(path), salt=salt)
    assert (found.signer, found.same_code, found.same_data) == (SIGNER.address, True, True)
    path.write_text(path.read_text() + "50,m,1.5\n")
    assert verify_file(file, data=Asked(path), salt=salt).same_data is False
    file.write_bytes(file.read_bytes()[:-1] + b"\x00")
    with pytest.raises(Refused, match=r"report\.cbor"):
        verify_file(file)


def test_nothing_about_identity_is_said_of_a_clean_table(tmp_path: Path):
    report = check_readiness(Asked(clean(tmp_path)), now=NOW).signed.report
    assert not [
        one for one in report.findings if one.rule.split(".")[0] in ("identifier", "text", "dates", "ages", "places")
    ]
    assert report.readiness is not Readiness.BLOCKED


def test_the_command_signs_with_a_sites_keys_and_verify_names_the_signer(tmp_path: Path):
    ring = keyring.load_or_make(tmp_path / "keys")
    address = f"0x{Signer(ring.signer).address.hex()}"
    run = CliRunner()
    done = run.invoke(
        app, ["readiness", str(clean(tmp_path)), "--out", str(tmp_path / "out"), "--keys", str(tmp_path / "keys")]
    )
    assert done.exit_code == 0, done.output
    file = str(tmp_path / "out" / "report.cbor")
    told = run.invoke(app, ["readiness", "verify", file, "--signer", address], env={"COLUMNS": "200"})
    assert told.exit_code == 0, told.output
    assert address in told.output
    assert run.invoke(app, ["readiness", "verify", file, "--signer", "0x" + "00" * 20]).exit_code == 2
    assert ring.signer.hex() not in done.output + (tmp_path / "out" / "report.json").read_text()


def test_an_unsigned_report_does_not_verify(tmp_path: Path):
    run = CliRunner()
    assert run.invoke(app, ["readiness", str(clean(tmp_path)), "--out", str(tmp_path / "out")]).exit_code == 0
    told = run.invoke(app, ["readiness", "verify", str(tmp_path / "out" / "report.cbor")])
    assert told.exit_code == 2
    assert "nobody has signed" in told.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.csv"], "no such file"),
        (["breast"], "no such file"),
        (["breast", "--site", "Nowhere"], "no site"),
        (["{clean}", "--site", "Ash"], "not a federation"),
        (["{clean}", "--commitment", "12"], "32 bytes"),
        (["{clean}", "--keys", "nokeys"], "no such keys"),
        (["{clean}", "--declare", "nothing.toml"], "no such file"),
        (["{clean}", "--checks", "nothing"], "no such folder"),
        (["verify", "nothing.cbor"], "no such file"),
        (["verify", "{clean}"], "not a readiness report"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(arguments: list[str], said: str, tmp_path: Path):
    path = str(clean(tmp_path))
    ran = CliRunner().invoke(app, ["readiness", *(one.replace("{clean}", path) for one in arguments)])
    assert ran.exit_code == 2
    assert said in ran.output


def test_objections_and_a_declaration_beside_the_data_are_read(tmp_path: Path):
    path = clean(tmp_path)
    (tmp_path / "readiness.toml").write_text(
        '[opt_out]\nrule = "list"\nlist = "objections.txt"\n[legal_basis]\narticle_6 = "6.1.e"\n'
    )
    (tmp_path / "objections.txt").write_text(f"{CANARY}\n")
    report = check_readiness(Asked(path), now=NOW).signed.report
    assert json.loads(report.declared)["legal_basis"] == {"article_6": "6.1.e"}
    without_values(report.declared + " ".join(one.says for one in report.findings))


def test_the_page_is_one_well_formed_file_that_loads_nothing(tmp_path: Path):
    (tmp_path / "data").mkdir()
    report = check_readiness(Asked(planted_table(tmp_path / "data"), title='<script>x</script>&"'), now=NOW).signed
    page = readiness_page(report)
    root = ElementTree.fromstring(page.split("\n", 1)[1])
    assert "<script>x" not in page
    assert not [
        one for one in root.iter() if {"src", "href"} & set(one.attrib) and not one.get("href", "#").startswith("#")
    ]
    anchors = {one.get("id") for one in root.iter() if one.get("id")}
    assert {one.get("href", "")[1:] for one in root.iter("a")} <= anchors
    assert "Not to be lent like this" in page


# ---------------------------------------------------------------- real data


@pytest.mark.data
def test_every_kind_of_place_that_holds_identity_in_a_real_export_is_found(clinical_data: Path):
    report = check_readiness(
        Asked(clinical_data / "smart_bulk_fhir_10" / "Patient.000.ndjson.gz"), now=NOW
    ).signed.report
    blocked = {one.where for one in report.findings if one.severity == 3}
    for end in (
        "name.family",
        "name.given",
        "telecom.value",
        "identifier.value",
        "address.line",
        "address.city",
        "birthDate",
        "text.div",
        "address.extension(geolocation).extension(latitude).valueDecimal",
        "extension(patient-mothersMaidenName).valueString",
        "extension(patient-birthPlace).valueAddress.city",
        "id",
    ):
        assert f"Patient.{end}" in blocked, end
    coded = {"Patient.gender", "Patient.maritalStatus.coding.code", "Patient.communication.language.coding.code"}
    assert not coded & {
        one.where for one in report.findings if one.rule.startswith(("identifier", "fhir", "text", "dates", "places"))
    }


@pytest.mark.data
def test_planted_spans_as_columns_are_all_found_and_notes_block_as_free_text(clinical_data: Path, tmp_path: Path):
    spans: dict[str, list[str]] = {}
    for line in (clinical_data / "phi_planted_notes" / "notes.jsonl").read_text().splitlines():
        for one in json.loads(line)["spans"]:
            spans.setdefault(one["label"], []).append(one["text"])
    assert len(spans) == 19
    missed = []
    for i, (label, texts) in enumerate(spans.items()):
        path = tmp_path / f"c{i}.csv"
        path.write_text("v\n" + "\n".join(f'"{one}"' for one in texts) + "\n")
        found = check_readiness(Asked(path), now=NOW).signed.report.findings
        level = 2 if label == "HOSPITAL" else 3
        hits = [
            one
            for one in found
            if one.where == f"c{i}.v"
            and one.severity >= level
            and one.rule.split(".")[0] in ("identifier", "dates", "ages", "places")
        ]
        missed += [] if hits else [label]
    assert missed == []
    notes = clinical_data / "phi_planted_notes" / "fhir_DocumentReference.ndjson.gz"
    report = check_readiness(Asked(notes), now=NOW).signed.report
    assert report.readiness is Readiness.BLOCKED
    (text,) = (one for one in report.findings if one.rule == "text.free")
    assert text.where == "DocumentReference.content.attachment.data"
    assert any(one.rule == "text.free" and one.state == "unscanned" for one in report.results)


@pytest.mark.data
def test_four_real_hospitals_with_their_schema_are_not_blocked(clinical_data: Path):
    from caduceus.edges.federation import example

    report = check_readiness(Asked(example("heart"), "Cleveland", data_root=clinical_data), now=NOW).signed.report
    assert report.readiness is Readiness.CONDITIONAL
    assert not [
        one for one in report.findings if one.rule.split(".")[0] in ("identifier", "text", "dates", "ages", "places")
    ]
