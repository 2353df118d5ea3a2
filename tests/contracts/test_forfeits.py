"""A stake is lost on evidence only, and what is lost goes to nobody."""

from __future__ import annotations

from dataclasses import replace

import pytest

from caduceus.crypto import sign
from caduceus.kinds import JobId, Seat, Stage, Tokens
from caduceus.market.ledger import NOBODY, Equivocated
from caduceus.market.slashing import check_equivocation
from suite_world import Party, Play, World, digest, refused

STAKE = 10


def lost(world: World) -> int:
    """All stakes that were ever forfeited, in the demo token."""
    return world.chain.credit(world.deployment.token, NOBODY)


def pulled(world: World, play: Play, seat: int) -> int:
    """What a site gets back when it asks for its stake alone; 0 if that is refused because it is owed nothing."""
    site = play.site(seat)
    before = world.chain.balance(world.deployment.token, site.address)
    site.wallet.claim(play.id, Tokens(0), 0, [])
    return world.chain.balance(world.deployment.token, site.address) - before


# ---------------------------------------------------------------- two uploads for one round


@pytest.mark.parametrize("reach", ["enrolling", "training", "settling", "completed"])
def test_anyone_shows_two_uploads_for_one_round_and_the_stake_goes_to_nobody(
    world: World, stranger: Party, reach: str
) -> None:
    play = Play(world)
    getattr(play, reach)()
    before, held = lost(world), world.held()
    found = play.equivocation(1, round_=4)
    check_equivocation(found, signer=play.site(1).signer.address, domain=world.chain.domain)
    stranger.wallet.slash_equivocation(found)
    assert lost(world) == before + STAKE
    assert world.held() == held
    assert world.chain.equivocations(play.id) == [Equivocated(Seat(1), 4)]
    assert world.chain.slashed(play.id) == []


@pytest.mark.parametrize("end", ["completed", "expired", "rejected"])
def test_what_was_forfeited_does_not_come_back_however_the_job_ends(world: World, end: str) -> None:
    play = Play(world).training(rounds=1)
    play.buyer.wallet.slash_equivocation(play.equivocation(0))
    if end == "expired":
        world.pass_time(3601)
        play.buyer.wallet.expire(play.id)
    else:
        play.settle()
    if end == "rejected":
        leaf = digest("left out")
        play.site(1).wallet.challenge_omission(play.id, 0, Seat(1), leaf, play.receipt(0, 1, leaf))
        world.pass_time(301)
        play.buyer.wallet.uphold_omission(play.id, Seat(1))
    if end == "completed":
        world.pass_time(301)
        play.buyer.wallet.complete(play.id)
    with refused("NothingToClaim", play.id, play.site(0).address):
        pulled(world, play, 0)
    assert pulled(world, play, 1) == STAKE
    entry = world.chain.job(play.id)
    assert entry is not None
    assert entry.stage is Stage[end.upper()]


def test_a_forfeited_stake_leaves_the_reward_to_the_settlement(world: World) -> None:
    play = Play(world).completed()
    play.buyer.wallet.slash_equivocation(play.equivocation(2))
    site = play.site(2)
    before = world.chain.balance(world.deployment.token, site.address)
    site.wallet.claim(play.id, Tokens(300), 2, play.claims(play.amounts()).proof(2))
    assert world.chain.balance(world.deployment.token, site.address) == before + 300


def test_nobody_can_pull_what_is_credited_to_nobody(world: World, stranger: Party) -> None:
    play = Play(world).training(rounds=1)
    stranger.wallet.slash_equivocation(play.equivocation(0))
    token = world.deployment.token
    with refused("NothingToWithdraw", token, stranger.address):
        stranger.wallet.withdraw(token)
    assert lost(world) >= STAKE


def test_a_stake_is_lost_once(world: World, stranger: Party) -> None:
    play = Play(world).training(rounds=1)
    stranger.wallet.slash_equivocation(play.equivocation(0))
    for round_ in (0, 1):
        with refused("StakeGone", 0):
            stranger.wallet.slash_equivocation(play.equivocation(0, round_))


