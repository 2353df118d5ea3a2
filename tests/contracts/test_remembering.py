"""What jobs showed of their sites: anyone enters it, nobody sheds it, and the contract counts as the model does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from caduceus.contracts import load
from caduceus.crypto import merkle, sign
from caduceus.edges.gateway import suite
from caduceus.edges.gateway.abi import contract
from caduceus.kinds import MICRO, Address, Digest, Role, Seat, Tokens
from caduceus.market.ledger import NO_ENTITY
from caduceus.market.standing import (
    BAD_KEPT,
    FORFEITED,
    GOOD_KEPT,
    NOTHING,
    UNPROVEN,
    Observation,
    Showing,
    Standing,
    after,
    day_of,
    expected,
    faded,
    lower_bound,
    revoked,
    token_of,
    token_of_entity,
)
from suite_world import Party, Play, World, call, digest, refused

DAY = 86_400
GOOD, FAIR, BAD = Observation(MICRO, 0), Observation(400_000, 0), Observation(0, 250_000)
NEITHER, ISSUER_ONLY = 3, 0
ERC165, ERC721, ERC5484, ERC5192 = (bytes.fromhex(text) for text in ("01ffc9a7", "80ac58cd", "0489b56f", "b45a3c0e"))


@pytest.fixture
def attester(world: World) -> Party:
    return world.party("attester", Role.ATTESTER)


def look(world: World, function: str, *arguments: object) -> Any:
    (value,) = call(world, suite.STANDING[function], *arguments)
    return value


def told(world: World, token: int) -> tuple[Standing, int, int]:
    """What the contract says of a token: what is kept, the expected value and the lower bound as of now."""
    return world.chain.standing(token), look(world, "expected", token), look(world, "lowerBound", token)


def completed(world: World, *observations: Observation, **terms: object) -> Play:
    sites = len(observations)
    return Play(world, sites=sites, observations=observations, terms=world.terms(**terms)).completed()


def entitled(world: World, attester: Party, seat: int, entity: Digest) -> None:
    account = world.party(f"site-{seat}").address
    if world.chain.entity_of(attester.address, account) is not None:
        attester.wallet.revoke_vouch(account)
    attester.wallet.vouch(account, entity)


# ---------------------------------------------------------------- entering


def test_anyone_enters_what_a_completed_job_showed_of_a_site(world: World, stranger: Party) -> None:
    play = completed(world, GOOD, FAIR, BAD)
    tokens = [token_of(play.site(seat).address) for seat in range(3)]
    before = [world.chain.standing(token) for token in tokens]
    for seat in (2, 0, 1):
        play.record(seat, by=stranger)
    assert world.chain.recorded(play.id) == [2, 0, 1]
    for seat, (token, known) in enumerate(zip(tokens, before, strict=True)):
        now = after(known, play.observations[seat], day_of(world.now()))
        assert told(world, token) == (now, expected(now), lower_bound(now))


def test_a_site_that_scored_badly_cannot_dodge_it_by_not_claiming(world: World, stranger: Party) -> None:
    play = completed(world, GOOD, GOOD, BAD)
    token = token_of(play.site(2).address)
    known = world.chain.standing(token)
    play.record(2, by=stranger)
    assert world.chain.claims(play.id) == []
    assert world.chain.standing(token).bad == faded(known, day_of(world.now())).bad + BAD.bad


def test_a_job_is_entered_once_a_seat(world: World, stranger: Party) -> None:
    play = completed(world, GOOD, GOOD, BAD)
    play.record(0)
    with refused("AlreadyRecorded", 0):
        play.record(0, by=stranger)
    with refused("AlreadyRecorded", 0):
        stranger.wallet.record_standing(play.id, Seat(0), NO_ENTITY, play.shown(1))


def test_only_what_was_settled_is_entered_and_only_of_its_own_site(world: World, stranger: Party) -> None:
    play = completed(world, GOOD, FAIR, BAD)
    own = play.shown(1)
    others = {
        "better": replace(own, observation=GOOD),
        "worse": replace(own, observation=replace(FAIR, bad=1)),
        "another's": play.shown(0),
        "another place": replace(own, index=own.index - 1),
        "a claim": Showing(Observation(300, 0), 1, play.claims(play.amounts()).proof(1)),
    }
    for what, shown in others.items():
        with refused("ClaimUnknown"):
            stranger.wallet.record_standing(play.id, Seat(1), NO_ENTITY, shown)
        assert what
    stranger.wallet.record_standing(play.id, Seat(1), NO_ENTITY, own)


def test_an_observation_does_not_pass_for_a_claim(world: World) -> None:
    """Both stand under one root; were one read as the other, a standing of a million would be money."""
    play = completed(world, Observation(300, 0), GOOD, GOOD)
    shown = play.shown(0)
    with refused("ClaimUnknown"):
        play.site(0).wallet.claim(play.id, Tokens(300), shown.index, shown.siblings)


def test_a_quorum_that_signs_more_than_one_whole_observation_is_not_believed(world: World) -> None:
    for seen in (Observation(MICRO + 1, 0), Observation(0, MICRO + 1)):
        play = completed(world, seen, GOOD, GOOD)
        with refused("ObservationOutOfRange", seen.good, seen.bad):
            play.record(0)


@pytest.mark.parametrize("reach", ["training", "settling"])
def test_a_job_that_is_not_completed_is_not_entered(world: World, reach: str) -> None:
    play = Play(world, observations=(GOOD, GOOD, GOOD))
    getattr(play, reach)()
    entry = world.chain.job(play.id)
    assert entry is not None
    with refused("WrongStage", play.id, entry.stage):
        play.record(0)


def test_a_rejected_or_expired_job_shows_nothing(world: World, stranger: Party) -> None:
    play = Play(world, observations=(GOOD, GOOD, GOOD), slashed=(Seat(2),)).settling()
    leaf = digest("left out")
    play.site(1).wallet.challenge_omission(play.id, 0, Seat(1), leaf, play.receipt(0, 1, leaf))
    world.pass_time(301)
    stranger.wallet.uphold_omission(play.id, Seat(1))
    for seat in (0, 2):
        with refused("WrongStage"):
            play.record(seat)
    late = Play(world, observations=(GOOD, GOOD, GOOD)).training()
    world.pass_time(3601)
    stranger.wallet.expire(late.id)
    with refused("WrongStage"):
        late.record(0)


def test_seats_that_are_not_there_have_no_standing(world: World, stranger: Party) -> None:
    play = completed(world, GOOD, GOOD, GOOD)
    with refused("SeatUnknown", 3, 3):
        stranger.wallet.record_standing(play.id, Seat(3), NO_ENTITY, UNPROVEN)


# ---------------------------------------------------------------- forfeited stakes


def test_a_seat_whose_stake_the_settlement_forfeits_is_one_bad_observation_whatever_the_claims_say(
    world: World, stranger: Party
) -> None:
    play = Play(world, observations=(GOOD, GOOD, GOOD), slashed=(Seat(1),)).completed()
    token = token_of(play.site(1).address)
    known = world.chain.standing(token)
    stranger.wallet.record_standing(play.id, Seat(1), NO_ENTITY, UNPROVEN)
    assert world.chain.standing(token) == after(known, FORFEITED, day_of(world.now()))


@pytest.mark.parametrize("end", ["training", "completed"])
def test_an_equivocator_is_entered_at_once_and_without_a_settlement(world: World, stranger: Party, end: str) -> None:
    play = Play(world, observations=(GOOD, GOOD, GOOD))
    getattr(play, end)()
    stranger.wallet.slash_equivocation(play.equivocation(0))
    token = token_of(play.site(0).address)
    known = world.chain.standing(token)
    stranger.wallet.record_standing(play.id, Seat(0), NO_ENTITY, UNPROVEN)
    assert world.chain.standing(token) == after(known, FORFEITED, day_of(world.now()))
    with refused("AlreadyRecorded", 0):
        stranger.wallet.record_standing(play.id, Seat(0), NO_ENTITY, UNPROVEN)


def test_who_entered_something_good_before_it_was_caught_is_entered_again(world: World, stranger: Party) -> None:
    play = completed(world, GOOD, GOOD, GOOD)
    play.record(0)
    stranger.wallet.slash_equivocation(play.equivocation(0))
    token = token_of(play.site(0).address)
    known = world.chain.standing(token)
    stranger.wallet.record_standing(play.id, Seat(0), NO_ENTITY, play.shown(0))
    assert world.chain.standing(token) == after(known, FORFEITED, day_of(world.now()))


# ---------------------------------------------------------------- fading


def test_the_contract_and_the_model_count_alike_through_the_years(world: World) -> None:
    """Days, months and years apart, and read on days on which nothing is written."""
    token, known = token_of(world.party("site-7").address), Standing(0, 0, 0)
    seen = [Observation(999_999, 1), Observation(1, 999_999), FORFEITED, Observation(123_456, 654_321)]
    for days, one in zip((0, 1, 33, 800), seen, strict=True):
        world.pass_time(days * DAY + 1)
        play = Play(world, sites=0).enrolling()
        play.sites = 1
        site = world.party("site-7")
        site.wallet.enrol(play.id, world.dataset("site-7"))
        _complete_alone(play, site, one)
        known = after(known, one, day_of(world.now()))
        assert told(world, token) == (known, expected(known), lower_bound(known))
    for days in (1, 364, 5_000):
        world.pass_time(days * DAY + 1)
        today = faded(known, day_of(world.now()))
        assert told(world, token) == (known, expected(today), lower_bound(today))


def _complete_alone(play: Play, site: Party, seen: Observation) -> None:
    """Complete the job of one site that is not the play's usual one, and enter what it showed."""
    world = play.world
    play.coordinator.wallet.start(play.id)
    play.leaves.append([b""])
    play.coordinator.wallet.anchor(play.id, [play.entry(0)])
    leaf = merkle.leaf(play.id + bytes(12) + site.address + seen.good.to_bytes(32) + seen.bad.to_bytes(32))
    message = sign.digest(world.chain.domain, sign.Settlement(play.id, play.head(), leaf, 0))
    play.coordinator.wallet.settle(play.id, leaf, Tokens(0), [(Seat(0), site.signer.sign(message))])
    world.pass_time(301)
    play.coordinator.wallet.complete(play.id)
    site.wallet.record_standing(play.id, Seat(0), NO_ENTITY, Showing(seen, 0, ()))


