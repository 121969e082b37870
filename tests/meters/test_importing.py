"""A log over a run: the energy of each phase, or the reason why there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import frame
from harness.cli.app import app
from harness.energy.joules import integrate, integrate_means
from harness.errors import MeterError
from harness.meters import read_log
from harness.meters.importing import covered, import_log
from harness.store import read_meter_sample, read_meters, with_meters, write_meter
from tests import metered
from tests.metered import COUNT, IDLE_W, LOAD_W, RATE_PER_S, local_text, log_file, steady
from tests.meters.logs import NOON_S, written


def test_each_phase_has_its_energy(tmp_path, run):
    """Gross over the phase's own edges, idle from the idle phases, net, and the inferences between the edges."""
    meter = import_log(run, read_log(log_file(tmp_path)))
    for m in steady(meter):
        assert m.gross_j == pytest.approx(LOAD_W * 6.0)
        assert m.idle_w == pytest.approx(IDLE_W)
        assert m.net_j == pytest.approx((LOAD_W - IDLE_W) * 6.0)
        assert m.inferences == pytest.approx(RATE_PER_S * 6.0, rel=1e-6)
        assert (m.kind, m.domain, m.parent, m.edge_j) == ("sampled", "wall", None, 0.0)
    assert covered(meter.readings) == (COUNT, COUNT)
    assert not any(reading.findings for reading in meter.readings)


def test_an_edge_between_two_readings_has_an_uncertainty(tmp_path, run):
    """Idle ends between a row of 100 W and one of 180 W."""
    meter = import_log(run, read_log(log_file(tmp_path, period_s=1.0)))
    for m in steady(meter):
        assert abs(m.gross_j - LOAD_W * 6.0) <= 4 * m.edge_j + 1e-6


def test_a_wall_meter_counts_only_where_the_suite_names_it(tmp_path):
    """It contains all other domains, and is never added to them."""
    for name, domains in (("auto", None), ("named", ("wall",))):
        run = metered.stored(tmp_path / name, sensor=lambda w: w / 2, domains=domains)
        source = read_log(log_file(tmp_path))
        write_meter(Path(run.folder), import_log(run, source), source.sample)
        tables = frame.tables([with_meters(run)])
        row = tables["cases"].iloc[0]
        if domains:
            assert (row["energy_scope"], row["energy_kind"]) == ("wall", "sampled")
            assert row["energy_j"] == pytest.approx(LOAD_W / RATE_PER_S, rel=1e-6)
        else:
            assert "wall" not in str(row["energy_scope"])
        assert "wall" in set(tables["domains"]["domain"])


def test_a_phase_that_the_log_does_not_cover_has_no_energy(tmp_path, run):
    """The log ends before the last repetition, which has the reason instead; the others have their energy."""
    path = log_file(tmp_path)
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
        (lambda t, w: 46.19, "a constant value"),
        (lambda t, w: 1e9 if abs(t - 5) < 0.06 else w, "1e+09 W, which is impossible"),
        (lambda t, w: w if t < 2.5 or t > 9.8 or abs(t - 6) < 0.06 else None, "are inside its"),
    ],
)
def test_a_meter_with_gaps_or_implausible_readings_gives_no_energy(tmp_path, run, spoil, match):
    """Each with its reason; the other repetitions keep their energy."""
    first = metered.starts(COUNT)[0] + metered.UTC_MINUS_MONOTONIC_S
    path, kept = log_file(tmp_path), []
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
    lines = log_file(tmp_path).read_text().splitlines()

    def spoilt(seconds):
        rows = [line.split(",") for line in lines[1:]]
        (tmp_path / "wall.csv").write_text(
            "\n".join([lines[0], *(f"{t},{mark if 3.5 < float(t) - first < 3.5 + seconds else w}" for t, w in rows)])
        )
        return import_log(run, read_log(tmp_path / "wall.csv"))

    with pytest.raises(MeterError, match=r"10 of \d+ readings of wall\.csv inside the run are not numbers"):
        spoilt(1.0)
    meter = spoilt(0.1)
    assert (meter.discarded_in_run, sum(meter.discarded.values()), meter.rows) == (1, 1, len(lines) - 1)
    assert meter.readings[0].findings[0].code == "meter_discarded"
    assert [m.gross_j for m in steady(meter)] == pytest.approx([LOAD_W * 6.0] * COUNT, rel=1e-6)


def test_a_meter_that_subtracts_power_fed_in_gives_no_energy(tmp_path, run):
    """A window above 0 W between idle phases below it is a balance, not the power drawn."""
    path = tmp_path / "wall.csv"
    path.write_text(metered.log_text(metered.starts(COUNT)).replace(f",{IDLE_W}", ",-50.0").replace(f",{LOAD_W}", ",30.0"))
    with pytest.raises(MeterError, match=r"not cover any phase .*below 0 W"):
        import_log(run, read_log(path))


def test_a_log_of_another_day_is_refused(tmp_path, run):
    """The error states both spans."""
    with pytest.raises(MeterError, match=r"not cover any phase.*UTC"):
        import_log(run, read_log(log_file(tmp_path, ahead_s=86400.0)))


