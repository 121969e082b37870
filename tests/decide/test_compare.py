"""Machines side by side: what forbids it, and verdicts on instruments whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.decide.buyer import bought, even, sensitivity
from harness.decide.compare import compare
from harness.decide.differences import ROOT_ONLY, differences
from harness.decide.offers import GridOffer, Offer, Offers
from harness.report.comparison import difference_lines, lines
from harness.sensors import rapl as rapl_module
from tests import factories
from tests.factories import CARD, COUNTERS, MODELLED

CASES = [factories.case(), factories.case("int8")]
OFFERS = Offers(
    currency="EUR", electricity_price_per_kwh=0.3, duty_cycle=1.0, pue=1.2, grid=GridOffer(country="FRA", year=2022, g_per_kwh=56.0),
    offers=[Offer(machine="box-1", capital_cost=1000.0, lifetime_years=4.0), Offer(machine="box-2", capital_cost=2000.0, lifetime_years=4.0)],
)  # fmt: skip


def machine(name="box-1", joules=1e-3, gain=1.0, seed=0, found=COUNTERS[:2], environment=None, **suite):
    """A run of five launches a case, 0.5 % of scatter, whose sensors show `gain` times the true joules (half of them a domain)."""
    rng = np.random.default_rng(seed)
    records = [
        factories.record(c, {d.name: gain * joules / 2 * rng.normal(1, 0.005) for d in found}, 25e-6 * rng.normal(1, 0.005), 0.97, k, found)
        for c in CASES
        for k in range(5)
    ]
    run = factories.stored(CASES, records, found, **suite)
    own = factories.environment().model_copy(update={"host": name, "environment_id": "box", **(environment or {})})
    return replace(run, header=run.header.model_copy(update={"environments": (own,), "run_id": f"run-{name}"}))


def verdicts(runs, quantity="energy"):
    """Of one quantity."""
    return [each.verdict for each in compare(runs) if each.quantity == quantity]


def test_a_known_ratio_is_found_and_its_interval_holds_both_gains():
    """Twice the energy: worse; 5 % of gain on two domains of each machine is 5 % of the ratio, 95 % of which is 10 %."""
    a, b = machine(), machine("box-2", 2e-3, seed=1)
    first = compare([a, b])[0]
    assert first.ratio.value == pytest.approx(2.0, rel=0.01)
    assert np.log(first.ratio.high / first.ratio.low) / 2 == pytest.approx(1.96 * 0.05, rel=0.05)
    assert verdicts([a, b]) == ["worse", "worse"]
    assert verdicts([b, a]) == ["better", "better"]


def test_equal_machines_with_sensors_drawn_by_their_gain_are_not_separated():
    """Of 100 pairs that differ in nothing but their sensors some 5 get a winner (8 or fewer in 94 % of such draws), beside one that differs by half it is always found."""
    rng = np.random.default_rng(3)
    g = 0.05 / np.sqrt(2)
    pairs = [(machine(gain=1 + rng.normal(0, g), seed=k), 1 + rng.normal(0, g)) for k in range(100)]
    same = [verdicts([a, machine("box-2", gain=gain, seed=900 + k)]) for k, (a, gain) in enumerate(pairs)]
    assert sum("better" in each or "worse" in each for each in same) <= 8
    other = [verdicts([a, machine("box-2", 1.5e-3, gain, 900 + k)]) for k, (a, gain) in enumerate(pairs[:20])]
    assert other == [["worse", "worse"]] * 20


def test_modelled_energies_get_no_verdict_between_machines():
    """A model has no gain: no interval either; latency still has both."""
    a, b = machine(found=MODELLED), machine("box-2", 3e-3, found=MODELLED)
    energy = [each for each in compare([a, b]) if each.quantity == "energy"]
    assert [each.verdict for each in energy] == [None, None]
    assert all(np.isnan(each.ratio.low) and "modelled" in each.why_not for each in energy)
    assert None not in verdicts([a, b], "latency")


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
def test_what_forbids(other, what):
    """Work, measurement, rails, evidence, settings, the engine that ran."""
    run = machine("box-2", **other)
    if "harness_version" in other.get("environment", {}):
        run = replace(run, header=run.header.model_copy(update={"harness_version": "9"}))
    found = differences([machine(environment={"governor": "performance"}), run])
    assert what in [each.what.split(" (")[0] for each in found if each.forbids]


def test_counters_that_only_root_may_read_are_named_as_the_cause():
    """A run as root and a run as a user: the scopes differ for that reason, and the next step is in the line; two runs alike say nothing."""
    refusal = rapl_module._read_error(rapl_module.Zone("intel-rapl:0", "package-0", Path()), PermissionError())
    root, user = machine(found=COUNTERS[:2]), machine("box-2", found=MODELLED)
    user = replace(user, header=user.header.model_copy(update={"unavailable": {"rapl": str(refusal)}}))
    (line,) = [each for each in difference_lines([root, user], differences([root, user])) if "RAPL" in each]
    assert "readable | root-only" in line and "a run as root and a run as a user get different scopes" in line and "udev rule" in line
    assert next(each for each in differences([root, user]) if each.what == "RAPL counters").forbids
    for alike in ([user, user], [root, machine("box-2", found=MODELLED)]):
        assert not [each for each in differences(alike) if each.what == "RAPL counters"]


def test_a_part_that_only_root_may_read_is_named_too():
    """DRAM alone may be left out; where the energies compared do not differ by it, it forbids nothing."""
    devices = ({"domain": "intel-rapl:0:1", "left_out": f"may be read by root alone, as since {ROOT_ONLY}\na rule"},)
    runs = [machine(found=COUNTERS[:2]), machine("box-2", found=COUNTERS[:2], environment={"devices": devices})]
    (found,) = [each for each in differences(runs) if each.what == "RAPL counters"]
    assert found.values == ("readable", "readable, some root-only") and not found.forbids


def test_what_is_only_named():
    """Host and CPU are the point; the system, a package that ran nothing and a governor told on one machine alone forbid nothing."""
    changed = {"cpu": "Other", "kernel": "7", "governor": "performance", "versions": {"ai-edge-litert": "2.3.0", "onnxruntime": "9"}}
    found = differences([machine(), machine("box-2", environment=changed)])
    assert not any(each.forbids for each in found)
    assert {"kernel", "onnxruntime", "governor"} <= {each.what for each in found}
    assert not {"host", "cpu"} & {each.what for each in found}


def on_a_gpu(name="box-1", card=None, conditions=None, facts=None, at="gpu:0"):
    """A run of one GPU case on one card."""
    case = factories.case("dense", "tensorflow", device="gpu")
    told = {f"{at} clocks_set": 0.0, f"{at} sm_clock": 1.5e9, f"{at} pcie_generation": 5.0, f"{at} pcie_width": 16.0, **(conditions or {})}
    domain = CARD[0].model_copy(update={"name": at, "device": "gpu"})
    records = [
        factories.record(
            case, {at: 7.0 + 0.01 * k}, repetition=k, found=(domain,), conditions=told, engine_facts={"tf32": True, **(facts or {})}
        )
        for k in range(3)
    ]
    run = factories.stored([case], records, (domain,))
    own = {
        "domain": at,
        "name": "H100",
        "ecc": True,
        "sm_clock_application_hz": 1.98e9,
        "pcie_generation_max": 5,
        "pcie_width_max": 16,
    }
    box = factories.environment().model_copy(update={"host": name, "devices": ({**own, **(card or {})},)})
    return replace(run, header=run.header.model_copy(update={"environments": (box,), "run_id": f"run-{name}"}))


@pytest.mark.parametrize(
    ("other", "what", "forbids"),
    [
        ({"card": {"ecc": False}}, "gpu ECC", True),
        ({"card": {"ecc": None}}, "gpu ECC", False),
        ({"card": {"ecc": False, "name": "RTX 4090"}}, "gpu ECC", False),
        ({"card": {"sm_clock_application_hz": 1.2e9}}, "gpu sm_clock_application_hz", True),
        ({"conditions": {"gpu:0 clocks_set": 1.0}}, "gpu clocks", True),
        ({"conditions": {"gpu:0 sm_clock": 1.2e9}}, "gpu sm_clock in the windows", False),
        ({"conditions": {"gpu:0 pcie_width": 8.0}}, "gpu PCIe link in the windows", False),
        ({"card": {"pcie_width_max": 8}}, "gpu PCIe link, at most", False),
        ({"facts": {"tf32": False}}, "TF32", True),
        ({"facts": {"tf32": None}}, "TF32", False),
    ],
)
def test_how_a_card_was_set_and_linked_is_named(other, what, forbids):
    """What can be made equal on a card of the same name forbids; what comes with the machine, or is not known on one, is named."""
    found = {each.what.split(" (")[0]: each.forbids for each in differences([on_a_gpu(), on_a_gpu("box-2", **other)])}
    assert found[what] is forbids
    assert what not in {each.what.split(" (")[0] for each in differences([on_a_gpu(), on_a_gpu("box-2")])}


def test_cases_that_one_run_lacks_are_named_and_not_endlessly():
    """Two suites without a common case: five of each, and how many more; a profile without a target differs from one that has one."""
    many = [factories.case(f"v{k}") for k in range(7)]
    records = [factories.record(c, repetition=k) for c in many for k in range(3)]
    other = replace(factories.stored(many, records, profile="standard"), folder="b")
    found = {each.what: each for each in differences([machine(), other])}
    (lacking,) = [each for each in differences([machine(), other]) if "not measured in run-box-1" in each.why]
    assert lacking.values[0].count(";") == 4 and lacking.values[0].endswith(" and 2 more")
    assert list(lines([machine(), other], None)) == ["no case was measured on the base and on another machine"]
    assert found["profile: half_width"].forbids and found["profile: half_width"].values == ("none", "0.02")


def test_another_power_reading_forbids_where_it_was_sampled():
    """A mean over a second beside one over 25 ms; where a counter was summed the reading beside it does not matter."""
    average, instant = (CARD[1].model_copy(update={"detail": {"reading": name}}) for name in ("power_average", "power_instant"))

    def forbidden(mine, theirs, domain):
        runs = [machine(found=(CARD[0], mine), domains=(domain,)), machine("box-2", found=(CARD[0], theirs), domains=(domain,))]
        return {each.what.split(" (")[0] for each in differences(runs) if each.forbids}

    assert forbidden(average, instant, "gpu:0:power") == {"power reading"}
    assert forbidden(average, average, "gpu:0:power") == set()
    assert forbidden(average, instant, "gpu:0") == set()


def test_embodied_carbon_counts_for_every_machine_or_for_none():
    """One whose vendor does not tell does not win for being silent."""
    silent, telling = OFFERS.offers[0], OFFERS.offers[1].model_copy(update={"embodied_kg_co2e": 1000.0})
    runs = [machine(), machine("box-2")]
    rows = bought(runs, OFFERS.model_copy(update={"offers": [silent, telling]}))
    assert {each.service.embodied_g for each in rows} == {None}
    both = bought(runs, OFFERS.model_copy(update={"offers": [silent.model_copy(update={"embodied_kg_co2e": 500.0}), telling]}))
    assert {each.service.embodied_g for each in both} == {500e3, 1000e3}
    assert "not given for every machine" in "\n".join(lines(runs, OFFERS.model_copy(update={"offers": [silent, telling]})))


def test_caps_of_the_card_that_ran_are_read_as_a_share():
    """Two cards at their own default are alike whatever its watts; one that is capped is not."""
    own = {"power_limit_w": 700.0, "power_limit_default_w": 700.0}
    small = {"name": "L4", "power_limit_w": 72.0, "power_limit_default_w": 72.0}
    assert not any(each.forbids for each in differences([on_a_gpu(card=own), on_a_gpu("box-2", card=small)]))
    capped = differences([on_a_gpu(card=own), on_a_gpu("box-2", card={**own, "power_limit_w": 350.0})])
    assert any("cap" in each.what and each.forbids for each in capped)
    unknown = [on_a_gpu(name, card={"power_limit_w": w, "power_limit_default_w": None}) for name, w in (("box-1", 300.0), ("box-2", 200.0))]
    assert [each.what for each in differences(unknown) if each.forbids] == ["gpu power limit, W"]


def test_a_card_that_no_case_ran_on_is_no_difference():
    """Its cap moves no figure."""
    idle = {"domain": "gpu:0", "name": "H100", "power_limit_w": 350.0, "power_limit_default_w": 700.0}
    runs = [machine(), machine("box-2", environment={"devices": (idle,)})]
    assert not [each for each in differences(runs) if "cap" in each.what]


def test_card_3_of_one_box_is_compared_with_card_0_of_another():
    """By what it is for the cases; its cap and its thermometer are those of the card that ran."""
    first, third = (
        on_a_gpu(card={"power_limit_w": 700.0, "power_limit_default_w": 700.0}),
        on_a_gpu("box-2", at="gpu:3", card={"power_limit_w": 350.0, "power_limit_default_w": 700.0}),
    )
    assert [each.verdict for each in compare([first, third]) if each.quantity == "energy"]
    found = {each.what: each.values for each in differences([first, third])}
    assert found["gpu power cap, of the default"] == ("1.00", "0.50")
    assert not any("scope" in what or "gpu:" in what for what in found)


def test_machines_that_read_different_rails_are_compared_over_those_they_share():
    """The widest common scope, which is named: a run as root beside a run as a user, two sockets beside one."""
    root, user = machine(joules=2e-3), machine("box-2", joules=2e-3, found=COUNTERS[:1], seed=1)
    (found,) = [each for each in differences([root, user]) if each.what.startswith("energy scope")]
    assert (found.values, found.forbids) == (("package+dram", "package"), False)
    assert found.why == "compared over the widest common scope: package"
    energies = [each for each in compare([root, user]) if each.quantity == "energy"]
    assert [each.ratio.value for each in energies] == pytest.approx([1.0, 1.0], rel=0.02)
    rows = bought([root, user], OFFERS)
    assert {each.scope for each in rows} == {"package"}
    sockets = [COUNTERS[0].model_copy(update={"name": f"package:{k}"}) for k in range(2)]
    two = machine("box-2", joules=2e-3, found=sockets, seed=1)
    assert [each.forbids for each in differences([user, two]) if each.what.startswith("energy scope")] == []
    assert [each.ratio.value for each in compare([user, two]) if each.quantity == "energy"] == pytest.approx([2.0, 2.0], rel=0.02)


def test_machines_whose_rails_have_none_in_common_are_not_compared():
    """The one reads packages, the other DRAM alone."""
    runs = [machine(found=COUNTERS[:1]), machine("box-2", found=COUNTERS[1:2])]
    assert [each.forbids for each in differences(runs) if each.what.startswith("energy scope")] == [True]


def test_another_suite_forbids():
    """It is other work."""
    base, other = machine(), machine("box-2")
    suite = other.header.suite.model_copy(update={"sha256": "6" * 64})
    other = replace(other, header=other.header.model_copy(update={"suite": suite}))
    assert "suite" in [each.what for each in differences([base, other]) if each.forbids]


def test_the_cap_of_a_package_is_a_setting_of_one_processor_and_a_fact_of_two():
    """The same processor capped lower is not compared; another has its own."""
    packages = [
        {"devices": ({"domain": "package", "zone": "intel-rapl:0", "name": "package-0", "power_limit_w": w},)} for w in (280.0, 100.0)
    ]
    base, capped = (machine(name, environment=box) for name, box in zip(("box-1", "box-2"), packages, strict=True))
    assert [each.what for each in differences([base, capped]) if each.forbids] == ["package power cap, W"]
    other = machine("box-2", environment={**packages[1], "cpu": "another"})
    assert [(each.what, each.forbids) for each in differences([base, other]) if "cap" in each.what] == [("package power cap, W", False)]


def test_the_buyers_table_break_even_and_the_input_that_turns_the_ranking():
    """B saves 1 J of 2 at 40,000/s: 1e6 J = 0.27778 kWh, x 1.2 x 0.3 = 0.1 EUR a million, so 1000 EUR are paid back after 1e10."""
    a, b = machine(joules=2.0), machine("box-2", joules=1.0, seed=1)
    rows = bought([a, b], OFFERS)
    first, second = (next(each for each in rows if each.run == k) for k in (0, 1))
    assert first.service.electricity_per_million == pytest.approx(0.2, rel=0.01)
    dear, point = even(first, second)
    assert dear == 1
    assert point.inferences == pytest.approx(1e10, rel=0.02)
    assert point.low < 1e10 < point.high


def test_the_input_that_turns_the_ranking():
    """B saves 2 mJ of 4: 6.667e-4 kWh a million with PUE, over 5.049e12 inferences 1000 EUR at 0.297 EUR/kWh, now 0.30."""
    a, b = machine(joules=4e-3), machine("box-2", joules=2e-3, seed=1)
    first, second = (next(each for each in bought([a, b], OFFERS) if each.run == k) for k in (0, 1))
    turned = {(f.name, f.owner): f for f in sensitivity(first, second) if f.ranking == "money"}
    assert turned["price_per_kwh", None].at == pytest.approx(0.297, rel=0.02)
    assert turned["price_per_kwh", None].low == 0.02
    by_carbon = {(f.name, f.owner): f for f in sensitivity(first, second) if f.ranking == "carbon"}
    assert by_carbon["g_per_kwh", None].at is None


def test_a_price_of_nothing_may_turn_the_ranking_too():
    """Own sun costs nothing today: B, dearer to buy, saves 2 mJ of 4, as above, and is ahead from 0.297 EUR/kWh on."""
    free = OFFERS.model_copy(update={"electricity_price_per_kwh": 0.0})
    a, b = machine(joules=4e-3), machine("box-2", joules=2e-3, seed=1)
    first, second = (next(each for each in bought([a, b], free) if each.run == k) for k in (0, 1))
    (price,) = (f for f in sensitivity(first, second) if f.name == "price_per_kwh")
    assert (price.now, price.low) == (0.0, 0.02) and price.at == pytest.approx(0.297, rel=0.02)


def test_what_is_told_of_a_comparison():
    """The grid with its country and year; why there is no verdict in a word, and in a sentence below."""
    text = "\n".join(lines([machine(), machine("box-2")], OFFERS))
    assert "FRA, 2022, 56 g" in text and "none = no verdict" not in text
    modelled = list(lines([machine(found=MODELLED), machine("box-2", found=MODELLED)], None))
    assert any("none: modelled" in line for line in modelled) and any(line.startswith("none = no verdict") for line in modelled)


def idling(run, idle_w):
    """The same run, each domain idling at that power."""
    records = [
        r.model_copy(update={"measurements": tuple(m.model_copy(update={"idle_w": idle_w}) for m in r.measurements)}) for r in run.records
    ]
    return replace(run, records=tuple(records))


def test_who_is_ahead_holds_idle_power_and_throughput():
    """Where idle hours decide, 3 % between idle powers that are each known to 5 % is no lead; a half is. Of throughput likewise."""
    offers = OFFERS.model_copy(
        update={"duty_cycle": 0.01, "offers": [o.model_copy(update={"capital_cost": 1000.0}) for o in OFFERS.offers]}
    )

    def by_carbon(other):
        return next(line for line in lines([machine(), other], offers) if "by g CO2e" in line)

    assert "not separated" in by_carbon(idling(machine("box-2", seed=1), 2.06))
    assert "A is better" in by_carbon(idling(machine("box-2", seed=1), 3.0))
    slow = machine("box-2", seed=1)
    rates = [r.model_copy(update={"throughput_per_s": 30_000.0 * (1 + 0.3 * (k % 5 - 2))}) for k, r in enumerate(slow.records)]
    assert "not separated" in by_carbon(replace(slow, records=tuple(rates)))


def test_at_its_dearest_a_machine_is_slow_and_at_its_cheapest_fast():
    """By hand: the bounds of five throughputs by t(.975, 4); fewer inferences in its life carry the same capital."""
    run = machine()
    rates = 40_000.0 * (1 + 0.01 * (np.arange(5) - 2))
    spread = tuple(r.model_copy(update={"throughput_per_s": float(rates[r.repetition])}) for r in run.records)
    first = bought([replace(run, records=spread), machine("box-2")], OFFERS)[0]
    half = 2.7764 * rates.std(ddof=1) / 5**0.5
    assert first.low.throughput_per_s == pytest.approx(40_000.0 + half, rel=1e-5)
    assert first.high.throughput_per_s == pytest.approx(40_000.0 - half, rel=1e-5)
    capital = 1000.0 / (4 * 8766 * 3600 * OFFERS.duty_cycle) * 1e6
    assert first.high.money_per_million - first.high.electricity_per_million == pytest.approx(capital / (40_000.0 - half), rel=1e-5)


def test_no_row_is_wider_than_a_terminal():
    """Three machines of which one is dear, or all are modelled: at most 80 columns. Sentences are folded where they are printed."""
    found = [machine(), machine("box-2", seed=1), machine("box-3", 2e-3, seed=2)]
    modelled = [machine(found=MODELLED), machine("box-2", found=MODELLED), machine("box-3", found=MODELLED)]
    offers = OFFERS.model_copy(update={"offers": [*OFFERS.offers, Offer(machine="box-3", capital_cost=1.5e6, lifetime_years=4.0)]})
    rows = [
        line
        for runs in (found, modelled)
        for line in lines(runs, offers)
        if line.startswith("  ") and ": " not in line.replace("none: ", "")
    ]
    assert len(rows) > 20 and max(map(len, rows)) <= 80, max(rows, key=len)


def test_a_test_double_is_told():
    """At the head where it simulated the energy, and beside a latency that its engine made up."""
    cell = factories.case(engine="null")
    runs = [
        factories.stored([cell], [factories.record(cell, found=COUNTERS[:1], repetition=k) for k in range(3)], COUNTERS[:1])
        for _ in range(2)
    ]
    assert {each.kind for each in compare(runs) if each.quantity == "latency"} == {"simulated"}
    assert {each.kind for each in compare([machine(), machine("box-2")]) if each.quantity == "latency"} == {"measured"}
    fake = [d.model_copy(update={"kind": "simulated"}) for d in COUNTERS[:1]]
    found = [machine(found=fake), machine("box-2", found=fake)]
    assert "energy is SIMULATED" in "\n".join(difference_lines(found, differences(found)))
