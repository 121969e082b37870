"""Published measurements read by the meter formats, against independently computed truths; HARNESS_DATA is their folder."""

from __future__ import annotations

import itertools
import os
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.cost import Row, row
from harness.energy.joules import integrate
from harness.energy.ticks import ticks
from harness.meters import read_log
from harness.meters.calibrate import fit
from harness.schema import Sample

DATA = Path(os.environ.get("HARNESS_DATA") or Path(__file__).parents[2] / "shared" / "data")
SESSION_J = 955_892.0
CARD_ZONE_S = 3600.0
TICKS_PER_MS = 2933.5
LEAD_S = 0.050
"""Time in s from the meter's first sample to its recorded start."""
VOLT, AMPERE = 0.007568, 0.0488
SETTLE_S, BEFORE_S, PIECE_S = 2.0, 0.5, 0.5
"""Time in s that is left out after each edge and before the next, and length of the pieces that give residuals."""


def rows() -> list[Row]:
    """All figures; those without their file are marked."""
    return [
        _of("MLPerf session, energy between its marks", f"{SESSION_J:,.0f} J, 0.1 %", "mlperf*.tar.gz", _session),
        _of("A100, update period of its power reading", "0.10 s", "nvidia_smi_A100*.csv", _period),
        _of("RTX 3090 against a meter on its rails, gain on both levels", "0.95 +- 0.01", "pmd_RTX3090*.tar.gz", _gain),
    ]


def _of(figure: str, goal: str, pattern: str, measure: Callable[[Path], str]) -> Row:
    path = next(DATA.glob(pattern), None)
    if path is None:
        return row(figure, goal, "file not found")
    if path.suffix == ".csv":
        return row(figure, goal, measure(path))
    with tempfile.TemporaryDirectory() as folder, tarfile.open(path) as archive:
        archive.extractall(folder, filter="data")
        return row(figure, goal, measure(next(Path(folder).iterdir())))


def _session(folder: Path) -> str:
    log = read_log(folder / "run_1" / "spl.txt")
    energy_j = integrate(log.sample, log.marks["power_begin"], log.marks["power_end"])
    assert energy_j is not None
    return f"{energy_j:,.0f} J, {energy_j / SESSION_J - 1:+.4%}"


def _period(path: Path) -> str:
    log = read_log(path, "nvidia-smi", utc_offset_s=0.0)
    return f"{float(np.median(np.diff(ticks(log.sample).t_s))):.3f} s"


def _gain(folder: Path) -> str:
    """Gain at both levels of a step, and the line through pieces of both."""
    card = read_log(folder / "gpudata.csv", "nvidia-smi", utc_offset_s=CARD_ZONE_S).sample
    meter = _rails(folder)
    marks = sorted({float(text) / 1e6 for text in (folder / "timestamps.csv").read_text().split()[1:]})
    spans = [(start_s + SETTLE_S, end_s - BEFORE_S) for start_s, end_s in itertools.pairwise(marks)]
    card_w, true_w = _levels(card, meter, spans)
    pieces = [(t_s, t_s + PIECE_S) for start_s, end_s in spans for t_s in np.arange(start_s, end_s - PIECE_S, PIECE_S)]
    gain, gain_u, offset_w, offset_u_w, _ = fit(*_levels(card, meter, pieces))
    both = ", ".join(f"{a / b:.4f} at {b:.2f} W" for a, b in zip(card_w, true_w, strict=True))
    return f"{both}; line {gain:.4f} +- {gain_u:.4f}, offset {offset_w:+.2f} +- {offset_u_w:.2f} W"


def _levels(sensor: Sample, meter: Sample, spans: Sequence[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Mean powers of a sensor and a meter in W, of the spans that both cover, shape (n,) each."""
    energies = [(integrate(sensor, *span), integrate(meter, *span), span[1] - span[0]) for span in spans]
    means = np.array([(a / s, b / s) for a, b, s in energies if a is not None and b is not None])
    return means[:, 0], means[:, 1]


def _rails(folder: Path) -> Sample:
    """Power from the meter's raw file: a wrapping 16-bit clock, then pairs of voltage and current of four rails."""
    raw = np.fromfile(folder / "PMD_data.bin", dtype="<u2").reshape(-1, 9)
    steps = np.asarray(np.diff(raw[:, 0].astype(np.int64), prepend=int(raw[0, 0])), dtype=np.int64)
    clock = np.cumsum(steps % 65536)
    pairs = np.maximum(raw[:, 1:].astype("<i2") >> 4, 0).reshape(-1, 4, 2) * (VOLT, AMPERE)
    start_s = float((folder / "PMD_start_ts.txt").read_text()) / 1e6 - LEAD_S
    t_s = start_s + clock / TICKS_PER_MS / 1e3
    return Sample(t_s, t_s, np.prod(pairs, axis=2).sum(axis=1))
