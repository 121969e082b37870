"""Findings on the energy of a repetition, and no finding on a good one."""

from __future__ import annotations

import numpy as np
import pytest

from harness.energy import validity
from harness.schema import Domain, Measurement, Sample, Trace

T_S = np.arange(0, 6, 0.05)
GAUGE = Domain(name="gpu:0", sensor="nvml", quantity="power", unit="W", kind="sampled", device="gpu", limit_w=300, gain=0.07)
COUNTER = Domain(name="gpu:0", sensor="nvml", quantity="energy", unit="J", kind="counter", device="gpu", limit_w=300, gain=0.07)
OTHERS = {
    "gpu:0 temperature": Domain(name="gpu:0 temperature", sensor="nvml", quantity="temperature", unit="degC", device="gpu"),
    "gpu:0 sm_clock": Domain(name="gpu:0 sm_clock", sensor="nvml", quantity="clock", unit="Hz", device="gpu"),
    "gpu:0 utilization": Domain(name="gpu:0 utilization", sensor="nvml", quantity="load", unit="1", device="gpu"),
    "gpu:0 event_reasons": Domain(name="gpu:0 event_reasons", sensor="nvml", quantity="flags", unit="1", device="gpu"),
}
LOADED = (T_S > 2) & (T_S < 5)


def trace(domain: Domain = GAUGE, values: np.ndarray | None = None, t_s: np.ndarray = T_S, failures=None, **others: np.ndarray) -> Trace:
    """Idle until 2 s, loaded until 5 s; conditions that stay as they are unless given."""
    values = np.where(LOADED, 200.0, 50.0) + 0.1 * np.sin(T_S) if values is None else values
    quiet = {"temperature": 50 + 0 * T_S, "sm_clock": 1.5e9 + 0 * T_S, "utilization": LOADED.astype(float), "event_reasons": 0 * T_S}
    samples = {domain.name: Sample(t_s, t_s, np.asarray(values, dtype=float))}
    samples |= {f"gpu:0 {name}": Sample(T_S, T_S, others.get(name, quiet[name])) for name in quiet}
    return Trace({domain.name: domain, **OTHERS}, samples, failures or {})


def measured(phase: str = "steady", joules: float | None = 400.0, start_s: float = 2.5, end_s: float = 4.5, **changes) -> Measurement:
    """One domain over one window."""
    values = {
        "domain": "gpu:0",
        "sensor": "nvml",
        "kind": "sampled",
        "device": "gpu",
        "phase": phase,
        "start_s": start_s,
        "end_s": end_s,
        "inferences": 1,
        "gross_j": joules,
        "gain": 0.07,
    }
    return Measurement(**{**values, **changes})


def codes(
    seen: Trace, *measurements: Measurement, scope=("gpu:0",), lags_s=None, clock_step_s: float = 0.0, **conditions: float
) -> dict[str, bool]:
    """The codes found, and whether each makes the energy unusable."""
    measurements = measurements or (measured("idle", 75, 0.3, 1.8), measured(), measured("idle", 25, 5.2, 5.7))
    findings = validity.examine(seen, measurements, conditions, scope, lags_s=lags_s or {}, clock_step_s=clock_step_s)
    return {f.code: f.invalid for f in findings}


@pytest.mark.parametrize("poll_s", [0.05, 0.1, 0.25])
def test_a_good_measurement_has_no_finding(poll_s):
    """Neither a gauge that is read slowly, nor a neighbour of 2 % of a core."""
    t_s = np.arange(0, 6, poll_s)
    values = np.where((t_s > 2) & (t_s < 5), 200.0, 50.0)
    assert codes(trace(values=values, t_s=t_s), foreign_load=0.02) == {}


def test_a_steady_gauge_under_a_steady_load_is_not_stuck():
    """One value throughout is suspicious only where something else moved."""
    still = trace(values=np.full(len(T_S), 200.0), utilization=np.ones(len(T_S)))
    assert codes(still, measured()) == {}
    warming = trace(values=np.full(len(T_S), 46.19), utilization=np.ones(len(T_S)), temperature=np.linspace(32, 60, len(T_S)))
    assert codes(warming, measured()) == {"sensor_stuck": True}
    assert codes(trace(values=np.full(len(T_S), 46.19)), measured()) == {"sensor_stuck": True}