def test_the_contract_fades_by_the_models_own_factors() -> None:
    """A difference in the last bit would show after centuries only."""
    code = load("Standing").deployed
    assert GOOD_KEPT.to_bytes(8) in code
    assert BAD_KEPT.to_bytes(8) in code


def test_of_whom_nothing_is_known_nothing_is_expected_or_feared(world: World, stranger: Party) -> None:
    token = token_of(stranger.address)
    unknown = Standing(0, 0, 0)
    assert told(world, token) == (unknown, 500_000, 0)
    assert (expected(unknown), lower_bound(unknown)) == (500_000, 0)


# ---------------------------------------------------------------- whose it is


def test_a_token_is_bound_to_its_holder(world: World, stranger: Party) -> None:
    play = completed(world, GOOD, GOOD, GOOD)
    site = play.site(0)
    play.record(0)
    token, at = token_of(site.address), world.deployment.standing
    assert look(world, "ownerOf", token) == f"0x{site.address.hex()}"
    assert look(world, "balanceOf", site.address) == 1
    assert look(world, "locked", token) is True
    assert look(world, "burnAuth", token) == NEITHER
    transfer, approve, all_of = (suite.STANDING[name] for name in ("transferFrom", "approve", "setApprovalForAll"))
    for party in (site, stranger):
        for function, arguments in (
            (transfer, (site.address, stranger.address, token)),
            (approve, (stranger.address, token)),
            (all_of, (stranger.address, True)),
        ):
            with refused("Bound"):
                party.account.invoke(at, function, *arguments)
    assert look(world, "ownerOf", token) == f"0x{site.address.hex()}"


