"""A meter over a run: the energy of each phase, its clock found in the load, and nothing where it was not looking."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from harness import frame
from harness.cli.app import app
from harness.cli.console import print_error
from harness.energy.joules import integrate
from harness.errors import MeterError, StoreError
from harness.meters import read_log
from harness.meters.clock import pulse_in
from harness.meters.importing import covered, energy_between, import_log
from harness.meters.pulse import find_pulse
from harness.store import read_meter_sample, read_meters, read_run, with_meters, write_meter
from tests import metered
from tests.metered import IDLE_W, LOAD_W, RATE_PER_S

COUNT = 4


@pytest.fixture
def run(tmp_path):
    """Four repetitions, no sensor."""
    return metered.stored(tmp_path)


def local(t_s: float) -> str:
    """Two hours ahead of UTC, without saying so."""
    return datetime.fromtimestamp(t_s + 7200, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def log(folder, **how):
    path = folder / "wall.csv"
    path.write_text(metered.log_text(metered.starts(COUNT), **how))
    return path


def steady(meter):
    return [m for reading in meter.readings for m in reading.measurements if m.phase == "steady"]


def test_each_phase_has_its_energy(tmp_path, run):
    """Gross over the phase's own edges, idle from the idle phases, net, and the inferences between the edges."""
    meter = import_log(run, read_log(log(tmp_path)))
    for m in steady(meter):
        assert m.gross_j == pytest.approx(LOAD_W * 6.0)
        assert m.idle_w == pytest.approx(IDLE_W)
        assert m.net_j == pytest.approx((LOAD_W - IDLE_W) * 6.0)
        assert m.inferences == pytest.approx(RATE_PER_S * 6.0, rel=1e-6)
        assert (m.kind, m.domain, m.parent, m.edge_j) == ("sampled", "wall", None, 0.0)
    assert covered(meter.readings) == (COUNT, COUNT)
    assert not any(reading.findings for reading in meter.readings)


def test_an_edge_in_the_middle_of_a_step_says_how_unsure_it_is(tmp_path, run):
    """Idle ends where the meter's row is 100 W and the next 180 W: between them nobody looked."""
    meter = import_log(run, read_log(log(tmp_path, period_s=1.0)))
    for m in steady(meter):
        assert abs(m.gross_j - LOAD_W * 6.0) <= 4 * m.edge_j + 1e-6


def test_recorded_lines_are_not_touched(tmp_path, run):
    """The readings lie beside the run, and are merged on reading when that is asked for."""
    path = Path(run.folder) / "records.jsonl"
    before = path.read_bytes(), (path.parent / "run.json").read_bytes()
    source = read_log(log(tmp_path))
    meter = import_log(run, source)
    write_meter(path.parent, meter, source.sample)
    assert (path.read_bytes(), (path.parent / "run.json").read_bytes()) == before
    assert read_run(path.parent) == run
    merged = with_meters(run)
    assert [m.domain for m in merged.records[0].measurements] == ["wall"] * 3
    assert merged.header.domains[-1].name == "wall"
    assert read_meters(path.parent) == [meter]
    assert np.array_equal(read_meter_sample(path.parent, meter).value, source.sample.value)
    (path.parent / "meters" / "wall.json").write_text("{")
    with pytest.raises(StoreError, match="import the meter's log again"):
        with_meters(run)


def test_a_wall_meter_counts_only_where_the_suite_names_it(tmp_path):
    """It holds everything below it, and is never added to that."""
    for name, domains in (("auto", None), ("named", ("wall",))):
        run = metered.stored(tmp_path / name, sensor=lambda w: w / 2, domains=domains)
        source = read_log(log(tmp_path))
        write_meter(Path(run.folder), import_log(run, source), source.sample)
        tables = frame.tables([with_meters(run)])
        row = tables["cases"].iloc[0]
        if domains:
            assert (row["energy_scope"], row["energy_kind"]) == ("wall", "sampled")
            assert row["energy_j"] == pytest.approx(LOAD_W / RATE_PER_S, rel=1e-6)
        else:
            assert "wall" not in str(row["energy_scope"])
        assert "wall" in set(tables["domains"]["domain"])


