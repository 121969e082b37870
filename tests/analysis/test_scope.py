"""Which domains are one case's energy: a whole is never added to what it holds."""

from __future__ import annotations

import pytest

from harness.analysis.scope import case_energy
from harness.schema import Domain
from tests.factories import measurement


def parts(*names, modelled=()):
    """A measurement of 1 J per inference of each, 10 J of a whole; none says what its parent is, as imported meters do not."""
    return [
        measurement(
            Domain(
                name=name,
                sensor="meter",
                quantity="power",
                unit="W",
                kind="modelled" if name in modelled else "sampled",
                device="gpu" if name.startswith("gpu") else "cpu",
                gain=None if name in modelled else 0.01,
            ),
            10.0 if name.split(":")[0] in ("wall", "system", "psys") else 1.0,
            100.0,
        )
        for name in names
    ]


@pytest.mark.parametrize(
    ("names", "scope", "joules"),
    [
        (("wall", "package"), "package", 1.0),
        (("package", "dram", "wall"), "package+dram", 2.0),
        (("wall", "gpu:0"), "gpu:0", 1.0),
        (("system", "gpu:0", "package"), "gpu:0+package", 2.0),
        (("psys", "package:1"), "package:1", 1.0),
        (("psys", "gpu:0"), "psys+gpu:0", 11.0),
        (("wall", "system", "psys"), "psys", 10.0),
        (("wall",), "wall", 10.0),
    ],
)
def test_a_suite_that_names_a_whole_and_its_part_counts_the_part(names, scope, joules):
    """In any order; psys holds no card."""
    found = case_energy(parts(*names), "gpu", names)
    assert (found.scope, found.energy_j) == (scope, pytest.approx(joules))


def test_a_modelled_part_does_not_take_a_measured_wholes_place():
    """It stands beside it."""
    found = case_energy(parts("wall", "package", modelled=("package",)), "cpu", ("wall", "package"))
    assert (found.scope, found.energy_j, found.modelled_j, found.kind) == ("wall", 10.0, 1.0, "sampled")
