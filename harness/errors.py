"""Errors that a user can fix: what happened and why, and the next step."""


class HarnessError(Exception):
    """An error that a user can fix.

    Args:
        what: What happened and why, one sentence.
        hint: Next step, one sentence; may be empty.
    """

    exit_code = 2

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}\n{self.hint}" if self.hint else self.what


class SuiteError(HarnessError):
    """The suite file, or something it names, is wrong; nothing was built."""


class SensorError(HarnessError):
    """A sensor cannot be read: it is missing, not permitted, lost or implausible."""

    exit_code = 3


class EngineError(HarnessError):
    """An engine is not installed, or does not support its input.

    Args:
        what: What happened and why, one sentence.
        hint: Next step, one sentence; may be empty.
        refused: Whether the case can never run here (no GPU, engine not installed), so that its record is `refused` rather than `failed`.
    """

    exit_code = 3

    def __init__(self, what: str, hint: str = "", *, refused: bool = False) -> None:
        super().__init__(what, hint)
        self.refused = refused


class WorkerError(HarnessError):
    """A child process died, hung or broke the protocol."""

    exit_code = 3


class StoreError(HarnessError):
    """The results folder or the cache cannot be read or written."""


class MeterError(HarnessError):
    """A meter's log cannot be read, does not fit the run, or cannot calibrate the sensor."""
