"""Gain and offset of a sensor are found against a meter, with their uncertainty, and applied on request to the same sensor only."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.cli.app import app
from harness.errors import MeterError
from harness.frame.columns import TABLES
from harness.meters import calibrate, read_log
from harness.meters.importing import import_log
from harness.store import read_meter_sample, read_meters, read_run, write_meter
from tests import metered
from tests.metered import IDLE_W, LOAD_W

GAIN, OFFSET_W = 1.044, -22.6


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder of calibrations for the test."""
    monkeypatch.setenv("HARNESS_CALIBRATION", str(tmp_path / "calibration"))
    return tmp_path / "calibration"


def wrong(noise_w: float = 0.0, gain: float = GAIN, offset_w: float = OFFSET_W):
    """A sensor that reads gain P + offset, with scatter."""
    rng = np.random.default_rng(3)
    return lambda watts: gain * watts + offset_w + float(rng.normal(0, noise_w)) if noise_w else gain * watts + offset_w


def metered_run(folder, sensor, load_w=LOAD_W, domain=metered.CARD, **suite):
    run = metered.stored(folder, sensor=sensor, domain=domain, **suite)
    path = folder / "rail.csv"
    path.write_text(metered.log_text(metered.starts(4), load_w=load_w))
    log = read_log(path)
    write_meter(Path(run.folder), import_log(run, log), log.sample)
    return run


def test_gain_and_offset_are_found(tmp_path):
    """The line of a real RTX 4090: a gain alone would miss it."""
    found = calibrate.calibrate(metered_run(tmp_path, wrong()), "gpu:0")
    assert (found.gain, found.offset_w) == (pytest.approx(GAIN), pytest.approx(OFFSET_W))
    assert (found.low_w, found.high_w, found.pairs) == (pytest.approx(IDLE_W), pytest.approx(LOAD_W), 12)
    assert (found.sensor, found.device, found.simulated) == ("nvml", "GPU-1", False)


def test_the_uncertainties_cover_the_truth():
    """In 92-98 % of 400 fits with independent scatter the 95 % intervals contain the gain, and the offset."""
    from scipy.stats import t

    rng, true_w = np.random.default_rng(5), np.repeat([100.0, 200.0, 300.0], 5)
    hits = []
    for _ in range(400):
        gain, gain_u, offset_w, offset_u_w, _ = calibrate.fit(GAIN * true_w + OFFSET_W + rng.normal(0, 1.0, 15), true_w)
        k = t.ppf(0.975, 13)
        hits.append((abs(gain - GAIN) <= k * gain_u, abs(offset_w - OFFSET_W) <= k * offset_u_w))
    assert np.all(np.abs(np.mean(hits, axis=0) - 0.95) <= 0.03)


@pytest.mark.parametrize(
    ("true_w", "match"),
    [([100.0, 300.0], "2 spans"), ([100.0, 101.0, 115.0], "too close"), ([100.0, 100.0, 100.0], "too close"), ([], "0 spans")],
)
def test_levels_that_do_not_separate_gain_and_offset_are_refused(true_w, match):
    """At least two levels, well apart, and enough pairs for a residual."""
    with pytest.raises(MeterError, match=match) as caught:
        calibrate.fit(np.array(true_w), np.array(true_w))
    assert caught.value.hint


def test_readings_that_scatter_are_refused():
    """A gain known to 20 % is not a calibration."""
    with pytest.raises(MeterError, match="scatter"):
        calibrate.fit(np.array([100.0, 250.0, 180.0, 320.0]), np.array([100.0, 120.0, 280.0, 300.0]))


def test_a_meter_of_the_whole_machine_does_not_calibrate_one_rail(tmp_path):
    """100 W of other loads, stored as an offset, would falsify every energy of the card."""
    with pytest.raises(MeterError, match="supplies more than this rail"):
        calibrate.calibrate(metered_run(tmp_path, wrong(gain=0.9, offset_w=-80)), "gpu:0")


@pytest.mark.parametrize(
    ("domain", "meter", "match"), [("gpu:1", "wall", "no energy of the domain 'gpu:1'"), ("gpu:0", "pdu", "no meter 'pdu'")]
)
def test_an_unknown_domain_or_meter_is_refused(tmp_path, domain, meter, match):
    """The error lists the known ones."""
    with pytest.raises(MeterError, match=match):
        calibrate.calibrate(metered_run(tmp_path, wrong()), domain, meter)


def test_a_model_is_not_calibrated(tmp_path):
    """It has no gain."""
    run = metered_run(tmp_path, wrong(), domain=metered.CARD.model_copy(update={"kind": "modelled", "gain": None}))
    with pytest.raises(MeterError, match="modelled"):
        calibrate.calibrate(run, "gpu:0")


def test_two_levels_of_one_step_are_enough():
    """Spans within each level give the residuals."""
    true_w = np.repeat([440.0, 135.0], 3)
    line = calibrate.fit(0.95 * true_w, true_w)
    assert (line.gain, line.offset_w) == (pytest.approx(0.95), pytest.approx(0.0, abs=1e-9))


def test_a_build_that_the_meter_does_not_cover_is_left_out(tmp_path):
    """Builds differ by their id alone: the coverage of one is not that of another."""
    run = metered_run(tmp_path, wrong())
    builds = [
        r.model_copy(update={"task": "build", "case_id": None, "build_id": name}) for r, name in zip(run.records, "abcd", strict=True)
    ]
    [meter] = read_meters(Path(run.folder))
    readings = [
        r.model_copy(update={"task": "build", "case_id": None, "build_id": b.build_id, "repetition": 0})
        for r, b in zip(meter.readings, builds, strict=True)
    ]
    missing = [m.model_copy(update={"gross_j": None}) for m in readings[0].measurements]
    readings[0] = readings[0].model_copy(update={"measurements": tuple(missing)})
    write_meter(Path(run.folder), meter.model_copy(update={"readings": tuple(readings)}), read_meter_sample(Path(run.folder), meter))
    builds = [b.model_copy(update={"repetition": 0}) for b in builds]
    assert calibrate.calibrate(replace(run, records=tuple(builds)), "gpu:0").pairs == 9


