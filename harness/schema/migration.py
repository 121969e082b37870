"""Migration of stored objects of older schemas; `harness.schema.base` lists what each version changed."""

from __future__ import annotations

from typing import Any

RENAMED_SINCE = 4
"""Version that gave fields and findings their names of today."""
RENAMED_CODES = {"optimisation_not_shown": "optimisation_not_confirmed"}
"""Codes of findings up to version 3 and their names since version 4."""


def upgrade(raw: Any) -> Any:
    """A header, record or imported meter in today's names; its `schema_version` stays, and so does what is not an object of an older version.

    Args:
        raw: The parsed JSON, changed in place.
    """
    if not isinstance(raw, dict) or raw.get("schema_version") not in range(1, RENAMED_SINCE):
        return raw
    _rename(raw, "told", "notes")  # codespell:ignore
    _rename(raw.get("engine_facts"), "precision_told", "precision_reported")  # codespell:ignore
    for finding in raw.get("warnings") or ():
        if isinstance(finding, dict):
            finding["code"] = RENAMED_CODES.get(finding.get("code", ""), finding.get("code"))
    return raw


def _rename(fields: Any, old: str, new: str) -> None:
    if isinstance(fields, dict) and old in fields:
        fields[new] = fields.pop(old)
