"""What the gateway reads is what happened; a node that says otherwise is caught where it can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import pytest
from eth_abi.abi import encode

from caduceus import canon
from caduceus.contracts import load
from caduceus.crypto import sign
from caduceus.edges.gateway import Account, Deployment, GatewayChain, Node, check, deploy
from caduceus.edges.gateway import suite as named
from caduceus.edges.gateway.abi import unhex
from caduceus.errors import PeerFault, Refused, Unavailable
from caduceus.kinds import Address, JobId, Stage, Tokens
from caduceus.ports import Chain, Wallet
from suite_world import Play, World, digest, key_of, refused


def altered(deployment: Deployment, **changes: object) -> Deployment:
    """The deployment with some fields replaced."""
    values = {one.name: getattr(deployment, one.name) for one in fields(deployment)}  # type: ignore[arg-type]
    return Deployment(**(values | changes))


def created(world: World, name: str, *arguments: Address) -> Address:
    """One contract of the suite, deployed by the treasury."""
    code = load(name).bytecode + encode(["address"] * len(arguments), arguments)
    return Address(unhex(world.treasury.send(b"", code, f"{name}.constructor")["contractAddress"]))


def meddled(world: World, wanted: str, alter: Any) -> GatewayChain:
    """The world's chain through a node that alters its answers to one method."""
    honest = world.node.request

    def request(method: str, params: Sequence[Any]) -> Any:
        answer = honest(method, params)
        return alter(answer) if method == wanted else answer

    return GatewayChain(Node(request), world.deployment)


def test_the_gateway_is_what_the_ports_ask_for(world: World) -> None:
    for port, made in ((Chain, world.chain), (Wallet, world.party("buyer").wallet)):
        asked = {name for name in vars(port) if not name.startswith("_")}
        assert asked <= set(dir(made))


def test_the_domain_is_the_contracts_own(world: World) -> None:
    assert world.node.call(world.deployment.jobs, named.JOBS["domainSeparator"]) == (world.chain.domain,)


def test_what_does_not_exist_reads_as_nothing(world: World) -> None:
    nobody = Address(b"\x07" * 20)
    unheard = JobId(digest("unheard of"))
    assert world.chain.member(nobody) is None
    assert world.chain.dataset(digest("unheard of")) is None
    assert world.chain.job(unheard) is None
    for of_job in (world.chain.enrolments, world.chain.anchors, world.chain.omissions, world.chain.claims):
        assert of_job(unheard) == []
    assert world.chain.balance(world.deployment.token, nobody) == 0
    assert world.chain.credit(world.deployment.token, nobody) == 0


def test_jobs_and_data_sets_are_listed_in_the_order_of_their_making(world: World) -> None:
    jobs = [Play(world, sites=0).funded().id for _ in range(3)]
    assert list(world.chain.jobs())[-3:] == jobs
    site = world.party("site-0")
    given = [(digest("order", next(world.nonce)), digest("card"), digest("terms"), n, n) for n in range(3)]
    for values in given:
        site.wallet.register_dataset(*values)
    ids = [site.wallet.dataset_id(*values) for values in given]
    site.wallet.withdraw_dataset(ids[1])
    listed = list(world.chain.datasets())[-3:]
    assert [(entry.id, entry.active) for entry in listed] == [(ids[0], True), (ids[1], False), (ids[2], True)]
    assert [world.chain.dataset(name) for name in ids] == listed


def test_a_job_reads_the_same_at_every_stage_but_for_what_changed(world: World) -> None:
    play = Play(world, sites=2).completed([400, 500])
    entry = world.chain.job(play.id)
    assert entry is not None
    assert play.terms is not None
    for name in ("token", "price", "coordinator", "stake", "bond", "min_sites", "max_sites", "max_rounds", "spec"):
        assert getattr(entry, name) == getattr(play.terms, name)
    assert (entry.stage, entry.sites, entry.rounds, entry.payout) == (Stage.COMPLETED, 2, 1, 900)
    assert entry.head == play.head()
    assert entry.claims == play.claims([400, 500]).root
    assert entry.coordinator_signer == play.coordinator.signer.address


