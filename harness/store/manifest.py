"""Manifest of a run's folder: the checksum of every file, and which files have changed since it was entered.

`evidence` (run.json, each line of records.jsonl, traces, meters, `fronts.json` of older runs) is entered once: entering it again would accept a
change by someone else, so a writer that replaces one of these files first checks that the old one is `intact`. `report` is drawn from the
evidence and may be redrawn: it is listed separately and replaced as a whole.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAME = "manifest.json"
RECORDS = "records.jsonl"
UNLISTED = (NAME, "inflight.json", "inflight.arrow")
"""The manifest itself, and the journal of the task in flight."""
DIGITS = 16
"""Digits of the SHA-256 of each record line, which only identifies a line: the file has a complete one."""
UNKNOWN = "is not in the manifest"
DRAWN_FROM = ("run.json", RECORDS, "fronts.json", "traces/", "meters/", "report/")
"""Files from which figures are computed; a file elsewhere changes none."""

Entries = dict[str, Any]


def seal(folder: Path) -> str:
    """Text of the manifest with new files and records added; existing entries stay."""
    known = _read(folder)
    evidence = dict(known["evidence"]) if known else {}
    for name in _files(folder):
        if name == RECORDS:
            evidence[name] = _grown(folder / name, evidence.get(name))
        elif not name.startswith("report/"):
            evidence.setdefault(name, entry(folder / name))
    return _text(evidence, _report(folder))


def redrawn(folder: Path, *written: str) -> str | None:
    """Text of the manifest with a redrawn report and new entries for the files written; None if there is no manifest."""
    known = _read(folder)
    if known is None:
        return None
    return _text(known["evidence"] | {name: entry(folder / name) for name in written}, _report(folder))


def intact(folder: Path, name: str) -> bool:
    """Whether a file is as entered; also if neither file nor entry exists, or there is no manifest."""
    known = _read(folder)
    if known is None:
        return True
    was, path = known["evidence"].get(name), folder / name
    return entry(path)["sha256"] == was["sha256"] if was and path.is_file() else not was and not path.exists()


def entry(path: Path) -> Entries:
    """SHA-256 of a file, for the records also of each line.

    Raises:
        OSError: It cannot be read, or is not a regular file, which could block.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is not a regular file")
    if path.name != RECORDS:
        with path.open("rb") as stream:
            return {"sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
    data = path.read_bytes()
    return {"sha256": hashlib.sha256(data).hexdigest(), "lines": _lines(data)}


def differences(folder: Path) -> tuple[bool, dict[str, str]]:
    """(whether there is a manifest, what is wrong with each file that differs from it)."""
    path = folder / NAME
    if not path.exists():
        return False, {}
    known = _read(folder)
    if known is None or path.read_text(encoding="utf-8", errors="replace") != _text(known["evidence"], known["report"]):
        return True, {NAME: "is damaged: the harness did not write it in this form"}
    listed: Mapping[str, Entries] = known["evidence"] | known["report"]
    problems = {}
    for name, was in listed.items():
        try:
            now = entry(folder / name)
        except OSError as error:
            problems[name] = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
            continue
        if now["sha256"] != was["sha256"]:
            problems[name] = f"was changed{_which(was.get('lines'), now.get('lines'))}"
    return True, problems | {name: UNKNOWN for name in _files(folder) if name not in listed}


def listed(folder: Path) -> list[str]:
    """The files of the manifest."""
    known = _read(folder)
    return [*known["evidence"], *known["report"]] if known else []


def _which(was: list[str] | None, now: list[str] | None) -> str:
    """The numbers of the lines that differ, from 1."""
    if was is None or now is None:
        return ""
    lines = [str(k + 1) for k in range(max(len(was), len(now))) if was[k : k + 1] != now[k : k + 1]]
    return f": line {', '.join(lines[:10])}{' and more' if len(lines) > 10 else ''}"


def _grown(path: Path, was: Entries | None) -> Entries:
    """Entry of the records with those that a resumed run added; the old entry if its lines have changed."""
    now = entry(path)
    return now if was is None or now["lines"][: len(was["lines"])] == was["lines"] else was


def _lines(data: bytes) -> list[str]:
    lines = data.split(b"\n")
    return [hashlib.sha256(line).hexdigest()[:DIGITS] for line in (lines[:-1] if not lines[-1] else lines)]


def _files(folder: Path) -> list[str]:
    """Every file of a run's folder, including hidden ones."""
    names = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in names if name not in UNLISTED)


def _report(folder: Path) -> Entries:
    return {name: entry(folder / name) for name in _files(folder) if name.startswith("report/")}


def _text(evidence: Entries, report: Entries) -> str:
    """Text of a manifest, with its own checksum."""
    body = {"evidence": evidence, "report": report}
    own = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return json.dumps({**body, "sha256": own}, indent=1, sort_keys=True) + "\n"


def _read(folder: Path) -> Entries | None:
    """The manifest; None if it is missing or malformed."""
    try:
        if not (folder / NAME).is_file():  # opening a pipe would block
            return None
        known = json.loads((folder / NAME).read_bytes())
        entries = [*known["evidence"].values(), *known["report"].values()]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return known if all(isinstance(e, dict) and isinstance(e.get("sha256"), str) for e in entries) else None
