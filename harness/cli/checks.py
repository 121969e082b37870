"""`harness gate`, `harness verify`: checks of a stored run that pass or fail."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from harness.cli.app import EXIT_CODES, Results, RunName, app, optional, read_stored
from harness.cli.console import print_line, warn

THRESHOLDS = (
    "YAML file with the allowed relative increase of energy (default: .02), latency (.05), memory (.05) and decrease of quality (.01)"
)


@app.command(epilog=EXIT_CODES)
def gate(
    run: RunName,
    against: Annotated[str, optional("run to compare with", "BASE")],
    results: Results = Path("results"),
    thresholds: Annotated[Path | None, optional(THRESHOLDS, "FILE")] = None,
    junit: Annotated[Path | None, optional("write JUnit XML to this file", "FILE")] = None,
    markdown: Annotated[Path | None, optional("write a Markdown summary to this file", "FILE")] = None,
) -> int:
    """Fail if a run is significantly worse than another.

    Prints every check that does not pass; exits with 1 if one fails.
    """
    from harness.decide import gate as gating
    from harness.decide.thresholds import Thresholds, read_thresholds
    from harness.report import gate as texts
    from harness.store import write_output

    limits = read_thresholds(thresholds) if thresholds else Thresholds()
    now, base = read_stored(run, results), read_stored(against, results)
    checks, caveats = gating.gate(now, base, limits), texts.caveat_texts(gating.caveats(now, base))
    undetected = texts.undetected_text(gating.undetected(checks))
    for path, write in ((junit, texts.junit), (markdown, texts.summary)):
        if path:
            write_output(path, write(checks, [*caveats, *undetected], f"{now.header.run_id} against {base.header.run_id}"))
    for caveat in caveats:
        warn(caveat)
    for check in checks:
        if check.outcome != "passed":
            print_line(f"{check.outcome}  {check.case_id}: {texts.sentence(check)}")
    for sentence in undetected:
        print_line(sentence)
    print(texts.headline(checks))
    return 1 if any(check.outcome == "failed" for check in checks) else 0


@app.command(epilog=EXIT_CODES)
def verify(run: RunName, results: Results = Path("results")) -> int:
    """Verify the files of a run and recompute its figures.

    Checks every file against the manifest and every figure against the raw data; prints each difference and exits with 1 if there is one.
    """
    from harness.artifacts import Cache, default_folder
    from harness.meters.calibrate import apply, read_all
    from harness.store import find_run
    from harness.verify import verify as verification_of

    cache = Cache() if default_folder().is_dir() else None
    verification = verification_of(find_run(results, run), lambda stored: apply(stored, read_all()), cache)
    for line in verification.lines():
        print_line(line)
    return 1 if verification.problems else 0
