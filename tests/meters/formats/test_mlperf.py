"""MLPerf logs and the marks of their session."""

from __future__ import annotations

import tarfile

import numpy as np
import pytest

from harness.energy.joules import integrate
from harness.errors import MeterError
from harness.meters import read_log
from tests.meters.logs import (
    DATA,
    here,
    written,
)


def session(folder, declared_s=21600, start_s=1616120950.0, rows=None, folder_name="run_1"):
    """A session as the client leaves it: local time is UTC-5 with daylight saving, the field states UTC-6 without."""
    rows = rows or [f"Time,03-18-2021 21:29:{10 + k}.500,Watts,{500 + k},Volts,206,Amps,2.4,PF,0.95,Mark,x" for k in range(40)]
    written(folder, "\n".join(rows) + "\n", f"{folder_name}/spl.txt")
    written(
        folder,
        f'{{"timezone": {declared_s}, "phases": {{"testing": [[0, 0], [{start_s}, 1], [{start_s + 40}, 2], [0, 0]]}}}}',
        "power/client.json",
    )
    marks = [
        f':::MLLOG {{"key": "power_{name}", "value": "03-18-2021 21:29:{at}", "x": 1}}'
        for name, at in (("begin", "20.000"), ("end", "40.000"))
    ]
    written(folder, "\n".join(marks), f"{folder_name}/mlperf_log_detail.txt")
    return folder / folder_name / "spl.txt"


def test_the_zone_of_an_mlperf_log_comes_from_the_marks(tmp_path):
    """Its `timezone` field ignores daylight saving: the offset is found and noted; an explicit one takes precedence."""
    path = session(tmp_path)
    log = read_log(path)
    assert log.sample.t_s[0] == pytest.approx(1616120950.5)
    assert log.marks == pytest.approx({"power_begin": 1616120960.0, "power_end": 1616120980.0})
    assert any("UTC-05:00 by the session's marks" in s and "UTC-06:00" in s for s in log.notes)
    assert integrate(log.sample, *log.marks.values()) == pytest.approx(20 * 519.5)
    assert read_log(path, utc_offset_s=-21600).sample.t_s[0] == pytest.approx(1616120950.5 + 3600)
    assert not any("marks" in s for s in read_log(path, timezone="America/Chicago").notes)


def test_an_mlperf_log_without_its_session_names_no_zone(tmp_path):
    """Nothing is guessed, also if the difference from the session's marks is not an offset of a zone."""
    path = session(tmp_path / "a")
    (tmp_path / "a" / "power" / "client.json").unlink()
    assert read_log(path).local
    assert read_log(session(tmp_path / "b", start_s=1616120950.0 + 440)).local
    assert read_log(session(tmp_path / "c", folder_name="elsewhere")).local


def test_a_meter_of_several_channels_repeats_its_keys(tmp_path):
    """The total comes first; -1 means no value, which is missing."""
    rows = [
        f"Time,03-18-2021 21:29:{10 + k}.500,Watts,{300 if k else -1},Volts,-1,Amps,-1,PF,-1,Mark,x,Ch1,Watts,100,Volts,230,Ch2,Watts,200,Volts,230"
        for k in range(5)
    ]
    path = session(tmp_path, rows=rows)
    assert np.array_equal(read_log(path).sample.value, [np.nan, 300, 300, 300, 300], equal_nan=True)
    assert read_log(path, channel="channel 2").sample.value.tolist() == [200] * 5


def test_a_row_that_was_cut_is_left_out(tmp_path):
    """The meter's program was killed in the middle of it."""
    rows = [f"Time,03-18-2021 21:29:{10 + k}.500,Watts,{500 + k},Mark,x" for k in range(40)]
    log = read_log(session(tmp_path, rows=[*rows, "Time,03-18-2021 21:29:5"]))
    assert len(log.sample.value) == 40
    assert any("1 of 41 rows" in s for s in log.notes)
    with pytest.raises(MeterError, match="no row"):
        read_log(written(tmp_path, "hello\n", "spl.txt"), "mlperf")


def test_warnings_of_a_meter_count_between_the_marks_only(tmp_path):
    """It settles before the first mark."""
    lines = [f"03-18-2021 21:29:{s}.000: WARNING: Uncertainty unknown for the last measurement sample! channel 0" for s in (12, 25, 35, 45)]
    path = session(tmp_path)
    assert not any("uncertainty" in s for s in read_log(path).notes)
    written(tmp_path, "\n".join(lines), "power/ptd_logs.txt")
    assert any("2 readings between the marks" in s for s in read_log(path).notes)


@here
def test_the_energy_of_a_published_session(tmp_path):
    """955,892 J between its marks, within 0.1 %."""
    with tarfile.open(next(DATA.glob("mlperf*.tar.gz"))) as archive:
        archive.extractall(tmp_path, filter="data")
    log = read_log(next(tmp_path.glob("*/run_1/spl.txt")))
    assert integrate(log.sample, *log.marks.values()) == pytest.approx(955_892, rel=1e-3)
