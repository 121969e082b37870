"""A stored run with a meter's readings -> gain and offset of an on-board sensor, kept per machine and sensor, applied when asked."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness import userfiles
from harness.energy import joules
from harness.errors import MeterError, StoreError
from harness.schema import Domain, Environment, Floats, FrozenModel, Measurement, Meter, Record, Sample, StoredRun
from harness.store import read_meter_sample, read_meters, write_atomically

LEAST_GAIN = 0.005
"""Relative standard uncertainty that a calibrated sensor keeps at least (measurement.md, section 5)."""
LEAST_PAIRS = 3
LEAST_SPREAD = 0.2
"""Of the highest power: levels closer than that do not tell a gain from an offset."""
WORST_GAIN = 0.05
"""Relative standard uncertainty of a gain that is not worth keeping."""
PLAUSIBLE_GAIN = (0.75, 1.35)
PLAUSIBLE_OFFSET_W = 50.0
"""An RTX 4090 reads 22.6 W too little: much more than that is another load on the meter, not the sensor's error."""


class Calibration(FrozenModel):
    """What a sensor reads, as a line over the true power: reading = gain P + offset."""

    host: str
    sensor: str
    domain: str
    device: str | None
    """The uuid of the card, or what else its driver names it by; null: the domain's name alone tells."""
    gain: float
    gain_u: float
    """Standard uncertainty of the gain, from the residuals."""
    offset_w: float
    offset_u_w: float
    residual_w: float
    """Standard deviation of the readings about the line."""
    low_w: float
    """The lowest true power it was fitted on."""
    high_w: float
    pairs: int
    simulated: bool = False
    """True where a simulated sensor, or a simulated meter, gave a power: then only simulated runs take it."""
    source: str = ""
    """The run and the meter's log."""


def fit(reading_w: Floats, true_w: Floats) -> tuple[float, float, float, float, float]:
    """The line of a sensor's readings over the true powers, by least squares.

    Assumes that the meter's scatter is small beside its range, and that the residuals are independent.

    Args:
        reading_w: What the sensor said, W, shape (n,).
        true_w: What the meter said over the same spans, W, shape (n,).

    Returns:
        Gain, its standard uncertainty, offset (W), its standard uncertainty (W), standard deviation of the residuals (W).

    Raises:
        MeterError: Too few pairs, powers too close together, or a gain that they do not tell.
    """
    if len(true_w) < LEAST_PAIRS:
        raise MeterError(f"{len(true_w)} spans were seen by both, {LEAST_PAIRS} are needed", "log a run with more repetitions")
    low_w, high_w = float(np.min(true_w)), float(np.max(true_w))
    if high_w - low_w < LEAST_SPREAD * high_w:
        raise MeterError(
            f"the levels are too close: the meter saw {low_w:.4g} to {high_w:.4g} W, which does not tell a gain from an offset",
            "calibrate on a run with a full load whose idle phases hold several readings of the meter: `--profile publish` idles for 5 s",
        )
    middle_w = float(np.mean(true_w))
    gain, middle = np.polyfit(true_w - middle_w, reading_w, 1)
    residual_w = float(np.sqrt(np.sum((reading_w - middle - gain * (true_w - middle_w)) ** 2) / (len(true_w) - 2)))
    gain_u = residual_w / float(np.sqrt(np.sum((true_w - middle_w) ** 2)))
    offset_u_w = float(np.hypot(residual_w / np.sqrt(len(true_w)), gain_u * middle_w))
    if gain <= 0 or gain_u > WORST_GAIN * gain:
        raise MeterError(
            f"the readings scatter too much about a line: gain {gain:.3f} +- {gain_u:.3f}", "use longer windows, or check the clocks"
        )
    return float(gain), gain_u, float(middle - gain * middle_w), offset_u_w, residual_w


def levels(sensor: Sample, meter: Sample, spans: Sequence[tuple[float, float]]) -> tuple[Floats, Floats]:
    """Mean powers of both over the same spans, W: those that both cover.

    Args:
        sensor: Power readings.
        meter: Power readings on the same clock.
        spans: (start, end) within which the load was level.
    """
    found = [(joules.integrate(sensor, *span), joules.integrate(meter, *span), span[1] - span[0]) for span in spans]
    pairs = [(a / s, b / s) for a, b, s in found if a is not None and b is not None]
    return np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])


