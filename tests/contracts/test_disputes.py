"""A leaf that nobody signed, an upload that was left out: the coordinator loses its bond, and only then."""

from __future__ import annotations

import pytest

from caduceus.crypto import head, merkle, sign
from caduceus.edges.gateway import suite
from caduceus.kinds import Digest, Seat, Stage, Tokens
from suite_world import Party, Play, World, call, digest, leaf_data, refused


def settled(world: World, changed: dict[int, bytes] | None = None, sites: int = 3) -> Play:
    """A job of three rounds; in the middle one some seats' leaves are replaced."""
    play = Play(world, sites=sites).training(rounds=1)
    play.anchor(changed)
    play.anchor()
    play.settle()
    return play


def dispute(play: Play, round_: int, seat: int, signature: bytes, by: Party | None = None) -> None:
    actor = by or play.buyer
    data = play.leaves[round_][seat]
    actor.wallet.dispute_leaf(play.id, round_, Seat(seat), data, signature, play.tree(round_).proof(seat))


def assert_rejected(play: Play, harmed: Party, credits_before: dict[str, int]) -> None:
    chain, token = play.world.chain, play.world.deployment.token
    entry = chain.job(play.id)
    assert entry is not None
    assert entry.stage is Stage.REJECTED
    assert chain.credit(token, play.buyer.address) == credits_before["buyer"] + 1000
    assert chain.credit(token, harmed.address) == credits_before["harmed"] + 50
    for seat in range(play.sites):
        before = chain.balance(token, play.site(seat).address)
        play.site(seat).wallet.claim(play.id, Tokens(0), 0, [])
        assert chain.balance(token, play.site(seat).address) == before + 10
    with refused("NothingToClaim", play.id, play.coordinator.address):
        play.coordinator.wallet.claim(play.id, Tokens(0), 0, [])
    with refused("WrongStage", play.id, Stage.REJECTED):
        play.site(0).wallet.claim(play.id, Tokens(300), 0, play.claims(play.amounts()).proof(0))


def credits_of(play: Play, harmed: Party) -> dict[str, int]:
    chain, token = play.world.chain, play.world.deployment.token
    return {"buyer": chain.credit(token, play.buyer.address), "harmed": chain.credit(token, harmed.address)}


# ------------------------------------------------------------------ leaves


