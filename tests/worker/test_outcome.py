"""A child's work becomes a result, whatever it raises."""

from __future__ import annotations

import pytest

from harness.errors import EngineError, StoreError
from harness.schema.worker import Result
from harness.worker.outcome import outcome


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (EngineError("no GPU", refused=True), "refused"),
        (EngineError("it does not load"), "failed"),
        (EngineError("m.onnx cannot be read: std::bad_alloc"), "oom"),
        (StoreError("no folder"), "failed"),
        (MemoryError(), "oom"),
        (RuntimeError("OOM when allocating tensor"), "oom"),
        (KeyError("odd"), "failed"),
    ],
)
def test_every_error_has_its_status(error, status):
    """And a reason."""

    def work():
        raise error

    result = outcome(work, None)
    assert result.status == status and result.reason


def test_the_most_informative_line_comes_first():
    """It is shown alone during a run; the rest follows."""

    def work():
        raise RuntimeError("Exception from src/infer_request.cpp:224:\nthe shape of input data conflicts with the pattern")

    first, *rest = outcome(work, None).reason.splitlines()
    assert first == "RuntimeError: the shape of input data conflicts with the pattern" and len(rest) == 2


def test_a_success_has_the_fields_of_the_work():
    """With its status."""
    assert outcome(lambda: {"resident_bytes": 1}, None) == Result(status="ok", resident_bytes=1)