def calibrate(run: StoredRun, domain: str, meter: str = "wall") -> Calibration:
    """Fit a sensor of the run against its meter, over the idle and steady phases that both saw.

    Args:
        run: As recorded.
        domain: Whose sensor is calibrated, such as `gpu:0`.
        meter: The domain of the imported log: it must feed that rail alone.

    Raises:
        MeterError: No such domain or meter, levels too close, or a meter that evidently feeds more than the sensor's rail.
    """
    sensor = _named(run.header.domains, domain)
    log = _meter(run, meter)
    sample = read_meter_sample(Path(run.folder), log)
    reading_w, true_w = _pairs(run.records, domain, sample, log)
    gain, gain_u, offset_w, offset_u_w, residual_w = fit(reading_w, true_w)
    if not PLAUSIBLE_GAIN[0] <= gain <= PLAUSIBLE_GAIN[1] or abs(offset_w) > PLAUSIBLE_OFFSET_W:
        raise MeterError(
            f"{domain} reads {gain:.3f} P {offset_w:+.1f} W of what {meter} sees: the meter feeds more than this rail, or not this rail",
            "put the meter on the rail itself; nothing was stored",
        )
    environment = run.header.environments[-1]
    return Calibration(
        host=environment.host,
        sensor=sensor.sensor,
        domain=domain,
        device=_device(sensor),
        gain=gain,
        gain_u=gain_u,
        offset_w=offset_w,
        offset_u_w=offset_u_w,
        residual_w=residual_w,
        low_w=float(np.min(true_w)),
        high_w=float(np.max(true_w)),
        pairs=len(true_w),
        simulated="simulated" in (sensor.kind, log.domain.kind),
        source=f"{run.header.run_id}, {log.source}",
    )


def default_folder() -> Path:
    """`$HARNESS_CALIBRATION`, or the user's data folder.

    Raises:
        StoreError: The user has no home.
    """
    import platformdirs

    try:
        return Path(os.environ.get("HARNESS_CALIBRATION") or platformdirs.user_data_path("harness", appauthor=False) / "calibration")
    except RuntimeError as error:
        raise StoreError(f"there is no place for calibrations: {error}", "set HARNESS_CALIBRATION to a folder of yours") from None


def keep(calibration: Calibration, folder: Path | None = None) -> Path:
    """Store a calibration; an older one of the same machine and sensor is replaced.

    Raises:
        StoreError: It cannot be written.
    """
    folder = folder or default_folder()
    key = "/".join(str(part) for part in (calibration.host, calibration.sensor, calibration.domain, calibration.device))
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{calibration.host}-{calibration.sensor}-{calibration.domain}").strip("-.")
    path = folder / f"{slug}-{hashlib.sha256(key.encode()).hexdigest()[:8]}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MeterError(f"{folder} cannot be made: {error.strerror or error}", "set HARNESS_CALIBRATION to a folder of yours") from None
    write_atomically(path, calibration.model_dump_json(indent=1) + "\n")
    return path


def kept(folder: Path | None = None) -> list[Calibration]:
    """Every stored calibration.

    Raises:
        MeterError: One is damaged.
    """
    found = []
    for path in sorted((folder or default_folder()).glob("*.json")):
        try:
            content = userfiles.read_bytes(path, "calibration", limit_bytes=userfiles.DOCUMENT_BYTES, error=MeterError)
            found.append(Calibration.model_validate_json(content))
        except (OSError, ValueError) as error:
            raise MeterError(f"{path} cannot be read: {str(error).splitlines()[0]}", "calibrate again, or remove it") from None
    return found


def apply(run: StoredRun, calibrations: Sequence[Calibration]) -> StoredRun:
    """The run with the energies of calibrated sensors corrected, P = (reading - offset) / gain, their uncertainty in place of the uncalibrated one.

    Args:
        run: Read back; what lies on the disk stays as it is.
        calibrations: Those that fit its machine and its sensors are used.

    Raises:
        MeterError: None fits.
    """
    fitting = {
        d.name: c for environment in run.header.environments for d in run.header.domains for c in calibrations if _fits(c, d, environment)
    }
    if not fitting:
        raise MeterError("no calibration fits this run's machine and sensors", "`harness calibrate` makes one from a run with a meter")
    domains = tuple(_marked(d, fitting[d.name]) if d.name in fitting else d for d in run.header.domains)
    return replace(
        run,
        header=run.header.model_copy(update={"domains": domains}),
        records=tuple(_corrected_record(record, fitting) for record in run.records),
    )


