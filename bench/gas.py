"""What every transaction costs, from receipts.

    python bench/gas.py            measure, print the table, write bench/gas.json
    python bench/gas.py --check    measure, and fail if a figure left the committed table by more than 5 %

Runs the contracts on the embedded chain, whose receipts are those of a node (a differential test says so). All keys,
and so all figures, are the same in every run; rosters of 4 and of 466 sites show what depends on the roster.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # the parties and jobs that the contracts' tests play with

from caduceus.contracts import load  # noqa: E402
from caduceus.crypto import merkle, sign  # noqa: E402
from caduceus.edges.gateway import suite  # noqa: E402
from caduceus.edges.gateway.abi import contract  # noqa: E402
from caduceus.edges.heads import deploy_heads  # noqa: E402
from caduceus.kinds import Digest, Readiness, Role, Seat, Tokens  # noqa: E402
from caduceus.market.costs import Costs  # noqa: E402
from caduceus.market.ledger import Anchor, JobTerms  # noqa: E402
from caduceus.market.standing import Observation  # noqa: E402
from caduceus.ports import Sent  # noqa: E402
from suite_world import Party, Play, World, digest, embedded_world, leaf_data  # noqa: E402

TABLE = ROOT / "bench" / "gas.json"
ROSTERS = (4, 466)
TOLERANCE = 0.05
_SUMS = 40

Table = dict[str, int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show, and write or check; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with bench/gas.json instead of writing it")
    check = parser.parse_args(arguments).check
    table = measure(ROSTERS)
    width = max(map(len, table))
    for what, gas in table.items():
        print(f"{what:<{width}}  {gas:>10,}")
    if check:
        problems = differences(table, committed())
        print("\n".join(problems) or "all within 5 % of bench/gas.json")
        return 1 if problems else 0
    artifact = load("Jobs")
    document = {"compiler": artifact.compiler, "settings": artifact.settings, "gas": table}
    TABLE.write_text(json.dumps(document, indent=1) + "\n")
    return 0


def committed() -> Table:
    """The table in the repository."""
    table: Table = json.loads(TABLE.read_text())["gas"]
    return table


def differences(table: Mapping[str, int], known: Mapping[str, int]) -> list[str]:
    """A line for every figure that is new, gone, or off by more than 5 %."""
    lines = [f"{what}: new, {table[what]}" for what in table.keys() - known.keys()]
    lines += [f"{what}: gone" for what in known.keys() - table.keys()]
    lines += [
        f"{what}: {known[what]} before, {table[what]} now"
        for what in table.keys() & known.keys()
        if abs(table[what] - known[what]) > TOLERANCE * known[what]
    ]
    return sorted(lines)


def measure(rosters: Sequence[int]) -> Table:
    """Gas by what was done, for rosters of the given sizes."""
    world = embedded_world(*(f"site-{seat}" for seat in range(max(rosters))))
    table: Table = {}
    table |= _members_and_datasets(world)
    table |= _opening(world)
    for sites in rosters:
        table |= {f"{what}, {sites} sites": gas for what, gas in _job(world, sites).items()}
        table |= {f"{what}, {sites} sites": gas for what, gas in _disputes(world, sites).items()}
        table |= {f"{what}, {sites} sites": gas for what, gas in _standing(world, sites).items()}
    table |= _privacy(world)
    table["Jobs.expire, training"] = _expiry(world)
    table |= _heads(world)
    return table


def _heads(world: World) -> Table:
    """A private network's heads, as its account records them."""
    keeper, genesis, place = world.newcomer("specialist"), digest("genesis"), deploy_heads(world.treasury)

    def heads(function: str, *arguments: object) -> Sent:
        return keeper.account.invoke(place.address, contract("Heads").functions[function], *arguments)

    sent = {
        "Heads.register": heads("register", genesis),
        "Heads.record, first": heads("record", genesis, 1_000_000, digest("block", 1)),
        "Heads.record, later": heads("record", genesis, 2_000_000, digest("block", 2)),
    }
    return _gas(sent)


