"""Whatever is changed in a finished run's transcript or chain, the audit finds it and says where."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import small_job

from caduceus import canon
from caduceus.data.card import Card
from caduceus.data.policy import Terms
from caduceus.edges.evm_embedded import open_chain
from caduceus.edges.workspace import Workspace
from caduceus.errors import Refused
from caduceus.learn.state import State
from caduceus.market.specification import JobSpec
from caduceus.protocol.round_record import RoundRecord
from caduceus.protocol.secagg_exchange import Exchange
from caduceus.protocol.secagg_setup_record import SetupRecord
from caduceus.wiring.audit import audit_run
from caduceus.wiring.play import play

GROUPS, FLIPS = 20, 14


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run's public half."""

    root: Path

    @property
    def transcript(self) -> Path:
        return self.root / "transcript"

    @property
    def chain(self) -> Path:
        return self.root / "chain" / "chain.sqlite"

    def files(self) -> list[Path]:
        """Everything that an auditor is given, sorted so that a seed always means the same."""
        found = [*self.transcript.rglob("*"), *self.chain.parent.iterdir()]
        return sorted(path for path in found if path.is_file())

    def blobs(self) -> list[Path]:
        return sorted(path for path in (self.transcript / "blobs").rglob("*") if path.is_file())

    def found(self) -> str:
        """What the audit says is wrong; fails the test if it says nothing, or says it in an unforeseen way."""
        try:
            (audit,) = audit_run(self.transcript, chain=self.chain, url=None)
        except Refused as refusal:
            return str(refusal)
        failure = audit.first_failure
        assert failure is not None, "the audit passes"
        assert not audit.passes
        return failure.detail


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """Two finished runs of the same job."""
    folder = tmp_path_factory.mktemp("finished")
    order = small_job.write(folder / "asked")
    for name in ("one", "other"):
        play(Workspace(folder / name), order, small_job.Onlooker())
    return Run(folder / "one"), Run(folder / "other")


@pytest.fixture
def run(finished: tuple[Run, Run], tmp_path: Path) -> Run:
    """A finished run to damage."""
    return copied(finished[0], tmp_path / "run")


@pytest.fixture
def other(finished: tuple[Run, Run], tmp_path: Path) -> Run:
    """Another finished run of the same job, with other keys."""
    return copied(finished[1], tmp_path / "other")


def copied(run: Run, to: Path) -> Run:
    for part in ("transcript", "chain"):
        shutil.copytree(run.root / part, to / part)
    return Run(to)


def test_what_nobody_touched_passes(run):
    (audit,) = audit_run(run.transcript, chain=run.chain, url=None)
    assert audit.passes
    assert len(run.blobs()) > 30


@pytest.mark.parametrize("group", range(GROUPS))
def test_a_flipped_byte_anywhere_is_found_and_its_file_is_named(group, run):
    chance = random.Random(group)
    files = run.files()
    for number in range(FLIPS):
        # By turns any file, so that small ones have their share, and any byte.
        weights = None if number % 2 else [file.stat().st_size for file in files]
        (file,) = chance.choices(files, weights)
        whole = file.read_bytes()
        place = chance.randrange(len(whole))
        flipped = whole[place] ^ chance.randrange(1, 256)
        file.write_bytes(whole[:place] + bytes([flipped]) + whole[place + 1 :])
        assert file.name in run.found(), f"byte {place} of {file.name} became {flipped:#x}"
        file.write_bytes(whole)
    (audit,) = audit_run(run.transcript, chain=run.chain, url=None)
    assert audit.passes


KINDS = {canon.tag_of(kind): kind for kind in (Card, Exchange, JobSpec, RoundRecord, SetupRecord, State, Terms)}
"""What a blob may be, by the tag that it begins with; an upload begins with none."""


def test_the_transcript_holds_blobs_of_every_kind_and_no_other(run):
    found = {canon.peek_tag(blob.read_bytes()) for blob in run.blobs()}
    assert found == {*KINDS, None}


@pytest.mark.parametrize("kind", [*KINDS, None])
def test_a_flipped_byte_in_a_blob_of_any_kind_is_found_and_the_blob_is_named(kind, run):
    chance = random.Random(kind or "upload")
    blobs = [blob for blob in run.blobs() if canon.peek_tag(blob.read_bytes()) == kind]
    for _ in range(5):
        blob = chance.choice(blobs)
        whole = blob.read_bytes()
        place = chance.randrange(len(whole))
        blob.write_bytes(whole[:place] + bytes([whole[place] ^ chance.randrange(1, 256)]) + whole[place + 1 :])
        assert blob.name in run.found(), f"byte {place} of {blob.name}"
        blob.write_bytes(whole)