def test_a_stake_that_was_pulled_cannot_be_lost_any_more(world: World, stranger: Party) -> None:
    play = Play(world).completed()
    assert pulled(world, play, 0) == STAKE
    with refused("StakeGone", 0):
        stranger.wallet.slash_equivocation(play.equivocation(0))


def test_one_upload_shown_twice_is_no_equivocation(world: World, stranger: Party) -> None:
    play = Play(world).training(rounds=1)
    found = play.equivocation(0)
    (one, _), (signed, _) = found.bodies, found.signatures
    with refused("BodiesEqual", one):
        stranger.wallet.slash_equivocation(replace(found, bodies=(one, one), signatures=(signed, signed)))


@pytest.mark.parametrize("other", ["round", "seat", "job", "contract", "signer", "kind", "form"])
def test_what_was_not_signed_as_an_upload_of_this_very_seat_and_round_convinces_nobody(
    world: World, stranger: Party, other: str
) -> None:
    """The coordinator holds signed uploads of many rounds and jobs; no two of them may do for one."""
    play = Play(world).training(rounds=1)
    found = play.equivocation(0)
    second = found.bodies[1]
    domain, signer = world.chain.domain, play.site(0).signer
    struct: sign.Struct = sign.Upload(
        JobId(digest("another job")) if other == "job" else play.id,
        1 if other == "round" else 0,
        1 if other == "seat" else 0,
        second,
    )
    if other == "contract":
        domain = sign.domain_separator(world.deployment.chain_id, world.deployment.datasets)
    if other == "signer":
        signer = play.site(1).signer
    if other == "kind":
        struct = sign.Receipt(play.id, 0, 0, second)
    signature = signer.sign(sign.digest(domain, struct))
    if other == "form":
        signature = found.signatures[1][:64] + bytes([found.signatures[1][64] - 27])
    for signatures, bodies in (
        ((found.signatures[0], signature), found.bodies),
        ((signature, found.signatures[0]), found.bodies[::-1]),
    ):
        with refused("SignatureInvalid", 0):
            stranger.wallet.slash_equivocation(replace(found, bodies=bodies, signatures=signatures))


def test_seats_that_are_not_there_have_no_stake(world: World, stranger: Party) -> None:
    play = Play(world, sites=2).training(rounds=1)
    with refused("SeatUnknown", 2, 2):
        stranger.wallet.slash_equivocation(play.equivocation(2))
    with refused("SeatUnknown", 0, 0):
        stranger.wallet.slash_equivocation(replace(play.equivocation(0), job=JobId(digest("unheard of"))))


# ---------------------------------------------------------------- by the quorum that settles


def settled_without(world: World, *seats: int, sites: int = 4) -> Play:
    play = Play(world, sites=sites, slashed=tuple(Seat(seat) for seat in seats))
    return play.settling()


def test_a_settlement_forfeits_stakes_when_it_stands_and_not_before(world: World) -> None:
    before = lost(world)
    play = settled_without(world, 1, 3)
    entry = world.chain.job(play.id)
    assert entry is not None
    assert entry.forfeits == 2
    assert world.chain.slashed(play.id) == [1, 3]
    assert lost(world) == before
    world.pass_time(301)
    play.buyer.wallet.complete(play.id)
    assert lost(world) == before + 2 * STAKE
    for seat in (1, 3):
        with refused("NothingToClaim", play.id, play.site(seat).address):
            pulled(world, play, seat)
    assert [pulled(world, play, seat) for seat in (0, 2)] == [STAKE, STAKE]


def test_nobody_who_settles_or_buys_gains_by_a_forfeited_stake(world: World) -> None:
    play = settled_without(world, 3)
    token = world.deployment.token
    parties = [play.buyer, play.coordinator, *(play.site(seat) for seat in range(3))]
    owed = [world.chain.credit(token, party.address) for party in parties]
    world.pass_time(301)
    play.buyer.wallet.complete(play.id)
    gained = [world.chain.credit(token, party.address) - before for party, before in zip(parties, owed, strict=True)]
    assert gained == [100, 0, 0, 0, 0], "the buyer has back what the settlement leaves of the price, and no stake"


