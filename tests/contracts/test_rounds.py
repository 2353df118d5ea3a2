"""One word per job holds its history; rounds go in, in order, each once."""

from __future__ import annotations

from caduceus.crypto import head
from caduceus.kinds import Stage
from caduceus.market.ledger import Anchor
from suite_world import Play, World, digest, refused


def entries(first: int, count: int) -> list[Anchor]:
    return [Anchor(n, digest("root", n), digest("model", n), digest("record", n)) for n in range(first, first + count)]


def words(anchors: list[Anchor]) -> list[head.Entry]:
    return [(one.root, one.model, one.record) for one in anchors]


def test_the_head_rolls_as_the_python_one_does(world: World) -> None:
    play = Play(world, sites=3).training()
    given = entries(0, 4)
    for one in given:
        play.coordinator.wallet.anchor(play.id, [one])
    entry = world.chain.job(play.id)
    assert entry is not None
    assert entry.head == head.fold(head.start(play.id, 3), words(given))
    assert entry.rounds == 4
    assert world.chain.anchors(play.id) == given


def test_rounds_filled_in_at_once_give_the_same_head_and_events(world: World) -> None:
    play = Play(world, sites=1).training()
    given = entries(0, 6)
    play.coordinator.wallet.anchor(play.id, given[:1])
    play.coordinator.wallet.anchor(play.id, given[1:])
    entry = world.chain.job(play.id)
    assert entry is not None
    assert entry.head == head.fold(head.start(play.id, 1), words(given))
    assert world.chain.anchors(play.id) == given


def test_a_repeated_skipped_or_old_round_is_refused(world: World) -> None:
    play = Play(world, sites=1).training()
    coordinator = play.coordinator
    coordinator.wallet.anchor(play.id, entries(0, 1))
    for number in (0, 2):
        with refused("RoundNotNext", number, 1):
            coordinator.wallet.anchor(play.id, entries(number, 1))
        with refused("RoundNotNext", number, 1):
            coordinator.wallet.anchor(play.id, entries(number, 2))
    assert len(world.chain.anchors(play.id)) == 1


def test_no_more_rounds_than_the_terms_allow(world: World) -> None:
    play = Play(world, sites=1, terms=world.terms(max_rounds=3)).training()
    coordinator = play.coordinator
    with refused("RoundsOutOfRange", 4, 3):
        coordinator.wallet.anchor(play.id, entries(0, 4))
    coordinator.wallet.anchor(play.id, entries(0, 3))
    with refused("RoundsOutOfRange", 4, 3):
        coordinator.wallet.anchor(play.id, entries(3, 1))
    with refused("RoundsOutOfRange", 3, 3):
        coordinator.do("anchorMany", play.id, 3, [])


def test_only_the_coordinator_anchors_only_while_training_lasts(world: World) -> None:
    play = Play(world, sites=1).enrolling()
    with refused("WrongStage", play.id, Stage.ENROLLING):
        play.coordinator.wallet.anchor(play.id, entries(0, 1))
    play.coordinator.wallet.start(play.id)
    for count in (1, 2):
        with refused("NotCoordinator", play.site(0).address, play.coordinator.address):
            play.site(0).wallet.anchor(play.id, entries(0, count))
    play.anchor()
    world.pass_time(3601)
    for count in (1, 2):
        with refused("DeadlinePassed"):
            play.coordinator.wallet.anchor(play.id, entries(1, count))


def test_a_settled_job_takes_no_more_rounds(world: World) -> None:
    play = Play(world, sites=1).settling()
    with refused("WrongStage", play.id, Stage.SETTLING):
        play.coordinator.wallet.anchor(play.id, entries(1, 1))
