"""A sensor's gain and offset are found against a meter, with how sure they are; they are used only where asked, and only where they belong."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.cli.app import app
from harness.errors import MeterError, StoreError
from harness.frame.columns import TABLES
from harness.meters import calibrate, read_log
from harness.meters.importing import import_log
from harness.schema import Sample
from harness.store import read_run, write_meter
from tests import metered
from tests.metered import IDLE_W, LOAD_W

GAIN, OFFSET_W = 1.044, -22.6


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Calibrations of the test alone."""
    monkeypatch.setenv("HARNESS_CALIBRATION", str(tmp_path / "calibration"))
    return tmp_path / "calibration"


def wrong(noise_w: float = 0.0, gain: float = GAIN, offset_w: float = OFFSET_W):
    """A sensor that reads gain P + offset, with some scatter."""
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


@pytest.mark.parametrize("columns", [{"start_s": [0.0]}, {"start_s": ["a"], "end_s": ["b"], "value": ["c"]}])
def test_a_meters_file_that_is_damaged_is_a_sentence(tmp_path, columns):
    """A column that has gone, or holds no numbers."""
    run = metered_run(tmp_path, wrong())
    pd.DataFrame(columns).to_parquet(Path(run.folder) / "meters" / "wall.parquet")
    with pytest.raises(StoreError, match=r"wall\.parquet cannot be read: its column \w+ is missing, or does not hold numbers"):
        calibrate.calibrate(run, "gpu:0")


def test_the_uncertainties_cover_the_truth():
    """Of 400 fits with independent scatter the 95 % intervals hold the gain, and the offset, in 92-98 %."""
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
def test_levels_that_do_not_tell_a_gain_are_refused(true_w, match):
    """Two levels at least, well apart, and enough pairs for a residual."""
    with pytest.raises(MeterError, match=match) as caught:
        calibrate.fit(np.array(true_w), np.array(true_w))
    assert caught.value.hint


def test_readings_that_scatter_are_refused():
    """A gain known to 20 % is no calibration."""
    with pytest.raises(MeterError, match="scatter"):
        calibrate.fit(np.array([100.0, 250.0, 180.0, 320.0]), np.array([100.0, 120.0, 280.0, 300.0]))


def test_a_meter_of_the_whole_machine_is_no_truth_for_one_rail(tmp_path):
    """It feeds 100 W that the sensor does not see: stored as an offset they would make every joule of the card wrong."""
    with pytest.raises(MeterError, match="feeds more than this rail"):
        calibrate.calibrate(metered_run(tmp_path, wrong(gain=0.9, offset_w=-80)), "gpu:0")


@pytest.mark.parametrize(("domain", "meter", "match"), [("gpu:1", "wall", "no energy of 'gpu:1'"), ("gpu:0", "pdu", "no meter 'pdu'")])
def test_what_the_run_has_not(tmp_path, domain, meter, match):
    """A sentence with what it has."""
    with pytest.raises(MeterError, match=match):
        calibrate.calibrate(metered_run(tmp_path, wrong()), domain, meter)


def test_a_model_is_not_calibrated(tmp_path):
    """It has no gain."""
    run = metered_run(tmp_path, wrong(), domain=metered.CARD.model_copy(update={"kind": "modelled", "gain": None}))
    with pytest.raises(MeterError, match="modelled"):
        calibrate.calibrate(run, "gpu:0")


def test_two_levels_of_one_step_are_enough():
    """Spans within each level give the residuals."""
    t_s = np.arange(0.0, 20.0, 0.05)
    truth = np.where(t_s < 10, 440.0, 135.0)
    spans = [(a, a + 1.0) for a in (1.0, 3.0, 5.0, 11.0, 13.0, 15.0, 30.0)]
    reading_w, true_w = calibrate.levels(Sample(t_s, t_s, 0.95 * truth), Sample(t_s, t_s, truth), spans)
    assert len(true_w) == 6
    gain, _, offset_w, _, _ = calibrate.fit(reading_w, true_w)
    assert (gain, offset_w) == (pytest.approx(0.95), pytest.approx(0.0, abs=1e-9))


# --- stored, and used ---


def test_a_calibration_is_kept_and_corrects_what_is_asked(tmp_path, folder):
    """Gross, idle and net come out true; the recorded lines stay; without asking nothing changes."""
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
        assert m.gain == pytest.approx(calibrate.LEAST_GAIN)
    assert read_run(Path(run.folder)) == run
    domain = corrected.header.domains[0]
    assert (domain.gain, domain.detail["calibration"]["gain"]) == (calibrate.LEAST_GAIN, found.gain)


def test_the_fitted_uncertainty_stands_where_it_is_larger(tmp_path):
    """u_gain is 0.5 % at least; the offset's is added at the power of each measurement, and weighs more at a low one."""
    run = metered_run(tmp_path, wrong(noise_w=1.5))
    found = calibrate.calibrate(run, "gpu:0")
    assert found.gain_u / found.gain > calibrate.LEAST_GAIN
    by_phase = {m.phase: m for r in calibrate.apply(run, [found]).records for m in r.measurements}
    for phase, watts in (("steady", LOAD_W), ("idle", IDLE_W)):
        wanted = np.hypot(found.gain_u / found.gain, found.offset_u_w / found.gain / watts)
        assert by_phase[phase].gain == pytest.approx(wanted, rel=0.05)
    assert by_phase["idle"].gain > by_phase["steady"].gain


def test_an_energy_that_was_not_measured_stays_null(tmp_path):
    """A correction of nothing is nothing."""
    run = metered_run(tmp_path, wrong())
    found = calibrate.calibrate(run, "gpu:0")
    missing = run.records[0].measurements[0].model_copy(update={"gross_j": None})
    assert calibrate.corrected(missing, found) == missing


@pytest.mark.parametrize("other", [{"host": "box-2"}, {"device": "GPU-2"}, {"sensor": "rapl"}, {"domain": "gpu:1"}, {"simulated": True}])
def test_another_machine_or_card_is_not_corrected(tmp_path, other):
    """Nor a real sensor by what a simulation said."""
    run = metered_run(tmp_path, wrong())
    found = calibrate.calibrate(run, "gpu:0")
    with pytest.raises(MeterError, match="no calibration fits"):
        calibrate.apply(run, [found.model_copy(update=other)])


def test_a_damaged_calibration_is_a_sentence(folder):
    """Not a traceback."""
    folder.mkdir()
    (folder / "x.json").write_text("{")
    with pytest.raises(MeterError, match="cannot be read"):
        calibrate.read_all()


def test_the_commands(tmp_path, capsys):
    """`calibrate` tells what it found; `export --calibrated` corrects, `export` does not."""
    run = metered_run(tmp_path, wrong())

    def energy(*options):
        app(args=["export", run.folder, "--table", "domains", "--format", "csv", *options], prog_name="harness", standalone_mode=False)
        lines = [line.split(",") for line in capsys.readouterr().out.splitlines()]
        return next(float(row[lines[0].index("power_w")]) for row in lines[1:] if "gpu:0" in row)

    app(args=["calibrate", run.folder, "gpu:0"], prog_name="harness", standalone_mode=False)
    assert "reads 1.0440" in capsys.readouterr().out
    assert energy() == pytest.approx(GAIN * LOAD_W + OFFSET_W)
    assert energy("--calibrated") == pytest.approx(LOAD_W)


def test_every_table_and_the_page_say_that_a_calibration_was_used(tmp_path, capsys):
    """Beside the figures it corrected, in each form; without it none does."""
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
