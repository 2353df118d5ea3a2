"""A party's process without its engine: what it refuses to start with, what it keeps to itself, and how it ends."""

from __future__ import annotations

import json
import shutil
import signal
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from node_town import BUYER, EVERYBODY, HUB, NodeTown, node_town, served, until

from caduceus import canon
from caduceus.crypto.sign import Signer
from caduceus.data.commitment import read_openings
from caduceus.data.table import Table
from caduceus.edges.code import FILES, FOLDERS, code_digest, digest_on_disk
from caduceus.edges.federation import SiteTable, open_federation, read_site
from caduceus.edges.gateway.abi import unhex
from caduceus.edges.gateway.signing import KeySigner
from caduceus.edges.gateway.transaction import Transaction
from caduceus.edges.network import read_deployment
from caduceus.errors import Misuse, PeerFault, Refused, Unavailable
from caduceus.kinds import JobId, Readiness, Stage
from caduceus.market.job_file import read_job_file, specify
from caduceus.market.specification import NONCE_BYTES, SPEC_MOST, JobSpec, read_spec
from caduceus.market.work import work_of
from caduceus.ports import DatasetEntry
from caduceus.wiring.node import alone, guarding, roles
from caduceus.wiring.node.file import NODE_FILE
from caduceus.wiring.node.fitness import Looking, check_site
from caduceus.wiring.node.guarding import UNFIT, Discreet, objections, site_objections
from caduceus.wiring.node.loop import Running
from caduceus.wiring.node.party import JOURNAL, KEYS, LOG, OPENINGS, open_party, open_records
from caduceus.wiring.node.posting import give_job, result_of
from caduceus.wiring.node.roles import attach_hub, attach_spoke
from edges.switchboard.switchboard_engine import Pump, Wire
from small_federation import SITES, write_small

JOB, OTHER = JobId(b"\x01" * 32), JobId(b"\x02" * 32)
VALUE = "diagnosis-of-somebody"


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeTown]:
    folder = tmp_path_factory.mktemp("town")
    with node_town(folder / "town", write_small(folder / "files")) as town:
        yield town


