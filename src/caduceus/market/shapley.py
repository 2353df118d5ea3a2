"""Shapley values: in closed form for the quadratic game of one round, and exactly for any game of few players.

The round's game asks what a coalition S of sites would have gained by moving the model by the mean m_S of its
updates. To second order that is the mean of their helps minus half a curvature times the squared length of the move:

    v(S) = (1/|S|) sum_{i in S} helps_i  -  (curvature / 2) |m_S|^2,   v(empty) = 0

and |m_S|^2 is a sum of entries of the Gram matrix, so nobody needs to see an update to compute it.

Why the closed form holds. By Shapley 1953 the value of i is its mean marginal gain: a size s is drawn uniformly from
0 .. n-1, then S uniformly from the sets of s others. In expectation over S (K the Gram matrix, i left out)

    o  = mean of the others' helps,      d = mean of the others' K_jj,
    x  = mean of K_ij over others j,     c = mean of K_jk over pairs of two others

    E |m_S|^2      = d / s + c (s - 1) / s                                        for s >= 1, else 0
    E |m_{S+i}|^2  = (K_ii + s d + 2 s x + s (s - 1) c) / (s + 1)^2
    E gain in the mean help = (helps_i - o) / (s + 1) for s >= 1, helps_i for s = 0

Only the size s is left, and sums over 0 .. n-1 are harmonic numbers: with H = sum 1/k, G = sum 1/k^2, k = 1 .. n,

    n phi_i = helps_i + (H - 1)(helps_i - o)
              - (curvature / 2) [G K_ii + (H - G)(d + 2 x) + (n - 3 H + 2 G) c - (H - 1/n) d - (n - 1 - H + 1/n) c]

Means with unequal weights have no such form: there the sums run over the weights of coalitions, not over their sizes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from caduceus.errors import Misuse, Refused
from caduceus.kinds import Floats

Coalitions = npt.NDArray[np.bool_]
"""bool[k, n]: k coalitions of n players."""

MOST_PLAYERS = 18
"""Beyond that the 2**n coalitions of the exact value no longer fit a small machine's memory and patience."""


SHARE = 0.5
"""Of the curvature along the mean update, what `curved` assumes in all other directions."""


def quadratic(products: Floats, helps: Floats, curvature: float) -> Floats:
    """Shapley values of the round's quadratic game, in O(n^2): one pass over the Gram matrix.

    products   float64[n, n], symmetric; inner products of the updates; n >= 1
    helps      float64[n]; what each update alone gains to first order, in units of the loss
    curvature  of the loss along the move, loss per square model unit; see `curvature_from`
    returns    float64[n], in units of the loss; they add up to v(everybody)

    Raises Misuse if the shapes differ or nobody plays.

    Source: Shapley 1953; the module's head derives the sums.
    """
    n = len(helps)
    if n == 0 or products.shape != (n, n) or helps.shape != (n,):
        raise Misuse(f"quadratic: a Gram matrix of shape {products.shape} for helps of shape {helps.shape}")
    own = np.diag(products)
    if n == 1:
        return np.asarray(helps - curvature / 2 * own, dtype=np.float64)
    cross = products.sum(axis=1) - own
    others_help = (helps.sum() - helps) / (n - 1)
    others_own = (own.sum() - own) / (n - 1)
    between = (cross.sum() - 2 * cross) / max((n - 1) * (n - 2), 1)  # a sum over no pairs is 0
    inverses = 1.0 / np.arange(1, n + 1)
    h, g = float(inverses.sum()), float((inverses**2).sum())
    gain = h * helps - (h - 1) * others_help
    growth = (
        g * own
        + (h - g) * (others_own + 2 * cross / (n - 1))
        + (n - 3 * h + 2 * g) * between
        - (h - 1 / n) * others_own
        - (n - 1 - h + 1 / n) * between
    )
    return np.asarray((gain - curvature / 2 * growth) / n, dtype=np.float64)


def curvature_from(help: float, norm2: float, gain: float) -> float:  # noqa: A002 - the word for it everywhere here
    """The curvature along a move, from one evaluation of the loss after it.

    help     what the move promised to first order
    norm2    its squared length, >= 0
    gain     what it brought: loss before minus loss after
    returns  loss per square model unit, >= 0: 2 (help - gain) / norm2; 0 for no move, or one that brought more than
             it promised (a negative curvature would reward length for its own sake)
    """
    return max(2 * (help - gain) / norm2, 0.0) if norm2 > 0 else 0.0


def curved(products: Floats, helps: Floats, helps_after: Floats) -> Floats:
    """Inner products in the metric of the loss, from the updates' helps before and after moving by their mean.

    products     float64[n, n]; inner products of the updates
    helps        float64[n]; of each update at the model before the move
    helps_after  float64[n]; of the same updates at the model after it
    returns      float64[n, n]; for `quadratic` in place of `products`, with curvature 1

    A loss that bends more in some directions than in others isn't described by one curvature. The change of the helps
    is <D_i, B m> for its Hessian B and the mean update m, which fixes B along m; the symmetric rank-one update of
    SHARE of the isotropic curvature is the nearest matrix that agrees. If the loss doesn't bend along m: all 0.

    Raises Misuse if the shapes differ.

    Source: Nocedal and Wright 2006, Numerical Optimization, 6.2 (SR1).
    """
    n = len(helps)
    if n == 0 or products.shape != (n, n) or helps_after.shape != (n,):
        raise Misuse(f"curved: {products.shape} products, {helps.shape} and {helps_after.shape} helps")
    bent, norm2 = helps - helps_after, float(products.mean())
    if norm2 <= 0 or bent.mean() <= 0:
        return np.zeros_like(products)
    even = SHARE * float(bent.mean()) / norm2
    beyond = bent - even * products.mean(axis=1)
    return np.asarray(even * products + np.outer(beyond, beyond) / beyond.mean())


def exact(value: Callable[[Coalitions], Floats], players: int) -> Floats:
    """Shapley values of any game from all 2**players coalitions.

    value    bool[k, players] -> float64[k]; what each coalition is worth; called once, the empty coalition first
    players  1 to MOST_PLAYERS
    returns  float64[players]; they add up to the worth of everybody less that of nobody

    Raises Misuse without players; Refused for more than MOST_PLAYERS.

    Source: Shapley 1953.
    """
    if players < 1:
        raise Misuse(f"exact: {players} players")
    if players > MOST_PLAYERS:
        raise Refused(f"exact: {players} players have 2^{players} coalitions; at most {MOST_PLAYERS} players")
    number = np.arange(2**players)
    inside = (number[:, None] >> np.arange(players)) & 1 == 1
    worth = np.asarray(value(inside), dtype=np.float64)
    size = inside.sum(axis=1)
    chance = np.array([1 / (players * math.comb(players - 1, s)) for s in range(players)])
    found = np.empty(players)
    for player in range(players):
        without = number[~inside[:, player]]
        found[player] = chance[size[without]] @ (worth[without | (1 << player)] - worth[without])
    return found