def test_the_beacon_is_the_hash_of_the_block_in_which_the_enrolment_closed(world: World) -> None:
    play = Play(world, sites=2).enrolling()
    sent = play.coordinator.wallet.start(play.id)
    block = world.node.request("eth_getBlockByNumber", [hex(sent.block), False])
    assert world.chain.beacon(play.id) == unhex(block["hash"])
    other = Play(world, sites=2).training()
    assert world.chain.beacon(other.id) != world.chain.beacon(play.id)
    play.anchor()
    world.pass_time(100)
    assert world.chain.beacon(play.id) == unhex(block["hash"])


def test_there_is_no_beacon_while_sites_can_still_enrol(world: World) -> None:
    play = Play(world, sites=2).enrolling()
    for job in (play.id, JobId(digest("unheard of"))):
        with pytest.raises(Refused, match=f"0x{job.hex()} has not started"):
            world.chain.beacon(job)


def test_a_node_that_shows_another_jobs_start_is_caught(world: World) -> None:
    first, second = (Play(world, sites=1).training() for _ in range(2))
    started = world.node.logs(world.deployment.jobs, [named.JOB_EVENTS["JobStarted"]], second.id, since=0)
    chain = meddled(world, "eth_getLogs", lambda _: started)
    assert chain.beacon(second.id) == world.chain.beacon(second.id)
    with pytest.raises(PeerFault, match="JobStarted does not fit"):
        chain.beacon(first.id)


def test_the_clock_is_the_newest_blocks(world: World) -> None:
    before = world.chain.now()
    world.pass_time(100)
    assert world.chain.now() == before + 100


def test_money_is_counted_in_whole_units(world: World) -> None:
    buyer, site = world.party("buyer"), world.party("site-0")
    token = world.deployment.token
    before = world.chain.balance(token, site.address)
    buyer.wallet.transfer(token, site.address, Tokens(7))
    assert world.chain.balance(token, site.address) == before + 7


def test_a_deployment_is_written_down_and_read_again(world: World) -> None:
    again = canon.unpack(Deployment, canon.pack(world.deployment))
    assert again == world.deployment
    check(world.node, again)


def test_a_node_of_another_chain_is_refused_with_both_numbers(world: World) -> None:
    with pytest.raises(Refused, match=r"chain 1337.*chain 1338"):
        GatewayChain(world.node, altered(world.deployment, chain_id=1338))


@pytest.mark.parametrize("name", ["members", "vouches", "datasets", "standing", "jobs", "statuses"])
def test_other_code_at_an_address_is_refused(world: World, name: str) -> None:
    for wrong in (world.deployment.token, Address(b"\x07" * 20)):
        with pytest.raises(Refused, match=f"0x{wrong.hex()} is not that of the contract {name.title()}"):
            GatewayChain(world.node, altered(world.deployment, **{name: wrong}))


def test_the_right_code_with_wrong_links_is_refused(world: World) -> None:
    other = deploy(world.treasury, supply=1)
    with pytest.raises(Refused, match=r"Jobs.members is"):
        check(world.node, altered(world.deployment, members=other.members))
    with pytest.raises(Refused, match=r"Jobs.datasets is"):
        check(world.node, altered(world.deployment, datasets=other.datasets))
    with pytest.raises(Refused, match=r"Jobs.vouches is"):
        check(world.node, altered(world.deployment, vouches=other.vouches))
    with pytest.raises(Refused, match=r"Jobs.standing is"):
        check(world.node, altered(world.deployment, standing=other.standing))
    foretold = world.treasury.creates(2)
    datasets = created(world, "Datasets", other.members, foretold)
    standing = created(world, "Standing", foretold)
    jobs = created(world, "Jobs", world.deployment.members, datasets, world.deployment.vouches, standing)
    with pytest.raises(Refused, match=r"Datasets.members is"):
        check(world.node, altered(world.deployment, datasets=datasets, standing=standing, jobs=jobs))


