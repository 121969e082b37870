"""What a user decides about a log instead of leaving it to its header, and the command line that would decide it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from harness.errors import MeterError

UNITS_W = {"W": 1.0, "mW": 1e-3, "kW": 1e3, "uW": 1e-6, "MW": 1e6}
"""Units of power that can be asked for, in W."""
TIME_UNITS_S = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0}
DATE_ORDERS = ("ymd", "dmy", "mdy")
DECIMALS = (".", ",")
SUM = "sum"
"""The channel that adds up all channels of the log."""


@dataclass(frozen=True)
class Options:
    """Explicit choices; None leaves one to the log.

    Attributes:
        format: Name of a declared format, or `auto`.
        timezone: Zone of local times, such as `Europe/Berlin`.
        utc_offset_s: Local time less UTC, in seconds.
        channel: Name of one channel, or `sum`.
        time_column: Name or number (from 1) of the column of times.
        time_unit: Unit of times that are counted from a start.
        date_order: Order of day, month and year in dates with the year last.
        power_column: Name or number (from 1) of the only column of power.
        unit: Unit of power columns whose header names none.
        decimal: Decimal mark, `.` or `,`.
        device_column: Name or number (from 1) of the column that distinguishes devices.
        one_device: Rows with equal time stamps are successive readings of one device.
        start: Unix time or ISO 8601 moment of the log's second 0; the date, where rows hold only a time of day.
        command: The command line so far, for messages.
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

    def check(self) -> None:
        """Refuse values that no log can take.

        Raises:
            MeterError: A choice that is not one of those offered, or two that exclude each other.
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
            raise MeterError("a zone and an offset were given for one log", "give --timezone or --utc-offset")
        if self.one_device and self.device_column is not None:
            raise MeterError("--one-device and --device-column exclude each other", "give one of them")

    def advice(self, *choices: tuple[str, tuple[str, ...]], after: str = "") -> str:
        """What to choose from, each with its command on a line of its own, so that it can be pasted.

        Args:
            choices: (condition, arguments to add).
            after: Last line.
        """
        lines = [part for condition, extra in choices for part in (f"{condition}:", f"  {self.line(*extra)}")]
        return "\n".join([*lines, after] if after else lines)

    def line(self, *extra: str) -> str:
        """The command line with more arguments, quoted for a shell; an option that is given again replaces the one before."""
        words = shlex.split(self.command)
        for flag in (each for each in extra if each.startswith("--")):
            at = words.index(flag) if flag in words else None
            if at is not None:
                del words[at : at + 2]
        return shlex.join([*words, *extra])
