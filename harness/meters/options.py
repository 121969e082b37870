"""Choices of the user on how a log is read, and the command lines that messages suggest."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from harness.errors import MeterError
from harness.meters.zones import Zone

UNITS_W = {"W": 1.0, "mW": 1e-3, "kW": 1e3, "uW": 1e-6, "MW": 1e6}
"""Values of `--unit`, in W."""
TIME_UNITS_S = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0}
DATE_ORDERS = ("ymd", "dmy", "mdy")
DECIMALS = (".", ",")
SUM = "sum"
"""Name of the channel that adds all channels of the log."""


@dataclass(frozen=True)
class Options:
    """Choices of the user; None means that the log decides.

    Attributes:
        format: Name of a declared format, or `auto`.
        timezone: Zone of local times, such as `Europe/Berlin`.
        utc_offset_s: Local time minus UTC in seconds, if it is the same in the whole log.
        channel: Name of one channel, or `sum`.
        time_column: Name or number (from 1) of the column of times.
        time_unit: Unit of times since a start.
        date_order: Order of day, month and year: `ymd`, `dmy` or `mdy`.
        power_column: Name or number (from 1) of the only column of power.
        unit: Unit of power columns that state none.
        decimal: Decimal mark, `.` or `,`.
        device_column: Name or number (from 1) of the column that distinguishes devices.
        one_device: Whether rows with equal time stamps are successive readings of one device.
        start: Unix time or ISO 8601 time of the log's second 0; its date if the rows hold only a time of day.
        command: Command line so far, for messages.
    """

    format: str = "auto"
    timezone: str | None = None
    utc_offset_s: float | None = None
    channel: str | None = None
    time_column: str | None = None
    time_unit: str | None = None
    date_order: str | None = None
    power_column: str | None = None
    unit: str | None = None
    decimal: str | None = None
    device_column: str | None = None
    one_device: bool = False
    start: str | None = None
    command: str = "harness import-meter RUN FILE"

    @property
    def zone(self) -> Zone | None:
        """Zone of local times; None leaves it to the log."""
        if self.timezone is None and self.utc_offset_s is None:
            return None
        return Zone(self.timezone, self.utc_offset_s or 0.0)

    def check(self) -> None:
        """Check the values.

        Raises:
            MeterError: A value does not exist, or two choices cannot be combined.
        """
        for flag, value, known in (
            ("--unit", self.unit, tuple(UNITS_W)),
            ("--time-unit", self.time_unit, tuple(TIME_UNITS_S)),
            ("--date-order", self.date_order, DATE_ORDERS),
            ("--decimal", self.decimal, DECIMALS),
        ):
            if value is not None and value not in known:
                raise MeterError(f"{flag} cannot be {value!r}", f"choose one of {' '.join(known)}")
        if self.timezone is not None and self.utc_offset_s is not None:
            raise MeterError("a zone and an offset were given for one log", "use either --timezone or --utc-offset")
        if self.one_device and self.device_column is not None:
            raise MeterError("--one-device and --device-column cannot be combined", "give one of them")

    def advice(self, *choices: tuple[str, tuple[str, ...]], after: str = "") -> str:
        """Pairs of a condition and arguments as commands, each on a separate line to paste, with a last line `after`."""
        lines = [part for condition, extra in choices for part in (f"{condition}:", f"  {self.line(*extra)}")]
        return "\n".join([*lines, after] if after else lines)

    def line(self, *extra: str) -> str:
        """The command line with more arguments, quoted for a shell; an option given twice replaces the first one."""
        words = shlex.split(self.command)
        for flag in extra:
            if flag.startswith("--") and flag in words:
                del words[words.index(flag) : words.index(flag) + 2]
        return shlex.join([*words, *extra])