def _members_and_datasets(world: World) -> Table:
    newcomer = world.newcomer("newcomer")
    at = world.deployment

    def member(function: str, *arguments: object) -> Sent:
        return newcomer.account.invoke(at.members, suite.MEMBERS[function], *arguments)

    sent = {
        "Members.register": member("register", 1, newcomer.signer.address, digest("key"), digest("profile")),
        "Members.rekey": member("rekey", newcomer.signer.address, digest("another key")),
        "Members.setRoles": member("setRoles", 3),
        "Datasets.register, first": _register(newcomer, 1),
        "Datasets.register, later": _register(newcomer, 2),
        "Datasets.stateReadiness, first": _state(newcomer, 1, Readiness.CONDITIONAL),
        "Datasets.stateReadiness, later": _state(newcomer, 1, Readiness.READY),
        "Datasets.supersede": _supersede(newcomer, 2, digest("newer records")),
        "Datasets.withdraw": newcomer.wallet.withdraw_dataset(newcomer.wallet.dataset_id(*_dataset(1))),
        "Statuses.publish, first": newcomer.wallet.publish_status(digest("status list", 1)),
        "Statuses.publish, later": newcomer.wallet.publish_status(digest("status list", 2)),
        "Members.resign": member("resign"),
    }
    return _gas(sent)


def _state(steward: Party, number: int, verdict: Readiness) -> Sent:
    dataset = steward.wallet.dataset_id(*_dataset(number))  # type: ignore[arg-type]
    return steward.wallet.state_readiness(dataset, digest("report", int(verdict)), verdict)


def _supersede(steward: Party, number: int, commitment: Digest) -> Sent:
    dataset = steward.wallet.dataset_id(*_dataset(number))  # type: ignore[arg-type]
    return steward.wallet.supersede_dataset(dataset, commitment, digest("newer card"), digest("newer terms"))


def _dataset(number: int) -> tuple[bytes, bytes, bytes, int, int]:
    return digest("commitment", number), digest("card", number), digest("terms", number), 0, 0


def _register(steward: Party, number: int) -> Sent:
    return steward.wallet.register_dataset(*_dataset(number))  # type: ignore[arg-type]


def _opening(world: World) -> Table:
    """Both parties hold tokens already, and the buyer allows exactly the price each time."""
    buyer, token = world.party("buyer"), world.deployment.token
    Play(world, sites=0).funded()
    price = Tokens(25_000_000)
    terms = [replace(world.terms(), price=price, stake=Tokens(1_000_000), bond=Tokens(5_000_000)) for _ in range(2)]
    sent = {"DemoToken.approve": buyer.wallet.approve(token, price)}
    sent["Jobs.openAndFund"] = buyer.wallet.open_job(terms[0])
    sent["Jobs.open"] = buyer.do("open", suite.terms_tuple(terms[1]))
    buyer.wallet.approve(token, price)
    sent["Jobs.fund"] = buyer.do("fund", buyer.wallet.job_id(terms[1]))
    sent["Jobs.cancel, funded"] = buyer.wallet.cancel(buyer.wallet.job_id(terms[1]))
    sent["Jobs.withdraw"] = buyer.wallet.withdraw(token)
    buyer.wallet.approve(token, Tokens(10**9))
    return _gas(sent)


