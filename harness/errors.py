"""The errors a user can meet: each says what happened, why, and the next step."""


class HarnessError(Exception):
    """Something a person can mend.

    Args:
        what: What happened and why, one sentence.
        hint: The next step, one sentence; empty where there is none.
    """

    exit_code = 2

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}\n{self.hint}" if self.hint else self.what


class SuiteError(HarnessError):
    """The suite file, or something it names, is wrong. Nothing was built."""


class SensorError(HarnessError):
    """A sensor cannot be read: missing, forbidden, lost or lying."""

    exit_code = 3


class EngineError(HarnessError):
    """An engine cannot take what it was given, or is not installed.

    Args:
        refused: True where the case can never run here (no GPU, engine not installed), so that its record says `refused`, not `failed`.
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