@pytest.mark.parametrize(("period_s", "percent"), [(0.5, None), (3.0, "9%"), (7.0, "21%"), (20.0, "60%")])
def test_a_meter_that_is_slow_for_the_windows_is_a_warning_with_the_expected_error(tmp_path, run, period_s, percent):
    """(P_high - P_low) / P_high x period / window x sqrt(2 / 12); slower than the windows there is no energy, and the import states the reason."""
    meter = import_log(run, read_log(log_file(tmp_path, period_s=period_s)))
    slow = [f for reading in meter.readings for f in reading.findings if f.code == "meter_slow"]
    assert len(slow) == (COUNT if percent else 0)
    if percent:
        assert f"every {period_s:g} s, and the windows are 6 s long: expect an error of about {percent}" in slow[0].sentence
    for m in steady(meter):
        assert m.gross_j is None if period_s > 6 else abs(m.gross_j / (LOAD_W * 6.0) - 1) < 0.3


def test_a_log_of_seconds_needs_its_start_or_the_load(tmp_path, run):
    """Refused without either."""
    path = log_file(tmp_path, header="time_s,power_w", write=lambda t: f"{t - 1.7e9:.3f}")
    with pytest.raises(MeterError, match="times since a start") as caught:
        import_log(run, read_log(path))
    assert "--start" in caught.value.hint and "--find-pulse" in caught.value.hint
    for meter in (import_log(run, read_log(path, start="1.7e9")), import_log(run, read_log(path), by_pulse=True)):
        assert [m.gross_j for m in steady(meter)] == pytest.approx([LOAD_W * 6.0] * COUNT, rel=0.01)


def test_readings_left_out_are_counted_on_the_runs_clock(tmp_path, run):
    """In a log of local times whose zone the load shows, missing readings are counted at their own times."""
    first = metered.starts(COUNT)[0] + metered.UTC_MINUS_MONOTONIC_S
    text = log_file(tmp_path, write=local_text).read_text().splitlines()
    at = next(i for i, line in enumerate(text) if i and line.split(",")[0] >= local_text(first + 5.0))
    text[at] = f"{text[at].split(',')[0]},OVER"
    text.insert(3, "torn")
    (tmp_path / "wall.csv").write_text("\n".join(text) + "\n")
    meter = import_log(run, read_log(tmp_path / "wall.csv"))
    assert (sum(meter.discarded.values()), meter.discarded_in_run) == (2, 1)


@pytest.mark.parametrize(
    ("how", "match"), [({"name": "gpu:0"}, "cannot be"), ({"name": "../x"}, "cannot be"), ({"rule": "simpson"}, "no rule")]
)
def test_a_name_that_is_taken_or_an_unknown_rule_is_refused(tmp_path, how, match):
    """Before anything is read from the log."""
    run = metered.stored(tmp_path, sensor=lambda w: w)
    with pytest.raises(MeterError, match=match):
        import_log(run, read_log(log_file(tmp_path)), **how)


def test_in_a_run_with_a_simulated_sensor_a_meter_is_simulated(tmp_path):
    """In every window."""
    run = metered.stored(tmp_path, sensor=lambda w: w, domain=metered.CARD.model_copy(update={"kind": "simulated"}))
    assert {m.kind for m in steady(import_log(run, read_log(log_file(tmp_path))))} == {"simulated"}


def test_rows_of_means_need_the_rectangle_rule(tmp_path):
    """A step inside: the trapezoid is wrong at both ends, the rectangle is exact."""
    log = read_log(written(tmp_path, "time,power_w\n" + "".join(f"{NOON_S + k},{w}\n" for k, w in enumerate([0, 10, 10, 90, 90]))))
    assert integrate_means(log.sample, NOON_S, NOON_S + 4) == pytest.approx(200)
    assert integrate(log.sample, NOON_S, NOON_S + 4) == pytest.approx(155)


# --- the command ---


def command(*arguments):
    return app(args=[str(a) for a in arguments], prog_name="harness", standalone_mode=False)


def test_a_zone_that_the_load_shows_is_stored_with_the_sample(tmp_path, run):
    """Else a calibration and the check of the stored energies would use other times."""
    command("import-meter", run.folder, log_file(tmp_path, write=local_text))
    meter = read_meters(Path(run.folder))[0]
    sample = read_meter_sample(Path(run.folder), meter)
    phase = run.records[0].phases[1]
    ahead_s = run.records[0].utc_minus_monotonic_s
    assert integrate(sample, phase.start_s + ahead_s, phase.end_s + ahead_s) == pytest.approx(steady(meter)[0].gross_j)


def test_the_command_imports_and_the_tables_show_it(tmp_path, run, capsys):
    """`harness import-meter` prints its notes on stderr and the coverage on stdout; `export` then has the domain."""
    command("import-meter", run.folder, log_file(tmp_path, ahead_s=5.0), "--clock-offset", "5")
    output = capsys.readouterr()
    assert "4 of 4 repetitions covered" in output.out
    assert "power from" in output.err
    command("export", run.folder, "--table", "domains", "--format", "csv")
    assert "wall" in capsys.readouterr().out
    text = (tmp_path / "wall.csv").read_text().replace("\n17", "\ntorn\n17", 1)
    (tmp_path / "wall.csv").write_text(text)
    command("import-meter", run.folder, tmp_path / "wall.csv", "--clock-offset", "5", "--name", "pdu")
    output = capsys.readouterr()
    assert "1 rows or values discarded, 0 of them inside the run" in output.out
    assert "1 of 1064 rows could not be read" in output.err
    assert read_meters(Path(run.folder))[0].rows == 1064
    with pytest.raises(MeterError, match="cannot be combined"):
        command("import-meter", run.folder, tmp_path / "wall.csv", "--clock-offset", "5", "--find-pulse")