def test_data_sets_that_obey_another_spender_are_refused(world: World) -> None:
    spender = f"0x{named.DATASETS['spender'].selector.hex()}"

    def request(method: str, params: Sequence[Any]) -> Any:
        if method == "eth_call" and params[0]["data"] == spender:
            return f"0x{(bytes(12) + world.deployment.token).hex()}"
        return world.node.request(method, params)

    with pytest.raises(Refused, match=f"Datasets.spender is 0x{world.deployment.token.hex()}"):
        check(Node(request), world.deployment)


def test_jobs_are_not_deployed_to_data_sets_or_standing_that_expect_another_contract(world: World) -> None:
    at = world.deployment
    with refused("SpenderDiffers", at.jobs):
        created(world, "Jobs", at.members, at.datasets, at.vouches, at.standing)
    datasets = created(world, "Datasets", at.members, world.treasury.creates(1))
    # Asked before it is sent: run again afterwards, it would be created one address further and give another reason.
    treasury = Account(world.node, sign.Signer(key_of("treasury")))
    code = load("Jobs").bytecode + encode(["address"] * 4, [at.members, datasets, at.vouches, at.standing])
    with refused("RecorderDiffers", at.jobs):
        treasury.send(b"", code, "Jobs.constructor")


def test_an_account_foretells_where_its_next_contracts_will_be(world: World) -> None:
    foretold = [world.treasury.creates(ahead) for ahead in range(2)]
    assert [created(world, "Members"), created(world, "Members")] == foretold
    assert world.treasury.creates(0) not in foretold


def test_a_node_that_changes_a_specification_is_caught(world: World) -> None:
    play = Play(world, sites=0).funded()

    def forge(logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**log, "data": log["data"][:-64] + digest("another job").hex()} for log in logs]

    with pytest.raises(PeerFault, match="JobOpened does not fit"):
        meddled(world, "eth_getLogs", forge).job(play.id)


def test_a_node_that_changes_a_data_card_is_caught(world: World) -> None:
    name = world.dataset("site-0")

    def forge(logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**log, "data": log["data"][:-1] + "7"} for log in logs]

    chain = meddled(world, "eth_getLogs", forge)
    with pytest.raises(PeerFault, match="DatasetRegistered does not fit"):
        chain.dataset(name)


def test_a_node_that_forgot_old_logs_is_unavailable(world: World) -> None:
    play = Play(world, sites=0).funded()
    with pytest.raises(Unavailable, match="keeps old logs"):
        meddled(world, "eth_getLogs", lambda _: []).job(play.id)


def test_a_node_that_sends_something_else_is_refused(world: World) -> None:
    play = Play(world, sites=1).enrolling()
    opened = world.node.logs(world.deployment.jobs, [named.JOB_EVENTS["JobOpened"]], since=0)
    with pytest.raises(Refused, match=r"another event where Jobs.SiteEnrolled"):
        meddled(world, "eth_getLogs", lambda _: opened).enrolments(play.id)
    with pytest.raises(Refused, match=r"data of Jobs.SiteEnrolled"):
        meddled(world, "eth_getLogs", lambda logs: [{**log, "data": "0x00"} for log in logs]).enrolments(play.id)
    chain = meddled(world, "eth_call", lambda data: data)
    assert chain.job(play.id) is not None


def test_a_node_that_limits_log_queries_is_asked_in_pieces(world: World) -> None:
    play = Play(world, sites=3).training(rounds=4)
    asked: list[tuple[int, int]] = []

    def request(method: str, params: Sequence[Any]) -> Any:
        if method == "eth_getLogs":
            first, last = (int(params[0][end], 16) for end in ("fromBlock", "toBlock"))
            asked.append((first, last))
            assert last - first < 5
        return world.node.request(method, params)

    pieces = GatewayChain(Node(request, log_span=5), altered(world.deployment, block=world.node.height() - 30))
    assert pieces.anchors(play.id) == world.chain.anchors(play.id)
    assert [first for first, _ in asked[1:]] == [last + 1 for _, last in asked[:-1]]
    assert asked[-1][1] == world.node.height()


def test_an_account_is_shown_by_its_address_and_never_by_its_key(world: World) -> None:
    account = world.account("treasury")
    assert key_of("treasury").hex() not in repr(account)
    assert sign.Signer(key_of("treasury")).address.hex() in repr(account)