def test_a_phase_without_the_meter_is_null_with_its_reason(tmp_path, run):
    """The log ends before the last repetition: that one has no energy, and says why; the others have."""
    path = log(tmp_path)
    cut_s = metered.starts(COUNT)[-1] + metered.UTC_MINUS_MONOTONIC_S + 4.0
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line[0].isdigit() or float(line.split(",")[0]) < cut_s))
    meter = import_log(run, read_log(path))
    assert [m.gross_j is None for m in steady(meter)] == [False, False, False, True]
    assert [m.kind for m in steady(meter)][-1] == "absent"
    assert "none after its end" in meter.readings[-1].findings[0].sentence
    assert covered(meter.readings) == (COUNT - 1, COUNT)


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda t, w: None if 3.5 < t < 4.5 else w, "has no reading for"),
        (lambda t, w: -w, "below 0 W"),
        (lambda t, w: 46.19, "one value all the time"),
        (lambda t, w: 1e9 if abs(t - 5) < 0.06 else w, "1e+09 W, which is impossible"),
        (lambda t, w: w if t < 2.5 or t > 9.8 or abs(t - 6) < 0.06 else None, "are inside its"),
    ],
)
def test_a_meter_that_gaps_sticks_or_is_turned_round_gives_no_number(tmp_path, run, spoil, match):
    """Each with its sentence; the other repetitions keep their energy."""
    first = metered.starts(COUNT)[0] + metered.UTC_MINUS_MONOTONIC_S
    path, kept = log(tmp_path), []
    for line in path.read_text().splitlines()[1:]:
        t, w = (float(cell) for cell in line.split(","))
        value = spoil(t - first, w) if -1 < t - first < 14 else w
        kept += [] if value is None else [f"{t},{value}"]
    path.write_text("\n".join(["time,power_w", *kept]))
    meter = import_log(run, read_log(path))
    assert [m.gross_j is None for m in steady(meter)] == [True, False, False, False]
    assert any(match in finding.sentence for finding in meter.readings[0].findings)


@pytest.mark.parametrize("mark", ["", "-OL-", "[N/A]", "9.9E37"])
def test_readings_that_are_no_number_are_counted_and_refused_above_one_percent(tmp_path, run, mark):
    """One second of four repetitions is 1.4 % of the readings; one of them is stored with its count and a warning in each record."""
    first = metered.starts(COUNT)[0] + metered.UTC_MINUS_MONOTONIC_S
    lines = log(tmp_path).read_text().splitlines()

    def spoilt(seconds):
        rows = [line.split(",") for line in lines[1:]]
        (tmp_path / "wall.csv").write_text(
            "\n".join([lines[0], *(f"{t},{mark if 3.5 < float(t) - first < 3.5 + seconds else w}" for t, w in rows)])
        )
        return import_log(run, read_log(tmp_path / "wall.csv"))

    with pytest.raises(MeterError, match=r"10 of \d+ readings of wall\.csv inside the run are no number"):
        spoilt(1.0)
    meter = spoilt(0.1)
    assert (meter.discarded_in_run, sum(meter.discarded.values()), meter.rows) == (1, 1, len(lines) - 1)
    assert meter.readings[0].findings[0].code == "meter_discarded"
    assert [m.gross_j for m in steady(meter)] == pytest.approx([LOAD_W * 6.0] * COUNT, rel=1e-6)


def test_a_meter_that_shows_what_is_fed_in_too_gives_no_number(tmp_path, run):
    """A window above 0 W beside idle phases below it is a balance, not what the machine drew."""
    path = tmp_path / "wall.csv"
    path.write_text(metered.log_text(metered.starts(COUNT)).replace(f",{IDLE_W}", ",-50.0").replace(f",{LOAD_W}", ",30.0"))
    with pytest.raises(MeterError, match=r"covers no phase .*below 0 W"):
        import_log(run, read_log(path))


