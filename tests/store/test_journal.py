"""The journal of the task in flight: what a killed harness leaves."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np

from harness.schema import Sample, Task
from harness.store import journal

SAMPLE = Sample(np.array([1.0, 2.0]), np.array([1.1, 2.1]), np.array([5.0, np.nan]))


def test_a_task_that_ended_leaves_no_journal(tmp_path):
    """Both files are removed once its record is stored."""
    log = journal.Journal(tmp_path, Task(), "boot")
    log.samples({"package": SAMPLE})
    log.discard()
    assert journal.lost(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_readings_and_phases_are_read_back(tmp_path):
    """From several writes, with failed reads and the start of each phase."""
    log = journal.Journal(tmp_path, Task(repetition=3), "boot")
    log.phase("load")
    log.samples({"package": SAMPLE, "dram": SAMPLE})
    log.phase("idle")
    log.samples({"package": SAMPLE})
    found = journal.lost(tmp_path)
    assert (found.announced.task, found.announced.boot_id) == (Task(repetition=3), "boot")
    assert [name for name, _ in found.phases] == ["load", "idle"]
    np.testing.assert_array_equal(found.samples["package"].value, [5.0, np.nan, 5.0, np.nan])
    np.testing.assert_array_equal(found.samples["dram"].end_s, [1.1, 2.1])


def test_a_torn_end_costs_only_itself(tmp_path):
    """After a kill in the middle of a write, earlier writes are intact."""
    log = journal.Journal(tmp_path, Task(), None)
    log.samples({"package": SAMPLE})
    whole = (tmp_path / journal.SEEN).stat().st_size
    log.samples({"package": SAMPLE})
    content = (tmp_path / journal.SEEN).read_bytes()
    for size in range(whole, len(content)):
        (tmp_path / journal.SEEN).write_bytes(content[:size])
        assert len(journal.lost(tmp_path).samples["package"].value) == 2


def test_a_task_killed_before_its_first_reading_is_known_by_name(tmp_path):
    """Without samples, but with its task."""
    journal.Journal(tmp_path, Task(repetition=1), None)
    found = journal.lost(tmp_path)
    assert (found.announced.task.repetition, found.phases, dict(found.samples)) == (1, (), {})


def test_it_outlives_its_process(tmp_path):
    """SIGKILL right after a write loses nothing of it."""
    code = (
        "import os, signal, sys, numpy as np; from pathlib import Path; from harness.store import journal; from harness.schema import Sample, Task\n"
        "log = journal.Journal(Path(sys.argv[1]), Task(), None); log.samples({'wall': Sample(*np.ones((3, 9)))}); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)])
    assert done.returncode == -signal.SIGKILL
    assert len(journal.lost(tmp_path).samples["wall"].value) == 9
