"""A run's folder -> `manifest.json`: the checksum of every file, entered by whoever wrote it; and what is no longer as it was entered.

`evidence` (run.json, records.jsonl line by line, traces, meters, `fronts.json` of older runs) is entered once: to enter it again would bless what
somebody changed; whoever rightly writes one of them anew looks first whether the old one was `intact`. `report` is drawn from the
evidence and may be drawn again, so it is listed apart and replaced whole.
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
"""The manifest itself, and the task under way, which is gone when its record is stored."""
DIGITS = 16
"""Of each record line's SHA-256: enough to name a line; the file has a whole one."""

UNKNOWN = "is not in the manifest"
DRAWN_FROM = ("run.json", RECORDS, "fronts.json", "traces/", "meters/", "report/")
"""What a reader of the run looks at; a stranger's file elsewhere changes no figure."""

Entries = dict[str, Any]


def seal(folder: Path) -> str:
    """Text of the manifest as it should be now: what was entered stays, new files and further records are added."""
    known = _read(folder)
    evidence = dict(known["evidence"]) if known else {}
    for name in _files(folder):
        if name == RECORDS:
            evidence[name] = _grown(folder / name, evidence.get(name))
        elif not name.startswith("report/"):
            evidence.setdefault(name, entry(folder / name))
    return _text(evidence, _report(folder))


def redrawn(folder: Path, *written: str) -> str | None:
    """The manifest after the report was drawn again, and after these files were rightly written anew; null where there is no manifest to keep."""
    known = _read(folder)
    if known is None:
        return None
    return _text(known["evidence"] | {name: entry(folder / name) for name in written}, _report(folder))


def intact(folder: Path, name: str) -> bool:
    """Whether a file is as it was entered; true also where there is neither the file nor an entry, or no manifest."""
    known = _read(folder)
    if known is None:
        return True
    was, path = known["evidence"].get(name), folder / name
    return entry(path)["sha256"] == was["sha256"] if was and path.is_file() else not was and not path.exists()


def entry(path: Path) -> Entries:
    """Its SHA-256; of the records each line's too.

    Raises:
        OSError: It cannot be read, or is not a regular file, which might block.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is not a regular file")
    if path.name != RECORDS:
        with path.open("rb") as stream:
            return {"sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
    data = path.read_bytes()
    return {"sha256": hashlib.sha256(data).hexdigest(), "lines": _lines(data)}


def differences(folder: Path) -> tuple[bool, dict[str, str]]:
    """Whether there is a manifest, and by file what is wrong with it, as a sentence."""
    path = folder / NAME
    if not path.exists():
        return False, {}
    known = _read(folder)
    if known is None or path.read_text(encoding="utf-8", errors="replace") != _text(known["evidence"], known["report"]):
        return True, {NAME: "is damaged: it is not what the harness wrote"}
    listed: Mapping[str, Entries] = known["evidence"] | known["report"]
    found = {}
    for name, was in listed.items():
        try:
            now = entry(folder / name)
        except OSError as error:
            found[name] = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
            continue
        if now["sha256"] != was["sha256"]:
            found[name] = f"was changed{_which(was.get('lines'), now.get('lines'))}"
    return True, found | {name: UNKNOWN for name in _files(folder) if name not in listed}


def listed(folder: Path) -> list[str]:
    """The files that the manifest knows."""
    known = _read(folder)
    return [*known["evidence"], *known["report"]] if known else []


def _which(was: list[str] | None, now: list[str] | None) -> str:
    """The lines that differ, from 1."""
    if was is None or now is None:
        return ""
    lines = [str(k + 1) for k in range(max(len(was), len(now))) if was[k : k + 1] != now[k : k + 1]]
    return f": line {', '.join(lines[:10])}{' and more' if len(lines) > 10 else ''}"


def _grown(path: Path, was: Entries | None) -> Entries:
    """The records with those that a resumed run added; as entered where the old lines are no longer there."""
    now = entry(path)
    return now if was is None or now["lines"][: len(was["lines"])] == was["lines"] else was


def _lines(data: bytes) -> list[str]:
    lines = data.split(b"\n")
    return [hashlib.sha256(line).hexdigest()[:DIGITS] for line in (lines[:-1] if not lines[-1] else lines)]


def _files(folder: Path) -> list[str]:
    """Every file, hidden ones too."""
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and str(path.relative_to(folder)) not in UNLISTED
    )


def _report(folder: Path) -> Entries:
    return {name: entry(folder / name) for name in _files(folder) if name.startswith("report/")}


def _text(evidence: Entries, report: Entries) -> str:
    """With a checksum of its own, so that no byte of it can change unseen."""
    body = {"evidence": evidence, "report": report}
    own = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return json.dumps({**body, "sha256": own}, indent=1, sort_keys=True) + "\n"


def _read(folder: Path) -> Entries | None:
    try:
        if not (folder / NAME).is_file():  # a pipe would block
            return None
        found = json.loads((folder / NAME).read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or not all(isinstance(found.get(key), dict) for key in ("evidence", "report")):
        return None
    entries = [*found["evidence"].values(), *found["report"].values()]
    return found if all(isinstance(e, dict) and isinstance(e.get("sha256"), str) for e in entries) else None
