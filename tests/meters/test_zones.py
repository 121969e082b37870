"""Local times become Unix time, or are refused where daylight saving makes them ambiguous."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import MeterError
from harness.meters import read_log
from harness.meters.zones import Zone, offset_text, to_unix, zone_info
from tests.meters.logs import (
    written,
)


def test_the_hour_that_occurs_twice_is_refused_and_an_offset_settles_it(tmp_path):
    """At the end of daylight saving 02:30 is two times."""
    path = written(tmp_path, "time,power_w\n2025-10-26 02:30:00,1\n2025-10-26 02:30:01,2\n")
    with pytest.raises(MeterError, match="occurs twice"):
        read_log(path, timezone="Europe/Berlin")
    assert read_log(path, utc_offset_s=3600).sample.t_s[0] - read_log(path, utc_offset_s=7200).sample.t_s[0] == 3600


def test_an_hour_that_does_not_exist_is_refused(tmp_path):
    """At the beginning of daylight saving there is no 02:30."""
    with pytest.raises(MeterError, match="does not exist"):
        read_log(written(tmp_path, "time,power_w\n2025-03-30 02:30:00,1\n2025-03-30 02:30:01,2\n"), timezone="Europe/Berlin")


def test_summer_and_winter_differ_in_one_zone(tmp_path):
    """A zone knows daylight saving, a log across its beginning has no jump; an unknown zone is refused."""
    path = written(tmp_path, "time,power_w\n2025-03-30 01:59:59,1\n2025-03-30 03:00:00,2\n")
    assert np.diff(read_log(path, timezone="Europe/Berlin").sample.t_s).tolist() == [1.0]
    with pytest.raises(MeterError, match="no time zone"):
        read_log(path, timezone="Berlin/Europe")
    with pytest.raises(MeterError, match="a zone and an offset"):
        read_log(path, timezone="Europe/Berlin", utc_offset_s=0)


def test_the_order_of_a_log_decides_an_hour_that_occurs_twice(tmp_path):
    """The clock goes back once and Unix time runs on; a step back that the zone does not explain is refused."""
    path = written(tmp_path, "time,power_w\n2025-10-26 02:30:00,1\n2025-10-26 02:59:59,1\n2025-10-26 02:00:00,2\n2025-10-26 03:00:00,2\n")
    assert np.diff(read_log(path, timezone="Europe/Berlin").sample.t_s).tolist() == [1799.0, 1.0, 3600.0]
    path = written(tmp_path, "time,power_w\n2025-10-27 02:59:59,1\n2025-10-27 02:00:00,2\n2025-10-27 02:00:01,2\n")
    with pytest.raises(MeterError, match="goes back in time") as caught:
        read_log(path, timezone="Europe/Berlin")
    assert "--timezone" not in caught.value.hint


def test_a_clock_set_back_by_the_end_of_daylight_saving(tmp_path):
    """With a fixed offset the log goes back in time: refused, not sorted."""
    with pytest.raises(MeterError, match="goes back in time by 35"):
        read_log(
            written(tmp_path, "time,power_w\n2025-10-26 02:59:50,1\n2025-10-26 02:59:59,1\n2025-10-26 02:00:00,2\n"), utc_offset_s=3600
        )


def test_each_time_has_the_offset_of_its_day():
    """In summer and in winter; the fractions of a second stay."""
    local_s = np.array([1_750_075_200.25, 1_765_886_400.5])
    assert (local_s - to_unix(local_s, Zone("Europe/Berlin"))).tolist() == [7200.0, 3600.0]
    assert (local_s - to_unix(local_s, Zone(utc_offset_s=-18_000))).tolist() == [-18_000.0] * 2


@pytest.mark.parametrize(
    ("day", "message"),
    [("2025-10-26", "02:30 occurs twice: daylight saving ends"), ("2025-03-30", "02:30 does not exist: daylight saving begins")],
)
def test_a_time_with_two_offsets_is_refused_with_both(day, message):
    """An hour that occurs twice, and one that does not exist."""
    local_s = np.array([np.datetime64(f"{day}T02:30:00").astype("datetime64[s]").astype(float)])
    with pytest.raises(MeterError, match=message) as caught:
        to_unix(local_s, Zone("Europe/Berlin"))
    assert "--utc-offset 3600" in caught.value.hint and "--utc-offset 7200" in caught.value.hint


@pytest.mark.parametrize(("name", "known"), [("Europe/Berlin", True), ("Date/Time", False), ("../etc/passwd", False), ("", False)])
def test_a_zone_is_one_of_the_database(name, known):
    """A zone name in a header that is not in the database is refused."""
    assert (zone_info(name) is not None) == known


def test_an_offset_as_text():
    """With sign, hours and minutes."""
    assert (offset_text(-18_000), offset_text(20_700)) == ("UTC-05:00", "UTC+05:45")
