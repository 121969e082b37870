"""Stored result of `harness doctor --probe` for each card, and the constants that later runs take from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from harness import userfiles
from harness.atomic import replace_file
from harness.errors import HarnessError, StoreError
from harness.schema import FrozenModel

POLLS_PER_UPDATE = 2.0
"""Polls of a power reading per update period: more show nothing new."""
LEAST_POLL_S, LONGEST_POLL_S = 0.02, 0.5
"""Bounds of a polling period that follows from a probe."""
UpdatePeriod = Annotated[float, Field(gt=0, le=60)]
"""Time in s between two updates of a reading, which a probe of minutes can see: a file with another value is damaged."""


class CallTime(FrozenModel):
    """How long a call of the driver takes, s."""

    p50_s: float
    p99_s: float
    max_s: float


class Square(FrozenModel):
    """Mean power of a load that is on for half of the time, corrected to exactly half, by reading; None: not available."""

    period_s: float
    shift_s: float
    """Delay of the load after a tick of the counter."""
    counter_w: float | None
    instant_w: float | None
    average_w: float | None


class LoadLevel(FrozenModel):
    """Mean power of a load of one level, by reading; None: not available."""

    share: float
    """Share of the time in which the load was on."""
    counter_w: float | None
    instant_w: float | None
    average_w: float | None


class CardProbe(FrozenModel):
    """What the readings of one card show; each figure is None if it could not be determined."""

    uuid: str
    name: str
    driver: str
    probed_utc: str
    """Time of the probe, ISO 8601."""
    harness_version: str
    simulated: bool = False
    """Whether the driver is a simulated one."""
    engine: str | None = None
    """Engine that loaded the card; None: no load."""
    calls: dict[str, dict[str, CallTime | None]] = {}
    """Call times by state (idle, loaded) and reading; None: not supported."""
    tick_period_s: UpdatePeriod | None = None
    """Time between two ticks of the energy counter."""
    update_periods_s: dict[str, UpdatePeriod | None] = {}
    """Time between two changes of each power reading."""
    idle_w: dict[str, float | None] = {}
    """Power of the idle card: without_context, with_context and after_load."""
    levels: tuple[LoadLevel, ...] = ()
    """Counter against integrated power at several levels."""
    squares: tuple[Square, ...] = ()
    """Loads of several periods and phases."""
    spreads: dict[str, float | None] = {}
    """Range of the mean powers over these loads, relative to their mean, by reading."""
    sees_all: dict[str, bool | None] = {}
    """Whether a reading covers all of a periodic load."""
    pids: Literal["visible", "hidden", "not listed"] | None = None
    """Process ids: of this system, of the host's namespace, or not listed for the loaded card."""
    unavailable: dict[str, str] = {}
    """Parts that could not be determined, with the reason and the next step."""

    @property
    def has_verdict(self) -> bool:
        """Whether it is known of any reading if it covers all of a periodic load."""
        return any(seen is not None for seen in self.sees_all.values())


def default_folder() -> Path:
    """Folder of the stored probes: `$HARNESS_PROBES`, or in the user's data folder.

    Raises:
        StoreError: The user has no home.
    """
    return userfiles.own_folder("HARNESS_PROBES", "probes", "probes")


def save(probe: CardProbe) -> Path | None:
    """Store a probe; an older one of the same card is replaced, unless only that one was made under load with this driver.

    Returns:
        The file; None if the older probe was kept.

    Raises:
        StoreError: It cannot be written.
    """
    path, (older, _) = _path(probe.uuid), stored_probe(probe.uuid, probe.driver)
    if older and older.has_verdict and not probe.has_verdict:
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, probe.model_dump_json(indent=1) + "\n")
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror or error}", "set HARNESS_PROBES to a folder that you can write to"
        ) from None
    return path


def stored_probe(uuid: str, driver: str) -> tuple[CardProbe | None, str]:
    """The stored probe of a card, and where the constants of its readings come from as a clause.

    Args:
        uuid: UUID of the card.
        driver: Version of the driver; a probe of another version is ignored.
    """
    defaults = "default constants"
    try:
        path = _path(uuid)
        if not path.is_file():
            return None, f"{defaults}: this card was not probed (harness doctor --probe)"
        content = userfiles.read_bytes(path, "probe", limit_bytes=userfiles.DOCUMENT_BYTES, error=StoreError)
        probe = CardProbe.model_validate_json(content)
    except (HarnessError, OSError, ValueError):
        return None, f"{defaults}: the stored probe cannot be read, probe again (harness doctor --probe)"
    if probe.uuid != uuid:
        return None, f"{defaults}: the stored probe is of another card, probe again (harness doctor --probe)"
    if probe.driver != driver:
        return None, f"{defaults}: the probe of {probe.probed_utc[:10]} is of driver {probe.driver}, probe again (harness doctor --probe)"
    return probe, f"probe of {probe.probed_utc[:10]}, driver {probe.driver}"


def counter_constants(probe: CardProbe | None) -> dict[str, Any]:
    """Fields of the domain of a counter: its update period, and whether it misses part of a periodic load."""
    if probe is None:
        return {}
    fields = {} if probe.tick_period_s is None else {"update_period_s": probe.tick_period_s}
    return {**fields, "part_time": True} if probe.sees_all.get("counter") is False else fields


def missed_share(probe: CardProbe | None, reading: str) -> float | None:
    """Largest difference that a probe found between equal loads, relative to their mean, if a reading misses part of them; else None."""
    return probe.spreads.get(reading) if probe and probe.sees_all.get(reading) is False else None


def power_constants(probe: CardProbe | None, reading: str | None) -> dict[str, Any]:
    """Fields of the domain of a power reading: its polling period, and whether it misses part of a periodic load.

    Args:
        probe: Probe of the card; None: there is none.
        reading: Name of the reading, such as `POWER_INSTANT`.
    """
    name = {"POWER_INSTANT": "instant", "POWER_AVERAGE": "average"}.get(reading or "")
    if probe is None or name is None:
        return {}
    fields: dict[str, Any] = {}
    if period_s := probe.update_periods_s.get(name):
        fields["poll_period_s"] = min(max(period_s / POLLS_PER_UPDATE, LEAST_POLL_S), LONGEST_POLL_S)
    if probe.sees_all.get(name) is False:
        fields["part_time"] = True
    return fields


def _path(uuid: str) -> Path:
    return default_folder() / f"{''.join(c if c.isalnum() or c in '-_' else '-' for c in uuid)}.json"
