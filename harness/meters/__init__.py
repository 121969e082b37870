"""The log of an external power meter -> power on Unix time, with what was read from where and what was left out."""

from __future__ import annotations

from harness.meters.log import Log, read_log

__all__ = ["Log", "read_log"]
