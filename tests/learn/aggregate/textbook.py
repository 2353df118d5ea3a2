"""The rules as the papers write them: n x d arrays in float64, loops, no matrix of inner products anywhere."""

from __future__ import annotations

import itertools

import numpy as np


def ranked(scores):
    """Places by score; a run of neighbours within a millionth is tied and goes by place."""
    by_score = sorted(range(len(scores)), key=lambda i: (scores[i], i))
    runs = [[by_score[0]]]
    for before, after in itertools.pairwise(by_score):
        if scores[after] - scores[before] <= 1e-6 * scores[after]:
            runs[-1].append(after)
        else:
            runs.append([after])
    return [place for run in runs for place in sorted(run)]


def squares(x):
    return ((x[:, None] - x[None]) ** 2).sum(axis=2)


def krum_scores(x, f):
    apart = squares(x)
    return [sum(sorted(np.delete(apart[i], i))[: max(len(x) - f - 2, 1)]) for i in range(len(x))]


def average(x, chosen, voices):
    return sum(voices[i] * x[i] for i in chosen) / sum(voices[i] for i in chosen)


def multi_krum(x, f, keep):
    return sorted(ranked(krum_scores(x, f))[:keep])


def smallest_diameter(x, f):
    apart = np.sqrt(squares(x))
    subsets = [list(subset) for subset in itertools.combinations(range(len(x)), len(x) - f)]
    sizes = [apart[np.ix_(subset, subset)].max() for subset in subsets]
    return next(s for s, size in zip(subsets, sizes, strict=True) if size**2 <= min(sizes) ** 2 * (1 + 1e-6))


def spread_from(z, x, voices):
    return sum(v * np.linalg.norm(row - z) for v, row in zip(voices, x, strict=True))


def geometric_median(x, voices):
    """Weiszfeld, long; or a row, where that is better."""
    z = np.average(x, axis=0, weights=voices)
    for _ in range(1000):
        pulls = voices / np.maximum(np.linalg.norm(x - z, axis=1), 1e-12)
        before, z = z, pulls @ x / pulls.sum()
        if np.array_equal(before, z):
            break
    return min([z, *x], key=lambda point: spread_from(point, x, voices))


def centred_clipping(x, start, radius, steps, voices):
    v = start.copy()
    for _ in range(steps):
        moves = [(row - v) * min(1.0, radius / max(np.linalg.norm(row - v), 1e-300)) for row in x]
        v = v + sum(w * move for w, move in zip(voices / voices.sum(), moves, strict=True))
    return v


def mixed(x, f, voices):
    apart = squares(x)
    rows = []
    for i in range(len(x)):
        others = [j for j in ranked(apart[i]) if j != i]
        rows.append(average(x, [i, *others[: len(x) - f - 1]], voices))
    return np.array(rows)


def cosine(a, b):
    both = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b) / both if both else 0.0


def fltrust(x, root, voices):
    trust = [v * max(cosine(row, root), 0.0) for v, row in zip(voices, x, strict=True)]
    if not sum(trust):
        return np.zeros_like(root)
    scaled = [t * np.linalg.norm(root) / np.linalg.norm(row) * row for t, row in zip(trust, x, strict=True) if t]
    return sum(scaled) / sum(trust)


def foolsgold(history):
    n = len(history)
    alike = [[cosine(history[i], history[j]) for j in range(n)] for i in range(n)]
    closest = [max(max(alike[i][j] for j in range(n) if j != i), 0.0) for i in range(n)]
    rate = []
    for i in range(n):
        shown = [
            alike[i][j] * (closest[i] / closest[j] if closest[j] > closest[i] else 1.0) for j in range(n) if j != i
        ]
        rate.append(min(max(1.0 - max(shown), 0.0), 1.0))
    logits = []
    for value in rate:
        share = min(max(value / (max(rate) or 1.0), 1e-15), 0.99)
        logits.append(min(max(np.log(share / (1 - share)) + 0.5, 0.0), 1.0))
    return np.array(logits)


def bulyan_chosen(x, f):
    left, chosen = list(range(len(x))), []
    while len(chosen) < len(x) - 2 * f:
        best = ranked(krum_scores(x[left], f))[0] if len(left) > 1 else 0
        chosen.append(left.pop(best))
    return sorted(chosen)


def mean_around_median(x, closest):
    off = np.abs(x - np.median(x, axis=0))
    off = np.round(off / max(off.max(), 1e-300), 12)  # of two equally far the smaller, whatever the rounding
    nearest = np.lexsort((x, off), axis=0)[:closest]
    return np.take_along_axis(x, nearest, axis=0).mean(axis=0)


def trimmed_mean(x, f):
    return np.sort(x, axis=0)[f : len(x) - f].mean(axis=0)