def test_what_is_not_there_is_not_locked_owned_or_burnt(world: World, stranger: Party, attester: Party) -> None:
    token = token_of(stranger.address)
    for function in ("ownerOf", "locked", "burnAuth"):
        with refused("ERC721NonexistentToken", token):
            look(world, function, token)
    unheard = digest("unheard of")
    with refused("ERC721NonexistentToken", token_of_entity(attester.address, unheard)):
        attester.wallet.burn_standing(unheard)


def test_the_standards_that_are_kept_are_told(world: World) -> None:
    for standard in (ERC165, ERC721, ERC5484, ERC5192):
        assert look(world, "supportsInterface", standard) is True
    assert look(world, "supportsInterface", bytes.fromhex("ffffffff")) is False


def test_only_the_jobs_contract_observes(world: World, stranger: Party) -> None:
    observe = suite.STANDING["observe"]
    arguments = (stranger.address, bytes(20), bytes(32), MICRO, 0)
    for party in (stranger, world.party("buyer")):
        with refused("NotRecorder", party.address, world.deployment.jobs):
            party.account.invoke(world.deployment.standing, observe, *arguments)


def test_the_tokens_that_python_foretells_are_the_contracts(world: World, attester: Party) -> None:
    site, entity = world.party("site-0").address, digest("an entity")
    assert look(world, "idOf", site, bytes(20), NO_ENTITY) == token_of(site)
    assert look(world, "idOf", site, attester.address, entity) == token_of_entity(attester.address, entity)


# ---------------------------------------------------------------- legal entities


