"""Commands that decide: report --objective, select, compare, gate and history; their output and exit codes."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.schema import StoredRun
from harness.store import Store
from tests.factories import COUNTERS, MODELLED, case, record, stored
from tests.test_cli import is_a_sentence

CELLS = (case("dense"), case("int8"))


def keep(run: StoredRun, results: Path, run_id: str, host: str = "box-1") -> StoredRun:
    """The run in the results folder under that name, measured on that host."""
    (box,) = run.header.environments
    header = run.header.model_copy(update={"run_id": run_id, "environments": (box.model_copy(update={"host": host}),)})
    store = Store.create(results, header)
    (store.folder / "records.jsonl").write_text(
        "".join(r.model_copy(update={"run_id": run_id}).model_dump_json() + "\n" for r in run.records)
    )
    return replace(run, folder=str(store.folder), header=header)


def measured(cells=CELLS, joules=1e-3, latency_s=25e-6, factor=None, found=COUNTERS[:1], launches=5, **changes) -> StoredRun:
    """Launches of each cell that scatter by half a per cent; `factor` times the energy of a case."""
    records = [
        record(
            c, {d.name: joules * (factor or {}).get(c.case_id, 1.0) * (1 + 0.005 * (k - launches // 2)) for d in found},
            latency_s * (1 + 0.005 * (k % 2)), 0.97, k, found, **changes,
        )
        for c in cells for k in range(launches)
    ]  # fmt: skip
    return stored(cells, records, found)


@pytest.fixture
def results(tmp_path):
    """The results folder of `harness`."""
    return tmp_path / "results"


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


def exact(joules: float, idle_w: float, gain: float | None) -> StoredRun:
    """100 inferences a second without any scatter, one domain."""
    found = (COUNTERS[0].model_copy(update={"gain": gain, "kind": "sampled", "sensor": "meter"}),)
    records = [record(CELLS[0], {"package": joules}, 0.01, 0.97, k, found) for k in range(3)]
    records = [
        r.model_copy(update={"measurements": tuple(m.model_copy(update={"idle_w": idle_w}) for m in r.measurements)}) for r in records
    ]
    return stored(CELLS[:1], records, found)


def test_the_buyers_figures_by_hand(harness, results, tmp_path):
    """Every printed number against arithmetic on paper.

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
    text = " ".join(done.stdout.split())
    for words in (
        "machine inf./s per W MJ EUR g CO2e kind",
        "FRA, 2022, 100 g CO2e/kWh",
        "Busy 50% of the hours",
        "PUE 1.5, power supply 1, 0.2 EUR/kWh",
        "A (run-a): 1000 EUR over 4 years, embodied 400 kg CO2e",
        "B/A: B pays back after 1.41e+10 inferences; its lifetime has 6.31e+09, too few (sampled: point estimates, no interval)",
        "B/A by EUR: A is better (point estimates): A 0.475, B 0.650",
        "price 0.447 EUR/kWh (now 0.200)",
        "B/A by g CO2e: B is better (point estimates): A 222, B 214",
        "grid 89.5 g/kWh (now 100)",
    ):
        assert words in text, words


def test_the_buyers_bounds_by_hand(harness, results, tmp_path):
    """A gain of 5 % and no scatter: exp(1.95996 x 0.05) = 1.10297 up and down of energy and idle power; offers are exact.

    A 3.8 J from 3.4453 to 4.1913, its electricity 0.28711 to 0.34927 EUR; B 0.15866 to 0.19302. The saving is between 0.28711 - 0.19302
    = 0.09409 and 0.34927 - 0.15866 = 0.19061 EUR a million, so that 2000 EUR are saved after 1.0493e10 to 2.1258e10. In money A ends at
    0.50771 where B begins at 0.63398: separated; of carbon 206.93 to 238.01 and 206.09 to 223.26 g are not.
    """
    keep(exact(3.6, 20.0, 0.05), results, "run-a")
    keep(exact(1.8, 30.0, 0.05), results, "run-b", "box-2")
    (tmp_path / "offers.yaml").write_text(OFFERS)
    text = " ".join(harness("compare", "run-a", "run-b", "--offers", "offers.yaml").stdout.split())
    for words in (
        "A 0.278 ± 0.027 3.80 ± 0.37 0.475 ± 0.031 222 ± 16 sampled",
        "B/A: B pays back after 1.41e+10 inferences [1.05e+10 2.13e+10]; its lifetime has 6.31e+09, too few",
        "B/A by EUR: A is better: A 0.475, B 0.650",
        "B/A by g CO2e: not separated: A 222, B 214",
    ):
        assert words in text, words


