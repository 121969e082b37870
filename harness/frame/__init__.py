"""Tidy pandas tables of stored runs with declared columns: `cases`, `runs` (repetitions), `domains`, `builds` and `history`."""

from __future__ import annotations

from harness.frame.columns import describe_columns
from harness.frame.history import case_ids
from harness.frame.tables import builds, cases, domains, history, history_differences, runs, tables

__all__ = ["builds", "case_ids", "cases", "describe_columns", "domains", "history", "history_differences", "runs", "tables"]
