"""Logs of external power meters: read, imported into a run, and used to calibrate its sensors."""

from __future__ import annotations

from harness.meters.log import Log, read_log

__all__ = ["Log", "read_log"]