@pytest.mark.parametrize("sites", [1, 2, 3, 5, 8])
def test_a_well_signed_leaf_is_in_order(world: World, sites: int) -> None:
    play = settled(world, sites=sites)
    for round_, seat in ((0, 0), (1, sites - 1), (2, sites // 2)):
        with refused("LeafWellSigned", round_, seat):
            dispute(play, round_, seat, play.signatures[round_, seat])


def test_a_leaf_signed_by_the_coordinator_itself_costs_it_the_bond(world: World, stranger: Party) -> None:
    play = Play(world).training(rounds=1)
    body = digest("invented")
    message = sign.digest(world.chain.domain, sign.Upload(play.id, 1, 2, body))
    forged = play.coordinator.signer.sign(message)
    play.anchor({2: leaf_data(play.id, 1, 2, body, forged)})
    play.anchor()
    play.settle()
    before = credits_of(play, play.site(2))
    dispute(play, 1, 2, forged, by=stranger)
    assert_rejected(play, play.site(2), before)


def test_a_leaf_with_a_signature_of_no_form_at_all_is_rejected(world: World) -> None:
    play = settled(world, {1: leaf_data(digest("placeholder"), 1, 1, digest("body"), b"")})
    before = credits_of(play, play.site(1))
    dispute(play, 1, 1, b"")
    assert_rejected(play, play.site(1), before)
    play = Play(world).training(rounds=1)
    play.anchor({1: leaf_data(play.id, 1, 1, digest("body"), b"no signature")})
    play.settle()
    dispute(play, 1, 1, b"no signature")


@pytest.mark.parametrize("what", ["round", "seat", "job", "shape"])
def test_a_replayed_or_misplaced_leaf_is_rejected(world: World, what: str) -> None:
    play = Play(world).training(rounds=1)
    old = {
        "round": play.leaves[0][1],
        "seat": play.upload(0, 1),
        "job": Play(world, id=play.id).upload(1, 1).replace(play.id, digest("another job")),
        "shape": play.upload(1, 1) + b"\x00",
    }[what]
    play.anchor({1: old})
    play.anchor()
    play.settle()
    before = credits_of(play, play.site(1))
    dispute(play, 1, 1, b"not looked at")
    assert_rejected(play, play.site(1), before)


def test_whoever_disputes_shows_the_signature_that_the_leaf_commits_to(world: World) -> None:
    play = settled(world)
    with refused("SignatureNotInLeaf"):
        dispute(play, 1, 0, play.signatures[1, 1])


def test_an_empty_leaf_cannot_be_opened(world: World) -> None:
    play = settled(world, {1: b""})
    with refused("LeafNotInRound"):
        play.buyer.wallet.dispute_leaf(play.id, 1, Seat(1), b"", b"", play.tree(1).proof(1))


def test_a_leaf_is_proven_at_its_own_place_in_its_own_round(world: World) -> None:
    play = settled(world, sites=3)
    data, signature = play.leaves[1][1], play.signatures[1, 1]
    siblings = play.tree(1).proof(1)
    proof = play.proof(1)

    def attempt(seat: int, proof: object, siblings: object) -> None:
        play.buyer.do("disputeLeaf", play.id, seat, proof, data, signature, siblings)

    with refused("LeafNotInRound"):
        attempt(0, proof, siblings)
    with refused("LeafNotInRound"):
        attempt(1, play.proof(2), siblings)
    with refused("ProofDepthWrong", 1, 2):
        attempt(1, proof, siblings[:1])
    with refused("ProofDepthWrong", 3, 2):
        attempt(1, proof, [*siblings, digest("more")])
    with refused("SeatUnknown", 3, 3):
        attempt(3, proof, siblings)


def test_a_node_of_the_tree_does_not_pass_for_a_leaf(world: World) -> None:
    play = settled(world, sites=2)
    left, right = (play.leaf(1, seat) for seat in (0, 1))
    with refused("ProofDepthWrong", 0, 1):
        play.buyer.do("disputeLeaf", play.id, 0, play.proof(1), b"\x01" + left + right, b"", [])
    shorter = Play(world, sites=1).settling()
    with refused("LeafNotInRound"):
        shorter.buyer.do("disputeLeaf", shorter.id, 0, shorter.proof(0), b"\x01" + left + right, b"", [])


def test_history_cannot_be_rewritten(world: World) -> None:
    play = settled(world)
    before, entries = play.proof(1)
    siblings = play.tree(1).proof(1)
    data = b"whatever"
    other = (digest("root"), digest("model"), digest("record"))
    forged_root = merkle.Tree([merkle.leaf(b"x"), merkle.leaf(data), merkle.leaf(b"y")])
    attempts = [
        (before, [(forged_root.root, *entries[0][1:]), *entries[1:]], "ProofMismatch"),
        (before, entries[:1], "ProofMismatch"),
        (before, [*entries, other], "ProofMismatch"),
        (digest("before"), entries, "ProofMismatch"),
        (head.start(play.id, 3), entries, "ProofMismatch"),
        (play.head(), [], "ProofEmpty"),
    ]
    for before_, entries_, error in attempts:
        with refused(error):
            play.buyer.do("disputeLeaf", play.id, 1, (before_, entries_), data, b"", siblings)


def test_disputes_are_for_the_window(world: World) -> None:
    play = Play(world).training(rounds=1)
    play.anchor({1: b"no leaf"})
    with refused("WrongStage", play.id, Stage.TRAINING):
        dispute(play, 1, 1, b"")
    play.settle()
    world.pass_time(301)
    with refused("DeadlinePassed"):
        dispute(play, 1, 1, b"")


# ------------------------------------------------------------------ omissions


def challenged(world: World) -> tuple[Play, Digest, bytes]:
    """A job whose second round leaves out seat 1, which holds a receipt and has said so."""
    play = Play(world).training(rounds=1)
    promised = merkle.leaf(play.upload(1, 1))
    play.anchor({1: b""})
    play.anchor()
    play.settle()
    receipt = play.receipt(1, 1, promised)
    play.site(1).wallet.challenge_omission(play.id, 1, Seat(1), promised, receipt)
    return play, promised, receipt


def challenged_falsely(world: World, round_: int = 1) -> Play:
    """A job in which everything is in place, and seat 1 says otherwise."""
    play = settled(world)
    leaf = play.leaf(round_, 1)
    play.site(1).wallet.challenge_omission(play.id, round_, Seat(1), leaf, play.receipt(round_, 1, leaf))
    return play


def answer(play: Play, round_: int = 1, seat: int = 1, by: Party | None = None) -> None:
    actor = by or play.coordinator
    siblings = play.tree(round_).proof(seat)
    actor.wallet.answer_omission(play.id, round_, Seat(seat), play.leaf(round_, seat), siblings)


def test_an_omission_that_is_not_answered_costs_the_coordinator_its_bond(world: World, stranger: Party) -> None:
    play, promised, _ = challenged(world)
    (complaint,) = world.chain.omissions(play.id)
    assert (complaint.seat, complaint.round, complaint.leaf) == (1, 1, promised)
    assert complaint.deadline == world.now() + 300
    assert call(world, suite.JOBS["challenge"], play.id, 1) == ((promised, 1, complaint.deadline),)
    with refused("DeadlineAhead"):
        stranger.wallet.uphold_omission(play.id, Seat(1))
    world.pass_time(301)
    with refused("ChallengesOpen", 1):
        stranger.wallet.complete(play.id)
    before = credits_of(play, play.site(1))
    stranger.wallet.uphold_omission(play.id, Seat(1))
    assert world.chain.omissions(play.id) == []
    assert_rejected(play, play.site(1), before)


@pytest.mark.parametrize("round_", [0, 1, 2])
def test_anyone_answers_and_the_job_goes_on(world: World, stranger: Party, round_: int) -> None:
    play = challenged_falsely(world, round_)
    answer(play, round_, by=stranger)
    assert world.chain.omissions(play.id) == []
    world.pass_time(301)
    with refused("ChallengeMissing", 1):
        stranger.wallet.uphold_omission(play.id, Seat(1))
    stranger.wallet.complete(play.id)


def test_a_late_answer_is_refused_even_if_true(world: World) -> None:
    play = challenged_falsely(world)
    world.pass_time(301)
    with refused("DeadlinePassed"):
        answer(play)


def test_what_is_not_there_cannot_be_answered(world: World) -> None:
    play, promised, _ = challenged(world)
    with refused("LeafNotInRound"):
        play.coordinator.wallet.answer_omission(play.id, 1, Seat(1), promised, play.tree(1).proof(1))
    for round_, leaf in ((1, merkle.EMPTY), (0, play.leaf(0, 1)), (2, play.leaf(2, 1))):
        with refused("ChallengeDiffers", 1, promised):
            play.coordinator.wallet.answer_omission(play.id, round_, Seat(1), leaf, play.tree(round_).proof(1))
    with refused("ChallengeMissing", 0):
        answer(play, 0, 0)


def test_an_upload_that_was_put_into_a_later_round_does_not_answer_for_its_own(world: World) -> None:
    play = Play(world).training(rounds=1)
    promised = play.upload(1, 1)
    play.anchor({1: b""})
    play.anchor({1: promised})
    play.settle()
    leaf = merkle.leaf(promised)
    play.site(1).wallet.challenge_omission(play.id, 1, Seat(1), leaf, play.receipt(1, 1, leaf))
    with refused("ChallengeDiffers", 1, leaf):
        play.coordinator.wallet.answer_omission(play.id, 2, Seat(1), leaf, play.tree(2).proof(1))


def test_a_challenge_needs_the_coordinators_receipt_for_that_very_leaf(world: World) -> None:
    play = settled(world)
    leaf = play.leaf(1, 1)
    site = play.site(1)
    own = site.signer.sign(sign.digest(world.chain.domain, sign.Receipt(play.id, 1, 1, leaf)))
    others = [
        own,
        play.receipt(0, 1, leaf),
        play.receipt(1, 0, leaf),
        play.receipt(1, 1, digest("another leaf")),
        play.receipt(1, 1, leaf)[:64],
        b"",
    ]
    for receipt in others:
        with refused("ReceiptInvalid", 1, 1):
            site.wallet.challenge_omission(play.id, 1, Seat(1), leaf, receipt)


def test_only_the_seats_own_site_challenges_about_anchored_rounds(world: World, stranger: Party) -> None:
    play = settled(world)
    leaf = play.leaf(1, 1)
    receipt = play.receipt(1, 1, leaf)
    for other in (stranger, play.site(0), play.coordinator):
        with refused("NotSite", other.address, play.site(1).address):
            other.wallet.challenge_omission(play.id, 1, Seat(1), leaf, receipt)
    with refused("SeatUnknown", 3, 3):
        stranger.wallet.challenge_omission(play.id, 1, Seat(3), leaf, receipt)
    with refused("RoundUnknown", 3, 3):
        play.site(1).wallet.challenge_omission(play.id, 3, Seat(1), leaf, play.receipt(3, 1, leaf))


def test_one_challenge_per_seat_at_a_time_and_within_the_window(world: World) -> None:
    play = challenged_falsely(world)
    leaf = play.leaf(2, 1)
    with refused("ChallengeOpen", 1):
        play.site(1).wallet.challenge_omission(play.id, 2, Seat(1), leaf, play.receipt(2, 1, leaf))
    answer(play)
    play.site(1).wallet.challenge_omission(play.id, 2, Seat(1), leaf, play.receipt(2, 1, leaf))
    answer(play, 2)
    world.pass_time(301)
    with refused("DeadlinePassed"):
        play.site(1).wallet.challenge_omission(play.id, 2, Seat(1), leaf, play.receipt(2, 1, leaf))
    early = Play(world).training(rounds=1)
    with refused("WrongStage", early.id, Stage.TRAINING):
        early.site(1).wallet.challenge_omission(
            early.id, 0, Seat(1), early.leaf(0, 1), early.receipt(0, 1, early.leaf(0, 1))
        )


def test_several_seats_challenge_at_once_and_each_is_answered(world: World) -> None:
    play = settled(world)
    for seat in range(3):
        leaf = play.leaf(1, seat)
        play.site(seat).wallet.challenge_omission(play.id, 1, Seat(seat), leaf, play.receipt(1, seat, leaf))
    assert [one.seat for one in world.chain.omissions(play.id)] == [0, 1, 2]
    answer(play, 1, 2)
    answer(play, 1, 0)
    entry = world.chain.job(play.id)
    assert entry is not None
    world.at_time(entry.deadline)
    answer(play, 1, 1)
    world.pass_time(1)
    play.coordinator.wallet.complete(play.id)


def test_a_challenge_made_in_the_last_second_keeps_the_job_from_completing(world: World) -> None:
    play = settled(world)
    entry = world.chain.job(play.id)
    assert entry is not None
    leaf = play.leaf(1, 1)
    world.at_time(entry.deadline)
    play.site(1).wallet.challenge_omission(play.id, 1, Seat(1), leaf, play.receipt(1, 1, leaf))
    world.pass_time(10)
    with refused("ChallengesOpen", 1):
        play.coordinator.wallet.complete(play.id)
    answer(play)
    play.coordinator.wallet.complete(play.id)
