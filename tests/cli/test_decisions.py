"""`harness select` and `harness compare`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.schema import Acceptance, StoredRun
from tests.cli.helpers import CELLS, assert_error, keep, measured
from tests.factories import COUNTERS, MODELLED, record, stored

# --- select ----------------------------------------------------------------------------------------------------------


def exact(joules: float, idle_w: float, gain: float | None) -> StoredRun:
    """100 inferences a second without any scatter, one domain."""
    domains = (COUNTERS[0].model_copy(update={"gain": gain, "kind": "sampled", "sensor": "meter"}),)
    records = [record(CELLS[0], {"package": joules}, 0.01, 0.97, k, domains) for k in range(3)]
    records = [
        r.model_copy(update={"measurements": tuple(m.model_copy(update={"idle_w": idle_w}) for m in r.measurements)}) for r in records
    ]
    return stored(CELLS[:1], records, domains)


def test_select_chooses_the_cheapest_case_that_satisfies_the_constraints(harness, results):
    """Exit code 0 with the choice; if there is none exit code 1 and the nearest miss."""
    keep(measured(factor={CELLS[1].case_id: 0.5}), results, "run-a")
    done = harness("select", "run-a", "--min-quality", "0.9")
    assert done.returncode == 0
    assert "choice     int8" in done.stdout and "runner-up  dense" in done.stdout and "separated from every other" in done.stdout
    done = harness("select", "run-a", "--min-quality", "0.9", "--max-energy", "0.0004")
    assert done.returncode == 1
    assert "choice     none: no case satisfies all constraints at 95 % confidence" in done.stdout
    assert "nearest    int8" in done.stdout and "energy 500 µJ" in done.stdout and "at most 400 µJ required" in done.stdout
    assert "runner-up" not in done.stdout


def test_the_life_of_a_battery_has_the_interval_of_the_power(harness, results):
    """By hand: 20 W idle and 3.6 J at 100/s, 10 a second: 20 + (3.6 - 0.2) x 10 = 54 W, 100 Wh last 1.852 h; a gain of 5 %: exp(0.098) up and down."""
    keep(exact(3.6, 20.0, 0.05), results, "run-a")
    reply = harness("select", "run-a", "--battery-wh", "100", "--rate", "10").stdout
    assert "battery    1.85 ± 0.18 h of 100 Wh at 10.0 inferences/s: 54.0 ± 5.3 W of package only" in reply
    keep(exact(3.6, 20.0, None), results, "run-b")
    reply = harness("select", "run-b", "--battery-wh", "100", "--rate", "10").stdout
    assert "battery    1.852 ± 0 h of 100 Wh" in reply and "repeatability only" in reply


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--weights", "1"], ["--weights '1' is not two numbers"]),
        (["--weights", "0,0"], ["weights 0,0 are not valid"]),
        (["--compute", "mac"], ["did you mean 'macs'"]),
        (["--battery-wh", "-1"], ["--battery-wh -1"]),
        (["--max-energy", "nan"], ["--max-energy nan is not a valid limit", "above 0"]),
        (["--min-quality", "inf"], ["--min-quality inf is not a valid limit"]),
    ],
)
def test_an_invalid_option_of_select_is_an_error(harness, results, arguments, words):
    """Exit code 2."""
    keep(measured(), results, "run-a")
    assert_error(harness("select", "run-a", *arguments), 2, *words)


# --- compare ---------------------------------------------------------------------------------------------------------

OFFERS = """\
currency: EUR
electricity_price_per_kwh: 0.2
duty_cycle: 0.5
pue: 1.5
grid: {country: FRA, year: 2022, g_per_kwh: 100}
offers:
  - {machine: box-1, capital_cost: 1000, lifetime_years: 4, embodied_kg_co2e: 400}
  - {machine: run-b, capital_cost: 3000, lifetime_years: 4, embodied_kg_co2e: 800}