def _job(world: World, sites: int) -> Table:
    """A job that goes well, from acceptance to the last claim."""
    play = Play(world, sites=sites, terms=_terms(world, sites))
    play.funded()
    sent = {"Jobs.accept": play.coordinator.wallet.accept(play.id)}
    for seat in range(sites):
        enrolled = play.site(seat).wallet.enrol(play.id, world.dataset(f"site-{seat}"))
        sent.setdefault("Jobs.enrol, first", enrolled)
        sent["Jobs.enrol, later"] = enrolled
    sent["Jobs.start"] = play.coordinator.wallet.start(play.id)
    sent["Jobs.anchor, first"] = play.anchor()
    sent["Jobs.anchor, later"] = play.anchor()
    entries = [play.entry(0)] * 10
    later = [replace(entry, round=2 + offset) for offset, entry in enumerate(entries)]
    sent["Jobs.anchorMany, ten rounds"] = play.coordinator.wallet.anchor(play.id, later)
    play.leaves += [play.leaves[0]] * 10
    sent["Jobs.settle"] = _settle(play)
    world.pass_time(301)
    sent["Jobs.complete"] = play.coordinator.wallet.complete(play.id)
    tree = play.claims([100] * sites)
    sent["Jobs.claim, first"] = play.site(0).wallet.claim(play.id, Tokens(100), 0, tree.proof(0))
    sent["Jobs.claim, later"] = play.site(1).wallet.claim(play.id, Tokens(100), 1, tree.proof(1))
    sent["Jobs.claim, stake alone"] = play.site(2).wallet.claim(play.id, Tokens(0), 0, [])
    sent["Jobs.claim, bond"] = play.coordinator.wallet.claim(play.id, Tokens(0), 0, [])
    return _gas(sent)


def _terms(world: World, sites: int) -> JobTerms:
    """Blocks are a second apart, so a large roster needs time to enrol."""
    return world.terms(max_sites=sites, price=Tokens(100 * sites), enrol_for=100_000)


