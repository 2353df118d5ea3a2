"""Duties when things go wrong: no money, no specification, no start, no coordinator, thousands of old jobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from town import Died, Town

from caduceus.agents.duties import Docket, Event, Happened, Pauses
from caduceus.agents.site_duties import _shown
from caduceus.canon import digest_bytes
from caduceus.edges.gateway import GatewayWallet
from caduceus.edges.journal import SqliteJournal
from caduceus.edges.store import FolderStore
from caduceus.errors import Refused, Unavailable
from caduceus.kinds import Address, JobId, Stage
from caduceus.ports import Anchor, Store
from caduceus.protocol.round_record import Shown
from caduceus.wiring.parties import BUYER, COORDINATOR
from caduceus.wiring.parties import fund as give_money

JOBS = [JobId(bytes([number]) * 32) for number in range(5)]
OWN, OTHER = Address(b"o" * 20), Address(b"x" * 20)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with ExitStack() as stack:
        yield Town(tmp_path, stack)


def enrolling(town: Town, *funded: str) -> JobId:
    """A job that is open to sites, who are connected and members."""
    town.give(BUYER, COORDINATOR, *funded)
    town.join()
    for name in town.names:
        town.look(name)  # registers; the card is not handed in yet, since nobody is connected
    with town.open_line():
        for name in town.names:
            town.look(name)
        job = town.post()
        town.look(COORDINATOR)
    assert not town.troubles, town.story()
    assert town.stage(job) is Stage.ENROLLING, town.story()
    return job


def looks(town: Town, who: str, times: int = 1) -> None:
    with town.open_line():
        for _ in range(times):
            town.look(who)


# ------------------------------------------------------------ declining, and why not


def test_a_site_whose_steward_did_not_allow_the_program_declines_and_the_coordinator_is_told_why(town):
    town.objections["Ash"] = ("this site's steward has not allowed program 1234",)
    job = enrolling(town, *town.names)
    looks(town, "Ash", 3)
    assert town.told(Happened.DECLINED, "Ash") == [Event(Happened.DECLINED, job, why=town.objections["Ash"][0])]
    assert (COORDINATOR, f"declines: {town.objections['Ash'][0]}", True) in town.refusals
    town.objections["Ash"] = ("another reason",)
    looks(town, "Ash", Pauses.MOST + 1)
    assert [event.why for event in town.told(Happened.DECLINED, "Ash")][1:] == ["another reason"]
    del town.objections["Ash"]  # the steward has changed its mind
    looks(town, "Ash", Pauses.MOST + 1)
    assert len(town.told(Happened.ENROLLED, "Ash")) == 1


def test_a_stake_that_is_not_there_is_told_clearly_and_asked_for_again_rarely(town):
    job = enrolling(town)
    town.troubles.clear()
    looks(town, "Ash", 40)
    whys = [str(problem) for who, problem in town.troubles if who == "Ash"]
    assert whys == ["enrolling takes a stake of 2000 and the account holds 0; fund it first"] * 6  # of 40 looks
    give_money(town.network, town.treasury, town.cast["Ash"].account, 2000)
    looks(town, "Ash", Pauses.MOST + 1)
    assert len(town.told(Happened.ENROLLED, "Ash")) == 1
    assert town.chain.job(job).sites == 1


def test_a_bond_that_is_not_there_is_told_clearly(town):
    town.give(BUYER)
    town.join()
    with town.open_line():
        job = town.post()
        town.look(COORDINATOR)
        assert "takes a bond of 10000 and the account holds 0" in str(town.troubles[-1][1])
        town.give(COORDINATOR)
        town.look(COORDINATOR)  # a look that is let pass
        assert town.stage(job) is Stage.FUNDED
        town.look(COORDINATOR)
    assert town.stage(job) is Stage.ENROLLING


def test_a_specification_that_is_not_there_yet_is_waited_for(town):
    job = enrolling(town, *town.names)
    store, spec = FolderStore(town.blobs(COORDINATOR)), town.chain.job(job).spec
    (path,) = (
        one for one in town.blobs(COORDINATOR).rglob("*") if one.is_file() and spec == digest_bytes(one.read_bytes())
    )
    blob = path.read_bytes()
    path.unlink()
    looks(town, "Ash", 4)
    assert not town.told(Happened.DECLINED)
    assert all("does not have it" in str(problem) for who, problem in town.troubles if who == "Ash")
    assert len([who for who, _ in town.troubles if who == "Ash"]) == 2
    store.put(blob)
    looks(town, "Ash", 4)
    assert len(town.told(Happened.ENROLLED, "Ash")) == 1


# ------------------------------------------------------------ processes that die, and parties that vanish


def test_a_site_that_dies_between_its_allowance_and_its_enrolment_enrols_once(town, monkeypatch):
    job = enrolling(town, *town.names)
    honest, dead = GatewayWallet.enrol, []

    def die(wallet, *arguments):
        if not dead:
            dead.append(wallet.account)
            raise Died
        return honest(wallet, *arguments)

    monkeypatch.setattr(GatewayWallet, "enrol", die)
    with pytest.raises(Died), town.open_line():
        town.look("Ash")
    assert town.chain.job(job).sites == 0
    town.start_site("Ash")
    looks(town, "Ash", 3)
    assert [one.site for one in town.chain.enrolments(job)] == [town.cast["Ash"].account]
    assert town.held() == 100_003 + 10_000 + 2_000


def test_a_job_that_its_coordinator_never_starts_gives_everybody_their_money_back(town):
    job = enrolling(town, *town.names)
    for name in town.names:
        looks(town, name)
    assert town.chain.job(job).sites == 3
    town.network.pass_time(town.chain.job(job).deadline + 5)
    looks(town, "Ash")
    assert town.stage(job) is Stage.ENROLLING  # left to the buyer and the coordinator for a while
    town.network.pass_time(town.chain.job(job).deadline + 40)
    for name in town.names:
        looks(town, name, 2)
    looks(town, BUYER)
    assert town.stage(job) is Stage.EXPIRED
    assert [event.job for event in town.told(Happened.EXPIRED)] == [job]  # one did, and the others saw it
    looks(town, COORDINATOR)
    assert town.held() == 0
    assert {who for who, event in town.heard if event.what is Happened.COLLECTED} == {BUYER, COORDINATOR, *town.names}


def test_a_site_that_found_no_seat_is_done_with_the_job(town):
    job = enrolling(town, *town.names)
    town.network.pass_time(town.chain.job(job).deadline)
    looks(town, "Ash", 2)
    assert town.duties["Ash"].jobs() == []


def test_jobs_of_another_coordinator_are_looked_at_once_and_never_again(town, monkeypatch):
    job = enrolling(town, *town.names)
    site = town.duties["Ash"]
    site._coordinator = OTHER
    site._docket = Docket(town.sites["Ash"].journal, "coordinator", OTHER)
    asked = []
    honest = type(town.chain).job
    monkeypatch.setattr(type(town.chain), "job", lambda chain, one: asked.append(one) or honest(chain, one))
    looks(town, "Ash", 5)
    assert asked == [job]
    town.start_site("Ash")  # whose coordinator it is again: what was written down is whose the job is
    assert town.duties["Ash"].jobs() == [job]


def test_rounds_that_a_silent_coordinator_does_not_show_count_as_missing_before_it_is_too_late_to_complain(town):
    job = enrolling(town, *town.names)
    entry, anchor = town.chain.job(job), Anchor(0, b"r" * 32, b"m" * 32, b"c" * 32)

    class Silent:
        """Implements what is asked of `ports.Store`: the hub does not answer."""

        def get(self, digest: bytes) -> bytes:
            raise Unavailable("nobody answers")

    store: Store = Silent()
    left = entry.deadline - town.chain.now()
    with pytest.raises(Unavailable):
        _shown(entry, left, town.chain, store, anchor)
    town.network.pass_time(entry.deadline - left // 3)
    assert _shown(entry, left, town.chain, store, anchor) == Shown(None, None)


# ------------------------------------------------------------ what is remembered


def test_a_docket_passes_jobs_that_are_done_or_somebody_elses_also_in_the_next_process(tmp_path):
    with SqliteJournal(tmp_path / "journal.sqlite") as journal:
        docket = Docket(journal, "buyer", OWN)
        assert docket.left(JOBS) == JOBS[::-1]
        assert docket.is_own(JOBS[0], OWN)
        assert not docket.is_own(JOBS[1], OTHER)
        docket.close(JOBS[2])
        docket.close(JOBS[2])
        for again in (docket, Docket(journal, "buyer", OWN)):
            assert again.left(JOBS) == [JOBS[4], JOBS[3], JOBS[0]]
        assert Docket(journal, "buyer", OTHER).left(JOBS) == [JOBS[4], JOBS[3], JOBS[1], JOBS[0]]


def test_a_docket_asks_its_journal_once_about_each_job_that_is_past(tmp_path):
    class Counting:
        """Implements what is asked of `ports.Journal`."""

        asked = 0

        def get(self, _key: str) -> bytes | None:
            self.asked += 1
            return b""

    journal = Counting()
    docket = Docket(journal, "buyer", OWN)
    many = [JobId(number.to_bytes(32)) for number in range(5000)]
    for _ in range(10):
        assert docket.left(many) == []
    assert journal.asked == 5000


def test_pauses_double_up_to_a_bound_and_are_each_jobs_own():
    pauses, tries = Pauses(), 0
    for _ in range(200):
        if not pauses.holds(JOBS[0]):
            tries += 1
            pauses.wait(JOBS[0])
    assert tries == 10  # 1 + 2 + 4 + 8 + 16 + 32 + 32 + ...
    assert not pauses.holds(JOBS[1])
    pauses.forget(JOBS[0])
    assert not pauses.holds(JOBS[0])


def test_a_specification_with_another_price_than_the_chains_is_refused(town):
    entry = town.chain.job(enrolling(town))
    assert town.coordinator.specification(entry).money.price == entry.price
    with pytest.raises(Refused, match=r"different values of price"):
        town.coordinator.specification(replace(entry, price=entry.price + 1))
