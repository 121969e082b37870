"""Verification of a run: its files are unchanged, and its figures can be recomputed from the raw data.

`files` checks the manifest, `records` each record against its raw data, `consistency` the records against each other and the header,
`artifacts` the cached builds, `report` the table of the report. Each figure is recomputed by the code that a run uses.
"""

from __future__ import annotations

from harness.verify.checking import verify
from harness.verify.result import Verification

__all__ = ["Verification", "verify"]
