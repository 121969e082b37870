"""Gain and offset of an on-board sensor against a meter, stored per machine and sensor and applied on request."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harness import userfiles
from harness.energy import joules
from harness.errors import MeterError
from harness.schema import Domain, Environment, Floats, FrozenModel, Measurement, Meter, Record, Sample, StoredRun
from harness.store import read_meter_sample, read_meters, task_key, write_atomically

MIN_GAIN = 0.005
"""Least relative standard uncertainty of a calibrated sensor (measurement.md, section 5)."""
MIN_PAIRS = 3
MIN_SPREAD = 0.2
"""Least range of the powers, as a share of the highest: closer levels do not separate gain and offset."""
WORST_GAIN = 0.05
"""Relative standard uncertainty from which a gain is refused."""
PLAUSIBLE_GAIN = (0.75, 1.35)
PLAUSIBLE_OFFSET_W = 50.0
"""An RTX 4090 reads 22.6 W too little: a much larger offset is another load on the meter, not an error of the sensor."""


class Calibration(FrozenModel):
    """What a sensor reads as a line over the true power P: reading = gain P + offset."""

    host: str
    sensor: str
    domain: str
    device: str | None
    """UUID of the card; None if its driver reports none."""
    gain: float
    gain_u: float
    """Standard uncertainty of the gain, from the residuals."""
    offset_w: float
    offset_u_w: float
    """Standard uncertainty of the offset, W."""
    residual_w: float
    """Standard deviation of the readings about the line, W."""
    low_w: float
    """Lowest true power of the fit, W."""
    high_w: float
    """Highest true power of the fit, W."""
    pairs: int
    """Phases of the fit."""
    simulated: bool = False
    """Whether the sensor or the meter was simulated: it is then applied to simulated runs only."""
    source: str = ""
    """The run and the log of the meter."""


class Line(NamedTuple):
    """A sensor's readings over the true power, with standard uncertainties and the standard deviation of the residuals."""

    gain: float
    gain_u: float
    offset_w: float
    offset_u_w: float
    residual_w: float


def fit(reading_w: Floats, true_w: Floats) -> Line:
    """Least-squares line of a sensor's readings over the true powers.

    Assumes that the scatter of the meter is small for its range, and that the residuals are independent.

    Args:
        reading_w: Mean powers by the sensor, W, shape (n,).
        true_w: Mean powers by the meter in the same spans, W, shape (n,).

    Raises:
        MeterError: There are too few pairs, the powers are too close, or the gain is too uncertain.
    """
    if len(true_w) < MIN_PAIRS:
        raise MeterError(f"both measured {len(true_w)} spans, {MIN_PAIRS} are needed", "log a run with more repetitions")
    low_w, high_w = float(np.min(true_w)), float(np.max(true_w))
    if high_w - low_w < MIN_SPREAD * high_w:
        raise MeterError(
            f"the levels are too close: the meter read {low_w:.4g} to {high_w:.4g} W, which does not separate gain and offset",
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
    return Line(float(gain), gain_u, float(middle - gain * middle_w), offset_u_w, residual_w)


def calibrate(run: StoredRun, domain: str, meter: str = "wall") -> Calibration:
    """Fit a sensor of a run against its meter, over the idle and steady phases that both measured.

    Args:
        run: The run as recorded.
        domain: Domain of the sensor, such as `gpu:0`.
        meter: Domain of the imported log; the meter must supply that rail alone.

    Raises:
        MeterError: There is no such domain or meter, the levels are too close, or the meter supplies more than the sensor's rail.
    """
    sensor = _named(run.header.domains, domain)
    log = _meter(run, meter)
    sample = read_meter_sample(Path(run.folder), log)
    reading_w, true_w = _pairs(run.records, domain, sample, log)
    line = fit(reading_w, true_w)
    if not PLAUSIBLE_GAIN[0] <= line.gain <= PLAUSIBLE_GAIN[1] or abs(line.offset_w) > PLAUSIBLE_OFFSET_W:
        raise MeterError(
            f"{domain} reads {line.gain:.3f} P {line.offset_w:+.1f} W if {meter} reads P: the meter supplies more than this rail, or another one",
            "connect the meter to this rail alone; nothing was stored",
        )
    return Calibration(
        **line._asdict(),
        host=run.header.environments[-1].host,
        sensor=sensor.sensor,
        domain=domain,
        device=_device(sensor),
        low_w=float(np.min(true_w)),
        high_w=float(np.max(true_w)),
        pairs=len(true_w),
        simulated="simulated" in (sensor.kind, log.domain.kind),
        source=f"{run.header.run_id}, {log.source}",
    )


def default_folder() -> Path:
    """Folder of the stored calibrations: `$HARNESS_CALIBRATION`, or in the user's data folder.

    Raises:
        StoreError: The user has no home.
    """
    return userfiles.own_folder("HARNESS_CALIBRATION", "calibration", "calibrations")


def save(calibration: Calibration, folder: Path | None = None) -> Path:
    """Store a calibration; an older one of the same machine and sensor is replaced.

    Args:
        calibration: The calibration.
        folder: Folder of the calibrations; None for `default_folder`.

    Returns:
        The file.

    Raises:
        HarnessError: It cannot be written.
    """
    folder = folder or default_folder()
    key = "/".join(str(part) for part in (calibration.host, calibration.sensor, calibration.domain, calibration.device))
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{calibration.host}-{calibration.sensor}-{calibration.domain}").strip("-.")
    path = folder / f"{slug}-{hashlib.sha256(key.encode()).hexdigest()[:8]}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MeterError(
            f"{folder} cannot be created: {error.strerror or error}", "set HARNESS_CALIBRATION to a folder that you can write to"
        ) from None
    write_atomically(path, calibration.model_dump_json(indent=1) + "\n")
    return path