def test_runs_that_are_not_comparable_are_rejected_and_marked(harness, results):
    """Exit 1, the reason on stdout, the next step on stderr; with --anyway each line with a figure is marked."""
    keep(measured(), results, "run-a")
    keep(measured(found=MODELLED[:1]), results, "run-b", "box-2")
    done = harness("compare", "run-a", "run-b")
    assert done.returncode == 1
    assert "not comparable because:\n  energy kind" in done.stdout and "ratio" not in done.stdout
    assert done.stderr.startswith("error: these runs are not comparable") and "--anyway" in done.stderr
    done = harness("compare", "run-a", "run-b", "--anyway")
    assert done.returncode == 0
    figures = done.stdout.split("MODELLED")[1].split("\n\n", 1)[1]
    assert figures and all(line.startswith("[NOT COMPARABLE] ") for line in figures.splitlines() if line)
    is_a_sentence(harness("compare", "run-a"), 2, "needs two runs")
    is_a_sentence(harness("compare", "run-a", "run-c"), 2, "no run 'run-c'")


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
def test_an_error_in_the_offers_has_its_line(harness, results, tmp_path, old, new, words):
    """Exit 2; the hint is that of an offers file."""
    for name, host in (("run-a", "box-1"), ("run-b", "box-2")):
        keep(measured(), results, name, host)
    (tmp_path / "offers.yaml").write_text(OFFERS.replace(old, new))
    done = harness("compare", "run-a", "run-b", "--offers", "offers.yaml")
    assert done.returncode == 2 and all(word in done.stderr for word in words), done.stderr
    assert "schema" not in done.stderr and "built" not in done.stderr


# --- gate ------------------------------------------------------------------------------------------------------------


def test_the_gate_passes_noise_and_names_the_row_that_fails(harness, results, tmp_path):
    """Exit 0 and 1; JUnit has the one failure, Markdown its row; a new case is inconclusive."""
    keep(measured(), results, "base")
    keep(measured(factor={CELLS[1].case_id: 1.1}, cells=(*CELLS, case("float16"))), results, "now")
    assert harness("gate", "base", "--against", "base").returncode == 0
    done = harness("gate", "now", "--against", "base", "--junit", "gate.xml", "--markdown", "gate.md")
    assert done.returncode == 1
    failing = [line for line in done.stdout.splitlines() if line.startswith("failed")]
    assert len(failing) == 1 and CELLS[1].case_id in failing[0] and "energy +10.0%" in failing[0]
    assert "gate: failed, 1 of" in done.stdout
    (failure,) = ElementTree.parse(tmp_path / "gate.xml").iterfind(".//testcase[failure]")
    assert (failure.get("classname"), failure.get("name")) == ("energy", CELLS[1].case_id)
    summary = (tmp_path / "gate.md").read_text()
    assert "### Failed" in summary and "energy +10.0%" in summary and "not in the base run" in summary


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("energy: 0.03\nenrgy: 1\n", [":2: there is no threshold 'enrgy'; did you mean 'energy'?"]),
        ("energy: -0.1\n", [":1: 'energy' must be a number from 0 to below 1, or null, not -0.1"]),
        ("latency: 5 %\n", [":1: 'latency'", "not the text '5 %'"]),
        ("quality: .nan\n", [":1: 'quality' must be a number of at least 0, or null, not nan"]),
        ("memory: true\n", [":1: 'memory'", "not true"]),
        ("energy: null\nlatency: null\nquality: null\nmemory: null\ndevice_memory: null\n", [":1: every metric is left out"]),
        ("- 1\n", [":1: thresholds are a mapping"]),
        ("energy: [\n", ["not valid YAML"]),
        ("energy: 0.1\nenergy: 0.2\n", ["energy"]),
    ],
)
def test_an_error_in_the_thresholds_has_its_line(harness, results, tmp_path, text, words):
    """Exit 2, before a run is judged; the hint is that of thresholds, not of a suite."""
    keep(measured(), results, "base")
    (tmp_path / "gate.yaml").write_text(text)
    is_a_sentence(harness("gate", "base", "--against", "base", "--thresholds", "gate.yaml"), 2, "gate.yaml", *words, "nothing was judged")
    is_a_sentence(harness("gate", "base", "--against", "base", "--thresholds", "no.yaml"), 2, "no file of thresholds no.yaml")