def test_a_calibration_is_stored_and_applied_on_request(tmp_path, folder):
    """Gross, idle and net energy are then true; the stored records do not change."""
    run = metered_run(tmp_path, wrong(), domain=metered.CARD)
    found = calibrate.calibrate(run, "gpu:0")
    assert calibrate.save(found).parent == folder
    assert calibrate.read_all() == [found]
    calibrate.save(found)
    assert len(calibrate.read_all()) == 1
    corrected = calibrate.apply(run, calibrate.read_all())
    for record in corrected.records:
        m = next(m for m in record.measurements if m.phase == "steady")
        assert m.gross_j == pytest.approx(LOAD_W * 6.0)
        assert m.sensor == "nvml (calibrated)"
        assert m.gain == pytest.approx(calibrate.MIN_GAIN)
    assert read_run(Path(run.folder)) == run
    domain = corrected.header.domains[0]
    assert (domain.gain, domain.detail["calibration"]["gain"]) == (calibrate.MIN_GAIN, found.gain)


def test_the_fitted_uncertainty_is_used_if_it_is_larger(tmp_path):
    """u_gain is at least 0.5 %; that of the offset is added at the power of each measurement, and matters more at a low one."""
    run = metered_run(tmp_path, wrong(noise_w=1.5))
    found = calibrate.calibrate(run, "gpu:0")
    assert found.gain_u / found.gain > calibrate.MIN_GAIN
    by_phase = {m.phase: m for r in calibrate.apply(run, [found]).records for m in r.measurements}
    for phase, watts in (("steady", LOAD_W), ("idle", IDLE_W)):
        wanted = np.hypot(found.gain_u / found.gain, found.offset_u_w / found.gain / watts)
        assert by_phase[phase].gain == pytest.approx(wanted, rel=0.05)
    assert by_phase["idle"].gain > by_phase["steady"].gain


def test_a_missing_energy_stays_none(tmp_path):
    """There is nothing to correct."""
    run = metered_run(tmp_path, wrong())
    found = calibrate.calibrate(run, "gpu:0")
    missing = run.records[0].measurements[0].model_copy(update={"gross_j": None})
    assert calibrate.corrected(missing, found) == missing


@pytest.mark.parametrize("other", [{"host": "box-2"}, {"device": "GPU-2"}, {"sensor": "rapl"}, {"domain": "gpu:1"}, {"simulated": True}])
def test_another_machine_or_card_is_not_corrected(tmp_path, other):
    """Nor a real sensor by a simulated calibration."""
    run = metered_run(tmp_path, wrong())
    found = calibrate.calibrate(run, "gpu:0")
    with pytest.raises(MeterError, match="no calibration fits"):
        calibrate.apply(run, [found.model_copy(update=other)])


def test_a_damaged_calibration_is_an_error(folder):
    """Without a traceback."""
    folder.mkdir()
    (folder / "x.json").write_text("{")
    with pytest.raises(MeterError, match="cannot be read"):
        calibrate.read_all()


def test_the_commands(tmp_path, capsys):
    """`calibrate` prints the line; `export --calibrated` applies it, `export` does not."""
    run = metered_run(tmp_path, wrong())

    def energy(*options):
        app(args=["export", run.folder, "--table", "domains", "--format", "csv", *options], prog_name="harness", standalone_mode=False)
        lines = [line.split(",") for line in capsys.readouterr().out.splitlines()]
        return next(float(row[lines[0].index("power_w")]) for row in lines[1:] if "gpu:0" in row)

    app(args=["calibrate", run.folder, "gpu:0"], prog_name="harness", standalone_mode=False)
    assert "reads 1.0440" in capsys.readouterr().out
    assert energy() == pytest.approx(GAIN * LOAD_W + OFFSET_W)
    assert energy("--calibrated") == pytest.approx(LOAD_W)


def test_every_table_and_the_page_mark_calibrated_figures(tmp_path, capsys):
    """In each format next to the corrected figures, and only there."""
    run = metered_run(tmp_path, wrong(), domains=("gpu:0",))
    calibrate.save(calibrate.calibrate(run, "gpu:0"))

    def export(table, form, *options):
        app(args=["export", run.folder, "--table", table, "--format", form, *options], prog_name="harness", standalone_mode=False)
        return capsys.readouterr().out

    for table in (name for name in TABLES if name != "history"):
        plain, corrected = (pd.read_csv(io.StringIO(export(table, "csv", *options))).calibrated for options in ((), ("--calibrated",)))
        assert plain.isna().all()
        assert len(corrected) == 0 or "gpu:0" in corrected.tolist()
    for form in ("md", "tex"):
        assert "gpu:0 corrected by a calibration" in export("cases", form, "--calibrated")
        assert "corrected by a calibration" not in export("cases", form)
    app(args=["report", run.folder, "--calibrated"], prog_name="harness", standalone_mode=False)
    html = (Path(run.folder) / "report" / "index.html").read_text()
    assert "gpu:0 corrected by a calibration" in html and "sampled, calibrated" in html
    assert "reading = 1.044 P" in html
    app(args=["report", run.folder], prog_name="harness", standalone_mode=False)
    assert "calibrat" not in (Path(run.folder) / "report" / "index.html").read_text()
