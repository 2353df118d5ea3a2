"""Cards and search from the command line: a counted card from the file to the audit, and finding it again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from caduceus import canon
from caduceus.cli import app
from caduceus.cli.exits import REFUSED
from caduceus.data.card import Card
from caduceus.edges.store import FolderStore
from small_federation import Small, write_small

COUNTED = '\ncard_epsilon = 0.5\ncard_columns = ["chol", "dead"]\n'
QUESTIONS = """
[job]
kind = "analysis"
title = "How old, how much cholesterol"
purpose = "research"
schema = "schema.toml"

[analysis]
minimum_cell = 10

[[query]]
name = "age"
kind = "mean"
column = "age"

[privacy]
epsilon = 1.0
delta = 1e-5
missing = 0

[sites]
min = 3
max = 3

[money]
price = 100_000
fee = 5_000
stake = 700
bond = 900
"""


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Small, Path]:
    """A run of questions to sites whose cards are counted; in the folder's `run`."""
    folder = tmp_path_factory.mktemp("cards")
    small = write_small(folder / "files")
    said = small.federation.read_text()
    small.federation.write_text(said.replace('schema = "schema.toml"\n', f'schema = "schema.toml"\n{COUNTED}', 1))
    small.terms.write_text('purposes = ["research"]\nepsilon = 3\nmissing = 0\n')
    small.job.write_text(QUESTIONS)
    ran = call("run", small.job, small.federation, "--out", folder / "run")
    assert ran.exit_code == 0, (ran.output, ran.exception)
    assert "passes" in ran.output  # the audit, which computes budgets anew
    return small, folder / "run"


def test_what_a_card_spends_is_missing_from_the_budget_on_the_chain(counted: tuple[Small, Path]):
    said = call("privacy", "budget", counted[1]).output
    assert said.count("2.5") >= 3
    assert said.count("1.5") >= 3


def test_a_counted_card_is_published_and_kept_by_its_site(counted: tuple[Small, Path]):
    _, run = counted
    kept = [canon.unpack(Card, path.read_bytes()) for path in (run / "parties").glob("*/card-*")]
    assert len(kept) == 3
    blobs = FolderStore(run / "transcript" / "blobs")
    for card in kept:
        assert blobs.get(card.digest()) == canon.pack(card)
        assert [one.column.name for one in card.columns if one.counts] == ["chol", "dead"]


def test_counting_with_another_epsilon_stops_the_next_run(counted: tuple[Small, Path]):
    small, run = counted
    said = small.federation.read_text()
    try:
        small.federation.write_text(said.replace("card_epsilon = 0.5", "card_epsilon = 0.6"))
        ran = call("run", small.job, small.federation, "--out", run)
        assert ran.exit_code == REFUSED
        assert "counting again would spend again" in ran.stderr
    finally:
        small.federation.write_text(said)


def test_search_finds_the_data_sets_of_a_run_and_what_is_left_of_them(counted: tuple[Small, Path]):
    _, run = counted
    found = json.loads(call("search", "serum", "cholesterol", "--run", run, "--epsilon", 1.5, "--json").output)
    assert found["searched"] == 3
    assert [one["fits"] for one in found["found"]] == [True] * 3
    assert found["found"][0]["matches"][0] == {"asked": "total cholesterol", "where": "chol", "field": "name"}
    short = json.loads(call("search", "cholesterol", "--run", run, "--epsilon", 1.6, "--json").output)
    assert {one for hit in short["found"] for one in hit["reasons"]} == {"epsilon 1.5 is left, 1.6 is wanted"}


def test_search_says_for_a_job_who_would_let_it_in(counted: tuple[Small, Path]):
    small, run = counted
    text = call("search", "age", "--run", run, "--job", small.job).output
    assert text.count("yes") == 3
    wide = json.loads(call("search", "age", "--run", run, "--min-rows", 50, "--readiness", "ready", "--json").output)
    reasons = {one["title"]: one["reasons"] for one in wide["found"]}
    unready = "its readiness is unstated, ready is wanted"
    assert reasons["Three small hospitals: North"] == [unready]
    assert reasons["Three small hospitals: East"] == ["at least 40 rows, 50 are wanted", unready]


def test_search_names_a_broken_card_and_goes_on(counted: tuple[Small, Path], tmp_path: Path):
    _, run = counted
    for path in (run / "parties").glob("*/card-*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "bad").write_bytes(b"no card at all")
    ran = call("search", "cholesterol", "--cards", tmp_path)
    assert ran.exit_code == 0
    assert "left out: bad: not readable as CBOR" in ran.output
    assert "3 of 3 data sets" in ran.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "nothing is asked for"),
        (("age",), "say where the cards are"),
        (("age", "--node", "http://127.0.0.1:1"), "--node takes --deployment, and --blobs"),
        (("age", "--cards", ".", "--buyer", "0x00"), "--buyer belongs to --job"),
        (("age", "--cards", "/nowhere"), "no such folder of cards"),
    ],
)
def test_search_says_what_is_missing(arguments: tuple[str, ...], says: str):
    ran = call("search", *arguments)
    assert ran.exit_code == REFUSED
    assert says in ran.stderr


def test_the_published_card_is_exported_with_its_place_on_the_chain(counted: tuple[Small, Path]):
    small, run = counted
    ran = call("card", small.federation, "--site", "North", "--run", run, "--format", "croissant")
    said = json.loads(ran.output)
    assert said["@id"].startswith("did:pkh:eip155:1337:0x")
    assert any("epsilon 0.5" in one for one in said["rai:dataLimitations"])
    held = ("--publisher", "North", "--contact", "mailto:a@north.example")
    body = ("--access-body", "HDAB", "--access-contact", "https://hdab.example/")
    ran = call("card", small.federation, "--site", "North", "--run", run, "--format", "healthdcat", *held, *body)
    assert json.loads(ran.output)["healthdcatap:hdab"]["foaf:name"]["@value"] == "HDAB"


def test_a_card_that_is_shown_counts_what_is_asked_for(counted: tuple[Small, Path]):
    small, _ = counted
    said = call("card", small.federation, "--site", "North").output
    assert "epsilon 0.5" in said
    plain = call("card", small.federation, "--site", "North", "--epsilon", 0).output
    assert "Patients by column" not in plain
    shown = json.loads(call("card", small.federation, "--site", "North", "--epsilon", 8, "--json").output)
    assert shown["noise"]["epsilon"] == 8


def test_health_dcat_is_refused_where_nobody_is_named(counted: tuple[Small, Path]):
    ran = call("card", counted[0].federation, "--site", "North", "--format", "healthdcat")
    assert ran.exit_code == REFUSED
    assert "name the publisher" in ran.stderr