def test_a_set_up_of_another_run_does_not_stand_in_for_the_one_that_the_rounds_name(run, other):
    (mine,), (theirs,) = (
        [blob for blob in one.blobs() if canon.peek_tag(blob.read_bytes()) == canon.tag_of(SetupRecord)]
        for one in (run, other)
    )
    place = run.transcript / "blobs" / theirs.name[:2] / theirs.name
    place.parent.mkdir(exist_ok=True)
    shutil.copyfile(theirs, place)
    mine.unlink()
    assert run.found().endswith(f"blob {mine.name} is missing")


def test_every_byte_of_the_small_files_counts(run):
    for file in (run.transcript / "deployment", run.transcript / "jobs" / "small"):
        whole = file.read_bytes()
        for place in range(len(whole)):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            assert file.name in run.found(), f"byte {place} of {file.name}"
        file.write_bytes(whole)


# ---------------------------------------------------------------- files that are missing, moved or too many


@pytest.mark.parametrize("which", range(6))
def test_a_missing_blob_is_named_whatever_it_was_for(which, run):
    blobs = run.blobs()
    gone = random.Random(which).choice(blobs)
    gone.unlink()
    assert run.found().endswith(f"blob {gone.name} is missing")


def test_two_blobs_that_change_places_are_found(run):
    one, two = run.blobs()[:2]
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    assert one.name in run.found()


@pytest.mark.parametrize("keep", [0, 1, 0.5, 0.999])
@pytest.mark.parametrize("which", ["chain", "seal", "blob", "deployment", "pointer"])
def test_a_file_that_was_cut_short_is_named(which, keep, run):
    file = {
        "chain": run.chain,
        "seal": run.chain.with_name("chain.sqlite.seal"),
        "blob": run.blobs()[7],
        "deployment": run.transcript / "deployment",
        "pointer": run.transcript / "jobs" / "small",
    }[which]
    whole = file.read_bytes()
    file.write_bytes(whole[: int(keep) if keep in (0, 1) else int(len(whole) * keep)])
    assert file.name in run.found()


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("transcript/notes.txt", "notes.txt: does not belong in a transcript"),
        ("transcript/blobs/notes.txt", "notes.txt: a file that does not belong in a transcript"),
        ("transcript/jobs/second", "second: "),
        ("chain/chain.sqlite-wal", "chain.sqlite-wal is left"),
    ],
)
def test_a_file_too_many_is_named(place, says, run):
    (run.root / place).write_bytes(b"hello")
    assert says in run.found()


def test_a_blob_that_no_round_needs_is_named(run, other):
    mine = {blob.name for blob in run.blobs()}
    stray = next(blob for blob in other.blobs() if blob.name not in mine)
    place = run.transcript / "blobs" / stray.name[:2] / stray.name
    place.parent.mkdir(exist_ok=True)
    shutil.copyfile(stray, place)
    assert run.found() == f"blob {stray.name} belongs to no round of any job"


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ("transcript", "transcript: no such folder"),
        ("transcript/blobs", "blobs: no such folder"),
        ("transcript/jobs", "does not say which job it is about"),
        ("transcript/deployment", "deployment: missing"),
        ("chain/chain.sqlite", "chain.sqlite: no such chain file"),
        ("chain/chain.sqlite.seal", "has no seal (chain.sqlite.seal)"),
    ],
)
def test_a_missing_part_is_named(part, says, run):
    path = run.root / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert says in run.found()
    assert part == "chain/chain.sqlite.seal" or not path.exists()


# ---------------------------------------------------------------- halves of different runs


def _swap_chain(run: Run, other: Run) -> None:
    shutil.rmtree(run.chain.parent)
    shutil.copytree(other.chain.parent, run.chain.parent)


def _swap_deployment(run: Run, other: Run) -> None:
    shutil.copyfile(other.transcript / "deployment", run.transcript / "deployment")


def _swap_pointer(run: Run, other: Run) -> None:
    shutil.copyfile(other.transcript / "jobs" / "small", run.transcript / "jobs" / "small")


def _swap_both(run: Run, other: Run) -> None:
    _swap_deployment(run, other)
    _swap_pointer(run, other)


@pytest.mark.parametrize(
    ("swap", "says"),
    [
        (_swap_chain, "chain.sqlite: another network's chain"),
        (_swap_both, "chain.sqlite: another network's chain"),
        (_swap_deployment, "deployment: is not the deployment that jobs/small names"),
        (_swap_pointer, "deployment: is not the deployment that jobs/small names"),
    ],
)
def test_halves_of_different_runs_do_not_fit(swap: Callable[[Run, Run], None], says, run, other):
    swap(run, other)
    assert says in run.found()


def test_the_blobs_of_another_run_do_not_fit(run, other):
    shutil.rmtree(run.transcript / "blobs")
    shutil.copytree(other.transcript / "blobs", run.transcript / "blobs")
    assert "is missing" in run.found()


def test_a_run_whose_chain_still_grows_is_not_called_whole(run):
    with open_chain(run.chain, clock=lambda: 1) as chain:
        assert "has no seal" in run.found()
        chain.mine()
    (audit,) = audit_run(run.transcript, chain=run.chain, url=None)
    assert audit.passes  # a block more changes nothing of the job