def test_a_log_of_another_day_is_refused(tmp_path, run):
    """With both spans, so that the reader sees the mistake."""
    with pytest.raises(MeterError, match=r"covers no phase.*UTC"):
        import_log(run, read_log(log(tmp_path, ahead_s=86400.0)))


@pytest.mark.parametrize(("period_s", "percent"), [(0.5, None), (3.0, "9%"), (7.0, "21%"), (20.0, "60%")])
def test_a_meter_that_is_slow_beside_the_windows_is_a_warning_with_the_error_to_expect(tmp_path, run, period_s, percent):
    """(P_high - P_low) / P_high x period / window x sqrt(2 / 12); slower than the windows, there is no number, and the import still says why."""
    meter = import_log(run, read_log(log(tmp_path, period_s=period_s)))
    slow = [f for reading in meter.readings for f in reading.findings if f.code == "meter_slow"]
    assert len(slow) == (COUNT if percent else 0)
    if percent:
        assert f"every {period_s:g} s, and the windows are 6 s long: expect an error of about {percent}" in slow[0].sentence
    for m in steady(meter):
        assert m.gross_j is None if period_s > 6 else abs(m.gross_j / (LOAD_W * 6.0) - 1) < 0.3


def test_a_log_of_seconds_needs_its_start_or_the_load(tmp_path, run):
    """Refused without; the moment, or the load, places it."""
    path = log(tmp_path, header="time_s,power_w", write=lambda t: f"{t - 1.7e9:.3f}")
    with pytest.raises(MeterError, match="times since a start") as caught:
        import_log(run, read_log(path))
    assert "--start" in caught.value.hint and "--find-pulse" in caught.value.hint
    for meter in (import_log(run, read_log(path, start="1.7e9")), import_log(run, read_log(path), by_pulse=True)):
        assert [m.gross_j for m in steady(meter)] == pytest.approx([LOAD_W * 6.0] * COUNT, rel=0.01)


def test_readings_left_out_are_counted_on_the_runs_clock(tmp_path, run):
    """A log of local times whose zone the load shows: what is missing lies where it was written."""
    first = metered.starts(COUNT)[0] + metered.UTC_MINUS_MONOTONIC_S
    text = log(tmp_path, write=local).read_text().splitlines()
    at = next(i for i, line in enumerate(text) if i and line.split(",")[0] >= local(first + 5.0))
    text[at] = f"{text[at].split(',')[0]},OVER"
    text.insert(3, "torn")
    (tmp_path / "wall.csv").write_text("\n".join(text) + "\n")
    meter = import_log(run, read_log(tmp_path / "wall.csv"))
    assert (sum(meter.discarded.values()), meter.discarded_in_run) == (2, 1)


@pytest.mark.parametrize("watts", [[], [0.0] * 9, [5.0, np.nan] * 5, [1e29, 3.0] * 8, [np.inf] * 6, list(range(40))])
@pytest.mark.parametrize("period_s", [0.0, 0.5, 90.0])
def test_the_search_for_the_load_never_warns(watts, period_s):
    """Whatever was logged: numpy's warnings are errors here."""
    spans = [(0.0, 1.0, 0.0), (1.0, 2.0, 1.0), (2.0, 2.5, 0.0)]
    t_s = np.arange(len(watts)) * period_s
    with np.errstate(all="raise"):
        pulse = find_pulse(t_s, np.array(watts, dtype=float), spans)
    assert pulse is None or np.isfinite([pulse.offset_s, pulse.u_s, pulse.correlation]).all()


# --- clocks ---


