"""`harness select`: stored runs in, a verdict out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.app import EXIT_CODES, Calibrated, Results, RunName, app, read_stored, tell


@app.command(epilog=EXIT_CODES)
def select(
    run: RunName,
    results: Results = Path("results"),
    min_quality: Annotated[
        float | None,
        typer.Option(help="minimum quality (lower 95 % bound); default: non-inferior to dense on the same samples", show_default=False),
    ] = None,
    max_latency_p99: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="maximum latency p99 (upper 95 % bound)", show_default=False)
    ] = None,
    max_memory: Annotated[float | None, typer.Option(metavar="BYTES", help="maximum peak memory of any launch", show_default=False)] = None,
    max_device_memory: Annotated[
        float | None, typer.Option(metavar="BYTES", help="maximum peak memory on the accelerator of any launch", show_default=False)
    ] = None,
    max_energy: Annotated[
        float | None, typer.Option(metavar="JOULES", help="maximum energy per inference (upper 95 % bound)", show_default=False)
    ] = None,
    weights: Annotated[str, typer.Option(metavar="W1,W2", help="weights of cost and energy, each relative to dense")] = "1,1",
    compute: Annotated[str, typer.Option(help="cost to minimise: latency or macs")] = "latency",
    battery_wh: Annotated[
        float | None, typer.Option(metavar="WH", help="capacity of a battery: print how long it lasts", show_default=False)
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="PER_SECOND",
            help="minimum inferences per second (lower 95 % bound): print the share of missed deadlines",
            show_default=False,
        ),
    ] = None,
    calibrated: Calibrated = False,
) -> int:
    """Select the best case of a run under constraints.

    Minimises w1*cost + w2*energy among the cases that satisfy all constraints at 95 % confidence; exits with 1 if there is none.
    """
    from harness import frame
    from harness.analysis.stopping import quantile
    from harness.decide.limits import Constraints
    from harness.decide.mission import missed, power
    from harness.decide.select import select as selected
    from harness.frame.results import results as results_of
    from harness.report.selection import selection_lines

    asked = Constraints(min_quality, max_latency_p99, max_memory, max_energy, rate, max_device_memory)
    _check(asked, battery_wh)
    stored = read_stored(run, results, calibrated=calibrated)
    quantile_t = quantile(stored.header.profile.half_width)
    found = selected(frame.tables([stored]), asked, _weights(weights), _compute(compute), quantile_t)
    for k, each in enumerate(found):
        chosen = next((r for r in results_of(stored) if each.best and r.case.case_id == each.best["case_id"]), None)
        at = (rate or chosen.throughput_per_s) if chosen and chosen.throughput_per_s else None
        drawn_w = power(chosen, at) if chosen and at else None
        late = missed(chosen, rate, quantile_t) if chosen and rate else None
        for line in (*([""] if k else []), *selection_lines(each, battery_wh, drawn_w, late)):
            tell(line)
    return 0 if all(each.best for each in found) else 1


def _check(limits: Any, battery_wh: float | None) -> None:
    """Raises HarnessError for a limit that is not a positive number."""
    import math

    from harness.errors import HarnessError

    given = {"--min-quality": limits.quality, "--max-latency-p99": limits.latency_p99_s, "--max-memory": limits.memory_bytes}
    given |= {
        "--max-device-memory": limits.device_memory_bytes,
        "--max-energy": limits.energy_j,
        "--rate": limits.rate_per_s,
        "--battery-wh": battery_wh,
    }
    for name, value in given.items():
        if value is not None and (not math.isfinite(value) or (value <= 0 and name != "--min-quality")):
            raise HarnessError(
                f"{name} {value:g} is not a valid limit", f"give a finite number{'' if name == '--min-quality' else ' above 0'}"
            )


def _weights(text: str) -> Any:
    from harness.decide.select import Weights
    from harness.errors import HarnessError

    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError:
        raise HarnessError(
            f"--weights {text!r} is not two numbers", "give the weight of cost and of energy, such as --weights 1,1 or --weights 0.2,0.8"
        ) from None
    return Weights(first, second)


def _compute(text: str) -> Any:
    from harness.decide.select import COLUMNS
    from harness.errors import HarnessError
    from harness.suite.document import nearest

    if text not in COLUMNS:
        raise HarnessError(f"unknown cost {text!r} of --compute{nearest(text, COLUMNS)}", f"choose one of {', '.join(COLUMNS)}")
    return text