def test_thresholds_allow_an_increase(harness, results, tmp_path):
    """10 % more energy passes with 0.2, and if energy is left out."""
    keep(measured(), results, "base")
    keep(measured(factor={CELLS[1].case_id: 1.1}), results, "now")
    for text in ("energy: 0.2\n", "energy: null\n"):
        (tmp_path / "gate.yaml").write_text(text)
        assert harness("gate", "now", "--against", "base", "--thresholds", "gate.yaml").returncode == 0


# --- files that cannot be written ------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_written_is_an_error(harness, results, tmp_path):
    """In every command, without a hint about the results folder. A pipe is written to and a link is followed, neither is replaced."""
    keep(measured(), results, "base")
    (tmp_path / "folder").mkdir()
    commands = [
        ("export", "base", "--output"),
        ("history", CELLS[0].case_id, "base", "--output"),
        ("gate", "base", "--against", "base", "--junit"),
        ("gate", "base", "--against", "base", "--markdown"),
    ]
    for command in commands:
        for path in ("none/x", "folder"):
            done = harness(*command, path)
            assert done.returncode == 2 and f"{path} cannot be written" in done.stderr, done.stderr
            assert "another path" in done.stderr and "--results" not in done.stderr and "resume" not in done.stderr
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    assert harness("export", "base", "--output", "link").returncode == 0
    assert (tmp_path / "link").is_symlink() and "dense" in (tmp_path / "target").read_text()
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK)
    assert harness("export", "base", "--output", "pipe").returncode == 0
    assert b"dense" in os.read(reader, 100_000) and (tmp_path / "pipe").is_fifo()
    os.close(reader)


# --- select ----------------------------------------------------------------------------------------------------------


def test_select_prints_the_cheapest_that_satisfies_the_constraints(harness, results):
    """Exit 0 with the choice; without an answer exit 1 and the nearest miss."""
    keep(measured(factor={CELLS[1].case_id: 0.5}), results, "run-a")
    done = harness("select", "run-a", "--min-quality", "0.9")
    assert done.returncode == 0
    assert "choice     int8" in done.stdout and "runner-up  dense" in done.stdout and "separated from every other" in done.stdout
    done = harness("select", "run-a", "--min-quality", "0.9", "--max-energy", "0.0004")
    assert done.returncode == 1
    assert "no answer  no case satisfies all constraints at 95 % confidence" in done.stdout
    assert "nearest    int8" in done.stdout and "energy 500 µJ" in done.stdout and "at most 400 µJ required" in done.stdout
    assert "choice" not in done.stdout


def test_battery_life_has_the_interval_of_the_power(harness, results):
    """By hand: 20 W idle and 3.6 J at 100/s, 10 a second: 20 + (3.6 - 0.2) x 10 = 54 W, 100 Wh last 1.852 h; a gain of 5 %: exp(0.098) up and down."""
    keep(exact(3.6, 20.0, 0.05), results, "run-a")
    text = harness("select", "run-a", "--battery-wh", "100", "--rate", "10").stdout
    assert "battery    1.85 ± 0.18 h of 100 Wh at 10.0 inferences/s: 54.0 ± 5.3 W of package only" in text
    keep(exact(3.6, 20.0, None), results, "run-b")
    text = harness("select", "run-b", "--battery-wh", "100", "--rate", "10").stdout
    assert "battery    1.852 ± 0 h of 100 Wh" in text and "repeatability only" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--weights", "1"], ["--weights '1' is not two numbers"]),
        (["--weights", "0,0"], ["weights 0,0 are not valid"]),
        (["--compute", "mac"], ["did you mean 'macs'"]),
        (["--battery-wh", "-1"], ["--battery-wh -1"]),
        (["--max-energy", "nan"], ["--max-energy nan"]),
    ],
)
def test_an_invalid_option_is_an_error(harness, results, arguments, words):
    """Exit 2."""
    keep(measured(), results, "run-a")
    is_a_sentence(harness("select", "run-a", *arguments), 2, *words)