@pytest.mark.parametrize(("period_s", "ahead_s"), [(0.1, 3.7), (0.5, -41.25), (1.0, 7200.4)])
def test_the_clock_is_found_in_the_load(tmp_path, run, period_s, ahead_s):
    """The offset and how sure it is are told: the meter's period, and half a second of load on each side of what is known."""
    meter = import_log(run, read_log(log(tmp_path, period_s=period_s, ahead_s=ahead_s)), by_pulse=True)
    assert abs(meter.clock_offset_s - ahead_s) <= 1.5 * meter.clock_u_s
    assert period_s <= meter.clock_u_s * np.sqrt(12) * 1.01 <= 1.1 * np.hypot(period_s, 1.0)
    assert any("ahead of the run's by" in s and "+-" in s and "correlation" in s for s in meter.notes)
    assert all(m.gross_j == pytest.approx(LOAD_W * 6.0, rel=0.03) for m in steady(meter))


def test_a_given_clock_offset_is_used(tmp_path, run):
    """It is subtracted, and stored with the samples as they were."""
    source = read_log(log(tmp_path, ahead_s=-12.5))
    meter = import_log(run, source, clock_offset_s=-12.5)
    assert all(m.gross_j == pytest.approx(LOAD_W * 6.0) for m in steady(meter))
    write_meter(Path(run.folder), meter, source.sample)
    assert read_meter_sample(Path(run.folder), meter).t_s[0] == pytest.approx(source.sample.t_s[0] + 12.5)


def test_a_clock_that_the_load_contradicts_is_a_warning(tmp_path, run):
    """Nobody said that the meter is 4 s ahead: the energy is that of other seconds, and says so in each record."""
    meter = import_log(run, read_log(log(tmp_path, ahead_s=4.0)))
    assert all(reading.findings[0].code == "meter_clock" for reading in meter.readings)
    assert any("but the run's load is found" in s for s in meter.notes)


def test_a_build_quoted_from_another_run_has_no_reading(tmp_path, run):
    """Its phases lie at the time of that run."""
    quoted = run.records[0].model_copy(update={"task": "build", "case_id": None, "cached": True})
    meter = import_log(replace(run, records=(quoted, *run.records)), read_log(log(tmp_path)))
    assert len(meter.readings) == COUNT


def test_a_flat_log_shows_no_pulse(tmp_path, run):
    """The best guess is told, never used."""
    with pytest.raises(MeterError, match=r"does not stand out|too few"):
        import_log(run, read_log(log(tmp_path, load_w=IDLE_W)), by_pulse=True)


def test_evenly_spaced_loads_are_ambiguous(tmp_path):
    """A log that saw more repetitions of one rhythm than the run has: every shift fits."""
    spans = [(20.0 * k, 20.0 * k + 5, 1.0) for k in range(3)] + [(20.0 * k + 6, 20.0 * k + 19, 0.0) for k in range(3)]
    t_s = np.arange(0, 400, 0.5)
    pulse = find_pulse(t_s, np.where(t_s % 20 < 5, 2.0, 1.0), spans)
    assert pulse.correlation > 0.9
    assert not pulse.sure
    assert find_pulse(t_s, np.ones(len(t_s)), [(0.0, 1.0, 1.0)]) is None


def test_local_times_take_their_zone_from_the_load_alone(tmp_path, run):
    """In whole quarter hours, and told; where the load does not show, the zone is asked for."""
    meter = import_log(run, read_log(log(tmp_path, write=local)))
    assert any("local time is UTC+02:00" in s for s in meter.notes)
    assert all(m.gross_j == pytest.approx(LOAD_W * 6.0) for m in steady(meter))
    with pytest.raises(MeterError, match="does not stand out") as caught:
        import_log(run, read_log(log(tmp_path, write=local, load_w=IDLE_W)))
    assert "--timezone" in caught.value.hint
    with pytest.raises(MeterError, match="no time zone"):
        import_log(run, read_log(log(tmp_path, write=local, ahead_s=300.0)))


