"""Runs for the tests of the gate."""

from __future__ import annotations

import numpy as np

from tests.factories import COUNTERS, case, record, stored

CELLS = [case(v, "litert", b) for v in ("dense", "int8", "float16") for b in (1, 32)]


def run(seed=0, cells=CELLS, factor=None, found=COUNTERS[:2], quality=0.97, **changes):
    """Five launches of each cell at an sd of 1 %; `factor` times the energy of a case."""
    rng, records = np.random.default_rng(seed), []
    for cell in cells:
        for k in range(5):
            joules = 1e-4 * float(rng.normal(1, 0.01)) * (factor or {}).get(cell.case_id, 1.0)
            energies = {d.name: joules for d in found}
            records.append(record(cell, energies, 25e-6 * float(rng.normal(1, 0.01)), quality, k, found, **changes))
    return stored(cells, records, found, "standard")
