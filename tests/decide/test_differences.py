"""Differences between machines, and whether they prevent a comparison."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.decide.compare import compare
from harness.decide.differences import ROOT_ONLY, differences
from harness.report.differences import difference_lines
from harness.sensors import rapl as rapl_module
from tests import factories
from tests.decide.machines import machine, on_a_gpu
from tests.factories import CARD, COUNTERS, MODELLED


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"profile": "standard"}, "profile: name"),
        ({"found": MODELLED}, "energy kind"),
        ({"environment": {"governor": "powersave"}}, "governor"),
        ({"environment": {"harness_version": "9"}}, "harness"),
        ({"environment": {"versions": {"ai-edge-litert": "1.0", "onnxruntime": "1.32.0"}}}, "ai-edge-litert"),
    ],
)
def test_what_prevents_a_comparison(other, what):
    """Work, measurement, rails, evidence, settings, the engine that ran."""
    run = machine("box-2", **other)
    if "harness_version" in other.get("environment", {}):
        run = replace(run, header=run.header.model_copy(update={"harness_version": "9"}))
    found = differences([machine(environment={"governor": "performance"}), run])
    assert what in [each.name.split(" (")[0] for each in found if each.prevents]


def test_counters_that_only_root_may_read_are_listed_as_the_cause():
    """A run as root and a run as a user have different scopes; the line has the next step. Two equal runs have no such line."""
    refusal = rapl_module._read_error(rapl_module.Zone("intel-rapl:0", "package-0", Path()), PermissionError())
    root, user = machine(found=COUNTERS[:2]), machine("box-2", found=MODELLED)
    user = replace(user, header=user.header.model_copy(update={"unavailable": {"rapl": str(refusal)}}))
    (line,) = [each for each in difference_lines([root, user], differences([root, user])) if "RAPL" in each]
    assert "readable | root-only" in line and "a run as root and a run as a user get different scopes" in line and "udev rule" in line
    assert next(each for each in differences([root, user]) if each.name == "RAPL counters").prevents
    for alike in ([user, user], [root, machine("box-2", found=MODELLED)]):
        assert not [each for each in differences(alike) if each.name == "RAPL counters"]


def test_a_part_that_only_root_may_read_is_listed_too():
    """If only DRAM is left out and the compared energies do not differ by it, it prevents nothing."""
    devices = ({"domain": "intel-rapl:0:1", "left_out": f"may be read by root alone, as since {ROOT_ONLY}\na rule"},)
    runs = [machine(found=COUNTERS[:2]), machine("box-2", found=COUNTERS[:2], environment={"devices": devices})]
    (found,) = [each for each in differences(runs) if each.name == "RAPL counters"]
    assert found.values == ("readable", "readable, some root-only") and not found.prevents


def test_what_does_not_prevent_a_comparison():
    """Host and CPU are not differences; system, unused packages and a governor known on one machine alone prevent nothing."""
    changed = {"cpu": "Other", "kernel": "7", "governor": "performance", "versions": {"ai-edge-litert": "2.3.0", "onnxruntime": "9"}}
    found = differences([machine(), machine("box-2", environment=changed)])
    assert not any(each.prevents for each in found)
    assert {"kernel", "onnxruntime", "governor"} <= {each.name for each in found}
    assert not {"host", "cpu"} & {each.name for each in found}


@pytest.mark.parametrize(
    ("other", "name", "prevents"),
    [
        ({"card": {"ecc": False}}, "gpu ECC", True),
        ({"card": {"ecc": None}}, "gpu ECC", False),
        ({"card": {"ecc": False, "name": "RTX 4090"}}, "gpu ECC", False),
        ({"card": {"sm_clock_application_hz": 1.2e9}}, "gpu sm_clock_application_hz", True),
        ({"conditions": {"gpu:0 clocks_set": 1.0}}, "gpu clocks", True),
        ({"conditions": {"gpu:0 sm_clock": 1.2e9}}, "gpu sm_clock in the windows", False),
        ({"conditions": {"gpu:0 pcie_width": 8.0}}, "gpu PCIe link in the windows", False),
        ({"card": {"pcie_width_max": 8}}, "gpu PCIe link, maximum", False),
        ({"facts": {"tf32": False}}, "TF32", True),
        ({"facts": {"tf32": None}}, "TF32", False),
    ],
)
def test_settings_and_links_of_a_card_are_listed(other, name, prevents):
    """A setting of a card of the same name prevents a comparison; a property of the machine, or one that is unknown in a run, does not."""
    found = {each.name.split(" (")[0]: each.prevents for each in differences([on_a_gpu(), on_a_gpu("box-2", **other)])}
    assert found[name] is prevents
    assert name not in {each.name.split(" (")[0] for each in differences([on_a_gpu(), on_a_gpu("box-2")])}


def test_cases_that_one_run_lacks_are_listed():
    """Two suites without a common case; a profile without a target differs from one with a target."""
    many = [factories.case(f"v{k}") for k in range(7)]
    records = [factories.record(c, repetition=k) for c in many for k in range(3)]
    other = replace(factories.stored(many, records, profile="standard"), folder="b")
    found = {each.name: each for each in differences([machine(), other])}
    (lacking,) = [each for each in differences([machine(), other]) if each.reason == "case_missing" and each.detail == "run-box-1"]
    assert lacking.values == tuple(c.case_id for c in many)
    assert [each.prevents for each in differences([machine(), other]) if each.reason == "no_common_case"] == [True]
    assert found["profile: half_width"].prevents and found["profile: half_width"].values == ("none", 0.02)


def test_another_power_reading_prevents_a_comparison_if_it_was_sampled():
    """Means over a second and over 25 ms are not comparable; with a counter the reading does not matter."""
    average, instant = (CARD[1].model_copy(update={"detail": {"reading": name}}) for name in ("power_average", "power_instant"))

    def prevented(mine, theirs, domain):
        runs = [machine(found=(CARD[0], mine), domains=(domain,)), machine("box-2", found=(CARD[0], theirs), domains=(domain,))]
        return {each.name.split(" (")[0] for each in differences(runs) if each.prevents}

    assert prevented(average, instant, "gpu:0:power") == {"power reading"}
    assert prevented(average, average, "gpu:0:power") == set()
    assert prevented(average, instant, "gpu:0") == set()


def test_caps_of_the_card_that_ran_are_read_as_a_share():
    """Two cards at their own defaults are comparable whatever the watts; a capped one is not."""
    own = {"power_limit_w": 700.0, "power_limit_default_w": 700.0}
    small = {"name": "L4", "power_limit_w": 72.0, "power_limit_default_w": 72.0}
    assert not any(each.prevents for each in differences([on_a_gpu(card=own), on_a_gpu("box-2", card=small)]))
    capped = differences([on_a_gpu(card=own), on_a_gpu("box-2", card={**own, "power_limit_w": 350.0})])
    assert any("cap" in each.name and each.prevents for each in capped)
    unknown = [on_a_gpu(name, card={"power_limit_w": w, "power_limit_default_w": None}) for name, w in (("box-1", 300.0), ("box-2", 200.0))]
    assert [each.name for each in differences(unknown) if each.prevents] == ["gpu power limit, W"]


def test_the_cap_of_an_unused_card_is_not_a_difference():
    """The cap of a card that no case runs on does not affect any figure."""
    idle = {"domain": "gpu:0", "name": "H100", "power_limit_w": 350.0, "power_limit_default_w": 700.0}
    runs = [machine(), machine("box-2", environment={"devices": (idle,)})]
    assert not [each for each in differences(runs) if "cap" in each.name]


def test_card_3_of_one_box_is_compared_with_card_0_of_another():
    """Cap and thermometer are those of the card that ran."""
    first, third = (
        on_a_gpu(card={"power_limit_w": 700.0, "power_limit_default_w": 700.0}),
        on_a_gpu("box-2", at="gpu:3", card={"power_limit_w": 350.0, "power_limit_default_w": 700.0}),
    )
    assert [each.verdict for each in compare([first, third]) if each.quantity == "energy"]
    found = {each.name: each.values for each in differences([first, third])}
    assert found["gpu power cap, of the default"] == ("1.00", "0.50")
    assert not any("scope" in name or "gpu:" in name for name in found)


def test_machines_whose_rails_have_none_in_common_are_not_compared():
    """One reads packages, the other only DRAM."""
    runs = [machine(found=COUNTERS[:1]), machine("box-2", found=COUNTERS[1:2])]
    assert [each.prevents for each in differences(runs) if each.name.startswith("energy scope")] == [True]


def test_another_suite_prevents_a_comparison():
    """Another suite measures different work."""
    base, other = machine(), machine("box-2")
    suite = other.header.suite.model_copy(update={"sha256": "6" * 64})
    other = replace(other, header=other.header.model_copy(update={"suite": suite}))
    assert "suite" in [each.name for each in differences([base, other]) if each.prevents]


def test_the_cap_of_a_package_is_a_setting_only_on_the_same_processor():
    """The same processor with a lower cap is not comparable; another processor has its own cap."""
    packages = [
        {"devices": ({"domain": "package", "zone": "intel-rapl:0", "name": "package-0", "power_limit_w": w},)} for w in (280.0, 100.0)
    ]
    base, capped = (machine(name, environment=box) for name, box in zip(("box-1", "box-2"), packages, strict=True))
    assert [each.name for each in differences([base, capped]) if each.prevents] == ["package power cap, W"]
    other = machine("box-2", environment={**packages[1], "cpu": "another"})
    assert [(each.name, each.prevents) for each in differences([base, other]) if "cap" in each.name] == [("package power cap, W", False)]


def on_both_cards(caps, degc):
    """A run of a case on each of two cards that the suite chose, with their power limits and temperatures; the other card idles at 30 degC."""
    names, uuids = ("gpu:0", "gpu:1"), ("GPU-A", "GPU-B")
    plain = factories.case("dense", "tensorflow", device="gpu")
    cases = [plain.model_copy(update={"case_id": f"m/dense/tensorflow/gpu:{uuid}/b1", "card": uuid}) for uuid in uuids]
    domains = [
        domain.model_copy(update={"device": "gpu" if name == "gpu:0" else name, "name": f"{name}{suffix}", "detail": detail})
        for name, uuid in zip(names, uuids, strict=True)
        for domain, suffix, detail in (
            (CARD[0], "", {"uuid": uuid}),
            (CARD[1].model_copy(update={"quantity": "temperature", "unit": "degC", "kind": None, "counter": None}), " temperature", {}),
        )
    ]
    records = [
        factories.record(
            case, {name: 7.0 + 0.01 * k}, repetition=k, found=tuple(domains),
            conditions={f"{other} temperature": own if other == name else 30.0 for other in names},
        )
        for case, name, own in zip(cases, names, degc, strict=True)
        for k in range(3)
    ]  # fmt: skip
    run = factories.stored(cases, records, tuple(domains))
    devices = tuple(
        {"domain": name, "name": "H100", "power_limit_w": cap, "power_limit_default_w": 700.0}
        for name, cap in zip(names, caps, strict=True)
    )
    return replace(
        run, header=run.header.model_copy(update={"environments": (factories.environment().model_copy(update={"devices": devices}),)})
    )


def test_each_card_that_a_suite_chose_is_compared():
    """Its cap, and its temperature over the cases that ran on it, and not those of the first card alone."""
    runs = [on_both_cards((700.0, 500.0), (60.0, 61.0)), on_both_cards((700.0, 700.0), (60.0, 85.0))]
    listed = {each.name: each for each in differences(runs)}
    assert listed["gpu:GPU-B power cap, of the default"].prevents
    assert listed["gpu:GPU-B temperature"].values == (61.0, 85.0)
    assert not [name for name in listed if name.startswith(("gpu:GPU-A", "gpu "))]