def test_a_counter_that_can_no_longer_be_read_is_not_stuck():
    """Its power stands in, and the driver's reason is given; one that failed for a moment and ticks again has not failed."""
    values = np.where(T_S < 3.2, 100.0 * T_S, np.nan)
    lost = trace(COUNTER, values, failures={"gpu:0": "the GPU has fallen off the bus"})
    (found,) = validity.examine(lost, [measured(gauge="gpu:0 power", edge_j=1.0)], {}, ("gpu:0",), device="gpu")
    assert (found.code, found.invalid) == ("sensor_failed", True) and "fallen off the bus" in found.sentence
    back = trace(COUNTER, np.where((T_S > 3.0) & (T_S < 3.2), np.nan, 100.0 * T_S), failures={"gpu:0": "once"})
    assert codes(back, measured(gauge="gpu:0 power", edge_j=1.0)) == {"counter_without_edge": False}


def test_a_counter_of_many_seconds_is_not_stuck_where_its_power_stands_in():
    """One value throughout a repetition is its usual face; where the power that stands in stuck, or has a gap, the energy is not used."""
    power = Domain(
        name="gpu:0 power", sensor="nvml", quantity="power", unit="W", kind="sampled", device="gpu", counter="gpu:0", limit_w=300
    )

    def findings(values, t_s=T_S):
        seen = trace(COUNTER, np.full(len(T_S), 5.0), temperature=np.where(LOADED, 60.0, 40.0))
        sample = Sample(t_s, t_s, values)
        return codes(Trace(seen.domains | {power.name: power}, seen.samples | {power.name: sample}), measured(gauge=power.name, edge_j=1.0))

    watts = np.where(LOADED, 200.0, 50.0)
    gap = (T_S < 3.0) | (T_S > 4.0)
    assert findings(watts) == {"counter_without_edge": False}
    few = T_S[::14]
    assert findings(watts[::14], few) == {"counter_without_edge": False, "too_few_samples": True}
    power = power.model_copy(update={"average_s": 1.0})
    assert findings(watts[::14], few) == {"counter_without_edge": False}, "each reading is the mean of a second"
    assert findings(np.full(len(T_S), 200.0)) == {"counter_without_edge": False, "sensor_stuck": True}
    assert findings(watts[gap], T_S[gap]) == {"counter_without_edge": False, "sensor_gap": True}


def test_few_readings_of_the_power_of_a_counter_are_no_finding():
    """Where calls are slow the power of a counter is read rarely; for a power that is the energy it is a finding."""
    few = T_S[::14]
    gauge = GAUGE.model_copy(update={"name": "gpu:0 power", "counter": "gpu:0"})
    seen = trace(COUNTER, 100 * T_S)
    both = Trace(seen.domains | {gauge.name: gauge}, seen.samples | {gauge.name: Sample(few, few, np.full(len(few), 100.0))})
    assert codes(both, measured(), measured(domain=gauge.name, counter="gpu:0")) == {}
    assert codes(trace(values=np.where(LOADED, 200.0, 50.0)[::14], t_s=few), measured()) == {"too_few_samples": True}


def test_a_stuck_counter_is_not_one_that_merely_did_not_tick():
    """While the load came and went it showed one value."""
    assert codes(trace(COUNTER, np.full(len(T_S), 5.0)), measured(joules=None)) == {"sensor_stuck": True}
    assert codes(trace(COUNTER, 100 * T_S), measured(joules=None)) == {"no_clean_tick": True}
    assert codes(trace(COUNTER, 100 * np.minimum(T_S, 3.0)), measured(joules=None)) == {"sensor_stuck": True}
    back = np.where(T_S > 3.5, 100 * T_S - 340, 100 * T_S)
    assert codes(trace(COUNTER, back), measured(joules=None)) == {"counter_reset": True}


def test_an_energy_without_inferences_has_a_reason():
    """Joules that cannot be divided are not left out in silence."""
    assert codes(trace(), measured(inferences=None)) == {"load_not_bracketed": True}


def test_a_missing_energy_is_invalid_in_scope_alone():
    """Another domain that fails is reported, and invalidates nothing."""
    failed = trace(failures={"gpu:0": "gone\nfix it"})
    assert codes(failed, measured(joules=None)) == {"sensor_failed": True}
    assert codes(failed, measured(joules=None, device="cpu"), scope=("package",)) == {"sensor_failed": False}
    assert codes(failed, measured(joules=None), scope=("package",)) == {}, "another card does not matter for the case"
    assert codes(trace(), measured(joules=None)) == {"window_not_bracketed": True}


def test_gaps_and_few_readings():
    """Of a gauge; a counter needs no reading inside its window."""
    holes = (T_S < 3.0) | (T_S > 3.9)
    values = np.where(LOADED, 200.0, 50.0)[holes]
    assert codes(trace(values=values, t_s=T_S[holes]), measured()) == {"sensor_gap": True}
    few = np.arange(0, 6, 0.6)
    assert codes(trace(values=50 + few, t_s=few), measured()) == {"too_few_samples": True}
    assert codes(trace(COUNTER, (100 * T_S)[holes], t_s=T_S[holes]), measured(kind="counter")) == {}