def corrected(measurement: Measurement, calibration: Calibration) -> Measurement:
    """One measurement, gross, idle and net; its `gain` then holds u_gain and u_off at its own power."""
    gross_j, seconds = measurement.gross_j, measurement.end_s - measurement.start_s
    if gross_j is None or seconds <= 0:
        return measurement
    true_j = (gross_j - calibration.offset_w * seconds) / calibration.gain
    idle_w = None if measurement.idle_w is None else (measurement.idle_w - calibration.offset_w) / calibration.gain
    offset = calibration.offset_u_w / calibration.gain / (true_j / seconds) if true_j > 0 else float("inf")
    return measurement.model_copy(
        update={
            "sensor": f"{measurement.sensor} (calibrated)",
            "gross_j": true_j,
            "idle_w": idle_w,
            "net_j": None if measurement.net_j is None else measurement.net_j / calibration.gain,
            "edge_j": None if measurement.edge_j is None else measurement.edge_j / calibration.gain,
            "gain": float(np.hypot(_gain(calibration), offset)),
        }
    )


def _gain(calibration: Calibration) -> float:
    return max(LEAST_GAIN, calibration.gain_u / calibration.gain)


def _named(domains: Sequence[Domain], name: str) -> Domain:
    found = next((d for d in domains if d.name == name and d.quantity in ("energy", "power", "mean_power")), None)
    if found is None:
        known = ", ".join(d.name for d in domains if d.kind)
        raise MeterError(f"the run has no energy of {name!r}", f"it has {known or 'none'}")
    if found.kind == "modelled":
        raise MeterError(f"{name} is modelled, not measured: a model has no gain to calibrate", "choose a sensor's domain")
    return found


def _meter(run: StoredRun, name: str) -> Meter:
    found = {meter.domain.name: meter for meter in read_meters(Path(run.folder))}
    if name not in found:
        raise MeterError(f"the run has no meter {name!r}", "import its log first: `harness import-meter RUN FILE`")
    return found[name]


def _pairs(records: Sequence[Record], domain: str, sample: Sample, log: Meter) -> tuple[Floats, Floats]:
    """Mean powers (sensor's, meter's) of each phase that is level and that both saw, over the sensor's own edges."""
    integral = joules.integrate if log.domain.quantity == "power" else joules.integrate_means
    seen = {(r.task, r.case_id, r.repetition, r.attempt): {m.phase for m in r.measurements if m.gross_j is not None} for r in log.readings}
    pairs = []
    for record in records:
        phases = seen.get((record.task, record.case_id, record.repetition, record.attempt), set()) & {"idle", "steady"}
        for m in record.measurements:
            if m.domain == domain and m.phase in phases and m.gross_j is not None:
                ahead_s, seconds = record.utc_minus_monotonic_s, m.end_s - m.start_s
                true_j = integral(sample, m.start_s + ahead_s, m.end_s + ahead_s)
                if true_j is not None:
                    pairs.append((m.gross_j / seconds, true_j / seconds))
    return np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])


def _device(domain: Domain) -> str | None:
    uuid = domain.detail.get("uuid")
    return str(uuid) if uuid else None


def _fits(calibration: Calibration, domain: Domain, environment: Environment) -> bool:
    """The same machine, sensor and card; one from a simulation fits simulated sensors alone."""
    return (
        (calibration.host, calibration.sensor, calibration.domain) == (environment.host, domain.sensor, domain.name)
        and calibration.device == _device(domain)
        and calibration.simulated == (domain.kind == "simulated")
    )


def _marked(domain: Domain, calibration: Calibration) -> Domain:
    return domain.model_copy(
        update={
            "sensor": f"{domain.sensor} (calibrated)",
            "gain": _gain(calibration),
            "detail": {**domain.detail, "calibration": calibration.model_dump(mode="json")},
        }
    )


def _corrected_record(record: Record, fitting: dict[str, Calibration]) -> Record:
    return record.model_copy(
        update={"measurements": tuple(corrected(m, fitting[m.domain]) if m.domain in fitting else m for m in record.measurements)}
    )
