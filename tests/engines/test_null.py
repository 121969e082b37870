"""The null engine: zeros after a given time, on any format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from harness.engines import null
from harness.engines.base import Load
from harness.engines.null import Null, Options


def opened(batch_size=1, **options):
    """A session; no file is needed."""
    return Null().open(Load(Path("none"), "any", "cpu", batch_size, 1, Options(**options)))


def test_it_answers_with_zeros_for_each_sample():
    """And takes no input."""
    session = opened(3)
    (answer,) = session.run(())
    assert answer.shape == session.outputs[0].shape == (3, 1)
    assert not answer.any() and answer.dtype == np.float32 and not session.inputs


def test_a_query_spins_for_its_duration(monkeypatch):
    """Until the clock has passed it."""
    now_ns = iter([0, 400_000, 900_000, 1_000_000, 2_000_000])
    monkeypatch.setattr(null.time, "monotonic_ns", lambda: next(now_ns))
    opened(query_s=0.001).run(())
    assert next(now_ns) == 2_000_000


def test_its_results_are_simulated_and_its_gpu_only_on_request():
    """A negative duration is an error."""
    assert Null.spec.simulated and Null.spec.on_request == ("gpu",)
    with pytest.raises(ValidationError):
        Options(query_s=-1)