def test_values_that_cannot_be():
    """Success with 3.7 MW, less than nothing, and a counter whose mean power is beyond the limit."""
    for watts in (3.7e6, -5.0, 350.0):
        values = np.where(np.abs(T_S - 3.0) < 0.06, watts, np.where(LOADED, 200.0, 50.0))
        assert codes(trace(values=values), measured()) == {"implausible_value": True}
    assert codes(trace(COUNTER, 400 * T_S), measured(joules=800, kind="counter")) == {"implausible_value": True}
    assert codes(trace(values=np.where(LOADED, 320.0, 50.0)), measured()) == {}


def test_what_is_known_not_to_be_the_energy_is_no_number():
    """An implausible reading voids its window, a stuck sensor all phases; the edges stay, so that they can be recomputed."""
    implausible = trace(values=np.where(np.abs(T_S - 3.0) < 0.06, 3.7e6, np.where(LOADED, 200.0, 50.0)))
    stuck = trace(values=np.full_like(T_S, 46.19), temperature=np.where(LOADED, 60.0, 40.0))
    window, idle = measured(net_j=300.0), measured("idle", 50.0)
    for seen, joules in ((trace(), [400.0, 50.0]), (implausible, [None, 50.0]), (stuck, [None, None])):
        found = validity.discard_invalid(seen, [window, idle])
        assert [m.gross_j for m in found] == joules
        assert (found[0].net_j is None, found[0].kind == "absent") == (joules[0] is None,) * 2
        assert (found[0].start_s, found[0].end_s, found[0].inferences) == (window.start_s, window.end_s, window.inferences)


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        (0, {}),
        (1, {}),
        (2, {}),
        (4, {"power_capped": False}),
        (8, {"throttled": True}),
        (0x20, {"throttled": True}),
        (0x84, {"throttled": True, "power_capped": False}),
    ],
)
def test_a_throttled_device(reasons, expected):
    """The power cap is normal at full load; heat and the power brake are not."""
    assert codes(trace(event_reasons=np.where(LOADED, float(reasons), 1.0))) == expected


def test_what_else_uses_the_device():
    """Busy before we began, whoever hides; and other processes on the CPU."""
    assert codes(trace(utilization=np.full(len(T_S), 0.6))) == {"card_shared": False}
    assert codes(trace(), foreign_load=0.5) == {"foreign_load": False}


def test_warnings_about_the_machine():
    """Each with its own code; none takes the number away."""
    assert codes(trace(temperature=np.full(len(T_S), 99.0))) == {"temperature_out_of_range": False}
    assert codes(trace(sm_clock=np.where(T_S > 3.5, 1.2e9, 1.5e9))) == {"clock_frequency_changed": False}
    assert codes(trace(), clock_step_s=3600.0) == {"clock_stepped": False}
    assert codes(trace(), lags_s={"gpu:0": 0.1}) == {"counter_lags": False}
    assert codes(trace(), measured("idle", 75, 0.3, 1.8), measured(), measured("idle", 30, 5.2, 5.7)) == {"unstable_idle": False}


@pytest.mark.parametrize(
    ("domain", "scope", "why"),
    [
        ({"device": "gpu:0"}, (), "no sensor reads the energy of the device gpu"),
        ({"device": "gpu:0", "detail": {"unseen": "X='' shows no card"}}, (), "X='' shows no card, so that no sensor reads its energy"),
        ({"device": "gpu"}, ("package",), "the suite's `domains` leave out the energy of the device gpu"),
    ],
)
def test_a_case_without_the_energy_of_its_device_is_invalid_for_a_reason(domain, scope, why):
    """Nothing reads the card; or it is hidden from CUDA; or the suite left it out."""
    seen = trace(GAUGE.model_copy(update=domain))
    (found,) = [
        f for f in validity.examine(seen, [measured(device=domain["device"])], {}, scope, device="gpu") if f.code == "no_device_sensor"
    ]
    assert found.invalid and found.sentence.startswith(f"{why}, and the energy of the rest")


def test_idle_powers_that_differ_by_what_their_edges_leave_open_are_no_finding():
    """Half a second between ticks known to 15 ms each: 50 W and 52 W may be one power."""
    before = measured("idle", 75, 0.3, 1.8)
    assert codes(trace(), before, measured(), measured("idle", 26, 5.2, 5.7, edge_j=0.6)) == {}
    assert codes(trace(), before, measured(), measured("idle", 26, 5.2, 5.7, edge_j=0.1)) == {"unstable_idle": False}
    assert codes(trace(COUNTER, 200 * T_S), measured(kind="counter", integrated_j=440.0)) == {"counter_power_disagree": False}


