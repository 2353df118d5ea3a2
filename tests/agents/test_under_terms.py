"""Terms are judged before a site enrols and again before anything leaves: time, credentials, withdrawal."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from test_duties_jobs import ended, until
from test_steward_budget import CARD, FILE, SCHEMA, TERMS
from town import Town

from caduceus import canon
from caduceus.agents.duties import Event, Happened
from caduceus.agents.steward import Steward
from caduceus.agents.under_terms import UnderTerms, look, turns_by_itself
from caduceus.crypto import sd_jwt
from caduceus.crypto.sd_jwt_keys import SigningKey
from caduceus.crypto.sign import Signer
from caduceus.crypto.status_list import INVALID, SUSPENDED, all_valid, pack_list
from caduceus.data.credential import KIND, STATUS_URI, occasion_of
from caduceus.data.duo import Modifier, Permission
from caduceus.data.policy import Verdict
from caduceus.data.use import Grant, How, Issuer, Use, UseTerms
from caduceus.data.use_day import DAY_SECONDS
from caduceus.data.use_request import Research, UseRequest
from caduceus.edges.store import FolderStore
from caduceus.errors import Refused, Unavailable
from caduceus.kinds import Address, JobId, Stage
from caduceus.market.job_file import read_job_file, specify
from caduceus.market.terms import terms_of
from caduceus.market.work import work_of
from caduceus.ports import JobEntry
from caduceus.protocol.envelope import sign_record
from caduceus.protocol.job_messages import Offer
from caduceus.wiring.parties import BUYER, COORDINATOR
from suite_world import World, digest, embedded_world

ISSUER, HOLDER = SigningKey(bytes([1]) * 32), SigningKey(bytes([2]) * 32)
REQUEST = UseRequest(research=(Research.HEALTH,), country="DE", months=6, ethics="EK 7")
NONCE = bytes(range(16))


@dataclass
class Scene:
    """A steward with terms in the words of the ontology, a consortium that issues, and a job that asks."""

    world: World
    store: FolderStore
    statuses = all_valid(16, bits=2)

    def __post_init__(self) -> None:
        self.consortium = (
            self.world.party("evaluator") if "evaluator" in self.world.parties else self.world.party("site-2")
        )
        self.publish_statuses()

    def publish_statuses(self) -> None:
        self.consortium.wallet.publish_status(self.store.put(pack_list(self.statuses)))

    def steward(self, grant: Grant, **changes: object) -> Steward:
        issuer = Issuer("Consortium", ISSUER.public.thumbprint, self.consortium.address, ("country", "ethics"))
        use = UseTerms(Use(How.ALONE, grant), None, (issuer,), ("country",))
        terms = replace(TERMS, use=use, **changes)
        made = Steward(self.world.chain, self.world.party("site-0").wallet, self.store, CARD, terms, SCHEMA)
        made.join(self.world.party("site-0").signer.address, digest("agreement", "site-0"))
        return made

    def credential(self, *, index: int = 3, until: int = 4_000_000_000, **says: str) -> str:
        uri = f"{STATUS_URI}{self.consortium.address.hex()}"
        numbers = itertools.count()
        claims = {"vct": KIND, "iss": "Consortium", "exp": until, "status": {"status_list": {"idx": index, "uri": uri}}}
        return sd_jwt.issue(ISSUER, claims | says, tuple(says), HOLDER.public, salt=lambda: next(numbers).to_bytes(16))

    def shown(self, credential: str, *claims: str, nonce: bytes = NONCE, buyer: Address | None = None) -> bytes:
        who = self.world.party("buyer").address if buyer is None else buyer
        return sd_jwt.present(credential, claims, occasion_of(nonce, who), HOLDER, now=self.world.now()).encode()

    def job(self, *presentations: bytes, request: UseRequest = REQUEST, kept: bool = True) -> JobEntry:
        spec = specify(read_job_file(FILE, where="job.toml"), SCHEMA, nonce=NONCE, where="job.toml")
        names = tuple(self.store.put(one) if kept else canon.digest_bytes(one) for one in presentations)
        title = f"job {next(self.world.nonce)}"
        spec = replace(spec, title=title, use=replace(request, presentations=names))
        self.store.put(canon.pack(spec))
        buyer, coordinator = self.world.party("buyer"), self.world.party("coordinator")
        token = self.world.deployment.token
        terms = terms_of(spec, work_of(spec).max_rounds, token=token, coordinator=coordinator.address)
        buyer.wallet.open_job(terms)
        coordinator.wallet.accept(job := buyer.wallet.job_id(terms))
        return self.entry(job)

    def entry(self, job: JobId) -> JobEntry:
        entry = self.world.chain.job(job)
        assert entry is not None
        return entry


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(embedded_world(), FolderStore(tmp_path / "blobs"))


EU = Grant(Permission.HMB, (Modifier.GS,), regions=("EU",))


def test_a_statement_that_must_be_proved_counts_with_a_credential_and_not_without(scene):
    steward = scene.steward(EU)
    steward.publish()
    assert steward.consider(scene.job()).reasons == ("use GS: no trusted credential proves its country",)
    assert steward.consider(scene.job(scene.shown(scene.credential(country="DE"), "country"))).allowed


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda one: one.shown(one.credential(country="FR"), "country"), "proves its country"),
        (lambda one: one.shown(one.credential(country="DE")), "proves its country"),
        (
            lambda one: one.shown(one.credential(country="DE"), "country", nonce=bytes(16)),
            "another job or another buyer",
        ),
        (lambda one: one.shown(one.credential(country="DE"), "country", buyer=Address(bytes(20))), "another buyer"),
        (lambda one: one.shown(one.credential(country="DE", until=one.world.now()), "country"), "is expired"),
        (lambda one: one.shown(one.credential(country="DE", index=99), "country"), "not on its issuer's status list"),
        (lambda one: b"\xff", "not ASCII"),
        (lambda one: b"nothing", "not an SD-JWT"),
    ],
)
def test_a_credential_that_does_not_prove_it_is_named_with_its_reason(scene, make, why):
    steward = scene.steward(EU)
    steward.publish()
    reasons = steward.consider(scene.job(make(scene))).reasons
    assert reasons[0] == "use GS: no trusted credential proves its country"
    assert why in reasons[-1]


def test_a_credential_that_cannot_be_fetched_proves_nothing(scene):
    steward = scene.steward(EU)
    steward.publish()
    reasons = steward.consider(scene.job(scene.shown(scene.credential(country="DE"), "country"), kept=False)).reasons
    assert reasons[-1].startswith("credential 1:")


@pytest.mark.parametrize("status", [INVALID, SUSPENDED])
def test_a_revoked_credential_counts_no_more_and_others_still_do(scene, status):
    steward = scene.steward(EU)
    steward.publish()
    job = scene.job(scene.shown(scene.credential(country="DE"), "country"))
    steward.enrol(job.id, steward.dataset)
    assert steward.still_allows(job).allowed
    scene.statuses = scene.statuses.with_status(4, status)
    scene.publish_statuses()
    assert steward.still_allows(job).allowed
    scene.statuses = scene.statuses.with_status(3, status)
    scene.publish_statuses()
    assert "credential 1: it is revoked or suspended" in steward.still_allows(job).reasons
    scene.consortium.wallet.publish_status(digest("a list that nobody has"))
    assert not steward.still_allows(job).allowed


def test_a_limit_of_time_ends_a_job_that_was_allowed(scene):
    steward = scene.steward(Grant(Permission.HMB, (Modifier.TS,), months=6))
    steward.publish()
    job, begun = scene.job(), scene.world.now()
    steward.enrol(job.id, steward.dataset)
    allowed = steward.still_allows(job, begun)
    assert allowed.allowed
    assert allowed.obligations[0].startswith("end the use before ")
    assert allowed.until is not None
    scene.world.at_time(allowed.until - 1)
    scene.world.node.request("evm_mine", [])
    assert steward.still_allows(job, begun).allowed
    scene.world.pass_time(1)
    assert steward.still_allows(job, begun).reasons[0].startswith("use TS: use was approved until ")
    assert steward.still_allows(job, begun + 2 * DAY_SECONDS).allowed


def test_a_withdrawn_data_set_takes_part_no_more(scene):
    steward = scene.steward(Grant(Permission.HMB))
    dataset = steward.publish()
    job = scene.job()
    assert steward.still_allows(job).reasons == ("the data set was withdrawn",)  # it has no seat
    steward.enrol(job.id, dataset)
    assert steward.still_allows(job).allowed
    steward.wallet.withdraw_dataset(dataset)
    assert steward.still_allows(job).reasons == ("the data set was withdrawn",)


def test_records_are_counted_by_cards_once_all_seats_are_taken(scene):
    few, many = (scene.steward(Grant(Permission.HMB), minimum_cohort=number) for number in (100, 101))
    few.publish()
    job = scene.job()
    few.enrol(job.id, few.dataset)
    assert many.consider(job).allowed  # who else takes part is not known yet
    assert few.still_allows(job).allowed  # one seat, whose card says at least 100
    assert "do not show that a sum is over 101 records" in many.still_allows(job).reasons[0]
    assert "fewer than 101 records are at this site" in scene.steward(EU, minimum_here=101).consider(job).reasons


def test_terms_without_use_ask_the_chain_for_nothing_more(scene):
    class Nothing:
        def __getattr__(self, name: str) -> object:
            raise AssertionError(name)

    entry = scene.job()
    spec = scene.steward(EU).specification(entry)
    seen = look(TERMS, CARD, spec, entry, Nothing(), Nothing())  # type: ignore[arg-type]
    assert (seen.now, seen.proofs, seen.here) == (None, None, 100)


# ---------------------------------------------------------------- the check before anything leaves


class Gate:
    """A reactor behind terms that a test changes, and the block that it sees."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict, self.block, self.away, self.needs_chain = verdict, 1, False, False
        self.judged, self.told, self.answered = 0, list[tuple[str, ...]](), list[bytes]()
        self.gate = UnderTerms(
            self, judge=self.judge, now=self.now, turns=lambda found: found.until is not None, refused=self.told.append
        )

    def react(self, body: bytes) -> Sequence[bytes]:
        self.answered.append(body)
        return [b"answer"]

    def judge(self) -> Verdict:
        self.judged += 1
        if self.needs_chain:
            self.now()
        return self.verdict

    def now(self) -> int:
        if self.away:
            raise Unavailable("no node")
        return self.block


