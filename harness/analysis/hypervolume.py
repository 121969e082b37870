"""Hypervolume between a set of points and a reference point."""

from __future__ import annotations

import numpy as np

from harness.analysis.pareto import front
from harness.schema import Floats


def hypervolume(points: Floats, reference: Floats) -> float:
    """Exact volume that is dominated by the points and bounded by the reference; 0 if no point is better than the reference.

    It is the sum over the points, in order of the last objective, of the box of each minus the hypervolume of the others'
    boxes cut to it (WFG; While, Bradstreet & Barone, IEEE Trans. Evol. Comput. 16, 2012, 86-95), which is fast for 1,000
    points of three objectives, or 200 of four. Smaller is better; points, of shape (n, k), that have NaN or are not better than the reference,
    of shape (k,), everywhere are ignored.
    """
    inside = points[(points < reference).all(axis=1)]
    return _volume(_distinct_front(inside), reference)


def _distinct_front(points: Floats) -> Floats:
    """The front without duplicates, the worst last objective first, so that the cut sets become small."""
    on = np.unique(points[front(points)], axis=0)
    return on[np.argsort(-on[:, -1], kind="stable")]


def _volume(points: Floats, reference: Floats) -> float:
    if not len(points):
        return 0.0
    if points.shape[1] == 1:
        return float(reference[0] - points[:, 0].min())
    if points.shape[1] == 2:
        widths = reference[0] - points[:, 0]
        return float(np.sum(widths * (np.concatenate([[reference[1]], points[:-1, 1]]) - points[:, 1])))
    total = 0.0
    for i, point in enumerate(points):
        # Later points are better in the last objective: cut to this point they have its value, and one objective fewer remains.
        later = np.maximum(points[i + 1 :, :-1], point[:-1])
        own = float(np.prod((reference - point)[:-1]))
        total += (own - _volume(_distinct_front(later), reference[:-1])) * float(reference[-1] - point[-1])
    return total