# --- report and history ----------------------------------------------------------------------------------------------


def test_the_report_is_of_the_requested_objectives(harness, results):
    """A redraw prints the same; a column with unknown scatter is a warning, one without a direction an error."""
    run = keep(measured(factor={CELLS[1].case_id: 0.5}), results, "run-a")
    done = harness("report", "run-a", "--objective", "energy", "--objective", "resident_bytes:min")
    assert done.returncode == 0, done.stderr
    assert "front of energy, resident_bytes:" in done.stdout and "1 of 2 cases" in done.stdout
    assert harness("report", "run-a", "--objective", "energy", "--objective", "resident_bytes:min").stdout == done.stdout
    assert not (Path(run.folder) / "fronts.json").exists()
    assert "spread of window_s is unknown" in harness("report", "run-a", "--objective", "energy", "--objective", "window_s:min").stderr
    is_a_sentence(harness("report", "run-a", "--objective", "energy", "--objective", "macs"), 2, "no direction", "macs:min")
    is_a_sentence(harness("report", "run-a", "--objective", "enery"), 2, "did you mean 'energy")


def history(harness, *runs: str) -> list[dict[str, str]]:
    done = harness("history", CELLS[0].case_id, *runs, "--format", "csv")
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


def later(run: StoredRun, day: int) -> StoredRun:
    return replace(run, header=run.header.model_copy(update={"started_utc": f"2026-02-{day:02}T10:00:00+00:00"}))


def test_the_history_compares_a_run_with_the_previous_one(harness, results):
    """On one machine 8 % more is worse, less again is better; no verdict for the first run or another kind; latency has its own."""
    keep(later(measured(), 1), results, "run-1")
    keep(later(measured(factor={CELLS[0].case_id: 1.08}), 2), results, "run-2")
    keep(later(measured(latency_s=50e-6), 3), results, "run-3")
    keep(later(measured(found=MODELLED[:1]), 4), results, "run-4")
    rows = history(harness, "run-1", "run-2", "run-3", "run-4")
    assert [row["energy_change"] for row in rows] == ["", "worse", "better", ""]
    assert [row["energy_vs_previous"] for row in rows][::3] == ["", ""]
    assert float(rows[1]["energy_vs_previous"]) == pytest.approx(1.08)
    assert float(rows[1]["energy_vs_previous_low"]) > 1.05
    assert [row["latency_change"] for row in rows] == ["", "same", "worse", "better"]
    shown = [line for line in harness("history", CELLS[0].case_id).stdout.splitlines() if line.startswith("|")]
    assert "energy_change" in shown[0] and "worse" in shown[3] and "1.080 ±" in shown[3]


def test_an_unknown_case_is_an_error_without_a_long_list(harness, results):
    """A suite can have hundreds; exit 2, and how to list them. Also a results folder without a run."""
    is_a_sentence(harness("history", "dense"), 2, "no stored run has a case", "harness run SUITE")
    keep(measured(tuple(case(f"v{k}") for k in range(9))), results, "run-1")
    done = harness("history", "w0")
    is_a_sentence(done, 2, "no case_id contains 'w0'", "--columns case_id")
    assert "v0 " in done.stderr and "v8 " not in done.stderr


def test_the_history_between_machines_includes_both_gains(harness, results):
    """8 % more on another machine is not separated with gains of 5 %; an unknown gain has no ratio."""
    keep(later(measured(), 1), results, "run-1")
    keep(later(measured(factor={CELLS[0].case_id: 1.08}), 2), results, "run-2", "box-2")
    unknown = (COUNTERS[0].model_copy(update={"gain": None}),)
    keep(later(measured(found=unknown), 3), results, "run-3")
    rows = history(harness, "run-1", "run-2", "run-3")
    assert [row["energy_change"] for row in rows] == ["", "not separated", ""]
    assert float(rows[1]["energy_vs_previous_low"]) < 1 < float(rows[1]["energy_vs_previous_high"])
    assert rows[2]["energy_vs_previous"] == ""
