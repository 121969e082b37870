"""Suite files: read, checked and resolved to a `Suite`."""

from __future__ import annotations

from harness.suite.grammar import json_schema
from harness.suite.loading import as_written, load_suite

__all__ = ["as_written", "json_schema", "load_suite"]