def test_an_entity_has_one_standing_under_all_its_accounts_and_a_new_one_does_not_shed_it(
    world: World, attester: Party, stranger: Party
) -> None:
    entity = digest("the same clinic")
    token = token_of_entity(attester.address, entity)
    others = [digest("others", seat) for seat in range(2)]
    known = Standing(0, 0, 0)
    for holder, rest, seen in ((0, (1, 2), BAD), (1, (0, 2), GOOD)):
        entitled(world, attester, holder, entity)
        for seat, other in zip(rest, others, strict=True):
            entitled(world, attester, seat, other)
        observations = [FAIR] * 3
        observations[holder] = seen
        play = completed(world, *observations, attester=attester.address)
        own = world.chain.standing(token_of(play.site(holder).address))
        play.record(holder, by=stranger)
        known = after(known, seen, day_of(world.now()))
        assert world.chain.standing(token) == known
        assert world.chain.standing(token_of(play.site(holder).address)) == own, "the account's own is another"
        assert look(world, "ownerOf", token) == f"0x{play.site(holder).address.hex()}"
    assert look(world, "burnAuth", token) == ISSUER_ONLY


def test_a_seat_is_entered_for_the_entity_that_it_was_taken_for_even_if_the_word_is_taken_back(
    world: World, attester: Party, stranger: Party
) -> None:
    entities = [digest("clinic", seat) for seat in range(3)]
    for seat, entity in enumerate(entities):
        entitled(world, attester, seat, entity)
    play = completed(world, BAD, GOOD, GOOD, attester=attester.address)
    attester.wallet.revoke_vouch(play.site(0).address)
    for entity in (NO_ENTITY, entities[1], digest("unheard of")):
        with refused("EntityDiffers", 0, entity):
            stranger.wallet.record_standing(play.id, Seat(0), entity, play.shown(0))
    stranger.wallet.record_standing(play.id, Seat(0), entities[0], play.shown(0))
    assert world.chain.standing(token_of_entity(attester.address, entities[0])).bad == BAD.bad


def test_a_job_that_trusts_nobody_is_entered_for_no_entity(world: World, stranger: Party) -> None:
    """Otherwise anyone could enter what a job showed of one clinic's account for another clinic."""
    play = completed(world, BAD, GOOD, GOOD)
    with refused("EntityDiffers", 0, digest("a clinic")):
        stranger.wallet.record_standing(play.id, Seat(0), digest("a clinic"), play.shown(0))


def test_an_attester_that_nobody_trusts_harms_nobody(world: World, attester: Party, stranger: Party) -> None:
    """It may vouch its own account as somebody else's entity: what that does is on another token."""
    other = world.party("other attester", Role.ATTESTER)
    entity = digest("a clinic of good name")
    mine, theirs = (token_of_entity(one.address, entity) for one in (other, attester))
    assert mine != theirs
    for seat, name in enumerate((entity, digest("x"), digest("y"))):
        account = world.party(f"site-{seat}").address
        if world.chain.entity_of(other.address, account) is not None:
            other.wallet.revoke_vouch(account)
        other.wallet.vouch(account, name)
    play = completed(world, BAD, GOOD, GOOD, attester=other.address)
    play.record(0, by=stranger)
    assert world.chain.standing(mine).bad == BAD.bad
    assert world.chain.standing(theirs) == Standing(0, 0, 0)


def test_an_attester_revokes_a_standing_and_what_was_bad_stays(world: World, attester: Party, stranger: Party) -> None:
    entity = digest("a clinic to be revoked")
    for seat, name in enumerate((entity, digest("p"), digest("q"))):
        entitled(world, attester, seat, name)
    token = token_of_entity(attester.address, entity)
    play = completed(world, Observation(MICRO, 100_000), GOOD, GOOD, attester=attester.address)
    play.record(0)
    known = world.chain.standing(token)
    for party in (stranger, play.site(0), play.buyer):
        with refused("ERC721NonexistentToken", token_of_entity(party.address, entity)):
            party.wallet.burn_standing(entity)
    world.pass_time(40 * DAY)
    attester.wallet.burn_standing(entity)
    assert world.chain.standing(token) == revoked(known, day_of(world.now()))
    with refused("ERC721NonexistentToken", token):
        look(world, "ownerOf", token)
    with refused("ERC721NonexistentToken", token):
        attester.wallet.burn_standing(entity)
    again = completed(world, GOOD, GOOD, GOOD, attester=attester.address)
    again.record(0)
    assert look(world, "ownerOf", token) == f"0x{again.site(0).address.hex()}"
    assert world.chain.standing(token).bad > 0


def test_every_event_of_standing_is_known_to_the_gateway(world: World, stranger: Party) -> None:
    play = completed(world, GOOD, NOTHING, BAD)
    sent = play.record(0, by=stranger)
    events = contract("Standing").events
    logs = world.node.logs(world.deployment.standing, [events["Observed"]], since=sent.block)
    token, good, bad, *totals = events["Observed"].read(logs[-1])
    known = world.chain.standing(token_of(Address(play.site(0).address)))
    assert (token, good, bad, *totals) == (token_of(play.site(0).address), MICRO, 0, known.good, known.bad)
