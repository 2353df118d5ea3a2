"""What is behind a model, from the chain and the transcript of a real private run; and every damage to them named."""

from __future__ import annotations

import dataclasses
import json
import random
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import prov.model
import pytest
import rdflib
import small_job
from rocrate.rocrate import ROCrate
from typer.testing import CliRunner

from caduceus import canon
from caduceus.cli.app import app
from caduceus.edges.store import FolderStore
from caduceus.edges.workspace import Workspace
from caduceus.errors import Refused
from caduceus.kinds import Digest
from caduceus.protocol.provenance import JobSeen, Offered, in_ranges, trace
from caduceus.protocol.provenance_words import say_terms, summary
from caduceus.wiring import provenance_forms as forms
from caduceus.wiring.play import play
from caduceus.wiring.provenance import Provenance, provenance_of, see_job
from caduceus.wiring.recall import look_at

ROUNDS = 5
"""Noisy moments, three steps, and the evaluation."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, small_job.Onlooker]:
    """A private job that four sites with a budget played to its end."""
    folder = tmp_path_factory.mktemp("provenance")
    order = small_job.write(
        folder / "asked", small_job.FOUR, job=small_job.PRIVATE, rows_each=100, terms=small_job.BUDGET
    )
    onlooker = small_job.Onlooker()
    play(Workspace(folder / "run"), order, onlooker)
    return Workspace(folder / "run"), onlooker


@pytest.fixture(scope="module")
def run(finished: tuple[Workspace, small_job.Onlooker]) -> Workspace:
    return finished[0]


@pytest.fixture(scope="module")
def found(run: Workspace) -> Provenance:
    return ask(run, str(model(run)))


@pytest.fixture
def copy(run: Workspace, tmp_path: Path) -> Workspace:
    """A copy to damage."""
    for part in ("transcript", "chain", "models", "orders"):
        shutil.copytree(run.root / part, tmp_path / "run" / part)
    return Workspace(tmp_path / "run")


@pytest.fixture(scope="module")
def seen(run: Workspace, found: Provenance) -> Iterator[JobSeen]:
    with look_at(run, None) as network:
        yield see_job(network.chain, found.lineages[0].entry.id)


def model(run: Workspace) -> Path:
    return run.models / "small.json"


def ask(run: Workspace, wanted: str, *, whole: bool = True) -> Provenance:
    return provenance_of(wanted, run.root / "transcript", chain=run.chain, url=None, whole=whole)


def refusal(run: Workspace, wanted: str) -> str:
    with pytest.raises(Refused) as caught:
        ask(run, wanted)
    return str(caught.value)


def told(found: Provenance) -> list[object]:
    """What an answer says, as plain values."""
    return [summary(one, chain_id=1, contract=found.deployment.jobs) for one in found.lineages]


# ---------------------------------------------------------------- the answer


def test_a_model_is_traced_to_every_data_set_and_round_as_they_were_played(finished, found):
    run, onlooker = finished
    (one,) = found.lineages
    assert [step.record for step in one.steps] == onlooker.rounds
    assert len(one.steps) == ROUNDS
    for use in one.uses:
        assert use.rounds == tuple(record.round for record in onlooker.rounds if use.seat in record.survivors)
    assert sorted(use.card.title for use in one.sources) == [f"Three small sites: {name}" for name in small_job.FOUR]
    with look_at(run, None) as network:
        assert [use.dataset for use in one.uses] == list(network.chain.datasets())
    assert {use.version for use in one.uses} == {1}


def test_the_epsilon_is_what_the_contract_charged(found):
    (one,) = found.lineages
    assert one.spec.privacy is not None
    assert {use.epsilon_micro for use in one.uses} == {one.spec.privacy.epsilon_micro}
    assert {use.dataset.epsilon_spent_micro for use in one.uses} == {one.spec.privacy.epsilon_micro}


def test_a_file_its_digest_its_state_and_the_states_bytes_are_the_same_question(run, found):
    (one,) = found.lineages
    state = run.blobs / one.state.hex()[:2] / one.state.hex()
    for wanted in (canon.digest_bytes(model(run).read_bytes()).hex(), f"0x{one.state.hex()}", str(state)):
        assert told(ask(run, wanted, whole=False)) == told(found)


def test_an_earlier_state_has_only_the_rounds_before_it(run, found):
    (one,) = found.lineages
    (earlier,) = ask(run, one.steps[1].record.after.hex()).lineages
    assert [step.record.round for step in earlier.steps] == [0, 1]
    assert all(use.rounds == (0, 1) for use in earlier.uses)


def test_what_no_job_gave_is_refused(run):
    assert "no job of this chain gave this model" in refusal(run, "ab" * 32)
    assert "no such file, and no digest" in refusal(run, "nowhere.json")


def test_a_model_file_that_was_altered_is_refused_and_one_that_was_only_laid_out_anew_is_not(run, tmp_path):
    tree = json.loads(model(run).read_text())
    other = tmp_path / "model.json"
    other.write_text(json.dumps(tree))
    assert len(ask(run, str(other)).lineages) == 1
    tree["layers"][0]["weights"][0][0] += 1e-9
    other.write_text(json.dumps(tree))
    assert "'layers' is not what the anchored state gives" in refusal(run, str(other))
    other.write_text(json.dumps(tree | {"state": "zz"}))
    assert "'state' is not 64 hexadecimal digits" in refusal(run, str(other))
    other.write_text("[]")
    assert "not a model file of this program" in refusal(run, str(other))


# ---------------------------------------------------------------- damage


def flip(path: Path, chance: random.Random) -> bytes:
    """Flip one bit of a file; returns what it held."""
    whole = path.read_bytes()
    place = chance.randrange(len(whole))
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << chance.randrange(8)]) + whole[place + 1 :])
    return whole


def test_a_flipped_bit_in_any_blob_is_named_with_the_blob_and_what_it_is_for(copy, found):
    chance, named = random.Random(7), set()
    blobs = [path for path in sorted(copy.blobs.rglob("*")) if path.is_file()]
    for path in blobs:
        whole = flip(path, chance)
        said = refusal(copy, found.lineages[0].state.hex())
        assert path.name in said
        what = re.search(r"it is the ([a-z-]+(?: before| after)?)(?: of)? ?(seat|round|data set|job)?", said)
        assert what, said
        named.add(what[1])
        path.write_bytes(whole)
    assert {"record", "upload", "set-up", "exchange", "card", "terms", "specification"} <= named
    assert {"model before", "model after"} & named
    assert told(ask(copy, found.lineages[0].state.hex())) == told(found)


def test_the_quick_answer_rests_on_whole_blobs_too_and_names_the_round(copy, found):
    (one,) = found.lineages
    path = copy.blobs / one.steps[2].digest.hex()[:2] / one.steps[2].digest.hex()
    flip(path, random.Random(1))
    with pytest.raises(Refused, match=rf"{path.name}.*it is the record of round 2 of job 0x{one.entry.id.hex()}"):
        ask(copy, one.state.hex(), whole=False)


def test_a_missing_blob_is_named_with_what_it_is_for(copy, found):
    (one,) = found.lineages
    card = one.uses[1].dataset.card
    (copy.blobs / card.hex()[:2] / card.hex()).unlink()
    assert f"blob {card.hex()} is missing; it is the card of data set 0x" in refusal(copy, one.state.hex())


@pytest.mark.parametrize("whole", [True, False])
def test_a_flipped_bit_in_the_chain_or_the_small_files_is_named(whole, copy, found):
    chance = random.Random(3)
    transcript = copy.root / "transcript"
    small = [transcript / "deployment", transcript / "jobs" / "small", copy.chain.with_name("chain.sqlite.seal")]
    for path in [copy.chain] * 8 + small * 3:
        kept = flip(path, chance)
        with pytest.raises(Refused) as caught:
            ask(copy, found.lineages[0].state.hex(), whole=whole)
        assert path.name in str(caught.value)
        path.write_bytes(kept)


# ---------------------------------------------------------------- what does not follow


def test_a_lineage_that_does_not_follow_from_the_chain_is_refused(run, seen):
    fetch, last = FolderStore(run.blobs).get, len(seen.anchors) - 1
    trace(seen, last, fetch)
    swapped = (seen.anchors[1], seen.anchors[0], *seen.anchors[2:])
    with pytest.raises(Refused, match="do not lead to the head"):
        trace(replace(seen, anchors=swapped), last, fetch)
    with pytest.raises(Refused, match="do not lead to the head"):
        trace(replace(seen, anchors=seen.anchors[:-1]), last - 1, fetch)
    other = replace(seen.enrolments[0], dataset=seen.enrolments[1].dataset)
    with pytest.raises(Refused, match=r"seat 0: data set .* is not the one"):
        trace(replace(seen, enrolments=(other, *seen.enrolments[1:])), last, fetch)
    cards = replace(seen.offered[0].versions[0], card=seen.offered[1].versions[0].card)
    crossed = (Offered((cards,), ()), *seen.offered[1:])
    with pytest.raises(Refused, match="name different commitments"):
        trace(replace(seen, offered=crossed), last, fetch)


def test_a_version_counts_those_that_it_replaced_and_a_stranger_among_them_is_refused(run, seen):
    fetch, last = FolderStore(run.blobs).get, len(seen.anchors) - 1
    old = replace(seen.offered[0].versions[0], id=Digest(b"\1" * 32), commitment=Digest(b"\2" * 32))

    newer = replace(seen.offered[0].versions[0], previous=old.id)
    versions = replace(seen, offered=(Offered((newer, old), ()), *seen.offered[1:]))
    assert trace(versions, last, fetch).uses[0].version == 2
    stranger = replace(old, id=Digest(b"\3" * 32))
    with pytest.raises(Refused, match="does not replace"):
        trace(replace(seen, offered=(Offered((newer, stranger), ()), *seen.offered[1:])), last, fetch)


@pytest.mark.parametrize(
    ("rounds", "shown"), [((), ""), ((3,), "3"), ((0, 1, 2), "0-2"), ((0, 2, 3, 4, 9), "0, 2-4, 9")]
)
def test_rounds_are_shown_in_ranges(rounds, shown):
    assert in_ranges(rounds) == shown


# ---------------------------------------------------------------- forms


def test_the_json_form_names_every_digest_behind_the_model(found):
    (one,) = found.lineages
    (told,) = json.loads(forms.as_json(found))["lineages"]
    assert told["model"] == {"state": one.state.hex(), "round": ROUNDS - 1, "sums": ROUNDS}
    assert told["environment"]["code"] == one.spec.code.hex()
    for use, said in zip(one.sources, told["datasets"], strict=True):
        assert (said["dataset"], said["version"]) == (f"0x{use.dataset.id.hex()}", 1)
        assert (said["card"], said["terms"]) == (use.dataset.card.hex(), use.dataset.terms.hex())
        assert (said["rounds"], said["epsilon_charged"]) == ("0-4", "2")
        assert "all jobs together spend at most epsilon 3 and delta 1e-05" in said["obliges"]
    assert [one["record"] for one in told["rounds"]] == [step.digest.hex() for step in one.steps]


def test_terms_that_this_version_has_no_words_for_are_shown_all_the_same(found):
    terms = found.lineages[0].uses[0].terms
    known = {field.name: getattr(terms, field.name) for field in dataclasses.fields(terms)}
    wider = dataclasses.make_dataclass("Wider", [*known, "ethics_board"])
    assert say_terms(wider(**known, ethics_board="must approve")) == (
        *say_terms(terms),
        "ethics board: must approve",
    )


def test_the_prov_form_is_read_by_the_prov_package_and_answers_a_query_in_sparql(found):
    (one,) = found.lineages
    document = prov.model.ProvDocument.deserialize(content=forms.as_prov(found), format="json")
    assert len(list(document.get_records(prov.model.ProvActivity))) == 1 + ROUNDS
    graph = rdflib.Graph().parse(data=document.serialize(format="rdf", rdf_format="turtle"), format="turtle")
    walk = """
        PREFIX prov: <http://www.w3.org/ns/prov#> PREFIX cad: <urn:x-caduceus:terms#>
        SELECT DISTINCT ?d WHERE {
            ?m a cad:Model . ?m (prov:wasDerivedFrom|prov:wasGeneratedBy/prov:used)+ ?d . ?d a cad:DatasetVersion }
    """
    behind = {str(row[0]) for row in graph.query(walk)}
    assert behind == {f"urn:x-caduceus:dataset:{use.dataset.id.hex()}" for use in one.sources}
    again = json.loads(document.serialize(format="json"))
    assert {kind: len(them) for kind, them in again.items()} == {
        kind: len(them) for kind, them in json.loads(forms.as_prov(found)).items()
    }


@pytest.mark.filterwarnings("error")
def test_the_crate_is_read_by_the_rocrate_package(found, tmp_path):
    (one,) = found.lineages
    forms.write_crate(found, tmp_path / "crate")
    crate = ROCrate(tmp_path / "crate")
    assert crate.mainEntity.id == "specification.cbor"
    assert canon.digest_bytes((tmp_path / "crate" / "specification.cbor").read_bytes()) == one.entry.spec
    run = crate.dereference("#run")
    assert run.type == "CreateAction"
    assert [str(entity.id).rstrip("/")[-64:] for entity in run["object"]] == [
        use.dataset.id.hex() for use in one.sources
    ]
    assert [entity.id for entity in run["result"]] == ["model.json"]
    assert {entity.id for entity in crate.root_dataset["conformsTo"]} >= {"https://w3id.org/ro/wfrun/workflow/0.5"}
    assert {path.name for path in (tmp_path / "crate").iterdir()} == {
        "ro-crate-metadata.json",
        *(str(entity.id) for entity in crate.root_dataset["hasPart"] if ":" not in entity.id),
    }
    with pytest.raises(Refused, match="not empty"):
        forms.write_crate(found, tmp_path / "crate")


def test_the_card_has_the_nine_parts_in_both_forms_and_its_figures_are_the_states(found):
    (one,) = found.lineages
    page, text = forms.as_card(found)
    told = json.loads(text)
    assert list(told)[1:] == [
        *("model_details", "intended_use", "factors", "metrics", "evaluation_data", "training_data"),
        *("quantitative_analyses", "ethical_considerations", "caveats_and_recommendations"),
    ]
    assert one.model.quality is not None
    figures = told["quantitative_analyses"]["facts"]
    assert figures["AUROC over all rows"] == round(float(one.model.quality.auroc.mean()), 4)
    (data,) = told["training_data"]["tables"]
    assert [row["identifier"] for row in data["rows"]] == [f"0x{use.dataset.id.hex()}" for use in one.sources]
    assert "exp(2)" in " ".join(told["ethical_considerations"]["sentences"])
    root = ElementTree.fromstring(page)
    assert one.state.hex() in "".join(root.itertext())
    assert "<script" not in page
    assert not re.search(r"(?:src|href)=\"(?!#)", page)


def test_a_card_shows_no_count_below_eleven(found):
    (one,) = found.lineages
    table = json.loads(forms.as_card(found)[1])["quantitative_analyses"]["tables"][0]
    assert one.model.quality is not None
    counts = one.model.quality.calibration[0, :, 0]
    assert len(table["rows"]) == len(counts)
    for row, count in zip(table["rows"], counts, strict=True):
        shown = (row["rows"], row["mean predicted"] is None)
        assert shown == (("fewer than 11", True) if count < 11 else (round(float(count)), False))


def test_the_command_answers_in_every_form(run, tmp_path):
    asked = ["provenance", str(model(run)), "--run", str(run.root), "--quick"]
    said = CliRunner().invoke(app, asked)
    assert said.exit_code == 0, said.output
    assert "Three small sites: Birch" in said.output
    assert "0-4" in said.output
    for form, name in (("json", "p.json"), ("prov", "prov.json"), ("card", "card.html"), ("rocrate", "crate")):
        out = tmp_path / name
        assert CliRunner().invoke(app, [*asked, "--format", form, "--out", str(out)]).exit_code == 0
        assert out.exists()
    assert (tmp_path / "card.json").exists()
    assert CliRunner().invoke(app, [*asked, "--format", "json"]).stdout == (tmp_path / "p.json").read_text() + "\n"


def test_the_command_needs_to_know_where_the_chain_is_and_names_what_was_damaged(copy, found):
    transcript = copy.root / "transcript"
    said = CliRunner().invoke(app, ["provenance", str(model(copy)), "--run", str(transcript)])
    assert (said.exit_code, "--chain or --node" in said.output) == (2, True)
    asked = ["provenance", str(model(copy)), "--run", str(transcript), "--chain", str(copy.chain)]
    assert CliRunner().invoke(app, asked).exit_code == 0
    path = copy.blobs / found.lineages[0].entry.spec.hex()[:2] / found.lineages[0].entry.spec.hex()
    flip(path, random.Random(5))
    said = CliRunner().invoke(app, asked)
    assert (said.exit_code, path.name in said.output, "it is the specification" in said.output) == (2, True, True)
