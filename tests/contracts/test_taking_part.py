"""A coordinator accepts, sites take seats, training starts."""

from __future__ import annotations

from caduceus.crypto import head
from caduceus.edges.gateway import suite
from caduceus.kinds import Role, Stage
from suite_world import Party, Play, World, call, digest, refused


def test_the_named_coordinator_accepts_and_puts_down_the_bond(world: World) -> None:
    play = Play(world).funded()
    before = world.held()
    play.coordinator.wallet.accept(play.id)
    entry = world.chain.job(play.id)
    assert entry is not None
    assert entry.stage is Stage.ENROLLING
    assert entry.coordinator_signer == play.coordinator.signer.address
    assert entry.deadline == world.now() + 600
    assert world.held() == before + 50


def test_nobody_else_accepts_and_nobody_twice_or_late(world: World) -> None:
    play = Play(world).funded()
    with refused("NotCoordinator", play.site(0).address, play.coordinator.address):
        play.site(0).wallet.accept(play.id)
    play.coordinator.wallet.accept(play.id)
    with refused("WrongStage", play.id, Stage.ENROLLING):
        play.coordinator.wallet.accept(play.id)
    late = Play(world).funded()
    world.pass_time(601)
    with refused("DeadlinePassed"):
        late.coordinator.wallet.accept(late.id)


def test_a_coordinator_needs_its_role_when_it_accepts(world: World) -> None:
    site = world.party("specialist", Role.STEWARD)
    play = Play(world, terms=world.terms(coordinator=site.address)).funded()
    with refused("RoleMissing", site.address, int(Role.COORDINATOR)):
        site.wallet.accept(play.id)


def test_sites_take_seats_in_order_with_a_stake_each(world: World) -> None:
    before = world.held()
    play = Play(world, sites=3).enrolling()
    assert world.held() == before + 1000 + 50 + 30
    seats = world.chain.enrolments(play.id)
    assert [one.seat for one in seats] == [0, 1, 2]
    assert [one.site for one in seats] == [play.site(seat).address for seat in range(3)]
    assert [one.signer for one in seats] == [play.site(seat).signer.address for seat in range(3)]
    assert [one.dataset for one in seats] == [world.dataset(f"site-{seat}") for seat in range(3)]
    assert seats[1].agreement_key == digest("agreement", "site-1")
    keys = (f"0x{play.site(2).address.hex()}", f"0x{play.site(2).signer.address.hex()}")
    kept = (*keys, True, False, False, False, bytes(32))
    assert call(world, suite.JOBS["seat"], play.id, 2) == (kept,)


def test_a_seat_keeps_the_keys_with_which_it_was_taken(world: World) -> None:
    play = Play(world, sites=1).enrolling()
    site = play.site(0)
    rekey = suite.MEMBERS["rekey"]
    site.account.invoke(world.deployment.members, rekey, world.party("site-1").signer.address, digest("other"))
    assert world.chain.enrolments(play.id)[0].signer == site.signer.address
    play.coordinator.wallet.start(play.id)
    play.anchor()
    play.settle()
    site.account.invoke(world.deployment.members, rekey, site.signer.address, digest("agreement", "site-0"))


def test_one_seat_per_site(world: World) -> None:
    play = Play(world, sites=2).enrolling()
    with refused("AlreadySeated", play.site(1).address, 1):
        play.site(1).wallet.enrol(play.id, world.dataset("site-1"))


def test_a_site_enrols_its_own_active_data_set_only(world: World) -> None:
    play = Play(world, sites=0).enrolling()
    site = play.site(0)
    other = world.dataset("site-1")
    with refused("NotSteward", other, site.address):
        site.wallet.enrol(play.id, other)
    with refused("DatasetInactive", digest("unheard of")):
        site.wallet.enrol(play.id, digest("unheard of"))
    given = (digest("short-lived", next(world.nonce)), digest("card"), digest("terms"), 0, 0)
    site.wallet.register_dataset(*given)
    name = site.wallet.dataset_id(*given)
    site.wallet.withdraw_dataset(name)
    with refused("DatasetInactive", name):
        site.wallet.enrol(play.id, name)


def test_only_stewards_enrol(world: World, stranger: Party) -> None:
    play = Play(world, sites=0).enrolling()
    with refused("NotMember", stranger.address):
        stranger.wallet.enrol(play.id, world.dataset("site-0"))
    site = play.site(0)
    dataset = world.dataset("site-0")
    set_roles = suite.MEMBERS["setRoles"]
    site.account.invoke(world.deployment.members, set_roles, int(Role.BUYER))
    with refused("RoleMissing", site.address, int(Role.STEWARD)):
        site.wallet.enrol(play.id, dataset)
    site.account.invoke(world.deployment.members, set_roles, int(Role.BUYER | Role.STEWARD | Role.COORDINATOR))
    site.wallet.enrol(play.id, dataset)


def test_seats_run_out(world: World) -> None:
    play = Play(world, sites=2, terms=world.terms(max_sites=2)).enrolling()
    with refused("SeatsTaken", 2):
        play.site(2).wallet.enrol(play.id, world.dataset("site-2"))


def test_enrolment_is_over_when_it_is_late_or_not_yet_or_closed(world: World) -> None:
    dataset = world.dataset("site-0")
    play = Play(world, sites=0).funded()
    with refused("WrongStage", play.id, Stage.FUNDED):
        play.site(0).wallet.enrol(play.id, dataset)
    play.coordinator.wallet.accept(play.id)
    world.pass_time(601)
    with refused("DeadlinePassed"):
        play.site(0).wallet.enrol(play.id, dataset)
    closed = Play(world, sites=1).training()
    with refused("WrongStage", closed.id, Stage.TRAINING):
        closed.site(1).wallet.enrol(closed.id, world.dataset("site-1"))


def test_a_stake_that_was_not_allowed_is_not_taken(world: World) -> None:
    play = Play(world, sites=1, terms=world.terms(stake=10**12)).funded()
    play.coordinator.wallet.accept(play.id)
    with refused("ERC20InsufficientAllowance"):
        play.site(0).wallet.enrol(play.id, world.dataset("site-0"))
    assert world.chain.enrolments(play.id) == []


def test_the_coordinator_starts_and_the_head_names_job_and_roster(world: World) -> None:
    play = Play(world, sites=3).training()
    entry = world.chain.job(play.id)
    assert entry is not None
    assert entry.stage is Stage.TRAINING
    assert entry.head == head.start(play.id, 3)
    assert entry.rounds == 0
    assert entry.deadline == world.now() + 3600


def test_nobody_else_starts_and_not_with_too_few_or_late(world: World) -> None:
    play = Play(world, sites=1, terms=world.terms(min_sites=2)).enrolling()
    with refused("NotCoordinator", play.site(0).address, play.coordinator.address):
        play.site(0).wallet.start(play.id)
    with refused("SitesMissing", 1, 2):
        play.coordinator.wallet.start(play.id)
    play.site(1).wallet.enrol(play.id, world.dataset("site-1"))
    world.pass_time(601)
    with refused("DeadlinePassed"):
        play.coordinator.wallet.start(play.id)
    begun = Play(world, sites=1).training()
    with refused("WrongStage", begun.id, Stage.TRAINING):
        begun.coordinator.wallet.start(begun.id)
