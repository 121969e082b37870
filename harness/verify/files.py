"""Checks of the files of a run: checksums in the manifest, lines of the records, traces without a record."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness.schema import Record, StoredRun
from harness.store import files_of, manifest
from harness.verify.result import Verification, place


def check_files(folder: Path, records: Iterable[Record], result: Verification) -> None:
    """Compare the files with the checksums of the manifest; a changed trace is reported with its record."""
    present, differences = manifest.differences(folder)
    if not present:
        result.problems.append(
            "manifest.json is missing, so no file was checked: the run was interrupted (continue it with `harness run --resume`), "
            "is older than manifests, or the file was removed; the figures are recomputed nevertheless"
        )
        return
    result.files = len(manifest.listed(folder))
    stems = {r.trace.removesuffix(".parquet"): r for r in records if r.trace}
    for name, sentence in differences.items():
        if sentence == manifest.UNKNOWN and not name.startswith(manifest.DRAWN_FROM):
            result.notes.append(f"{name} {sentence}; no figure depends on it")
            continue
        record = next((r for stem, r in stems.items() if name.startswith(f"{stem}.")), None)
        result.problems.append(f"{name} {sentence}" + (f" ({place(record)})" if record else ""))


def check_records_file(run: StoredRun, result: Verification) -> None:
    """Report lines of records.jsonl that cannot be read, and raw data without a record: a removed record leaves them."""
    folder = Path(run.folder)
    # A torn line in a run that was continued and sealed is from a killed writer: its repetition was run again.
    sealed = result.files is not None and manifest.intact(folder, manifest.RECORDS)
    (result.notes if sealed else result.problems).extend(run.problems)
    expected = {path.name for record in run.records for path in files_of(folder, record)}
    present = {path.name for path in (folder / "traces").glob("*") if path.is_file()}
    result.problems += [f"traces/{name} has no record: a record may have been removed" for name in sorted(present - expected)]