def test_rows_of_means_stand_for_the_interval_before_them(tmp_path, run):
    """With the rectangle rule a clock is found without half a period of bias."""
    path = log(tmp_path, period_s=0.05)
    t_s, w = np.array([line.split(",") for line in path.read_text().splitlines()[1:]], dtype=float).T
    means = w[: len(w) // 20 * 20].reshape(-1, 20).mean(axis=1)
    ends = t_s[19 : len(means) * 20 : 20] + 0.025
    path.write_text("time,power_w\n" + "".join(f"{t:.4f},{m}\n" for t, m in zip(ends, means, strict=True)))
    pulse = pulse_in(run, read_log(path), "rectangle")
    assert pulse.offset_s == pytest.approx(0.0, abs=0.2)
    assert pulse_in(run, read_log(path)).offset_s == pytest.approx(0.5, abs=0.2)
    meter = import_log(run, read_log(path), rule="rectangle")
    assert (meter.domain.quantity, energy_between(read_log(path), ends[3], ends[4], "rectangle")) == ("mean_power", pytest.approx(means[4]))


@pytest.mark.parametrize(
    ("how", "match"), [({"name": "gpu:0"}, "cannot be"), ({"name": "../x"}, "cannot be"), ({"rule": "simpson"}, "no rule")]
)
def test_a_name_that_is_taken_or_a_rule_that_is_not(tmp_path, how, match):
    """Each a sentence."""
    run = metered.stored(tmp_path, sensor=lambda w: w)
    with pytest.raises(MeterError, match=match):
        import_log(run, read_log(log(tmp_path)), **how)


def test_beside_a_simulated_sensor_a_meter_is_simulated(tmp_path):
    """What comes of a fake says so, in every window."""
    run = metered.stored(tmp_path, sensor=lambda w: w, domain=metered.CARD.model_copy(update={"kind": "simulated"}))
    assert {m.kind for m in steady(import_log(run, read_log(log(tmp_path))))} == {"simulated"}


# --- the command ---


def command(*arguments):
    return app(args=[str(a) for a in arguments], prog_name="harness", standalone_mode=False)


def test_each_line_of_a_hint_is_a_line_on_the_terminal(capsys):
    """So that a command can be copied from it."""
    print_error("what", "choose one:\n  harness import-meter r log.csv --unit W")
    assert capsys.readouterr().err == "error: what\n  choose one:\n    harness import-meter r log.csv --unit W\n"


def test_a_zone_that_the_load_shows_is_stored_with_the_sample(tmp_path, run):
    """Else a calibration, and the check of the stored energies, would read another two hours."""
    command("import-meter", run.folder, log(tmp_path, write=local))
    meter = read_meters(Path(run.folder))[0]
    sample = read_meter_sample(Path(run.folder), meter)
    phase = run.records[0].phases[1]
    ahead_s = run.records[0].utc_minus_monotonic_s
    assert integrate(sample, phase.start_s + ahead_s, phase.end_s + ahead_s) == pytest.approx(steady(meter)[0].gross_j)


def test_the_command_imports_and_the_tables_show_it(tmp_path, run, capsys):
    """`harness import-meter` tells what it guessed on stderr and the coverage on stdout; `export` then has the domain."""
    command("import-meter", run.folder, log(tmp_path, ahead_s=5.0), "--clock-offset", "5")
    said = capsys.readouterr()
    assert "4 of 4 repetitions covered" in said.out
    assert "power from" in said.err
    command("export", run.folder, "--table", "domains", "--format", "csv")
    assert "wall" in capsys.readouterr().out
    text = (tmp_path / "wall.csv").read_text().replace("\n17", "\ntorn\n17", 1)
    (tmp_path / "wall.csv").write_text(text)
    command("import-meter", run.folder, tmp_path / "wall.csv", "--clock-offset", "5", "--name", "pdu")
    said = capsys.readouterr()
    assert "1 rows or values discarded, 0 of them inside the run" in said.out
    assert "1 of 1064 rows could not be read" in said.err
    assert read_meters(Path(run.folder))[0].rows == 1064
    with pytest.raises(MeterError, match="exclude each other"):
        command("import-meter", run.folder, tmp_path / "wall.csv", "--clock-offset", "5", "--find-pulse")
