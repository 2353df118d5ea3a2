"""More than two thirds of the sites sign what is paid; then there is time to object; then it is final."""

from __future__ import annotations

import pytest

from caduceus.crypto import sign
from caduceus.edges.gateway import suite
from caduceus.kinds import Digest, Seat, Stage, Tokens
from suite_world import Party, Play, World, digest, refused


def signed(play: Play, seats: list[int], payout: int = 900) -> tuple[Digest, list[tuple[Seat, bytes]]]:
    claims = play.claims(play.amounts()).root
    return claims, [(Seat(seat), play.consent(seat, claims, payout)) for seat in seats]


@pytest.mark.parametrize(("sites", "quorum"), [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (6, 5), (7, 5)])
def test_more_than_two_thirds_settle_and_two_thirds_do_not(world: World, sites: int, quorum: int) -> None:
    play = Play(world, sites=sites).training(rounds=1)
    claims, signatures = signed(play, list(range(sites)))
    with refused("QuorumMissing", quorum - 1, quorum):
        play.coordinator.wallet.settle(play.id, claims, Tokens(900), signatures[: quorum - 1])
    play.coordinator.wallet.settle(play.id, claims, Tokens(900), signatures[-quorum:])
    entry = world.chain.job(play.id)
    assert entry is not None
    assert entry.stage is Stage.SETTLING
    assert (entry.claims, entry.payout) == (claims, 900)
    assert entry.deadline == world.now() + 300


def test_one_seat_does_not_count_twice(world: World) -> None:
    play = Play(world, sites=4).training(rounds=1)
    claims, signatures = signed(play, [0, 1])
    one, two = (signature for _, signature in signatures)
    for seats, given in (([0, 1, 1], [one, two, two]), ([1, 0, 1], [two, one, two])):
        with refused("SeatsUnordered"):
            play.coordinator.do("settle", play.id, claims, 900, [], seats, given)


def test_a_signature_by_anybody_else_does_not_count(world: World) -> None:
    play = Play(world, sites=3).training(rounds=1)
    claims, signatures = signed(play, [0, 1, 2])
    struct = sign.Settlement(play.id, play.head(), claims, 900)
    foreign = play.coordinator.signer.sign(sign.digest(world.chain.domain, struct))
    with refused("SignatureInvalid", 1):
        play.coordinator.wallet.settle(play.id, claims, Tokens(900), [signatures[0], (Seat(1), foreign), signatures[2]])
    with refused("SeatUnknown", 3, 3):
        play.coordinator.wallet.settle(play.id, claims, Tokens(900), [*signatures[:2], (Seat(3), foreign)])
    with refused("SignaturesUnpaired", 3, 2):
        play.coordinator.do("settle", play.id, claims, 900, [], [0, 1, 2], [s for _, s in signatures[:2]])


def test_a_signature_in_any_other_form_does_not_count(world: World) -> None:
    play = Play(world, sites=1).training(rounds=1)
    claims, [(_, good)] = signed(play, [0])
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high = (order - int.from_bytes(good[32:64])).to_bytes(32)
    bad = {
        "the other half of s": good[:32] + high + bytes([55 - good[64]]),
        "v of 0 or 1": good[:64] + bytes([good[64] - 27]),
        "short": good[:64],
        "long": good + b"\x00",
        "empty": b"",
        "zero": bytes(65),
    }
    for form, signature in bad.items():
        with refused("SignatureInvalid", 0):
            play.coordinator.wallet.settle(play.id, claims, Tokens(900), [(Seat(0), signature)])
        assert form
    play.coordinator.wallet.settle(play.id, claims, Tokens(900), [(Seat(0), good)])


@pytest.mark.parametrize("other", ["job", "head", "claims", "payout", "contract", "chain"])
def test_a_signature_is_for_this_job_head_claims_payout_and_contract_only(world: World, other: str) -> None:
    play = Play(world, sites=1).training(rounds=1)
    claims = play.claims(play.amounts()).root
    struct = sign.Settlement(
        digest("another") if other == "job" else play.id,
        digest("another") if other == "head" else play.head(),
        digest("another") if other == "claims" else claims,
        901 if other == "payout" else 900,
    )
    contract = world.deployment.datasets if other == "contract" else world.deployment.jobs
    domain = sign.domain_separator(world.deployment.chain_id + (other == "chain"), contract)
    signature = play.site(0).signer.sign(sign.digest(domain, struct))
    with refused("SignatureInvalid", 0):
        play.coordinator.wallet.settle(play.id, claims, Tokens(900), [(Seat(0), signature)])


def test_a_round_anchored_after_signing_voids_the_signatures(world: World) -> None:
    play = Play(world, sites=1).training(rounds=1)
    claims, signatures = signed(play, [0])
    play.anchor()
    with refused("SignatureInvalid", 0):
        play.coordinator.wallet.settle(play.id, claims, Tokens(900), signatures)


