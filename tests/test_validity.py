"""What may be wrong with a measurement is said by a code from a closed set."""

from __future__ import annotations

import string

import pytest

from harness import validity
from harness.schema import Measurement, Trace

NOTHING = Trace({}, {})


def measured(phase: str = "steady", joules: float | None = 10.0, **changes) -> Measurement:
    """One domain over one second."""
    values = {
        "domain": "package",
        "sensor": "rapl",
        "kind": "counter",
        "phase": phase,
        "start_s": 0,
        "end_s": 1,
        "inferences": 1,
        "gross_j": joules,
        "gain": 0.05,
    }
    return Measurement(**{**values, **changes})


def codes(*measurements: Measurement, trace: Trace = NOTHING, scope=("package",), **conditions: float) -> dict[str, bool]:
    """The codes found, and whether each makes the energy unusable."""
    return {f.code: f.invalid for f in validity.examine(trace, measurements, conditions, scope)}


@pytest.mark.parametrize("code", validity.CODES)
def test_each_code_has_a_sentence_and_a_remedy(code):
    """A finding without a next step helps nobody."""
    entry = validity.CODES[code]
    names = [name.split(":")[0] for _, name, _, _ in string.Formatter().parse(entry.sentence) if name]
    found = validity.finding(code, **dict.fromkeys(names, 1.0))
    assert found.sentence
    assert found.remedy


def test_a_good_measurement_has_no_finding():
    """Nothing is flagged for safety's sake."""
    assert codes(measured("idle"), measured(integrated_j=10.2), measured("idle", 10.1), foreign_load=0.02) == {}


def test_a_missing_energy_is_invalid_in_scope_alone():
    """Another domain that fails is told, and spoils nothing."""
    assert codes(measured(joules=None)) == {"no_clean_tick": True}
    assert codes(measured(joules=None), trace=Trace({}, {}, {"package": "gone\nmend it"})) == {"sensor_failed": True}
    assert codes(measured(joules=None), scope=("gpu:0",)) == {"no_clean_tick": False}


def test_warnings():
    """Counter against power, idle that moved, neighbours."""
    assert codes(measured(integrated_j=11.0)) == {"counter_power_disagree": False}
    assert codes(measured("idle", 10), measured(), measured("idle", 10.3)) == {"unstable_idle": False}
    assert codes(measured("idle", 10, kind="modelled", gain=None), measured("idle", 20, kind="modelled", gain=None)) == {}
    assert codes(measured(), foreign_load=0.5) == {"foreign_load": False}