"""


def test_costs_agree_with_arithmetic_on_paper(harness, results, tmp_path):
    """Every printed number.

    At 100/s and a duty cycle of a half each inference carries 1/100 s of idle: A 3.6 + 20/100 = 3.8 J, B 1.8 + 30/100 = 2.1 J. A million
    take 3.8e6 / 3.6e6 x 1.5 = 1.58333 kWh and 0.875 kWh, at 0.2 EUR 0.31667 and 0.175 EUR. In its life each makes 4 x 8766 h x 3600 x 100
    x 0.5 = 6.31152e9, so that a million carry 0.15844 and 0.47532 EUR of the price, 63.376 and 126.753 g of the making: 0.47511 and 0.65032
    EUR, 158.333 + 63.376 = 221.71 and 87.5 + 126.753 = 214.25 g. B's 2000 EUR more are saved after 2000 / 0.141667e-6 = 1.4118e10. The
    prices are equal where 1.58333 p + 0.15844 = 0.875 p + 0.47532: 0.44736 EUR/kWh; the grams where 1.58333 g + 63.376 = 0.875 g + 126.753:
    89.47 g/kWh.
    """
    keep(exact(3.6, 20.0, None), results, "run-a")
    keep(exact(1.8, 30.0, None), results, "run-b", "box-2")
    (tmp_path / "offers.yaml").write_text(OFFERS)
    done = harness("compare", "run-a", "run-b", "--offers", "offers.yaml")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(("  A   ", "  B   "))]
    assert rows == [["A", "0.278", "3.80", "0.475", "222", "sampled"], ["B", "0.556", "2.10", "0.650", "214", "sampled"]]
    reply = " ".join(done.stdout.split())
    for words in (
        "machine inf./s per W MJ EUR g CO2e kind",
        "FRA, 2022, 100 g CO2e/kWh",
        "Busy 50% of the hours",
        "PUE 1.5, power supply 1, 0.2 EUR/kWh",
        "A (run-a): 1000 EUR over 4 years, embodied 400 kg CO2e",
        "B/A: B pays back after 1.41e+10 inferences; its lifetime is 6.31e+09 inferences, too short (sampled: point estimates, no interval)",
        "B/A by EUR: A is better (point estimates): A 0.475, B 0.650",
        "price 0.447 EUR/kWh (now 0.200)",
        "B/A by g CO2e: B is better (point estimates): A 222, B 214",
        "grid 89.5 g/kWh (now 100)",
    ):
        assert words in reply, words


def test_bounds_of_costs_agree_with_arithmetic_on_paper(harness, results, tmp_path):
    """A gain of 5 % and no scatter: exp(1.95996 x 0.05) = 1.10297 up and down of energy and idle power, nothing of the offers.

    A 3.8 J from 3.4453 to 4.1913, its electricity 0.28711 to 0.34927 EUR; B 0.15866 to 0.19302. The saving is between 0.28711 - 0.19302
    = 0.09409 and 0.34927 - 0.15866 = 0.19061 EUR a million, so that 2000 EUR are saved after 1.0493e10 to 2.1258e10. In money A ends at
    0.50771 where B begins at 0.63398: separated; of carbon 206.93 to 238.01 and 206.09 to 223.26 g are not.
    """
    keep(exact(3.6, 20.0, 0.05), results, "run-a")
    keep(exact(1.8, 30.0, 0.05), results, "run-b", "box-2")
    (tmp_path / "offers.yaml").write_text(OFFERS)
    reply = " ".join(harness("compare", "run-a", "run-b", "--offers", "offers.yaml").stdout.split())
    for words in (
        "A 0.278 ± 0.027 3.80 ± 0.37 0.475 ± 0.031 222 ± 16 sampled",
        "B/A: B pays back after 1.41e+10 inferences [1.05e+10 2.13e+10]; its lifetime is 6.31e+09 inferences, too short",
        "B/A by EUR: A is better: A 0.475, B 0.650",
        "B/A by g CO2e: not separated: A 222, B 214",
    ):
        assert words in reply, words


def test_runs_that_are_not_comparable_are_refused_or_marked(harness, results):
    """Exit code 1, the reason on stdout, what to do on stderr; with --anyway each line with a figure is marked."""
    keep(measured(), results, "run-a")
    keep(measured(domains=MODELLED[:1]), results, "run-b", "box-2")
    done = harness("compare", "run-a", "run-b")
    assert done.returncode == 1
    assert "not comparable because:\n  energy kind" in done.stdout and "ratio" not in done.stdout
    assert done.stderr.startswith("error: these runs are not comparable") and "--anyway" in done.stderr
    done = harness("compare", "run-a", "run-b", "--anyway")
    assert done.returncode == 0
    figures = done.stdout.split("MODELLED")[1].split("\n\n", 1)[1]
    assert figures and all(line.startswith("[NOT COMPARABLE] ") for line in figures.splitlines() if line)
    assert_error(harness("compare", "run-a"), 2, "needs two runs")
    assert_error(harness("compare", "run-a", "run-c"), 2, "no run 'run-c'")


@pytest.mark.parametrize("options", [(), ("--offers", "offers.yaml")])
def test_a_run_that_broke_an_acceptance_rule_is_named_with_its_machine(harness, results, tmp_path, options):
    """Exit code 1 and no figure; with --anyway each line with a figure is marked. The run of the other machine is accepted."""
    rules = Acceptance(max_foreign_cores=0.1)
    for name, host, cores in (("run-a", "box-1", 0.05), ("run-b", "box-2", 0.7)):
        run = measured(conditions={"foreign_load": cores})
        suite = run.header.suite.model_copy(update={"acceptance": rules})
        keep(replace(run, header=run.header.model_copy(update={"suite": suite})), results, name, host)
    (tmp_path / "offers.yaml").write_text(OFFERS)
    done = harness("compare", "run-a", "run-b", *options)
    assert done.returncode == 1 and "ratio" not in done.stdout
    assert "acceptance of run-a on box-1: accepted" in done.stdout
    assert "acceptance of run-b on box-2: NOT ACCEPTED, 1 of 1 rules broken" in done.stdout and "up to 0.70 cores" in done.stdout
    assert done.stderr.startswith("error: run-b broke the acceptance rules of the suite") and "--anyway" in done.stderr
    done = harness("compare", "run-a", "run-b", *options, "--anyway")
    assert done.returncode == 0
    assert all(line.startswith("[NOT ACCEPTED] ") for line in done.stdout.splitlines() if "B/A" in line)
    assert ("A (run-a): 1000 EUR" in done.stdout) == bool(options)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("pue: 1.5", "pui: 1.5", ["offers.yaml:4: unknown field 'pui'; did you mean 'pue'?", "offers.yaml:1: the field 'pue' is missing"]),
        ("capital_cost: 1000", "capital_cost: -1", ["offers.yaml:7: 'capital_cost' must be greater than or equal to 0"]),
        (", lifetime_years: 4, embodied_kg_co2e: 800", "", ["offers.yaml:8: the field 'lifetime_years' is missing"]),
        ("duty_cycle: 0.5", "duty_cycle: often", ["offers.yaml:3: 'duty_cycle' must be a plain number, not the text 'often'"]),
        ("offers:", "offers: [", ["not valid YAML", "nothing was compared"]),
        (OFFERS, "- 1\n", ["offers are a mapping"]),
        ("run-b", "run-x", ["no offer for the run run-b or its host box-2", "box-1, run-x"]),
    ],
)
def test_a_mistake_in_the_offers_is_reported_with_its_line(harness, results, tmp_path, old, new, words):
    """Exit code 2; the hint is that of an offers file."""
    for name, host in (("run-a", "box-1"), ("run-b", "box-2")):
        keep(measured(), results, name, host)
    (tmp_path / "offers.yaml").write_text(OFFERS.replace(old, new))
    done = harness("compare", "run-a", "run-b", "--offers", "offers.yaml")
    assert done.returncode == 2 and all(word in done.stderr for word in words), done.stderr
    assert "schema" not in done.stderr and "built" not in done.stderr
