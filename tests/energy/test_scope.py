"""Which domains are one case's energy: a whole is never added to what it holds."""

from __future__ import annotations

import pytest

from harness.energy.scope import build_energy, case_energy, device_detail, for_card, near_domains
from harness.schema import Domain, Measurement
from tests.factories import measurement


def parts(*names, modelled=()):
    """A measurement of 1 J per inference of each, 10 J of a whole; without parents, as of imported meters."""
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
    ("device", "names", "scope", "joules"),
    [
        ("cpu", ("wall", "package"), "package", 1.0),
        ("cpu", ("package", "dram", "wall"), "package+dram", 2.0),
        ("gpu", ("wall", "gpu:0"), "gpu:0", 1.0),
        ("gpu", ("system", "gpu:0", "package"), "gpu:0+package", 2.0),
        ("cpu", ("psys", "package:1"), "package:1", 1.0),
        ("gpu", ("psys", "gpu:0"), "psys+gpu:0", 11.0),
        ("cpu", ("wall", "system", "psys"), "psys", 10.0),
        ("gpu", ("wall",), "wall", 10.0),
        ("gpu", ("wall", "package"), "wall", 10.0),
        ("gpu", ("dram", "wall", "system", "psys", "package"), "system", 10.0),
    ],
)
def test_a_suite_that_names_a_whole_and_its_part_counts_the_part(device, names, scope, joules):
    """In any order; psys contains no card, so that of a case on a card the whole counts where the parts lack the card."""
    found = case_energy(parts(*names), device, names)
    assert (found.scope, found.energy_j) == (scope, pytest.approx(joules))


@pytest.mark.parametrize("domains", [None, ("package", "dram"), ("package", "dram", "psys"), ("package", "gpu:1")])
def test_a_case_on_a_card_that_no_domain_holds_has_no_energy(domains):
    """Neither the host's joules nor another card's stand for it, whatever the suite names."""
    found = case_energy([*parts("package", "dram", "psys"), *other_card()], "gpu", domains)
    assert (found.energy_j, found.net_j, found.kind, found.device_j) == (None, None, "absent", None)
    assert case_energy(parts("package", "dram", modelled=("package", "dram")), "gpu").kind == "absent"


def test_the_energy_of_the_card_alone_is_kept_with_the_sum():
    """The host's rails are in the one and not in the other."""
    found = case_energy(parts("package", "dram", "gpu:0"), "gpu")
    assert (found.energy_j, found.device_j) == (3.0, 1.0)
    assert case_energy(parts("package", "dram"), "cpu").device_j is None


def test_the_family_gpu_is_the_card_that_cases_run_on():
    """Not every card of the box."""
    found = case_energy([*parts("package", "gpu:0"), *other_card()], "gpu", ("package", "gpu"))
    assert found.scope == "package+gpu:0"


def other_card():
    """A card that no case runs on."""
    return [m.model_copy(update={"domain": "gpu:1", "device": "gpu:1"}) for m in parts("gpu:0")]


def test_a_modelled_part_does_not_take_a_measured_wholes_place():
    """The modelled energy is stored in a separate field."""
    found = case_energy(parts("wall", "package", modelled=("package",)), "cpu", ("wall", "package"))
    assert (found.scope, found.energy_j, found.modelled_j, found.kind) == ("wall", 10.0, 1.0, "sampled")


def cards_of(*names, gpu="gpu:0"):
    """A counter with its power and temperature on each card; one is the device gpu."""
    parts = (("", "energy", "J", "counter"), (" power", "power", "W", "sampled"), (" temperature", "temperature", "degC", None))
    return [
        Domain(
            name=f"{name}{suffix}", sensor="nvml", quantity=quantity, unit=unit, kind=kind, device="gpu" if name == gpu else name,
            detail={"uuid": f"GPU-{name[-1]}"} if kind else {},
        )
        for name in names
        for suffix, quantity, unit, kind in parts
    ]  # fmt: skip


def test_a_chosen_card_is_the_device_gpu_of_its_case():
    """With its conditions; the first visible card then has its own name, as every other one."""
    domains = cards_of("gpu:0", "gpu:1", "gpu:2")
    seen = {d.name: d.device for d in for_card(domains, "GPU-2")}
    assert {name for name, device in seen.items() if device == "gpu"} == {"gpu:2", "gpu:2 power", "gpu:2 temperature"}
    assert seen["gpu:0 temperature"] == "gpu:0" and seen["gpu:1"] == "gpu:1"
    assert near_domains(for_card(domains, "GPU-2"), "gpu") == {"gpu:2", "gpu:2 power", "gpu:2 temperature"}
    assert device_detail(for_card(domains, "GPU-2"), "gpu")["uuid"] == "GPU-2"


def test_without_a_chosen_card_domains_are_as_they_are():
    """As is the first card if it is chosen; an unknown card leaves no device gpu."""
    domains = cards_of("gpu:0", "gpu:1")
    assert for_card(domains, None) == domains == for_card(domains, "GPU-0")
    assert "gpu" not in {d.device for d in for_card(domains, "GPU-9")}


def test_the_host_belongs_to_every_card():
    """Packages and meters keep their device."""
    package = Domain(name="package", sensor="rapl", quantity="energy", unit="J", kind="counter")
    wall = Domain(name="wall", sensor="meter", quantity="power", unit="W", kind="sampled", device="cpu")
    assert for_card([package, wall], "GPU-1") == [package, wall]


def test_a_build_for_a_card_is_charged_with_that_card_alone():
    """Next to the host; idle cards next to it are not its price. A build on the CPU counts all accelerators, as it always did."""
    names = {"package": "cpu", "gpu:0": "gpu", "gpu:1": "gpu:1"}
    measured = [
        Measurement(
            domain=name, sensor="s", kind="counter", phase="build", start_s=0, end_s=1, inferences=None, gross_j=10.0, device=device
        )
        for name, device in names.items()
    ]
    assert (build_energy(measured, "gpu").scope, build_energy(measured, "gpu").energy_j) == ("package+gpu:0", 20.0)
    assert (build_energy(measured).scope, build_energy(measured).energy_j) == ("package+gpu:0+gpu:1", 30.0)
