"""`harness gate`, `harness verify`: a stored run in, yes or no out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import EXIT_CODES, Results, RunName, app, read_stored, tell, warn


@app.command(epilog=EXIT_CODES)
def gate(
    run: RunName,
    against: Annotated[str, typer.Option(metavar="BASE", help="the run it is compared with", show_default=False)],
    results: Results = Path("results"),
    thresholds: Annotated[
        Path | None, typer.Option(help="YAML: energy, latency, quality, memory, each how much worse is let through", show_default=False)
    ] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="write JUnit XML", show_default=False)] = None,
    markdown: Annotated[Path | None, typer.Option(metavar="FILE", help="write a Markdown summary", show_default=False)] = None,
) -> int:
    """Say whether a run became worse than another beyond noise; exit 1 with the failing rows."""
    from harness.decide import gate as gating
    from harness.report import verdicts
    from harness.store import write_output

    limits = gating.read_thresholds(thresholds) if thresholds else gating.Thresholds()
    now, before = read_stored(run, results), read_stored(against, results)
    found, said = gating.gate(now, before, limits), gating.caveats(now, before)
    unseen = gating.unseen(found)
    name = f"{now.header.run_id} against {before.header.run_id}"
    if junit:
        write_output(junit, verdicts.junit(found, [*said, *unseen], name))
    if markdown:
        write_output(markdown, verdicts.summary(found, [*said, *unseen], name))
    for sentence in said:
        warn(sentence)
    for verdict in found:
        if verdict.outcome != "pass":
            tell(f"{verdict.outcome}  {verdict.case_id}: {verdict.sentence}")
    for sentence in unseen:
        tell(sentence)
    print(verdicts.headline(found))
    return 1 if any(v.outcome == "fail" for v in found) else 0


@app.command(epilog=EXIT_CODES)
def verify(run: RunName, results: Results = Path("results")) -> int:
    """Check a run's files against its manifest, and every figure against the raw data; exit 1 with what differs."""
    from harness.artifacts import Cache, default_folder
    from harness.meters.calibrate import apply, kept
    from harness.store import find_run
    from harness.verify import verify as verified

    cache = Cache() if default_folder().is_dir() else None
    found = verified(find_run(results, run), lambda stored: apply(stored, kept()), cache)
    for sentence in found.lines():
        tell(sentence)
    return 1 if found.wrong else 0