def test_a_settlement_pays_at_most_the_price(world: World) -> None:
    play = Play(world, sites=1).training(rounds=1)
    claims, signatures = signed(play, [0], payout=1001)
    with refused("PayoutAbovePrice", 1001, 1000):
        play.coordinator.wallet.settle(play.id, claims, Tokens(1001), signatures)
    claims, signatures = signed(play, [0], payout=1000)
    play.coordinator.wallet.settle(play.id, claims, Tokens(1000), signatures)


def test_a_settlement_is_about_something(world: World) -> None:
    play = Play(world, sites=1).training()
    claims, signatures = signed(play, [0])
    with refused("NothingAnchored"):
        play.coordinator.wallet.settle(play.id, claims, Tokens(900), signatures)


def test_only_the_coordinator_settles_once_and_in_time(world: World) -> None:
    play = Play(world, sites=1).training(rounds=1)
    claims, signatures = signed(play, [0])
    with refused("NotCoordinator", play.site(0).address, play.coordinator.address):
        play.site(0).wallet.settle(play.id, claims, Tokens(900), signatures)
    play.coordinator.wallet.settle(play.id, claims, Tokens(900), signatures)
    with refused("WrongStage", play.id, Stage.SETTLING):
        play.coordinator.wallet.settle(play.id, claims, Tokens(900), signatures)
    late = Play(world, sites=1).training(rounds=1)
    claims, signatures = signed(late, [0])
    world.pass_time(3601)
    with refused("DeadlinePassed"):
        late.coordinator.wallet.settle(late.id, claims, Tokens(900), signatures)


def test_the_last_second_of_a_deadline_still_counts_and_the_next_does_not(world: World) -> None:
    play = Play(world, sites=1).training(rounds=1)
    entry = world.chain.job(play.id)
    assert entry is not None
    world.at_time(entry.deadline)
    play.settle()
    entry = world.chain.job(play.id)
    assert entry is not None
    world.at_time(entry.deadline)
    with refused("DeadlineAhead", entry.deadline, entry.deadline):
        play.coordinator.wallet.complete(play.id)
    world.at_time(entry.deadline + 1)
    play.coordinator.wallet.complete(play.id)


def test_anyone_completes_after_the_window_and_the_rest_of_the_price_goes_back(world: World, stranger: Party) -> None:
    play = Play(world).settling()
    token, buyer = world.deployment.token, play.buyer.address
    before = world.chain.credit(token, buyer)
    with refused("DeadlineAhead"):
        stranger.wallet.complete(play.id)
    world.pass_time(301)
    stranger.wallet.complete(play.id)
    assert world.chain.credit(token, buyer) == before + 100
    entry = world.chain.job(play.id)
    assert entry is not None
    assert entry.stage is Stage.COMPLETED
    with refused("WrongStage", play.id, Stage.COMPLETED):
        stranger.wallet.complete(play.id)


@pytest.mark.parametrize(("reach", "wait"), [("opened", 601), ("funded", 601), ("enrolling", 601), ("training", 3601)])
def test_anyone_ends_a_job_whose_stage_ran_out_and_everything_goes_back(
    world: World, stranger: Party, reach: str, wait: int
) -> None:
    token = world.deployment.token
    play = Play(world, sites=2)
    held = world.held()
    before = world.chain.credit(token, play.buyer.address)
    if reach == "opened":
        play.terms = world.terms()
        play.id = play.buyer.wallet.job_id(play.terms)
        play.buyer.do("open", suite.terms_tuple(play.terms))
    else:
        getattr(play, reach)()
    with refused("DeadlineAhead"):
        stranger.wallet.expire(play.id)
    world.pass_time(wait)
    stranger.wallet.expire(play.id)
    entry = world.chain.job(play.id)
    assert entry is not None
    assert entry.stage is Stage.EXPIRED
    paid = 0 if reach == "opened" else 1000
    assert world.chain.credit(token, play.buyer.address) == before + paid
    if reach in ("enrolling", "training"):
        for party, back in ((play.site(0), 10), (play.site(1), 10), (play.coordinator, 50)):
            purse = world.chain.balance(token, party.address)
            party.wallet.claim(play.id, Tokens(0), 0, [])
            assert world.chain.balance(token, party.address) == purse + back
    assert world.held() == held + paid
    with refused("WrongStage", play.id, Stage.EXPIRED):
        stranger.wallet.expire(play.id)


@pytest.mark.parametrize("reach", ["settling", "completed"])
def test_a_settled_job_does_not_expire(world: World, stranger: Party, reach: str) -> None:
    play = Play(world, sites=1)
    getattr(play, reach)()
    world.pass_time(10_000)
    with refused("WrongStage", play.id, Stage[reach.upper()]):
        stranger.wallet.expire(play.id)


def test_what_does_not_exist_does_not_expire_or_complete(stranger: Party) -> None:
    for function in ("expire", "complete"):
        with refused("WrongStage", digest("unheard of"), Stage.NONE):
            stranger.do(function, digest("unheard of"))
