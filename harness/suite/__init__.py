"""(A suite file, the catalogue) -> a resolved `Suite`: all validation of what a user writes happens here, before anything is built."""

from __future__ import annotations

from harness.suite.grammar import json_schema
from harness.suite.loading import as_written, load_suite

__all__ = ["as_written", "json_schema", "load_suite"]