@pytest.fixture
def town(furnished: NodeTown, tmp_path: Path) -> Iterator[NodeTown]:
    """The same chain and keys, and fresh folders."""
    for name in EVERYBODY:
        shutil.copytree(furnished.place(name), tmp_path / name)
    town = NodeTown(tmp_path, furnished.treasury, furnished.small, furnished.network, furnished.url, Wire())
    yield town
    town.stop()


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody edits the sources while the test runs."""
    monkeypatch.setattr(guarding, "digest_on_disk", code_digest)


def _start_once(folder: Path) -> None:
    with ExitStack() as stack:
        open_party(folder, stack)


def _table(town: NodeTown) -> Table:
    return read_site(open_federation(town.small.federation), "North").table


# ---------------------------------------------------------------- starting


def test_a_folder_that_others_may_look_into_is_refused(town):
    town.place("North").chmod(0o750)
    with pytest.raises(Refused, match=r"others may look into .* chmod 700"):
        _start_once(town.place("North"))


def test_what_a_site_writes_is_its_own(town):
    place = town.place("North")
    town.start("North")
    until(lambda: (place / OPENINGS).exists())
    town.stop("North")
    for one in (KEYS, JOURNAL, OPENINGS, LOG, "status.json", "audit-log/000001.log", "audit-log/salt"):
        assert stat.S_IMODE((place / one).stat().st_mode) == 0o600, one


def test_lost_keys_are_asked_for_and_not_replaced_by_somebody_elses(town):
    (town.place("North") / KEYS).unlink()
    with pytest.raises(Refused, match=r"keys: missing; put this party's keys back"):
        _start_once(town.place("North"))
    assert not (town.place("North") / KEYS).exists()


def test_the_accounts_key_can_be_kept_by_a_signer_elsewhere(town):
    elsewhere = KeySigner(Signer(town.treasury))

    def request(method: str, params: Sequence[Any]) -> str:
        asked = {name: value if name in ("data", "to") else int(value, 16) for name, value in params[0].items()}
        whole = Transaction(
            chain_id=asked["chainId"],
            nonce=asked["nonce"],
            tip=asked["maxPriorityFeePerGas"],
            fee=asked["maxFeePerGas"],
            gas=asked["gas"],
            to=unhex(asked["to"]),
            data=unhex(asked["data"]),
            value=asked["value"],
        )
        assert method == "eth_signTransaction"
        assert asked["from"] == int.from_bytes(elsewhere.address)
        return f"0x{elsewhere.sign(whole).hex()}"

    with served(request) as url:
        with (town.place("North") / NODE_FILE).open("a") as file:
            file.write(f'\n[signer]\nurl = "{url}"\naccount = "0x{elsewhere.address.hex()}"\n')
        asked = ("eth_getTransactionCount", [f"0x{town.account('North').hex()}", "latest"])
        before = town.network.node.request(*asked)
        town.start("North")
        until(lambda: any(one.steward == elsewhere.address for one in town.network.chain.datasets()))
        town.stop("North")
        assert town.network.node.request(*asked) == before


def test_a_party_that_has_lost_its_promises_does_not_start_again(town):
    place = town.place("North")
    _start_once(place)
    for one in place.glob(f"{JOURNAL}*"):
        one.unlink()
    with pytest.raises(Refused, match=r"journal\.sqlite: missing, and this party has run before"):
        _start_once(place)
    assert not (place / JOURNAL).exists()


def test_a_damaged_journal_is_named_and_stays_as_it_is(town):
    place = town.place("North")
    _start_once(place)
    (place / JOURNAL).write_bytes(b"rubbish" * 1000)
    with pytest.raises(Refused, match=r"journal\.sqlite: not a journal"):
        _start_once(place)
    assert (place / JOURNAL).read_bytes() == b"rubbish" * 1000


def test_a_second_process_is_kept_out_and_the_first_goes_on(town):
    with ExitStack() as stack:
        opened = open_party(town.place("North"), stack)
        with pytest.raises(Refused, match=r"in use by another process"):
            _start_once(town.place("North"))
        opened.journal.put_all({"still": b"here"})
    _start_once(town.place("North"))


def test_a_node_that_is_away_can_be_waited_for_and_one_of_another_chain_cannot(town):
    place = town.place("North")
    told = (place / NODE_FILE).read_text()
    (place / NODE_FILE).write_text(told.replace(town.url, "http://127.0.0.1:9"))
    with pytest.raises(Unavailable):
        _start_once(place)
    (place / NODE_FILE).write_text(told)
    elsewhere = replace(read_deployment(place / "deployment"), chain_id=5)
    (place / "deployment").write_bytes(canon.pack(elsewhere))
    with pytest.raises(Refused, match=r"another network's chain"):
        _start_once(place)


def test_a_disk_that_takes_nothing_is_said_in_words(town, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "/somewhere/deployment")

    monkeypatch.setattr(roles, "write_whole", full)
    with pytest.raises(Unavailable, match=r"/somewhere/deployment: No space left on device"):
        town.start(HUB)
    monkeypatch.undo()
    town.start(HUB)  # and everything was let go of


def test_other_peoples_words_do_not_come_out_of_a_start(town, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise ValueError(VALUE)

    monkeypatch.setattr(roles, "read_site", broken)
    with pytest.raises(Misuse, match=r"ValueError at test_node_roles|ValueError at") as found:
        town.start("North")
    assert VALUE not in str(found.value)
    assert found.value.__cause__ is None
    assert found.value.__suppress_context__


def test_every_role_keeps_to_its_end(town):
    with pytest.raises(Refused, match=r"a site is not at the hub"):
        attach_hub(town.place("North"), None)  # type: ignore[arg-type]
    with pytest.raises(Refused, match=r"a coordinator is at the hub"):
        attach_spoke(town.place(HUB), None)  # type: ignore[arg-type]


# ---------------------------------------------------------------- the commitment


def test_lost_openings_are_not_made_again(town):
    with ExitStack() as stack:
        opened = open_party(town.place("North"), stack)
        table, place = _table(town), town.place("North") / OPENINGS
        first = open_records(opened.folder, table, opened.journal).root
        assert open_records(opened.folder, table, opened.journal).root == first
        place.rename(place.with_suffix(".old"))
        with pytest.raises(Refused, match=r"one that this party has committed to"):
            open_records(opened.folder, table, opened.journal)
        place.with_suffix(".old").unlink()
        with pytest.raises(Refused, match=r"has committed to records before; put the file back"):
            open_records(opened.folder, table, opened.journal)
        assert not place.exists()


def test_a_changed_table_is_committed_to_beside_the_old_openings(town):
    with ExitStack() as stack:
        opened = open_party(town.place("North"), stack)
        table, place = _table(town), town.place("North") / OPENINGS
        first = open_records(opened.folder, table, opened.journal).root
        place.rename(place.with_suffix(".old"))
        fewer = table.select(np.arange(table.rows - 1))
        assert open_records(opened.folder, fewer, opened.journal).root != first


def test_a_sites_own_report_stands_on_the_chain_from_its_next_start_on(town):
    place, chain = town.place("North"), town.network.chain
    with pytest.raises(Refused, match=r"openings: missing; start the site once first"):
        check_site(place, Looking(), now=1_800_000_000, passphrase=None, step=lambda title: None)
    town.start("North")

    def own() -> DatasetEntry | None:
        if not (place / OPENINGS).exists():
            return None
        root = read_openings((place / OPENINGS).read_bytes()).root
        return next((one for one in chain.datasets() if one.commitment == root), None)

    until(own)
    town.stop("North")
    before = own()
    assert before is not None
    assert before.readiness is Readiness.UNSTATED
    checked, files = check_site(place, Looking(), now=1_800_000_000, passphrase=None, step=lambda title: None)
    assert all(path.is_relative_to(place) for path in files)
    town.start("North")
    until(lambda: (own() or before).report is not None)
    town.stop("North")
    after = own()
    assert after is not None
    report = checked.signed.report
    assert (after.id, after.readiness, after.report) == (before.id, report.readiness, report.digest())
    (place / "readiness" / "report.cbor").write_bytes(b"rubbish")
    with pytest.raises(Refused, match=r"report\.cbor: not a readiness report"):
        town.start("North")


# ---------------------------------------------------------------- at work


class _Duties:
    """What a role would do, told by a test."""

    def __init__(self, *jobs: JobId) -> None:
        self.all, self.seen = jobs, list[JobId]()
        self.troubles: dict[JobId | None, BaseException] = {}
        self.waits: dict[JobId, threading.Event] = {}
        self.entered = threading.Event()

    def jobs(self) -> Sequence[JobId]:
        if None in self.troubles:
            raise self.troubles[None]
        return self.all

    def attend(self, job: JobId) -> None:
        self.seen.append(job)
        if job in self.waits:
            self.entered.set()
            self.waits[job].wait()
        if job in self.troubles:
            raise self.troubles[job]


def _begin(town: NodeTown, duties: _Duties, *, may_block: bool = False) -> Running:
    stack = ExitStack()
    running = Running(open_party(town.place(BUYER), stack), stack, may_block=may_block)
    town.running[BUYER] = running
    return running.begin(duties, lambda: None)


def _said(town: NodeTown, name: str, event: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in town.log(name).splitlines()]
    return [one for one in lines if one["event"] == event and one["party"] == name]


@pytest.mark.parametrize("may_block", [False, True])
def test_a_job_that_this_program_cannot_bear_keeps_no_other_from_its_turn(town, may_block):
    duties = _Duties(JOB, OTHER)
    duties.troubles[JOB] = KeyError(VALUE)
    running = _begin(town, duties, may_block=may_block)
    until(lambda: duties.seen.count(OTHER) > 3)
    assert duties.seen.count(JOB) == 1
    assert not running.wait(0.0)
    (bug,) = _said(town, BUYER, "bug")
    assert bug["job"] == f"0x{JOB.hex()}"
    assert "KeyError at" in str(bug["reason"])
    assert VALUE not in town.log(BUYER)


def test_a_disk_or_a_peer_in_trouble_is_tried_again_at_once(town):
    duties = _Duties(JOB)
    duties.troubles[JOB] = OSError(28, "No space left on device", "models")
    running = _begin(town, duties)
    until(lambda: duties.seen.count(JOB) > 2)
    duties.troubles[JOB] = PeerFault("the coordinator", "lies")
    until(lambda: _said(town, BUYER, "peer fault"))
    assert len(_said(town, BUYER, "unavailable")) == 1
    assert not running.wait(0.0)


@pytest.mark.parametrize("problem", [KeyError(VALUE), MemoryError()])
def test_any_other_bug_ends_the_role_and_says_where_it_was(town, problem):
    duties = _Duties(JOB)
    duties.troubles[JOB if isinstance(problem, MemoryError) else None] = problem
    running = _begin(town, duties)
    assert running.wait(10.0)
    (bug,) = _said(town, BUYER, "bug")
    assert f"{type(problem).__name__} at" in str(bug["reason"])
    assert VALUE not in town.log(BUYER)
    town.stop(BUYER)
    assert len(_said(town, BUYER, "stopped")) == 1


def test_what_a_thread_runs_into_after_the_end_is_no_bug(town, monkeypatch):
    monkeypatch.setattr("caduceus.wiring.node.loop.ENDING", 0.1)
    duties = _Duties(JOB)
    duties.waits[JOB], duties.troubles[JOB] = threading.Event(), KeyError(VALUE)
    running = _begin(town, duties, may_block=True)
    assert duties.entered.wait(10.0)
    town.stop(BUYER)
    working = running._busy[JOB]  # the thread that outlives the role
    assert working.is_alive()
    before = town.log(BUYER)
    duties.waits[JOB].set()
    working.join(10.0)
    assert not working.is_alive()
    assert town.log(BUYER) == before
    _start_once(town.place(BUYER))  # journal and audit log are whole


def test_a_bug_in_a_sites_answer_ends_its_process(town, monkeypatch):
    told: list[Callable[[BaseException], None]] = []
    plain = roles.SwitchSpoke

    def spoke(*given: object, **named: Any) -> object:
        told.append(named["on_bug"])
        return plain(*given, **named)

    monkeypatch.setattr(roles, "SwitchSpoke", spoke)
    running = town.start("North")
    assert not running.wait(0.0)
    told[0](KeyError(VALUE))  # as the thread does in which a reactor fails
    assert running.wait(10.0)
    (bug,) = _said(town, "North", "bug")
    assert "KeyError" in str(bug["reason"])
    assert VALUE not in town.log("North")


# ---------------------------------------------------------------- what leaves a site


class _Failing:
    def __init__(self, problem: BaseException) -> None:
        self.problem = problem

    def react(self, body: bytes) -> Sequence[bytes]:
        raise self.problem


@pytest.mark.parametrize("kind", [Unavailable, Misuse])
def test_the_other_side_does_not_hear_of_this_sides_disks(kind):
    with pytest.raises(kind, match=r"^this party could not answer; its own log says why$"):
        Discreet(_Failing(kind("/srv/ash/journal.sqlite: full"))).react(b"")
    with pytest.raises(Unavailable, match=r"^this party could not answer"):
        Discreet(_Failing(OSError(28, "No space left", "/srv/ash"))).react(b"")


def test_the_other_side_hears_what_a_rule_refused_and_what_it_did_wrong_itself():
    for problem in (Refused("the job is over"), PeerFault("the coordinator", "lies")):
        with pytest.raises(type(problem), match=str(problem)):
            Discreet(_Failing(problem)).react(b"")


def _spec(town: NodeTown, model: str = "") -> JobSpec:
    text = town.small.job.read_text()
    text = text.replace('kind = "logistic"\nC = 1.0\ntolerance = 1e-6\nrounds = 20', model) if model else text
    file = read_job_file(text, where="job.toml")
    schema = open_federation(town.small.federation).public_schema
    return specify(file, schema, nonce=bytes(NONCE_BYTES), where="job.toml", code=code_digest())


def test_records_that_do_not_fit_are_found_before_enrolling_and_not_described(town, still):
    table = _table(town)
    with ExitStack() as stack:
        opened = open_party(town.place("North"), stack)
        assert site_objections(opened, SiteTable("North", table), _spec(town)) == ()
        values = table.values.copy()
        values[[one.name for one in table.schema.columns].index("dead"), 7] = np.nan
        spoilt = SiteTable("North", Table(table.schema, values, table.labels, table.of))
        assert site_objections(opened, spoilt, _spec(town)) == (UNFIT,)
        assert "dead" not in UNFIT
    (told,) = _said(town, "North", "refused")
    assert "column dead" in str(told["reason"])


def test_an_upgrade_under_a_process_that_runs_is_noticed(town, still, monkeypatch):
    with ExitStack() as stack:
        opened = open_party(town.place("North"), stack)
        assert objections(opened, _spec(town)) == []
        monkeypatch.setattr(guarding, "digest_on_disk", lambda: b"\x09" * 32)
        (why,) = objections(opened, _spec(town))
        assert "has to start again" in why
        monkeypatch.setattr(guarding, "digest_on_disk", code_digest)
        (_mine, why) = objections(opened, replace(_spec(town), code=b"\x08" * 32))
        assert "has not allowed" in why


def test_the_digest_is_of_every_source_that_works_on_records(tmp_path):
    root = Path(roles.__file__).parents[2]
    for name in FILES:
        shutil.copy(root / name, tmp_path / name)
    for name in FOLDERS:
        shutil.copytree(root / name, tmp_path / name)
    before = digest_on_disk(tmp_path)
    (tmp_path / "learn" / "notes.txt").write_text("no source")
    assert digest_on_disk(tmp_path) == before
    place = tmp_path / "learn" / "moments.py"
    place.write_text(place.read_text() + "\n")
    assert digest_on_disk(tmp_path) != before
    (tmp_path / "learn" / "moments.py").rename(tmp_path / "learn" / "moment.py")
    assert digest_on_disk(tmp_path) != before


def test_a_specification_that_would_fill_a_memory_is_not_read(town):
    assert read_spec(canon.pack(_spec(town))) == _spec(town)
    with pytest.raises(Refused, match=rf"of {SPEC_MOST + 1} bytes"):
        read_spec(b"\x80" * (SPEC_MOST + 1))


def test_a_model_that_no_frame_carries_is_refused_before_anybody_allocates_it(town):
    assert work_of(_spec(town, 'kind = "mlp"\nhidden = [1000, 1000]\nrounds = 5')).max_rounds > 5
    with pytest.raises(Refused, match=r"entries to be summed; at most 67108864"):
        work_of(_spec(town, 'kind = "mlp"\nhidden = [65536, 65536]\nrounds = 5'))


# ---------------------------------------------------------------- a process that stands by itself


def _kit(folder: Path, party: Path | None) -> Path:
    folder.mkdir()
    (folder / alone.KIT_FILE).write_text(f'name = "North"\nend = "site"\nsocket = "{folder}/socket"\n')
    if party is not None:
        alone.equip(folder, "caduceus.wiring.node.roles:attach_spoke", party)
    return folder


def test_the_exit_code_says_whether_a_start_helps(town, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert alone.main(_kit(tmp_path / "bare", None)) == alone.REFUSED
    kit = _kit(tmp_path / "kit", town.place("North"))
    node = town.place("North") / NODE_FILE
    node.write_text(node.read_text().replace(town.url, "http://127.0.0.1:9"))
    assert alone.main(kit) == alone.AWAY
    node.write_text(node.read_text().replace('role = "site"', 'role = "king"'))
    assert alone.main(kit) == alone.REFUSED
    assert "node.toml" in capsys.readouterr().err


# ---------------------------------------------------------------- everybody


def test_a_job_goes_through_with_a_spoilt_one_beside_it_and_the_model_comes_after_the_money(town, still):
    """The roles as they are, from the posting to the model; the coordinator is away when the money comes back."""
    pharma, small = town.place(BUYER), town.small
    text = small.job.read_text().replace("max = 8", "max = 3").replace("rounds = 20", "rounds = 2")
    (pharma / "jobs" / "a").mkdir(parents=True)
    (pharma / "jobs" / "a" / "job.toml").write_text("[job]\n")
    label = give_job(pharma, small.job, text=text)
    for name in EVERYBODY:
        town.give(name, 200_000)
    story = lambda: town.log(HUB).splitlines()[-40:]  # noqa: E731
    with Pump(town.wire):
        for name in EVERYBODY:
            town.start(name)
        chain = town.network.chain

        def stage() -> Stage | None:
            entry = chain.job(chain.jobs()[-1]) if chain.jobs() else None
            return None if entry is None else entry.stage

        until(lambda: stage() is Stage.SETTLING, story)
        town.wire.cut.add(BUYER)
        entry = chain.job(chain.jobs()[-1])
        assert entry is not None
        town.network.pass_time(entry.deadline)
        until(lambda: _said(town, BUYER, "paid"), story)
        assert result_of(pharma, label) is None
        town.wire.cut.clear()
        until(lambda: result_of(pharma, label), story)
        until(lambda: all(_said(town, name, "paid") for name in SITES), story)
    refused = [str(one["reason"]) for one in _said(town, BUYER, "refused")]
    assert any(one.startswith("a/job.toml: ") for one in refused)
    assert len(chain.jobs()) == 1
    assert not [one for name in EVERYBODY for one in _said(town, name, "bug")]
