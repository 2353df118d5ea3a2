"""A hospital whose account is a contract wallet: it consents through ERC-1271, and leaves evidence with a key."""

from __future__ import annotations

from dataclasses import dataclass

from hostile import deploy, function

from caduceus.crypto import sign
from caduceus.edges.gateway import suite
from caduceus.edges.gateway.abi import Function
from caduceus.kinds import Address, Digest, Role, Seat, Tokens
from caduceus.market.slashing import Equivocation
from suite_world import Party, Play, World, digest, key_of, leaf_data, refused

EXECUTE = function("execute(address,bytes)")
DISOWN = function("disown(bool)")


@dataclass(frozen=True)
class Hospital:
    """A contract wallet and the treasury's key that owns it."""

    world: World
    wallet: Address
    dataset: Digest

    def act(self, target: Address, called: Function, *arguments: object) -> None:
        self.world.treasury.invoke(self.wallet, EXECUTE, target, called.call(*arguments))


def hospital(world: World, signer: Address | None = None) -> Hospital:
    """A member with a data set and a purse; signs with the wallet itself unless a signer is given."""
    wallet = deploy(world, "Wallet", world.treasury.address)
    values = (digest("commitment", wallet), digest("card"), digest("terms"), 0, 0)
    made = Hospital(world, wallet, suite.dataset_id(wallet, *values))
    at = world.deployment
    register = suite.MEMBERS["register"]
    made.act(at.members, register, int(Role.STEWARD), signer or wallet, digest("agreement"), digest("profile"))
    made.act(at.datasets, suite.DATASETS["register"], *values)
    world.pay(wallet, 1000)
    made.act(at.token, suite.TOKEN["approve"], at.jobs, 1000)
    return made


def with_hospital(world: World, made: Hospital) -> Play:
    """A job that has trained one round with the hospital in seat 1 and a usual site in seat 0."""
    play = Play(world, sites=1).enrolling()
    made.act(world.deployment.jobs, suite.JOBS["enrol"], play.id, made.dataset)
    play.coordinator.wallet.start(play.id)
    play.sites = 2
    play.leaves.append([play.upload(0, 0), b""])
    play.coordinator.wallet.anchor(play.id, [play.entry(0)])
    return play


def settlement(play: Play, claims: Digest) -> Digest:
    return sign.digest(play.world.chain.domain, sign.Settlement(play.id, play.head(), claims, 900))


def settle(play: Play, by_hospital: bytes) -> None:
    claims = digest("claims")
    signed = [(Seat(0), play.consent(0, claims, 900)), (Seat(1), by_hospital)]
    play.coordinator.wallet.settle(play.id, claims, Tokens(900), signed)


def owner_of(world: World) -> sign.Signer:
    """The key behind the treasury."""
    return sign.Signer(key_of("treasury"))


def test_a_contract_wallet_consents_through_its_owner(world: World) -> None:
    play = with_hospital(world, hospital(world))
    claims = digest("claims")
    settle(play, owner_of(world).sign(settlement(play, claims)))


def test_its_signer_consents_as_well(world: World) -> None:
    key = world.newcomer("a machine").signer
    play = with_hospital(world, hospital(world, key.address))
    settle(play, key.sign(settlement(play, digest("claims"))))


def test_a_wallet_that_says_no_has_not_consented(world: World, stranger: Party) -> None:
    made = hospital(world)
    play = with_hospital(world, made)
    consent = owner_of(world).sign(settlement(play, digest("claims")))
    with refused("SignatureInvalid", 1):
        settle(play, stranger.signer.sign(settlement(play, digest("claims"))))
    world.treasury.invoke(made.wallet, DISOWN, True)
    with refused("SignatureInvalid", 1):
        settle(play, consent)
    world.treasury.invoke(made.wallet, DISOWN, False)
    settle(play, consent)


def test_a_wallet_that_stands_by_two_uploads_has_not_equivocated_and_its_signers_key_has(world: World) -> None:
    key = world.newcomer("a machine").signer
    play = with_hospital(world, hospital(world, key.address))
    bodies = (digest("body"), digest("another body"))
    messages = [sign.digest(world.chain.domain, sign.Upload(play.id, 0, 1, body)) for body in bodies]
    by_owner, by_key = (tuple(signer.sign(one) for one in messages) for signer in (owner_of(world), key))
    with refused("SignatureInvalid", 1):
        play.buyer.wallet.slash_equivocation(Equivocation(play.id, 0, 1, bodies, (by_owner[0], by_owner[1])))
    play.buyer.wallet.slash_equivocation(Equivocation(play.id, 0, 1, bodies, (by_key[0], by_key[1])))


def test_an_upload_vouched_for_by_a_wallet_is_no_evidence_because_wallets_change_their_minds(world: World) -> None:
    made = hospital(world)
    play = Play(world, sites=1).enrolling()
    made.act(world.deployment.jobs, suite.JOBS["enrol"], play.id, made.dataset)
    play.coordinator.wallet.start(play.id)
    play.sites = 2
    body = digest("body")
    signature = owner_of(world).sign(sign.digest(world.chain.domain, sign.Upload(play.id, 0, 1, body)))
    play.leaves.append([play.upload(0, 0), leaf_data(play.id, 0, 1, body, signature)])
    play.coordinator.wallet.anchor(play.id, [play.entry(0)])
    settle(play, owner_of(world).sign(settlement(play, digest("claims"))))
    play.buyer.wallet.dispute_leaf(play.id, 0, Seat(1), play.leaves[0][1], signature, play.tree(0).proof(1))
    assert world.chain.credit(world.deployment.token, made.wallet) == 50
