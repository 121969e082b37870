"""`harness run`, `harness plan` and `harness schema`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from tests import tiny
from tests.cli.helpers import HARNESS, assert_error


def test_plan_lists_cases_builds_and_minutes(harness, tmp_path):
    """Nothing is built."""
    done = harness("plan", tiny.write(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "product/dense/onnxruntime/cpu/b4/t1/single_stream" in done.stdout
    assert all(f"{profile}: about" in done.stdout for profile in ("quick", "standard", "publish"))


def test_schema_is_json(harness):
    """For editors."""
    assert json.loads(harness("schema").stdout)["properties"]["matrices"]


def test_a_suite_in_a_pipe_is_refused(harness, tmp_path):
    """The run stores its text, so it is read twice."""
    os.mkfifo(tmp_path / "piped.yaml")
    assert_error(harness("run", "piped.yaml"), 2, "is a pipe", "save the suite")


def test_ctrl_c_leaves_a_run_that_can_be_resumed(tmp_path, environment, harness):
    """Exit code 130 and no orphan; `--resume` completes the run, which then passes `harness verify`."""
    suite = tiny.write(tmp_path, tiny.SUITE.replace("[1, 4]", "[1]"))
    process = subprocess.Popen(
        [*HARNESS, "run", str(suite), "--window", "0.2"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    records = None
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (records and records.read_bytes().count(b"\n") >= 1):
        records = next(iter(Path(environment["HARNESS_RESULTS"]).glob("*/records.jsonl")), None)
        time.sleep(0.05)
    time.sleep(1.0)
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True).stdout.split()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert f"--resume {records.parent}".encode() in err
    assert b"Traceback" not in err
    assert err.count(b"interrupted: ") == 1
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    before = records.read_bytes()
    done = subprocess.run([*HARNESS, "run", "--resume", str(records.parent)], env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "product" in done.stdout or "dense" in done.stdout
    assert "modelled" in done.stdout
    assert records.read_bytes().startswith(before)
    good = [json.loads(line) for line in records.read_text().splitlines()]
    keys = [(r["case_id"], r["repetition"]) for r in good if r["status"] == "ok" and r["case_id"]]
    assert sorted(keys) == sorted(set(keys))
    assert len(keys) == 3
    assert not (records.parent / "fronts.json").exists()
    done = harness("verify", records.parent)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].startswith("verify: passed")


def test_require_measured_fails_a_run_without_a_sensor(harness, tmp_path):
    """Exit code 3 after everything is stored."""
    done = harness(
        "run",
        "--window",
        "0.1",
        tiny.write(tmp_path, tiny.SUITE.replace("[onnxruntime]", '["null"]').replace("[1, 4]", "[1]")),
        "--require-measured",
    )
    assert done.returncode == 3
    assert "not measured by a sensor" in done.stderr
    assert "report:" in done.stdout


def test_a_suite_whose_cases_are_all_unsupported_is_refused(harness, tmp_path):
    """With a reason: an empty run that ends well would look like a success."""
    done = harness("run", tiny.write(tmp_path, tiny.SUITE.replace("[onnxruntime]", "[litert]")))
    assert done.returncode == 2 and "no case of this suite can run" in done.stderr and "litert opens" in done.stderr
