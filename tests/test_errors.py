"""What a user reads of an error, and the exit code that it gives."""

from __future__ import annotations

import pytest

from harness.errors import EngineError, HarnessError, MeterError, SensorError, StoreError, SuiteError, WorkerError


def test_the_text_is_what_happened_and_the_next_step():
    """On a line each; without a hint, one line."""
    assert str(SuiteError("no model", "name one")) == "no model\nname one"
    assert str(HarnessError("no model")) == "no model"


@pytest.mark.parametrize(
    ("error", "code"), [(SuiteError, 2), (StoreError, 2), (MeterError, 2), (SensorError, 3), (EngineError, 3), (WorkerError, 3)]
)
def test_wrong_input_is_2_and_a_failure_while_running_3(error, code):
    """As the commands promise."""
    assert error("x").exit_code == code and isinstance(error("x"), HarnessError)


def test_a_refusal_is_marked():
    """Its record is `refused`, not `failed`."""
    assert EngineError("no GPU", refused=True).refused and not EngineError("broken").refused
