"""The offset of a meter's clock and its zone are found in the load of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.energy.joules import integrate_means
from harness.errors import MeterError
from harness.meters import read_log
from harness.meters.clock import pulse_in
from harness.meters.importing import import_log
from harness.store import read_meter_sample, write_meter
from tests.metered import COUNT, IDLE_W, LOAD_W, local_text, log_file, steady


@pytest.mark.parametrize(("period_s", "ahead_s"), [(0.1, 3.7), (0.5, -41.25), (1.0, 7200.4)])
def test_the_clock_is_found_in_the_load(tmp_path, run, period_s, ahead_s):
    """The offset and its uncertainty are noted: the meter's period, and half a second of load on each side of the known span."""
    meter = import_log(run, read_log(log_file(tmp_path, period_s=period_s, ahead_s=ahead_s)), by_pulse=True)
    assert abs(meter.clock_offset_s - ahead_s) <= 1.5 * meter.clock_u_s
    assert period_s <= meter.clock_u_s * np.sqrt(12) * 1.01 <= 1.1 * np.hypot(period_s, 1.0)
    assert any("ahead of the run's by" in s and "+-" in s and "correlation" in s for s in meter.notes)
    assert all(m.gross_j == pytest.approx(LOAD_W * 6.0, rel=0.03) for m in steady(meter))


def test_a_given_clock_offset_is_used(tmp_path, run):
    """It is subtracted, and stored with the samples as they were."""
    source = read_log(log_file(tmp_path, ahead_s=-12.5))
    meter = import_log(run, source, clock_offset_s=-12.5)
    assert all(m.gross_j == pytest.approx(LOAD_W * 6.0) for m in steady(meter))
    write_meter(Path(run.folder), meter, source.sample)
    assert read_meter_sample(Path(run.folder), meter).t_s[0] == pytest.approx(source.sample.t_s[0] + 12.5)


def test_a_clock_that_the_load_contradicts_is_a_warning(tmp_path, run):
    """The meter is 4 s ahead, which was not stated: each record has the warning."""
    meter = import_log(run, read_log(log_file(tmp_path, ahead_s=4.0)))
    assert all(reading.findings[0].code == "meter_clock" for reading in meter.readings)
    assert any("but the run's load is found" in s for s in meter.notes)


def test_a_build_copied_from_another_run_has_no_reading(tmp_path, run):
    """Its phases are at the time of that run."""
    quoted = run.records[0].model_copy(update={"task": "build", "case_id": None, "cached": True})
    meter = import_log(replace(run, records=(quoted, *run.records)), read_log(log_file(tmp_path)))
    assert len(meter.readings) == COUNT


def test_a_flat_log_shows_no_pulse(tmp_path, run):
    """The best guess is printed, never used."""
    with pytest.raises(MeterError, match=r"cannot be recognised|too few"):
        import_log(run, read_log(log_file(tmp_path, load_w=IDLE_W)), by_pulse=True)


def test_local_times_take_their_zone_from_the_load_alone(tmp_path, run):
    """In whole quarter hours, with a note; if the load does not show it, the user must give the zone."""
    meter = import_log(run, read_log(log_file(tmp_path, write=local_text)))
    assert any("local time is UTC+02:00" in s for s in meter.notes)
    assert all(m.gross_j == pytest.approx(LOAD_W * 6.0) for m in steady(meter))
    with pytest.raises(MeterError, match="cannot be recognised") as caught:
        import_log(run, read_log(log_file(tmp_path, write=local_text, load_w=IDLE_W)))
    assert "--timezone" in caught.value.hint
    with pytest.raises(MeterError, match="not correspond to a time zone"):
        import_log(run, read_log(log_file(tmp_path, write=local_text, ahead_s=300.0)))


def test_rows_of_means_cover_the_interval_before_them(tmp_path, run):
    """With the rectangle rule a clock is found without half a period of bias."""
    path = log_file(tmp_path, period_s=0.05)
    t_s, w = np.array([line.split(",") for line in path.read_text().splitlines()[1:]], dtype=float).T
    means = w[: len(w) // 20 * 20].reshape(-1, 20).mean(axis=1)
    ends = t_s[19 : len(means) * 20 : 20] + 0.025
    path.write_text("time,power_w\n" + "".join(f"{t:.4f},{m}\n" for t, m in zip(ends, means, strict=True)))
    pulse = pulse_in(run, read_log(path), "rectangle")
    assert pulse.offset_s == pytest.approx(0.0, abs=0.2)
    assert pulse_in(run, read_log(path)).offset_s == pytest.approx(0.5, abs=0.2)
    meter = import_log(run, read_log(path), rule="rectangle")
    assert (meter.domain.quantity, integrate_means(read_log(path).sample, ends[3], ends[4])) == ("mean_power", pytest.approx(means[4]))