def read_all(folder: Path | None = None) -> list[Calibration]:
    """Every stored calibration.

    Args:
        folder: Folder of the calibrations; None for `default_folder`.

    Raises:
        MeterError: A file is damaged.
    """
    calibrations = []
    for path in sorted((folder or default_folder()).glob("*.json")):
        try:
            content = userfiles.read_bytes(path, "calibration", limit_bytes=userfiles.DOCUMENT_BYTES, error=MeterError)
            calibrations.append(Calibration.model_validate_json(content))
        except (OSError, ValueError) as error:
            raise MeterError(f"{path} cannot be read: {str(error).splitlines()[0]}", "calibrate again, or remove it") from None
    return calibrations


def apply(run: StoredRun, calibrations: Sequence[Calibration]) -> StoredRun:
    """The run with the energies of calibrated sensors corrected, P = (reading - offset) / gain, with the calibration's uncertainty.

    Args:
        run: The run as read; its files are not changed.
        calibrations: Stored calibrations; those of the run's machine and sensors are used.

    Raises:
        MeterError: None of them fits.
    """
    fitting = {
        d.name: c for environment in run.header.environments for d in run.header.domains for c in calibrations if _fits(c, d, environment)
    }
    if not fitting:
        raise MeterError("no calibration fits this run's machine and sensors", "create one from a run with a meter: `harness calibrate`")
    domains = tuple(_calibrated(d, fitting[d.name]) if d.name in fitting else d for d in run.header.domains)
    return replace(
        run,
        header=run.header.model_copy(update={"domains": domains}),
        records=tuple(
            record.model_copy(
                update={"measurements": tuple(corrected(m, fitting[m.domain]) if m.domain in fitting else m for m in record.measurements)}
            )
            for record in run.records
        ),
    )


def corrected(measurement: Measurement, calibration: Calibration) -> Measurement:
    """A measurement with gross, idle and net energy corrected; its `gain` then combines u_gain and u_offset at its own power."""
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
    return max(MIN_GAIN, calibration.gain_u / calibration.gain)


def _named(domains: Sequence[Domain], name: str) -> Domain:
    """The domain whose sensor is calibrated; refuses a model."""
    domain = next((d for d in domains if d.name == name and d.quantity in ("energy", "power", "mean_power")), None)
    if domain is None:
        known = ", ".join(d.name for d in domains if d.kind)
        raise MeterError(f"the run has no energy of the domain {name!r}", f"it has {known or 'none'}")
    if domain.kind == "modelled":
        raise MeterError(f"{name} is modelled, not measured: a model has no gain to calibrate", "choose a sensor's domain")
    return domain


def _meter(run: StoredRun, name: str) -> Meter:
    meter = next((meter for meter in read_meters(Path(run.folder)) if meter.domain.name == name), None)
    if meter is None:
        raise MeterError(f"the run has no meter {name!r}", "import its log first: `harness import-meter RUN FILE`")
    return meter


def _pairs(records: Sequence[Record], domain: str, sample: Sample, log: Meter) -> tuple[Floats, Floats]:
    """Mean powers of sensor and meter, W, of each idle or steady phase that both measured, between the sensor's edges."""
    integral = joules.integrate if log.domain.quantity == "power" else joules.integrate_means
    covered = {task_key(r): {m.phase for m in r.measurements if m.gross_j is not None} for r in log.readings}
    pairs = []
    for record in records:
        phases = covered.get(task_key(record), set()) & {"idle", "steady"}
        for m in record.measurements:
            if m.domain == domain and m.phase in phases and m.gross_j is not None:
                ahead_s, seconds = record.utc_minus_monotonic_s, m.end_s - m.start_s
                true_j = integral(sample, m.start_s + ahead_s, m.end_s + ahead_s)
                if true_j is not None:
                    pairs.append((m.gross_j / seconds, true_j / seconds))
    array = np.array(pairs, dtype=float).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def _device(domain: Domain) -> str | None:
    """UUID of the card of a domain; None if its driver reports none."""
    uuid = domain.detail.get("uuid")
    return str(uuid) if uuid else None


def _fits(calibration: Calibration, domain: Domain, environment: Environment) -> bool:
    """Whether machine, sensor and card are the same; a simulated one fits simulated sensors only."""
    return (
        (calibration.host, calibration.sensor, calibration.domain) == (environment.host, domain.sensor, domain.name)
        and calibration.device == _device(domain)
        and calibration.simulated == (domain.kind == "simulated")
    )


def _calibrated(domain: Domain, calibration: Calibration) -> Domain:
    detail = {**domain.detail, "calibration": calibration.model_dump(mode="json")}
    return domain.model_copy(update={"sensor": f"{domain.sensor} (calibrated)", "gain": _gain(calibration), "detail": detail})
