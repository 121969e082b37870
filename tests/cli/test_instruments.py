"""`harness doctor`, and the options of `harness import-meter`."""

from __future__ import annotations

import json

import pytest

from tests.cli.helpers import assert_error, keep, measured


def test_doctor_reports_on_any_machine(harness):
    """As text and as JSON."""
    assert harness("doctor").stdout
    assert json.loads(harness("doctor", "--json").stdout)["findings"]


def test_a_window_out_of_range_is_refused(harness):
    """The message contains the valid range."""
    assert_error(harness("doctor", "--window", "-1"), 2, "--window -1 is out of range", "above 0 and up to 86400")


def test_an_imported_meter_becomes_a_domain_of_the_run(harness, results, tmp_path):
    """The report is drawn again with it, and what was imported is printed."""
    from pathlib import Path

    from harness.store import read_meters

    run = keep(measured(), results, "run-a")
    harness("report", "run-a")
    before = (Path(run.folder) / "report" / "index.html").read_text()
    ahead_s = run.records[0].utc_minus_monotonic_s
    start_s = min(phase.start_s for record in run.records for phase in record.phases)
    rows = "".join(f"{ahead_s + start_s + k * 0.1:.3f},{100 + k % 3}\n" for k in range(-50, 400))
    (tmp_path / "wall.csv").write_text("timestamp,power_w\n" + rows)
    done = harness("import-meter", "run-a", "wall.csv", "--name", "plug")
    assert done.returncode == 0, done.stderr
    assert "domain plug," in done.stdout and "repetitions covered" in done.stdout
    assert [meter.domain.name for meter in read_meters(Path(run.folder))] == ["plug"]
    assert (Path(run.folder) / "report" / "index.html").read_text() != before


def test_a_clock_offset_and_a_pulse_exclude_each_other(harness, results):
    """Before the log is read."""
    keep(measured(), results, "run-a")
    done = harness("import-meter", "run-a", "none.csv", "--clock-offset", "1", "--find-pulse")
    assert_error(done, 2, "--clock-offset and --find-pulse cannot be combined", "use one of them")


def test_calibrate_needs_an_imported_meter(harness, results):
    """Named by the domain."""
    keep(measured(), results, "run-a")
    assert_error(harness("calibrate", "run-a", "package"), 2, "wall")


@pytest.fixture
def virtual_card(monkeypatch, tmp_path, environment):
    """`harness doctor --probe` meets one virtual card, with a counter of part-time readings."""
    from harness.run import card_probing
    from tests import probed

    environment["HARNESS_PROBES"] = str(tmp_path / "probes")

    def probe_cards(catalogue, report):
        report("probing 1 card: about 2 minutes; no setting is changed")
        yield probed.probed(probed.VirtualCard(seen_s=0.025), scale=0.2)

    monkeypatch.setattr(card_probing, "probe_cards", probe_cards)
    return tmp_path / "probes" / "GPU-virtual.json"


def test_the_probe_of_a_card_is_printed_and_stored(harness, virtual_card):
    """The table on stdout, progress and the file on stderr."""
    done = harness("doctor", "--probe")
    assert done.returncode == 0 and virtual_card.is_file()
    assert "sees all of a periodic load" in done.stdout and "misses part of a periodic load" in done.stdout
    assert "about 2 minutes" in done.stderr and f"stored in {virtual_card}" in done.stderr


def test_the_probe_of_a_card_as_json(harness, virtual_card):
    """Every figure, None where unknown."""
    done = harness("doctor", "--probe", "--json")
    [card] = json.loads(done.stdout)["cards"]
    assert card["sees_all"]["counter"] is False and len(card["squares"]) == 11 and card["unavailable"] == {}


def test_a_probe_without_a_card_is_a_sentence(harness):
    """With the next step, and a code of its own."""
    pytest.importorskip("pynvml")
    done = harness("doctor", "--probe")
    assert done.returncode != 0 and done.stderr.startswith("error: ") and "libnvidia-ml" in done.stderr