def test_a_verdict_is_made_once_a_block_and_refuses_with_its_reasons_told_once():
    gate = Gate(Verdict(()))
    assert [gate.gate.react(b"x") for _ in range(3)] == [[b"answer"]] * 3
    assert gate.judged == 1
    gate.verdict, gate.block = Verdict(("no more",)), 2
    for _ in range(3):
        with pytest.raises(Refused, match="no more"):
            gate.gate.react(b"x")
    assert (gate.judged, gate.told, len(gate.answered)) == (2, [("no more",)], 3)
    gate.verdict, gate.block = Verdict(()), 3
    assert gate.gate.react(b"x") == [b"answer"]


def test_the_settlement_is_signed_although_the_terms_have_ended():
    gate = Gate(Verdict(("no more",)))
    offer = sign_record(Signer(bytes([5]) * 32), bytes(32), Offer(JobId(bytes(32))))
    assert gate.gate.react(offer) == [b"answer"]
    assert gate.judged == 0


def test_with_the_chain_away_only_a_verdict_that_cannot_turn_stands():
    gate = Gate(Verdict(()))
    gate.away = True
    assert gate.gate.react(b"x") == [b"answer"]  # judged from what the chain once said
    gate = Gate(Verdict(()))
    gate.away = gate.needs_chain = True
    with pytest.raises(Unavailable):
        gate.gate.react(b"x")
    for verdict, stands in ((Verdict(()), True), (Verdict((), (), 9), False)):
        gate = Gate(verdict)
        gate.gate.react(b"x")
        gate.away = True
        if stands:
            assert gate.gate.react(b"x") == [b"answer"]
        else:
            with pytest.raises(Unavailable):
                gate.gate.react(b"x")


