"""`harness select`, `harness compare`: which variant to use and which machine to buy."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.app import EXIT_CODES, Calibrated, Results, RunName, app, check_names, optional, read_stored
from harness.cli.console import print_error, print_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.decide.select import Weights

QUALITY = "minimum quality (lower 95 % bound), in the unit of its metric; default: non-inferior to dense on the same samples"
RATE = "minimum inferences (of generated text: output tokens) per second (lower 95 % bound): print the share of missed deadlines"
OFFERS = "YAML file of hardware offers, such as suites/offers.example.yaml: print the cost of a million inferences or output tokens"
HIGHEST = "upper 95 % bound of p99, or of p90 or p50 where not every case has enough requests"
TTFT = f"maximum time to the first text ({HIGHEST})"
TPOT = f"maximum time per output token ({HIGHEST})"
E2E = f"maximum duration of a request ({HIGHEST})"


@app.command(epilog=EXIT_CODES)
def select(
    run: RunName,
    results: Results = Path("results"),
    min_quality: Annotated[float | None, optional(QUALITY, "VALUE")] = None,
    max_latency_p99: Annotated[float | None, optional("maximum latency p99 (upper 95 % bound)", "SECONDS")] = None,
    max_ttft: Annotated[float | None, optional(TTFT, "SECONDS")] = None,
    max_tpot: Annotated[float | None, optional(TPOT, "SECONDS")] = None,
    max_e2e: Annotated[float | None, optional(E2E, "SECONDS")] = None,
    max_memory: Annotated[float | None, optional("maximum peak memory of any launch", "BYTES")] = None,
    max_device_memory: Annotated[float | None, optional("maximum peak memory on the accelerator of any launch", "BYTES")] = None,
    max_energy: Annotated[float | None, optional("maximum energy per inference or output token (upper 95 % bound)", "JOULES")] = None,
    weights: Annotated[str, typer.Option(metavar="W1,W2", help="weights of cost and energy, each relative to dense")] = "1,1",
    compute: Annotated[str, typer.Option(metavar="NAME", help="cost to minimise: latency, macs, or of text ttft or e2e")] = "latency",
    battery_wh: Annotated[float | None, optional("capacity of a battery: print its battery life", "WH")] = None,
    rate: Annotated[float | None, optional(RATE, "PER_SECOND")] = None,
    calibrated: Calibrated = False,
) -> int:
    """Select the best case of a run under constraints.

    Minimises w1*cost + w2*energy among the cases that satisfy all constraints at 95 % confidence; exits with 1 if there is none.
    """
    from harness import frame
    from harness.analysis.stopping import quantile
    from harness.decide.limits import Constraints
    from harness.decide.mission import missed, power
    from harness.decide.select import COLUMNS
    from harness.decide.select import select as selections_of
    from harness.frame.results import results as results_of
    from harness.report.selection import selection_lines

    positive = {"--max-latency-p99": max_latency_p99, "--max-memory": max_memory, "--max-device-memory": max_device_memory}
    positive |= {"--max-ttft": max_ttft, "--max-tpot": max_tpot, "--max-e2e": max_e2e}
    _check_limits(positive | {"--max-energy": max_energy, "--rate": rate, "--battery-wh": battery_wh}, {"--min-quality": min_quality})
    check_names([compute], COLUMNS, "cost", "--compute")
    constraints = Constraints(min_quality, max_latency_p99, max_memory, max_energy, rate, max_device_memory, max_ttft, max_tpot, max_e2e)
    stored = read_stored(run, results, calibrated=calibrated)
    quantile_t = quantile(stored.header.profile.half_width)
    selections = selections_of(frame.tables([stored]), constraints, _weights(weights), compute, quantile_t)  # type: ignore[arg-type]
    for k, selection in enumerate(selections):
        best = next((r for r in results_of(stored) if selection.best and r.case.case_id == selection.best["case_id"]), None)
        rate_per_s = (rate or best.throughput_per_s) if best and best.throughput_per_s else None
        power_w = power(best, rate_per_s) if best and rate_per_s else None
        late = missed(best, rate, quantile_t) if best and rate and not best.case.load else None
        for line in (*([""] if k else []), *selection_lines(selection, battery_wh, power_w, late)):
            print_line(line)
    return 0 if all(selection.best for selection in selections) else 1


@app.command(epilog=EXIT_CODES)
def compare(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN RUN...", help="names of runs, or paths; the first is the base", show_default=False)
    ],
    results: Results = Path("results"),
    offers: Annotated[Path | None, optional(OFFERS, "FILE")] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="compare runs that are not comparable, and mark each line")] = False,
    calibrated: Calibrated = False,
) -> int:
    """Compare machines by energy, latency and cost.

    Compares runs, or the cards of a single run whose suite names several (gpu:UUID). Checks whether they are comparable and keep the
    acceptance rules of their suite, and prints the ratios to the base with verdicts; exits with 1 if they do not.
    """
    from harness.decide.acceptance import check_acceptance
    from harness.decide.by_card import split_cards
    from harness.decide.differences import differences
    from harness.decide.offers import read_offers
    from harness.report import acceptance
    from harness.report.comparison import PREFIX, ratio_lines
    from harness.report.costs import cost_lines
    from harness.report.differences import difference_lines

    offered = read_offers(offers) if offers else None
    stored = split_cards([read_stored(name, results, calibrated=calibrated) for name in runs])
    findings = differences(stored)
    comparable = not any(each.prevents for each in findings)
    rules = [check_acceptance(run) for run in stored]
    rejected = [run.header.run_id for run, checks in zip(stored, rules, strict=True) if any(check.outcome == "failed" for check in checks)]
    accepted = [line for run, checks in zip(stored, rules, strict=True) for line in acceptance.acceptance_lines(run, checks)]
    for line in (*difference_lines(stored, findings), *(["", *accepted] if accepted else [])):
        print_line(line)
    if (not comparable or rejected) and not anyway:
        if not comparable:
            what, hint = "these runs are not comparable", "remove the differences listed above and run again"
        else:
            what = f"{' and '.join(rejected)} broke the acceptance rules of the suite"
            hint = "follow the remedies listed above and run again on that machine"
        print_error(what, f"{hint}, or use --anyway to compare with each line marked")
        return 1
    prefix = "" if comparable and not rejected else acceptance.PREFIX if comparable else PREFIX
    for line in ("", *ratio_lines(stored), *(cost_lines(stored, offered) if offered else ())):
        print_line(line, prefix=prefix if line else "")
    return 0


def _check_limits(positive: Mapping[str, float | None], finite: Mapping[str, float | None]) -> None:
    """Check the values of options, by option.

    Raises:
        HarnessError: One is not finite, or not above 0 as it must be.
    """
    from harness.errors import HarnessError

    for option, value in {**positive, **finite}.items():
        if value is not None and (not math.isfinite(value) or (value <= 0 and option in positive)):
            raise HarnessError(
                f"{option} {value:g} is not a valid limit", f"use {option} with a finite number{' above 0' * (option in positive)}"
            )


def _weights(text: str) -> Weights:
    from harness.decide.select import Weights
    from harness.errors import HarnessError

    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError:
        raise HarnessError(
            f"--weights {text!r} is not two numbers", "use the weights of cost and of energy, such as --weights 1,1 or --weights 0.2,0.8"
        ) from None
    return Weights(first, second)
