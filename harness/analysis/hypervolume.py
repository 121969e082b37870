"""Points and a reference -> the hypervolume that they dominate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.analysis.pareto import front

Floats = NDArray[np.float64]


def hypervolume(points: Floats, reference: Floats) -> float:
    """Volume of what the points dominate and the reference bounds, exactly; smaller is better.

    Sum over the points, in order of the last objective, of what each adds: its own box less the hypervolume of the others'
    boxes cut to it (WFG; While, Bradstreet & Barone, IEEE Trans. Evol. Comput. 16, 2012, 86-95). Quick for the fronts of a run: 1,000
    points of three objectives, 200 of four.

    Args:
        points: Shape (n, k); rows with NaN, and those not better than the reference everywhere, count for nothing.
        reference: Shape (k,).

    Returns:
        0 where no point is better than the reference.
    """
    inside = points[(points < reference).all(axis=1)]
    return _volume(_distinct_front(inside), reference)


def _distinct_front(points: Floats) -> Floats:
    """The front without doubles, the worst of the last objective first, so that what is cut to it becomes small."""
    on = np.unique(points[front(points)], axis=0)
    return on[np.argsort(-on[:, -1], kind="stable")]


def _volume(points: Floats, reference: Floats) -> float:
    if not len(points):
        return 0.0
    if points.shape[1] == 1:
        return float(reference[0] - points[:, 0].min())
    if points.shape[1] == 2:
        # The worst second objective first is the best first objective first.
        widths = reference[0] - points[:, 0]
        return float(np.sum(widths * (np.concatenate([[reference[1]], points[:-1, 1]]) - points[:, 1])))
    total = 0.0
    for i, point in enumerate(points):
        # Whatever comes later is better in the last objective: cut to this point it has this point's, and one objective less is left.
        later = np.maximum(points[i + 1 :, :-1], point[:-1])
        own = float(np.prod((reference - point)[:-1]))
        total += (own - _volume(_distinct_front(later), reference[:-1])) * float(reference[-1] - point[-1])
    return total
