"""Why a child exited without a result."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from tests.launch import measured, rogue

pytestmark = pytest.mark.usefixtures("short_lead_in")


def test_an_exit_is_a_record(tmp_path):
    """An engine that exits the process."""
    record = rogue(tmp_path, "exit").record
    assert record.status == "failed" and "exit code 7" in record.reason


def test_a_killed_child_is_a_record():
    """SIGKILL from outside, inside the window."""
    outcome, pid = measured(on_phase=lambda phase, pid: phase == "steady" and os.kill(pid, signal.SIGKILL))
    assert outcome.record.status == "killed" and "SIGKILL" in outcome.record.reason
    assert not psutil.pid_exists(pid)