def test_what_an_issuer_can_revoke_turns_by_itself():
    use = UseTerms(Use(How.ALONE, Grant(Permission.GRU)), None, (Issuer("C", bytes(32), b"", ()),))
    assert not turns_by_itself(TERMS, Verdict(()))
    assert not turns_by_itself(replace(TERMS, use=use), Verdict(()))
    assert turns_by_itself(replace(TERMS, use=use), Verdict((), (), 5))
    account = replace(use, issuers=(Issuer("C", bytes(32), bytes(20), ()),))
    assert turns_by_itself(replace(TERMS, use=account), Verdict(()))


@pytest.mark.slow
def test_a_site_that_withdraws_in_the_middle_falls_silent_with_its_reason_and_is_paid_for_what_it_did(tmp_path: Path):
    with ExitStack() as stack:
        town = Town(tmp_path, stack, sites=("Ash", "Birch", "Cedar", "Elm"))
        steward = town.sites["Birch"].steward
        spec = town.brief.spec
        # Whoever waits for a silent site waits this long.
        town.brief = replace(town.brief, spec=replace(spec, deadlines=replace(spec.deadlines, exchange=4)))

        def withdraw(_who: str, event: Event) -> None:
            if event.what is Happened.ROUND and event.round == 2:
                steward.wallet.withdraw_dataset(steward.dataset)

        town.whispers = withdraw
        with town.open():
            town.give()
            town.join()
            town.greet()
            until(lambda: town.spokes[BUYER].is_connected)
            job = town.post()
            until(lambda: town.stage(job) >= Stage.ENROLLING, lambda: town.look(COORDINATOR), 30)
            until(lambda: len(town.chain.enrolments(job)) == 4, seconds=30, about=town.story)
            until(lambda: town.stage(job) >= Stage.SETTLING, lambda: town.look(COORDINATOR), 60, town.story)
            (declined,) = town.told(Happened.DECLINED, "Birch")
            assert declined.why == "the data set was withdrawn"
            assert town.told(Happened.ROUND)[-1].why == ""
            ended(town, job)
