"""A run's folder beside its manifest: every file as it was entered, every line readable, every trace of some record."""

from __future__ import annotations

import contextlib
from pathlib import Path

from harness.errors import HarnessError
from harness.schema import Record, StoredRun
from harness.store import files_of, manifest, read_run
from harness.verify.found import Verification, place


def check_files(folder: Path, found: Verification) -> None:
    """Checksums, with the record that a changed trace is of."""
    present, wrong = manifest.differences(folder)
    if not present:
        found.wrong.append(
            "there is no manifest.json, so that no file can be checked: the run was interrupted (`harness run --resume`), "
            "or is older than manifests, or the file was taken away; its figures are computed again all the same"
        )
        return
    found.files = len(manifest.listed(folder))
    stems: dict[str, Record] = {}
    with contextlib.suppress(HarnessError):
        stems = {r.trace.removesuffix(".parquet"): r for r in read_run(folder).records if r.trace}
    for name, sentence in wrong.items():
        if sentence == manifest.UNKNOWN and not name.startswith(manifest.DRAWN_FROM):
            found.told.append(f"{name} {sentence}; no figure is drawn from it")
            continue
        record = next((r for stem, r in stems.items() if name.startswith(f"{stem}.")), None)
        found.wrong.append(f"{name} {sentence}" + (f"; it is of {place(record)}" if record else ""))


def check_lines(run: StoredRun, found: Verification) -> None:
    """Lines that cannot be read, and raw data that no record names: a record that was taken out leaves them."""
    folder = Path(run.folder)
    # A torn line in a run that went on and was sealed is of a killed writer: its repetition was run again.
    sealed = found.files is not None and manifest.intact(folder, manifest.RECORDS)
    (found.told if sealed else found.wrong).extend(run.problems)
    named = {path.name for record in run.records for path in files_of(folder, record)}
    there = {path.name for path in (folder / "traces").glob("*") if path.is_file()}
    found.wrong += [f"traces/{name} is of no record: was one taken out?" for name in sorted(there - named)]