def test_a_rejected_settlement_forfeits_nothing(world: World) -> None:
    before = lost(world)
    play = settled_without(world, 1)
    leaf = digest("left out")
    play.site(1).wallet.challenge_omission(play.id, 0, Seat(1), leaf, play.receipt(0, 1, leaf))
    world.pass_time(301)
    play.buyer.wallet.uphold_omission(play.id, Seat(1))
    assert pulled(world, play, 1) == STAKE
    assert lost(world) == before


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_stake_that_two_kinds_of_evidence_forfeit_is_lost_once(world: World, stranger: Party, when: str) -> None:
    before = lost(world)
    play = Play(world, sites=4, slashed=(Seat(2),)).training(rounds=1)
    if when == "before":
        stranger.wallet.slash_equivocation(play.equivocation(2))
    play.settle()
    if when == "after":
        stranger.wallet.slash_equivocation(play.equivocation(2))
    assert lost(world) == before + STAKE
    entry = world.chain.job(play.id)
    assert entry is not None
    assert entry.forfeits == 0
    world.pass_time(301)
    stranger.wallet.complete(play.id)
    assert lost(world) == before + STAKE
    with refused("StakeGone", 2):
        stranger.wallet.slash_equivocation(play.equivocation(2))


def test_a_stake_that_a_settlement_took_is_not_taken_again(world: World, stranger: Party) -> None:
    play = settled_without(world, 2)
    world.pass_time(301)
    stranger.wallet.complete(play.id)
    before = lost(world)
    with refused("StakeGone", 2):
        stranger.wallet.slash_equivocation(play.equivocation(2))
    assert lost(world) == before


def test_signatures_are_for_this_list_of_seats_only(world: World) -> None:
    """A coordinator that adds a seat, or leaves one out, has signatures for something else."""
    play = Play(world, sites=4, slashed=(Seat(1),)).training(rounds=1)
    claims = play.claims(play.amounts()).root
    signed = [(Seat(seat), play.consent(seat, claims, 900)) for seat in range(4)]
    others: tuple[tuple[Seat, ...], ...] = ((), (Seat(0),), (Seat(1), Seat(2)), (Seat(0), Seat(1)))
    for other in others:
        with refused("SignatureInvalid", 0):
            play.coordinator.wallet.settle(play.id, claims, Tokens(900), signed, other)
    play.coordinator.wallet.settle(play.id, claims, Tokens(900), signed, (Seat(1),))


@pytest.mark.parametrize(
    ("slashed", "error", "values"),
    [((1, 1), "SeatsUnordered", (1,)), ((2, 0), "SeatsUnordered", (0,)), ((3,), "SeatUnknown", (3, 3))],
)
def test_a_quorum_names_each_seat_once_in_order_and_none_that_is_not_there(
    world: World, slashed: tuple[int, ...], error: str, values: tuple[int, ...]
) -> None:
    play = Play(world, slashed=tuple(Seat(seat) for seat in slashed)).training(rounds=1)
    with refused(error, *values):
        play.settle()


def test_less_than_a_quorum_takes_nobodys_stake(world: World) -> None:
    play = Play(world, sites=4, slashed=(Seat(3),)).training(rounds=1)
    claims = play.claims(play.amounts()).root
    signed = [(Seat(seat), play.consent(seat, claims, 900)) for seat in (0, 1)]
    with refused("QuorumMissing", 2, 3):
        play.coordinator.wallet.settle(play.id, claims, Tokens(900), signed, (Seat(3),))


def test_a_job_without_stakes_forfeits_nothing_and_still_says_who(world: World, stranger: Party) -> None:
    before = lost(world)
    play = Play(world, terms=world.terms(stake=Tokens(0))).training(rounds=1)
    stranger.wallet.slash_equivocation(play.equivocation(0))
    assert lost(world) == before
    assert world.chain.equivocations(play.id) == [Equivocated(Seat(0), 0)]


def test_a_member_cannot_lose_a_stake_by_being_impersonated_in_another_seat(world: World, stranger: Party) -> None:
    """Somebody registers another's signer as its own: what that signer signed for its seat is not about this one."""
    play = Play(world, sites=2).training(rounds=1)
    found = play.equivocation(0)
    with refused("SignatureInvalid", 1):
        stranger.wallet.slash_equivocation(replace(found, seat=1))