def _settle(play: Play) -> Sent:
    """With the smallest quorum: just more than two thirds of the sites."""
    play.given = [100] * play.sites
    claims = play.claims(play.given).root
    head = play.world.chain.job(play.id)
    assert head is not None
    struct = sign.Settlement(play.id, head.head, claims, 100 * play.sites, play.slashed)
    message = sign.digest(play.world.chain.domain, struct)
    quorum = range(2 * play.sites // 3 + 1)
    signed = [(Seat(seat), play.site(seat).signer.sign(message)) for seat in quorum]
    return play.coordinator.wallet.settle(play.id, claims, Tokens(100 * play.sites), signed, play.slashed)


def _disputes(world: World, sites: int) -> Table:
    """A false complaint, answered; a leaf that nobody signed, disputed; a true complaint, upheld."""
    play = _dishonest(world, sites)
    last, seat = len(play.leaves) - 1, sites - 1
    site = play.site(seat)
    leaf = play.leaf(last, seat)
    sent = {
        "Jobs.challengeOmission": site.wallet.challenge_omission(
            play.id, last, Seat(seat), leaf, play.receipt(last, seat, leaf)
        ),
        "Jobs.answerOmission, last of two rounds": play.coordinator.wallet.answer_omission(
            play.id, last, Seat(seat), leaf, play.tree(last).proof(seat)
        ),
        "Jobs.disputeLeaf, first of two rounds": play.buyer.wallet.dispute_leaf(
            play.id, 0, Seat(0), play.leaves[0][0], b"\x01" * 65, play.tree(0).proof(0)
        ),
    }
    play = _dishonest(world, sites)
    promised = merkle.leaf(b"left out")
    play.site(1).wallet.challenge_omission(play.id, 1, Seat(1), promised, play.receipt(1, 1, promised))
    world.pass_time(301)
    sent["Jobs.upholdOmission"] = play.buyer.wallet.uphold_omission(play.id, Seat(1))
    return _gas(sent)


def _dishonest(world: World, sites: int) -> Play:
    """A settled job of two rounds, in the first of which the coordinator signed for seat 0."""
    play = Play(world, sites=sites, terms=_terms(world, sites))
    play.training()
    play.anchor({0: leaf_data(play.id, 0, 0, digest("body"), b"\x01" * 65)})
    play.anchor()
    _settle(play)
    return play


def _standing(world: World, sites: int) -> Table:
    """A job among vouched sites: one is shown to have signed two uploads, and one is slashed by the quorum.

    Another job among the same entities is recorded once more: then there is a standing already.
    """
    attester = world.party("attester", Role.ATTESTER)
    sent: dict[str, Sent] = {}
    for seat in range(sites):
        account = world.party(f"site-{seat}").address
        if world.chain.entity_of(attester.address, account) is None:
            sent["Vouches.vouch"] = attester.wallet.vouch(account, digest("entity", seat))
    for time in ("first", "later"):
        play = _vouched_job(world, sites, attester, sent)
        if time == "first":
            sent["Jobs.slashEquivocation"] = play.buyer.wallet.slash_equivocation(play.equivocation(2))
            play.slashed = (Seat(1),)
        settled = _settle(play)
        world.pass_time(301)
        completed = play.coordinator.wallet.complete(play.id)
        if time == "first":
            sent["Jobs.settle, one seat slashed"] = settled
            sent["Jobs.complete, one stake forfeited"] = completed
        sent[f"Jobs.recordStanding, {time}"] = play.record(0)
    sent["Standing.burn"] = attester.wallet.burn_standing(digest("entity", 0))
    sent["Vouches.revoke"] = attester.wallet.revoke_vouch(world.party("site-0").address)
    return _gas(sent)


def _vouched_job(world: World, sites: int, attester: Party, sent: dict[str, Sent]) -> Play:
    """In training, with a round; what it says of each site is not of round numbers only."""
    terms = replace(_terms(world, sites), attester=attester.address)
    play = Play(world, sites=sites, terms=terms, observations=[Observation(987_654, 123_456)] * sites)
    sent["Jobs.openAndFund, vouched"] = play.buyer.wallet.open_job(terms)
    play.id = play.buyer.wallet.job_id(terms)
    play.coordinator.wallet.accept(play.id)
    for seat in range(sites):
        sent["Jobs.enrol, vouched"] = play.enrol(seat)
    play.coordinator.wallet.start(play.id)
    play.anchor()
    return play


def _privacy(world: World) -> Table:
    """A job of forty sums that spends a site's privacy budget, in the middle of which the coordinator falls silent."""
    site, buyer, coordinator = world.party("site-0"), world.party("buyer"), world.party("coordinator")
    costs = Costs(tuple((100_000 * sums, 50_000 * sums) for sums in range(_SUMS + 1)))
    values = (digest("commitment"), digest("card"), digest("terms"), 9_000_000, 9_000_000)
    dataset = site.wallet.dataset_id(*values)
    sent = {"Datasets.register, with a budget": site.wallet.register_dataset(*values)}
    newer = digest("newer records"), digest("newer card"), digest("terms")
    sent["Datasets.supersede, with a budget"] = site.wallet.supersede_dataset(dataset, *newer)
    dataset = site.wallet.superseding_id(dataset, *newer, *values[3:])
    site.wallet.state_readiness(dataset, digest("report"), Readiness.READY)
    terms = world.private_terms(costs, readiness=Readiness.READY)
    job = buyer.wallet.job_id(terms)
    sent["Jobs.openAndFund, private"] = buyer.wallet.open_job(terms)
    coordinator.wallet.accept(job)
    sent["Jobs.enrol, private"] = site.wallet.enrol(job, dataset)
    coordinator.wallet.start(job)
    rounds = range(_SUMS // 2)
    coordinator.wallet.anchor(job, [Anchor(n, digest("root"), digest("model"), digest("record")) for n in rounds])
    world.pass_time(3601)
    buyer.wallet.expire(job)
    half = costs.at(len(rounds))
    sent["Jobs.releaseBudget, of forty sums"] = site.wallet.release_budget(
        job, Seat(0), terms, half, costs.proof(half.sums)
    )
    return _gas(sent)


def _expiry(world: World) -> int:
    play = Play(world, sites=1).training()
    world.pass_time(3601)
    return play.buyer.wallet.expire(play.id).gas


def _gas(sent: Mapping[str, Sent]) -> Table:
    return {what: one.gas for what, one in sent.items()}


if __name__ == "__main__":
    sys.exit(main())