@pytest.mark.parametrize(
    ("apart", "expected"), [(1.03, {}), (0.92, {"counter_power_disagree": False}), (1.12, {"counter_power_disagree": True})]
)
def test_a_counter_and_its_power_that_are_far_apart(apart, expected):
    """Above 5 % a warning; above 10 % the energy is not used, and both figures stay in the record, since which of them is wrong is not known."""
    gauge = GAUGE.model_copy(update={"name": "gpu:0 power", "counter": "gpu:0"})
    seen = trace(COUNTER, 200 * T_S)
    level = Sample(T_S, T_S, np.full(len(T_S), 200.0))
    seen = Trace({**seen.domains, gauge.name: gauge}, {**seen.samples, gauge.name: level})
    window = measured(kind="counter", joules=400.0 * apart, integrated_j=400.0)
    assert codes(seen, window) == expected
    assert [m.gross_j for m in validity.discard_invalid(seen, [window])] == [400.0 * apart]
    assert all(not invalid for invalid in codes(seen, window, scope=("package",)).values())


def test_a_slice_of_a_card_is_charged_with_the_whole_card():
    """Its energy is invalid unless the suite allows it, and the finding stays. A partitioned card outside the scope does not invalidate anything."""
    divided = COUNTER.model_copy(update={"detail": {"mig": True}})
    window = measured(kind="counter")
    assert codes(trace(divided, 200 * T_S), window) == {"mig_shared": True}
    found = validity.examine(trace(divided, 200 * T_S), [window], {}, ("gpu:0",), allow=("mig_shared",))
    assert [(f.code, f.invalid) for f in found] == [("mig_shared", False)]
    assert codes(trace(divided, 200 * T_S), window, scope=("package",)) == {}


def test_a_model_is_not_called_stuck():
    """A model may report constant values, since it is not a sensor."""
    model = GAUGE.model_copy(update={"kind": "modelled", "quantity": "mean_power", "gain": None, "limit_w": None})
    assert codes(trace(model, np.full(len(T_S), 20.0)), measured(kind="modelled", gain=None)) == {}


@pytest.mark.parametrize(
    ("device", "charged", "uuids", "code"),
    [
        ("gpu", "GPU-a", ["GPU-a"], None),
        ("gpu", "GPU-a", ["GPU-b"], "wrong_device"),
        ("gpu", "GPU-a", [], "wrong_device"),
        ("gpu", "GPU-a", ["GPU-a", "GPU-b"], "device_not_confirmed"),
        ("gpu", "GPU-a", None, "device_not_confirmed"),
        ("gpu", None, ["GPU-b"], None),
        ("cpu", "GPU-a", None, None),
    ],
)
def test_the_card_that_a_case_could_use_is_the_one_it_is_charged_with(device, charged, uuids, code):
    """A test double uses no card."""
    assert [f.code for f in validity.examine_device(device, charged, {"device_uuids": uuids})] == ([code] if code else [])
    assert validity.examine_device(device, charged, {"device_uuids": uuids}, simulated=True) == []


@pytest.mark.parametrize(
    ("limit_w", "default_w", "found"),
    [(350.0, 700.0, True), (700.0, 700.0, False), (699.0, 700.0, False), (None, 700.0, False), (350.0, None, False)],
)
def test_a_power_limit_that_is_not_the_default_is_a_remark(limit_w, default_w, found):
    """It invalidates nothing; an unknown limit or default is none."""
    card = COUNTER.model_copy(update={"limit_w": limit_w, "detail": {"power_limit_default_w": default_w}})
    assert codes(trace(card, np.cumsum(np.full(len(T_S), 5.0)))).get("power_limit_set", None) == (False if found else None)


@pytest.mark.parametrize("part_time", [True, False])
def test_a_counter_that_misses_part_of_a_load_is_a_warning(part_time):
    """With what the probe found; a power reading that does so has its own treatment."""
    card = COUNTER.model_copy(update={"part_time": part_time, "detail": {"missed_share": 0.67, "constants": "probe of 2026-11-30"}})
    seen = trace(card, np.cumsum(np.full(len(T_S), 5.0)))
    findings = [f for f in validity.examine(seen, [measured()], {}, ("gpu:0",)) if f.code == "counter_part_time"]
    assert bool(findings) is part_time
    assert all("67 %" in f.sentence and "probe of 2026-11-30" in f.sentence and not f.invalid for f in findings)
    assert "counter_part_time" not in codes(trace(GAUGE.model_copy(update={"part_time": True})))
