"""`harness gate`, `harness verify`: a stored run in, yes or no out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import EXIT_CODES, Results, RunName, app, read_stored, tell, warn


@app.command(epilog=EXIT_CODES)
def gate(
    run: RunName,
    against: Annotated[str, typer.Option(metavar="BASE", help="run to compare with", show_default=False)],
    results: Results = Path("results"),
    thresholds: Annotated[
        Path | None,
        typer.Option(help="YAML file with the allowed increase of energy, latency, memory and decrease of quality", show_default=False),
    ] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="write JUnit XML to this file", show_default=False)] = None,
    markdown: Annotated[Path | None, typer.Option(metavar="FILE", help="write a Markdown summary to this file", show_default=False)] = None,
) -> int:
    """Fail if a run is worse than another beyond noise.

    Prints every case that does not pass; exits with 1 if one fails.
    """
    from harness.decide import gate as gating
    from harness.decide.thresholds import Thresholds, read_thresholds
    from harness.report import gate as texts
    from harness.store import write_output

    limits = read_thresholds(thresholds) if thresholds else Thresholds()
    now, before = read_stored(run, results), read_stored(against, results)
    checks = gating.gate(now, before, limits)
    caveats, undetected = texts.caveat_texts(gating.caveats(now, before)), texts.undetected_text(gating.undetected(checks))
    name = f"{now.header.run_id} against {before.header.run_id}"
    if junit:
        write_output(junit, texts.junit(checks, [*caveats, *undetected], name))
    if markdown:
        write_output(markdown, texts.summary(checks, [*caveats, *undetected], name))
    for sentence in caveats:
        warn(sentence)
    for check in checks:
        if check.outcome != "passed":
            tell(f"{check.outcome}  {check.case_id}: {texts.sentence(check)}")
    for sentence in undetected:
        tell(sentence)
    print(texts.headline(checks))
    return 1 if any(check.outcome == "failed" for check in checks) else 0


@app.command(epilog=EXIT_CODES)
def verify(run: RunName, results: Results = Path("results")) -> int:
    """Verify the files of a run and recompute its figures.

    Checks the files against the manifest and every figure against the raw data; exits with 1 and prints the differences.
    """
    from harness.artifacts import Cache, default_folder
    from harness.meters.calibrate import apply, kept
    from harness.store import find_run
    from harness.verify import verify as verified

    cache = Cache() if default_folder().is_dir() else None
    found = verified(find_run(results, run), lambda stored: apply(stored, kept()), cache)
    for sentence in found.lines():
        tell(sentence)
    return 1 if found.wrong else 0
