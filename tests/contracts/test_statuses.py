"""Status lists of issuers of credentials: each says in its own name which one is the newest."""

from __future__ import annotations

import pytest

from caduceus.edges.gateway import suite
from caduceus.edges.gateway.abi import contract
from caduceus.errors import Misuse
from caduceus.kinds import Digest
from suite_world import Party, World, call, digest, refused

PUBLISHED = contract("Statuses").events["StatusPublished"]


def told(world: World, issuer: Party) -> list[tuple[int, Digest]]:
    """Everything that an issuer published, by its events."""
    logs = world.node.logs(world.deployment.statuses, [PUBLISHED], issuer.address.rjust(32, b"\0"), since=0)
    return [(sequence, root) for _, sequence, root in map(PUBLISHED.read, logs)]


def test_the_newest_list_counts_and_all_are_numbered(world: World) -> None:
    issuer = world.party("site-3")
    before = len(told(world, issuer))
    roots = [digest("status list", next(world.nonce)) for _ in range(3)]
    for root in (*roots, roots[2]):
        issuer.wallet.publish_status(root)
        assert world.chain.status_root(issuer.address) == root
    assert told(world, issuer)[before:] == [(before + 1 + n, root) for n, root in enumerate([*roots, roots[2]])]
    assert call(world, suite.STATUSES["sequenceOf"], issuer.address) == (before + 4,)


def test_anybody_is_an_issuer_and_speaks_for_itself_alone(world: World, stranger: Party) -> None:
    """The stranger is no member of the network."""
    issuer = world.party("site-3")
    issuer.wallet.publish_status(digest("own list"))
    stranger.wallet.publish_status(digest("a stranger's list"))
    assert world.chain.status_root(issuer.address) == digest("own list")
    assert world.chain.status_root(stranger.address) == digest("a stranger's list")


def test_who_published_nothing_has_no_list(world: World) -> None:
    nobody = world.newcomer("somebody without gas").address
    assert world.chain.status_root(nobody) is None
    assert call(world, suite.STATUSES["sequenceOf"], nobody) == (0,)


def test_a_list_without_a_digest_is_refused(world: World) -> None:
    issuer = world.party("site-3")
    issuer.wallet.publish_status(digest("own list"))
    with refused("RootMissing"):
        issuer.wallet.publish_status(Digest(bytes(32)))
    assert world.chain.status_root(issuer.address) == digest("own list")
    with pytest.raises(Misuse):
        issuer.wallet.publish_status(Digest(bytes(33)))
